"""State of one partition: a pure function of the log up to its last tick.

Tables of series, zones and histories (``layout``), a row each, and the active alerts. Written only through a Journal, so that
a beat is all or nothing and a checkpoint can be read while beats go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from warning.errors import ExitCode, StateError
from warning.model import Alert
from warning.pipeline.due import NEVER, Due
from warning.pipeline.held import Held, Written
from warning.pipeline.layout import TABLES, Arrays, table, views
from warning.pipeline.migrate import from_2
from warning.pipeline.named import names, pairs
from warning.pipeline.plan import Plan
from warning.science import routing

VERSION = 3
READS = (VERSION - 1, VERSION)  # the last two: an upgrade goes one step at a time
AT_ONCE = 100  # alerts

__all__ = ["NEVER", "READS", "VERSION", "Given", "Journal", "State"]


class Given(dict[str, NDArray[Any]]):
    """Arrays that nobody else holds: who gets them may keep them and write to them."""


@dataclass(slots=True)
class State:
    """The tables, and views of their fields: of series (``s``), zones (``z``), histories (``h``), rain (``r``); active alerts by zone."""

    plan: Plan
    tables: Arrays
    s: Arrays
    z: Arrays
    h: Arrays
    r: Arrays
    due: Due
    names: Arrays  # of the rows, as a checkpoint has them; never written
    code: str  # of the code and the configuration that decide
    config: str
    alerts: dict[str, Alert] = field(default_factory=dict)
    now_ms: int = 0  # of the last tick
    beats: int = 0
    _held: Held | None = None

    @property
    def deadline_ms(self) -> int:
        """When the next zone must be looked at though nothing came."""
        return self.due.first * 1000

    @staticmethod
    def empty(plan: Plan) -> State:
        """The state before the first record of the log."""
        rows = {"s": len(plan.series), "z": len(plan.zones), "h": plan.histories, "r": 0 if plan.rain is None else len(plan.rain.series)}
        tables = {name: table(name, rows[name[0]], plan.history_slots if name == "h.past" else None) for name in TABLES}
        state = State._of(plan, tables, names(plan))
        state.z["median"][:] = np.nan
        state.z["value"][:] = np.nan
        state.z["level"][:] = -1
        return state

    @staticmethod
    def _of(plan: Plan, tables: Arrays, rows: Arrays) -> State:
        s, z, h, r = (views(tables, letter) for letter in "szhr")
        return State(plan, tables, s, z, h, r, Due(z["due_t"]), rows, plan.code, plan.region.digest)

    def freeze(self) -> tuple[dict[str, Any], Arrays]:
        """What a checkpoint holds: a head of JSON, the tables (references: copy them before the next beat) and their rows' names."""
        return self._head(msgspec.to_builtins(self._alerts())), {**self.tables, **self.names}

    def hold(self, more: dict[str, Any]) -> tuple[Iterator[bytes], Held]:
        """The same for a checkpoint that is read while beats go on: the head and ``more`` as JSON in parts, the tables as they are now.

        One at a time: the one before gets no more of what is overwritten.
        """
        written: dict[int, tuple[str, str | None]] = {id(array): (name, None) for name, array in self.tables.items()}
        for letter, fields in (("s", self.s), ("z", self.z), ("h", self.h), ("r", self.r)):
            for name, names_of in TABLES.items():
                if name[0] == letter and len(names_of) > 1:
                    written |= {id(fields[each]): (name, each) for each in names_of}
        self._held = Held({**self.tables, **self.names}, written)
        head = {**self._head([]), **more}
        del head["alerts"]
        return _parts(head, self._alerts()), self._held

    def release(self, held: Held) -> None:
        """The checkpoint is written, or given up."""
        if self._held is held:
            self._held = None

    def _alerts(self) -> list[Alert]:
        """In an order that does not tell in which they were raised."""
        return [alert for _, alert in sorted(self.alerts.items())]

    def _head(self, alerts: Any) -> dict[str, Any]:
        return {
            "version": VERSION,
            "code": self.code,
            "config": self.config,
            "now_ms": self.now_ms,
            "beats": self.beats,
            "alerts": alerts,
        }

    def overwritten(self, written: list[Written]) -> None:
        """A beat is closed; ``written``: what was there before."""
        if self._held is not None:
            self._held.keep(written)

    def wake(self) -> None:
        """Between two beats: every zone is due at the next one, its hazard published, its chain of alerts looked at."""
        self.z["alert_due_t"][:] = np.array([zone.id in self.alerts for zone in self.plan.zones], np.bool_)
        self.z["published_t"][:] = 0
        self.z["due_t"][:] = 0
        self.due.refresh()

    @staticmethod
    def thaw(plan: Plan, head: dict[str, Any], arrays: Arrays) -> State:
        """The state of a checkpoint; rows are found by their names, so the configuration may have changed.

        ``arrays`` are copied; those of ``Given`` become the state's own where nothing has changed: gigabytes are not there twice.
        Raises StateError for a version that this code does not read.
        """
        if head.get("version") not in READS:
            raise StateError(
                f"the checkpoint is of version {head.get('version')}, this code reads {' and '.join(map(str, READS))}: start the program "
                "that wrote it, or upgrade one version at a time",
                exit_code=ExitCode.CHECKPOINT_VERSION,
                reason="checkpoint_version",
            )
        if head["version"] == 2:
            arrays = from_2(head, arrays)
        state, taken = State.empty(plan), Arrays()
        for letter in "szhr":
            own = [name for name in TABLES if name[0] == letter]
            to, of = pairs(state.names[f"{letter}.names"], arrays[f"{letter}.names"], len(arrays[own[0]]))
            for name in own:
                if isinstance(arrays, Given) and isinstance(to, slice) and _fits(arrays[name], state.tables[name]):
                    taken[name] = arrays[name]
                elif name != "h.past":
                    state.tables[name][to] = arrays[name][of]
                else:
                    routing.move(state.h, to, {each: arrays[name][each][of] for each in TABLES[name]})
        if taken:
            state = State._of(plan, state.tables | taken, state.names)
        alerts = msgspec.convert(head["alerts"], list[Alert])
        here = {zone.id for zone in plan.zones}
        state.alerts = {alert.zone: alert for alert in alerts if alert.zone in here}
        state.now_ms, state.beats = head["now_ms"], head["beats"]
        if head["code"] != plan.code:
            state.s["out"][:] = False  # other code may not stumble over it
        state.due.refresh()
        return state


def _fits(array: NDArray[Any], table: NDArray[Any]) -> bool:
    return array.dtype == table.dtype and array.shape == table.shape and array.flags.writeable and array.flags.c_contiguous


def _parts(head: dict[str, Any], alerts: list[Alert]) -> Iterator[bytes]:
    """One JSON object, with ``alerts`` as its last field; a few of them at a time, for a flood has thousands."""
    yield msgspec.json.encode(head)[:-1] + b',"alerts":['
    for first in range(0, len(alerts), AT_ONCE):
        yield b","[: bool(first)] + msgspec.json.encode(alerts[first : first + AT_ONCE])[1:-1]
    yield b"]}"


class Journal:
    """Writes to a state and can take all of it back, until it is closed."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._due = state.z["due_t"]
        self._old: list[Written] = []
        self._alerts: list[tuple[str, Alert | None]] = []
        self._rest = (state.now_ms, state.beats)

    def put(self, array: NDArray[Any], index: Any, values: Any) -> None:
        """``array``: a table or the view of a field; ``index``: numbers of rows, or of rows and slots."""
        old = array[index]
        if old.base is not None:
            old = old.copy()
        self._old.append((array, index, old))
        array[index] = values

    def alert(self, zone: str, alert: Alert | None) -> None:
        """The zone's active alert from now on; None: it has none."""
        self._alerts.append((zone, self.state.alerts.get(zone)))
        _set(self.state.alerts, zone, alert)

    def close(self) -> None:
        """The beat stands."""
        changed = [np.atleast_1d(index) for array, index, _ in self._old if array is self._due]
        if changed:
            self.state.due.refresh(np.concatenate(changed))
        self.state.overwritten(self._old)
        self._old, self._alerts = [], []

    def roll_back(self) -> None:
        for array, index, values in reversed(self._old):
            array[index] = values
        for zone, alert in reversed(self._alerts):
            _set(self.state.alerts, zone, alert)
        self._old, self._alerts = [], []
        self.state.now_ms, self.state.beats = self._rest


def _set(alerts: dict[str, Alert], zone: str, alert: Alert | None) -> None:
    if alert is None:
        alerts.pop(zone, None)
    else:
        alerts[zone] = alert
