"""One queue of deliveries: who has least time left first, districts in turn, the messages of one chain to one contact in their order."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from warning.dispatch.deadlines import urgency_ms
from warning.dispatch.rows import Open

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
AGAIN_MS = 5000
BAND_MS = 5000
AT_ONCE = 500  # deliveries that are claimed in one transaction


@dataclass
class Queue:
    """What is to be sent and when. Knows no clock and sends nothing: ``take`` gets the time.

    **Order.** By bands of BAND_MS of ``deadlines.urgency_ms``, earliest first; so two deadlines are never out of order by more than a
    band. Within a band the districts take turns, one message each, whatever their size (start-time fair queueing; Goyal, Vin and Cheng,
    1996): the k-th message of a district goes before at most k of any other one that waits beside it. A village's ten messages wait for
    ten of the city's ninety thousand, and the city hardly notices. A retry joins the band of its own time.

    ``dropped``: ids that will not go; shared by all queues, each forgets what it passes over. So it has none that stands in no line:
    what is ``taken`` (of all queues, until its work is over) asks the ledger itself, and may come again later.
    """

    dropped: set[int] = field(default_factory=set)
    later: dict[int, tuple[Queue, Key]] = field(default_factory=dict)  # what is not due yet, of all queues: see ``passed``
    taken: set[int] = field(default_factory=set)
    wake: Callable[[], None] = field(default=lambda: None)
    _lines: dict[Key, Open | deque[Open]] = field(default_factory=dict)  # a line of one, as nearly all are, needs no list
    _districts: dict[Key, str] = field(default_factory=dict)
    _busy: set[Key] = field(default_factory=set)
    _ready: list[tuple[int, int, int, int, Key]] = field(default_factory=list)  # (band, turn, urgency, order, key)
    _later: list[tuple[int, int, Key]] = field(default_factory=list)  # (due, order, key)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _turn: dict[int, int] = field(default_factory=dict)  # band -> the turn that it has come to
    _last: dict[tuple[int, str], int] = field(default_factory=dict)  # (band, district) -> the last turn that it was given

    def __len__(self) -> int:
        waiting = (one for line in self._lines.values() for one in (line if isinstance(line, deque) else (line,)))
        return sum(one.id not in self.dropped for one in waiting) + len(self._busy)

    def add(self, item: Open, district: str = "", *, first: bool = False) -> None:
        """``first``: before the others of its key (a retry goes before what came later)."""
        key = item.key
        before, front = self._lines.get(key), self._front(key)
        moved_up = self._lines.get(key) is not before or (isinstance(before, deque) and before[0] is not front)
        if front is None:
            self._lines[key] = item
        else:
            line = self._lines[key]
            if not isinstance(line, deque):
                line = self._lines[key] = deque((line,))
            (line.appendleft if first else line.append)(item)
        if district:
            self._districts[key] = district
        if key not in self._busy and (front is None or first or moved_up):
            self._schedule(key)

    def take(self, now_ms: int) -> Open | None:
        """The next one that is due; its key is busy until ``done``."""
        while self._later and self._later[0][0] <= now_ms:
            key = heapq.heappop(self._later)[2]
            if key not in self._busy and self._front(key) is not None:
                self._enter(key)
        while self._ready:
            band, turn, _, _, key = heapq.heappop(self._ready)
            front = self._front(key)
            if front is None or key in self._busy:
                continue  # an entry of before
            if (front.next_attempt_ms or 0) > now_ms:
                self._schedule(key)
                continue
            self._turn[band] = max(turn, self._turn.get(band, 0))
            self._busy.add(key)
            self.later.pop(front.id, None)
            self.taken.add(front.id)
            self._shift(key)
            return front
        self._turn.clear()  # nobody waits: what was, counts no more
        self._last.clear()
        return None

    def take_some(self, now_ms: int, most: int) -> list[Open]:
        """The next ones that are due, at most so many, in their order."""
        taken: list[Open] = []
        while len(taken) < most and (item := self.take(now_ms)) is not None:
            taken.append(item)
        return taken

    def done(self, key: Key) -> None:
        self._busy.discard(key)
        if self._front(key) is not None:
            self._schedule(key)
        else:
            self._districts.pop(key, None)

    def passed(self, key: Key) -> None:
        """What stood at the front of that line until it is due will not go: what is behind it need not wait."""
        if key not in self._busy:
            self._schedule(key)
            self.wake()

    def next_ms(self) -> int | None:
        """When the next one that is not due yet becomes due."""
        return self._later[0][0] if self._later else None

    def _front(self, key: Key) -> Open | None:
        """The first of its line that will go."""
        while (line := self._lines.get(key)) is not None:
            front = line[0] if isinstance(line, deque) else line
            if front.id not in self.dropped:
                return front
            self.dropped.discard(front.id)
            self.later.pop(front.id, None)
            self._shift(key)
        return None

    def _shift(self, key: Key) -> None:
        line = self._lines[key]
        if isinstance(line, deque):
            line.popleft()
        if not isinstance(line, deque) or not line:
            del self._lines[key]

    def _schedule(self, key: Key) -> None:
        front = self._front(key)
        if front is None:
            return
        if front.next_attempt_ms:
            self.later[front.id] = self, key
            heapq.heappush(self._later, (front.next_attempt_ms, next(self._order), key))
        else:
            self._enter(key)

    def _enter(self, key: Key) -> None:
        """Gives it its turn among those of its band."""
        front = self._front(key)
        if front is None:
            return
        due_ms = max(front.due_ms, front.next_attempt_ms or 0)
        urgency = urgency_ms(front.level, due_ms if front.deadline_ms is None else front.deadline_ms, due_ms)
        band, district = urgency // BAND_MS, self._districts.get(key, "")
        turn = max(self._turn.get(band, 0), self._last.get((band, district), -1) + 1)
        self._last[band, district] = turn
        heapq.heappush(self._ready, (band, turn, urgency, next(self._order), key))


Work = Coroutine[Any, Any, None]  # sends one delivery and closes it


@dataclass
class Lane:
    """Works a queue off, ``width()`` at a time, while ``gate`` is open and ``ready`` returns.

    ``prepare`` gets as many as there is room for, and says for each what is left to do; None: nothing.
    """

    name: str
    width: Callable[[], int]
    prepare: Callable[[Sequence[Open]], Awaitable[Sequence[Work | None]]]
    ready: Callable[[], Awaitable[None]]
    gate: asyncio.Event
    wall_ms: Callable[[], int]
    queue: Queue = field(default_factory=Queue)

    def __post_init__(self) -> None:
        self._wake = asyncio.Event()
        self.queue.wake = self._wake.set
        self._under_way: set[asyncio.Task[None]] = set()
        self._going = 0  # deliveries that were taken and are not over

    def add(self, item: Open, district: str = "", *, first: bool = False) -> None:
        self.queue.add(item, district, first=first)
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled; what is under way then goes on (``finish``)."""
        while True:
            self._wake.clear()
            await self.gate.wait()
            try:
                await self.ready()
                if not self.gate.is_set():  # closed while the way was away, as where the network was: the log goes first
                    continue
                items = self.queue.take_some(self.wall_ms(), min(self.width() - self._going, AT_ONCE))
            except Exception:  # nobody waits for this task: it would end unseen, and its messages with it
                log.exception("lane %s stands; it goes on in %d ms", self.name, AGAIN_MS)
                await asyncio.sleep(AGAIN_MS / 1000)
                continue
            if not items:
                await self._wait()
                continue
            self._going += len(items)
            self._beside(self._some(items))

    async def finish(self, within_s: float) -> int:
        """Waits for what is under way; cancels the rest, which the ledger then calls unknown. Returns how many."""
        until = time.monotonic() + within_s
        while self._under_way and (left_s := until - time.monotonic()) > 0:
            await asyncio.wait(self._under_way, timeout=left_s)  # what is claimed meanwhile is under way, too
        late = list(self._under_way)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)

    async def _some(self, items: Sequence[Open]) -> None:
        try:
            works = await self.prepare(items)
        except Exception:
            log.exception("lane %s: %d deliveries; again in 5 s", self.name, len(items))
            for item in items:
                self._again(item)
            return
        for item, work in zip(items, works, strict=True):
            if work is None:
                self._over(item)
            else:
                self._beside(self._one(item, work))

    async def _one(self, item: Open, work: Work) -> None:
        try:
            await work
        except Exception:
            log.exception("lane %s: delivery %d; again in 5 s", self.name, item.id)
            self._again(item)
        else:
            self._over(item)

    def _again(self, item: Open) -> None:
        self.queue.add(replace(item, next_attempt_ms=self.wall_ms() + AGAIN_MS), first=True)
        self._over(item)

    def _over(self, item: Open) -> None:
        self.queue.taken.discard(item.id)
        self.queue.done(item.key)
        self._going -= 1
        self._wake.set()

    def _beside(self, work: Work) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _wait(self) -> None:
        next_ms = self.queue.next_ms() if self._going < self.width() else None
        timeout = None if next_ms is None else max(next_ms - self.wall_ms(), 1) / 1000
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()
