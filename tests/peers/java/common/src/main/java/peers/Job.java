package peers;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.module.blackbird.BlackbirdModule;

/** The nouns of the job that all engines do; job.py says what it is. */
public final class Job {
    public static final long SIZE_MS = 3_600_000, HOP_MS = 900_000, GRACE_MS = 300_000;
    public static final int BUCKETS = 4;
    public static final double HIGH = 0.3;

    /** A record of the topic; a record without a key is a mark in the log and is skipped. */
    public static class Reading {
        public String station, parameter, provider;
        public long time_ms, received_ms;
        public double value;
    }

    /** What is written when the level of a series changes: the widest window that holds the reading, and its score. */
    public static class Change {
        public String station, level;
        public long time_ms, count;
        public double score, min, max, mean, last;
    }

    /** One window of one series. */
    public static class Window {
        public long count, time_ms;
        public double min = Double.POSITIVE_INFINITY, max = Double.NEGATIVE_INFINITY, sum, last;

        public Window add(Reading reading) {
            count++;
            sum += reading.value;
            last = reading.value;
            time_ms = reading.time_ms;
            min = Math.min(min, reading.value);
            max = Math.max(max, reading.value);
            return this;
        }

        public boolean high() { return score() > HIGH; }

        public double score() { return (last - sum / count) / (max - min + 1); }

        public Change change(String station) {
            Change change = new Change();
            change.station = station;
            change.level = high() ? "HIGH" : "NORMAL";
            change.time_ms = time_ms;
            change.count = count;
            change.score = score();
            change.min = min;
            change.max = max;
            change.mean = sum / count;
            change.last = last;
            return change;
        }
    }

    /** The four quarters of an hour from which every window of a series can be told, and its level. */
    public static class Buckets {
        public long[] id = {-1, -1, -1, -1}, count = new long[BUCKETS];
        public double[] min = new double[BUCKETS], max = new double[BUCKETS], sum = new double[BUCKETS];
        public boolean high;

        /** The widest window that holds this reading, with it. */
        public void add(Reading reading, Window window) {
            long bucket = reading.time_ms / HOP_MS;
            int now = (int) (bucket % BUCKETS);
            if (id[now] != bucket) {
                id[now] = bucket;
                count[now] = 0;
                sum[now] = 0;
                min[now] = Double.POSITIVE_INFINITY;
                max[now] = Double.NEGATIVE_INFINITY;
            }
            count[now]++;
            sum[now] += reading.value;
            min[now] = Math.min(min[now], reading.value);
            max[now] = Math.max(max[now], reading.value);
            window.count = 0;
            window.sum = 0;
            window.min = Double.POSITIVE_INFINITY;
            window.max = Double.NEGATIVE_INFINITY;
            window.last = reading.value;
            window.time_ms = reading.time_ms;
            for (int each = 0; each < BUCKETS; each++) {
                if (id[each] > bucket - BUCKETS) {
                    window.count += count[each];
                    window.sum += sum[each];
                    window.min = Math.min(window.min, min[each]);
                    window.max = Math.max(window.max, max[each]);
                }
            }
        }
    }

    // Blackbird makes Jackson call generated code instead of reflection.
    private static final JsonMapper MAPPER = JsonMapper.builder()
        .addModule(new BlackbirdModule()).disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();
    public static final ObjectReader READINGS = MAPPER.readerFor(Reading.class);
    public static final ObjectWriter CHANGES = MAPPER.writerFor(Change.class);

    public static String setting(String name) {
        String value = System.getenv(name);
        if (value == null) throw new IllegalStateException("environment variable " + name + " is not set; the harness sets it");
        return value;
    }

    private Job() {}
}
