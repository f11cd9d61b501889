package dynamic.keras

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

/** Runs segments with TensorFlow Lite's or LiteRT's `Interpreter`, on [threads] of the CPU. */
class InterpreterRuntime(private val threads: Int = 1) : SegmentRuntime<ByteBuffer> {
    override fun load(file: String, model: ByteBuffer, outputs: List<String>): Segment<ByteBuffer> =
        InterpreterSegment(Interpreter(model, Interpreter.Options().setNumThreads(threads)), outputs)

    override fun write(memory: ByteBuffer, values: ByteArray) {
        memory.rewind()
        memory.put(values).rewind()
    }

    override fun write(memory: ByteBuffer, values: FloatArray) {
        memory.rewind()
        memory.asFloatBuffer().put(values)
    }

    // An interpreter's view has its own order; duplicates have another.
    override fun bytes(memory: ByteBuffer) = ByteArray(memory.capacity()) { memory.get(it) }

    override fun floats(memory: ByteBuffer) =
        FloatArray(memory.capacity() / Float.SIZE_BYTES) { memory.getFloat(Float.SIZE_BYTES * it) }

    override fun close() = Unit
}

private class InterpreterSegment(
    private val interpreter: Interpreter, names: List<String>,
) : Segment<ByteBuffer> {
    private val signature = interpreter.signatureKeys[0]

    override val outputs: Map<String, ByteBuffer> = names.associateWith {
        interpreter.getOutputTensorFromSignature(it, signature).asReadOnlyBuffer()
    }

    // Without a place for outputs they are not copied; inputs are read where they are.
    override fun run(inputs: Map<String, ByteBuffer>) = interpreter.runSignature(inputs, emptyMap())

    override fun input(name: String) =
        direct(interpreter.getInputTensorFromSignature(name, signature).numBytes())

    override fun output(name: String) =
        direct(interpreter.getOutputTensorFromSignature(name, signature).numBytes())

    override fun close() = interpreter.close()

    private fun direct(bytes: Int) = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
}
