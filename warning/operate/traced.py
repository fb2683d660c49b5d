"""Single records of the log, found by what they say and about when they were written: for ``warning trace``. A reader without a group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from warning import access
from warning.deployment import Deployment
from warning.model import Reading, Rejected

QUIET_S = 20.0  # so long nothing came: the broker does not go on
_READING, _REJECTED = msgspec.json.Decoder(Reading), msgspec.json.Decoder(Rejected)


@dataclass(frozen=True, slots=True)
class Found:
    """One record and where it stands. ``at_ms``: the record's own timestamp."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """By the records' timestamps. Where these are not of the readings' times (a replay, the embedded broker) all is read."""

    from_ms: int
    until_ms: int


async def readings(
    deployment: Deployment, partition: int, window: Window, wanted: Callable[[Reading], bool]
) -> tuple[list[tuple[Found, Reading]], str]:
    """Readings of one partition that are wanted, and what of the window is no longer kept ("" if all is). Raises Unavailable."""
    found: list[tuple[Found, Reading]] = []
    gone: list[str] = []
    async for record in _records(deployment, deployment.readings, partition, window, gone):
        if not record.value.startswith(b'{"station"'):
            continue  # a tick, a switch, an operator's flag
        try:
            reading = _READING.decode(record.value)
        except msgspec.DecodeError:
            continue  # what nobody can read stands in readings.rejected
        if wanted(reading):
            found.append((record, reading))
    return found, gone[0] if gone else ""


async def rejected(deployment: Deployment, window: Window, wanted: Callable[[Rejected], bool]) -> list[tuple[Found, Rejected]]:
    """What was not taken in that window. Raises Unavailable."""
    found = []
    async for record in _records(deployment, deployment.rejected, 0, window, []):
        try:
            each = _REJECTED.decode(record.value)
        except msgspec.DecodeError:
            continue
        if wanted(each):
            found.append((record, each))
    return found


async def _records(deployment: Deployment, topic: str, partition: int, window: Window, gone: list[str]) -> AsyncIterator[Found]:
    consumer = AIOKafkaConsumer(**access.arguments(deployment), enable_auto_commit=False, auto_offset_reset="earliest")
    tp = TopicPartition(topic, partition)
    try:
        await consumer.start()
        consumer.assign([tp])
        first, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
        start = first
        whole = deployment.replay or deployment.embedded
        if not whole:
            at = (await consumer.offsets_for_times({tp: window.from_ms}))[tp]
            start = end if at is None else at.offset
        if first > 0 and start == first:
            gone.append(f"{topic}-{partition} begins at record {first}: what was before is no longer kept")
        consumer.seek(tp, start)
        position = start
        while position < end:
            async with asyncio.timeout(QUIET_S):
                batch = (await consumer.getmany(tp, timeout_ms=500, max_records=5000)).get(tp, [])
            for record in batch:
                position = record.offset + 1
                if not whole and record.timestamp > window.until_ms:
                    return
                if record.value is not None:
                    yield Found(topic, partition, record.offset, record.timestamp, record.value)
            position = max(position, await consumer.position(tp))
    except (KafkaError, OSError, TimeoutError) as error:
        raise access.in_words(error, deployment, topic) from error
    finally:
        await consumer.stop()
