import com.lmax.disruptor.BatchEventProcessor;
import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.ExceptionHandler;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;

/** The threads of a run, from their start until the last of them is gone. */
final class Run {
    static final long LIMIT_SECONDS = 60;

    /** From the common start of the producers to the beginning of an open loop, as for all others. */
    private static final long LEAD_NANOS = TimeUnit.MILLISECONDS.toNanos(5);

    private final List<Witness> witnesses = new ArrayList<>();
    private final List<BatchEventProcessor<Event>> processors = new ArrayList<>();
    private final List<Producers.Producer> producers = new ArrayList<>();
    private final List<SequenceBarrier> barriers = new ArrayList<>();
    private final List<Runnable> releases = new ArrayList<>();
    private CountDownLatch toStart;
    private CountDownLatch toFinish;
    private volatile boolean abandoned;
    private volatile Throwable failure;

    // While it is set up.

    /** Every witness announces itself. */
    void expect(Witness witness) {
        witnesses.add(witness);
    }

    /** Adds a consumer that comes after some others, or after the producers. */
    Sequence consumer(RingBuffer<Event> ring, EventHandler<Event> handler, Sequence... after) {
        BatchEventProcessor<Event> processor =
                new BatchEventProcessor<>(ring, ring.newBarrier(after), handler);
        processor.setExceptionHandler(new Failures());
        processors.add(processor);
        return processor.getSequence();
    }

    /** Names the last consumers, for which the producers wait. */
    void gate(RingBuffer<Event> ring, Sequence... last) {
        ring.addGatingSequences(last);
        for (Sequence sequence : last) {
            releases.add(() -> ring.removeGatingSequence(sequence));
        }
    }

    void producer(Producers.Producer producer) {
        producers.add(producer);
    }

    /** Names a barrier at which a producer waits. */
    void barrier(SequenceBarrier barrier) {
        barriers.add(barrier);
    }

    // While it runs.

    void started() {
        toStart.countDown();
    }

    void finished() {
        toFinish.countDown();
    }

    boolean abandoned() {
        return abandoned;
    }

    /** Runs it all; returns when no thread is left. */
    void go(Schedule schedule) throws InterruptedException {
        toStart = new CountDownLatch(processors.size());
        toFinish = new CountDownLatch(witnesses.size());
        List<Thread> threads = new ArrayList<>();
        for (BatchEventProcessor<Event> processor : processors) {
            threads.add(launch("consumer", processor));
        }
        toStart.await();
        CyclicBarrier line = new CyclicBarrier(
                producers.size(), () -> schedule.startAt(System.nanoTime() + LEAD_NANOS));
        for (Producers.Producer producer : producers) {
            threads.add(launch("producer", () -> race(line, producer)));
        }
        boolean complete = toFinish.await(LIMIT_SECONDS, TimeUnit.SECONDS) && failure == null;
        if (!complete) {
            abandoned = true;
            // A producer waits for room without end, but not if nobody gates.
            releases.forEach(Runnable::run);
            barriers.forEach(SequenceBarrier::alert);
        }
        processors.forEach(BatchEventProcessor::halt);
        for (Thread thread : threads) {
            thread.join();
        }
        if (failure != null) {
            throw new IllegalStateException("a thread failed: " + failure);
        }
        if (!complete) {
            throw new IllegalStateException("not complete after " + LIMIT_SECONDS + " s");
        }
    }

    /**
     * From just before the first publication, or the beginning of the schedule, until the last
     * consumer saw its last event.
     */
    long nanos() {
        long start = producers.get(0).startedAt;
        for (Producers.Producer producer : producers) {
            start = Math.min(start, producer.startedAt);
        }
        long elapsed = 0;
        for (Witness witness : witnesses) {
            elapsed = Math.max(elapsed, witness.finishedAt - start);
        }
        return elapsed;
    }

    List<Witness> witnesses() {
        return witnesses;
    }

    private Thread launch(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private void race(CyclicBarrier line, Producers.Producer producer) {
        try {
            line.await();
            producer.work();
        } catch (Throwable error) {
            fail(error);
        }
    }

    private void fail(Throwable error) {
        if (!abandoned) {
            failure = error;
        }
        while (toFinish.getCount() > 0) {
            toFinish.countDown();
        }
    }

    /** Disruptor's own handler ends the thread, and the producers would wait for ever. */
    private final class Failures implements ExceptionHandler<Event> {
        @Override
        public void handleEventException(Throwable error, long sequence, Event event) {
            fail(error);
        }

        @Override
        public void handleOnStartException(Throwable error) {
            fail(error);
        }

        @Override
        public void handleOnShutdownException(Throwable error) {
            fail(error);
        }
    }
}
