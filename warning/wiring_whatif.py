"""``warning whatif``: a history, or a log, decided twice: by the rules as they are and by others; which decisions change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from warning import config_changes, wiring_hindcast
from warning.model import CLASSES, AlertEvent, EventKind, Level
from warning.region import Region
from warning.stream.exported import Exported
from warning.stream.replay import LogRecord, log_with_ticks, replay_file

Progress = Callable[[str, int, int], None]
NEAR_MS = 24 * 3_600_000  # two alerts of one zone and class this near to each other are the same decision, made at another time


@dataclass(frozen=True, slots=True)
class Raised:
    """A zone's chain reached a class: it was raised with it, or upgraded to it. ``until_ms``: its end, or a lower class."""

    zone: str
    level: Level
    at_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """One decision, before and after; None: not made. ``what``: earlier | later | new | gone | shorter | longer | same."""

    what: str
    zone: str
    level: Level
    before: Raised | None
    after: Raised | None

    @property
    def earlier_h(self) -> float | None:
        """Hours that it comes earlier (negative: later)."""
        if self.before is None or self.after is None:
            return None
        return (self.before.at_ms - self.after.at_ms) / 3_600_000


@dataclass(frozen=True, slots=True)
class Compared:
    before: Region
    after: Region
    changes: tuple[Change, ...]
    documents: tuple[int, int]  # revisions that were published, before and after
    notes: tuple[str, ...] = ()


def of_readings(name: str, file: Path, limits: Path | None, settings: Iterable[str], progress: Progress) -> Compared:
    """Over a file of readings, as ``warning hindcast`` takes it."""
    found = wiring_hindcast.history(name, file, limits)
    other = config_changes.changed(found.region, settings)
    tick_s, total = wiring_hindcast.tick_of(found.readings), len(found.readings)

    def events(region: Region, what: str) -> Iterator[AlertEvent]:
        return _events(region, log_with_ticks(region, found.readings, tick_s, at_readings=True), what, total, progress)

    return _compared(found.region, other, events, found.notes)


def of_log(path: Path, settings: Iterable[str], progress: Progress) -> Compared:
    """Over an exported log: its readings and ticks from its first record on, nothing known before them. Its newest configuration counts."""
    log = Exported.of(path)
    region = list(log.regions.values())[-1]
    other = config_changes.changed(region, settings)

    def records() -> Iterator[LogRecord]:
        for _, keys, values in log.runs(0):
            for key, value in zip(keys, values, strict=True):
                if value is not None and (key is not None or b'"tick_ms"' in value):  # a switch of configuration decides nothing here
                    yield LogRecord(log.partition, key, value)

    notes = (f"{path.name}: from its first record on, with nothing known before",)
    return _compared(region, other, lambda one, what: _events(one, records(), what, 0, progress), notes)


def _events(region: Region, records: Iterable[LogRecord], what: str, total: int, progress: Progress) -> Iterator[AlertEvent]:
    done = 0
    for closed in replay_file(region, records):
        done += closed.readings
        progress(what, done, max(total, done))
        yield from closed.alerts


def _compared(before: Region, after: Region, events: Callable[[Region, str], Iterator[AlertEvent]], notes: tuple[str, ...]) -> Compared:
    first, second = list(events(before, "as it is")), list(events(after, "with the changes"))
    changes = changes_of(raised(first), raised(second))
    return Compared(before, after, tuple(changes), (len(first), len(second)), notes)


def raised(events: Iterable[AlertEvent]) -> list[Raised]:
    """Every time a chain reached a class, by zone and class in order of time; a chain that is raised high reaches all classes below too."""
    open_: dict[tuple[str, Level], int] = {}
    found: list[Raised] = []
    for event in events:
        alert = event.alert
        level = Level.NORMAL if alert.kind in (EventKind.CLEAR, EventKind.EXPIRE) else alert.level
        for one in CLASSES:
            key = (alert.zone, one)
            if one <= level:
                open_.setdefault(key, alert.sent_ms)
            elif key in open_:
                found.append(Raised(alert.zone, one, open_.pop(key), alert.sent_ms))
    found += [Raised(zone, level, at_ms, None) for (zone, level), at_ms in open_.items()]
    return sorted(found, key=lambda one: (one.zone, one.level.rank, one.at_ms))


def changes_of(before: Iterable[Raised], after: Iterable[Raised]) -> list[Change]:
    """Decisions side by side, by time. Two are the same one if they overlap or begin within a day of each other; the nearest first."""
    old, new = _grouped(before), _grouped(after)
    changes: list[Change] = []
    for key in sorted({*old, *new}, key=lambda one: (one[0], one[1].rank)):
        mine, theirs = old.get(key, []), new.get(key, [])
        pairs = sorted((abs(a.at_ms - b.at_ms), n, m) for n, a in enumerate(mine) for m, b in enumerate(theirs) if _same(a, b))
        used_old: dict[int, int] = {}
        used_new: set[int] = set()
        for _, n, m in pairs:
            if n not in used_old and m not in used_new:
                used_old[n] = m
                used_new.add(m)
        changes += [_change(key, one, theirs[used_old[n]] if n in used_old else None) for n, one in enumerate(mine)]
        changes += [_change(key, None, one) for m, one in enumerate(theirs) if m not in used_new]
    return sorted(changes, key=lambda one: (_time(one), one.zone, one.level.rank))


def _grouped(each: Iterable[Raised]) -> dict[tuple[str, Level], list[Raised]]:
    found: dict[tuple[str, Level], list[Raised]] = {}
    for one in each:
        found.setdefault((one.zone, one.level), []).append(one)
    return found


def _time(change: Change) -> int:
    return min(one.at_ms for one in (change.before, change.after) if one is not None)


def _same(one: Raised, other: Raised) -> bool:
    overlap = (one.until_ms is None or other.at_ms < one.until_ms) and (other.until_ms is None or one.at_ms < other.until_ms)
    return overlap or abs(one.at_ms - other.at_ms) <= NEAR_MS


def _change(key: tuple[str, Level], before: Raised | None, after: Raised | None) -> Change:
    if before is None or after is None:
        return Change("new" if before is None else "gone", *key, before, after)
    if before.at_ms != after.at_ms:
        return Change("earlier" if after.at_ms < before.at_ms else "later", *key, before, after)
    if before.until_ms == after.until_ms:
        return Change("same", *key, before, after)
    shorter = before.until_ms is None or (after.until_ms is not None and after.until_ms < before.until_ms)
    return Change("shorter" if shorter else "longer", *key, before, after)
