import dynamic.keras.CameraFrame
import dynamic.keras.FrameTimes
import dynamic.keras.PointSlider
import kotlin.math.abs
import kotlin.random.Random
import org.json.JSONObject

/** Checks what the sample app computes, apart from Android. */
fun main() {
    frames()
    for ((degrees, orientation) in mapOf(0 to 1, 90 to 6, 180 to 3, 270 to 8)) {
        check(CameraFrame.orientation(degrees) == orientation)
    }
    check(runCatching { CameraFrame.orientation(45) }.exceptionOrNull() is IllegalArgumentException)
    points()
    times()
    println("android: the sample app's frames, slider and times are right")
}

private fun frames() {
    val random = Random(0)
    // Strides beyond the width, U and V interleaved, and a valid part within.
    val (width, height, stride) = Triple(12, 8, 16)
    val y = CameraFrame.Plane(random.nextBytes(stride * height), stride, 1)
    val u = CameraFrame.Plane(random.nextBytes(stride * height / 2), stride, 2)
    val v = CameraFrame.Plane(random.nextBytes(stride * height / 2), stride, 2)
    val crop = CameraFrame.Crop(1, 2, width - 3, height - 3)
    val found = CameraFrame.argb(crop, y, u, v)
    check(found.size == crop.width * crop.height)
    for (row in 0 until crop.height) for (column in 0 until crop.width) {
        val (down, across) = row + crop.top to column + crop.left
        val light = (y.bytes[down * stride + across].toInt() and 0xFF).toDouble()
        val chroma = down / 2 * stride + across / 2 * 2
        val blue = (u.bytes[chroma].toInt() and 0xFF) - 128
        val red = (v.bytes[chroma].toInt() and 0xFF) - 128
        val wanted = listOf(
            light + 1.402 * red, light - 0.344136 * blue - 0.714136 * red, light + 1.772 * blue,
        )
        val colour = found[row * crop.width + column]
        check(colour ushr 24 == 0xFF)
        for ((shift, number) in listOf(16, 8, 0) zip wanted) {
            check(abs((colour ushr shift and 0xFF) - number.coerceIn(0.0, 255.0)) < 0.51)
        }
    }
}

private fun points() {
    fun policy(vararg thresholds: Double, last: Boolean = true) =
        """{"thresholds": ${thresholds.toList()}, "enabled": [$last, true]}"""
    val alone = PointSlider(JSONObject("""{"policy": ${policy(0.5, 0.0)}}"""))
    check(alone.names == listOf(null) && alone.start == 0)
    val slider = PointSlider(
        JSONObject(
            """{"policy": ${policy(0.5, 0.0)}, "operating_points": {
                "deep": ${policy(0.1, 0.0, last = false)},
                "fast": ${policy(0.2, 0.0)}, "also": ${policy(0.2, 0.0)}}}""",
        ),
    )
    check(slider.names == listOf("also", "fast", null, "deep"))
    check(slider.start == 2 && slider.title(1) == "fast" && slider.title(2).isNotEmpty())
}

private fun times() {
    val times = FrameTimes(3)
    check(times.median == null)
    times.add(0, 9_000_000)
    times.add(0, 1_000_000)
    check(times.median == 5.0)
    times.add(5, 2_000_005)
    check(times.median == 2.0)
    times.add(0, 1_500_000) // The first is forgotten.
    check(times.median == 1.5)
}
