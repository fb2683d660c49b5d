"""Runs several commands of ours as processes of the system: starts them in order, restarts what dies, stops all in reverse.

A process that ends with an exit code that only a person can mend (configuration, a lost checkpoint, a truncated log) is not started
again: everything stops and the code is handed on. Where a restart may help (a bug, no progress, memory, a refusal, the clock) it is
started again with growing pauses, but not for ever: ``MOST_FALLS`` in half an hour, and everything stops likewise. What a broker's
outage or a signal ends is always started again. A process that says at ``/livez`` that it makes no progress, or says nothing for two
minutes, is killed and started again. On Linux no process outlives its supervisor, not even after kill -9.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from warning.errors import ExitCode, StateError, Unavailable
from warning.stream.broker import end_with_parent

log = logging.getLogger(__name__)

FOR_A_PERSON = {
    ExitCode.USAGE,
    ExitCode.CHECKPOINT_MISSING,
    ExitCode.CHECKPOINT_DIGEST,
    ExitCode.LOG_TRUNCATED,
    ExitCode.LOG_OTHER,
    ExitCode.CONFIG,
    ExitCode.CHECKPOINT_VERSION,
}
PERHAPS_A_PERSON = {
    ExitCode.INVARIANT,
    ExitCode.CHECKPOINT_WRITE,
    ExitCode.CLOCK,
    ExitCode.NO_PROGRESS,
    ExitCode.OUT_OF_MEMORY,
    ExitCode.ACCESS,
}
MOST_FALLS, IN_S = 8, 1800.0  # with pauses of 0.5 s to 30 s: a minute and a half at the least
PROBE_EVERY_S = 10.0
STALLS, SILENCES = 3, 12  # probes in a row: it says that it makes no progress; it says nothing
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 60.0  # a process that lived so long starts again at once
FALLS_AT_START = 3  # it dies so often before it was ready once: no use in going on
STOP_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Command:
    """One process to keep running. ``ready``: URL that answers 200 when it is ready for work; "": at once."""

    name: str
    arguments: tuple[str, ...]  # after ``python -m``
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    log: Path | None = None  # None: our own standard error


class Supervisor:
    """``async with Supervisor() as supervisor: await supervisor.start(command)`` ...; leaving stops all in reverse.

    ``failed`` is done (with the StateError to raise) as soon as a process ended that must not be started again.
    """

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.restarts: dict[str, int] = {}
        self._commands: dict[str, Command] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._falls: dict[str, deque[float]] = {}  # when it ended with a code with which a restart may not help
        self._was_ready: set[str] = set()
        self._spawning = asyncio.Lock()  # a keeper that is cancelled while it spawns would leave a process that nobody knows

    async def __aenter__(self) -> Supervisor:
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in reversed(list(self._keepers)):
            await self.stop(name)
        if self.failed.done() and not self.failed.cancelled():
            self.failed.exception()  # heard, whoever else listened

    async def watch(self) -> None:
        """Until a process ended that must not be started again; raises its StateError."""
        await asyncio.shield(self.failed)

    def pid(self, name: str) -> int | None:
        """Process id of what runs under that name now; None between a death and the restart."""
        process = self._running.get(name)
        return process.pid if process and process.returncode is None else None

    def tail(self, name: str) -> str:
        """The last lines of its log, after a line break; empty where it writes to our own standard error."""
        return _tail(self._commands[name])

    async def start(self, *commands: Command, within_s: float = 60.0) -> None:
        """Starts them in this order and returns when all are ready. Raises Unavailable if one is not in time, StateError if one
        ended for good."""
        for command in commands:
            self._commands[command.name], self.restarts[command.name] = command, 0
            self._running[command.name] = await _spawn(command)
            self._keepers[command.name] = asyncio.create_task(self._keep(command), name=f"keep {command.name}")
        for command in commands:
            await self._ready(command, within_s)

    async def _ready(self, command: Command, within_s: float) -> None:
        until = time.monotonic() + within_s
        while command.ready and not await answers(command.ready):
            if self.failed.done():
                self.failed.result()
            if self.restarts[command.name] >= FALLS_AT_START:
                raise Unavailable(f"{command.name} ends as soon as it starts{_tail(command)}", reason="child")
            if time.monotonic() > until:
                raise Unavailable(f"{command.name} is not ready after {within_s:.0f} s: {await why_not(command.ready)}{_tail(command)}")
            await asyncio.sleep(0.1)
        self._was_ready.add(command.name)

    async def _keep(self, command: Command) -> None:
        pause = FIRST_PAUSE_S
        while True:
            born = time.monotonic()
            probing = asyncio.create_task(self._probe(command, self._running[command.name]))
            try:
                code = await self._running[command.name].wait()
            finally:
                probing.cancel()
            if code in FOR_A_PERSON or self._falls_too_often(command, code):
                words = f"{command.name} ended with {ExitCode(code).name} ({code}) and is not started again{_tail(command)}"
                if not self.failed.done():
                    self.failed.set_exception(StateError(words, exit_code=ExitCode(code), reason="child"))
                return
            pause = FIRST_PAUSE_S if time.monotonic() - born > STEADY_S else pause
            log.warning("%s ended (%s); starting it again in %.1f s", command.name, _how(code), pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
            async with self._spawning:
                self._running[command.name] = await _spawn(command)
            self.restarts[command.name] += 1

    def _falls_too_often(self, command: Command, code: int) -> bool:
        if code not in PERHAPS_A_PERSON:
            return False
        falls, now = self._falls.setdefault(command.name, deque()), time.monotonic()
        falls.append(now)
        while falls[0] < now - IN_S:
            falls.popleft()
        return len(falls) >= MOST_FALLS

    async def _probe(self, command: Command, process: asyncio.subprocess.Process) -> None:
        """Kills it if it makes no progress for too long, by its own word or by its silence."""
        live = command.ready.replace("/readyz", "/livez")
        stalls = silences = 0
        while live:
            await asyncio.sleep(PROBE_EVERY_S)
            if command.name not in self._was_ready:
                continue
            status, body = await asyncio.to_thread(asked, live)
            stalls, silences = (stalls + 1 if status == 503 else 0), (silences + 1 if status == 0 else 0)
            if (stalls >= STALLS or silences >= SILENCES) and process.returncode is None:
                log.error("%s makes no progress (%s): killed, and started again", command.name, body or "it does not answer")
                process.kill()
                return

    async def stop(self, name: str) -> None:
        """SIGTERM, and SIGKILL if that does not help. Safe to call twice."""
        keeper = self._keepers.pop(name, None)
        if keeper is None:
            return
        async with self._spawning:
            keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        process = self._running.pop(name)
        if process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await process.wait()
        except TimeoutError:
            log.error("%s does not stop: killed", name)
            process.kill()
            await process.wait()


async def _spawn(command: Command) -> asyncio.subprocess.Process:
    output = command.log.open("ab") if command.log else None
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **command.environment},
            start_new_session=True,  # Ctrl-C is ours to hand on, in order
            preexec_fn=end_with_parent(),
        )
    finally:
        if output:
            output.close()


async def answers(url: str) -> bool:
    """Whether a GET of it gives 200."""
    return (await asyncio.to_thread(asked, url))[0] == 200


async def why_not(url: str) -> str:
    """What it answers instead, in words."""
    status, body = await asyncio.to_thread(asked, url)
    return f"{url} says {status} {body}" if status else f"{url}: {body}"


def asked(url: str) -> tuple[int, str]:
    """(status, body) of a GET; status 0 and the reason if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own process on the loopback
            return response.status, response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")[:500]
    except OSError as error:
        return 0, str(error)


def _how(code: int) -> str:
    if code < 0:
        return f"killed by signal {-code}"
    known = {each.value: each.name for each in ExitCode}
    return f"exit code {code} {known.get(code, '')}".strip()


def _tail(command: Command) -> str:
    """The end of its log, where we have it."""
    if command.log is None or not command.log.exists():
        return ""
    return "\n" + "\n".join(command.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
