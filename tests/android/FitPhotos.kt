import dynamic.keras.PhotoFit
import java.io.DataInputStream
import org.json.JSONObject

/** Fits the photographs that `photo_fit.py` gives on standard input; writes their pixels. */
fun main() {
    val source = DataInputStream(System.`in`.buffered())
    val sink = System.out.buffered()
    repeat(source.readInt()) {
        val fit = PhotoFit(JSONObject(source.readUTF()))
        val orientation = source.readInt()
        val across = source.readInt()
        val argb = IntArray(source.readInt()) { source.readInt() }
        sink.write(fit.pixels(argb, across, orientation))
    }
    sink.flush()
}
