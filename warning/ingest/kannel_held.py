"""Messages that Kannel brought and we could not take yet, in SQL: Kannel has them in its memory alone, and forgets them when it ends.

Kannel asks again after 503 and 429 (``http-request-retry``), and then the phone gets its answer. A message that it did not bring again for
five minutes, because it was ended or its tries are used up, is taken from here when the log is back; then the phone gets none. What comes
by both ways is one reading. With the database away too, Kannel alone has it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from warning.errors import InputError, Unavailable
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.reader_memory import Memory

KIND = "kannel"
QUIET_MS = 300_000  # not asked again for so long: Kannel has forgotten it
MOST = 10_000  # more are with Kannel alone: a key that sends without end must not fill the database
_WRITTEN_EVERY_MS = 60_000  # Kannel asks every ten seconds
_SWEEP_S = 60.0

_log = logging.getLogger(__name__)

Query = Mapping[str, str]  # of Kannel's request, without the key


class Held:
    """``keep`` what could not be taken, ``forget`` it once it was; ``run`` takes what Kannel does not bring again by ``take``."""

    def __init__(self, memory: Memory, gateway: Gateway, clock: Callable[[], int]) -> None:
        self._memory, self._gateway, self._clock = memory, gateway, clock
        self.sweep_s, self.quiet_ms = _SWEEP_S, QUIET_MS

    async def keep(self, query: Query) -> bool:
        """Whether SQL has it now; it is no acknowledgement."""
        name, now_ms = _name(query), self._clock()
        try:
            before = await self._memory.get(KIND, name)
            if before is not None and 0 <= now_ms - before[0] < _WRITTEN_EVERY_MS:
                return True
            if before is None and await self._memory.count(KIND) >= MOST:
                _log.warning("%d messages of phones wait for the log; further ones stay with Kannel", MOST)
                return False
            await self._memory.put(KIND, name, now_ms, dict(query), durable=True)
        except Unavailable as error:
            self._memory.drop(KIND, name)
            _log.warning("a message of a phone stays with Kannel alone: %s", error)
            return False
        return True

    async def forget(self, query: Query) -> None:
        """It was taken. Where SQL cannot say so it is taken once more, which makes no second reading."""
        name = _name(query)
        try:
            if await self._memory.get(KIND, name) is not None:
                await self._memory.forget(KIND, name)
        except Unavailable as error:
            _log.warning("a message of a phone will be taken twice: %s", error)

    async def run(self, take: Callable[[dict[str, str]], Awaitable[object]]) -> None:
        """For ever. ``take`` raises Unavailable or InputError as for a request."""
        while True:
            await asyncio.sleep(self.sweep_s)
            try:
                if count := await self.sweep(take):
                    _log.warning("%d messages of phones that Kannel did not bring again were taken; they have had no answer", count)
            except Unavailable as error:
                _log.info("messages of phones wait: %s", error)

    async def sweep(self, take: Callable[[dict[str, str]], Awaitable[object]]) -> int:
        """How many were taken, or refused and kept. Raises Unavailable."""
        count = 0
        while rows := await self._memory.older(KIND, self._clock() - self.quiet_ms):
            for name, query in rows:
                await self._taken(query, take)
                await self._memory.forget(KIND, name)
                count += 1
        return count

    async def _taken(self, query: dict[str, str], take: Callable[[dict[str, str]], Awaitable[object]]) -> None:
        try:
            await take(query)
        except Unavailable:
            raise
        except InputError as error:
            _log.info("a message of a phone was refused and is kept: %s", error)
        except Exception as error:  # it must not hold up those behind it
            _log.exception("a message of a phone was not read")
            what = InputError(f"{type(error).__name__}: {error}", reason="internal", field="", fix="report it; the message is kept")
            await self._gateway.keep(urlencode(query).encode()[:4096], what, Sender("sms:unregistered"))


def _name(query: Query) -> str:
    return hashlib.sha256(urlencode(sorted(query.items()), errors="surrogatepass").encode()).hexdigest()
