import com.lmax.disruptor.AlertException;
import com.lmax.disruptor.BlockingWaitStrategy;
import com.lmax.disruptor.BusySpinWaitStrategy;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.SleepingWaitStrategy;
import com.lmax.disruptor.WaitStrategy;
import com.lmax.disruptor.YieldingWaitStrategy;

/** The waits by their names. */
final class Waits {
    private Waits() {}

    static WaitStrategy named(String name) {
        switch (name) {
            case "spin":
                return new PlainSpin();
            case "hint":
                return new BusySpinWaitStrategy();
            case "yield":
                return new YieldingWaitStrategy();
            case "sleep":
                return new SleepingWaitStrategy();
            case "block":
                return new BlockingWaitStrategy();
            default:
                throw new IllegalArgumentException("unknown wait " + name);
        }
    }

    /** LMAX's own BusySpinWaitStrategy gives the processor's pause hint; this one does not. */
    private static final class PlainSpin implements WaitStrategy {
        @Override
        public long waitFor(
                long sequence, Sequence cursor, Sequence dependent, SequenceBarrier barrier)
                throws AlertException {
            long available = dependent.get();
            while (available < sequence) {
                barrier.checkAlert();
                available = dependent.get();
            }
            return available;
        }

        @Override
        public void signalAllWhenBlocking() {}
    }
}
