/** What values there are and, in an open loop, when each of them is due. */
final class Schedule {
    /** Where a value names its producer: the upper byte. */
    static final int LANE_SHIFT = 56;

    private static final long INDEX_MASK = (1L << LANE_SHIFT) - 1;

    final int batch;
    private final int producers;
    private final double nanosPerEvent;
    /** Set before the first publication, which makes it visible to the consumers. */
    private long start;

    Schedule(Request request) {
        batch = request.batch;
        producers = request.producers;
        nanosPerEvent = request.rate == 0 ? 0 : 1e9 / request.rate;
    }

    boolean paced() {
        return nanosPerEvent > 0;
    }

    void startAt(long nanoTime) {
        start = nanoTime;
    }

    long start() {
        return start;
    }

    /** When this value is due. Several producers take turns, a batch each. */
    long due(long value) {
        long turn = index(value) / batch * producers + lane(value);
        long position = turn * batch + index(value) % batch;
        return start + (long) (position * nanosPerEvent);
    }

    static int lane(long value) {
        return (int) (value >>> LANE_SHIFT);
    }

    static long index(long value) {
        return value & INDEX_MASK;
    }
}
