package dynamic.keras

import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * Type and quantization of an output: a number q stands for [scale] * (q - [zeroPoint]).
 *
 * @param count of its numbers.
 */
class TensorFacts(val float: Boolean, val count: Int, val scale: Float, val zeroPoint: Int)

/** Reads what `CompiledModel` does not tell from a .tflite file (schema version 3). */
class SegmentTensors(model: ByteBuffer) {
    private val bytes = model.slice().order(ByteOrder.LITTLE_ENDIAN)

    /** By name, the outputs of the one signature. */
    val outputs: Map<String, TensorFacts>

    init {
        val root = follow(0)
        val signatures = child(root, 7)
        require(length(signatures) == 1) { "A segment must have one signature. Received: ${length(signatures)}" }
        val signature = table(signatures, 0)
        val tensors = child(table(child(root, 2), number(signature, 4)), 0)
        outputs = tables(child(signature, 1)).associate { map ->
            text(child(map, 0)) to facts(text(child(map, 0)), table(tensors, number(map, 1)))
        }
    }

    private fun facts(name: String, tensor: Int): TensorFacts {
        val type = field(tensor, 1).let { if (it == 0) FLOAT32 else bytes.get(it).toInt() }
        require(type == FLOAT32 || type == INT8) { "`$name` must be int8 or float32. Received: type $type" }
        val shape = child(tensor, 0)
        val quantization = child(tensor, 4)
        val scales = if (quantization == 0) 0 else child(quantization, 2)
        val zeros = if (quantization == 0) 0 else child(quantization, 3)
        return TensorFacts(
            type == FLOAT32,
            (0 until length(shape)).fold(1) { product, k -> product * bytes.getInt(shape + 4 + 4 * k) },
            if (length(scales) == 0) 1f else bytes.getFloat(scales + 4),
            if (length(zeros) == 0) 0 else bytes.getLong(zeros + 4).toInt(),
        )
    }

    // A FlatBuffer: places are 0 where something is absent.
    private fun follow(at: Int) = at + bytes.getInt(at)

    private fun field(table: Int, k: Int): Int {
        val vtable = table - bytes.getInt(table)
        if (4 + 2 * k >= bytes.getShort(vtable)) return 0
        val offset = bytes.getShort(vtable + 4 + 2 * k).toInt() and 0xFFFF
        return if (offset == 0) 0 else table + offset
    }

    private fun child(table: Int, k: Int) = field(table, k).let { if (it == 0) 0 else follow(it) }

    private fun number(table: Int, k: Int) = field(table, k).let { if (it == 0) 0 else bytes.getInt(it) }

    private fun length(vector: Int) = if (vector == 0) 0 else bytes.getInt(vector)

    private fun table(vector: Int, k: Int) = follow(vector + 4 + 4 * k)

    private fun tables(vector: Int) = List(length(vector)) { table(vector, it) }

    private fun text(at: Int) = String(ByteArray(length(at)) { bytes.get(at + 4 + it) }, Charsets.UTF_8)

    private companion object {
        const val FLOAT32 = 0 // TensorType of the schema.
        const val INT8 = 9
    }
}
