"""The worker process of a bench: what ``warning worker`` does, and it tells its parent of its state, its checkpoints and how far it is."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import sys
import time
from typing import Any

from warning import config, wiring
from warning.facts import BeatClosed, CheckpointRefused, CheckpointWritten, Fact, PartitionsOwned, StateLoaded
from warning.operate import observed
from warning.wiring_bench_child import rss_bytes, tell
from warning.wiring_environment import from_environment

TOLD = (StateLoaded, CheckpointWritten, CheckpointRefused, PartitionsOwned)
EVERY_S = 0.25


class Overheard:
    """What watches a worker, and the parent hears of it. ``ends``: partition -> offset that closes the bench's log."""

    def __init__(self, watched: observed.Observed, ends: dict[int, int]) -> None:
        self.health, self.metrics, self.registry = watched.health, watched.metrics, watched.registry
        self._watched, self._ends = watched, ends
        self._readings = self._beats = 0
        self._told_s = 0.0

    def __call__(self, fact: Fact) -> None:
        self._watched(fact)
        if isinstance(fact, BeatClosed):
            self._beat(fact)
        elif isinstance(fact, TOLD):
            tell(fact=type(fact).__name__, at=time.time(), cpu_s=time.process_time(), **dataclasses.asdict(fact))

    def _beat(self, beat: BeatClosed) -> None:
        self._readings += beat.readings
        self._beats += 1
        arrived = beat.partition in self._ends and beat.offset >= self._ends[beat.partition]
        if arrived:
            del self._ends[beat.partition]
        if self._beats == 1 or arrived or time.monotonic() - self._told_s > EVERY_S:
            self._told_s = time.monotonic()
            words: dict[str, Any] = {"readings": self._readings, "beats": self._beats, "offset": beat.offset, "partition": beat.partition}
            tell(beat="last" if arrived else "one", at=time.time(), cpu_s=time.process_time(), rss=rss_bytes(), **words)


def main() -> int:
    """As a program: the region's folder and ``ends`` as JSON; the deployment in the environment."""
    settings = json.loads(sys.argv[1])
    observe = observed.observe
    ends = {int(partition): offset for partition, offset in settings.get("ends", {}).items()}
    observed.observe = lambda *given: Overheard(observe(*given), ends)  # type: ignore[assignment]
    gc.disable()  # as the command line does
    region = config.load(settings["region"], kept_in=from_environment(os.environ).directory)
    gc.freeze()
    gc.enable()
    tell(region=len(region.stations), at=time.time(), cpu_s=time.process_time())
    return int(wiring.run("worker", wiring.worker, region, from_environment(os.environ)))


if __name__ == "__main__":
    sys.exit(main())
