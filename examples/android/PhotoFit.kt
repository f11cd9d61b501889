package dynamic.keras

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import org.json.JSONObject

/**
 * Makes a photograph of any size the pixels of a bundle's input.
 *
 * Turned, scaled and cropped as the images were that the bundle was measured on:
 * from the same decoded pixels come the same bytes as from Pillow.
 *
 * @param input of the manifest.
 * @throws IllegalArgumentException if it asks for what this class cannot do.
 */
class PhotoFit(input: JSONObject) {
    private val height = input.getJSONArray("shape").getInt(0)
    private val width = input.getJSONArray("shape").getInt(1)
    private val channels = input.getJSONArray("shape").getInt(2)
    private val stored: Int

    init {
        val fit = input.getJSONObject("fit")
        for ((key, known) in mapOf("resampling" to "bilinear_antialiased", "crop" to "centre")) {
            val found = fit.getString(key)
            require(found == known) { "`input.fit.$key` must be $known. Received: $found" }
        }
        stored = fit.getInt("stored_size")
    }

    /**
     * Returns rows of pixels of channels, as [EarlyExitClassifier.classify] takes them.
     *
     * @param argb colours as `Bitmap.getPixels` gives them, row by row; alpha is dropped.
     * @param across pixels of a row.
     * @param orientation of EXIF; where it is not from 2 to 8 nothing is turned.
     */
    fun pixels(argb: IntArray, across: Int, orientation: Int = 1): ByteArray {
        require(across > 0 && argb.isNotEmpty() && argb.size % across == 0) {
            "`argb` must be rows of `across` pixels. Received: ${argb.size}, $across"
        }
        val down = argb.size / across
        // Where the upright photograph begins, and the steps to its right and downwards.
        val (start, right, below) = when (orientation) {
            2 -> Triple(across - 1, -1, across)
            3 -> Triple(argb.size - 1, -1, -across)
            4 -> Triple(argb.size - across, 1, -across)
            5 -> Triple(0, across, 1)
            6 -> Triple(argb.size - across, -across, 1)
            7 -> Triple(argb.size - 1, -across, -1)
            8 -> Triple(across - 1, across, -1)
            else -> Triple(0, 1, across)
        }
        val wide = if (orientation in 5..8) down else across
        val tall = argb.size / wide
        val (top, left) = (stored - height) / 2 to (stored - width) / 2
        val result = ByteArray(height * width * channels)
        for (channel in 0 until channels) {
            val columns = scaled(wide, tall, min(wide, tall)) { y, x ->
                value(argb[start + x * right + y * below], channel)
            }
            val rows = scaled(tall, stored, min(wide, tall)) { x, y -> columns[x * tall + y] }
            for (y in 0 until height) for (x in 0 until width) {
                result[(y * width + x) * channels + channel] = rows[(top + y) * stored + left + x].toByte()
            }
        }
        return result
    }

    private fun value(colour: Int, channel: Int): Int {
        if (channels == 3) return colour shr (16 - 8 * channel) and 0xFF
        val red = colour shr 16 and 0xFF
        val green = colour shr 8 and 0xFF
        return (red * 19595 + green * 38470 + (colour and 0xFF) * 7471 + 0x8000) shr 16
    }

    /** Scales the middle [side] of [given] pixels of each of so many [lines]; returns [stored] columns of them. */
    private inline fun scaled(given: Int, lines: Int, side: Int, pixel: (line: Int, at: Int) -> Int): IntArray {
        val result = IntArray(stored * lines)
        val step = side.toDouble() / stored
        val reach = max(step, 1.0)
        for (place in 0 until stored) {
            val centre = (given - side) / 2.0 + (place + 0.5) * step
            val first = max(0, (centre - reach + 0.5).toInt())
            val near = DoubleArray(min(given, (centre + reach + 0.5).toInt()) - first) {
                max(0.0, 1 - abs(first + it + 0.5 - centre) / reach)
            }
            val sum = near.sum()
            val weights = IntArray(near.size) { (near[it] / sum * ONE + 0.5).toInt() }
            for (line in 0 until lines) {
                var total = ONE / 2
                for (at in weights.indices) total += weights[at] * pixel(line, first + at)
                result[place * lines + line] = total shr BITS
            }
        }
        return result
    }

    private companion object {
        const val BITS = 22 // Of a weight behind the point, as in Pillow.
        const val ONE = 1 shl BITS
    }
}
