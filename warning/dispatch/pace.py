"""How fast a gateway lets us go: found out by going (additive increase, multiplicative decrease; Chiu and Jain, 1989)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Pace:
    """Spaces submits. ``rate`` moves between 1 a second and ``most``; a burst is at most 50 ms of it."""

    most: float = 1000.0  # submits per second
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.rate = self.most
        self._next = 0.0
        self._cut_at = float("-inf")

    async def turn(self) -> None:
        """Waits until it is this caller's turn."""
        now = self.clock()
        self._next = max(self._next, now - 0.05) + 1.0 / self.rate
        delay = self._next - now
        if delay > 0:
            await asyncio.sleep(delay)

    def throttled(self) -> None:
        """The gateway said "too fast": half the rate, at most once a second (what was under way will be throttled as well)."""
        now = self.clock()
        if now - self._cut_at >= 1.0:
            self._cut_at = now
            self.rate = max(1.0, self.rate / 2)

    def accepted(self) -> None:
        """One went through: the rate grows by 2 % of ``most`` a second."""
        self.rate = min(self.most, self.rate + 0.02 * self.most / self.rate)
