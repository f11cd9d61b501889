// Not LiteRT: a stand-in for its artifact, which no registry here has. It declares
// what CompiledRuntime.kt uses of com.google.ai.edge.litert, with the names and types
// of LiteRT's source, and asks the process on standard input and output,
// `classifier.py`, to run the models. It is stricter than LiteRT: names, types and
// sizes must be right, and nothing is used after close.
package com.google.ai.edge.litert

import android.content.res.AssetManager
import java.io.DataInputStream
import java.io.DataOutputStream

enum class Accelerator { NONE, CPU, GPU, NPU }

abstract class JniHandle internal constructor() : AutoCloseable {
    private var closed = false

    internal fun assertOpen() = check(!closed) { "used after close" }

    final override fun close() {
        assertOpen()
        closed = true
    }
}

class Environment private constructor() : JniHandle() {
    enum class Option

    companion object {
        @JvmOverloads
        @JvmStatic
        fun create(options: Map<Option, String> = mapOf()) = Environment().also { check(options.isEmpty()) }
    }
}

class TensorBuffer internal constructor(internal val float: Boolean, count: Int) : JniHandle() {
    internal var bytes = ByteArray(count * if (float) Float.SIZE_BYTES else 1)

    fun writeInt8(data: ByteArray) {
        expect(float = false, data.size)
        bytes = data.copyOf()
        written += data.size
    }

    fun writeFloat(data: FloatArray) {
        expect(float = true, data.size * Float.SIZE_BYTES)
        java.nio.ByteBuffer.wrap(bytes).order(java.nio.ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(data)
        written += data.size
    }

    fun readInt8(): ByteArray {
        expect(float = false, bytes.size)
        return bytes.copyOf()
    }

    fun readFloat(): FloatArray {
        expect(float = true, bytes.size)
        val view = java.nio.ByteBuffer.wrap(bytes).order(java.nio.ByteOrder.LITTLE_ENDIAN)
        return FloatArray(bytes.size / Float.SIZE_BYTES) { view.getFloat(Float.SIZE_BYTES * it) }
    }

    private fun expect(float: Boolean, size: Int) {
        assertOpen()
        check(float == this.float && size == bytes.size) { "another type or size" }
    }

    companion object {
        /** Of the stand-in only: how many numbers were written into all buffers. */
        @JvmStatic var written = 0L
    }
}

class CompiledModel private constructor(path: String, private val environment: Environment) : JniHandle() {
    data class CpuOptions(
        val numThreads: Int? = null, val xnnPackFlags: Int? = null, val xnnPackWeightCachePath: String? = null,
    )

    class Options(internal val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))

        var cpuOptions: CpuOptions? = null
    }

    private class Tensor(val float: Boolean, val count: Int)

    private val id: Int
    private val inputs: Map<String, Tensor>
    private val outputs: Map<String, Tensor>

    init {
        environment.assertOpen()
        sink.writeByte('L'.code)
        sink.writeUTF(path)
        sink.flush()
        id = source.readInt()
        inputs = tensors()
        outputs = tensors()
    }

    private fun tensors() = List(source.readInt()) {
        source.readUTF() to Tensor(source.readBoolean(), source.readInt())
    }.toMap()

    fun createInputBuffer(inputName: String, signature: String? = null) = buffer(inputs, inputName, signature)

    fun createOutputBuffer(outputName: String, signature: String? = null) = buffer(outputs, outputName, signature)

    private fun buffer(tensors: Map<String, Tensor>, name: String, signature: String?): TensorBuffer {
        assertOpen()
        check(signature == null)
        return tensors.getValue(name).let { TensorBuffer(it.float, it.count) }
    }

    fun run(inputs: Map<String, TensorBuffer>, outputs: Map<String, TensorBuffer>, signature: String? = null) {
        assertOpen()
        environment.assertOpen()
        check(signature == null && inputs.keys == this.inputs.keys && outputs.keys == this.outputs.keys)
        sink.writeByte('R'.code)
        sink.writeInt(id)
        for ((name, tensor) in this.inputs) {
            val given = inputs.getValue(name).also { it.assertOpen() }
            check(given.float == tensor.float)
            sink.writeInt(given.bytes.size)
            sink.write(given.bytes)
        }
        sink.flush()
        for (name in this.outputs.keys) {
            source.readFully(outputs.getValue(name).also { it.assertOpen() }.bytes)
        }
    }

    companion object {
        private val source by lazy { DataInputStream(System.`in`.buffered()) }
        private val sink by lazy { DataOutputStream(System.out.buffered()) }

        @JvmOverloads
        @JvmStatic
        fun create(
            assetManager: AssetManager, assetName: String, options: Options, optionalEnv: Environment? = null,
        ): CompiledModel = error("$assetManager: only an app has it, for $assetName, $options, $optionalEnv")

        @JvmOverloads
        @JvmStatic
        fun create(filePath: String, options: Options, optionalEnv: Environment? = null): CompiledModel {
            check(options.accelerators == setOf(Accelerator.CPU) && options.cpuOptions?.numThreads == 1)
            return CompiledModel(filePath, optionalEnv!!)
        }
    }
}
