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

from warning import wiring_supervisor
from warning.errors import ExitCode, StateError, Unavailable
from warning.stream.broker import free_port
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


async def until(condition, within_s: float = 120.0) -> None:  # type: ignore[no-untyped-def]
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
            await asyncio.wait_for(supervisor.watch(), 120)
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


async def test_restarts_that_do_not_help_end_all_with_their_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug ends it again and again: with growing pauses, and not for ever."""
    monkeypatch.setattr(wiring_supervisor, "MOST_FALLS", 3)
    falls = module(tmp_path, "falls", f"import sys\nprint('a bug')\nsys.stdout.flush()\nsys.exit({int(ExitCode.INVARIANT)})\n")
    began = time.monotonic()
    async with Supervisor() as supervisor:
        await supervisor.start(falls)
        with pytest.raises(StateError, match="a bug") as caught:
            await asyncio.wait_for(supervisor.watch(), 240)
        assert supervisor.restarts["falls"] == 2
    assert caught.value.exit_code is ExitCode.INVARIANT
    assert time.monotonic() - began >= 1.5, "half a second, then a whole one"


async def test_an_outage_is_never_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring_supervisor, "MOST_FALLS", 2)
    monkeypatch.setattr(wiring_supervisor, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(wiring_supervisor, "LONGEST_PAUSE_S", 0.01)
    async with Supervisor() as supervisor:
        await supervisor.start(module(tmp_path, "away", f"raise SystemExit({int(ExitCode.BROKER)})\n"))
        await until(lambda: supervisor.restarts["away"] >= 5)
        assert not supervisor.failed.done()


SERVER = """
    import http.server, pathlib, sys
    class Probe(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            stalled = self.path == "/livez" and pathlib.Path({stalled!r}).exists()
            self.send_response(503 if stalled else 200)
            self.end_headers()
        def log_message(self, *_):
            pass
    http.server.HTTPServer(("127.0.0.1", {port}), Probe).serve_forever()
"""


@pytest.mark.parametrize("how", ["says so", "says nothing"])
async def test_what_makes_no_progress_is_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(wiring_supervisor, "PROBE_EVERY_S", 0.2)
    monkeypatch.setattr(wiring_supervisor, "SILENCES", 1)
    stalled, port = tmp_path / "stalled", free_port()
    server = module(tmp_path, "server", SERVER.format(stalled=str(stalled), port=port))
    command = Command(server.name, server.arguments, server.environment, ready=f"http://127.0.0.1:{port}/readyz", log=server.log)
    async with Supervisor() as supervisor:
        await supervisor.start(command)
        first = supervisor.pid("server")
        assert first is not None
        await asyncio.sleep(1.0)
        assert supervisor.pid("server") == first, "it lives"
        if how == "says so":
            stalled.touch()
        else:
            os.kill(first, signal.SIGSTOP)
        await until(lambda: supervisor.restarts["server"] == 1)
        stalled.unlink(missing_ok=True)
        assert not alive(first)
