package peers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * The job in Flink's DataStream API at its best: a KeyedProcessFunction with four buckets a series in the heap, object reuse, a
 * checkpoint every 10 s, at-least-once; a local cluster with one slot.
 */
public final class Flink {
    /** Records without a key are marks in the log. */
    public static final class Readings implements KafkaRecordDeserializationSchema<Job.Reading> {
        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Job.Reading> out) throws IOException {
            if (record.key() != null) out.collect(Job.READINGS.readValue(record.value()));
        }

        @Override
        public TypeInformation<Job.Reading> getProducedType() { return TypeInformation.of(Job.Reading.class); }
    }

    public static final class Score extends KeyedProcessFunction<String, Job.Reading, Job.Change> {
        private transient ValueState<Job.Buckets> state;
        private transient Job.Window window;

        @Override
        public void open(OpenContext context) {
            state = getRuntimeContext().getState(new ValueStateDescriptor<>("buckets", TypeInformation.of(Job.Buckets.class)));
            window = new Job.Window();
        }

        @Override
        public void processElement(Job.Reading reading, Context context, Collector<Job.Change> out) throws IOException {
            Marks.one();
            Job.Buckets buckets = state.value();
            if (buckets == null) buckets = new Job.Buckets();
            buckets.add(reading, window);
            if (window.high() != buckets.high) {
                buckets.high = window.high();
                out.collect(window.change(reading.station));
            }
            state.update(buckets);
        }
    }

    /** A class with a name: for a lambda the sink does not find the type (InvalidTypesException). */
    public static final class Changes implements KafkaRecordSerializationSchema<Job.Change> {
        private final String topic;

        Changes(String topic) { this.topic = topic; }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(Job.Change change, KafkaSinkContext context, Long timestamp) {
            try {
                return new ProducerRecord<>(topic, change.station.getBytes(StandardCharsets.UTF_8), Job.CHANGES.writeValueAsBytes(change));
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Configuration settings = new Configuration();
        settings.set(StateBackendOptions.STATE_BACKEND, "hashmap");
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
        settings.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, "file://" + Job.setting("PEER_STATE"));
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(10));
        settings.set(CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE, CheckpointingMode.AT_LEAST_ONCE);
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.createLocalEnvironment(1, settings);
        String broker = Job.setting("PEER_BROKER");
        KafkaSource<Job.Reading> readings = KafkaSource.<Job.Reading>builder()
            .setBootstrapServers(broker).setTopics(Job.setting("PEER_TOPIC")).setGroupId(Job.setting("PEER_RUN"))
            .setStartingOffsets(OffsetsInitializer.earliest()).setDeserializer(new Readings()).build();
        WatermarkStrategy<Job.Reading> watermarks = WatermarkStrategy.<Job.Reading>forBoundedOutOfOrderness(Duration.ofMillis(Job.GRACE_MS))
            .withTimestampAssigner((reading, timestamp) -> reading.time_ms);
        KafkaSink<Job.Change> changes = KafkaSink.<Job.Change>builder()
            .setBootstrapServers(broker).setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
            .setRecordSerializer(new Changes(Job.setting("PEER_CHANGES"))).build();
        environment.fromSource(readings, watermarks, "readings").keyBy(reading -> reading.station).process(new Score()).sinkTo(changes);
        environment.execute("flood score");
    }

    private Flink() {}
}
