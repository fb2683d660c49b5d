"""One queue of deliveries: the highest class first, the messages of one chain to one contact in their order, a few at a time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from warning.dispatch.rows import Open

log = logging.getLogger(__name__)

Key = tuple[str, str, str]
AGAIN_MS = 5000


@dataclass
class Queue:
    """What is to be sent and when. Knows no clock and sends nothing: ``take`` gets the time."""

    _keys: dict[Key, deque[Open]] = field(default_factory=dict)
    _busy: set[Key] = field(default_factory=set)
    _ready: list[tuple[int, int, Key]] = field(default_factory=list)  # (-class, order, key)
    _later: list[tuple[int, int, Key]] = field(default_factory=list)  # (due, order, key)
    _dropped: set[int] = field(default_factory=set)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return sum(map(len, self._keys.values())) + len(self._busy)

    def add(self, item: Open, *, first: bool = False) -> None:
        """``first``: before the others of its key (a retry goes before what came later)."""
        line = self._keys.setdefault(item.key, deque())
        (line.appendleft if first else line.append)(item)
        if item.key not in self._busy:
            self._schedule(item.key)

    def drop(self, ids: Iterable[int]) -> None:
        """These will not go; whoever waits behind them moves up."""
        self._dropped.update(ids)
        for key, line in self._keys.items():
            if line and line[0].id in self._dropped and key not in self._busy:
                self._schedule(key)

    def take(self, now_ms: int) -> Open | None:
        """The next one that is due; its key is busy until ``done``."""
        while self._later and self._later[0][0] <= now_ms:
            key = heapq.heappop(self._later)[2]
            if self._front(key):
                heapq.heappush(self._ready, (-self._keys[key][0].level.rank, next(self._order), key))
        while self._ready:
            key = heapq.heappop(self._ready)[2]
            if key in self._busy or not self._front(key):
                continue  # an entry of before
            if (self._keys[key][0].next_attempt_ms or 0) > now_ms:
                self._schedule(key)
                continue
            self._busy.add(key)
            return self._keys[key].popleft()
        return None

    def done(self, key: Key) -> None:
        self._busy.discard(key)
        if self._front(key):
            self._schedule(key)
        else:
            self._keys.pop(key, None)

    def next_ms(self) -> int | None:
        """When the next one that is not due yet becomes due."""
        return self._later[0][0] if self._later else None

    def _front(self, key: Key) -> bool:
        line = self._keys.get(key)
        while line and line[0].id in self._dropped:
            self._dropped.discard(line.popleft().id)
        return bool(line)

    def _schedule(self, key: Key) -> None:
        if not self._front(key):
            return
        item = self._keys[key][0]
        if item.next_attempt_ms:
            heapq.heappush(self._later, (item.next_attempt_ms, next(self._order), key))
        else:
            heapq.heappush(self._ready, (-item.level.rank, next(self._order), key))


@dataclass
class Lane:
    """Works a queue off, ``width`` at a time, while ``gate`` is open and ``ready`` returns."""

    name: str
    width: int
    deliver: Callable[[Open], Awaitable[None]]
    ready: Callable[[], Awaitable[None]]
    gate: asyncio.Event
    wall_ms: Callable[[], int]
    queue: Queue = field(default_factory=Queue)

    def __post_init__(self) -> None:
        self._wake = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    def add(self, item: Open, *, first: bool = False) -> None:
        self.queue.add(item, first=first)
        self._wake.set()

    def drop(self, ids: Iterable[int]) -> None:
        self.queue.drop(ids)
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled; what is under way then goes on (``finish``)."""
        while True:
            self._wake.clear()
            await self.gate.wait()
            await self.ready()
            item = self.queue.take(self.wall_ms()) if len(self._under_way) < self.width else None
            if item is None:
                await self._wait()
                continue
            task = asyncio.create_task(self._one(item))
            self._under_way.add(task)
            task.add_done_callback(self._landed)

    async def finish(self, within_s: float) -> int:
        """Waits for what is under way; cancels the rest, which the ledger then calls unknown. Returns how many."""
        if not self._under_way:
            return 0
        _, late = await asyncio.wait(self._under_way, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)

    async def _one(self, item: Open) -> None:
        try:
            await self.deliver(item)
        except Exception:
            log.exception("lane %s: delivery %d; again in 5 s", self.name, item.id)
            self.queue.add(replace(item, next_attempt_ms=self.wall_ms() + AGAIN_MS), first=True)
        finally:
            self.queue.done(item.key)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._wake.set()

    async def _wait(self) -> None:
        next_ms = self.queue.next_ms() if len(self._under_way) < self.width else None
        timeout = None if next_ms is None else max(next_ms - self.wall_ms(), 1) / 1000
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return
