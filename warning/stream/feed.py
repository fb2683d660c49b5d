"""Writes a replay to brokers, under a prefix of its own; and reads topics back for comparison."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from warning import access
from warning.deployment import Deployment
from warning.errors import ConfigError, Problem, Unavailable
from warning.model import Tick
from warning.region import Region
from warning.stream.kafka import KafkaLog
from warning.stream.replay import LogRecord, once
from warning.stream.topics import ensure_topics

BATCH_BYTES = 256 << 10
IN_FLIGHT = 16
PREFIX = "replay-"


@dataclass(frozen=True, slots=True)
class Fed:
    """How far a replay is. ``ends``: partition -> offset of the next record."""

    readings: int
    ticks: int
    now_ms: int  # log time
    seconds: float
    ends: dict[int, int]


async def feed(
    deployment: Deployment,
    region: Region,
    records: Iterable[LogRecord],
    speed: float | None = None,
    progress: Callable[[Fed], None] | None = None,
) -> Fed:
    """Writes the records in order, in whole batches, the partitions in step; returns when the brokers have them all.

    ``speed``: seconds of log time per second; None: as fast as they are taken. ``progress`` is called after each batch (not more
    than ten times a second). Raises ``ConfigError`` for a prefix that is not a replay's or already holds records, ``Unavailable`` if
    the brokers do not take them: the prefix is used up then, begin again under another.
    """
    await _refuse(deployment, region)
    async with _Writer(deployment, region.partitions, progress) as writer:
        began: tuple[float, int] | None = None
        for record in records:
            moment = msgspec.json.decode(record.value, type=Tick).tick_ms if record.key is None else None
            await writer.put(record, moment)
            if moment is None or speed is None:
                continue
            began = began or (time.monotonic(), moment)
            ahead_s = began[0] + (moment - began[1]) / 1000 / speed - time.monotonic()
            if ahead_s > 0 and record.partition == region.partitions - 1:
                await writer.flush()
                await asyncio.sleep(ahead_s)
        await writer.flush()
        await writer.settle(0)
        return writer.so_far()


async def _refuse(deployment: Deployment, region: Region) -> None:
    where = f"prefix {deployment.prefix!r}"
    if not deployment.replay or not deployment.prefix.startswith(PREFIX):
        raise ConfigError([Problem(where, "a replay is fed under a prefix of its own only", f"begin it with {PREFIX!r}")])
    await ensure_topics(deployment, region.partitions)
    async with KafkaLog(deployment) as log:
        counts = [
            (topic.name, partition) for topic in deployment.topics for partition in range(region.partitions if topic.by_partition else 1)
        ]
        held = [name for name, partition in counts if (await log.bounds(name, partition))[1] > 0]
    if held:
        raise ConfigError([Problem(where, f"{name} already holds records", "take another prefix") for name in sorted(set(held))])


class _Writer:
    def __init__(self, deployment: Deployment, partitions: int, progress: Callable[[Fed], None] | None) -> None:
        self._topic, self._progress = deployment.readings, progress
        self._producer = AIOKafkaProducer(
            **access.arguments(deployment),
            acks="all",
            enable_idempotence=not deployment.embedded,  # as in kafka.KafkaLog
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=120_000,
        )
        self._batches: list[Any] = [None] * partitions
        self._under_way: deque[asyncio.Future[Any]] = deque()
        self._readings = self._ticks = self._now_ms = 0
        self._ends = dict.fromkeys(range(partitions), 0)
        self._began = self._told = time.monotonic()

    async def __aenter__(self) -> _Writer:
        try:
            await self._producer.start()
        except KafkaError as error:
            raise Unavailable(f"no broker for the replay: {error!r}") from error
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._producer.stop()

    async def put(self, record: LogRecord, tick_ms: int | None) -> None:
        if not self._append(record):
            await self.flush()  # all partitions: none runs ahead of the others by more than a batch
            if not self._append(record):
                raise Unavailable(f"a record of {len(record.value)} bytes does not fit into a batch", reason="too_large")
        self._ends[record.partition] += 1
        if tick_ms is None:
            self._readings += 1
        else:
            self._ticks, self._now_ms = self._ticks + 1, tick_ms

    def _append(self, record: LogRecord) -> bool:
        batch = self._batches[record.partition]
        if batch is None:
            batch = self._batches[record.partition] = self._producer.create_batch()
        return batch.append(key=record.key, value=record.value, timestamp=int(time.time() * 1000)) is not None

    async def flush(self) -> None:
        for partition, batch in enumerate(self._batches):
            if batch is None or not batch.record_count():
                continue
            self._batches[partition] = None
            try:
                self._under_way.append(await self._producer.send_batch(batch, self._topic, partition=partition))
            except KafkaError as error:
                raise Unavailable(f"the brokers do not take the replay: {error!r}") from error
        await self.settle(IN_FLIGHT)
        if self._progress is not None and time.monotonic() - self._told > 0.1:
            self._told = time.monotonic()
            self._progress(self.so_far())

    async def settle(self, most: int) -> None:
        """Waits until at most so many batches are under way."""
        while len(self._under_way) > most:
            try:
                await self._under_way.popleft()
            except KafkaError as error:
                raise Unavailable(f"the brokers did not take a part of the replay: {error!r}") from error

    def so_far(self) -> Fed:
        return Fed(self._readings, self._ticks, self._now_ms, time.monotonic() - self._began, dict(self._ends))


async def read_log(deployment: Deployment, partition: int, topic: str | None = None) -> list[tuple[int, bytes | None, bytes | None]]:
    """(offset, key, value) of everything that one partition of ``readings`` (or of ``topic``, a full name) holds."""
    found: list[tuple[int, bytes | None, bytes | None]] = []
    async with KafkaLog(deployment) as log:
        await log.read(topic or deployment.readings, partition, lambda offset, key, value: found.append((offset, key, value)))
    return found


async def read_alerts(deployment: Deployment) -> dict[str, bytes]:
    """identifier -> bytes of all that stands on ``alerts``. Raises ``StateError`` for one identifier with two contents."""
    return once(((key or b"").decode(), value or b"") for _, key, value in await read_log(deployment, 0, deployment.alerts))


async def committed(deployment: Deployment, partitions: int) -> dict[int, int]:
    """partition -> the worker group's committed offset (0 without one): everything before it is decided, published and checkpointed."""
    consumer = AIOKafkaConsumer(**access.arguments(deployment), group_id=deployment.group, enable_auto_commit=False)
    try:
        await consumer.start()
        return {number: await consumer.committed(TopicPartition(deployment.readings, number)) or 0 for number in range(partitions)}
    except KafkaError as error:
        raise access.in_words(error, deployment) from error
    finally:
        await consumer.stop()
