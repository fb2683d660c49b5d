"""The dead man's handle of the event loop: a process whose loop stands still can tell nobody, so a thread of its own ends it.

``watch`` sees from inside the loop that records wait; a computation that never returns stops ``watch`` too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable

from warning.errors import ExitCode

EVERY_S = 1.0
PATIENCE_S = 120.0  # a beat of a long backlog is one computation; none takes so long
logger = logging.getLogger("warning.worker")


def _end() -> None:
    os._exit(ExitCode.NO_PROGRESS)  # not sys.exit: the main thread does not listen


class Deadman:
    """``async with Deadman(): ...`` in the loop that is to be watched. ``end`` is called in the thread; for tests.

    Beats are counted against the thread's own rounds, not against the clock: a process that was stopped for an hour and goes on has
    missed none.
    """

    def __init__(self, patience_s: float = PATIENCE_S, every_s: float = EVERY_S, end: Callable[[], None] = _end) -> None:
        self._rounds, self._every_s, self._end = max(2, round(patience_s / every_s)), every_s, end
        self._beats = 0
        self._done = threading.Event()

    async def __aenter__(self) -> Deadman:
        self._task = asyncio.create_task(self._beat(), name="deadman")
        threading.Thread(target=self._watch, name="deadman", daemon=True).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._done.set()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            self._beats += 1
            await asyncio.sleep(self._every_s)

    def _watch(self) -> None:
        seen, missed = self._beats, 0
        while not self._done.wait(self._every_s):
            missed = missed + 1 if self._beats == seen else 0
            seen = self._beats
            if missed >= self._rounds:
                try:
                    self._say(missed)
                finally:  # a log that cannot be written must not keep it alive
                    self._end()
                return

    def _say(self, missed: int) -> None:
        code = ExitCode.NO_PROGRESS
        logger.critical(
            "the worker ends with code %d (%s): its event loop has stood still for %.0f s, in one computation or one call",
            code, code.name, missed * self._every_s,
        )  # fmt: skip
        for handler in logging.getLogger().handlers:
            handler.flush()
        time.sleep(0.1)
