package dynamic.keras

import org.json.JSONObject

/**
 * Lists what a slider chooses from: the bundle's own policy and its operating points.
 *
 * In the order of the sum of their thresholds, a disabled exit's being 1: from the
 * one that lets images stop early to the one that lets them go deep. Points of
 * other kinds of confidence than the policy's are compared by the same numbers.
 *
 * @param manifest of the bundle.
 */
class PointSlider(manifest: JSONObject) {
    /** Names, null for the bundle's own policy. */
    val names: List<String?>
    /** Where the slider begins: at the bundle's own policy. */
    val start: Int

    init {
        val points = manifest.optJSONObject("operating_points")
        val found = mutableMapOf<String?, JSONObject>(null to manifest.getJSONObject("policy"))
        points?.keys()?.forEach { found[it] = points.getJSONObject(it) }
        names = found.entries.sortedWith(compareBy({ depth(it.value) }, { it.key ?: "" })).map { it.key }
        start = names.indexOf(null)
    }

    /** Returns what is shown for a place of the slider. */
    fun title(place: Int) = names[place] ?: "the bundle's policy"

    private fun depth(policy: JSONObject): Double {
        val (thresholds, enabled) = policy.getJSONArray("thresholds") to policy.getJSONArray("enabled")
        return (0 until thresholds.length()).sumOf { if (enabled.getBoolean(it)) thresholds.getDouble(it) else 1.0 }
    }
}
