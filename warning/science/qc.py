"""Quality control: a flag and a cause for each reading, after QARTOD.

Source: U.S. IOOS, Manual for Real-Time Quality Control of Water Level Data, version 2.1, 2021.

Tests: missing and sentinel, future, stale, gross range, duplicate and revision, rate of rise and fall, spike (judging the
last but one), flat line (by elapsed time). Streaming and vectorised over series: the usual reading is judged by array
operations; a series with a doubt (a rate, a spike, a flat line, a reading that waits for confirmation) is judged reading
by reading in ``doubt.py``.

A reading whose rate is too high is SUSPECT and waits: the next reading that agrees with it confirms both (a flash flood is real), one
that returns to the old course makes it a spike. FAIL never scores; SUSPECT neither raises alone nor clears.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause, Flag
from warning.science import doubt, qc_manual
from warning.science.identity import known
from warning.science.qc_further import Further
from warning.science.qc_further import further as further_tests
from warning.science.qc_limits import SeriesLimits
from warning.science.qc_line import Line, shift

SENTINELS = (-999.0, -9999.0, -99999.0, -999999.0, -888.0, -8888.0)
FUTURE_S = 300  # further ahead of the gateway's or the log's clock: FAIL
OLDEST_S = 366 * 86_400  # older than this: FAIL, whatever it says
CAUSES = tuple(Cause)
FLAGS = tuple(Flag)
GOOD, NOT_EVALUATED, SUSPECT, FAIL, MISSING = range(5)
CODE = {cause: number for number, cause in enumerate(CAUSES)}

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "last_t": ("u4", ()),  # newest good reading
    "last_v": ("f8", ()),
    "before_t": ("u4", ()),  # the good one before it
    "before_v": ("f8", ()),
    "heard_t": ("u4", ()),  # the log's time when last_t moved
    "pending_t": ("u4", ()),  # newest suspect reading that waits for confirmation; 0: none
    "pending_v": ("f8", ()),
    "pending_cause": ("i1", ()),
    "seen_t": ("u4", ()),  # newest reading in order, suspect ones included
    "seen_v": ("f8", ()),
    "flat_t": ("u4", ()),  # since when the value has not changed
    "out": ("?", ()),  # out of service: a computation raised on it
}

Arrays = dict[str, NDArray[Any]]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class Examined:
    """What quality control found in one beat; nothing is written yet.

    ``flag`` and ``cause``: int8 codes (index into FLAGS and CAUSES) per reading, in the order of the log. ``row``,
    ``time_s``, ``value``: what counts (good, or not evaluated), sorted by (row, time), for windows and history.
    ``fresh``: index of readings that are neither duplicate nor revision, sorted by (row, time), and their values.
    ``retracted``: (row, time, value) of earlier readings that were spikes. ``revised``: (row, time, old, new).
    ``fields``: name -> (rows, new values).
    """

    flag: NDArray[np.int8]
    cause: NDArray[np.int8]
    row: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    time_s: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    value: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    fresh: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    fresh_value: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    retracted: list[tuple[int, int, float]] = field(default_factory=list)
    revised: list[tuple[int, int, float, float]] = field(default_factory=list)
    fields: dict[str, tuple[NDArray[np.intp], NDArray[Any]]] = field(default_factory=dict)
    further: dict[tuple[str, str], int] = field(default_factory=dict)  # (flag, cause) -> discharges made of stages, not simply good


def examine(
    arrays: Arrays,
    limits: SeriesLimits,
    row: NDArray[Any],
    time_s: Ints,
    value: NDArray[np.float64],
    received_s: Ints,
    sentinel: NDArray[np.bool_],
    now_s: int,
) -> Examined:
    """Judge the n readings of a beat, in the order of the log, against the state ``arrays``."""
    found = Examined(np.full(len(row), GOOD, np.int8), np.full(len(row), CODE[Cause.NONE], np.int8))
    _static(found, arrays, limits, row, time_s, value, received_s, sentinel, now_s)
    alive = np.flatnonzero(found.flag == GOOD)
    if not len(alive):
        return found
    order = alive[np.lexsort((time_s[alive], row[alive]))]
    index, values, late = _identify(found, arrays, order, row.astype(np.intp), time_s, value, now_s)
    rows, times = row[index].astype(np.intp), time_s[index]
    in_order = times > np.maximum(arrays["seen_t"][rows], arrays["last_t"][rows])
    late |= ~in_order
    found.fresh, found.fresh_value = index, values
    current = ~late
    found.flag[index[late]] = NOT_EVALUATED
    late &= ~_after_what_counts(arrays, rows, times, values)
    accepted = [(rows[late], times[late], values[late])]
    accepted += _in_order(found, arrays, limits, rows[current], times[current], values[current], index[current], now_s)
    _late(found, arrays, rows[late], times[late], values[late])
    rows, times, values = (np.concatenate(part) for part in zip(*accepted, strict=True))
    order = np.lexsort((times, rows))
    found.row, found.time_s, found.value = rows[order], times[order], values[order]
    _heard(found, arrays, now_s)
    return found


def _after_what_counts(arrays: Arrays, row: NDArray[np.intp], time_s: Ints, value: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Late readings (n) of between the newest that counts and one that did not, and lower: that doubt holds for them too, so that none
    clears what the doubted one may not. Where one waits for the next, nothing is decided yet."""
    between = (time_s > arrays["last_t"][row]) & (time_s < arrays["seen_t"][row]) & (arrays["pending_t"][row] == 0)
    return np.asarray(between & (arrays["last_t"][row] > 0) & (value < arrays["last_v"][row]))


def _static(
    found: Examined,
    arrays: Arrays,
    limits: SeriesLimits,
    row: NDArray[Any],
    time_s: Ints,
    value: NDArray[np.float64],
    received_s: Ints,
    sentinel: NDArray[np.bool_],
    now_s: int,
) -> None:
    """Tests that need only the reading itself. The first cause found stands."""
    todo = np.ones(len(row), np.bool_)

    def judge(where: NDArray[np.bool_], flag: int, cause: Cause) -> None:
        hit = where & todo
        if hit.any():
            found.flag[hit], found.cause[hit] = flag, CODE[cause]
            todo[hit] = False

    judge(arrays["out"][row], FAIL, Cause.INTERNAL)
    judge(qc_manual.out_of_order(arrays, row, time_s), FAIL, Cause.MANUAL)
    judge(sentinel, MISSING, Cause.SENTINEL)
    judge(np.isnan(value), MISSING, Cause.MISSING)
    for number in SENTINELS:
        judge(value == number, MISSING, Cause.SENTINEL)
    judge(time_s > np.minimum(received_s, now_s) + FUTURE_S, FAIL, Cause.FUTURE)
    judge((time_s < now_s - OLDEST_S) | (time_s <= 0), FAIL, Cause.STALE)
    judge((value < limits.least[row]) | (value > limits.greatest[row]), FAIL, Cause.GROSS_RANGE)


def _identify(
    found: Examined, arrays: Arrays, order: NDArray[np.intp], row: NDArray[np.intp], time_s: Ints, value: NDArray[np.float64], now_s: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_]]:
    """One reading of each (series, time): (index, value that stands, is it late). Marks duplicates, revisions and the too late."""
    rows, times, values = row[order], time_s[order], value[order]
    again = np.zeros(len(order), np.bool_)
    again[1:] = (rows[1:] == rows[:-1]) & (times[1:] == times[:-1])
    stands = values
    if again.any():
        follower = np.flatnonzero(again)
        same = values[follower] == values[follower - 1]
        found.flag[order[follower]] = np.where(same, NOT_EVALUATED, GOOD)
        found.cause[order[follower]] = np.where(same, CODE[Cause.DUPLICATE], CODE[Cause.REVISION])
        head = np.flatnonzero(~again)
        stands = values[np.append(head[1:], len(order)) - 1]  # the last that came counts
        order, rows, times = order[head], rows[head], times[head]
    late = times <= np.maximum(arrays["seen_t"][rows], arrays["last_t"][rows])
    if not late.any():
        return order, stands, late
    suspects = np.flatnonzero(late)
    was = known(arrays, rows[suspects], times[suspects], now_s)
    keep = np.ones(len(order), np.bool_)
    for place, state, old in zip(suspects, was.state, was.value, strict=True):
        if state == was.NEW:
            continue
        keep[place] = False
        same = state != was.KNOWN or np.float32(stands[place]) == np.float32(old)
        found.cause[order[place]] = CODE[Cause.STALE if state == was.TOO_OLD else Cause.DUPLICATE if same else Cause.REVISION]
        found.flag[order[place]] = NOT_EVALUATED if same else GOOD
        if not same:
            found.revised.append((int(rows[place]), int(times[place]), float(old), float(stands[place])))
    return order[keep], stands[keep], late[keep]


def _in_order(
    found: Examined,
    arrays: Arrays,
    limits: SeriesLimits,
    row: NDArray[np.intp],
    time_s: Ints,
    value: NDArray[np.float64],
    index: NDArray[np.intp],
    now_s: int,
) -> list[tuple[NDArray[np.intp], Ints, NDArray[np.float64]]]:
    """Readings newer than all before, sorted by (row, time): what counts of them. Fills flags and state fields."""
    if not len(row):
        return []
    line = Line.of(arrays, row, time_s, value)
    series, start, end = line.series, line.start, line.end
    flat_t, flat = _flat(arrays, limits, row, time_s, value, line.first, start, line.segment)
    further = None
    if limits.more is not None and limits.more.asked[series].any():
        further = further_tests(arrays, limits.more, row, time_s, value, series, start, end, now_s)
        flat |= further.still
    doubted = np.zeros(len(series), np.bool_)
    doubted[line.segment[flat | _doubtful(arrays, limits, line, further)]] = True
    _evaluated(found, limits, line, index, further)
    found.fields["seen_t"], found.fields["seen_v"] = (series, time_s[end]), (series, value[end])
    found.fields["flat_t"] = (series, flat_t[end])
    state = _settled(arrays, line)
    plain = ~doubted[line.segment]
    accepted = [(row[plain], time_s[plain], value[plain])]
    for place in np.flatnonzero(doubted).tolist():
        span = slice(int(start[place]), int(end[place]) + 1)
        why = None if further is None else (further.usual[span], further.soft[span], further.low[span], further.waits[span])
        of = int(series[place])
        accepted.append(_doubt(found, arrays, limits, place, of, time_s[span], value[span], flat[span], index[span], state, why))
    for name, values in state.items():
        found.fields[name] = (series, values)
    return accepted


def _doubtful(arrays: Arrays, limits: SeriesLimits, line: Line, further: Further | None) -> NDArray[np.bool_]:
    """Readings whose series is to be judged one by one: by their rate, as a spike, by the further tests, or as one waits for its second."""
    row, value, has = line.row, line.value, line.has
    rate = (value - line.before_v) * 3600.0 / np.maximum(line.time_s - line.before_t, 1)
    out = has & ((rate > limits.rise[row]) | (-rate > limits.fall[row]))
    third = has & (line.older_t > 0)
    out |= third & doubt.is_spike(line.older_v, line.before_v, value, limits.spike[row])
    if further is not None:
        out |= (further.soft > 0) | (third & doubt.is_unusual(line.older_v, line.before_v, value, further.usual))
    hidden = (arrays["seen_t"][row] > arrays["last_t"][row]) & (value > line.before_v)  # above what counts, after one that did not
    return np.asarray(out | hidden | (arrays["pending_t"][row] > 0))


def _evaluated(found: Examined, limits: SeriesLimits, line: Line, index: NDArray[np.intp], further: Further | None) -> None:
    """GOOD where some test could say so, NOT_EVALUATED where none could, and after a gap."""
    could = line.has | ~np.isnan(limits.least[line.row]) | ~np.isnan(limits.greatest[line.row])
    found.flag[index] = np.where(could, GOOD, NOT_EVALUATED)
    if further is None or limits.more is None:
        return
    gap = line.has & (line.time_s - line.before_t > limits.more.gap_s[line.row])
    found.flag[index[gap]], found.cause[index[gap]] = NOT_EVALUATED, CODE[Cause.GAP]
    for name, values in further.fields.items():
        found.fields[name] = (further.series, values)


def _settled(arrays: Arrays, line: Line) -> Arrays:
    """The state (K,) after readings of which none is doubted; ``_doubt`` writes over the places of the others."""
    end, number = line.end, len(line.start)
    return {
        "last_t": line.time_s[end],
        "last_v": line.value[end],
        "before_t": line.before_t[end],
        "before_v": line.before_v[end],
        "pending_t": np.zeros(number, np.int64),
        "pending_v": np.zeros(number),
        "pending_cause": np.zeros(number, np.int8),
        "soft_t": arrays["soft_t"][line.series],
    }


def _doubt(
    found: Examined,
    arrays: Arrays,
    limits: SeriesLimits,
    place: int,
    row: int,
    time_s: Ints,
    value: NDArray[np.float64],
    flat: NDArray[np.bool_],
    index: NDArray[np.intp],
    state: Arrays,
    further: tuple[NDArray[np.float64], NDArray[np.int8], NDArray[np.bool_], NDArray[np.bool_]] | None,
) -> tuple[NDArray[np.intp], Ints, NDArray[np.float64]]:
    """One series reading by reading; writes its place of ``state``. ``further``: what the tests by its past and by others say."""
    course = doubt.Course.of(arrays, row, limits.rise[row], limits.fall[row], limits.spike[row], limits.flat_within[row])
    course.older = _older(arrays, row, time_s, value)
    columns = [time_s.tolist(), value.tolist(), flat.tolist(), index.tolist()]
    if further is not None:
        usual, soft, *how = further
        columns += [usual.tolist(), [CAUSES[code] for code in soft.tolist()], *(each.tolist() for each in how)]
    for each in zip(*columns, strict=True):
        where, verdict = each[3], course.take(*each)
        if verdict is not Cause.NONE:
            found.flag[where], found.cause[where] = SUSPECT, CODE[verdict]
    for where in filter(_of_this_beat, course.spikes):  # that the next one exposed
        found.flag[where], found.cause[where] = SUSPECT, CODE[Cause.SPIKE]
    for where in filter(_of_this_beat, course.confirmed):
        found.flag[where], found.cause[where] = GOOD, CODE[Cause.NONE]
    found.retracted += [(row, *reading) for reading in course.retracted]
    for name, number in course.state().items():
        state[name][place] = number
    times = [time for time, _ in course.counted]
    values = [number for _, number in course.counted]
    return np.full(len(times), row, np.intp), np.array(times, np.int64), np.array(values, np.float64)


def _older(arrays: Arrays, row: int, time_s: Ints, value: NDArray[np.float64]) -> Callable[[int], tuple[int, float]]:
    """The newest reading of a series before a time, of those of this beat (in order of time) and of the past; (0, 0.0): none is known."""

    def newest(before_s: int) -> tuple[int, float]:
        here = int(np.searchsorted(time_s, before_s))
        if here:
            return int(time_s[here - 1]), float(value[here - 1])
        times = arrays["raw_t"][row].astype(np.int64)
        place = int(np.where(times < before_s, times, 0).argmax())
        return (int(times[place]), float(arrays["raw_v"][row, place])) if 0 < times[place] < before_s else (0, 0.0)

    return newest


def _of_this_beat(where: int) -> bool:
    return where >= 0


def _flat(
    arrays: Arrays,
    limits: SeriesLimits,
    row: NDArray[np.intp],
    time_s: Ints,
    value: NDArray[np.float64],
    first: NDArray[np.bool_],
    start: NDArray[np.intp],
    segment: NDArray[np.intp],
) -> tuple[Ints, NDArray[np.bool_]]:
    """Since when each reading's value has stood still (s), and whether that is too long."""
    seen_t = shift(first, time_s, arrays["seen_t"][row].astype(np.int64))
    moved = (seen_t == 0) | (np.abs(value - shift(first, value, arrays["seen_v"][row])) > limits.flat_within[row])
    newest = np.maximum.accumulate(np.where(moved, np.arange(len(row)), -1))
    since = np.where(newest >= start[segment], time_s[np.maximum(newest, 0)], arrays["flat_t"][row].astype(np.int64))
    return since, time_s - since >= limits.flat_after[row]


def _late(found: Examined, arrays: Arrays, row: NDArray[np.intp], time_s: Ints, value: NDArray[np.float64]) -> None:
    """Late readings correct the history; one that lies between the two newest good ones becomes the one before the newest."""
    if not len(row):
        return
    rows = np.unique(row)
    get = _reader(found, arrays, rows)
    state = {r: [get("last_t", r), get("last_v", r), get("before_t", r), get("before_v", r)] for r in rows.tolist()}
    for r, time, number in zip(row.tolist(), time_s.tolist(), value.tolist(), strict=True):
        now = state[r]
        if time > now[0]:
            now[:] = [time, number, now[0], now[1]]
        elif now[2] < time < now[0]:
            now[2:] = [time, number]
    for place, name in enumerate(("last_t", "last_v", "before_t", "before_v")):
        put(found, arrays, name, rows, np.array([values[place] for values in state.values()]))


def put(found: Examined, arrays: Arrays, name: str, rows: NDArray[np.intp], values: NDArray[Any]) -> None:
    """Set ``fields[name]`` of ``rows``, over whatever this beat already set."""
    if name in found.fields:
        old_rows, old_values = found.fields[name]
        keep = ~np.isin(old_rows, rows)
        rows, values = np.append(old_rows[keep], rows), np.append(old_values[keep], values)
    found.fields[name] = (rows, values)


def _reader(found: Examined, arrays: Arrays, wanted: NDArray[np.intp]) -> Callable[[str, int], Any]:
    """Reads a field of the rows ``wanted`` as this beat leaves it."""
    new: dict[str, dict[int, Any]] = {}
    for name, (rows, values) in found.fields.items():
        some = np.isin(rows, wanted)
        new[name] = dict(zip(rows[some].tolist(), values[some].tolist(), strict=True))
    return lambda name, row: new.get(name, {}).get(row, arrays[name][row].item())


def _heard(found: Examined, arrays: Arrays, now_s: int) -> None:
    """A newer good reading came: the series is heard, whatever the reading's age (an agency may upload twice a day)."""
    if "last_t" in found.fields:
        rows, values = found.fields["last_t"]
        newer = values > arrays["last_t"][rows]
        found.fields["heard_t"] = (rows[newer], np.full(int(newer.sum()), now_s, np.int64))
