"""One beat: the readings since the last tick are applied, what they touched is scored with everything downstream of it.

Then due timers run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause, ManualFlag, Parameter, Reading, Rejected, to_json
from warning.pipeline import flagged, rain, rated, zones
from warning.pipeline.beat import Outputs, Readings
from warning.pipeline.plan import Index, Plan
from warning.pipeline.state import Journal, State
from warning.region import Series
from warning.science import identity, qc, routing, windows

RETRY_MS = 3_600_000  # what is out of service gets another try at every full hour: one bad reading, or one bad day of ours, is not for ever


def step(plan: Plan, state: State, readings: Readings, now_ms: int, said: Sequence[ManualFlag] = ()) -> Outputs:
    """Close a beat at ``now_ms`` (log time; never backwards). Works in place, all or nothing. ``said``: by operators in this beat.

    A computation that raises is repeated series by series, zone by zone, on the state before it; what fails again is out of
    service, its readings are rejected, and everything else goes on. MemoryError is raised with the state as it was.
    """
    now_ms = max(state.now_ms, now_ms)
    if now_ms // RETRY_MS > state.now_ms // RETRY_MS and state.s["out"].any():
        _take_back(state)
    if not len(readings) and not said and now_ms < state.deadline_ms:
        state.now_ms = now_ms
        state.beats += 1
        return Outputs(now_ms)
    journal = Journal(state)
    try:
        about = flagged.apply(plan, state, journal, said) if said else None
        outputs = _beat(plan, state, journal, readings, now_ms, take_in, zones.run, about)
        journal.close()
        return outputs
    except MemoryError:
        journal.roll_back()
        raise
    except Exception as error:  # data must not kill the basin: what raised is found out one by one
        journal.roll_back()
        return _carefully(plan, state, readings, now_ms, error, said)


Take = Callable[[Plan, State, Journal, Readings, int], qc.Examined]
Run = Callable[[Plan, State, Journal, Index, int], zones.Told]


def _beat(
    plan: Plan, state: State, journal: Journal, readings: Readings, now_ms: int, take: Take, run: Run, about: Index | None = None
) -> Outputs:
    """``about``: zones that operators said something about."""
    now_s = now_ms // 1000
    state.now_ms = now_ms
    state.beats += 1
    touched = np.zeros(0, np.intp)
    applied = 0
    rejected: tuple[Rejected, ...] = ()
    flags: dict[tuple[str, str], int] = {}
    if len(readings):
        found = take(plan, state, journal, readings, now_s)
        touched = plan.fed(readings.row)
        if plan.rated is not None:
            touched = np.union1d(touched, plan.rated.touched(readings.row, plan.zone_of_row))
        applied, rejected, flags = _account(plan, found, readings, now_ms)
    if about is not None:
        touched = np.union1d(touched, about)
    told = run(plan, state, journal, touched, now_s)
    return Outputs(now_ms, applied, told.hazards, told.alerts, rejected, flags)


def take_in(plan: Plan, state: State, journal: Journal, readings: Readings, now_s: int) -> qc.Examined:
    """Quality control, then what counts goes into identities, windows and histories; then the discharges that stages make."""
    found = _take_in(plan, state, journal, readings, now_s)
    if plan.rated is not None:
        for row, time, _ in found.retracted:
            if plan.rated.to[row] >= 0:
                flagged.take_back(plan, state, journal, int(plan.rated.to[row]), (time, time + 1))
        discharges, how = plan.rated.discharges(found, now_s)
        if len(discharges):
            found.further = rated.say(_take_in(plan, state, journal, discharges, now_s), how)
    return found


def _take_in(plan: Plan, state: State, journal: Journal, readings: Readings, now_s: int) -> qc.Examined:
    """Readings of series, wherever they come from."""
    s, sent = state.s, len(readings)
    if plan.rain is not None:
        readings, counters = rain.increments(plan.rain, s, state.r, readings, now_s)
        for name, rows, values in counters:
            journal.put(state.r[name], rows, values)
    time_s = readings.time_ms // 1000
    found = qc.examine(s, plan.limits, readings.row, time_s, readings.value, readings.received_ms // 1000, readings.sentinel, now_s)
    for name, (rows, values) in found.fields.items():
        journal.put(s[name], rows, values)
    fresh = found.fresh
    for name, index, values in identity.remember(s, readings.row[fresh].astype(np.intp), time_s[fresh], found.fresh_value):
        journal.put(s[name], index, values)
    for change in windows.fold(s, found.row, found.time_s, found.value, _newest(s, found)):
        _assign(journal, s, change)
    _remember(plan, state, journal, found.row, found.time_s, found.value)
    for row, time, old in found.retracted:
        _replace(plan, state, journal, row, time, old, None)
    for row, time, old, new in found.revised:
        _replace(plan, state, journal, row, time, old, new)
    if plan.rain is not None:
        for name, rows, values in rain.remember(plan.rain, state.r, found):
            journal.put(state.r[name], rows, values)
        found.flag, found.cause = found.flag[:sent], found.cause[:sent]  # of what came, not of what was made of it
    return found


def _newest(s: dict[str, NDArray[Any]], found: qc.Examined) -> NDArray[np.int64]:
    """Per reading that counts: the newest time of its series, this beat included."""
    if not len(found.row):
        return found.time_s
    last = np.append(np.flatnonzero(found.row[1:] != found.row[:-1]), len(found.row) - 1)  # of each series, for they are sorted
    count = np.diff(last, prepend=-1)
    return np.repeat(np.maximum(found.time_s[last], s["seen_t"][found.row[last]]), count)


def _assign(journal: Journal, arrays: dict[str, NDArray[Any]], change: windows.Change) -> None:
    for name, values in change.fields.items():
        journal.put(arrays[name], (change.row, change.slot), values)


def _remember(plan: Plan, state: State, journal: Journal, row: Index, time_s: NDArray[np.int64], value: NDArray[np.float64]) -> None:
    """Into the history of the zones that have water to pass on."""
    if not plan.histories:
        return
    zone = plan.zone_of_row[row]
    history = np.where(zone >= 0, plan.history_row[zone], -1)
    asked = history >= 0
    for name, index, values in routing.remember(state.h, history[asked], time_s[asked], value[asked]):
        journal.put(state.h[name], index, values)


def _replace(plan: Plan, state: State, journal: Journal, row: int, time_s: int, old: float, new: float | None) -> None:
    """An earlier reading was revised (``new``), or was a spike (None)."""
    s = state.s
    place = np.flatnonzero(s["raw_t"][row] == time_s)
    others = [(int(t), float(v)) for t, v in zip(s["raw_t"][row], s["raw_v"][row], strict=True) if t and t != time_s]
    buckets = {ring: [one for one in others if one[0] // width == time_s // width] for ring, (width, _) in enumerate(windows.RINGS)}
    for change in windows.replace(s, row, time_s, old, new, buckets):
        _assign(journal, s, change)
    if new is None:
        return
    journal.put(s["raw_v"], (row, place), np.float32(new))
    for name in ("last", "before", "pending"):
        if s[f"{name}_t"][row] == time_s:
            journal.put(s[f"{name}_v"], row, new)
    zone = int(plan.zone_of_row[row])
    history = int(plan.history_row[zone]) if zone >= 0 else -1
    if history >= 0:
        slot = time_s // routing.HISTORY_S % state.h["h_t"].shape[1]
        if state.h["h_t"][history, slot] == time_s:
            journal.put(state.h["h_v"], (history, slot), np.float32(new))


def _account(
    plan: Plan, found: qc.Examined, readings: Readings, now_ms: int
) -> tuple[int, tuple[Rejected, ...], dict[tuple[str, str], int]]:
    """Readings applied, the rejected ones with their reason, and the count of each (flag, cause)."""
    causes = len(qc.CAUSES)
    counts = np.bincount(found.flag.astype(np.int64) * causes + found.cause, minlength=len(qc.FLAGS) * causes)
    flags = {
        (qc.FLAGS[code // causes].value, qc.CAUSES[code % causes].value): int(counts[code]) for code in np.flatnonzero(counts).tolist()
    }
    for both, number in found.further.items():
        flags[both] = flags.get(both, 0) + number
    stale = found.cause == qc.CODE[Cause.STALE]
    refused = np.flatnonzero((found.flag == qc.FAIL) | stale)
    idle = (found.flag == qc.MISSING) | (found.cause == qc.CODE[Cause.DUPLICATE])
    rejected = _rejected(plan, found, readings, refused, now_ms)
    return int(len(readings) - len(refused) - np.count_nonzero(idle)), rejected, flags


def _rejected(plan: Plan, found: qc.Examined, readings: Readings, places: Index, now_ms: int) -> tuple[Rejected, ...]:
    """Those at ``places``. Columns and words are taken once: in a flood of rejects this is what a reading costs."""
    begin: dict[tuple[int, int], tuple[Series, str, str, str]] = {}
    rejected = []
    columns = (readings.row, found.cause, readings.time_ms, readings.value, readings.received_ms)
    for row, code, time_ms, value, received_ms in zip(*(column[places].tolist() for column in columns), strict=True):
        if (row, code) not in begin:
            series, cause = plan.series[row], qc.CAUSES[code]
            detail = f"{series.station} {series.parameter.value}: {cause.value.replace('_', ' ')}"
            range_ = f" {series.parameter.unit} is outside {series.plausible_min} to {series.plausible_max}"
            begin[row, code] = series, cause.value, detail, range_ if cause is Cause.GROSS_RANGE else ""
        series, reason, detail, range_ = begin[row, code]
        known = None if math.isnan(value) else value
        reading = Reading(
            station=series.station, parameter=series.parameter, time_ms=time_ms, value=known, received_ms=received_ms, provider=""
        )
        words = f"{detail}: {value:g}{range_}" if range_ else detail
        rejected.append(Rejected(reason=reason, stage="qc", detail=words, record=to_json(reading).decode(), at_ms=now_ms))
    return tuple(rejected)


# --- what raised is found out one by one


def _carefully(plan: Plan, state: State, readings: Readings, now_ms: int, error: Exception, said: Sequence[ManualFlag] = ()) -> Outputs:
    """The beat again, in halves of series and halves of zones until what raises is alone: that is out of service."""
    out: dict[tuple[str, Parameter], str] = {}

    def put_out(row: int, why: Exception) -> None:
        journal = Journal(state)
        journal.put(state.s["out"], np.array([row]), True)
        journal.close()
        out[plan.series[row].station, plan.series[row].parameter] = f"{type(why).__name__}: {why}"

    def take(plan: Plan, state: State, journal: Journal, readings: Readings, now_s: int) -> qc.Examined:
        return _take_carefully(plan, state, readings, now_s, put_out)

    def run(plan: Plan, state: State, journal: Journal, touched: Index, now_s: int) -> zones.Told:
        def failed(zone: int, why: Exception) -> None:
            for row in plan.zone_series[zone]:
                if row >= 0:
                    put_out(int(row), why)

        return zones.run_carefully(plan, state, touched, now_s, failed)

    about = flagged.apply_carefully(plan, state, said, put_out) if said else None
    outputs = _beat(plan, state, Journal(state), readings, now_ms, take, run, about)
    named = {(station, parameter.value): why for (station, parameter), why in out.items()}
    if out and _most_are_out(state):
        _take_back(state)
        named["", ""] = f"most series raise, so all are back in service: {type(error).__name__}: {error}"
    if not named:  # it raised only when all were taken together: a bug of ours, that operators must hear of
        named = {("", ""): f"{type(error).__name__}: {error}"}
    return Outputs(outputs.now_ms, outputs.applied, outputs.hazards, outputs.alerts, outputs.rejected, outputs.flags, named)


def _most_are_out(state: State) -> bool:
    """More than half of the series that ever spoke: that is our error and not their data."""
    out = state.s["out"]
    return bool(2 * np.count_nonzero(out) > np.count_nonzero(out | (state.s["seen_t"] > 0)))


def _take_back(state: State) -> None:
    """Every series gets another try, at each of its readings: what goes through again must not stay out until the next upgrade."""
    journal = Journal(state)
    journal.put(state.s["out"], np.flatnonzero(state.s["out"]), False)
    journal.close()


def _take_carefully(plan: Plan, state: State, readings: Readings, now_s: int, failed: Callable[[int, Exception], None]) -> qc.Examined:
    """``failed`` is told of each series that raises."""
    n = len(readings)
    whole = qc.Examined(np.full(n, qc.GOOD, np.int8), np.full(n, qc.CODE[Cause.NONE], np.int8))
    by_row = np.argsort(readings.row, kind="stable")
    rows, starts = np.unique(readings.row[by_row], return_index=True)
    ends = np.append(starts[1:], n)
    todo = [(0, len(rows))]
    while todo:
        first, end = todo.pop()
        mine = np.sort(by_row[starts[first] : ends[end - 1]])
        part = Readings(*(getattr(readings, name)[mine] for name in Readings.__slots__))
        journal = Journal(state)
        try:
            found = take_in(plan, state, journal, part, now_s)
            whole.flag[mine], whole.cause[mine] = found.flag, found.cause
            journal.close()
        except MemoryError:
            journal.roll_back()
            raise
        except Exception as why:
            journal.roll_back()
            if end - first > 1:
                middle = (first + end) // 2
                todo += [(middle, end), (first, middle)]
                continue
            failed(int(rows[first]), why)
            whole.flag[mine], whole.cause[mine] = qc.FAIL, qc.CODE[Cause.INTERNAL]
    return whole
