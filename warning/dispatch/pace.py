"""How fast a gateway lets us go: found out by going (additive increase, multiplicative decrease; Chiu and Jain, 1989)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

BURST_S = 0.1  # what a stall of ours may be made good for at once
NEAR = 0.97  # of what the gateway was found to take: there we go back to
GROWTH, LEAST_GROWTH = 0.002, 0.02  # a second: as a part of that, and in submits per second; twice as much ...
DOUBLES_S = 3.0  # ... after each such time in which nobody said "too fast"
BACK_EVERY_S = 1.0


@dataclass
class Pace:
    """Spaces submits. ``rate`` moves between ``least`` and ``most``, what the telecom has agreed to.

    "Too fast" halves it, but not below NEAR of what the gateway did take in the last second: one that takes 500 a second and says so for
    the 501st is used to more than 95 %, and one that breaks down is left in peace within seconds.
    """

    most: float = 1000.0  # submits per second
    clock: Callable[[], float] = time.monotonic
    least: float = 1.0

    def __post_init__(self) -> None:
        self.rate = self.most
        self._next = 0.0
        self._cut_at = float("-inf")
        self._limit = self.most  # where we were last told to go slower
        self._taken: deque[float] = deque()  # when, of the last second

    async def turn(self) -> None:
        """Waits until it is this caller's turn."""
        now = self.clock()
        self._next = max(self._next, now - BURST_S) + 1.0 / self.rate
        delay = self._next - now
        if delay > 0:
            await asyncio.sleep(delay)

    def throttled(self) -> None:
        """The gateway said "too fast": at most once a second (what was under way will be throttled as well)."""
        now = self.clock()
        if now - self._cut_at >= BACK_EVERY_S:
            self._cut_at = now
            self._forget(now)
            self._limit = self.rate = min(self.most, max(self.least, self.rate / 2, NEAR * len(self._taken)))

    def accepted(self) -> None:
        """One went through: the rate grows, slowly near where it was cut, ever faster when that is long ago."""
        now = self.clock()
        self._forget(now)
        self._taken.append(now)
        doublings = min((now - self._cut_at) / DOUBLES_S, 20.0)
        growth = max(GROWTH * self._limit, LEAST_GROWTH) * 2.0**doublings
        self.rate = min(self.most, self.rate + growth / self.rate)

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0] <= now - 1.0:
            self._taken.popleft()
