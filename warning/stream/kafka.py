"""The log on real brokers: one idempotent producer with acks=all, and readers outside the group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import BrokerResponseError, InvalidTimestampError, KafkaError
from aiokafka.structs import RecordMetadata, TopicPartition

from warning import access
from warning.batches import filled
from warning.deployment import Deployment
from warning.errors import ExitCode, StateError, Unavailable, WarningSystemError
from warning.stream import marked
from warning.stream.ports import Each, Sent, Stamped

REQUEST_S = 40.0
GIVE_UP_S = 120.0  # a record that no broker took for so long ends the process: an outage is ridden out up to here
_BY_BROKER = 1  # timestamp type LogAppendTime


class KafkaLog:
    """Start it and stop it in the loop that uses it."""

    def __init__(self, deployment: Deployment, writes: bool = True) -> None:
        """``writes`` False: for readers, who need no right to write."""
        self._deployment, self._writes = deployment, writes
        # Tansu does not understand aiokafka's InitProducerId; a record that it takes twice is the same record with the same id.
        self._idempotent = not deployment.embedded
        self._producer: AIOKafkaProducer | None = None
        self._reader: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Raises ``Unavailable``, ``AccessError``, ``ConfigError``."""
        if self._writes:
            self._producer = AIOKafkaProducer(
                **access.arguments(self._deployment),
                acks="all",
                enable_idempotence=self._idempotent,
                linger_ms=5,
                max_batch_size=1 << 20,
                max_request_size=2 << 20,
                request_timeout_ms=int(GIVE_UP_S * 1000),
            )
        self._reader = self._consumer()
        try:
            if self._producer is not None:
                await self._producer.start()
            await self._reader.start()
        except KafkaError as error:
            await self.stop()
            raise access.in_words(error, self._deployment) from error

    async def stop(self, within_s: float = 5.0) -> None:
        """What the brokers have not taken by then is given up: no checkpoint covers it, so it is done again."""
        producer, reader, self._producer, self._reader = self._producer, self._reader, None, None
        for client in (producer, reader):
            if client is None:
                continue
            try:
                async with asyncio.timeout(within_s):
                    await client.stop()
            except TimeoutError:
                continue

    async def __aenter__(self) -> KafkaLog:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _consumer(self, topic: str = "") -> AIOKafkaConsumer:
        marked.install()
        # earliest, not the default: after assign() a reset to the end can win over a seek, and a partition looks empty
        return AIOKafkaConsumer(
            **access.arguments(self._deployment),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 << 20,
            key_deserializer=marked.with_marks if topic == self._deployment.readings else None,
            request_timeout_ms=int(REQUEST_S * 1000),
        )

    async def send(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> asyncio.Future[Sent]:
        if self._producer is None:
            raise Unavailable("the producer is stopped")
        try:
            taken = await self._producer.send(topic, value, key, partition)
        except KafkaError as error:
            raise access.in_words(error, self._deployment, f"writing {topic}-{partition}") from error
        return self._confirmation(taken, f"{topic}-{partition}")

    async def send_all(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> list[asyncio.Future[Sent]]:
        if self._producer is None:
            raise Unavailable("the producer is stopped")
        sent, now_ms, at = [], int(time.time() * 1000), 0
        try:
            while at < len(records):
                batch = self._producer.create_batch()
                at, begin = filled(batch, records, at, now_ms), at
                if at > begin:
                    sent.append(await self._producer.send_batch(batch, topic, partition=partition))
                else:  # larger than a batch: the producer says so
                    key, value = records[at]
                    sent.append(await self._producer.send(topic, value, key, partition))
                    at += 1
        except KafkaError as error:
            raise access.in_words(error, self._deployment, f"writing {topic}-{partition}") from error
        return [self._confirmation(taken, f"{topic}-{partition}") for taken in sent]

    def _confirmation(self, taken: asyncio.Future[RecordMetadata], where: str) -> asyncio.Future[Sent]:
        """aiokafka's promise as ours."""
        sent: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()

        def done(future: asyncio.Future[RecordMetadata]) -> None:
            if sent.done():
                return
            if future.cancelled():
                sent.cancel()
            elif (error := future.exception()) is not None:
                sent.set_exception(self._not_taken(error, where))
                sent.exception()  # whoever waits gets it; nobody has to
            else:
                metadata = future.result()
                sent.set_result(Sent(metadata.offset, metadata.timestamp if metadata.timestamp_type == _BY_BROKER else None))

        taken.add_done_callback(done)
        return sent

    def _not_taken(self, error: BaseException, where: str) -> WarningSystemError:
        if isinstance(error, InvalidTimestampError):  # the clock jumped between two ticks, and an output was faster than the next check
            words = f"writing {where}: the brokers refuse our time: this machine's clock is off, or theirs: set it right (NTP)"
            return StateError(words, exit_code=ExitCode.CLOCK, reason="clock")
        told = access.in_words(error, self._deployment, f"writing {where}")
        answered = isinstance(error, BrokerResponseError) and not error.retriable
        if answered and isinstance(told, Unavailable) and where.startswith(self._deployment.checkpoints):
            words = f"the brokers do not take the state: {where}: {error!r} (see the topic's configuration, such as max.message.bytes)"
            return StateError(words, exit_code=ExitCode.CHECKPOINT_WRITE, reason="checkpoint_write")
        return told

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        # On the embedded broker the end can lie inside the last batch (see _end): good enough to see what waits.
        tp = TopicPartition(topic, partition)
        if self._reader is None:
            raise Unavailable("the reader is stopped")
        try:
            async with asyncio.timeout(REQUEST_S):
                begin = await self._reader.beginning_offsets([tp])
                end = await self._reader.end_offsets([tp])
        except (KafkaError, TimeoutError) as error:
            raise access.in_words(error, self._deployment, f"offsets of {topic}-{partition}") from error
        return begin[tp], end[tp]

    async def _end(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> int:
        """Where the assigned partition ends. Tansu names the second record of the last batch, so there the batch is looked at."""
        end = int((await consumer.end_offsets([tp]))[tp])
        if self._idempotent or end == 0:
            return end
        consumer.seek(tp, end - 1)
        until = time.monotonic() + REQUEST_S
        while time.monotonic() < until:
            if records := (await consumer.getmany(tp, timeout_ms=500)).get(tp):
                return max(end, int(records[-1].offset) + 1)
        return end

    async def read(self, topic: str, partition: int, each: Each, first: int | None = None, until: int | None = None) -> None:
        await self.read_stamped(topic, partition, lambda offset, key, value, _: each(offset, key, value), first, until)

    async def read_stamped(self, topic: str, partition: int, each: Stamped, first: int | None = None, until: int | None = None) -> None:
        tp, consumer = TopicPartition(topic, partition), self._consumer(topic)
        try:
            await consumer.start()
            consumer.assign([tp])
            begin, end = (await consumer.beginning_offsets([tp]))[tp], await self._end(consumer, tp)
            end = end if until is None else min(end, until)
            consumer.seek(tp, begin if first is None else max(first, begin))
            moved = time.monotonic()
            while await consumer.position(tp) < end:
                records = (await consumer.getmany(tp, timeout_ms=500)).get(tp, ())
                for record in records:
                    if record.offset < end:
                        each(record.offset, record.key, record.value, record.timestamp)
                moved = time.monotonic() if records else moved
                if time.monotonic() - moved > REQUEST_S:
                    raise Unavailable(f"{topic}-{partition} cannot be read to {end}: nothing came for {REQUEST_S:.0f} s")
        except KafkaError as error:
            raise access.in_words(error, self._deployment, f"reading {topic}-{partition}") from error
        finally:
            await consumer.stop()
