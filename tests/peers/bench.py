"""``warning bench peers``: the same job, the same bytes, the same machine, one run; each engine on one core, Apache Kafka on another.

Exit code 0: every engine ran and said what the job says; 1: one did not (the table names it, with the reason); 2: nothing could be run.
Whether a bar was met is printed and in ``--json``, and is no part of the exit code: cores differ.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import topics
from compare import compare
from engines import Engine, engines, install
from job import BEAT, Scores, records, scores
from run import Failed, Figures, Place, run
from services import ApacheKafka

from warning.deployment import Deployment
from warning.stream.topics import ensure_topics
from warning.wiring_bench_broker import installed as kafka_home

PREFIX = "replay-peers."
OURS_AT_MOST = 1.1  # CPU s per million
AT_LEAST = {"flink": 5.0, "kafka_streams_dsl": 15.0, "quix": 100.0, "faust": 500.0}  # times ours


def main() -> int:
    parser = argparse.ArgumentParser(prog="warning bench peers")
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    wanted = [engine for engine in engines(asked.readings) if not asked.only or engine.key in asked.only]
    unknown = set(asked.only) - {engine.key for engine in engines(asked.readings)}
    home, cores = kafka_home(), sorted(os.sched_getaffinity(0))
    problems = [f"no engine {name}" for name in sorted(unknown)]
    problems += [] if home else ["Apache Kafka is not installed: make services, or set WARNING_KAFKA_HOME to a folder with libs/*.jar"]
    problems += [] if len(cores) > 1 else ["two cores are needed: one for an engine, one for the broker"]
    problems += [f"--readings must be a multiple of {BEAT}"] if asked.readings % BEAT or asked.readings < BEAT else []
    if problems or home is None:
        print("\n".join(problems), file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {cores[0]})  # and with us all that we start, but for the engines
    folder = Path(tempfile.mkdtemp(prefix="peers-"))
    try:
        outcome = _all(wanted, 2 * asked.readings, ApacheKafka(home, folder / "kafka"), folder, cores[-1])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = {key: each for key, each in outcome.items() if isinstance(each, Figures)}
    bars = _bars(figures)
    _print_bars(bars)
    if asked.json:
        missing = {key: each for key, each in outcome.items() if isinstance(each, str)}
        document = {"figures": _named(figures), "missing": missing, "bars": bars, "machine": machine()}
        asked.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if len(figures) == len(wanted) else 1


def _all(wanted: list[Engine], readings: int, kafka: ApacheKafka, folder: Path, core: int) -> dict[str, Figures | str]:
    """Figures, or why there are none."""
    _say(f"the job scored in plain arrays ({readings:,} readings)")
    expected = scores(readings)
    missing = {}
    for kit in sorted({engine.kit for engine in wanted if engine.kit}):
        _say(f"installing what the peers in {kit.title()} need, unless it is there")
        missing[kit] = install(kit)
    outcome: dict[str, Figures | str] = {}
    kafka.start()
    try:
        asyncio.run(_log(kafka.bootstrap, readings))
        _head(readings)
        for engine in wanted:
            outcome[engine.key] = missing.get(engine.kit) or _one(engine, expected, kafka, folder, core)
            _row(engine, outcome[engine.key], outcome.get("ours"))
    finally:
        kafka.stop()
    return outcome


async def _log(bootstrap: str, readings: int) -> None:
    # The deployment's own topics stamp records with the broker's time, and Faust's windows are asked by the record's; its own hazards are
    # compacted, and every change is compared.
    for name in ("readings", "hazards"):
        await topics.make(bootstrap, f"{PREFIX}{name}")
    await ensure_topics(Deployment(bootstrap=bootstrap, prefix=PREFIX, replay=True), 1)
    await topics.write(bootstrap, f"{PREFIX}readings", readings, lambda count: _say(f"writing the log: {count:,} of {readings:,}"))


def _one(engine: Engine, expected: Scores, kafka: ApacheKafka, folder: Path, core: int) -> Figures | str:
    _say(f"{engine.title}: {engine.warm + engine.count:,} readings")
    changes = f"{PREFIX}hazards" if engine.key == "ours" else f"changes-{engine.key}"
    if engine.key != "ours":
        asyncio.run(topics.make(kafka.bootstrap, changes))
    place = Place(kafka.bootstrap, PREFIX, changes, folder / engine.key, core)
    try:
        figures = run(engine, place)
    except Failed as error:
        return str(error)
    told = asyncio.run(topics.changes(kafka.bootstrap, changes))
    found = compare(told, expected.first(engine.warm + engine.count))
    if not found.same:
        return f"{len(found.faults)} differences in {found.changes} changes, the first: {found.faults[0]}"
    _say(f"{engine.title}: {found.changes:,} changes, all as they must be ({found.undecided} readings exactly at the limit)")
    return figures


def _say(words: str) -> None:
    """Progress."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{words:<100}", end=end, file=sys.stderr, flush=True)


def _head(readings: int) -> None:
    size = len(next(value for key, value, _ in records(BEAT) if key))
    print(f"{readings:,} readings of {size} bytes; {machine()['cpu']}, {machine()['cores']} cores, load {machine()['load']:.1f}")
    print(
        f"{'':<40}{'measured over':>14}{'readings/s':>12}{'CPU s/million':>15}{'with warm-up':>14}{'RSS MB':>8}{'to ours':>9}", flush=True
    )


def _row(engine: Engine, figures: Figures | str, ours: Figures | str | None) -> None:
    if isinstance(figures, str):
        print(f"{engine.title:<40} MISSING: {figures}", flush=True)
        return
    ratio = f"{figures.cpu_s_per_million / ours.cpu_s_per_million:.1f} x" if isinstance(ours, Figures) else ""
    columns = f"{figures.count:>14,}{figures.readings_per_second:>12,.0f}{figures.cpu_s_per_million:>15.2f}"
    print(f"{engine.title:<40}{columns}{figures.whole_cpu_s_per_million:>14.2f}{figures.rss_mb:>8.0f}{ratio:>9}", flush=True)


def _named(figures: dict[str, Figures]) -> dict[str, float]:
    named = {}
    for key, each in figures.items():
        for field, value in asdict(each).items():
            named[f"{key}_{field}"] = round(value, 3)
    if "kafka_streams_dsl" in figures:
        named["kafka_streams_cpu_s_per_million"] = named["kafka_streams_dsl_cpu_s_per_million"]
    return named


def _bars(figures: dict[str, Figures]) -> list[dict[str, Any]]:
    """A bar that could not be measured is not in it."""
    if "ours" not in figures:
        return []
    ours = figures["ours"].cpu_s_per_million
    bars = [{"bar": f"ours: at most {OURS_AT_MOST} CPU s per million", "figure": round(ours, 2), "met": ours <= OURS_AT_MOST}]
    for key, times in AT_LEAST.items():
        if key in figures:
            ratio = figures[key].cpu_s_per_million / ours
            bars.append({"bar": f"{key}: at least {times:.0f} times ours", "figure": round(ratio, 1), "met": ratio >= times})
    return bars


def _print_bars(bars: list[dict[str, Any]]) -> None:
    for bar in bars:
        print(f"{'met' if bar['met'] else 'MISSED':<8}{bar['bar']}: {bar['figure']}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    names = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
