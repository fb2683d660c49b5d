package peers;

import java.io.FileWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** Tells the harness, at the numbers of readings that it asked for, what time it is and how much CPU this process has used. */
public final class Marks {
    private static final long[] AT = Arrays.stream(Job.setting("PEER_MARKS_AT").split(",")).mapToLong(Long::parseLong).toArray();
    private static final String FILE = Job.setting("PEER_MARKS");
    private static long readings;
    private static int next;

    /** One reading was taken. Called by one thread only. */
    public static void one() {
        if (next < AT.length && ++readings >= AT[next]) {
            mark();
            next++;
        }
    }

    private static void mark() {
        try (FileWriter file = new FileWriter(FILE, true)) {
            String stat = Files.readString(Path.of("/proc/self/stat"));
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            double cpu = (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / 100.0;
            file.write("{\"readings\":" + readings + ",\"at_s\":" + System.currentTimeMillis() / 1000.0 + ",\"cpu_s\":" + cpu + "}\n");
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private Marks() {}
}
