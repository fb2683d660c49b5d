"""``readings.rejected``, read for people: which letters, from whom, why; one at a time, however many millions there are.

A letter is one record of the topic; its name is ``partition:offset``. A plain consumer without a group, which disturbs nobody.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient

from warning import access
from warning.deployment import Deployment
from warning.errors import InputError, Unavailable
from warning.model import Rejected

UNREADABLE = "unreadable"  # a record of the topic that is no ``Rejected``: somebody else wrote it
CUT = re.compile(r" \((kept: the first \d+ of \d+ bytes|the first \d+ of \d+ bytes are kept)\)$")
_NAME = re.compile(r"(?:(\d{1,6}):)?(\d{1,18})")
_QUIET_S = 20.0  # so long nothing came, though more is there: the broker is away
_PORTION = 1000
_POLL_MS = 1000
_FOREVER = 1 << 62
_AWAY = (kafka.KafkaError, OSError, TimeoutError)
_HOUR_MS = 3_600_000

_DECODER = msgspec.json.Decoder(Rejected)


class _Named(msgspec.Struct):
    """What most formats call the station; and who sent it, in a reading of ours."""

    station: str = ""
    provider: str = ""


_NAMED = msgspec.json.Decoder(_Named)


@dataclass(frozen=True)
class Letter:
    """One record of ``readings.rejected``. ``digest`` tells it from another at the same place of another log."""

    partition: int
    offset: int
    at_ms: int  # when it was rejected
    rejected: Rejected
    digest: str

    @property
    def name(self) -> str:
        return f"{self.partition}:{self.offset}"

    @property
    def cut(self) -> bool:
        """Only its beginning was kept."""
        return CUT.search(self.rejected.detail) is not None

    @cached_property
    def source(self) -> bytes:
        """What was sent, as it came."""
        if self.rejected.encoding != "base64":
            return self.rejected.record.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.rejected.record, validate=True)
        except binascii.Error:
            return self.rejected.record.encode("utf-8", "surrogatepass")

    @property
    def understood(self) -> str:
        """The item as its way in understood it, JSON; empty where it is what was sent, or could not be understood."""
        item = self.rejected.item
        return item if isinstance(item, str) else ""

    @cached_property
    def _named(self) -> _Named:
        try:
            return _NAMED.decode(self.understood or self.rejected.record)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return _Named()

    @property
    def station(self) -> str:
        """As its sender calls it; empty where that cannot be told."""
        return self._named.station

    @property
    def sender(self) -> str:
        """Whose key it was; of a reading that the stream rejected, what the gateway wrote into it."""
        return self.rejected.provider or self._named.provider


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters; what is empty or None selects all. ``since_ms`` <= when it was rejected < ``until_ms``."""

    names: frozenset[tuple[int, int]] = frozenset()  # partition, offset
    reasons: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    senders: frozenset[str] = frozenset()
    stations: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def narrow(self) -> bool:
        """Selects by something, not all there is."""
        return self != Selection(since_ms=self.since_ms, until_ms=self.until_ms)

    def takes(self, letter: Letter) -> bool:
        return (
            (not self.names or (letter.partition, letter.offset) in self.names)
            and (not self.reasons or letter.rejected.reason in self.reasons)
            and (not self.stages or letter.rejected.stage in self.stages)
            and (self.since_ms is None or letter.at_ms >= self.since_ms)
            and (self.until_ms is None or letter.at_ms < self.until_ms)
            and (not self.senders or letter.sender in self.senders)
            and (not self.stations or letter.station in self.stations)
        )


def place_of(name: str) -> tuple[int, int]:
    """``partition:offset``, or the offset alone. Raises InputError."""
    found = _NAME.fullmatch(name.strip())
    if found is None:
        fix = "write partition:offset as `warning rejected list` shows it, such as 0:1234"
        raise InputError(f"{name[:40]!r} names no rejected record", reason="name", field="ID", fix=fix)
    return int(found[1] or 0), int(found[2])


async def read(deployment: Deployment, selection: Selection) -> AsyncIterator[Letter]:
    """The letters selected, in their order, up to the present end of the topic. Raises Unavailable, AccessError."""
    try:
        places = await _places(deployment)
        async with _consumer(deployment) as consumer:
            ends = await _within(consumer.end_offsets(places))
            starts = await _starts(consumer, deployment, ends, selection)
            for place in places:
                async for letter in _partition(consumer, place, starts[place], ends[place], selection, deployment.embedded):
                    yield letter
    except _AWAY as error:
        raise access.in_words(error, deployment) from error


async def _within(waiting: Any) -> Any:
    async with asyncio.timeout(_QUIET_S):
        return await waiting


@contextlib.asynccontextmanager
async def _consumer(deployment: Deployment) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(**access.arguments(deployment), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await _within(consumer.start())
        yield consumer
    finally:
        # Apart from us: to stop a consumer whose broker is gone may hang, and may raise CancelledError though nobody cancelled.
        stopping = asyncio.ensure_future(consumer.stop())
        await asyncio.wait([stopping], timeout=5.0)
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)


async def _places(deployment: Deployment) -> list[TopicPartition]:
    """All topics are listed: to ask for one by name can create it, and a consumer knows of none but its own."""
    admin = AIOKafkaAdminClient(**access.arguments(deployment), request_timeout_ms=int(_QUIET_S * 1000))
    try:
        await _within(admin.start())
        found = await _within(admin.describe_topics())
    finally:
        await admin.close()
    for entry in found:
        if entry["topic"] == deployment.rejected:
            return [TopicPartition(deployment.rejected, number) for number in sorted(each["partition"] for each in entry["partitions"])]
    raise Unavailable(f"topic {deployment.rejected} is not there yet (the worker makes it at its first start)", reason="topic")


async def _starts(
    consumer: Any, deployment: Deployment, ends: dict[TopicPartition, int], selection: Selection
) -> dict[TopicPartition, int]:
    """Where each partition is read from: its beginning, the first letter named, or by Kafka's own times an hour before ``since_ms``."""
    places = list(ends)
    consumer.assign(places)
    starts: dict[TopicPartition, int] = dict(await _within(consumer.beginning_offsets(places)))
    if selection.since_ms is not None and not (deployment.embedded or deployment.replay):
        since = max(0, selection.since_ms - _HOUR_MS)
        found = await _within(consumer.offsets_for_times(dict.fromkeys(places, since)))
        starts |= {place: ends[place] if at is None else at.offset for place, at in found.items()}
    for place in places:
        named = [offset for partition, offset in selection.names if partition == place.partition]
        if selection.names:
            starts[place] = max(starts[place], min(named, default=_FOREVER))
    return starts


async def _partition(
    consumer: Any, place: TopicPartition, start: int, end: int, selection: Selection, embedded: bool
) -> AsyncIterator[Letter]:
    """Up to ``end``. What the embedded broker says of it may be too low: there, until nothing comes behind it either."""
    stop = _FOREVER if embedded else end
    if selection.names:
        stop = min(stop, max((offset for partition, offset in selection.names if partition == place.partition), default=-1) + 1)
    if start >= stop:
        return
    consumer.assign([place])
    consumer.seek(place, start)
    loop = asyncio.get_running_loop()
    heard = loop.time()
    while (position := await consumer.position(place)) < stop:
        records = (await consumer.getmany(place, timeout_ms=_POLL_MS, max_records=_PORTION)).get(place, ())
        for letter in _letters(place.partition, records):
            if letter.offset < stop and selection.takes(letter):
                yield letter
        if records:
            heard = loop.time()
        elif embedded and position >= end:
            return
        elif loop.time() - heard > _QUIET_S:
            raise Unavailable(f"{place.topic}: nothing comes any more, though its end is not reached")


def _letters(partition: int, records: Iterable[Any]) -> list[Letter]:
    return [letter_of(partition, each.offset, each.timestamp, each.value or b"") for each in records]


def letter_of(partition: int, offset: int, timestamp_ms: int, value: bytes) -> Letter:
    """One record as a letter. One that is no ``Rejected`` has the reason ``unreadable`` and all its bytes."""
    try:
        found = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = base64.b64encode(value).decode("ascii")
        found = Rejected(reason=UNREADABLE, stage="rejected", detail=f"no record of ours: {error}", record=text, encoding="base64")
    return Letter(partition, offset, found.at_ms or timestamp_ms, found, hashlib.sha256(value).hexdigest()[:32])
