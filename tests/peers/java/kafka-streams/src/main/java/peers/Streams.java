package peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.TimestampExtractor;

/** What both forms of Kafka Streams share: settings, serdes, event time. State in memory, with its changelog, at-least-once. */
final class Streams {
    static final Serde<Job.Reading> READING = Serdes.serdeFrom(
        (topic, reading) -> { throw new UnsupportedOperationException("readings are only read"); },
        (topic, bytes) -> {
            try {
                return bytes == null ? null : Job.READINGS.readValue(bytes);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        });
    static final Serde<Job.Change> CHANGE = Serdes.serdeFrom(
        (topic, change) -> {
            try {
                return Job.CHANGES.writeValueAsBytes(change);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        },
        (topic, bytes) -> { throw new UnsupportedOperationException("changes are only written"); });

    public static final class EventTime implements TimestampExtractor {
        @Override
        public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
            return record.value() instanceof Job.Reading reading ? reading.time_ms : record.timestamp();
        }
    }

    /** Runs until SIGTERM. {@code cache}: bytes for the record cache; 0 tells every update on. */
    static void run(Topology topology, long cache) throws InterruptedException {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, Job.setting("PEER_RUN"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, Job.setting("PEER_BROKER"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Job.setting("PEER_STATE"));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, cache);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        KafkaStreams streams = new KafkaStreams(topology, settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        new CountDownLatch(1).await();
    }

    private Streams() {}
}
