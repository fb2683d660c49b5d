package peers;

import java.nio.ByteBuffer;
import java.time.Duration;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The job in the Kafka Streams DSL: a hopping window, aggregated in memory. The cache is off because it would merge updates, and each
 * reading needs its score; aggregates are packed as binary, which costs half of what JSON does.
 */
public final class Dsl {
    private static final int BYTES = 6 * Long.BYTES;
    private static final Serde<Job.Window> WINDOW = Serdes.serdeFrom(
        (topic, window) -> window == null ? null : ByteBuffer.allocate(BYTES).putLong(window.count).putLong(window.time_ms)
            .putDouble(window.min).putDouble(window.max).putDouble(window.sum).putDouble(window.last).array(),
        (topic, bytes) -> {
            if (bytes == null) return null;
            ByteBuffer packed = ByteBuffer.wrap(bytes);
            Job.Window window = new Job.Window();
            window.count = packed.getLong();
            window.time_ms = packed.getLong();
            window.min = packed.getDouble();
            window.max = packed.getDouble();
            window.sum = packed.getDouble();
            window.last = packed.getDouble();
            return window;
        });

    private static final class Levels implements Processor<Windowed<String>, Job.Window, String, Job.Change> {
        private ProcessorContext<String, Job.Change> context;
        private KeyValueStore<String, Boolean> high;

        @Override
        public void init(ProcessorContext<String, Job.Change> given) {
            context = given;
            high = given.getStateStore("levels");
        }

        @Override
        public void process(Record<Windowed<String>, Job.Window> record) {
            String station = record.key().key();
            Job.Window window = record.value();
            if (window.high() != Boolean.TRUE.equals(high.get(station))) {
                high.put(station, window.high());
                context.forward(new Record<>(station, window.change(station), record.timestamp()));
            }
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        Duration size = Duration.ofMillis(Job.SIZE_MS), grace = Duration.ofMillis(Job.GRACE_MS);
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore("levels"), Serdes.String(), Serdes.Boolean()));
        builder.stream(Job.setting("PEER_TOPIC"), Consumed.with(Serdes.String(), Streams.READING).withTimestampExtractor(new Streams.EventTime()))
            .filter((station, reading) -> station != null)
            .peek((station, reading) -> Marks.one())
            .groupByKey(Grouped.with(Serdes.String(), Streams.READING))
            .windowedBy(TimeWindows.ofSizeAndGrace(size, grace).advanceBy(Duration.ofMillis(Job.HOP_MS)))
            .aggregate(
                Job.Window::new,
                (station, reading, window) -> window.add(reading),
                Materialized.<String, Job.Window>as(Stores.inMemoryWindowStore("windows", size.plus(grace), size, false))
                    .withKeySerde(Serdes.String()).withValueSerde(WINDOW))
            .toStream()
            // of the four windows that a reading is in, the one that was opened first
            .filter((window, sums) -> sums.time_ms - window.window().start() >= Job.SIZE_MS - Job.HOP_MS)
            .process(Levels::new, "levels")
            .to(Job.setting("PEER_CHANGES"), Produced.with(Serdes.String(), Streams.CHANGE));
        Streams.run(builder.build(), 0);
    }

    private Dsl() {}
}
