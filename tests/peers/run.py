"""One engine, once: a process on its own core, its marks, its memory, and its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from engines import HERE, ROOT, Engine

from warning.stream.broker import end_with_parent

PATIENCE_S = 900.0  # for the whole run
STANDSTILL_S = 120.0  # without CPU use of its own
TO_END_S = 60.0


class Failed(Exception):
    """The engine did not come to the end."""


@dataclass(frozen=True, slots=True)
class Figures:
    """``count``: readings measured, after ``warm``; ``whole_...``: from its first reading on, with what a JVM needs to get warm."""

    warm: int
    count: int
    readings_per_second: float
    cpu_s_per_million: float
    whole_cpu_s_per_million: float
    rss_mb: float  # the most it had


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine runs."""

    bootstrap: str
    prefix: str  # of the topics: readings are in PREFIXreadings
    changes: str  # topic to write to
    folder: Path
    core: int


def run(engine: Engine, place: Place) -> Figures:
    """Raises ``Failed``."""
    shutil.rmtree(place.folder, ignore_errors=True)
    (place.folder / "state").mkdir(parents=True)
    marks = place.folder / "marks"
    tie = end_with_parent()

    def begin() -> None:
        os.sched_setaffinity(0, {place.core})
        if tie is not None:
            tie()

    with (place.folder / "words").open("wb") as words:
        process = subprocess.Popen(
            engine.command(), env=_environment(engine, place), cwd=place.folder, stdout=words, stderr=words, preexec_fn=begin
        )
        try:
            found, rss_mb = _marks(engine, process, marks, place.folder / "words")
        finally:
            _end(process)
    first, warm, last = found
    seconds, cpu = last["at_s"] - warm["at_s"], last["cpu_s"] - warm["cpu_s"]
    count = last["readings"] - warm["readings"]
    whole = (last["cpu_s"] - first["cpu_s"]) / (last["readings"] - first["readings"])
    return Figures(int(warm["readings"]), int(count), count / seconds, cpu / count * 1e6, whole * 1e6, rss_mb)


def _environment(engine: Engine, place: Place) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{HERE.parent}:{HERE}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PEER_BROKER": place.bootstrap,
        "PEER_PREFIX": place.prefix,
        "PEER_TOPIC": f"{place.prefix}readings",
        "PEER_CHANGES": place.changes,
        "PEER_RUN": f"peer-{engine.key}",
        "PEER_STATE": str(place.folder / "state"),
        "PEER_MARKS": str(place.folder / "marks"),
        "PEER_MARKS_AT": f"1,{engine.warm},{engine.warm + engine.count}",
    }


def _marks(engine: Engine, process: subprocess.Popen[bytes], marks: Path, words: Path) -> tuple[list[dict[str, float]], float]:
    until, moved, used = time.monotonic() + PATIENCE_S, time.monotonic(), 0.0
    while True:
        time.sleep(0.1)
        found = [json.loads(line) for line in marks.read_text().splitlines()] if marks.exists() else []
        if process.poll() is None:
            rss_mb, cpu = _memory_mb(process.pid), _cpu_s(process.pid)
        if found and found[-1]["readings"] >= engine.warm + engine.count and len(found) == 3:
            return found, rss_mb
        if cpu > used + 0.5:
            moved, used = time.monotonic(), cpu
        still = time.monotonic() - moved > STANDSTILL_S
        if process.poll() is not None or time.monotonic() > until or still:
            why = (
                f"ended with {process.returncode}"
                if process.poll() is not None
                else "stands still"
                if still
                else f"not done in {PATIENCE_S:.0f} s"
            )
            raise Failed(f"{why} (marks: {found}): {words.read_text(errors='replace').strip()[-800:]}")


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0  # it is ending


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _end(process: subprocess.Popen[bytes]) -> None:
    """With what it has still to write."""
    process.terminate()
    try:
        process.wait(TO_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
