package dynamic.keras

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.Environment
import com.google.ai.edge.litert.TensorBuffer
import java.io.File
import java.nio.ByteBuffer

/**
 * Runs segments with LiteRT 2's `CompiledModel` on the CPU.
 *
 * An output buffer of one segment is an input buffer of the next; nothing passes
 * through an array of the JVM but the image, gates and the logits of exits.
 *
 * @param threads of the CPU.
 * @param create makes a model of a file of the bundle; see [directory]. From assets:
 *     `CompiledModel.create(context.assets, "bundle/$file", options, environment)`.
 */
class CompiledRuntime(
    threads: Int = 1,
    private val create: (file: String, options: CompiledModel.Options, environment: Environment) -> CompiledModel,
) : SegmentRuntime<TensorBuffer> {
    private val environment = Environment.create()
    private val options = CompiledModel.Options(Accelerator.CPU).apply {
        cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
    }

    // There is no `create` of bytes: the model is read from its file once more.
    override fun load(file: String, model: ByteBuffer, outputs: List<String>): Segment<TensorBuffer> =
        CompiledSegment(create(file, options, environment), outputs)

    override fun write(memory: TensorBuffer, values: ByteArray) = memory.writeInt8(values)

    override fun write(memory: TensorBuffer, values: FloatArray) = memory.writeFloat(values)

    override fun bytes(memory: TensorBuffer) = memory.readInt8()

    override fun floats(memory: TensorBuffer) = memory.readFloat()

    override fun close() = environment.close()

    companion object {
        /** Makes one for the files of a bundle in a [directory]. */
        fun directory(directory: File, threads: Int = 1) =
            CompiledRuntime(threads) { file, options, environment ->
                CompiledModel.create(File(directory, file).path, options, environment)
            }
    }
}

private class CompiledSegment(
    private val model: CompiledModel, names: List<String>,
) : Segment<TensorBuffer> {
    private val made = mutableListOf<TensorBuffer>()

    override val outputs: Map<String, TensorBuffer> = names.associateWith(::output)

    override fun run(inputs: Map<String, TensorBuffer>) = model.run(inputs, outputs)

    override fun input(name: String) = model.createInputBuffer(name).also(made::add)

    override fun output(name: String) = model.createOutputBuffer(name).also(made::add)

    override fun close() {
        made.forEach { it.close() }
        model.close()
    }
}
