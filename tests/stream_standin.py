"""A pipeline for tests of the stream alone: it counts, so that one record lost, doubled or out of order shows in what comes out.

Per series: count, sum of values, last value; an alert each ``STEP`` readings that says all three. Decisions depend on the log alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from warning.model import (
    Alert,
    AlertEvent,
    Certainty,
    EventKind,
    Hazard,
    Level,
    Parameter,
    Reading,
    Rejected,
    Status,
    to_json,
)
from warning.pipeline.beat import Hazards, Outputs, Readings
from warning.pipeline.held import Held
from warning.region import Region
from warning.stream.ports import Pipeline

STEP = 5


@dataclass(frozen=True)
class Plan:
    row: dict[tuple[str, Parameter], int]
    code: str = "standin-1"

    @staticmethod
    def of(region: Region, partition: int) -> Plan:
        here = [s for s in region.stations if region.basins[s.basin] == partition]
        pairs = [(one.station, one.parameter) for station in here for one in station.series]
        return Plan({pair: number for number, pair in enumerate(pairs)})


class State:
    def __init__(self, rows: int) -> None:
        self.count, self.total, self.last = np.zeros(rows, np.int64), np.zeros(rows), np.full(rows, np.nan)
        self.now_ms = self.beats = 0

    @staticmethod
    def empty(plan: Plan) -> State:
        return State(len(plan.row))

    def freeze(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"now_ms": self.now_ms, "beats": self.beats}, {"count": self.count, "total": self.total, "last": self.last}

    def hold(self, more: dict[str, Any]) -> tuple[Iterator[bytes], Held]:
        head, arrays = self.freeze()
        return iter([msgspec.json.encode({**head, **more})]), Held({name: array.copy() for name, array in arrays.items()})

    def release(self, held: Held) -> None: ...

    @staticmethod
    def thaw(plan: Plan, head: dict[str, Any], arrays: dict[str, Any]) -> State:
        state = State(len(plan.row))
        state.count, state.total, state.last = (arrays[name].copy() for name in ("count", "total", "last"))
        state.now_ms, state.beats = head["now_ms"], head["beats"]
        return state


def step(plan: Plan, state: State, readings: Readings, now_ms: int) -> Outputs:
    state.now_ms = max(state.now_ms, now_ms)
    state.beats += 1
    names = [station for station, _ in plan.row]
    alerts, hazards, rejected = [], [], []
    before = state.count // STEP
    for row, value, time_ms in zip(readings.row.tolist(), readings.value.tolist(), readings.time_ms.tolist(), strict=True):
        if value != value:
            record = to_json(
                Reading(station=names[row], parameter=Parameter.STAGE, time_ms=time_ms, value=None, received_ms=0, provider="")
            )
            rejected.append(Rejected(reason="missing", stage="qc", detail=names[row], record=record.decode(), at_ms=state.now_ms))
            continue
        state.count[row] += 1
        state.total[row] += value
        state.last[row] = value
    for row in np.flatnonzero(state.count // STEP > before).tolist():
        hazard = _hazard(names[row], state, row)
        hazards.append(hazard)
        alerts.append(_event(hazard, state, row))
    return Outputs(state.now_ms, len(readings), Hazards.of(hazards), tuple(alerts), tuple(rejected), {("GOOD", "none"): len(readings)})


def _hazard(zone: str, state: State, row: int) -> Hazard:
    quiet = Level.NORMAL
    return Hazard(
        region="r",
        zone=zone,
        at_ms=state.now_ms,
        quantity="stage",
        value=float(state.last[row]),
        observed_ms=state.now_ms,
        level=Level.HIGH if state.count[row] % (2 * STEP) else quiet,
        level_confirmed=quiet,
        level_cleared=quiet,
        level_expected=quiet,
        level_expected_cleared=quiet,
        probability=0.0,
        arrival_ms=None,
        silent_since_ms=None,
    )


def _event(hazard: Hazard, state: State, row: int) -> AlertEvent:
    count = int(state.count[row])
    alert = Alert(
        identifier=f"ews.{hazard.zone}.{count // STEP}",
        region="r",
        zone=hazard.zone,
        revision=count,
        kind=EventKind.RAISE,
        event_ids=(),
        status=Status.EXERCISE,
        level=Level.HIGH,
        previous_level=Level.NORMAL,
        certainty=Certainty.OBSERVED,
        raised_ms=state.now_ms,
        sent_ms=state.now_ms,
        expires_ms=state.now_ms,
        arrival_ms=None,
        told_arrival_ms=None,
        hazard=hazard,
    )
    words = f"count {count} sum {state.total[row]:.3f} last {state.last[row]:.3f} now {state.now_ms} beats {state.beats}"
    return AlertEvent(alert=alert, cap=words, config="d1", code="standin-1")


STANDIN = Pipeline(plan=Plan.of, empty=State.empty, thaw=State.thaw, step=step, published_after=lambda plan, state, events: [])
