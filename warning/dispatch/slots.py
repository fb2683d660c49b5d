"""So many requests at once, of which those that hang do not count: one dead endpoint in ten must not fill the places of the live ones.

All five thousand at once would be slower: an HTTP client looks at all its connections for each request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Slots:
    """``most`` under way; one that takes longer than ``quick_s`` goes on beside them, and its place is another's."""

    most: int = 128
    quick_s: float = 0.5

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.most)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Waits for a place."""
        await self._free.acquire()
        held = True

        def give_back() -> None:
            nonlocal held
            if held:
                held = False
                self._free.release()

        slow = asyncio.get_running_loop().call_later(self.quick_s, give_back)
        try:
            yield
        finally:
            slow.cancel()
            give_back()


class Window:
    """``free`` at once, the others in the order in which they came. ``asyncio.Semaphore`` looks at all who wait at each step; here a
    thousand do."""

    def __init__(self, free: int) -> None:
        self.free = free
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self.free > 0:
            self.free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had just been given its place
                self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1
