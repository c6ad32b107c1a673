import com.lmax.disruptor.EventFactory;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.Sequence;
import com.lmax.disruptor.SequenceBarrier;
import com.lmax.disruptor.dsl.ProducerType;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** Runs the requests of one cell: builds the rings, has them run, and writes the reply. */
public final class Runner implements UnaryOperator<String> {
    @Override
    public String apply(String line) {
        Request request = Request.parse(line);
        // The garbage of earlier runs goes now, so that nothing is collected during this one.
        System.gc();
        Schedule schedule = new Schedule(request);
        Run run = new Run();
        build(run, request, schedule);
        try {
            run.go(schedule);
        } catch (InterruptedException error) {
            throw new IllegalStateException("interrupted");
        }
        return reply(run);
    }

    private static void build(Run run, Request request, Schedule schedule) {
        RingBuffer<Event> ring = newRing(request);
        switch (request.scenario) {
            case "unicast":
                run.gate(ring, reader(run, request, schedule, ring));
                break;
            case "multicast":
                run.gate(ring,
                        reader(run, request, schedule, ring),
                        reader(run, request, schedule, ring),
                        reader(run, request, schedule, ring));
                break;
            case "pipeline": {
                Sequence c1 = stage(run, request, schedule, ring, Step.FIRST);
                Sequence c2 = stage(run, request, schedule, ring, Step.SECOND_FROM_FIRST, c1);
                run.gate(ring, stage(run, request, schedule, ring, Step.CHECK, c2));
                break;
            }
            case "diamond": {
                Sequence c1 = stage(run, request, schedule, ring, Step.FIRST);
                Sequence c2 = stage(run, request, schedule, ring, Step.SECOND);
                run.gate(ring, stage(run, request, schedule, ring, Step.CHECK, c1, c2));
                break;
            }
            case "pingpong":
                buildPingPong(run, request, schedule, ring);
                return;
            default:
                run.gate(ring,
                        run.consumer(ring, new Consumers.LaneReader(run, request, schedule)));
                break;
        }
        for (int lane = 0; lane < request.producers; lane++) {
            run.producer(producer(run, request, schedule, ring, lane));
        }
    }

    private static void buildPingPong(
            Run run, Request request, Schedule schedule, RingBuffer<Event> there) {
        RingBuffer<Event> back = newRing(request);
        run.gate(there, run.consumer(there, request.batch == 1
                ? new Consumers.Echo(run, request, schedule, back)
                : new Consumers.BatchEcho(run, request, schedule, back)));
        SequenceBarrier barrier = back.newBarrier();
        run.barrier(barrier);
        run.producer(new Producers.Caller(run, request, schedule, there, back, barrier));
    }

    private static Sequence reader(
            Run run, Request request, Schedule schedule, RingBuffer<Event> ring) {
        return run.consumer(ring, new Consumers.Reader(run, request, schedule));
    }

    private static Sequence stage(Run run, Request request, Schedule schedule,
            RingBuffer<Event> ring, Step step, Sequence... after) {
        return run.consumer(ring, new Consumers.Stage(run, request, schedule, step), after);
    }

    private static Producers.Producer producer(
            Run run, Request request, Schedule schedule, RingBuffer<Event> ring, int lane) {
        if (schedule.paced()) {
            return new Producers.Paced(run, request, schedule, ring, lane);
        }
        return request.batch == 1
                ? new Producers.Single(run, request, schedule, ring, lane)
                : new Producers.Batched(run, request, schedule, ring, lane);
    }

    private static RingBuffer<Event> newRing(Request request) {
        boolean multi = request.scenario.startsWith("mpsc");
        ProducerType type = multi ? ProducerType.MULTI : ProducerType.SINGLE;
        return RingBuffer.create(type, factory(request), request.ring, Waits.named(request.wait));
    }

    private static EventFactory<Event> factory(Request request) {
        if (request.staged()) {
            return request.bytes == 64 ? Event.WideStaged::new : Event.NarrowStaged::new;
        }
        return request.bytes == 64 ? Event.Wide::new : Event.Narrow::new;
    }

    private static String reply(Run run) {
        String consumers =
                run.witnesses().stream().map(Witness::toJson).collect(Collectors.joining(","));
        Histogram latency = new Histogram();
        for (Witness witness : run.witnesses()) {
            if (witness.latency != null) {
                latency.add(witness.latency);
            }
        }
        return "{\"nanos\":" + run.nanos() + ",\"consumers\":[" + consumers + "],\"latency\":"
                + latency.toJson() + "}";
    }
}
