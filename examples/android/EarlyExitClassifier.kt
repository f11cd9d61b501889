package dynamic.keras

import java.io.File
import java.nio.ByteBuffer
import java.nio.channels.FileChannel.MapMode
import java.security.MessageDigest
import kotlin.math.exp
import kotlin.math.ln
import org.json.JSONArray
import org.json.JSONObject

/**
 * Runs a bundle: an image stops at the first exit that is sure of it.
 *
 * Tensors go from segment to segment in the memory of the [runtime]. A segment is
 * loaded when an image first needs it. Not thread-safe: one object per thread.
 *
 * It runs gates and bypasses, and on the device what the manifest gives to a
 * server (`place`). A manifest of another `format_version`, or with a key that it
 * does not know, is refused: it could ask for something that changes the answer.
 *
 * @param runtime what runs segments, of this object alone; [close] closes it, too.
 * @param point name of an operating point; without one, the bundle's own policy.
 * @param open gives a file of the bundle, mapped or direct; see [directory].
 * @throws IllegalArgumentException if the bundle is not one that this class can run.
 */
class EarlyExitClassifier<T>(
    private val runtime: SegmentRuntime<T>, point: String? = null, private val open: (file: String) -> ByteBuffer,
) : AutoCloseable {
    /** [probabilities] are of every class, at the temperature of the [exit] that was taken. */
    class Result(val index: Int, val label: String, val probabilities: DoubleArray, val exit: Int)

    private val manifest = JSONObject(Charsets.UTF_8.decode(open("manifest.json")).toString()).also(::refuseUnknown)
    /** Names of the operating points. */
    val points: Set<String> = manifest.optJSONObject("operating_points")?.fields() ?: emptySet()
    private val policy = when (point) {
        null -> manifest.getJSONObject("policy")
        in points -> manifest.getJSONObject("operating_points").getJSONObject(point)
        else -> throw IllegalArgumentException("`point` must be one of $points. Received: $point")
    }
    private val kind = policy.getString("kind")
    private val labels = Charsets.UTF_8.decode(content(manifest.getJSONObject("labels"))).trimEnd('\n').split('\n')
    private val input = manifest.getJSONObject("input")
    private val shape = input.getJSONArray("shape").list { getInt(it) }
    private val size = shape.fold(1) { product, each -> product * each }
    private val scale = input.getDouble("scale").toFloat()
    private val quantized = input.getString("dtype") == "int8"
    /** Makes a photograph of any size the pixels that [classify] takes. */
    val fit = PhotoFit(input)
    private val segments = manifest.getJSONArray("segments").list { getJSONObject(it) }
    private val loaded = segments.map { lazy(LazyThreadSafetyMode.NONE) { Loaded(it) } }
    private val imageName = segments[0].getJSONArray("inputs").getString(0)
    private val image by lazy(LazyThreadSafetyMode.NONE) { loaded[0].value.segment.input(imageName) }

    init {
        known("policy", policy, POLICY_KEYS)
        require(kind in KINDS) { "`policy.kind` must be one of $KINDS. Received: $kind" }
        require(policy.isNull("scheduler")) { "`policy.scheduler`, a learned one, must be absent." }
    }

    /** A tensor's memory, and whose segment's output it is. */
    private class Value<T>(val memory: T, val facts: TensorFacts?)

    private inner class Loaded(facts: JSONObject) {
        val inputs = facts.getJSONArray("inputs").list { getString(it) }
        val outputs = facts.getJSONArray("outputs").list { getString(it) }
        val gate = if (facts.has("gate")) facts.getString("gate") else null
        /** Whether it runs where the segment before it, which has a gate, does not. */
        val bypass = facts.optBoolean("bypass")
        val exit = if (facts.isNull("exit")) null else facts.getInt("exit")
        private val model = content(facts)
        private val tensors = SegmentTensors(model).outputs
        val segment = runtime.load(facts.getString("file"), model, outputs)
        val written = outputs.associateWith { Value(segment.outputs.getValue(it), tensors.getValue(it)) }
        /** What outputs are where it does not run: all zero points. */
        val skipped by lazy(LazyThreadSafetyMode.NONE) {
            outputs.associateWith { name ->
                val zeros = tensors.getValue(name)
                val memory = segment.output(name)
                if (zeros.float) runtime.write(memory, FloatArray(zeros.count))
                else runtime.write(memory, ByteArray(zeros.count) { zeros.zeroPoint.toByte() })
                Value(memory, zeros)
            }
        }
    }

    /** Classifies an image of [pixels], rows of pixels of channels, 0 to 255 each. */
    fun classify(pixels: ByteArray): Result {
        put(pixels)
        val values = hashMapOf(imageName to Value(image, null))
        var (last, agreeing) = -1 to 0 // The class of the exit before, and for how many.
        var runs = true
        for (segment in loaded.asSequence().map { it.value }) {
            if (segment.bypass && runs) continue
            runs = segment.gate == null || numbers(values.getValue(segment.gate)).any { it != 0.0 }
            if (runs) segment.segment.run(segment.inputs.associateWith { values.getValue(it).memory })
            values += if (runs) segment.written else segment.skipped
            val exit = segment.exit ?: continue
            val enabled = policy.getJSONArray("enabled").getBoolean(exit)
            if (!enabled && kind != "patience") continue
            val temperature = policy.getJSONArray("temperatures").getDouble(exit)
            val probabilities = softmax(numbers(segment.written.getValue(segment.outputs[0])), temperature)
            val index = probabilities.indices.maxByOrNull { probabilities[it] }!!
            agreeing = if (index == last) agreeing + 1 else 1.also { last = index }
            val score = if (kind == "patience") 1 - 1.0 / agreeing else score(probabilities)
            if (enabled && score >= policy.getJSONArray("thresholds").getDouble(exit)) {
                return Result(index, labels[index], probabilities, exit)
            }
        }
        error("the last exit must be enabled, and its threshold 0")
    }

    override fun close() {
        loaded.filter { it.isInitialized() }.forEach { it.value.segment.close() }
        runtime.close()
    }

    private fun put(pixels: ByteArray) {
        require(pixels.size == size) { "`pixels` must be $size bytes, $shape. Received: ${pixels.size}" }
        // Flipping the top bit of a byte subtracts 128.
        if (quantized) runtime.write(image, ByteArray(size) { (pixels[it].toInt() xor 0x80).toByte() })
        else runtime.write(image, FloatArray(size) { (pixels[it].toInt() and 0xFF) * scale })
    }

    private fun numbers(value: Value<T>): DoubleArray {
        val facts = value.facts!!
        if (facts.float) return runtime.floats(value.memory).let { read -> DoubleArray(facts.count) { read[it].toDouble() } }
        val read = runtime.bytes(value.memory)
        return DoubleArray(facts.count) { facts.scale.toDouble() * (read[it] - facts.zeroPoint) }
    }

    private fun score(p: DoubleArray): Double = when (kind.takeIf { p.size > 1 }) {
        "margin" -> p.sortedDescending().let { it[0] - it[1] }
        "entropy" -> maxOf(0.0, 1 + p.filter { it > 0 }.sumOf { it * ln(it) } / ln(p.size.toDouble()))
        else -> p.maxOrNull()!!
    }

    private fun content(facts: JSONObject): ByteBuffer {
        val file = facts.getString("file")
        val content = open(file)
        val sha256 = MessageDigest.getInstance("SHA-256").apply { update(content.duplicate()) }
        val found = sha256.digest().joinToString("") { "%02x".format(it) }
        require(found == facts.getString("sha256")) { "`$file` must be as the manifest says. Received: $found" }
        return content
    }

    companion object {
        private val KINDS = listOf("max_probability", "margin", "entropy", "patience")
        private val KEYS = setOf(
            "format_version", "name", "labels", "input", "segments", "policy", "provenance",
            "operating_points", "calibration",
        )
        private val INPUT_KEYS = setOf("shape", "dtype", "scale", "zero_point", "fit")
        private val POLICY_KEYS = setOf("kind", "temperatures", "thresholds", "enabled", "scheduler", "fitted")
        private val SEGMENT_KEYS = setOf(
            "file", "sha256", "bytes", "inputs", "outputs", "exit", "madds", "params", "gate", "bypass", "place",
        )

        /** For `open`: the files of a bundle in a [directory]. */
        fun directory(directory: File): (String) -> ByteBuffer = { file ->
            File(directory, file).inputStream().channel.use { it.map(MapMode.READ_ONLY, 0, it.size()) }
        }

        private fun refuseUnknown(manifest: JSONObject) {
            val version = manifest.opt("format_version")
            require(version == 2) { "`format_version` must be 2. Received: $version" }
            known("manifest", manifest, KEYS)
            known("input", manifest.getJSONObject("input"), INPUT_KEYS)
            for ((index, each) in manifest.getJSONArray("segments").list { getJSONObject(it) }.withIndex()) {
                known("segments[$index]", each, SEGMENT_KEYS)
                val place = each.opt("place")
                require(place == null || place == "server") { "`segments[$index].place` must be server. Received: $place" }
            }
            val dtype = manifest.getJSONObject("input").getString("dtype")
            require(dtype in listOf("int8", "float32")) { "`input.dtype` must be int8 or float32. Received: $dtype" }
        }

        private fun known(where: String, found: JSONObject, keys: Set<String>) {
            val unknown = found.fields() - keys
            require(unknown.isEmpty()) { "`$where` must have keys of $keys only. Received: $unknown" }
        }

        private fun JSONObject.fields() = keys().asSequence().toSet()

        private fun softmax(logits: DoubleArray, temperature: Double): DoubleArray {
            val top = logits.maxOrNull()!!
            val weights = DoubleArray(logits.size) { exp((logits[it] - top) / temperature) }
            return weights.sum().let { sum -> DoubleArray(weights.size) { weights[it] / sum } }
        }

        private fun <T> JSONArray.list(read: JSONArray.(Int) -> T) = List(length()) { read(it) }
    }
}
