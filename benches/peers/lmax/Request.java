import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What is asked for in a line of {@code key=value} words. */
final class Request {
    private static final List<String> KEYS =
            List.of("scenario", "wait", "batch", "ring", "bytes", "events", "rate", "crowded");
    private static final List<String> WAITS = List.of("spin", "hint", "yield", "sleep", "block");
    private static final int MAX_RING = 1 << 22;

    final String scenario;
    final String wait;
    final int batch;
    final int ring;
    final int bytes;
    final long events;
    /** Events per second of all producers, or 0: as fast as it goes. */
    final long rate;
    /** Whether threads outnumber the cores that they may use. */
    final boolean crowded;
    final int producers;

    private Request(Map<String, String> words) {
        scenario = words.get("scenario");
        wait = words.get("wait");
        batch = (int) number(words, "batch", 1, MAX_RING);
        ring = (int) number(words, "ring", 1, MAX_RING);
        bytes = (int) number(words, "bytes", 8, 64);
        events = number(words, "events", 1, 1L << 50);
        rate = number(words, "rate", 0, 1_000_000_000);
        String crowding = words.get("crowded");
        crowded = crowding.equals("true");
        producers = producers(scenario);

        check(crowded || crowding.equals("false"), "crowded must be true or false");
        check(WAITS.contains(wait), "unknown wait " + wait);
        int narrow = staged() ? 24 : 8;
        check(bytes == narrow || bytes == 64,
                scenario + " has events of " + narrow + " or 64 bytes");
        check(Integer.bitCount(ring) == 1, "ring must be a power of two");
        // Disruptor 3.4.4 does not refuse such a batch but waits for ever.
        check(batch <= ring, "a batch must fit into the ring");
        check(events % ((long) batch * producers) == 0,
                "events must be a whole number of batches for each producer");
        check(rate == 0 || events / rate < Run.LIMIT_SECONDS,
                "at this rate it takes longer than the " + Run.LIMIT_SECONDS + " s allowed");
    }

    static Request parse(String line) {
        Map<String, String> words = new HashMap<>();
        for (String word : line.trim().split("\\s+")) {
            int equals = word.indexOf('=');
            check(equals > 0, "not key=value: " + word);
            String key = word.substring(0, equals);
            check(KEYS.contains(key), "unknown key " + key);
            check(words.put(key, word.substring(equals + 1)) == null, key + " is given twice");
        }
        for (String key : KEYS) {
            check(words.containsKey(key), key + " is missing");
        }
        return new Request(words);
    }

    /** What the JIT compiler may know: all but the length of the run and how slow it is. */
    String cell() {
        return String.join(" ", scenario, wait, "" + batch, "" + ring, "" + bytes, "" + (rate > 0),
                "" + crowded);
    }

    /** Whether the consumers write fields of their own. */
    boolean staged() {
        return scenario.equals("pipeline") || scenario.equals("diamond");
    }

    private static int producers(String scenario) {
        switch (scenario) {
            case "unicast":
            case "multicast":
            case "pipeline":
            case "diamond":
            case "pingpong":
            case "mpsc1":
                return 1;
            case "mpsc2":
                return 2;
            case "mpsc3":
                return 3;
            default:
                throw new IllegalArgumentException("unknown scenario " + scenario);
        }
    }

    private static long number(Map<String, String> words, String key, long least, long most) {
        String text = words.get(key);
        try {
            long value = Long.parseLong(text);
            check(value >= least && value <= most,
                    key + " must be from " + least + " to " + most);
            return value;
        } catch (NumberFormatException error) {
            throw new IllegalArgumentException(key + " is not a number: " + text);
        }
    }

    private static void check(boolean right, String otherwise) {
        if (!right) {
            throw new IllegalArgumentException(otherwise);
        }
    }
}
