"""The log that dispatch reads: by hand, from the ledger's positions, and only if it is the log that the ledger knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from warning import access, access_check
from warning.deployment import Deployment
from warning.dispatch.rows import Position, digest_of
from warning.errors import ExitCode, StateError, WarningSystemError
from warning.facts import BrokerState, Listener, Ready

log = logging.getLogger(__name__)

AGAIN_S = 1.0
FETCH_MS = 500
MOST_RECORDS = 200
RECORD_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition in order, the position after them, and whether the log goes on behind it."""

    records: tuple[ConsumerRecord, ...]
    position: Position
    more: bool


class Source:
    """One topic, all partitions, without a consumer group: the position is the ledger's.

    ``compacted``: records vanish and another log does no harm (its values say what is current), so nothing is compared.
    """

    def __init__(self, deployment: Deployment, topic: str, listen: Listener, *, compacted: bool = False) -> None:
        self._deployment, self.topic, self._listen, self._compacted = deployment, topic, listen, compacted
        self._consumer: AIOKafkaConsumer | None = None
        self._positions: dict[int, Position] = {}
        self._partitions: list[TopicPartition] = []

    async def start(self, positions: Mapping[int, Position]) -> None:
        """Waits for broker and topic. Raises ``StateError`` if this log is not the one that ``positions`` were taken from."""
        self._positions = dict(positions)
        self._consumer = await self._connected()
        self._partitions = await self._assigned(self._consumer)
        if not self._compacted:
            await self._same_log(self._consumer)
        for partition in self._partitions:
            known = self._positions.get(partition.partition)
            self._consumer.seek(partition, known.next_offset if known else 0)
        self._listen(Ready(f"log {self.topic}", True))

    async def stop(self) -> None:
        if self._consumer:
            await self._consumer.stop()
            self._consumer = None

    async def batches(self) -> AsyncIterator[Batch | None]:
        """For ever; None when there was nothing for half a second."""
        assert self._consumer is not None
        while True:
            try:
                found = await self._consumer.getmany(timeout_ms=FETCH_MS, max_records=MOST_RECORDS)
            except KafkaError as error:
                told = access.in_words(error, self._deployment, self.topic)
                log.warning("%s; again in %.0f s", told, AGAIN_S)
                self._listen(BrokerState(False))
                await asyncio.sleep(AGAIN_S)
                continue
            if not found:
                yield None
            for partition, records in found.items():
                yield self._batch(partition, records)

    def caught_up(self) -> bool:
        """Whether everything that was in the log at the last fetch has been read.

        By the fetches' high watermarks: the embedded broker answers a request for the end offset with the beginning of its last batch.
        """
        assert self._consumer is not None
        highs = {partition: self._consumer.highwater(partition) for partition in self._partitions}
        return all(high is not None and self._next(partition) >= high for partition, high in highs.items())

    def read_up_to_ms(self) -> int | None:
        """When the brokers last said that there is no more than what was read, by our wall clock; None: there is more, or no word."""
        if self._consumer is None or not self._partitions or not self.caught_up():
            return None
        said = [self._consumer.last_poll_timestamp(partition) for partition in self._partitions]
        return None if None in said else min(said)

    def _next(self, partition: TopicPartition) -> int:
        known = self._positions.get(partition.partition)
        return known.next_offset if known else 0

    def _batch(self, partition: TopicPartition, records: list[ConsumerRecord]) -> Batch:
        assert self._consumer is not None
        number, last = partition.partition, records[-1]
        known = self._positions.get(number)
        first = known.first_digest if known else digest_of(records[0].key, records[0].value)
        position = Position(self.topic, number, last.offset + 1, first, digest_of(last.key, last.value))
        self._positions[number] = position
        high = self._consumer.highwater(partition)
        return Batch(tuple(records), position, high is not None and position.next_offset < high)

    async def _connected(self) -> AIOKafkaConsumer:
        while True:
            try:
                consumer = self._new()
                try:
                    await consumer.start()
                except BaseException:
                    await consumer.stop()
                    raise
            except (KafkaError, OSError, WarningSystemError) as error:
                self._listen(BrokerState(False))
                told = await access_check.refusal(self._deployment, "dispatch") or access.in_words(error, self._deployment)
                self._listen(Ready(f"log {self.topic}", False, str(told)))
                log.warning("%s; trying again", told)
                await asyncio.sleep(AGAIN_S)
                continue
            self._listen(BrokerState(True))
            return consumer

    def _new(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **access.arguments(self._deployment),
            enable_auto_commit=False,
            auto_offset_reset="earliest" if self._compacted else "none",
            fetch_max_bytes=16 << 20,
        )

    async def _assigned(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        said = False
        while True:
            # Not consumer.topics(): on Apache Kafka it leaves partitions_for_topic() of a topic made after our start unknown for ever.
            everything = await consumer._client.fetch_all_metadata()  # private in aiokafka 0.14.0, which is pinned
            numbers = everything.partitions_for_topic(self.topic)
            if numbers:
                partitions = [TopicPartition(self.topic, number) for number in sorted(numbers)]
                consumer.assign(partitions)
                return partitions
            if not said:
                log.warning("topic %s is not there yet; waiting", self.topic)
                self._listen(Ready(f"log {self.topic}", False, "the topic is not there"))
                said = True
            await asyncio.sleep(AGAIN_S)

    async def _same_log(self, consumer: AIOKafkaConsumer) -> None:
        begins = await consumer.beginning_offsets(self._partitions)
        for number, known in self._positions.items():
            partition = TopicPartition(self.topic, number)
            if partition not in begins:
                self._other(known, "it has no such partition")
            if begins[partition] > known.next_offset:
                raise StateError(
                    f"{self.topic}/{number} begins at {begins[partition]}, the ledger has read up to {known.next_offset}: "
                    "warnings in between are gone from the log; keep this topic for ever",
                    exit_code=ExitCode.LOG_TRUNCATED,
                    reason="log_truncated",
                )
            for offset, digest in ((0, known.first_digest), (known.next_offset - 1, known.last_digest)):
                if offset >= begins[partition] and await self._digest(consumer, partition, offset) != digest:
                    self._other(known, f"its record {offset} is not the one that was read")

    def _other(self, known: Position, why: str) -> NoReturn:
        raise StateError(
            f"{self.topic}/{known.partition} is not the log that the ledger knows up to offset {known.next_offset}: {why}. "
            "Name the database that belongs to this log, or use another prefix",
            exit_code=ExitCode.LOG_OTHER,
            reason="other_log",
        )

    async def _digest(self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> str:
        """Of the record at that offset; "" if there is none."""
        consumer.seek(partition, offset)
        try:
            async with asyncio.timeout(RECORD_WITHIN_S):
                record = await consumer.getone(partition)
        except (TimeoutError, OffsetOutOfRangeError):
            return ""
        return digest_of(record.key, record.value) if record.offset == offset else ""
