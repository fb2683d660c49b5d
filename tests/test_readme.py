"""The README cannot drift: its commands run, its tables are the program's own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from warning.cli import app
from warning.errors import ExitCode
from warning.stream.broker import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)


def leaves(command: object, name: str = "warning") -> Iterator[str]:
    """Full names of all commands, such as ``warning keys new``."""
    for part, inner in getattr(command, "commands", {}).items():
        if hasattr(inner, "commands"):
            yield from leaves(inner, f"{name} {part}")
        else:
            yield f"{name} {part}"


COMMANDS = set(leaves(typer.main.get_command(app)))


def table_of_commands() -> set[str]:
    named = set()
    for cell in re.findall(r"^\| (`warning .*?) \|", README, flags=re.MULTILINE):
        first, *others = re.findall(r"`([^`]*)`", cell)
        words = [word for word in first.split() if word.islower() and not word.startswith("-")]
        named.add(" ".join(words))
        named |= {" ".join([*words[:-1], other]) for other in others}
    return named


def test_table_of_commands_is_the_programs() -> None:
    assert table_of_commands() == COMMANDS


def test_table_of_exit_codes_is_the_programs() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)}
    assert codes == {int(code) for code in ExitCode}


def test_links_and_pictures_are_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_variables_are_fields_of_a_deployment() -> None:
    from dataclasses import fields

    from warning.deployment import Deployment
    from warning.wiring_environment import variable

    known = {variable(field.name) for field in fields(Deployment)}
    assert set(re.findall(r"`(WARNING_[A-Z_]+)`", README)) <= known


def test_the_two_commands_are_targets_of_make() -> None:
    targets = {line.split()[1] for line in BLOCKS[0].splitlines()}
    assert targets == {"demo", "test"}
    named = set(re.findall(r"`make ([a-z]+)", README)) | targets
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"make {target}: {done.stderr}"


def test_ten_lines_for_a_region() -> None:
    section = README.split("## Add a region")[1].split("\n## ")[0]
    assert len(re.findall(r"^\d+\. ", section, flags=re.MULTILINE)) == 10
    # every file that it names is one that the shipped regions have
    for name in re.findall(r"`([a-z]+\.(?:yaml|csv|geojson))`", section):
        assert (ROOT / "config" / "indus" / name).exists(), name


def test_judge_it_by_a_flood_of_the_past() -> None:
    """Commands, options and files are there; what they do, test_hindcast and test_whatif run with less."""
    lines = README.split("## Judge it by a flood of the past")[1].split("```sh\n")[1].split("```")[0].splitlines()
    root = typer.main.get_command(app)
    for line in lines:
        program, name, *arguments = shlex.split(line)
        assert program == "warning"
        command = root.commands[name]  # type: ignore[attr-defined]
        context = command.make_context(name, [str(ROOT / word) if word.startswith("config/") else word for word in arguments])
        assert context.params["region"] == "indus" and context.params["readings"].is_file()


@pytest.fixture
def deployment(tmp_path: Path) -> dict[str, str]:
    """An environment in which the README's commands find free ports and an empty folder."""
    ports = ("WARNING_INGEST_PORT", "WARNING_API_PORT", "WARNING_WORKER_METRICS_PORT", "WARNING_DISPATCH_METRICS_PORT")
    tools = Path(sys.executable).parent
    return {
        **os.environ,
        **{port: str(free_port()) for port in ports},
        "WARNING_DIRECTORY": str(tmp_path),
        "PATH": f"{shim(tmp_path)}:{tools}:{os.environ['PATH']}",
    }


def shim(folder: Path) -> Path:
    """A folder with the command ``warning``, of this very checkout."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    script = bin_folder / "warning"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m warning "$@"\n')
    script.chmod(0o755)
    return bin_folder


def shell(text: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-euc", text], env=environment, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)


def test_run_it_runs(deployment: dict[str, str]) -> None:
    """check, up, keys new and the reading, as they stand there; then the page answers and the reading is in the log."""
    lines = BLOCKS[1].replace("\\\n", "").splitlines()
    check, up, new_key, curl = lines
    done = shell(check, deployment)
    assert done.returncode == 0, done.stdout + done.stderr
    running = subprocess.Popen(
        ["bash", "-euc", f"exec {up}"], env=deployment, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(f"http://127.0.0.1:{deployment['WARNING_INGEST_PORT']}/readyz", running)
        key = shell(new_key, deployment).stdout.strip()
        assert key.startswith("fw_")
        curl = curl.replace("127.0.0.1:8080", f"127.0.0.1:{deployment['WARNING_INGEST_PORT']}")
        answer = shell(f"KEY={key}; {curl}", deployment)
        assert '"accepted":1' in answer.stdout, answer.stdout + answer.stderr
        page = f"http://127.0.0.1:{deployment['WARNING_API_PORT']}"
        for path in ("/", "/v1/alerts.atom", "/metrics", "/livez"):
            wait_for(page + path, running)
        wait_until(lambda: b"5946" in fetched(f"{page}/v1/zones"), "the reading of 210,000 cusec (5,946.5 m3/s) at /v1/zones")
        assert shell("warning healthy", deployment).returncode == 0
        assert running.stdout is not None
        broker = running.stdout.readline().split("broker: ")[1].strip()
        sensors = shell(f"warning sensors --region indus --kafka {broker}", deployment)
        assert sensors.returncode == 0, sensors.stderr
        assert "IND-SUKKUR" in sensors.stdout, "it never spoke"
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:
        return bytes(response.read())


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    def there() -> bool:
        assert process.poll() is None, "warning up has ended"
        try:
            fetched(url)
        except OSError:
            return False
        return True

    wait_until(there, url)


def wait_until(there, what: str, within_s: float = 120.0) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + within_s
    while not there():
        assert time.monotonic() < until, f"not there after {within_s:.0f} s: {what}"
        time.sleep(0.2)
