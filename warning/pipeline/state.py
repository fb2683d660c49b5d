"""State of one partition: a pure function of the log up to its last tick.

Three tables of arrays (series, zones, histories; a row each) and the active alerts. Written only through a Journal, so that
a beat is all or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from warning.errors import ExitCode, StateError
from warning.model import Alert
from warning.pipeline.plan import Plan
from warning.science import identity, qc, routing, windows
from warning.science.forecast import KNOTS

VERSION = 1
READS = tuple(version for version in (VERSION - 1, VERSION) if version > 0)  # the last two: an upgrade goes one step at a time

SERIES = {**qc.FIELDS, **identity.FIELDS, **windows.FIELDS}
ZONES: dict[str, tuple[str, tuple[int, ...]]] = {
    "median": ("f4", (KNOTS,)),  # forecast, for the zones downstream
    "issued_t": ("u4", ()),  # of the forecast
    "level": ("i1", ()),  # the last scoring: class of the newest good reading, -1 UNKNOWN
    "confirmed": ("i1", ()),
    "cleared": ("i1", ()),
    "expected": ("i1", ()),
    "keep": ("i1", ()),
    "arrival_t": ("u4", ()),
    "source": ("i4", ()),  # upstream zone that brings the most water, + 1; 0: none
    "value": ("f8", ()),
    "observed_t": ("u4", ()),
    "published_t": ("u4", ()),  # log time when the zone's hazard was last published; 0: never
    "alert_due_t": ("u4", ()),  # when the life cycle wants to look again; 0: not
    "due_t": ("u4", ()),  # when the zone must be scored again though nothing came
}
NEVER = 0xFFFFFFFF

Arrays = dict[str, NDArray[Any]]


@dataclass(slots=True)
class State:
    """Arrays of series (``s``), zones (``z``) and histories (``h``), the active alerts by zone, and the time of the last tick."""

    s: Arrays
    z: Arrays
    h: Arrays
    rows: dict[str, list[str]]  # names of the rows of the three tables
    code: str  # of the code and the configuration that decide
    config: str
    alerts: dict[str, Alert] = field(default_factory=dict)
    now_ms: int = 0
    beats: int = 0
    due_t: int = 0  # least of z["due_t"], in s

    @property
    def deadline_ms(self) -> int:
        """When the next zone must be looked at though nothing came."""
        return self.due_t * 1000

    @staticmethod
    def empty(plan: Plan) -> State:
        """The state before the first record of the log."""

        def table(fields: dict[str, tuple[str, tuple[int, ...]]], rows: int) -> Arrays:
            return {name: np.zeros((rows, *shape), dtype) for name, (dtype, shape) in fields.items()}

        state = State(
            table(SERIES, len(plan.series)),
            table(ZONES, len(plan.zones)),
            table({name: (dtype, (plan.history_slots,)) for name, (dtype, _) in routing.FIELDS.items()}, plan.histories),
            names(plan),
            plan.code,
            plan.region.digest,
        )
        state.z["median"][:] = np.nan
        state.z["value"][:] = np.nan
        state.z["level"][:] = -1
        return state

    def freeze(self) -> tuple[dict[str, Any], Arrays]:
        """What a checkpoint holds: a head of JSON and the arrays (references: copy them before the next beat)."""
        head = {
            "version": VERSION,
            "code": self.code,
            "config": self.config,
            "rows": self.rows,
            "now_ms": self.now_ms,
            "beats": self.beats,
            "alerts": msgspec.to_builtins(list(self.alerts.values())),
        }
        tables = (("s", self.s), ("z", self.z), ("h", self.h))
        return head, {f"{table}.{name}": array for table, arrays in tables for name, array in arrays.items()}

    def wake(self) -> None:
        """Between two beats: every zone is due at the next one, its hazard published, its chain of alerts looked at."""
        self.z["alert_due_t"][:] = np.array([zone in self.alerts for zone in self.rows["z"]], np.bool_)
        self.z["published_t"][:] = 0
        self.z["due_t"][:] = 0
        self.due_t = 0

    @staticmethod
    def thaw(plan: Plan, head: dict[str, Any], arrays: Arrays) -> State:
        """The state of a checkpoint; rows are found by their names, so the configuration may have changed.

        Raises StateError for a version that this code does not read.
        """
        if head.get("version") not in READS:
            raise StateError(
                f"the checkpoint is of version {head.get('version')}, this code reads {' and '.join(map(str, READS))}: start the program "
                "that wrote it, or upgrade one version at a time",
                exit_code=ExitCode.CHECKPOINT_VERSION,
                reason="checkpoint_version",
            )
        state = State.empty(plan)
        mine, theirs = state.rows, head["rows"]
        for table, own in (("s", state.s), ("z", state.z), ("h", state.h)):
            place = {name: number for number, name in enumerate(theirs[table])}
            pairs = [(number, place[name]) for number, name in enumerate(mine[table]) if name in place]
            to, of = np.array([pair[0] for pair in pairs], np.intp), np.array([pair[1] for pair in pairs], np.intp)
            for name, array in own.items():
                if table != "h":
                    array[to] = arrays[f"{table}.{name}"][of]
        routing.move(state.h, to, {name: arrays[f"h.{name}"][of] for name in state.h})
        alerts = msgspec.convert(head["alerts"], list[Alert])
        state.alerts = {alert.zone: alert for alert in alerts if alert.zone in {zone.id for zone in plan.zones}}
        state.now_ms, state.beats = head["now_ms"], head["beats"]
        if head["code"] != plan.code:
            state.s["out"][:] = False  # other code may not stumble over it
        state.due_t = int(state.z["due_t"].min(initial=NEVER))
        return state


def names(plan: Plan) -> dict[str, list[str]]:
    """Names of the rows of the three tables, for the head of a checkpoint."""
    return {
        "s": [f"{one.station}/{one.parameter.value}" for one in plan.series],
        "z": [zone.id for zone in plan.zones],
        "h": [zone.id for place, zone in enumerate(plan.zones) if plan.history_row[place] >= 0],
    }


class Journal:
    """Writes to a state and can take all of it back."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._old: list[tuple[NDArray[Any], Any, NDArray[Any]]] = []
        self._alerts = dict(state.alerts)
        self._rest = (state.now_ms, state.beats, state.due_t)

    def put(self, array: NDArray[Any], index: Any, values: Any) -> None:
        self._old.append((array, index, array[index].copy()))
        array[index] = values

    def roll_back(self) -> None:
        for array, index, values in reversed(self._old):
            array[index] = values
        self._old.clear()
        self.state.alerts.clear()
        self.state.alerts.update(self._alerts)
        self.state.now_ms, self.state.beats, self.state.due_t = self._rest
