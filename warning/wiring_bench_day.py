"""Makes the past of a worker that ran for a day: a log, and generation after generation of checkpoints; then it is gone.

A day has 2,880 generations of 30 s. So many of full size would be terabytes: fewer are written, each with its chunks, head, commit and the
tombstones of the fourth last, as fast as they go. What a day leaves to read is what compaction leaves, and that is the same: the cleaner
works while they are written, and how much lay on the topic in the end is told.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from warning import config
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.facts import CheckpointRefused, CheckpointWritten, Fact
from warning.region import Region
from warning.stream.beats import Beats
from warning.stream.decisions import PIPELINE
from warning.stream.kafka import KafkaLog
from warning.stream.offsets import Offsets
from warning.stream.owned import Identity, Owned, Ports
from warning.wiring import clock_ms
from warning.wiring_bench_child import tell
from warning.wiring_bench_log import TICKS_A_MINUTE, append, end, live
from warning.wiring_bench_readings import Record, records, run_of
from warning.wiring_bench_region import Size

WARM_MINUTES = 3
TAIL_TICKS = TICKS_A_MINUTE // 2  # 30 s: what comes between two checkpoints
RUN = 15_000
BEAT = 25_000


class Past:
    """A worker's partition without its process."""

    def __init__(self, region: Region, size: Size, deployment: Deployment, log: KafkaLog, group: Offsets) -> None:
        self.size, self.deployment, self.log = size, deployment, log
        self.written: list[CheckpointWritten] = []
        self.wrong: list[str] = []
        plan = PIPELINE.plan(region, 0)
        ports = Ports(log, group, deployment, self._hear, lambda error: self.wrong.append(repr(error)))
        self.owned = Owned(ports, Identity("bench", region.digest, plan.code), Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0), 0, [])

    def _hear(self, fact: Fact) -> None:
        if isinstance(fact, CheckpointWritten):
            self.written.append(fact)
        elif isinstance(fact, CheckpointRefused):
            self.wrong.append(fact.why)

    async def live(self, part: list[Record]) -> None:
        """Writes the records and applies them."""
        await append(self.log, self.deployment, 0, part)
        stream = iter(part)
        while (run := run_of(stream, RUN))[0]:
            await self.owned.take(*run, self.owned.beats.position)

    async def save(self) -> None:
        """One generation, whole and committed. Raises Unavailable."""
        why = await self.owned.last_save(600.0)
        if self.wrong or self.owned.committed < self.owned.beats.next:  # "nothing new": the work itself began it, and it is written
            raise Unavailable(f"checkpoint not written: {why or self.wrong}")


async def day(region: Region, size: Size, deployment: Deployment, generations: int) -> dict[str, Any]:
    """Three minutes of every gauge, the generations with some readings between them, and 30 s of log after the last."""
    begin_ms = clock_ms() - (WARM_MINUTES + 2) * 60_000 - generations * 1000
    async with KafkaLog(deployment) as log, Offsets(deployment) as group:
        past = Past(region, size, deployment, log, group)
        stream = records(size, "uniform", min(BEAT, size.series), begin_ms)
        for _ in range(WARM_MINUTES * size.series // min(BEAT, size.series)):
            await past.live(list(zip(*run_of(stream, min(BEAT, size.series) + 1), strict=True)))  # type: ignore[arg-type]
        for number in range(generations):
            at = begin_ms + WARM_MINUTES * 60_000 + number * 1000
            await past.live(list(live(size, at, 1)))
            await past.save()
            tell(progress="generations", done=number + 1, total=generations)
        await append(log, deployment, 0, live(size, clock_ms() - 30_000, TAIL_TICKS))
        return {"end": await end(log, deployment, 0), "bytes": past.written[-1].bytes, "write_s": past.written[-1].seconds}


def main() -> None:
    """As a program: settings as JSON; tells its progress, then what it left."""
    settings = json.loads(sys.argv[1])
    deployment = Deployment(**settings["deployment"] | {"directory": Path(settings["deployment"]["directory"])})
    region = config.load(settings["region"], kept_in=deployment.directory)
    tell(day=asyncio.run(day(region, Size(settings["series"]), deployment, settings["generations"])))


if __name__ == "__main__":
    main()
