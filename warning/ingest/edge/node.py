"""The node: a message of a sensor -> the limits, then the outbox, then the answer. The siren does not wait for the disk."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from warning.errors import InputError, Unavailable
from warning.ingest.edge.clock import Clock, Now
from warning.ingest.edge.limits import Judged, Seen, Watch
from warning.ingest.edge.outbox import Entry, NotTaken
from warning.ingest.edge.reading import Heard, Readings
from warning.ingest.edge.siren import Sounder
from warning.ingest.edge.store import Store
from warning.ingest.refused import Refused
from warning.model import Level, Parameter
from warning.site import Sensor, Site

LEVELS, SURE = "levels", "sure_ms"  # what is remembered from one start to the next
_AT_ONCE = 500  # readings in one transaction
_MOST_KEPT_BYTES = 16 << 10
_JUDGED_UNSURE = 2  # of one message and series, where nobody can tell history from now

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Local:
    """Who sends, here. ``stations`` empty: may send for all."""

    name: str
    stations: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message, after the outbox has it."""

    accepted: int
    refused: tuple[Refused, ...]
    now: Now
    ahead_ms: int  # how far its newest own time is ahead of the node's; 0 if none is


@dataclass
class Seeing:
    """What the node has seen since it started, for whoever asks."""

    taken: int = 0
    doubled: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    last: dict[str, tuple[int, float | None, str]] = field(default_factory=dict)  # series -> (time_ms, SI value, what the limits said)


class Node:
    """``news(urgent)`` is called when something is there to be handed on."""

    def __init__(self, site: Site, store: Store, clock: Clock, sounders: Sequence[Sounder], news: Callable[[bool], None]) -> None:
        self._store, self._clock, self._sounders, self._news = store, clock, sounders, news
        self._readings = Readings(site)
        self._rules, self._watches = site.rules, {sensor.name: Watch(sensor, site.rules) for sensor in site.sensors}
        self.seeing = Seeing()
        self.unsettled = True  # readings may wait for the time
        self.restored = False  # until then what the outbox remembers is more than what is known here
        self._kept_levels: dict[str, Level] = {}  # on the disk, as far as is known

    @property
    def levels(self) -> dict[str, Level]:
        """Series -> the class that stands there."""
        return {name: watch.level for name, watch in self._watches.items()}

    async def restore(self) -> None:
        """After a start: the classes that stood go on standing, and the sirens with them. Raises Unavailable."""
        text = await self._store.run(lambda outbox: outbox.remembered(LEVELS))
        for name, level in _levels(text).items():
            watch = self._watches.get(name)
            if watch is not None and watch.sensor.limits and level > watch.level:
                highest = max((each for each, _ in watch.sensor.limits), key=lambda each: each.rank)
                watch.level = min(level, highest, key=lambda each: each.rank)
        self.restored = True
        self.sound()

    async def settle(self) -> None:
        """Dates what came before the time was sure, if it is now. Raises Unavailable."""
        offset = self._clock.offset_ms
        if not self.unsettled or offset is None:
            return
        self.unsettled = False
        try:
            dated = await self._store.run(lambda outbox: outbox.settle(offset))
        except BaseException:
            self.unsettled = True
            raise
        for watch in self._watches.values():
            watch.clock_set()
        if dated:
            _log.warning("%d readings that waited for the time are dated", dated)

    def now(self) -> Now:
        return self._clock.now()

    async def take(self, texts: Sequence[bytes | msgspec.Raw], sender: Local, heard: Now | None = None) -> Taken:
        """JSON texts, one a reading. Raises Unavailable: nothing may be acknowledged, though the limits have heard it.

        ``heard``: the same message was heard then, by the limits only.
        """

        def read(text: bytes | msgspec.Raw, now: Now) -> Heard:
            return self._readings.heard(text, now, sender.stations)

        accepted, refused, ahead_ms, now = 0, list[Refused](), 0, heard or self._clock.now()
        for first in range(0, len(texts), _AT_ONCE):
            part = await self._take(texts[first : first + _AT_ONCE], read, sender, None if first else heard)
            accepted, ahead_ms = accepted + part.accepted, max(ahead_ms, part.ahead_ms)
            refused += [msgspec.structs.replace(one, index=one.index + first) for one in part.refused]
        return Taken(accepted, tuple(refused), now, ahead_ms)

    async def take_number(self, sensor: Sensor, payload: bytes, sender: Local, heard: Now | None = None) -> Taken:
        """A bare number from a sensor's own topic; ``heard`` as for ``take``. Raises Unavailable."""
        return await self._take([payload], lambda text, now: self._readings.number(sensor, bytes(text), now), sender, heard)

    async def keep(self, body: bytes, error: InputError, sender: Local) -> None:
        """Keeps a message that could not be split into readings. Raises Unavailable."""
        now = self._clock.now()
        self.seeing.refused[error.reason] += 1
        await self._store.run(lambda outbox: outbox.put((), (_not_taken(body, error, sender),), now.ms))

    async def _take(
        self, texts: Sequence[bytes | msgspec.Raw], read: Callable[[bytes | msgspec.Raw, Now], Heard], sender: Local, before: Now | None
    ) -> Taken:
        now = before or self._clock.now()
        heard: list[Heard] = []
        refused: list[Refused] = []
        kept: list[NotTaken] = []
        for index, text in enumerate(texts):
            try:
                heard.append(read(text, now))
            except InputError as error:
                refused.append(Refused.of(index, error))
                kept.append(_not_taken(bytes(text), error, sender))
                self.seeing.refused[error.reason] += 1
        rose = before is None and self._judge(heard, now)
        entries = [self._entry(one, now) for one in heard]
        if not self.restored:  # a disk that comes back only now: what it remembers must not be written over
            await self.restore()
        levels = self.levels
        remembered = self._remember(levels, now)
        new = await self._store.run(lambda outbox: outbox.put(entries, kept, now.ms, remembered))
        if LEVELS in remembered:
            self._kept_levels = levels
        self.unsettled |= any(entry.boot_ms is not None for entry in entries)
        self.seeing.taken, self.seeing.doubled = self.seeing.taken + new, self.seeing.doubled + len(entries) - new
        if new:
            self._news(rose)
        ahead_ms = max((one.time_ms - now.ms for one in heard if one.own_time), default=0)
        return Taken(len(heard), tuple(refused), now, max(ahead_ms, 0) if now.sure else 0)

    def _judge(self, heard: Sequence[Heard], now: Now) -> bool:
        """The limits hear the readings, oldest first; whether a class rose anywhere."""
        before = self.levels
        for one in _by_time(heard, now.sure):
            watch = self._watches[one.sensor.name]
            judged = watch.see(Seen(one.value, one.time_ms, now.ms, now.boot_ms, now.sure, one.own_time))
            self.seeing.judged[judged] += 1
            if judged not in (Judged.OLDER, Judged.STALE, Judged.SAME):
                self.seeing.last[one.sensor.name] = (one.time_ms, one.value, judged.value)
        after = self.levels
        if before == after:
            return False
        for name, level in after.items():
            if level != before[name]:
                _log.warning("%s: %s, was %s", name, level.name, before[name].name)
        self.sound()
        return any(level > before[name] for name, level in after.items())

    def sound(self) -> None:
        """Each siren hears the highest class of its series."""
        for sounder in self._sounders:
            names = sounder.siren.series or tuple(self._watches)
            sounder.hear(max((self._watches[name].level for name in names), key=lambda level: level.rank))

    def _entry(self, one: Heard, now: Now) -> Entry:
        watch = self._watches[one.sensor.name]
        waits = not one.own_time and not now.sure
        return Entry(
            one.item.station,
            one.item.parameter,
            one.time_ms,
            one.item.value,
            one.item.unit,
            one.item.datum,
            above=max(0, watch.reached(one.value).rank),
            boot_ms=now.boot_ms if waits else None,
            last=one.sensor.parameter is Parameter.RAIN,
        )

    def _remember(self, levels: dict[str, Level], now: Now) -> dict[str, str]:
        told = self.restored and levels != self._kept_levels
        kept = {LEVELS: msgspec.json.encode(levels).decode()} if told else {}
        return kept | ({SURE: str(now.ms)} if now.sure else {})


def _by_time(heard: Sequence[Heard], sure: bool) -> list[Heard]:
    """Oldest first. Where the node's time is not sure a message's history cannot be told from now: its newest two of each series count."""
    ordered = sorted(heard, key=lambda one: one.time_ms)
    if sure:
        return ordered
    counted: Counter[str] = Counter()
    newest: list[Heard] = []
    for one in reversed(ordered):
        counted[one.sensor.name] += 1
        if counted[one.sensor.name] <= _JUDGED_UNSURE:
            newest.append(one)
    return newest[::-1]


def _not_taken(source: bytes, error: InputError, sender: Local) -> NotTaken:
    return NotTaken(error.reason, error.field, str(error), error.fix, source[:_MOST_KEPT_BYTES], sender.name)


def _levels(text: str | None) -> dict[str, Level]:
    """What ``Node._remember`` wrote; what a dying card has made of it must not keep the sirens from starting."""
    try:
        return msgspec.json.decode(text, type=dict[str, Level]) if text else {}
    except ValueError as error:  # msgspec's errors are ValueErrors
        _log.error("which classes stood cannot be read, so they begin at NORMAL: %s", error)
        return {}


async def look_after(node: Node, store: Store, clock: Clock, every_s: float = 10.0) -> None:
    """What has to be done now and then: look at the clock, date what waited for it, thin what is too much. For ever."""
    while True:
        clock.look()
        try:
            if not node.restored:
                await node.restore()
            await node.settle()
            lost = await store.run(lambda outbox: outbox.tidy())
            if lost:
                _log.error("the outbox is full: %d readings were thinned and will not be sent", lost)
        except Unavailable:
            pass  # the store has said so, and goes on trying
        await asyncio.sleep(every_s)
