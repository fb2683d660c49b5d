"""A process of ours as Prometheus sees one: metrics and probes, fed with facts. Run by the tests, which also kill it.

``python tests/operate_process.py PORT``: serves until it is killed, telling a second's worth of facts twice a second.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from warning import config, facts
from warning.facts import Fact
from warning.model import DeliveryState, EventKind, Level
from warning.operate import health
from warning.operate.observed import observe
from warning.region import Region

ROOT = Path(__file__).parent.parent


def some_of_everything(region: Region, turn: int) -> list[Fact]:
    """Facts as all four processes would tell them."""
    zone = region.zones[turn % len(region.zones)].id
    return [
        facts.BrokerState(True),
        facts.Ready("stream", True),
        facts.Received(10, {"unit_unknown": 1}, 202, 0.004),
        facts.PartitionsOwned(tuple(range(region.partitions))),
        facts.StateLoaded(0, turn, "committed", 0.2),
        facts.BeatClosed(
            0,
            1_756_879_200_000 + turn * 500,
            turn,
            10,
            9,
            flags={("GOOD", "none"): 9, ("FAIL", "gross_range"): 1},
            rejected={("qc", "gross_range"): 1},
            alerts={EventKind.RAISE: 1} if turn == 3 else {},
            seconds=0.002,
        ),
        facts.ZoneObserved(zone, Level.HIGH, Level.UNKNOWN, None),
        facts.Backlog(0, 0),
        facts.CheckpointWritten(0, turn, 10_000, 0.001, 0.3),
        facts.ClockOffset(0.01),
        facts.Attempted("sms", DeliveryState.ACCEPTED, "", 0.05, 2),
        facts.Attempted("webhook", DeliveryState.FAILED, "gone", 0.05),
        facts.AlertHandled(Level.HIGH, EventKind.RAISE, 3, 1),
        facts.ChannelState("sms", True),
        facts.Answered("/v1/zones", 200, 0.003),
        facts.Ready("log", True),
        facts.DeviceHeard("sensor-7", "mqtt", 1_756_879_200_000, battery_v=3.6),
        facts.SensorsJudged(
            {"ok": 3, "silent": 1, "never": 2, "out": 1},
            (facts.SensorState("IND-GUDDU", "inflow", "silent", 90_000.0, 2.5), facts.SensorState("IND-SUKKUR", "inflow", "out", 9.0, 0.1)),
            (facts.DeviceState("sensor-7", "mqtt", "IND-GUDDU", 60.0, 3.6, 80.0, -97.0, 1.5),),
            ("IND-SUKKUR",),
        ),
        facts.ApprovalsWaiting(turn % 2, 30.0 * (turn % 2)),
        facts.WarningVerified(Level.HIGH, "hit", 14_400.0),
        facts.WarningVerified(Level.HIGH, "false_alarm", None),
    ]


async def main(port: int) -> None:
    region = config.load(ROOT / "config" / "indus")
    observed = observe(region, "", ("stream", "broker"))
    async with health.serve(observed.health, observed.registry, "127.0.0.1", port):
        for turn in range(1_000_000):
            for fact in some_of_everything(region, turn):
                observed(fact)
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
