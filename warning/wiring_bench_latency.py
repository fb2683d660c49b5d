"""From POST to the alert on the topic: a real gateway, a real worker, real Kafka, and a reading that crosses a limit among the load."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warning.deployment import Deployment
from warning.ingest.http import PATH
from warning.ingest.keys import KeyStore
from warning.rehearsal.arrivals import Arrivals, arrivals, latencies
from warning.wiring import clock_ms
from warning.wiring_bench_broker import Broker
from warning.wiring_bench_child import Child, Told, child
from warning.wiring_bench_region import CROSSING, Size, write
from warning.wiring_environment import to_environment
from warning.wiring_supervisor import Command, Supervisor

SHARES = (10, 80)  # percent of what the system carries
WARM_S = 3.0
START_S = 120.0
DRAIN_S = 600.0
HOURS_APART = 6  # of the loads' made-up times: none repeats what another sent
Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True, slots=True)
class Plan:
    """``seconds``: of each measurement; ``probes``: readings that cross a limit, in each of them."""

    series: int = 1000
    seconds: float = 40.0
    probes: int = 200
    batch: int = 100


@dataclass
class System:
    """What runs, and what the worker last told."""

    url: str
    key: str
    stations: list[str]
    folder: Path
    told: Told = field(default_factory=lambda: {"readings": 0, "cpu_s": 0.0})

    async def follow(self, worker: Child) -> None:
        """Until cancelled, or the worker ends (Unavailable)."""
        while True:
            self.told = await worker.until(lambda told: "beat" in told, START_S)

    async def load(self, rate: float, seconds: float, batch: int, behind_h: int, connections: int = 8) -> Told:
        """Posts that load from a process of its own; what became of it."""
        settings = {"url": self.url, "key": self.key, "stations": self.stations, "rate": rate, "seconds": seconds, "batch": batch}
        settings |= {"behind_s": behind_h * 3600, "connections": connections}
        async with child("warning.rehearsal.load", settings, self.folder) as load:
            return await load.until(lambda told: "done" in told, seconds + START_S)


@asynccontextmanager
async def system(plan: Plan, on: Broker, folder: Path) -> AsyncIterator[tuple[System, Deployment]]:
    """Gateway and worker on a made-up region, ready for work."""
    size = Size(plan.series, probes=plan.probes * len(SHARES))
    region = await asyncio.to_thread(write, size, folder / "region")
    async with AsyncExitStack() as stack:
        deployment = await on.deployment(folder, 1, "latency")
        keys = KeyStore(deployment.database, clock_ms)
        try:
            _, key = await keys.create("load", per_minute=0)
        finally:
            await keys.close()
        supervisor = await stack.enter_async_context(Supervisor())
        base, environment = f"http://{deployment.host}:{deployment.ingest_port}", to_environment(deployment)
        arguments = ("warning", "ingest", "--region", str(region))
        await supervisor.start(Command("ingest", arguments, environment, ready=f"{base}/readyz", log=folder / "ingest.log"))
        worker = await stack.enter_async_context(child("warning.wiring_bench_worker", {"region": str(region)}, folder, environment))
        await worker.until(lambda told: told.get("beat") == "one", START_S)
        gauges = [name for name, _, _ in size.gauges[: plan.series]]
        running = System(base + PATH, key, gauges, folder)
        following = asyncio.create_task(running.follow(worker))
        try:
            yield running, deployment
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def latency(plan: Plan, on: Broker, folder: Path, progress: Progress) -> dict[str, Any]:
    """Capacity first, then the latencies at each of ``SHARES`` of it. Raises Unavailable where something does not come."""
    async with system(plan, on, folder) as (running, deployment), arrivals(deployment) as heard:
        found = await _capacity(plan, running, progress)
        for number, share in enumerate(SHARES):
            rate = found["readings_per_second"] * share / 100
            stations = [f"P{at:05d}" for at in range(number * plan.probes, (number + 1) * plan.probes)]
            found[f"at_{share}"] = await _at(plan, running, rate, stations, heard, number + 1)
            progress(f"latency at {share} % load", plan.probes, plan.probes)
        return found


async def _capacity(plan: Plan, running: System, progress: Progress) -> dict[str, Any]:
    """As many readings as are taken, for a while; the worker lives beside it and must keep up, else it is what limits."""
    before = running.told["readings"]
    progress("capacity", 0, 1)
    load = await running.load(0, plan.seconds / 2, plan.batch, HOURS_APART * (len(SHARES) + 1))
    gateway = load["accepted"] / load["seconds"]
    applied, left = running.told["readings"] - before, load["accepted"] - (running.told["readings"] - before)
    worker = applied / load["seconds"]
    limit = "worker" if left > 2 * gateway else "gateway"  # more than two seconds behind: it does not keep up
    async with asyncio.timeout(DRAIN_S):
        while running.told["readings"] - before < load["accepted"]:  # noqa: ASYNC110 - what a process tells is no event
            await asyncio.sleep(0.1)
    progress("capacity", 1, 1)
    return {"readings_per_second": min(gateway, worker) if limit == "worker" else gateway, "limit": limit, "failed": load["failed"]}


async def _at(plan: Plan, running: System, rate: float, stations: list[str], heard: Arrivals, number: int) -> dict[str, Any]:
    loading = asyncio.create_task(running.load(rate, plan.seconds + 2 * WARM_S, plan.batch, HOURS_APART * number))
    await asyncio.sleep(WARM_S)
    cpu_s = running.told["cpu_s"]
    found = await latencies(running.url, running.key, stations, CROSSING, plan.seconds / len(stations), heard)
    cpu_s = running.told["cpu_s"] - cpu_s
    load = await loading
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return {
        "readings_per_second": load["accepted"] / load["seconds"],
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "most_ms": max(found) * 1000,
        "worker_cpu_share": cpu_s / plan.seconds,
        "load_late_ms": load["late_s"] * 1000,
        "failed": load["failed"],
    }
