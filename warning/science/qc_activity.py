"""How a series usually moves, and what departs from it: spikes, standstills, steps that stay. By its own past, reading by reading.

A fixed threshold fits one river at one pace of sampling. These tests scale with what the series did lately:

- ``usual``: mean change from one reading to the next, exponential over 48 readings; a single change enters with four times itself at most.
- ``still``: the longest standstill, forgotten by 0.2 % a change (half of it in 350 changes).

Spike: QARTOD's last but one, with max(``spike``, ``spike_factor`` * usual) as its threshold; and the reading after it must be back, else it
is a crest. Standstill: flat line by elapsed time, longer than max(``still_s``, ``still_factor`` * still). Datum shift: a step greater than
max(``shift``, 2 * usual) out of calm water, after which the series stays where it went (within a tenth of the step and twice the usual
change) for three readings and two hours, while no neighbour moved by half of it in six hours. A flood that steps up goes on rising
or falls. Wrong unit: a step whose two sides are to each other as two units are; named at once, and no more if it does not stay.

Every reading is judged on those before it only, in order of time, whatever beat it came in. S series, n readings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science.qc_steps import calm_before, other_unit

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "usual": ("f4", ()),  # mean change from reading to reading
    "usual_n": ("u1", ()),  # readings that it rests on, up to 255
    "still_s": ("f4", ()),  # longest standstill, slowly forgotten
    "shift_t": ("u4", ()),  # when the last great step came; 0: none is watched
    "shift_from": ("f4", ()),  # the level before it
    "shift_by": ("f4", ()),
    "shift_n": ("u1", ()),  # readings that stayed there since
    "shift_said": ("?", ()),  # it is called a datum shift
    "soft_t": ("u4", ()),  # newest reading that counts though it is suspect
}
FOLLOWED = ("usual", "usual_n", "still_s", "shift_t", "shift_from", "shift_by", "shift_n", "shift_said", "flat_t")

OVER = 48  # readings
KNOWN_FROM = 6  # readings: before, nothing departs from anything
STILL_FROM = 10
STILL_KEEPS = 0.998
STEP_FACTOR = 2.0  # times the usual change: then the hours before say whether it is one
STAYS, STAYS_MORE = 0.1, 0.15  # parts of the step: and twice the usual change, up to the second
SHIFT_READINGS, SHIFT_S = 3, 7200
NEAR_S = 4 * 3600  # readings further apart say nothing about a step or what is usual
SHIFT_HELD_S = 3 * 86_400  # nobody said anything for so long: it is the level now ...
TAKEN, TAKEN_S = 255, 30 * 86_400  # ... (``shift_n``) and for so long a step as great the other way is the zero that comes back
MOVES_ON = 0.5  # part of the step: what goes so far from where it went, to and fro, is the water's, or the zero has come back ...
OUT = 254  # ... once a second reading says so (``shift_n``): one may be a spike
SHARED = 0.5  # part of the step that a neighbour moved

Arrays = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Activity:
    """Limits per series (S), NaN: the test is not made. Values in the series' SI unit, times in s."""

    spike: Floats
    spike_factor: Floats
    still_s: Floats
    still_factor: Floats
    within: Floats  # changes up to this are none
    shift: Floats


@dataclass(slots=True)
class Followed:
    """Per reading (n): the threshold of a spike (NaN: by the fixed one only), too long a standstill, in a datum shift and to which side."""

    spike: Floats
    still: Bools
    shifted: NDArray[np.int8]  # 1 up, -1 down, 0 not
    unit: Bools  # shifted, and as another unit would
    fields: Arrays  # of ``series``, as the last of its readings leaves them


def follow(
    arrays: Arrays,
    limits: Activity,
    series: NDArray[np.intp],
    start: NDArray[np.intp],
    count: NDArray[np.intp],
    time_s: NDArray[np.int64],
    value: Floats,
    neighbours_moved: Floats,
) -> Followed:
    """Readings of ``series`` (s): ``count`` each from ``start`` on, in order of time. ``neighbours_moved`` (s): NaN where nobody knows."""
    n = len(value)
    out = Followed(np.full(n, np.nan), np.zeros(n, np.bool_), np.zeros(n, np.int8), np.zeros(n, np.bool_), {})
    now: Arrays = {name: arrays[name][series].astype(np.float64) for name in FOLLOWED}
    now["t"], now["v"] = arrays["seen_t"][series].astype(np.float64), arrays["seen_v"][series].astype(np.float64)
    own = {name: getattr(limits, name)[series] for name in Activity.__slots__}
    for rank in range(int(count.max(initial=0))):
        which = np.flatnonzero(count > rank)
        at = start[which] + rank
        mine = {name: values[which] for name, values in own.items()}

        def calm(places: NDArray[np.intp], at: NDArray[np.intp] = at, which: NDArray[np.intp] = which) -> Bools:
            each = zip(series[which[places]].tolist(), at[places].tolist(), start[which[places]].tolist(), strict=True)
            return np.array([calm_before(arrays, row, time_s, value, here, first) for row, here, first in each], np.bool_)

        _next(out, at, mine, now, which, time_s[at], value[at], neighbours_moved[which], calm)
    out.fields = {name: now[name].astype(FIELDS[name][0]) for name in FOLLOWED if name != "flat_t"}
    return out


def _next(
    out: Followed,
    at: NDArray[np.intp],
    own: Arrays,
    now: Arrays,
    which: NDArray[np.intp],
    time: NDArray[np.int64],
    value: Floats,
    moved: Floats,
    calm: Callable[[NDArray[np.intp]], Bools],
) -> None:
    """One more reading of each of the series ``which``. State is rounded as it is kept, so that a beat's end changes nothing."""
    old = {name: values[which] for name, values in now.items()}
    first = (old["t"] == 0) | (time - old["t"] > NEAR_S)
    change = np.where(first, 0.0, value - old["v"])
    size = np.abs(change)
    known = old["usual_n"] >= KNOWN_FROM
    out.spike[at] = np.where(known, np.fmax(own["spike"], own["spike_factor"] * old["usual"]), np.nan)
    hung = _standstill(out, at, own, now, which, old, time, size, first)
    _shift(out, at, own, now, which, old, time, value, change, known & ~first & ~hung, moved, calm)  # what goes on again catches up at once
    least = np.fmax(old["usual"], np.nan_to_num(own["spike"]) / 8.0)
    taken = np.where(old["usual_n"] >= 3, np.minimum(size, 4.0 * least), size)
    usual = old["usual"] + (taken - old["usual"]) / np.minimum(old["usual_n"] + 1, OVER)
    now["usual"][which] = np.where(first, old["usual"], usual).astype(np.float32)
    now["usual_n"][which] = np.where(first, old["usual_n"], np.minimum(old["usual_n"] + 1, 255))
    now["t"][which], now["v"][which] = time, value


def _standstill(
    out: Followed,
    at: NDArray[np.intp],
    own: Arrays,
    now: Arrays,
    which: NDArray[np.intp],
    old: Arrays,
    time: NDArray[np.int64],
    size: Floats,
    first: Bools,
) -> Bools:
    """Whether each had stood still for too long before this reading."""
    moves = first | (size > own["within"])
    longest = np.fmax(own["still_s"], own["still_factor"] * old["still_s"])
    ready = (old["usual_n"] >= STILL_FROM) & (old["still_s"] > 0) & ~first  # it has moved, ever
    out.still[at] = ready & ~moves & (time - old["flat_t"] > longest)
    was = ready & (old["t"] - old["flat_t"] > longest)  # a standstill that was too long is not what is usual ...
    leaps = size > own["within"] + np.fmax(2.0 * old["usual"], np.nan_to_num(own["spike"]) / 16.0)
    stood = np.where(was & leaps, 0.0, time - old["flat_t"])  # ... but where the water goes on as it stood
    still = np.where(moves & ~first, np.fmax(old["still_s"] * STILL_KEEPS, stood), old["still_s"])
    now["still_s"][which] = still.astype(np.float32)
    now["flat_t"][which] = np.where(moves, time, old["flat_t"])
    return np.asarray(was)


def _shift(
    out: Followed,
    at: NDArray[np.intp],
    own: Arrays,
    now: Arrays,
    which: NDArray[np.intp],
    old: Arrays,
    time: NDArray[np.int64],
    value: Floats,
    change: Floats,
    known: Bools,
    moved: Floats,
    calm: Callable[[NDArray[np.intp]], Bools],
) -> None:
    """``calm``: whether the readings before these (places in ``which``) were."""
    said = old["shift_said"] > 0
    taken = (old["shift_t"] > 0) & (old["shift_n"] == TAKEN) & ~said  # a state of before counted up to as many while it said so
    watched = (old["shift_t"] > 0) & ~taken
    by, age = old["shift_by"], time - old["shift_t"]
    near = STAYS * np.abs(by) + np.minimum(2.0 * old["usual"], STAYS_MORE * np.abs(by))
    stays = np.abs(value - (old["shift_from"] + by)) <= near
    back = np.abs(value - old["shift_from"]) < 0.5 * np.abs(by)
    beyond = (by < 0) & (value >= old["shift_from"])
    firm = said & (old["shift_n"] >= SHIFT_READINGS)  # a unit is said at once: where that does not stay it was none
    out_now = firm & (np.abs(value - (old["shift_from"] + by)) > MOVES_ON * np.abs(by))  # or a spike: it is over with the next
    grown = np.where(old["shift_n"] == OUT, SHIFT_READINGS, np.minimum(old["shift_n"] + 1, OUT - 1))
    number = np.where(out_now, OUT, np.where(firm | (watched & stays), grown, 0))
    shared = moved >= SHARED * np.abs(by)  # False where nobody knows
    now_said = watched & ~said & stays & (number >= SHIFT_READINGS) & (age >= SHIFT_S) & ~shared
    over = said & ((out_now & (old["shift_n"] == OUT)) | (age > SHIFT_HELD_S) | (~firm & ~stays))
    left = watched & ~said & (~stays | ((age >= SHIFT_S) & (number >= SHIFT_READINGS) & shared))
    keeps = watched & ~over & ~left
    returns = taken & (np.abs(change + by) <= near)
    unit, begins = _begins(own, old, value, change, moved, known & ~keeps & ~(watched & back) & ~returns, calm)
    rests = ~begins & ((said & (age > SHIFT_HELD_S) & ~back & ~beyond) | (taken & ~returns & (age <= TAKEN_S)))
    shifted = (keeps & (said | now_said)) | unit
    out.shifted[at] = np.where(shifted, np.sign(np.where(unit, change, by)), 0)
    if shifted.any():
        first, then = np.where(unit, old["v"], old["shift_from"]), np.where(unit, value, old["shift_from"] + by)
        out.unit[at] = shifted & other_unit(first, then, old["usual"])
    for name, fresh, stay, rest in (
        ("shift_t", time, old["shift_t"], old["shift_t"]),
        ("shift_from", old["v"], old["shift_from"], old["shift_from"]),
        ("shift_by", change, by, by),
        ("shift_n", 0, number, TAKEN),
        ("shift_said", unit, said | now_said, False),
    ):
        now[name][which] = np.where(begins, fresh, np.where(keeps, stay, np.where(rests, rest, 0))).astype(FIELDS[name][0])


def _begins(
    own: Arrays, old: Arrays, value: Floats, change: Floats, moved: Floats, free: Bools, calm: Callable[[NDArray[np.intp]], Bools]
) -> tuple[Bools, Bools]:
    """Where a shift of the unit begins, and where any; of those that are ``free`` to begin one."""
    size, usually = np.abs(change), STEP_FACTOR * old["usual"]
    free = free & ~np.isnan(own["spike_factor"])
    unit = free & (size > np.fmax(own["shift"] / 3.0, usually)) & ~(moved >= SHARED * size)
    unit[unit] = other_unit(old["v"][unit], value[unit], old["usual"][unit])
    begins = unit | (free & (size > np.fmax(own["shift"], usually)) & ~np.isnan(own["shift"]))
    some = np.flatnonzero(begins)
    if len(some):
        begins[some] = calm(some)
        unit &= begins
    return np.asarray(unit), np.asarray(begins)
