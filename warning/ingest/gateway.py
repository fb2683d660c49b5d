"""The gateway: items as sent -> readings in the log, each in its basin's partition; what is refused is kept with its reason."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from warning.deployment import Deployment
from warning.errors import InputError
from warning.ingest.formats import Formats, Item, Refusal, item, refusal
from warning.ingest.log import Log, Place, Record
from warning.model import Reading, Rejected, to_json
from warning.region import Region

Clock = Callable[[], int]  # ms since 1970 UTC
_T = TypeVar("_T")

MOST_KEPT_BYTES = 64 << 10  # of one refused item or body: a record of Kafka holds 1 MB, and JSON may escape each byte sixfold
_MOST_DETAIL = 2000  # characters: the words of a parser may repeat what was sent


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends. ``stations`` empty: may send for all."""

    provider: str
    stations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """One reading as a way in has understood it: what the sender sent of it, which is kept where it is refused, and what that says.

    A format that is not ours (MQTT, LoRaWAN, SHEF, WaterML, an SMS ...) is turned into these, and ``Gateway.offer`` takes them.
    """

    source: bytes
    item: Item | InputError


class Refused(msgspec.Struct, frozen=True):
    """One item that was not taken; ``index`` counts from 0 in the request."""

    index: int
    reason: str
    field: str
    detail: str
    fix: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request, after the log has it."""

    accepted: int
    refused: tuple[Refused, ...]
    received_ms: int
    ahead_ms: int  # how far the newest accepted time is ahead of the gateway's clock; 0 if none is

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(one.reason for one in self.refused))


class Gateway:
    """The only writer of readings to ``readings``: explicit partition ``region.basins[basin]``, key = basin.

    Returns only when the log has acknowledged every reading and every refusal; raises Unavailable otherwise, and then the sender
    sends the whole request again.
    """

    def __init__(self, region: Region, deployment: Deployment, log: Log, clock: Clock) -> None:
        self._formats = Formats(region)
        self._log, self._clock = log, clock
        self._rejected: Place = (deployment.rejected, 0)
        self._place: Mapping[str, tuple[Place, bytes]] = {
            station.id: ((deployment.readings, region.basins[station.basin]), station.basin.encode()) for station in region.stations
        }

    @staticmethod
    def topics(region: Region, deployment: Deployment) -> dict[str, int]:
        """Topic -> partitions, as ``KafkaLog`` checks them."""
        return {deployment.readings: region.partitions, deployment.rejected: 1}

    async def take(self, texts: Sequence[bytes | msgspec.Raw], sender: Sender) -> Taken:
        """Judges and appends the items of one request, JSON texts. Raises Unavailable: then nothing may be called accepted."""
        return await self._taken(texts, item, _as_sent, sender)

    async def take_items(self, items: Sequence[Item], source: Callable[[int], bytes], sender: Sender) -> Taken:
        """The same for items that were read all at once; ``source``: what was sent of one, asked for only where it is refused."""
        return await self._taken(items, _itself, lambda index, _: source(index), sender)

    async def offer(self, parts: Sequence[Part], sender: Sender) -> Taken:
        """The same for a format that is not ours: parts that somebody else has read. Raises Unavailable likewise."""
        return await self._taken(parts, _understood, _source, sender)

    async def offer_each(self, messages: Sequence[tuple[Sequence[Part], Sender]]) -> list[Taken]:
        """The same for the messages of several senders, in one append: the log has all of them, or it raises Unavailable."""
        now_ms = self._clock()
        records: dict[Place, list[Record]] = {}
        taken = [self._judged(parts, _understood, _source, sender, now_ms, records) for parts, sender in messages]
        await self._log.append(records)
        return taken

    async def _taken(self, these: Sequence[_T], read: Callable[[_T], Item], source: Callable[[int, _T], bytes], sender: Sender) -> Taken:
        records: dict[Place, list[Record]] = {}
        taken = self._judged(these, read, source, sender, self._clock(), records)
        await self._log.append(records)
        return taken

    def _judged(
        self,
        these: Sequence[_T],
        read: Callable[[_T], Item],
        source: Callable[[int, _T], bytes],
        sender: Sender,
        now_ms: int,
        records: dict[Place, list[Record]],
    ) -> Taken:
        """What is to be appended is added to ``records``; what will have become of it once the log has them."""
        refused: list[Refused] = []
        newest_ms = now_ms
        places = self._place
        for index, one in enumerate(these):
            try:
                reading = self._reading(read(one), sender, now_ms)
            except InputError as error:
                refused.append(Refused(index, error.reason, error.field, str(error), error.fix))
                kept = rejected(source(index, one), error, sender.provider, now_ms)
                if isinstance(one, Part) and isinstance(one.item, Item):
                    kept = replace(kept, item=_said(one.item))
                records.setdefault(self._rejected, []).append((None, to_json(kept)))
                continue
            if reading.time_ms > newest_ms:
                newest_ms = reading.time_ms
            place, key = places[reading.station]
            if place not in records:
                records[place] = []
            records[place].append((key, to_json(reading)))
        return Taken(len(these) - len(refused), tuple(refused), now_ms, newest_ms - now_ms)

    async def keep(self, body: bytes, error: InputError, sender: Sender) -> None:
        """Keeps a body that could not even be split into items. Raises Unavailable."""
        await self._log.append({self._rejected: [self._kept(body, error, sender.provider, self._clock())]})

    def placed(self, text: bytes, sender: Sender) -> tuple[Place, Record]:
        """One item as what is to be appended, and where. Raises InputError."""
        reading = self._reading(item(text), sender, self._clock())
        place, key = self._place[reading.station]
        return place, (key, to_json(reading))

    def refused(
        self, text: bytes, error: InputError, provider: str, key: bytes | None, partition: int, offset: int
    ) -> tuple[Place, Record]:
        """The same for one that is refused where it stood in ``readings.inbox``."""
        kept = rejected(text, error, provider, self._clock())
        return self._rejected, (key, to_json(replace(kept, stage="inbox", partition=partition, offset=offset)))

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        """Returns when the log has all of them. Raises Unavailable."""
        await self._log.append(records)

    def _reading(self, one: Item, sender: Sender, now_ms: int) -> Reading:
        if sender.stations and one.station not in sender.stations and one.station in self._place:  # first: whatever else is wrong with it
            what, fix = f"this key may not send for {one.station}", "use the key that was issued for this station"
            raise refusal(Refusal.STATION_FORBIDDEN, "station", what, fix)
        return self._formats.reading(one, provider=sender.provider, received_ms=now_ms)

    @staticmethod
    def _kept(text: bytes, error: InputError, provider: str, at_ms: int) -> Record:
        return None, to_json(rejected(text, error, provider, at_ms))


def _understood(part: Part) -> Item:
    if isinstance(part.item, InputError):
        raise part.item
    return part.item


def _source(_: int, part: Part) -> bytes:
    return part.source


def _as_sent(_: int, text: bytes | msgspec.Raw) -> bytes:
    return bytes(text)


def _itself(one: Item) -> Item:
    return one


def _said(one: Item) -> str | msgspec.UnsetType:
    """For whoever mends it later; JSON has no NaN, and null would be another thing. Of an item that is too long nothing: a record that
    the broker refuses for its size would hold up all others."""
    finite = one.value is None or math.isfinite(one.value)
    text = msgspec.json.encode(one) if finite else b""
    return text.decode() if 0 < len(text) <= MOST_KEPT_BYTES else msgspec.UNSET


def rejected(text: bytes, error: InputError, provider: str, at_ms: int) -> Rejected:
    """The record of ``readings.rejected`` for one item; of a very long one its first 64 KB, and the detail says so."""
    kept, detail = text[:MOST_KEPT_BYTES], (f"{error.field}: {error}" if error.field else str(error))[:_MOST_DETAIL]
    if len(kept) < len(text):
        detail += f" (kept: the first {len(kept)} of {len(text)} bytes)"
    try:
        record, encoding = kept.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        record, encoding = base64.b64encode(kept).decode("ascii"), "base64"
    return Rejected(reason=error.reason, stage="ingest", detail=detail, record=record, encoding=encoding, provider=provider, at_ms=at_ms)
