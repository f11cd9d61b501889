import com.google.ai.edge.litert.TensorBuffer
import dynamic.keras.CompiledRuntime
import dynamic.keras.EarlyExitClassifier
import java.io.DataOutputStream
import java.io.File

/**
 * Classifies images with bundles, against the stand-in for LiteRT.
 *
 * Arguments, for each bundle: its directory, an operating point or "-", a file of
 * images, bytes of an image, and a file for what comes out. That is, for each image,
 * class, exit and probabilities, and in the end how many numbers were written into
 * buffers; or the message of a refusal.
 */
fun main(arguments: Array<String>) {
    for ((bundle, point, images, size, results) in arguments.toList().chunked(5)) {
        File(results).outputStream().buffered().use { file ->
            val sink = DataOutputStream(file)
            val before = TensorBuffer.written
            val runtime = CompiledRuntime.directory(File(bundle))
            val classifier = try {
                val open = EarlyExitClassifier.directory(File(bundle))
                EarlyExitClassifier(runtime, point.takeIf { it != "-" }, open)
            } catch (error: IllegalArgumentException) {
                sink.write(error.message!!.toByteArray())
                return@use
            }
            for (image in File(images).readBytes().toList().chunked(size.toInt())) {
                val result = classifier.classify(image.toByteArray())
                sink.writeInt(result.index)
                sink.writeInt(result.exit)
                result.probabilities.forEach(sink::writeDouble)
            }
            classifier.close()
            sink.writeLong(TensorBuffer.written - before)
        }
    }
}
