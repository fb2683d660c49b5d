"""What a rehearsal left behind: its topics from the first record to the last, and what phones and webhooks really got."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from warning import access
from warning.deployment import Deployment
from warning.model import AlertEvent, Reading, Receipt, Rejected, Tick

_READ_WITHIN_MS = 300


@dataclass(frozen=True, slots=True)
class LoggedReading:
    """A reading in the log and the beat that applied it; ``beat_ms`` None: no tick followed."""

    reading: Reading
    partition: int
    offset: int
    beat_ms: int | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the reckoning counts.

    ``alerts`` and ``receipts`` hold every record, repeated ones too, in the order of their topics. ``messages``: complete SMS as phones got
    them, ``parts``: their parts, ``webhooks``: requests, all as the SMS centre and the receiver wrote them down.
    """

    readings: tuple[LoggedReading, ...]
    ticks: int
    rejected: tuple[Rejected, ...]
    alerts: tuple[AlertEvent, ...]
    receipts: tuple[Receipt, ...]
    messages: tuple[dict[str, Any], ...] = ()
    parts: tuple[dict[str, Any], ...] = ()
    webhooks: tuple[dict[str, Any], ...] = ()
    unreadable: dict[str, int] = field(default_factory=dict)  # topic -> records that are not what they should be


async def collect(deployment: Deployment, partitions: int, phones: Path | None = None, hooks: Path | None = None) -> Evidence:
    """Reads the topics to their present end, and the record files of the SMS centre and the receiver. Raises KafkaError, OSError.

    ``partitions``: of ``readings``; the other topics that are read have one.
    """
    topics = {deployment.readings: await whole(deployment, deployment.readings, partitions)}
    for name in (deployment.rejected, deployment.alerts, deployment.receipts):
        topics[name] = await whole(deployment, name)
    unreadable: dict[str, int] = {}
    readings, ticks = _beats(topics[deployment.readings], unreadable, deployment.readings)
    sms = _lines(phones)
    return Evidence(
        readings=tuple(readings),
        ticks=ticks,
        rejected=tuple(_decoded(topics[deployment.rejected], Rejected, unreadable, deployment.rejected)),
        alerts=tuple(_decoded(topics[deployment.alerts], AlertEvent, unreadable, deployment.alerts)),
        receipts=tuple(_decoded(topics[deployment.receipts], Receipt, unreadable, deployment.receipts)),
        messages=tuple(line for line in sms if line["kind"] == "message"),
        parts=tuple(line for line in sms if line["kind"] == "part"),
        webhooks=tuple(_lines(hooks)),
        unreadable=unreadable,
    )


async def published(deployment: Deployment) -> set[str]:
    """Identifiers of the alerts that are on the topic now. Raises KafkaError."""
    return {(record.key or b"").decode() for record in await whole(deployment, deployment.alerts)}


async def whole(deployment: Deployment, topic: str, partition_count: int = 1) -> list[Any]:
    """Every record of a topic, by partition and offset."""
    consumer = AIOKafkaConsumer(**access.arguments(deployment), enable_auto_commit=False, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(partition_count)]
        consumer.assign(partitions)
        begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.seek(partition, begin[partition])
        found: dict[TopicPartition, list[Any]] = {partition: [] for partition in partitions}
        position = dict(begin)
        while True:
            batches = await consumer.getmany(timeout_ms=_READ_WITHIN_MS)
            for partition, records in batches.items():
                found[partition] += records
                position[partition] = records[-1].offset + 1
            # The embedded broker gives as end the first record of the last batch and one: there is more until nothing comes.
            if not batches and all(position[partition] >= end[partition] for partition in partitions):
                break
        return [record for partition in partitions for record in found[partition]]
    finally:
        await consumer.stop()


def _beats(records: Iterable[Any], unreadable: dict[str, int], topic: str) -> tuple[list[LoggedReading], int]:
    reading, tick = msgspec.json.Decoder(Reading), msgspec.json.Decoder(Tick)
    found: list[LoggedReading] = []
    waiting: dict[int, list[LoggedReading]] = {}
    ticks = 0
    for record in records:
        try:
            if record.key is not None and record.value.startswith(b'{"flag_ms":'):
                continue  # what an operator says about a sensor
            if record.key is not None:
                one = LoggedReading(reading.decode(record.value), record.partition, record.offset, None)
                waiting.setdefault(record.partition, []).append(one)
            elif b'"tick_ms"' in record.value:  # else a switch of configuration or code
                beat_ms = tick.decode(record.value).tick_ms
                found += [LoggedReading(one.reading, one.partition, one.offset, beat_ms) for one in waiting.pop(record.partition, [])]
                ticks += 1
        except (msgspec.DecodeError, TypeError):
            unreadable[topic] = unreadable.get(topic, 0) + 1
    return found + [one for rest in waiting.values() for one in rest], ticks


def _decoded(records: Iterable[Any], kind: type[Any], unreadable: dict[str, int], topic: str) -> Iterable[Any]:
    decoder = msgspec.json.Decoder(kind)
    for record in records:
        if record.value is None:
            continue  # a question for the broker's time
        try:
            yield decoder.decode(record.value)
        except (msgspec.DecodeError, TypeError):
            unreadable[topic] = unreadable.get(topic, 0) + 1


def _lines(path: Path | None) -> list[dict[str, Any]]:
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
