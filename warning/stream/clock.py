"""The clock in the log: the owner of a partition writes ticks, after it has held its clock against the brokers'."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable

import msgspec

from warning.clocks import MOST_S, offset_s, wrong
from warning.deployment import Deployment
from warning.facts import ClockOffset, Listener
from warning.model import Tick
from warning.stream.ports import Fatal, Log, Sent

TELL_EVERY_S = 10.0
JUMP_S = 1.0  # the wall clock moved against the monotonic one: look again before the next tick


class Clock:
    """``wall``: seconds since 1970, as ``time.time``. One clock a worker."""

    def __init__(self, log: Log, deployment: Deployment, writer: str, listen: Listener, fatal: Fatal, wall: Callable[[], float]) -> None:
        self._log, self._deployment, self._writer, self._listen, self._fatal, self.wall = log, deployment, writer, listen, fatal, wall
        self._pending: dict[int, asyncio.Future[Sent]] = {}
        self._checked = 0.0  # wall minus monotonic, when the brokers last agreed
        self._told = 0.0

    def now_ms(self) -> int:
        return int(self.wall() * 1000)

    async def check(self, partition: int) -> None:
        """Asks a broker for its time. Raises ``StateError`` (CLOCK) if ours is more than 5 s off it.

        A tick cannot be taken back, and time in the log never goes back: so this comes before the first tick, and after each
        jump. The question is a tombstone on ``checkpoints`` for a key that no generation has.
        """
        before = self.now_ms()
        sent = await (await self._log.send(self._deployment.checkpoints, None, b"clock", partition))
        self._compare(before, self.now_ms(), sent.broker_ms)
        self._checked = self.wall() - time.monotonic()

    def _compare(self, before_ms: int, after_ms: int, broker_ms: int | None) -> None:
        if broker_ms is None:
            return  # the embedded broker does not say; it is on this machine
        offset = offset_s(before_ms, after_ms, broker_ms)
        if time.monotonic() - self._told > TELL_EVERY_S:
            self._told = time.monotonic()
            self._listen(ClockOffset(offset))
        if abs(offset) > MOST_S:
            raise wrong(offset)

    async def tick(self, partitions: Iterable[int]) -> None:
        """One tick for each partition, unless its last one is still under way: they must not pile up in an outage."""
        for partition in partitions:
            if (pending := self._pending.get(partition)) is not None and not pending.done():
                continue
            if abs(self.wall() - time.monotonic() - self._checked) > JUMP_S:
                await self.check(partition)
            now_ms = self.now_ms()
            value = msgspec.json.encode(Tick(tick_ms=now_ms, writer=self._writer))
            sent = await self._log.send(self._deployment.readings, value, None, partition)
            self._pending[partition] = sent
            sent.add_done_callback(functools.partial(self._confirmed, before_ms=now_ms))

    def _confirmed(self, sent: asyncio.Future[Sent], before_ms: int) -> None:
        if sent.cancelled():
            return
        try:
            self._compare(before_ms, self.now_ms(), sent.result().broker_ms)
        except Exception as error:
            self._fatal(error)
