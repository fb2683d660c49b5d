"""``warning bench latency``: from the POST of a reading to its warning's submit_sm at the SMS centre, with load behind it.

The whole way in real processes on Apache Kafka: gateway, worker, dispatcher with its ledger. The centre is in this process, so that both
ends are timed by one clock.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.rehearsal.arrivals import latencies
from warning.rehearsal.summary import Table
from warning.rehearsal.telecom import Telecom
from warning.stream.broker import free_port
from warning.wiring_bench_broker import Broker
from warning.wiring_bench_latency import WARM_S, Plan, Progress, system
from warning.wiring_bench_region import CROSSING
from warning.wiring_bench_report import Bar, bars
from warning.wiring_environment import to_environment
from warning.wiring_supervisor import Command, Supervisor

PHONE_S = 120.0  # later than this: lost
LOOK_S = 0.002
WARMING = 10  # probes that are not counted: the first ones find everything cold
NAME = re.compile(r"P\d{5}")


@dataclass
class Phones:
    """What ``latencies`` waits for: the first part of the message that names a gauge."""

    telecom: Telecom

    def __post_init__(self) -> None:
        self.at: dict[str, float] = {}
        self._seen = 0
        self._wall_s = time.time() - time.monotonic()

    async def of(self, zone: str) -> float:
        """When its submit_sm came (monotonic s). Raises Unavailable if it does not within ``PHONE_S``."""
        until = time.monotonic() + PHONE_S
        while zone not in self.at:
            self._look()
            if time.monotonic() > until:
                raise Unavailable(f"no SMS of {zone} in {PHONE_S:.0f} s; {len(self.at)} others came", reason="lost")
            await asyncio.sleep(LOOK_S)
        return self.at[zone]

    def _look(self) -> None:
        for part in self.telecom.parts[self._seen :]:
            for name in NAME.findall(part["text"]):
                self.at.setdefault(name, part["at_ms"] / 1000 - self._wall_s)
        self._seen = len(self.telecom.parts)


@asynccontextmanager
async def dispatching(region: Path, deployment: Deployment, folder: Path) -> AsyncIterator[Telecom]:
    """A dispatcher beside what runs already, and the centre that it sends to."""
    telecom = Telecom()
    await telecom.start()
    try:
        where = replace(deployment, smpp_port=telecom.port, smpp_user=telecom.user, smpp_password=telecom.password, sms_sender="FLOOD")
        where = replace(where, dispatch_metrics_port=free_port())
        base = f"http://{where.host}:{where.dispatch_metrics_port}"
        async with Supervisor() as supervisor:
            arguments = ("warning", "dispatch", "--region", str(region))
            ready = f"{base}/readyz"
            await supervisor.start(Command("dispatch", arguments, to_environment(where), ready=ready, log=folder / "dispatch.log"))
            yield telecom
    finally:
        await telecom.stop()


async def to_phone(plan: Plan, rate: float, on: Broker, folder: Path, progress: Progress) -> dict[str, Any]:
    """Latencies at ``rate`` readings a second. Raises Unavailable where something does not come."""
    async with AsyncExitStack() as stack:
        running, deployment = await stack.enter_async_context(system(plan, on, folder))
        telecom = await stack.enter_async_context(dispatching(folder / "region", deployment, folder))
        phones = Phones(telecom)
        stations = [f"P{number:05d}" for number in range(plan.probes + WARMING)]
        await latencies(running.url, running.key, stations[:WARMING], CROSSING, 0.1, phones)
        loading = asyncio.create_task(running.load(rate, plan.seconds + 2 * WARM_S, plan.batch, 6))
        await asyncio.sleep(WARM_S)
        progress(f"latency at {rate:,.0f} readings/s", 0, plan.probes)
        found = await latencies(running.url, running.key, stations[WARMING:], CROSSING, plan.seconds / plan.probes, phones)
        progress(f"latency at {rate:,.0f} readings/s", plan.probes, plan.probes)
        load = await loading
    cuts = statistics.quantiles(found, n=100, method="inclusive")
    return {
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "most_ms": max(found) * 1000,
        "readings_per_second": load["accepted"] / load["seconds"],
        "load_late_ms": load["late_s"] * 1000,
        "failed": sum(load["failed"].values()) if isinstance(load["failed"], dict) else load["failed"],
        "probes": len(found),
    }


def document(found: dict[str, Any], where: str) -> dict[str, Any]:
    return {"where": where, "figures": {name: round(value, 3) for name, value in found.items()}}


def tables(found: dict[str, Any], rate: float, where: str) -> list[Table]:
    """Bars, and what was measured."""
    wants = [
        Bar("ms from POST to submit_sm, p99", round(found["p99_ms"], 1), most=1000),
        Bar("readings/s behind it", round(found["readings_per_second"]), least=0.95 * rate),
        Bar("requests that failed", found["failed"], most=0),
    ]
    rows = tuple((name.replace("_", " "), f"{value:,.1f}") for name, value in found.items())
    return [bars(f"From a reading to the SMS centre, {where}", wants), Table("Measured", ("figure", "value"), rows)]
