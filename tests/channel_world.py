"""What the dispatch tests share: a small region, alert events of any time, and a deployment on a broker of this test run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import regions
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from warning import config
from warning.alerts import cap
from warning.deployment import Deployment
from warning.model import Alert, AlertEvent, Certainty, EventKind, Hazard, Level, Receipt, Status, to_json
from warning.region import Contact, Region
from warning.stream.topics import ensure_topics

SECRET = "whsec_cmVoZWFyc2FsIG9ubHksIG5vdCBhIHNlY3JldA=="
HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def region(tmp_path: Path, contacts: Iterable[Contact] | None = None) -> Region:
    loaded = config.load(regions.write_region(tmp_path))
    return loaded if contacts is None else replace(loaded, contacts=tuple(contacts))


def contact(
    number: int, *, language: str = "en", level: Level = Level.LOW, hook: str = "", phone: bool = True, **changes: object
) -> Contact:
    """An exercise contact of every district."""
    made = Contact(
        id=f"c{number}",
        name=f"Contact {number}",
        role="public",
        language=language,
        districts=(),
        level=level,
        phone=f"+999{2000000 + number}" if phone else "",
        webhook=f"rehearsal:{hook}" if hook else "",
        secret=SECRET if hook else "",
        live=False,
    )
    return replace(made, **changes)


def hazard(where: Region, zone: str, level: Level, at_ms: int) -> Hazard:
    return Hazard(
        region=where.id,
        zone=zone,
        at_ms=at_ms,
        quantity="stage",
        value=4.2,
        observed_ms=at_ms,
        level=level,
        level_confirmed=level,
        level_cleared=level,
        level_expected=Level.NORMAL,
        level_expected_cleared=Level.NORMAL,
        probability=0.0,
        arrival_ms=None,
        silent_since_ms=None,
        words=("the stage is 4.2 m",),
    )


def event(
    where: Region,
    zone: str,
    revision: int = 1,
    kind: EventKind = EventKind.RAISE,
    level: Level = Level.HIGH,
    *,
    sent_ms: int,
    raised_ms: int | None = None,
    expires_ms: int | None = None,
    previous: Level = Level.NORMAL,
    status: Status = Status.EXERCISE,
) -> AlertEvent:
    raised = sent_ms if raised_ms is None else raised_ms
    alert = Alert(
        identifier=f"{where.namespace}.{zone}.{raised // 1000}.{revision}",
        region=where.id,
        zone=zone,
        revision=revision,
        kind=kind,
        event_ids=(f"{where.namespace}.{zone}.{raised // 1000}",),
        status=status,
        level=level,
        previous_level=previous,
        certainty=Certainty.OBSERVED,
        raised_ms=raised,
        sent_ms=sent_ms // 1000 * 1000,
        expires_ms=expires_ms or sent_ms // 1000 * 1000 + 22 * HOUR_MS,
        arrival_ms=None,
        told_arrival_ms=None,
        hazard=hazard(where, zone, level, sent_ms),
    )
    return AlertEvent(alert=alert, cap="" if kind is EventKind.EXPIRE else cap.document(alert, where), config=where.digest, code="test")


async def deployment(bootstrap: str, folder: Path, name: str, **changes: object) -> Deployment:
    """One with topics of its own."""
    made = replace(Deployment(bootstrap=bootstrap, prefix=f"{name}.", directory=folder, sms_sender="8080"), **changes)
    await ensure_topics(made, 2)
    return made


async def write(bootstrap: str, topic: str, records: Iterable[tuple[str, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for key, value in records:
            await producer.send(topic, key=key.encode(), value=value)
        await producer.flush()
    finally:
        await producer.stop()


async def publish(where: Deployment, events: Iterable[AlertEvent]) -> None:
    await write(where.bootstrap, where.alerts, [(event.alert.identifier, to_json(event)) for event in events])


async def receipts(where: Deployment) -> list[Receipt]:
    """Everything on the topic ``receipts``."""
    consumer = AIOKafkaConsumer(bootstrap_servers=where.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(where.receipts, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, 0)
        found: list[bytes | None] = []
        while len(found) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value for record in records]
        return [msgspec.json.decode(value, type=Receipt) for value in found if value is not None]  # without questions for the time
    finally:
        await consumer.stop()


async def until(condition, within_s: float = 120.0, what: str = "") -> None:
    """Waits for something that must come; ``condition`` may be a coroutine function."""
    end = time.monotonic() + within_s
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return
        assert time.monotonic() < end, f"not within {within_s} s: {what or condition}"
        await asyncio.sleep(0.02)
