"""The gateway: items as sent -> readings in the log, each in its basin's partition; what is refused is kept with its reason."""

from __future__ import annotations

import base64
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from warning.deployment import Deployment
from warning.errors import InputError
from warning.ingest.formats import Formats, Item, item
from warning.ingest.log import Log, Place, Record, TooLarge
from warning.ingest.refused import Refused
from warning.ingest.written import Records, Writer
from warning.model import Rejected, to_json
from warning.region import Region

Clock = Callable[[], int]  # ms since 1970 UTC

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
        self._log, self._clock = log, clock
        self._rejected: Place = (deployment.rejected, 0)
        lane = {basin: ((deployment.readings, partition), basin.encode()) for basin, partition in region.basins.items()}
        self._writer = Writer(Formats(region), {station.id: lane[station.basin] for station in region.stations})

    @staticmethod
    def topics(region: Region, deployment: Deployment) -> dict[str, int]:
        """Topic -> partitions, as ``KafkaLog`` checks them."""
        return {deployment.readings: region.partitions, deployment.rejected: 1}

    async def take(self, texts: Sequence[bytes | msgspec.Raw], sender: Sender) -> Taken:
        """Judges and appends the items of one request, JSON texts. Raises Unavailable: then nothing may be called accepted."""
        return await self.take_items([_read(text) for text in texts], lambda index: bytes(texts[index]), sender)

    async def take_items(self, items: Sequence[Item | InputError], source: Callable[[int], bytes], sender: Sender) -> Taken:
        """The same for items that were read all at once; ``source``: what was sent of one, asked for only where it is refused."""
        records = _records()
        taken = self._judged(items, source, sender, self._clock(), records)
        await self.append(records)
        return taken

    async def offer(self, parts: Sequence[Part], sender: Sender) -> Taken:
        """The same for a format that is not ours: parts that somebody else has read. Raises Unavailable likewise."""
        return (await self.offer_each([(parts, sender)]))[0]

    async def offer_each(self, messages: Sequence[tuple[Sequence[Part], Sender]]) -> list[Taken]:
        """The same for the messages of several senders, in one append: the log has all of them, or it raises Unavailable."""
        now_ms, records, taken = self._clock(), _records(), []
        for parts, sender in messages:
            items = [part.item for part in parts]
            taken.append(self._judged(items, lambda index, parts=parts: parts[index].source, sender, now_ms, records, whole=True))  # type: ignore[misc]
        await self.append(records)
        return taken

    def _judged(
        self,
        items: Sequence[Item | InputError],
        source: Callable[[int], bytes],
        sender: Sender,
        now_ms: int,
        records: Records,
        *,
        whole: bool = False,
    ) -> Taken:
        """What is to be appended is added to ``records``; what will have become of it once the log has them. ``whole``: what was sent
        of a refused one does not say how it was understood, so that is kept, too."""
        errors, newest_ms = self._writer.write(items, sender.provider, sender.stations, now_ms, records)
        refused: list[Refused] = []
        for index, error in errors:
            refused.append(Refused.of(index, error))
            kept, one = rejected(source(index), error, sender.provider, now_ms), items[index]
            if whole and isinstance(one, Item):
                kept = replace(kept, item=_said(one))
            records[self._rejected].append((None, to_json(kept)))
        return Taken(len(items) - len(refused), tuple(refused), now_ms, newest_ms - now_ms)

    async def keep(self, body: bytes, error: InputError, sender: Sender) -> None:
        """Keeps a body that could not even be split into items. Raises Unavailable."""
        await self.append({self._rejected: [self._kept(body, error, sender.provider, self._clock())]})

    def placed(self, text: bytes, sender: Sender) -> tuple[Place, Record]:
        """One item as what is to be appended, and where. Raises InputError."""
        return self._writer.record(item(text), sender.provider, sender.stations, self._clock())

    def refused(
        self, text: bytes, error: InputError, provider: str, key: bytes | None, partition: int, offset: int
    ) -> tuple[Place, Record]:
        """The same for one that is refused where it stood in ``readings.inbox``."""
        kept = rejected(text, error, provider, self._clock())
        return self._rejected, (key, to_json(replace(kept, stage="inbox", partition=partition, offset=offset)))

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        """Returns when the log has all; of what is refused and too long for the brokers it has the beginning. Raises Unavailable."""
        try:
            await self._log.append(records)
        except TooLarge as error:
            if error.place != self._rejected:
                raise
            letters = [shortened(*record, error.most) for record in records[self._rejected]]
            await self._log.append({**records, self._rejected: letters})

    @staticmethod
    def _kept(text: bytes, error: InputError, provider: str, at_ms: int) -> Record:
        return None, to_json(rejected(text, error, provider, at_ms))


def _records() -> Records:
    return defaultdict(list)


def _read(text: bytes | msgspec.Raw) -> Item | InputError:
    try:
        return item(text)
    except InputError as error:
        return error


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


def shortened(key: bytes | None, text: bytes, most: int) -> Record:
    """A record of ``readings.rejected`` of at most so many bytes: without its key and with less of what was sent, and it says so."""
    if len(key or b"") + len(text) <= most:
        return key, text
    letter = msgspec.json.decode(text, type=Rejected)
    kept = len(letter.record)
    while len(text) > most and kept:
        kept //= 2
        detail = f"{letter.detail[:_MOST_DETAIL]} (shortened: the brokers take {most} bytes)"
        text = to_json(replace(letter, detail=detail, record=letter.record[: kept // 4 * 4], item=msgspec.UNSET))  # 4: base64's step
    return None, text
