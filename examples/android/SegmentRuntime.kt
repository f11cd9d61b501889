package dynamic.keras

import java.nio.ByteBuffer

/**
 * Loads segments: [InterpreterRuntime] or [CompiledRuntime], by the artifact that an app has.
 *
 * [T] is a tensor's memory. What one segment writes, the next one reads where it is.
 */
interface SegmentRuntime<T> : AutoCloseable {
    /**
     * Loads a segment.
     *
     * @param file of the bundle, [model] is its content.
     * @param outputs names of its outputs.
     */
    fun load(file: String, model: ByteBuffer, outputs: List<String>): Segment<T>

    fun write(memory: T, values: ByteArray)

    fun write(memory: T, values: FloatArray)

    fun bytes(memory: T): ByteArray

    fun floats(memory: T): FloatArray
}

/** A loaded segment. */
interface Segment<T> : AutoCloseable {
    /** By name, what [run] writes. */
    val outputs: Map<String, T>

    /** Runs it on [inputs], by name. */
    fun run(inputs: Map<String, T>)

    /** Makes memory that fits the input [name]. */
    fun input(name: String): T

    /** Makes memory that fits the output [name], beside that in [outputs]. */
    fun output(name: String): T
}
