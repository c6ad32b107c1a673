import com.lmax.disruptor.LifecycleAware;

/** Keeps what was allocated before off the cache lines of the counters. */
abstract class PaddingBefore {
    long a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15;
}

/** Counters of one consumer. A subclass's fields come after its superclass's: hence the chain. */
abstract class Counters extends PaddingBefore {
    long seen;
    long sum;
    long broken;
    long batches;
    /** When the last event was seen, if it was and if it ended a batch. */
    long finishedAt;
}

/** Keeps what is allocated afterwards off the cache lines of the counters. */
abstract class PaddingAfter extends Counters {
    long z0, z1, z2, z3, z4, z5, z6, z7, z8, z9, z10, z11, z12, z13, z14, z15;
}

/** The checking part of a consumer: count, order, content, sum and time of what it saw. */
abstract class Witness extends PaddingAfter implements LifecycleAware {
    private final Run run;
    private final Schedule schedule;
    private final long total;
    /** Null if this one does not measure. */
    final Histogram latency;

    Witness(Run run, Schedule schedule, long total, boolean last) {
        this.run = run;
        this.schedule = schedule;
        this.total = total;
        latency = last && schedule.paced() ? new Histogram() : null;
        run.expect(this);
    }

    final void see(long value, boolean right, boolean endOfBatch) {
        if (latency != null) {
            latency.record(System.nanoTime() - schedule.due(value));
        }
        if (!right) {
            broken++;
        }
        sum += value;
        seen++;
        if (endOfBatch) {
            batches++;
            if (seen == total) {
                finishedAt = System.nanoTime();
                run.finished();
            }
        }
    }

    @Override
    public final void onStart() {
        run.started();
    }

    @Override
    public final void onShutdown() {}

    final String toJson() {
        return "{\"seen\":" + seen + ",\"sum\":\"" + Long.toUnsignedString(sum)
                + "\",\"broken\":" + broken + ",\"batches\":" + batches + "}";
    }
}
