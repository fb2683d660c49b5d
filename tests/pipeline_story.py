"""A small theatre for the pipeline: push readings, tick, look. Used by the tests of ``science`` and ``pipeline``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from warning import config
from warning.model import AlertEvent, Hazard, Parameter
from warning.pipeline import Outputs, Plan, Readings, State, step
from warning.region import Region

START_MS = int(datetime(2025, 8, 1, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000
HOUR = 3_600_000


class Story:
    """One partition of a region; times are minutes after the start."""

    def __init__(self, region: Region, partition: int = 0) -> None:
        self.plan = Plan.of(region, partition)
        self.state = State.empty(self.plan)
        self.alerts: list[AlertEvent] = []
        self.hazards: dict[str, Hazard] = {}
        self.waiting: list[tuple[int, int, float, int, bool]] = []

    def push(self, station: str, minute: float, value: float | None, parameter: str = "stage", received: float | None = None) -> Story:
        row = self.plan.row[station, Parameter(parameter)]
        time_ms = START_MS + int(minute * MINUTE)
        heard_ms = time_ms if received is None else START_MS + int(received * MINUTE)
        self.waiting.append((row, time_ms, np.nan if value is None else value, heard_ms, False))
        return self

    def tick(self, minute: float) -> Outputs:
        row, time_ms, value, received_ms, sentinel = zip(*self.waiting, strict=True) if self.waiting else ((), (), (), (), ())
        self.waiting = []
        readings = Readings(
            np.array(row, np.int32),
            np.array(time_ms, np.int64),
            np.array(value, np.float64),
            np.array(received_ms, np.int64),
            np.array(sentinel, np.bool_),
        )
        out = step(self.plan, self.state, readings, START_MS + int(minute * MINUTE))
        self.alerts += out.alerts
        self.hazards.update({hazard.zone: hazard for hazard in out.hazards})
        return out

    def course(self, station: str, points: Iterable[tuple[float, float]], parameter: str = "stage") -> list[str]:
        """Push each (minute, value) and tick right after it; what was told, as "kind LEVEL"."""
        before = len(self.alerts)
        for minute, value in points:
            self.push(station, minute, value, parameter).tick(minute)
        return self.told(before)

    def told(self, since: int = 0, zone: str | None = None) -> list[str]:
        return [f"{e.alert.kind.value} {e.alert.level.value}" for e in self.alerts[since:] if zone in (None, e.alert.zone)]

    def series(self, name: str, station: str, parameter: str = "stage") -> float:
        return float(self.state.s[name][self.plan.row[station, Parameter(parameter)]])


def small(folder: Path, **alert: object) -> Region:
    """The region of ``tests/regions.py``, with other alert rules."""
    region = config.load(folder)
    return replace(region, alert=replace(region.alert, **alert)) if alert else region
