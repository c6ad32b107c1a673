import com.lmax.disruptor.BatchStartAware;
import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.RingBuffer;

/** The handlers. */
final class Consumers {
    private Consumers() {}

    /** Unicast and multicast: the values are 0, 1, 2 and so on. */
    static final class Reader extends Witness implements EventHandler<Event> {
        Reader(Run run, Request request, Schedule schedule) {
            super(run, schedule, request.events, true);
        }

        @Override
        public void onEvent(Event event, long sequence, boolean endOfBatch) {
            long value = event.value;
            see(value, value == seen & event.fits(value), endOfBatch);
        }
    }

    /** Several producers: each one's values come in its own order. */
    static final class LaneReader extends Witness implements EventHandler<Event> {
        /** Amid so much room that the neighbours on the heap do not matter. */
        private static final int OFFSET = 16;

        private final long[] next = new long[3 * OFFSET];

        LaneReader(Run run, Request request, Schedule schedule) {
            super(run, schedule, request.events, true);
        }

        @Override
        public void onEvent(Event event, long sequence, boolean endOfBatch) {
            long value = event.value;
            int lane = OFFSET + (Schedule.lane(value) & 3);
            long expected = next[lane]++;
            see(value, Schedule.index(value) == expected & event.fits(value), endOfBatch);
        }
    }

    /**
     * Pipeline and diamond: C1, C2 or C3. One class for the three, as in LMAX's own tests: with
     * three the call of the handler could not be inlined.
     */
    static final class Stage extends Witness implements EventHandler<Event> {
        private final Step step;

        Stage(Run run, Request request, Schedule schedule, Step step) {
            super(run, schedule, request.events, step == Step.CHECK);
            this.step = step;
        }

        @Override
        public void onEvent(Event slot, long sequence, boolean endOfBatch) {
            Event.Staged event = (Event.Staged) slot;
            long value = event.value;
            boolean right = true;
            if (step == Step.FIRST) {
                event.first = value + 1;
            } else if (step == Step.SECOND_FROM_FIRST) {
                value = event.first - 1;
                event.second = value + 2;
            } else if (step == Step.SECOND) {
                event.second = value + 2;
            } else {
                right = event.first == value + 1 & event.second == value + 2;
            }
            see(value, right & value == seen & event.fits(value), endOfBatch);
        }
    }

    /** Ping-pong: publishes each event into the other ring. */
    static final class Echo extends Witness implements EventHandler<Event> {
        private final RingBuffer<Event> back;

        Echo(Run run, Request request, Schedule schedule, RingBuffer<Event> back) {
            super(run, schedule, request.events, false);
            this.back = back;
        }

        @Override
        public void onEvent(Event event, long sequence, boolean endOfBatch) {
            long reply = back.next();
            back.get(reply).copy(event);
            back.publish(reply);
            long value = event.value;
            see(value, value == seen & event.fits(value), endOfBatch);
        }
    }

    /** Ping-pong with batches: publishes all that it finds at once. */
    static final class BatchEcho extends Witness implements EventHandler<Event>, BatchStartAware {
        private final RingBuffer<Event> back;
        private long low;
        private long next;

        BatchEcho(Run run, Request request, Schedule schedule, RingBuffer<Event> back) {
            super(run, schedule, request.events, false);
            this.back = back;
        }

        @Override
        public void onBatchStart(long size) {
            // There is room: no more than a batch is under way, and the ring holds one.
            low = back.next((int) size) - size + 1;
            next = low;
        }

        @Override
        public void onEvent(Event event, long sequence, boolean endOfBatch) {
            back.get(next).copy(event);
            if (endOfBatch) {
                back.publish(low, next);
            }
            next++;
            long value = event.value;
            see(value, value == seen & event.fits(value), endOfBatch);
        }
    }
}
