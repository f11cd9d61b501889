package dynamic.keras

/** Keeps the milliseconds of the last [count] frames. */
class FrameTimes(private val count: Int = 15) {
    private val last = ArrayDeque<Double>()

    init {
        require(count > 0) { "`count` must be at least 1. Received: $count" }
    }

    /** Adds a frame from nanoseconds of `System.nanoTime`. */
    fun add(start: Long, end: Long) {
        if (last.size == count) last.removeFirst()
        last.addLast((end - start) / 1e6)
    }

    /** The median, of an even number the mean of the middle two; null without frames. */
    val median: Double?
        get() {
            if (last.isEmpty()) return null
            val sorted = last.sorted()
            return (sorted[(sorted.size - 1) / 2] + sorted[sorted.size / 2]) / 2
        }
}
