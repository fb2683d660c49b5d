"""What a gateway takes: ``warning ingest`` as it runs, on Kafka, with keys, acknowledged by all replicas; and how long an answer takes.

``mqtt_messages_per_second`` comes from ``warning.wiring_bench_mqtt``: ``async def measure(on: Broker, folder: Path, seconds: float) ->
float | None`` (None: no Mosquitto here).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warning.ingest.http import PATH
from warning.ingest.keys import KeyStore
from warning.rehearsal.summary import Table
from warning.wiring import clock_ms
from warning.wiring_bench_broker import Broker
from warning.wiring_bench_latency import Progress, System
from warning.wiring_bench_region import Size, write
from warning.wiring_bench_report import Bar, bars
from warning.wiring_environment import to_environment
from warning.wiring_supervisor import Command, Supervisor

SERIES = 1000
PARTITIONS = 4
BATCH = 100
BATCHED_CONNECTIONS, SINGLE_CONNECTIONS = 32, 64  # 8 at once leave the brokers 200 readings a request, 32 leave 500
WARM_S = 2.0


@dataclass(frozen=True, slots=True)
class _Case:
    """``behind_h``: where its made-up times begin, so that none repeats what another sent."""

    name: str
    batch: int
    connections: int
    behind_h: int


CASES = (_Case("batched", BATCH, BATCHED_CONNECTIONS, 40), _Case("single", 1, SINGLE_CONNECTIONS, 20))


@asynccontextmanager
async def _gateway(on: Broker, folder: Path) -> AsyncIterator[tuple[System, int | None]]:
    region = await asyncio.to_thread(write, Size(SERIES, PARTITIONS), folder / "region")
    deployment = await on.deployment(folder, PARTITIONS, "ingest")
    keys = KeyStore(deployment.database, clock_ms)
    try:
        _, key = await keys.create("load", per_minute=0)
    finally:
        await keys.close()
    base = f"http://{deployment.host}:{deployment.ingest_port}"
    arguments = ("warning", "ingest", "--region", str(region))
    async with Supervisor() as supervisor:
        ready, log = f"{base}/readyz", folder / "ingest.log"
        await supervisor.start(Command("ingest", arguments, to_environment(deployment), ready=ready, log=log))
        yield System(base + PATH, key, [name for name, _, _ in Size(SERIES).gauges], folder), supervisor.pid("ingest")


async def ingest(seconds: float, on: Broker, folder: Path, progress: Progress) -> dict[str, Any]:
    """Each case as fast as it goes, then at half of that. Raises Unavailable if something does not come up."""
    found: dict[str, Any] = {}
    async with _gateway(on, folder) as (running, pid):
        for case in CASES:
            await _load(running, case, 0, min(WARM_S, seconds), case.behind_h + 3)
            progress(case.name, 0, 2)
            before = _cpu_s(pid)
            full = await _load(running, case, 0, seconds, case.behind_h)
            full["cpu_us_per_request"] = (_cpu_s(pid) - before) / max(1, full["accepted"]) * case.batch * 1e6
            progress(case.name, 1, 2)
            half = await _load(running, case, full["readings_per_second"] / 2, seconds, case.behind_h - 8)
            progress(case.name, 2, 2)
            found[case.name] = {"full": full, "half": half}
    found["mqtt_messages_per_second"] = await _mqtt(on, folder, seconds)
    return found


async def _load(running: System, case: _Case, rate: float, seconds: float, behind_h: int) -> dict[str, Any]:
    told = await running.load(rate, seconds, case.batch, behind_h, connections=case.connections)
    return told | {"readings_per_second": told["accepted"] / told["seconds"]}


def _cpu_s(pid: int | None) -> float:
    """That a process has used; 0 on systems without /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _mqtt(on: Broker, folder: Path, seconds: float) -> float | None:
    if importlib.util.find_spec("warning.wiring_bench_mqtt") is None:
        return None
    module = importlib.import_module("warning.wiring_bench_mqtt")
    measured: float | None = await module.measure(on, folder, seconds)
    return measured


def tables(found: dict[str, Any], where: str) -> list[Table]:
    """Bars, and what was measured."""
    figures = document(found, where)["figures"]
    bar = [
        Bar("readings/s in batches of 100", figures["readings_per_second_batched"], least=100_000),
        Bar("single requests/s", figures["requests_per_second_single"], least=4_000),
        Bar("MQTT messages/s", figures.get("mqtt_messages_per_second"), least=1_500),
    ]
    rows = [_row(name, share, told) for name in ("batched", "single") for share, told in found[name].items()]
    columns = ("requests", "load", "readings/s", "p50 ms", "p99 ms", "longest ms", "gateway's CPU us a request", "failed")
    return [bars(f"Ingest, {where}", bar), Table(f"Answers ({BATCH} readings a request, or one)", columns, tuple(rows))]


def _row(name: str, share: str, told: dict[str, Any]) -> tuple[str, ...]:
    times = (f"{told.get(f'{cut}_ms', 0):,.1f}" for cut in ("p50", "p99", "most"))
    cpu = f"{told['cpu_us_per_request']:,.0f}" if told.get("cpu_us_per_request") else ""
    return name, share, f"{told['readings_per_second']:,.0f}", *times, cpu, str(told["failed"] or "")


def document(found: dict[str, Any], where: str) -> dict[str, Any]:
    """For ``--json``; what was not measured is not among the figures."""
    batched, single = found["batched"], found["single"]
    figures = {
        "readings_per_second_batched": batched["full"]["readings_per_second"],
        "requests_per_second_single": single["full"]["readings_per_second"],
        "mqtt_messages_per_second": found["mqtt_messages_per_second"],
        "p99_ms_half_load": batched["half"].get("p99_ms"),
        "p99_ms_half_load_single": single["half"].get("p99_ms"),
    }
    return {"figures": {name: value for name, value in figures.items() if value is not None}, "measured": found, "broker": where}
