"""Keeps processes running as compose and Kubernetes do: whatever ends is started again, after a pause that doubles while it keeps dying."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from warning.stream.broker import end_with_parent

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
STEADY_S = 10.0  # one that lived so long starts again at once (Docker's rule; Kubernetes: ten minutes)


@dataclass(frozen=True, slots=True)
class Program:
    """A process to keep. ``ready``: says when it does its work."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """One end of a process that nobody here stopped in an orderly way: ``code`` is negative for a signal."""

    name: str
    code: int
    at_s: float


class Keeper:
    """``hold``: kill it and leave it down; ``release``: it may live again. All others are restarted whenever they end."""

    def __init__(self) -> None:
        self.ends: list[Ended] = []
        self._programs: dict[str, Program] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, asyncio.Event] = {}  # set: may run
        self._born = time.monotonic()

    async def __aenter__(self) -> Keeper:
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in reversed(list(self._tasks)):
            await self.stop(name, kill=True)

    @property
    def names(self) -> list[str]:
        return list(self._programs)

    def pid(self, name: str) -> int | None:
        """None while it is dead."""
        process = self._running.get(name)
        return process.pid if process is not None and process.returncode is None else None

    def program(self, name: str) -> Program:
        return self._programs[name]

    def add(self, program: Program) -> None:
        """From now on it is kept running. A name that is there already gets the new program at its next start."""
        self._programs[program.name] = program
        if program.name not in self._tasks:
            self._held[program.name] = asyncio.Event()
            self._held[program.name].set()
            self._tasks[program.name] = asyncio.create_task(self._keep(program.name), name=f"keep {program.name}")

    async def _keep(self, name: str) -> None:
        pause = FIRST_PAUSE_S
        while True:
            await self._held[name].wait()
            born = time.monotonic()
            process = self._running[name] = await _spawn(self._programs[name])
            code = await process.wait()
            self.ends.append(Ended(name, code, time.monotonic() - self._born))
            pause = FIRST_PAUSE_S if time.monotonic() - born > STEADY_S else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def send(self, name: str, number: int) -> bool:
        """False: it is dead at the moment."""
        pid = self.pid(name)
        if pid is None:
            return False
        os.kill(pid, number)
        return True

    def kill(self, name: str) -> bool:
        """kill -9; the keeper starts it again."""
        return self.send(name, signal.SIGKILL)

    def hold(self, name: str, number: int = signal.SIGKILL) -> None:
        """Ends it, and it stays down until ``release``."""
        self._held[name].clear()
        self.send(name, number)

    def release(self, name: str) -> None:
        self._held[name].set()

    async def down(self, name: str, within_s: float = 60.0) -> int:
        """Waits for the end of one that was told to end; its exit code."""
        process = self._running[name]
        return await asyncio.wait_for(process.wait(), within_s)

    async def stop(self, name: str, *, kill: bool = False, within_s: float = 90.0) -> int | None:
        """Ends it in an orderly way and for good; its exit code, None if it was dead. A process that does not end is killed: -9."""
        task = self._tasks.pop(name, None)
        if task is None:
            return None
        self._held[name].clear()
        process = self._running.get(name)
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), within_s)
            except TimeoutError:
                process.kill()
                await process.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._programs.pop(name)
        if (later := self._running.pop(name, None)) is not None and later.returncode is None:  # spawned meanwhile
            later.kill()
            await later.wait()
        return process.returncode if process is not None else None

    async def ready(self, *names: str, within_s: float = 120.0) -> None:
        """Waits until all of these are ready. Raises TimeoutError with the name and the end of its log."""
        until = time.monotonic() + within_s
        for name in names:
            while not await self.is_ready(name):
                if time.monotonic() > until:
                    raise TimeoutError(f"{name} is not ready after {within_s:.0f} s: {self.tail(name)}")
                await asyncio.sleep(0.2)

    async def is_ready(self, name: str) -> bool:
        program = self._programs[name]
        return self.pid(name) is not None and (program.ready is None or await program.ready())

    def tail(self, name: str, lines: int = 15) -> str:
        path = self._programs[name].log
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:]) if path.exists() else "no log"


async def _spawn(program: Program) -> asyncio.subprocess.Process:
    with program.log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *program.arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **program.environment},
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )


def moment(chance: random.Random, least_s: float, most_s: float) -> float:
    """A random number of seconds, the same for the same seed."""
    return chance.uniform(least_s, most_s)
