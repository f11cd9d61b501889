package dynamic.keras

/** Makes a camera's frame the pixels that [PhotoFit.pixels] takes. */
object CameraFrame {
    /** A plane of `Image.getPlanes()`: bytes from one row to the next, and from one number to the next. */
    class Plane(val bytes: ByteArray, val rowStride: Int, val pixelStride: Int)

    /** What is valid of a frame, `Image.getCropRect()`: its corner, and its size in pixels. */
    class Crop(val left: Int, val top: Int, val width: Int, val height: Int)

    /**
     * Returns ARGB colours, row by row, of the valid part of a frame in YUV_420_888.
     *
     * JFIF's conversion: Y, U and V have the range 0 to 255, and U and V are those of
     * 2 x 2 pixels, not interpolated. Nothing else is cut off: where `PhotoFit`
     * scales, it weighs pixels beside its square, too.
     */
    fun argb(crop: Crop, y: Plane, u: Plane, v: Plane) = IntArray(crop.width * crop.height) {
        val (row, column) = crop.top + it / crop.width to crop.left + it % crop.width
        val light = y.at(row, column)
        val blue = u.at(row / 2, column / 2) - 128
        val red = v.at(row / 2, column / 2) - 128
        // Factors of 1.402, 0.344136, 0.714136 and 1.772, times 2^16.
        val r = light + (91881 * red + 32768 shr 16)
        val g = light + (-22554 * blue - 46802 * red + 32768 shr 16)
        val b = light + (116130 * blue + 32768 shr 16)
        0xFF shl 24 or (clip(r) shl 16) or (clip(g) shl 8) or clip(b)
    }

    /** Returns the orientation in EXIF's numbers of a frame that is to be turned by [degrees] clockwise. */
    fun orientation(degrees: Int): Int = when (degrees) {
        0 -> 1
        90 -> 6
        180 -> 3
        270 -> 8
        else -> throw IllegalArgumentException("`degrees` must be 0, 90, 180 or 270. Received: $degrees")
    }

    private fun Plane.at(row: Int, column: Int) = bytes[row * rowStride + column * pixelStride].toInt() and 0xFF

    private fun clip(value: Int) = value.coerceIn(0, 255)
}
