"""One source, asked again and again: fetch, understand, offer to the gateway, and only when the log has it move the watermark.

Killed anywhere in between, the same is asked for again, and what came twice is a duplicate by its identity. Each source is a task with a
client of its own: one that hangs, lies or is away delays no other. What is refused is kept once, not at every poll.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from warning.config_sources import Source
from warning.errors import InputError, Unavailable
from warning.facts import DeviceHeard, Listener, Received, SourcePolled, nobody
from warning.ingest.agency import NOT_THIS_FORMAT, Mapped, mapped
from warning.ingest.formats import FUTURE_MS, Item, Refusal
from warning.ingest.gateway import Gateway, Part, Sender
from warning.ingest.pull_fetch import Answer, Fetch, too_large
from warning.ingest.pull_window import Ask, asks
from warning.ingest.pushed import reader
from warning.ingest.watermark import Watermarks

CATCH_UP_MS = 3600 * 1000
AT_ONCE = 2000  # parts in one request to the gateway
MOST_IN_A_ROW = 3  # failures of a round, then the source as a whole is away
_WHOLE = frozenset({"throttled", "unauthenticated", "secret", "forbidden_address", "log"})  # no use in asking it for anything else now
_FIRST_PAUSE_S = 5.0
_REMEMBERED = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _End(enum.Enum):
    """How a request ended."""

    WELL = "well"
    WRONG = "wrong"  # kept in readings.rejected; what comes after it must wait
    TOO_MUCH = "too much"  # cut off: the same in halves


@dataclass(slots=True)
class Round:
    """What one round of requests brought. ``outcome``: taken, unchanged, empty, refused (all of it), or the reason of the last failure."""

    outcome: str = "unchanged"
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    no_observation: int = 0
    why: str = ""
    retry_after_s: float | None = None

    @property
    def well(self) -> bool:
        return self.outcome in ("taken", "unchanged", "empty")


class Puller:
    """``clock``: ms since 1970."""

    def __init__(self, source: Source, gateway: Gateway, marks: Watermarks, clock: Callable[[], int], listen: Listener = nobody) -> None:
        self.source, self._gateway, self._database, self._clock, self._listen = source, gateway, marks, clock, listen
        self._fetch = Fetch(source)
        self._read = reader(source.agency)
        self._sender = Sender(source.id, frozenset(theirs.station for theirs in source.stations.values()))
        self._marks: dict[tuple[str, str], int] | None = None  # None: not read yet
        self._unwritten: dict[tuple[str, str], int] = {}
        self._seen: dict[tuple[str, str, datetime], Item] = {}  # what the log has of the time that is asked for again and again
        self._refused: dict[bytes, None] = {}  # digests of what readings.rejected has
        self._caught_up_ms = 0
        self._early_ms: int | None = None  # when the first reading that was ahead of our clock is so no more
        self._failed: set[tuple[str, ...]] = set()
        self._wrong: dict[str, tuple[str, str]] = {}  # what was wrong with the answer to a URL that is not windowed, until it changes

    async def start(self) -> None:
        await self._fetch.start()

    async def stop(self) -> None:
        await self._fetch.stop()

    async def run(self, stop: asyncio.Event) -> None:
        """Rounds until ``stop`` is set: at the source's pace, and after failures with growing pauses, or as long as it asks for."""
        failures = 0
        pause_s = random.uniform(0, min(2.0, self.source.every_s))  # noqa: S311 - so that not all sources begin at once
        while not await _stopped(stop, pause_s):
            began = time.monotonic()
            done = await self.round()
            failures = 0 if done.well or done.outcome in (NOT_THIS_FORMAT, "refused") else failures + 1
            every_s = self.source.every_s
            if not failures:
                pause_s = max(every_s * random.uniform(0.9, 1.1) - (time.monotonic() - began), every_s / 10)  # noqa: S311
            else:
                pause_s = min(max(every_s, 60.0), _FIRST_PAUSE_S * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
                pause_s = max(min(pause_s, every_s), done.retry_after_s or 0.0)

    async def round(self) -> Round:
        """One round of requests. Never raises for what the agency, the log or the database does."""
        began, done = time.monotonic(), Round()
        try:
            await self._round(done)
        except Unavailable as error:
            _fail(done, error)
        except Exception as error:  # one source's trouble, or our fault: it must not end the others
            _log.exception("%s: a round failed", self.source.id)
            done.outcome, done.why = "internal", f"{type(error).__name__}: {error}"
        if not done.well:
            _log.warning("%s: %s: %s", self.source.id, done.outcome, done.why)
        newest_ms = max((self._marks or {}).values(), default=None)
        seconds = time.monotonic() - began
        self._listen(SourcePolled(self.source.id, done.outcome, done.accepted, dict(done.refused), newest_ms, seconds))
        return done

    async def _round(self, done: Round) -> None:
        now_ms = self._clock()
        await self._ready(now_ms)
        catch_up = now_ms - self._caught_up_ms >= CATCH_UP_MS
        known = self._marks if self._marks is not None else self._unwritten
        planned = asks(self.source, known, now_ms, catch_up=catch_up, first=not self._caught_up_ms)
        queue = deque(sorted(planned, key=lambda ask: ask.theirs in self._failed))
        failed: set[tuple[str, ...]] = set()
        in_a_row = 0
        while queue:
            ask = queue.popleft()
            if ask.theirs in failed:  # what comes after a gap must wait, or the watermark would pass it
                continue
            try:
                end = await self._one(ask, done)
            except Unavailable as error:
                failed.add(ask.theirs)
                in_a_row += 1
                _fail(done, error)
                if error.reason in _WHOLE or in_a_row >= MOST_IN_A_ROW:
                    break
                continue
            in_a_row = 0
            halves = ask.halves() if end is _End.TOO_MUCH else None
            if halves is None and end is not _End.WELL:
                failed.add(ask.theirs)
            queue.extendleft(reversed(halves or ()))
        else:
            self._caught_up_ms = now_ms if catch_up else self._caught_up_ms
        self._failed = failed

    async def _ready(self, now_ms: int) -> None:
        if self._early_ms is not None and now_ms >= self._early_ms:
            self._early_ms = None
            self._fetch.forget()
        if self._marks is None:
            try:
                stored = await self._database.load(self.source.id)
                self._marks = {place: max(stored.get(place, -1), self._unwritten.get(place, -1)) for place in stored | self._unwritten}
                self._tell_gap(now_ms)
            except Unavailable as error:  # a flood does not wait for a database: from what this process knows, until it is there
                _log.warning("%s: %s", self.source.id, error)
        old_ms = now_ms - 2 * int(self.source.overlap_s * 1000)
        self._seen = {place: item for place, item in self._seen.items() if _ms(item.time) >= old_ms}

    def _tell_gap(self, now_ms: int) -> None:
        """After an outage that was longer than ``back``: what nobody will ask for any more is said, not passed over."""
        from_ms, until_ms = max((self._marks or {}).values(), default=now_ms), now_ms - int(self.source.back_s * 1000)
        if self.source.windowed and from_ms < until_ms:
            words = "%s: the log ends %s, and what came before %s is not asked for: a longer back: would"
            _log.warning(words, self.source.id, *(datetime.fromtimestamp(ms // 1000, UTC).isoformat() for ms in (from_ms, until_ms)))

    async def _one(self, ask: Ask, done: Round) -> _End:
        """One request, and all that it brings in the log."""
        began = time.monotonic()
        answer = await self._fetch.get(ask)
        self._listen(DeviceHeard(self.source.id, "pull", self._clock(), clock_skew_s=answer.clock_ahead_s))
        if answer.body is None:  # as it was: if that was wrong, it still is
            outcome, done.why = self._wrong.get(answer.key, (done.outcome, done.why))
            done.outcome = outcome if done.well else done.outcome
            return _End.WELL if answer.key not in self._wrong else _End.WRONG
        self._wrong.pop(answer.key, None)
        try:
            if answer.cut:
                raise too_large(self.source)
            found, items = await asyncio.to_thread(self._understood, answer.body)
        except InputError as error:
            await self._keep(answer, error)
            self._fetch.remember(answer)
            done.outcome, done.why = error.reason, f"{error} ({error.fix})"
            self._remember_wrong(answer, done)
            done.refused[error.reason] += 1
            self._listen(Received(0, {error.reason: 1}, 422, time.monotonic() - began))
            return _End.TOO_MUCH if answer.cut else _End.WRONG
        accepted, refused, marks = await self._offered(found.parts)
        done.accepted += accepted
        done.refused += refused
        done.others += found.others
        done.no_observation += found.no_observation
        if done.well:
            done.outcome = _outcome(done, found, marks)
            if not done.well:
                done.why = "not one reading of it could be taken: the agency may have changed its format"
                self._remember_wrong(answer, done)
        self._listen(Received(accepted, dict(refused), 202, time.monotonic() - began))
        full = self.source.agency.most_items is not None and items >= self.source.agency.most_items and ask.halves() is not None
        if ask.moves and not full:
            await self._move(marks)
            self._fetch.remember(answer)
        return _End.TOO_MUCH if full else _End.WELL

    def _understood(self, body: bytes) -> tuple[Mapped, int]:
        said = self._read(body)
        return mapped(said, self.source), len(said)

    async def _keep(self, answer: Answer, error: InputError) -> None:
        """In readings.rejected, once. Raises Unavailable."""
        body = answer.body or b""
        digest = _digest(body)
        if digest not in self._refused:
            await _unless_away(lambda: self._gateway.keep(body, error, self._sender))
            self._remember_refused(digest)

    async def _offered(self, parts: Sequence[Part]) -> tuple[int, Counter[str], dict[tuple[str, str], int]]:
        """(accepted, refused by reason, newest time of each series that the log has). Raises Unavailable."""
        new: list[Part] = []
        marks: dict[tuple[str, str], int] = {}
        for part in parts:
            if isinstance(part.item, Item) and self._seen.get(_place(part.item)) == part.item:
                _advance(marks, part.item)
            elif _digest(part.source) not in self._refused:
                new.append(part)
        accepted, reasons = 0, Counter[str]()
        for first in range(0, len(new), AT_ONCE):
            some = new[first : first + AT_ONCE]
            taken = await _unless_away(lambda some=some: self._gateway.offer(some, self._sender))  # type: ignore[misc]
            accepted += taken.accepted
            reasons.update(one.reason for one in taken.refused)
            refused = {one.index: one.reason for one in taken.refused}
            for index, part in enumerate(some):
                self._note(part, refused.get(index), marks)
        return accepted, reasons, marks

    def _note(self, part: Part, reason: str | None, marks: dict[tuple[str, str], int]) -> None:
        """What the log made of one part, for the next round."""
        if reason is None and isinstance(part.item, Item):
            self._seen[_place(part.item)] = part.item
            _advance(marks, part.item)
        elif reason == Refusal.TIME_FUTURE and isinstance(part.item, Item):  # to be had when its time has come
            early_ms = _ms(part.item.time) - FUTURE_MS
            self._early_ms = early_ms if self._early_ms is None else min(self._early_ms, early_ms)
        else:
            self._remember_refused(_digest(part.source))

    async def _move(self, marks: dict[tuple[str, str], int]) -> None:
        """The watermark; while the database is away it moves here, and there as soon as it is back."""
        known = self._marks if self._marks is not None else self._unwritten
        self._unwritten |= {place: at_ms for place, at_ms in marks.items() if at_ms > known.get(place, -1)}
        if self._marks is not None:
            self._marks |= self._unwritten
        try:
            await self._database.move(self.source.id, self._unwritten)
            self._unwritten = {}
        except Unavailable as error:
            _log.warning("%s: %s", self.source.id, error)

    def _remember_wrong(self, answer: Answer, done: Round) -> None:
        if not self.source.windowed:  # else the same URL never comes again
            self._wrong[answer.key] = done.outcome, done.why

    def _remember_refused(self, digest: bytes) -> None:
        self._refused[digest] = None
        while len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]


async def _unless_away(ask: Callable[[], Awaitable[T]]) -> T:
    try:
        return await ask()
    except Unavailable as error:
        raise Unavailable(str(error), reason="log", retry_after_s=error.retry_after_s) from error


def _outcome(done: Round, found: Mapped, marks: dict[tuple[str, str], int]) -> str:
    if marks:
        return "taken"
    if found.parts:
        return "refused"
    return done.outcome if done.outcome == "taken" else "empty"


def _fail(done: Round, error: Unavailable) -> None:
    done.outcome, done.why = error.reason, str(error)
    done.retry_after_s = max(done.retry_after_s or 0.0, error.retry_after_s or 0.0) or None


def _place(item: Item) -> tuple[str, str, datetime]:
    return item.station, item.parameter, item.time


def _advance(marks: dict[tuple[str, str], int], item: Item) -> None:
    place = item.station, item.parameter
    marks[place] = max(marks.get(place, -(1 << 62)), _ms(item.time))


def _ms(at: datetime) -> int:
    return int((at - _EPOCH).total_seconds() * 1000)


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
