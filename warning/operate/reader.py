"""Reads all topics of a deployment into a View and a Store: a plain consumer without a group, which disturbs nobody.

It survives everything: a broker that is away or comes back empty, topics that do not exist yet, records that nobody can read, a
database that fails (a batch of alerts is repeated until it is stored). What it knows of its own state it tells as facts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from warning import access, access_check, facts
from warning.deployment import Deployment
from warning.errors import Unavailable, WarningSystemError
from warning.model import AlertEvent, Hazard, Reading, Receipt, Rejected, Tick
from warning.operate.store import Store
from warning.operate.verified import Verified
from warning.operate.view import View

DAYS = 10.0
_PROBE_EVERY_S = 3.0
_PROBE_TIMEOUT_S = 5.0
_AGAIN_S = 2.0

log = logging.getLogger(__name__)


class LogReplaced(Exception):
    """The broker's topics begin anew: it is another log."""


def _hash(record: ConsumerRecord) -> int:
    return hash((record.timestamp, record.key, record.value))


class Reader:
    """One consumer of a deployment's topics.

    ``store`` None: alerts go into the view only. ``days``: how far back readings of a live deployment are read (a replay is read whole).
    """

    def __init__(
        self, deployment: Deployment, view: View, store: Store | None, listen: facts.Listener = facts.nobody, *, days: float = DAYS
    ) -> None:
        self._deployment, self._view, self._store, self._listen, self._days = deployment, view, store, listen, days
        self._verified = Verified(listen)
        self._positions: dict[TopicPartition, int] = {}
        self._last: dict[TopicPartition, int] = {}  # hash of the last record that was read, to know the log by
        self._expected: dict[TopicPartition, int] = {}
        self._broken: set[str] = set()
        self._readings, self._tick = msgspec.json.Decoder(Reading), msgspec.json.Decoder(Tick)
        hazards, receipts, rejected = msgspec.json.Decoder(Hazard), msgspec.json.Decoder(Receipt), msgspec.json.Decoder(Rejected)
        self._alerts = msgspec.json.Decoder(AlertEvent)
        self._take: dict[str, Callable[[ConsumerRecord], None]] = {
            deployment.readings: self._reading,
            deployment.hazards: lambda record: view.hazard(hazards.decode(record.value)),
            deployment.receipts: lambda record: view.receipt(receipts.decode(record.value)),
            deployment.rejected: lambda record: view.reject(rejected.decode(record.value)),
        }
        self._topics = (*self._take, deployment.alerts)

    async def run(self) -> None:
        """Follow the topics until cancelled."""
        self._tell("log", False, "has not been read to its end yet")
        while True:
            try:
                async with self._consumer() as consumer:
                    self._listen(facts.BrokerState(True))
                    await self._follow(consumer, once=False)
            except LogReplaced as error:
                log.error("%s: what was read from the old one is forgotten", error)
                self._positions.clear()
                self._last.clear()
                self._view.clear()
                self._verified.clear()
            except (KafkaError, OSError, TimeoutError, WarningSystemError) as error:
                self._listen(facts.BrokerState(isinstance(error, Unavailable) and error.reason == "topic"))
                told = await access_check.refusal(self._deployment, "api") or access.in_words(error, self._deployment)
                self._tell("log", False, str(told))
                log.warning("%s; trying again", told)
                await asyncio.sleep(_AGAIN_S)

    async def once(self) -> None:
        """Read every topic to its present end. Raises ``Unavailable`` if the broker is away or a topic is missing."""
        try:
            async with self._consumer() as consumer:
                await self._follow(consumer, once=True)
        except (KafkaError, OSError, TimeoutError) as error:
            raise access.in_words(error, self._deployment) from error

    @contextlib.asynccontextmanager
    async def _consumer(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **access.arguments(self._deployment),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=int(_PROBE_TIMEOUT_S * 1000),
        )
        try:
            async with asyncio.timeout(2 * _PROBE_TIMEOUT_S):
                await consumer.start()
            yield consumer
        finally:
            # Apart from us: stopping a consumer whose broker is gone may hang, and may raise CancelledError though nobody cancelled.
            stopping = asyncio.ensure_future(consumer.stop())
            await asyncio.wait([stopping], timeout=_PROBE_TIMEOUT_S)
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)

    async def _partitions(self) -> dict[str, list[int]]:
        """topic -> its partitions. All are listed: to ask for one by name can create it, and a consumer only knows what it is assigned."""
        admin = AIOKafkaAdminClient(**access.arguments(self._deployment), request_timeout_ms=int(_PROBE_TIMEOUT_S * 1000))
        try:
            await admin.start()
            found = await admin.describe_topics()
        finally:
            await admin.close()
        return {entry["topic"]: sorted(each["partition"] for each in entry["partitions"]) for entry in found}

    async def _assign(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """Take all partitions and go to where we were, or to the first record that we want."""
        there = await self._partitions()
        if missing := sorted(set(self._topics) - set(there)):
            raise Unavailable(f"topic {', '.join(missing)} is not there yet", reason="topic")
        partitions = [TopicPartition(topic, number) for topic in self._topics for number in there[topic]]
        consumer.assign(partitions)
        begin = await consumer.beginning_offsets(partitions)
        end = await consumer.end_offsets(partitions)
        # One record is read again, to see that it is the same log (end offsets do not tell: those of the embedded broker are too low).
        self._expected = {partition: hashed for partition, hashed in self._last.items() if self._positions[partition] > begin[partition]}
        start = begin | {partition: max(begin[partition], offset) for partition, offset in self._positions.items()}
        start |= {partition: self._positions[partition] - 1 for partition in self._expected}
        if not (self._deployment.replay or self._deployment.embedded):
            start |= await self._recent(consumer, [each for each in partitions if each.topic == self._deployment.readings], end)
        for partition in partitions:
            consumer.seek(partition, start[partition])
            self._positions.setdefault(partition, start[partition])
        return partitions

    async def _recent(
        self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], end: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Offsets of the readings of the last days, where we have not been yet; a partition without any is read from its end."""
        since_ms = int((time.time() - self._days * 86_400) * 1000)
        new = [partition for partition in partitions if partition not in self._positions]
        found = await consumer.offsets_for_times(dict.fromkeys(new, since_ms)) if new else {}
        return {partition: end[partition] if at is None else at.offset for partition, at in found.items()}

    async def _follow(self, consumer: AIOKafkaConsumer, *, once: bool) -> None:
        partitions = await self._assign(consumer)
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            end = await consumer.end_offsets(partitions)
        probed, caught_up = time.monotonic(), False
        while True:
            batches = await consumer.getmany(timeout_ms=200, max_records=5_000)
            for partition, records in batches.items():
                await self._apply(partition, records)
            behind = sum(max(0, end[partition] - self._positions[partition]) for partition in partitions)
            if behind == 0 and once:
                return
            if time.monotonic() - probed > _PROBE_EVERY_S:
                # aiokafka fetches on in silence when the broker is gone, so ask something that must be answered.
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    end = await consumer.end_offsets(partitions)
                probed = time.monotonic()
            if not caught_up:
                caught_up = behind == 0
                self._tell("log", caught_up, f"{behind} records of the log are still to be read")
            await asyncio.sleep(0)

    async def _apply(self, partition: TopicPartition, records: list[ConsumerRecord]) -> None:
        records = self._continued(partition, records)
        if not records:
            return
        if partition.topic == self._deployment.alerts:
            await self._keep([event for record in records if (event := self._decoded(record)) is not None])
        else:
            take = self._take[partition.topic]
            for record in records:
                try:
                    if record.value is not None:
                        take(record)
                except msgspec.DecodeError as error:
                    self._complain(record, error)
        self._positions[partition] = records[-1].offset + 1
        self._last[partition] = _hash(records[-1])

    def _continued(self, partition: TopicPartition, records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        """Without the record that was read again; raises ``LogReplaced`` if these do not continue what was read."""
        expected, position = self._expected.pop(partition, None), self._positions[partition]
        first = records[0]
        again = expected is not None and first.offset == position - 1
        if (again and _hash(first) != expected) or (not again and first.offset < position):
            raise LogReplaced(f"{partition.topic} has another record at {first.offset}, though all before {position} were read")
        return records[1:] if again else records

    def _reading(self, record: ConsumerRecord) -> None:
        if record.key is not None:
            if not record.value.startswith(b'{"flag_ms":'):  # what an operator says about a sensor shows where its readings fail
                self._view.reading(self._readings.decode(record.value))
        elif b'"tick_ms"' in record.value:  # else a switch of configuration or code
            self._view.tick(self._tick.decode(record.value).tick_ms)

    def _decoded(self, record: ConsumerRecord) -> AlertEvent | None:
        try:
            return self._alerts.decode(record.value or b"")
        except msgspec.DecodeError as error:
            self._complain(record, error)
            return None

    async def _keep(self, events: Sequence[AlertEvent]) -> None:
        """Store a batch of alerts; again and again if the database fails, for an alert that is not stored is not served."""
        conflicts: set[str] = set()
        while self._store is not None:
            try:
                conflicts = set(await self._store.add(events))
                self._tell("documents", True)
                break
            except SQLAlchemyError as error:
                log.error("documents cannot be stored, trying again: %s", error)
                self._tell("documents", False, f"documents cannot be stored: {type(error).__name__}")
                await asyncio.sleep(_AGAIN_S)
        for identifier in sorted(conflicts):
            log.error("alert %s came again with another document; the first one stays", identifier)
            self._listen(facts.DocumentConflict(identifier))
        for event in events:
            if event.alert.identifier not in conflicts:
                self._view.alert(event)
                self._verified.alert(event)

    def _complain(self, record: ConsumerRecord, error: msgspec.DecodeError) -> None:
        """Once a topic, for a stranger who writes to it writes much; the page does without the record."""
        if record.topic not in self._broken:
            self._broken.add(record.topic)
            log.error("%s, partition %d, offset %d cannot be read: %s", record.topic, record.partition, record.offset, error)

    def _tell(self, part: str, ready: bool, why: str = "") -> None:
        self._listen(facts.Ready(part, ready, "" if ready else why))
