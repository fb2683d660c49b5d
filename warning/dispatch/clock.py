"""The dispatcher's time: the wall clock, for as long as the brokers agree with it.

A warning expires, waits and is told to be late by this time: a clock that is a day ahead would call every warning expired and send
none. So the brokers are asked before anything is judged, and the wall clock is asked no more when it moved against the monotonic one:
the time that was right goes on until the brokers confirm the new one (as after a machine slept).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from warning import access, access_check
from warning.clocks import MOST_S, offset_s, wrong
from warning.deployment import Deployment
from warning.errors import StateError, WarningSystemError
from warning.facts import ClockOffset, Listener

log = logging.getLogger(__name__)

LOOK_S = 1.0
JUMP_MS = 1000
PATIENCE_MS = 10_000
COMPLAIN_EVERY_S = 60.0
_BY_BROKER = 1  # timestamp type LogAppendTime
_KEY = b"clock"  # no alert's: a tombstone on ``receipts``, which readers pass over


class Clock:
    """``wall``, ``monotonic``: milliseconds. Call ``start`` before the time is used."""

    def __init__(
        self,
        deployment: Deployment,
        listen: Listener,
        wall: Callable[[], int],
        monotonic: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self._deployment, self._listen, self._wall, self._monotonic = deployment, listen, wall, monotonic
        self._ahead_ms = wall() - monotonic()
        self._complained_s = -COMPLAIN_EVERY_S

    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return self._monotonic() + self._ahead_ms

    async def start(self) -> None:
        """Raises ``StateError`` (CLOCK) if the brokers' time is another one, and what a broker that is away raises."""
        offset = await self._offset_s()
        if abs(offset) > MOST_S:
            raise wrong(offset)
        self._ahead_ms = self._wall() - self._monotonic()

    async def run(self) -> None:
        """Follows the wall clock until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Goes along with the wall clock: a little as it is, further only if the brokers have moved too."""
        ahead_ms = self._wall() - self._monotonic()
        if abs(ahead_ms - self._ahead_ms) > JUMP_MS:
            try:
                offset = await self._offset_s()
            except (KafkaError, OSError, WarningSystemError) as error:
                self._complain("the wall clock moved by %+.1f s, and no broker confirms it: %s", (ahead_ms - self._ahead_ms) / 1000, error)
                return
            if abs(offset) > MOST_S:
                self._complain("%s; until then the time goes on that was right", wrong(offset))
                return
            log.warning("the wall clock moved by %+.1f s, and the brokers agree with it", (ahead_ms - self._ahead_ms) / 1000)
        self._ahead_ms = self._wall() - self._monotonic()

    def _complain(self, words: str, *what: float | StateError | Exception) -> None:
        if self._monotonic() / 1000 - self._complained_s >= COMPLAIN_EVERY_S:
            self._complained_s = self._monotonic() / 1000
            log.error(words, *what)

    async def _offset_s(self) -> float:
        if self._deployment.embedded:
            return 0.0  # it does not tell its time, and it is on this machine
        await access_check.check(self._deployment, "dispatch", absent=False)  # to write to a topic that is not there can make it, wrongly
        producer = AIOKafkaProducer(**access.arguments(self._deployment), acks="all", request_timeout_ms=PATIENCE_MS)
        try:
            await producer.start()
            before_ms = self._wall()
            taken = await producer.send_and_wait(self._deployment.receipts, key=_KEY, value=None)
            offset = offset_s(before_ms, self._wall(), taken.timestamp if taken.timestamp_type == _BY_BROKER else None)
        except (KafkaError, OSError) as error:
            raise access.in_words(error, self._deployment, self._deployment.receipts) from error
        finally:
            await producer.stop()
        self._listen(ClockOffset(offset))
        return offset
