"""What operators said about sensors, applied to the state at the tick that closes their beat, before its readings are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from warning.model import ManualFlag
from warning.pipeline import rain
from warning.pipeline.plan import Index, Plan
from warning.pipeline.state import Journal, State
from warning.science import qc_manual

Flags = Sequence[ManualFlag]


def apply(plan: Plan, state: State, journal: Journal, flags: Flags) -> Index:
    """The zones whose readings they touch. A flag for a series of another partition is not for us."""
    rows = [plan.row[flag.station, flag.parameter] for flag in flags]
    for row, flag in zip(rows, flags, strict=True):
        _apply(plan, state, journal, row, flag)
    return plan.fed(np.array(rows, np.intp))


def apply_carefully(plan: Plan, state: State, flags: Flags, failed: Callable[[int, Exception], None]) -> Index:
    """One by one; ``failed`` is told of each series that raises."""
    zones = []
    for flag in flags:
        journal = Journal(state)
        try:
            zones.append(apply(plan, state, journal, (flag,)))
            journal.close()
        except MemoryError:
            journal.roll_back()
            raise
        except Exception as error:
            journal.roll_back()
            failed(plan.row[flag.station, flag.parameter], error)
    return np.unique(np.concatenate(zones)) if zones else np.zeros(0, np.intp)


def _apply(plan: Plan, state: State, journal: Journal, row: int, flag: ManualFlag) -> None:
    s = state.s
    if flag.action == "accept":  # the step is no more watched, and what comes is judged from the new level on
        for name in ("shift_t", "shift_from", "shift_by", "shift_n", "shift_said"):
            journal.put(s[name], row, 0)
        return
    stretch = (flag.from_ms // 1000, qc_manual.FOREVER_S if flag.to_ms is None else -(-flag.to_ms // 1000))
    known = qc_manual.stretches(s, row)
    said = qc_manual.with_stretch(known, stretch) if flag.action == "fail" else qc_manual.without_stretch(known, stretch)
    for name, value in qc_manual.fields_of(said).items():
        journal.put(s[name], row, value)
    if flag.action == "fail":
        take_back(plan, state, journal, row, stretch)


def take_back(plan: Plan, state: State, journal: Journal, row: int, stretch: qc_manual.Stretch) -> None:
    """What counted in the stretch counts no more: windows, the newest readings, what the zones downstream are told."""
    s = state.s
    if plan.rain is not None:
        for name, rows, sums in rain.taken_back(plan.rain, s, state.r, row, stretch):
            journal.put(state.r[name], rows, sums)
    for change in qc_manual.taken_back(s, row, stretch):
        for name, values in change.fields.items():
            journal.put(s[name], (change.row, change.slot), values)
    for name, value in qc_manual.course_without(s, row, stretch).items():
        journal.put(s[name], row, value)
    zone = int(plan.zone_of_row[row])
    history = int(plan.history_row[zone]) if zone >= 0 else -1
    if history >= 0:
        times = state.h["h_t"][history]
        slots = np.flatnonzero((times >= stretch[0]) & (times < stretch[1]) & (times > 0))
        journal.put(state.h["h_t"], (np.full(len(slots), history), slots), np.uint32(0))
