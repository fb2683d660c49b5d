"""The outbox from the event loop: one thread of its own, opened anew after damage, asked again after a full disk. Nobody waits for ever."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from warning.errors import Unavailable
from warning.ingest.edge.opening import broken, open_outbox
from warning.ingest.edge.outbox import Outbox, unavailable

_AGAIN_S = 10.0
_WITHIN_S = 20.0
# The file is there no more, or the card has stopped answering: another one may be in its place, or it may answer again.
_GONE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Store:
    """``clock``: ms since 1970 UTC, for the names of files that are moved aside. ``within_s``: so long a disk may say nothing."""

    def __init__(self, path: Path, boot: str, most_bytes: int, clock: Callable[[], int], within_s: float = _WITHIN_S) -> None:
        self._path, self._boot, self._most_bytes, self._clock = path, boot, most_bytes, clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._outbox: Outbox | None = None
        self._again_s = 0.0  # monotonic: not opened before
        self._within_s = within_s
        self._busy_since_s: float | None = None  # monotonic
        self.why = ""  # it cannot be used; "": it can

    async def run(self, work: Callable[[Outbox], _T]) -> _T:
        """``work`` with the outbox, in its thread, after whoever came before. Raises Unavailable, and what ``work`` raises.

        What a disk that hangs has begun may be done all the same, later; what it has not begun never will.
        """
        since_s = self._busy_since_s
        silent = Unavailable(f"the outbox has not answered for {self._within_s:g} s", reason="outbox", retry_after_s=_AGAIN_S)
        if since_s is not None and time.monotonic() - since_s > self._within_s:
            raise silent
        try:
            async with asyncio.timeout(self._within_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, work)
        except TimeoutError:
            self._said(str(silent))
            raise silent from None

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _timed(self, work: Callable[[Outbox], _T]) -> _T:
        self._busy_since_s = time.monotonic()
        try:
            return self._work(work)
        finally:
            self._busy_since_s = None

    def _work(self, work: Callable[[Outbox], _T]) -> _T:
        for last in (False, True):
            outbox = self._opened()
            try:
                done = work(outbox)
            except sqlite3.DatabaseError as error:
                if last or not broken(error):
                    self._let_go(error)
                    raise self._away(error) from error
                _log.error("the outbox: %s", error)
                self._close()
            except Unavailable as error:
                if not isinstance(error.__cause__, sqlite3.DatabaseError) or last or not broken(error.__cause__):
                    self._let_go(error.__cause__)
                    self._said(str(error))
                    raise
                self._close()
            else:
                self._said("")
                return done
        raise AssertionError("unreachable")

    def _let_go(self, error: BaseException | None) -> None:
        """Of a file that is gone: it is opened anew, in a while."""
        if isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _GONE:
            self._again_s = time.monotonic() + _AGAIN_S
            self._close()

    def _opened(self) -> Outbox:
        if self._outbox is None:
            if time.monotonic() < self._again_s:
                raise Unavailable(f"the outbox cannot be opened: {self.why}", reason="outbox", retry_after_s=_AGAIN_S)
            try:
                self._outbox = open_outbox(self._path, self._boot, self._most_bytes, self._clock())
            except (sqlite3.Error, OSError, Unavailable) as error:
                self._again_s = time.monotonic() + _AGAIN_S
                raise self._away(error) from error
        return self._outbox

    def _away(self, error: Exception) -> Unavailable:
        told = unavailable(error)
        self._said(str(told))
        return told

    def _said(self, why: str) -> None:
        if why and why != self.why:
            _log.error("%s; sensors are not acknowledged, the sirens go on", why)
        if self.why and not why:
            _log.warning("the outbox is in use again")
        self.why = why

    def _close(self) -> None:
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            outbox.close()
