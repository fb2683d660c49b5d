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
from warning.facts import Listener, nobody
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.reader_memory import Memory
from warning.people.told import KannelHeld, KannelLater

KIND = "kannel"
QUIET_MS = 300_000  # not asked again for so long: Kannel has forgotten it
MOST = 10_000  # more are with Kannel alone: a key that sends without end must not fill the database
_WRITTEN_EVERY_MS = 60_000  # Kannel asks every ten seconds
_SWEEP_S = 60.0

_log = logging.getLogger(__name__)

_CAME = "came_ms"  # beside the query: when it came first, for what is taken days later is of its own day

Query = Mapping[str, str]  # of Kannel's request, without the key
Take = Callable[[dict[str, str], int], Awaitable[object]]  # a query, and when it came first


class Held:
    """``keep`` what could not be taken, ``forget`` it once it was; ``run`` takes what Kannel does not bring again by ``take``."""

    def __init__(self, memory: Memory, gateway: Gateway, clock: Callable[[], int], listen: Listener = nobody) -> None:
        self._memory, self._gateway, self._clock, self._listen = memory, gateway, clock, listen
        self.sweep_s, self.quiet_ms = _SWEEP_S, QUIET_MS

    async def keep(self, query: Query) -> bool:
        """Whether SQL has it now; it is no acknowledgement."""
        name, now_ms = _name(query), self._clock()
        try:
            before = await self._memory.get(KIND, name, durable=True)
            if before is not None and 0 <= now_ms - before[0] < _WRITTEN_EVERY_MS:
                return True
            if before is None and await self._memory.count(KIND) >= MOST:
                _log.warning("%d messages of phones wait for the log; further ones stay with Kannel", MOST)
                self._listen(KannelLater("kannel_alone"))
                return False
            came_ms = before[1].get(_CAME, before[0]) if before else now_ms
            await self._memory.put(KIND, name, now_ms, {**query, _CAME: came_ms}, durable=True)
        except Unavailable as error:
            self._memory.drop(KIND, name)
            _log.warning("a message of a phone stays with Kannel alone: %s", error)
            self._listen(KannelLater("kannel_alone"))
            return False
        if before is None:
            self._listen(KannelLater("held"))
        return True

    async def since(self, query: Query) -> int | None:
        """When it came first, if it is held; None also where SQL cannot say so."""
        try:
            before = await self._memory.get(KIND, _name(query), durable=True)
        except Unavailable:
            return None
        return int(before[1].get(_CAME, before[0])) if before else None

    async def forget(self, query: Query) -> None:
        """It was taken. Where SQL cannot say so it is taken once more, which makes no second reading."""
        try:
            await self._memory.forget(KIND, _name(query))
        except Unavailable as error:
            _log.warning("a message of a phone will be taken twice: %s", error)

    async def run(self, take: Take) -> None:
        """For ever. ``take`` raises Unavailable or InputError as for a request."""
        while True:
            await asyncio.sleep(self.sweep_s)
            try:
                if count := await self.sweep(take):
                    _log.warning("%d messages of phones that Kannel did not bring again were taken; they have had no answer", count)
            except Unavailable as error:
                _log.info("messages of phones wait: %s", error)
            except Exception:  # what nobody foresaw in one of them must not end the looking: readings wait here
                _log.exception("messages of phones wait")
            await self.tell()

    async def tell(self) -> None:
        """How many are held now, to whoever listens; nothing where SQL cannot say so."""
        try:
            self._listen(KannelHeld(await self._memory.count(KIND)))
        except Unavailable as error:
            _log.info("how many messages of phones wait is not known: %s", error)

    async def sweep(self, take: Take) -> int:
        """How many were taken, or refused and kept. Raises Unavailable."""
        count = 0
        while rows := await self._memory.older(KIND, self._clock() - self.quiet_ms):
            for name, query in rows:
                await self._taken(query, query.pop(_CAME, self._clock() - self.quiet_ms), take)
                await self._memory.forget(KIND, name)
                self._listen(KannelLater("taken_late"))
                count += 1
        return count

    async def _taken(self, query: dict[str, str], came_ms: int, take: Take) -> None:
        try:
            await take(query, came_ms)
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
