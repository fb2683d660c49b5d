"""Files of grids are read in a process of their own: a damaged one can make the libraries that read it crash, or never come back.

The process is started when the first file comes and lives until it fails or we end (its pipe then closes, also if we are killed).
"""

from __future__ import annotations

import multiprocessing
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from warning.errors import InputError
from warning.ingest.grids import Averaged, Grids, Landed, Unreadable
from warning.region import Catchment
from warning.science.rain_grid import Asked

WITHIN_S = 300.0  # a month of ERA5 takes seconds


class Apart:
    """``read`` as ``Grids.read``, from any thread, one at a time. Also raises InputError where the reading process died or hung."""

    def __init__(self, region: Landed, asked: Asked | None = None, within_s: float = WITHIN_S) -> None:
        Grids(region, asked)  # raises what is wrong with the region or with what is installed
        self._given = (region.id, region.catchments, asked or Asked())
        self._within_s = within_s
        self._lock = threading.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None

    def read(self, path: Path) -> Averaged:
        with self._lock:
            pipe = self._pipe or self._start()
            try:
                pipe.send(path)
                if not pipe.poll(self._within_s):
                    raise self._failed(path, f"could not be read within {self._within_s:g} s")
                kind, found = pipe.recv()
            except (EOFError, OSError):
                raise self._failed(path, f"the process that read it died ({self._why()})") from None
        if kind == "read":
            averaged: Averaged = found
            return averaged
        raise (Unreadable if kind == "unreadable" else InputError)(**found)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _start(self) -> Connection:
        spawn = multiprocessing.get_context("spawn")  # a fork would take along what other threads hold
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, *self._given), name="grids-reader", daemon=True)
        self._process.start()
        theirs.close()  # so that we read the end of it when it dies
        return self._pipe

    def _why(self) -> str:
        self._process.join(5.0)
        return f"exit code {self._process.exitcode}"

    def _failed(self, path: Path, what: str) -> InputError:
        self._end()
        return InputError(f"{path.name}: {what}", reason="grid_unreadable", field="FILE", fix="fetch it again; is it whole?")

    def _end(self) -> None:
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.join()


class _Given:
    def __init__(self, id: str, catchments: tuple[Catchment, ...]) -> None:
        self.id, self.catchments = id, catchments


def _serve(pipe: Connection, region: str, catchments: tuple[Catchment, ...], asked: Asked) -> None:
    """The other process: answers until nobody asks any more."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    grids = Grids(_Given(region, catchments), asked)
    while True:
        try:
            path = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[str, Any] = ("read", grids.read(path))
        except InputError as error:
            kind = "unreadable" if isinstance(error, Unreadable) else "wrong"
            answer = (kind, {"message": str(error), "reason": error.reason, "field": error.field, "fix": error.fix})
        pipe.send(answer)
