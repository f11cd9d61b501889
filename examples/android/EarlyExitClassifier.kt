package dynamic.keras

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel.MapMode
import java.security.MessageDigest
import kotlin.math.exp
import kotlin.math.ln
import org.json.JSONArray
import org.json.JSONObject
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor

/**
 * Runs a bundle: an image stops at the first exit that is sure of it.
 *
 * Tensors go from segment to segment in the interpreters' own memory. A segment
 * is loaded when an image first needs it. Not thread-safe: one object per thread.
 *
 * @param threads that an operator may use.
 * @param point name of an operating point; without one, the bundle's own policy.
 * @param open gives a file of the bundle, mapped or direct; see [directory].
 * @throws IllegalArgumentException if the bundle is not one that this class can run.
 */
class EarlyExitClassifier(
    private val threads: Int = 1, point: String? = null, private val open: (file: String) -> ByteBuffer,
) : AutoCloseable {
    /** [probabilities] are of every class, at the temperature of the [exit] that was taken. */
    class Result(val index: Int, val label: String, val probabilities: DoubleArray, val exit: Int)

    private val manifest = JSONObject(Charsets.UTF_8.decode(open("manifest.json")).toString())
        .also { require(it.getInt("format_version") == 2) { "`format_version` must be 2." } }
    private val policy = if (point == null) manifest.getJSONObject("policy")
        else manifest.getJSONObject("operating_points").getJSONObject(point)
    private val kind = policy.getString("kind")
    private val labels = Charsets.UTF_8.decode(content(manifest.getJSONObject("labels"))).trimEnd('\n').split('\n')
    private val input = manifest.getJSONObject("input")
    private val shape = input.getJSONArray("shape").list { getInt(it) }
    private val size = shape.fold(1) { product, each -> product * each }
    private val scale = input.getDouble("scale").toFloat()
    private val quantized = input.getString("dtype") == "int8"
    /** Makes a photograph of any size the pixels that [classify] takes. */
    val fit = PhotoFit(input)
    private val image = direct(size * if (quantized) 1 else Float.SIZE_BYTES)
    private val segments = manifest.getJSONArray("segments").list { getJSONObject(it) }
    private val loaded = segments.map { lazy(LazyThreadSafetyMode.NONE) { Segment(it) } }
    /** What outputs are where their segment was skipped: all zero points. */
    private val zeros = HashMap<String, ByteBuffer>()

    init {
        require(kind in KINDS) { "`policy.kind` must be one of $KINDS. Received: $kind" }
    }

    private inner class Segment(facts: JSONObject) {
        val interpreter = Interpreter(content(facts), Interpreter.Options().setNumThreads(threads))
        val inputs = facts.getJSONArray("inputs").list { getString(it) }
        val gate = if (facts.has("gate")) facts.getString("gate") else null
        /** Whether it runs where the segment before it, which has a gate, does not. */
        val bypass = facts.optBoolean("bypass")
        val exit = if (facts.isNull("exit")) null else facts.getInt("exit")
        val tensors: Map<String, Tensor> = facts.getJSONArray("outputs").list { getString(it) }
            .associateWith { interpreter.getOutputTensorFromSignature(it, interpreter.signatureKeys[0]) }
        val outputs = tensors.mapValues { (_, tensor) -> tensor.asReadOnlyBuffer() }
        val skipped = tensors.mapValues { (_, tensor) -> zero(tensor) }.also(zeros::putAll)
        val logits get() = numbers(tensors.values.first(), outputs.values.first())
    }

    /** Classifies an image of [pixels], rows of pixels of channels, 0 to 255 each. */
    fun classify(pixels: ByteArray): Result {
        put(pixels)
        val values = hashMapOf(segments[0].getJSONArray("inputs").getString(0) to image)
        var (last, agreeing) = -1 to 0 // The class of the exit before, and for how many.
        var runs = true
        for (segment in loaded.asSequence().map { it.value }) {
            if (segment.bypass && runs) continue
            runs = segment.gate == null || values[segment.gate] != zeros[segment.gate]
            // Without a place for outputs they are not copied; inputs are read where they are.
            if (runs) segment.interpreter.runSignature(segment.inputs.associateWith(values::getValue), emptyMap())
            values += if (runs) segment.outputs else segment.skipped
            val exit = segment.exit ?: continue
            val enabled = policy.getJSONArray("enabled").getBoolean(exit)
            if (!enabled && kind != "patience") continue
            val temperature = policy.getJSONArray("temperatures").getDouble(exit)
            val probabilities = softmax(segment.logits, temperature)
            val index = probabilities.indices.maxByOrNull { probabilities[it] }!!
            agreeing = if (index == last) agreeing + 1 else 1.also { last = index }
            val score = if (kind == "patience") 1 - 1.0 / agreeing else score(probabilities)
            if (enabled && score >= policy.getJSONArray("thresholds").getDouble(exit)) {
                return Result(index, labels[index], probabilities, exit)
            }
        }
        error("the last exit must be enabled, and its threshold 0")
    }

    override fun close() = loaded.filter { it.isInitialized() }.forEach { it.value.interpreter.close() }

    private fun put(pixels: ByteArray) {
        require(pixels.size == size) { "`pixels` must be $size bytes, $shape. Received: ${pixels.size}" }
        image.rewind()
        for (pixel in pixels) { // Flipping the top bit of a byte subtracts 128.
            if (quantized) image.put((pixel.toInt() xor 0x80).toByte())
            else image.putFloat((pixel.toInt() and 0xFF) * scale)
        }
        image.rewind()
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

    private fun direct(bytes: Int) = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

    private fun zero(tensor: Tensor): ByteBuffer = direct(tensor.numBytes()).apply {
        while (hasRemaining()) put(tensor.quantizationParams().zeroPoint.toByte())
        rewind()
    }

    companion object {
        private val KINDS = listOf("max_probability", "margin", "entropy", "patience")

        /** For `open`: the files of a bundle in a [directory]. */
        fun directory(directory: File): (String) -> ByteBuffer = { file ->
            File(directory, file).inputStream().channel.use { it.map(MapMode.READ_ONLY, 0, it.size()) }
        }

        private fun numbers(tensor: Tensor, view: ByteBuffer) = DoubleArray(tensor.numElements()) {
            val facts = tensor.quantizationParams()
            if (tensor.dataType() == DataType.FLOAT32) view.getFloat(Float.SIZE_BYTES * it).toDouble()
            else facts.scale.toDouble() * (view.get(it) - facts.zeroPoint)
        }

        private fun softmax(logits: DoubleArray, temperature: Double): DoubleArray {
            val top = logits.maxOrNull()!!
            val weights = DoubleArray(logits.size) { exp((logits[it] - top) / temperature) }
            return weights.sum().let { sum -> DoubleArray(weights.size) { weights[it] / sum } }
        }

        private fun <T> JSONArray.list(read: JSONArray.(Int) -> T) = List(length()) { read(it) }
    }
}
