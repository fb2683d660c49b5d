"""A process of a bench: a program of ours that tells what it measures, one JSON object a line on its standard output."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from warning.errors import Unavailable
from warning.stream.broker import end_with_parent

STOP_S = 60.0
_NUMBERS = itertools.count()
Told = dict[str, Any]


class Child:
    """``tell``s what comes; ``log`` is its standard error."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self.name, self._process, self._log = name, process, log

    @property
    def pid(self) -> int:
        return self._process.pid

    async def until(self, wanted: Callable[[Told], bool], within_s: float) -> Told:
        """The first thing told from now on that is wanted. Raises Unavailable if the process ends before, or does not tell in time."""
        try:
            async with asyncio.timeout(within_s):
                while line := await self._line():
                    told: Told = json.loads(line)
                    if wanted(told):
                        return told
        except TimeoutError:
            raise Unavailable(f"{self.name} did not come so far in {within_s:.0f} s{self._words()}", reason="child") from None
        raise Unavailable(f"{self.name} ended with exit code {await self._process.wait()}{self._words()}", reason="child")

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    def _words(self) -> str:
        return "\n" + "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    async def kill(self) -> None:
        """At once: for one whose state nobody needs any more."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; what it still tells is not heard."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                while await self._line():  # a full pipe would hold it up
                    pass
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def child(module: str, settings: Told, folder: Path, environment: Mapping[str, str] | None = None) -> AsyncIterator[Child]:
    """``python -m module JSON`` while the block runs; its standard error goes into ``folder``. It ends with us, whatever happens."""
    name = module.rpartition(".")[2]
    log = folder / f"{name}-{next(_NUMBERS)}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            json.dumps(settings, default=str),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is ours to hand on
            preexec_fn=end_with_parent(),
        )
    one = Child(process, name, log)
    try:
        yield one
    finally:
        await one.stop()


def tell(**told: Any) -> None:
    """From the child to its parent."""
    print(json.dumps(told, default=str), flush=True)


def rss_bytes() -> int:
    """Resident memory of this process now; on systems without /proc its peak."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return rss_most_bytes()


def rss_most_bytes() -> int:
    """The most that was ever resident of this process."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def available_bytes() -> int | None:
    """Memory that this machine can still give; None where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
