"""The supervisor: restarts what dies, gives up on what only a person can mend, leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from warning.errors import ExitCode, StateError, Unavailable
from warning.wiring_supervisor import Command, Supervisor

ROOT = Path(__file__).parent.parent


def module(folder: Path, name: str, source: str) -> Command:
    """A command that runs a module of the test's own."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    return Command(name, (name,), {"PYTHONPATH": str(folder)}, log=folder / f"{name}.log")


SLEEPER = "import time\ntime.sleep(600)\n"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


async def until(condition, within_s: float = 30.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_what_is_killed_starts_again(tmp_path: Path) -> None:
    async with Supervisor() as supervisor:
        await supervisor.start(module(tmp_path, "sleeper", SLEEPER))
        first = supervisor.pid("sleeper")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pid("sleeper") not in (None, first))
        assert supervisor.restarts["sleeper"] == 1
        second = supervisor.pid("sleeper")
    assert second is not None
    assert not alive(second)


async def test_a_code_for_a_person_ends_all(tmp_path: Path) -> None:
    ends = f"import sys\nprint('the log is gone')\nsys.stdout.flush()\nsys.exit({int(ExitCode.LOG_TRUNCATED)})\n"
    async with Supervisor() as supervisor:
        await supervisor.start(module(tmp_path, "truncated", ends))
        with pytest.raises(StateError) as caught:
            await asyncio.wait_for(supervisor.watch(), 30)
    assert caught.value.exit_code is ExitCode.LOG_TRUNCATED
    assert "the log is gone" in str(caught.value)


async def test_what_falls_at_once_is_given_up(tmp_path: Path) -> None:
    falls = module(tmp_path, "falls", "raise SystemExit('no library')\n")
    command = Command(falls.name, falls.arguments, falls.environment, ready="http://127.0.0.1:9/readyz", log=falls.log)
    async with Supervisor() as supervisor:
        with pytest.raises(Unavailable, match="no library"):
            await supervisor.start(command)


async def test_stops_in_reverse_and_insists(tmp_path: Path) -> None:
    told = tmp_path / "told"
    source = """
        import pathlib, signal, sys, time
        def end(*_):
            with pathlib.Path({told!r}).open("a") as file:
                file.write({name!r} + " ")
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        print("up", flush=True)
        time.sleep(600)
    """
    commands = [module(tmp_path, name, source.format(told=str(told), name=name)) for name in ("first", "second")]
    async with Supervisor() as supervisor:
        await supervisor.start(*commands)
        await until(lambda: all(command.log and command.log.exists() and "up" in command.log.read_text() for command in commands))
    assert told.read_text().split() == ["second", "first"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's word on a parent's death is Linux only")
def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    parent = f"""
        import asyncio
        from warning.wiring_supervisor import Command, Supervisor
        async def main():
            async with Supervisor() as supervisor:
                await supervisor.start(Command("sleeper", ("sleeper",), {{"PYTHONPATH": {str(tmp_path)!r}}}))
                print(supervisor.pid("sleeper"), flush=True)
                await asyncio.sleep(600)
        asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(parent)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert alive(child)
    process.kill()
    process.wait()
    end = time.monotonic() + 20
    while alive(child):
        assert time.monotonic() < end
        time.sleep(0.02)
