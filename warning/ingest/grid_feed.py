"""Files of grids -> readings in the log, through the gateway like every other reading: named files, or a folder that is watched.

A file that is still being written is waited for: it counts as whole when it has not changed for a while. One that then cannot be
opened is tried again until it has been still for ten minutes, for a copy may stall. What is rejected stays where it is, is named with
its reason, and is not tried again until it changes. While the brokers or the database are away, it waits and asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from warning.errors import InputError, Unavailable
from warning.ingest.gateway import Gateway, Sender
from warning.ingest.grid_journal import File, Journal
from warning.ingest.grids import Averaged, Unreadable, items

SENDER = Sender("grid")
AT_ONCE = 500  # readings in one request to the gateway
LOOK_S = 2.0
STILL_S = 5.0  # a file that did not change for so long is whole
STALLED_S = 600.0  # one that cannot be opened may yet be a copy that goes on
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".aria2", ".swp", "~")
_AGAIN_S = (0.2, 5.0)  # the first pause, the longest

T = TypeVar("T")
Progress = Callable[[str, int, int], None]  # what, done, of how many

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Fed:
    """What became of the files so far. ``rejected``: (name, reason); ``known``: done with before this run."""

    files: int = 0
    readings: int = 0
    missing: int = 0  # readings that say: too little of the catchment is known
    refused: int = 0  # by the gateway; kept in readings.rejected
    known: int = 0
    outside: set[str] = field(default_factory=set)
    left_out: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)


class Reader(Protocol):
    def read(self, path: Path) -> Averaged:
        """As ``grids.Grids.read``."""


class Feed:
    """One at a time, in the order of their names, which is that of time. ``clock``: s since 1970, as the files' times are."""

    def __init__(
        self,
        grids: Reader,
        gateway: Gateway,
        journal: Journal,
        clock: Callable[[], float],
        stop: asyncio.Event,
        still_s: float = STILL_S,
        look_s: float = LOOK_S,
    ) -> None:
        self._grids, self._gateway, self._journal, self._clock, self._stop = grids, gateway, journal, clock, stop
        self._still_s, self._look_s = still_s, look_s
        self._waits: set[Path] = set()  # told once that they are waited for
        self._done: dict[Path, File] = {}  # as they were then
        self.fed = Fed()

    async def files(self, paths: Sequence[Path], told: Progress) -> None:
        """All of them, once, or until ``stop`` is set."""
        for number, path in enumerate(paths):
            told("files of grids", number, len(paths))
            while not await self._file(path, again=True):
                if not await self._pause(min(1.0, self._still_s)):
                    return
        told("files of grids", len(paths), len(paths))

    async def watch(self, folder: Path, told: Progress) -> None:
        """What is in the folder and what comes into it, until ``stop`` is set."""
        while True:
            for path in await asyncio.to_thread(self._new, folder):
                if self._stop.is_set():
                    return
                await self._file(path, again=False)
            told("files of grids", self.fed.files, self.fed.files + len(self._waits))
            if not await self._pause(self._look_s):
                return

    def _new(self, folder: Path) -> list[Path]:
        """Files that are not known to be done with, as they are now."""
        try:
            there = sorted(path for path in folder.iterdir() if wanted(path))
            return [path for path in there if self._done.get(path) != File.of(path)]
        except OSError as error:  # the folder, or a file that went meanwhile
            _log.warning("%s cannot be read: %s", folder, error)
            return []

    async def _file(self, path: Path, again: bool) -> bool:
        """Whether it is done with. ``again``: also one that was rejected before."""
        try:
            file = File.of(path)
        except FileNotFoundError:
            self._waits.discard(path)
            if again:
                self._reject(path, "is not there")
            return True
        before = await self._until_there(lambda: self._journal.done(file))
        if before == "" or (before and not again):
            self._done[path] = file
            self.fed.known += 1
            return True
        age_s = self._clock() - file.changed_ns / 1e9
        if 0 <= age_s < self._still_s:
            return self._wait(path, "has changed just now")
        try:
            found = await asyncio.to_thread(self._grids.read, path)
        except Unreadable as error:
            if not again and 0 <= age_s < STALLED_S:
                return self._wait(path, str(error))
            return await self._rejected(path, file, error)
        except InputError as error:
            return await self._rejected(path, file, error)
        if await asyncio.to_thread(lambda: path.exists() and File.of(path)) != file:
            return self._wait(path, "changed while it was read")
        texts = items(found.means)
        refused = 0
        for first in range(0, len(texts), AT_ONCE):
            part = texts[first : first + AT_ONCE]
            taken = await self._until_there(lambda part=part: self._gateway.take(part, SENDER))  # type: ignore[misc]
            refused += len(taken.refused)
            for reason, number in taken.reasons.items():
                _log.warning("%s: %d readings refused: %s", path.name, number, reason)
        await self._until_there(lambda: self._journal.enter(file, len(texts) - refused))
        self._waits.discard(path)
        self._done[path] = file
        self._count(path, found, len(texts) - refused, refused)
        return True

    def _count(self, path: Path, found: Averaged, readings: int, refused: int) -> None:
        fed = self.fed
        fed.files += 1
        fed.readings += readings
        fed.refused += refused
        fed.missing += sum(mean.mm is None for mean in found.means)
        fed.left_out += found.left_out
        for station in sorted(set(found.outside) - fed.outside):
            _log.warning("%s: does not hold all of the catchment of %s, which gets no rain of it", path.name, station)
        fed.outside |= set(found.outside)
        _log.info("%s: %d readings of %s", path.name, readings, found.variable)

    async def _rejected(self, path: Path, file: File, error: InputError) -> bool:
        reason = f"{error} ({error.fix})"
        await self._until_there(lambda: self._journal.enter(file, 0, reason))
        self._done[path] = file
        self._reject(path, reason)
        return True

    def _reject(self, path: Path, reason: str) -> None:
        self._waits.discard(path)
        self.fed.rejected.append((path.name, reason))
        _log.error("%s is rejected: %s", path.name, reason)

    def _wait(self, path: Path, why: str) -> bool:
        if path not in self._waits:
            _log.info("%s is waited for: %s", path.name, why)
        self._waits.add(path)
        return False

    async def _until_there(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What ``ask`` gives as soon as brokers and database are there; raises Unavailable only once ``stop`` is set."""
        pause_s, why = _AGAIN_S[0], ""
        while True:
            try:
                return await ask()
            except Unavailable as error:
                if str(error) != why:
                    _log.warning("waiting: %s", error)
                why = str(error)
                if not await self._pause(max(pause_s, min(error.retry_after_s or 0.0, _AGAIN_S[1]))):
                    raise
                pause_s = min(2 * pause_s, _AGAIN_S[1])

    async def _pause(self, seconds: float) -> bool:
        """False: ``stop`` was set meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return True
        return False


def wanted(path: Path) -> bool:
    """A file that somebody wants read: none that is hidden or has the name of a download that goes on."""
    return not path.name.startswith(".") and not path.name.lower().endswith(UNFINISHED) and path.is_file()
