import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.HashMap;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * LMAX Disruptor as a peer: one request per line of standard input, one line of JSON in reply.
 * The protocol is in README.md.
 *
 * <p>Every cell of the comparison has a class loader, and so Disruptor's and our classes, to
 * itself. The JIT compiler decides by what it saw a class do: in LMAX's own tests, a JVM for each,
 * it sees one wait strategy, one handler, one event. A JVM that serves all cells would show it all
 * of them, and every publication and every event would pay for calls that could not be inlined.
 */
public final class Server {
    private final boolean shared;
    private final URL[] classPath;
    private final Map<String, UnaryOperator<String>> cells = new HashMap<>();

    private Server(boolean shared) throws MalformedURLException {
        this.shared = shared;
        String[] entries = System.getProperty("java.class.path").split(File.pathSeparator);
        classPath = new URL[entries.length];
        for (int i = 0; i < entries.length; i++) {
            classPath[i] = new File(entries[i]).toURI().toURL();
        }
    }

    /**
     * The argument {@code shared} gives all cells the same classes: only to measure what that
     * costs.
     */
    public static void main(String[] arguments) throws IOException {
        PrintStream replies = System.out;
        // Nothing but replies may get there.
        System.setOut(System.err);
        Server server = new Server(arguments.length == 1 && arguments[0].equals("shared"));
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            replies.println(server.reply(line));
            replies.flush();
        }
    }

    private String reply(String line) {
        try {
            String cell = shared ? "" : Request.parse(line).cell();
            UnaryOperator<String> runner = cells.get(cell);
            if (runner == null) {
                runner = newRunner();
                cells.put(cell, runner);
            }
            return runner.apply(line);
        } catch (Exception | LinkageError | OutOfMemoryError error) {
            return "{\"error\":" + quoted(String.valueOf(error.getMessage())) + "}";
        }
    }

    /** A {@link Runner} of new classes; only the types of the JDK are common to it and to us. */
    @SuppressWarnings("unchecked")
    private UnaryOperator<String> newRunner() throws ReflectiveOperationException {
        ClassLoader platform = ClassLoader.getPlatformClassLoader();
        Class<?> runner = new URLClassLoader(classPath, platform).loadClass("Runner");
        return (UnaryOperator<String>) runner.getConstructor().newInstance();
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ') {
                out.append(' ');
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
