/**
 * Counts of nanoseconds. Each power of two is cut into 128 buckets, so a bucket's middle is at most
 * 0.4 % off; up to 255 ns it is exact.
 */
final class Histogram {
    private static final int SUB_BITS = 7;
    private static final long MOST = (1L << 42) - 1;

    private final long[] counts = new long[index(MOST) + 1];

    void record(long nanos) {
        counts[index(Math.max(0, Math.min(nanos, MOST)))]++;
    }

    void add(Histogram other) {
        for (int i = 0; i < counts.length; i++) {
            counts[i] += other.counts[i];
        }
    }

    /** {@code [[nanoseconds,count],...]} of the buckets that are not empty. */
    String toJson() {
        StringBuilder out = new StringBuilder("[");
        for (int i = 0; i < counts.length; i++) {
            if (counts[i] > 0) {
                out.append(out.length() > 1 ? ",[" : "[");
                out.append(middle(i)).append(',').append(counts[i]).append(']');
            }
        }
        return out.append(']').toString();
    }

    private static int index(long nanos) {
        int shift = Math.max(0, Long.SIZE - SUB_BITS - 1 - Long.numberOfLeadingZeros(nanos));
        return (shift << SUB_BITS) + (int) (nanos >>> shift);
    }

    private static long middle(int index) {
        int shift = Math.max(0, (index >>> SUB_BITS) - 1);
        long low = (long) (index - (shift << SUB_BITS)) << shift;
        return low + (1L << shift) / 2;
    }
}
