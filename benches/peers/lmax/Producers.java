import com.lmax.disruptor.AlertException;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.TimeoutException;

/** The threads that publish. */
final class Producers {
    private Producers() {}

    /** A thread's work between the common start and its last publication. */
    abstract static class Producer {
        /** Between two looks at whether the run was given up. */
        private static final int CHUNK = 4096;

        final RingBuffer<Event> ring;
        final Schedule schedule;
        final int batch;
        private final boolean crowded;
        private final Run run;
        private final long first;
        private final long share;
        /** Just before the first publication; in an open loop the beginning of the schedule. */
        long startedAt;

        Producer(Run run, Request request, Schedule schedule, RingBuffer<Event> ring, long lane) {
            this.run = run;
            this.schedule = schedule;
            this.ring = ring;
            batch = request.batch;
            crowded = request.crowded;
            first = lane << Schedule.LANE_SHIFT;
            share = request.events / request.producers;
        }

        /** The start, when all threads are there. */
        final void work() throws AlertException, InterruptedException, TimeoutException {
            long chunk = Math.max(1, CHUNK / batch) * batch;
            startedAt = schedule.paced() ? schedule.start() : System.nanoTime();
            // Those that are still starting have this core meanwhile.
            while (System.nanoTime() - startedAt < 0 && !run.abandoned()) {
                Thread.yield();
            }
            for (long done = 0; done < share && !run.abandoned(); done += chunk) {
                publishAll(first + done, first + Math.min(done + chunk, share));
            }
        }

        /** Publishes these values, a whole number of batches. */
        abstract void publishAll(long from, long to)
                throws AlertException, InterruptedException, TimeoutException;

        final void publishOne(long value) {
            long sequence = ring.next();
            ring.get(sequence).write(value);
            ring.publish(sequence);
        }

        final void publishBatch(long value) {
            long high = ring.next(batch);
            long low = high - batch + 1;
            for (long sequence = low; sequence <= high; sequence++) {
                ring.get(sequence).write(value + (sequence - low));
            }
            ring.publish(low, high);
        }

        /**
         * Spins until the last event of the batch is due, since none can be sent before its time; a
         * late batch is not held up. Where threads outnumber cores others have this one meanwhile, as
         * with all contestants: else their time would be the scheduler's.
         */
        final void awaitDue(long first) {
            long due = schedule.due(first + batch - 1);
            while (System.nanoTime() - due < 0 && !run.abandoned()) {
                if (crowded) {
                    Thread.yield();
                }
            }
        }
    }

    /** As fast as it goes, one by one. */
    static final class Single extends Producer {
        Single(Run run, Request request, Schedule schedule, RingBuffer<Event> ring, long lane) {
            super(run, request, schedule, ring, lane);
        }

        @Override
        void publishAll(long from, long to) {
            for (long value = from; value < to; value++) {
                publishOne(value);
            }
        }
    }

    /** As fast as it goes, in batches. */
    static final class Batched extends Producer {
        Batched(Run run, Request request, Schedule schedule, RingBuffer<Event> ring, long lane) {
            super(run, request, schedule, ring, lane);
        }

        @Override
        void publishAll(long from, long to) {
            for (long value = from; value < to; value += batch) {
                publishBatch(value);
            }
        }
    }

    /** By the clock. */
    static final class Paced extends Producer {
        Paced(Run run, Request request, Schedule schedule, RingBuffer<Event> ring, long lane) {
            super(run, request, schedule, ring, lane);
        }

        @Override
        void publishAll(long from, long to) {
            for (long value = from; value < to; value += batch) {
                awaitDue(value);
                if (batch == 1) {
                    publishOne(value);
                } else {
                    publishBatch(value);
                }
            }
        }
    }

    /** What P sees of the echo. */
    static final class EchoWitness extends Witness {
        EchoWitness(Run run, Request request, Schedule schedule) {
            super(run, schedule, request.events, true);
        }

        void see(Event event, boolean endOfBatch) {
            long value = event.value;
            see(value, value == seen & event.fits(value), endOfBatch);
        }
    }

    /** Ping-pong: a batch goes out when the echo of the one before is back. */
    static final class Caller extends Producer {
        private final RingBuffer<Event> back;
        private final SequenceBarrier barrier;
        private final Sequence consumed = new Sequence();
        private final EchoWitness witness;

        Caller(Run run, Request request, Schedule schedule, RingBuffer<Event> there,
                RingBuffer<Event> back, SequenceBarrier barrier) {
            super(run, request, schedule, there, 0);
            this.back = back;
            this.barrier = barrier;
            back.addGatingSequences(consumed);
            witness = new EchoWitness(run, request, schedule);
        }

        @Override
        void publishAll(long from, long to)
                throws AlertException, InterruptedException, TimeoutException {
            for (long value = from; value < to; value += batch) {
                if (schedule.paced()) {
                    awaitDue(value);
                }
                if (batch == 1) {
                    publishOne(value);
                } else {
                    publishBatch(value);
                }
                // Ours is the only consumer's sequence there, and the values are the sequences.
                awaitEcho(value, value + batch);
            }
        }

        private void awaitEcho(long next, long end)
                throws AlertException, InterruptedException, TimeoutException {
            while (next < end) {
                long available = barrier.waitFor(next);
                for (; next <= available; next++) {
                    witness.see(back.get(next), next == available);
                }
                consumed.set(available);
            }
        }
    }
}
