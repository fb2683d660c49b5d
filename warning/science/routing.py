"""Upstream to downstream: what part of a wave arrives, and when.

A rise upstream arrives after the travel time of the reach, weakened by what its banks take up (``share``):

    Q_down(t) = Q_down(t0) + sum over reaches of share * (Q_up(t - travel) - Q_up(t0 - travel))

with t0 the time of the newest reading downstream. Where the upstream course is not known back to t0 - travel, the sum of what
is known to arrive is a lower bound: Q_down(t) >= sum of share * Q_up(t - travel). Pure translation with attenuation, the first
term of Muskingum routing (McCarthy, 1938). All arrays: R reaches, L lead times, discharges in m3/s, times in s since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HISTORY_S = 10_800  # of a zone that has water to pass on, one reading per three hours is kept
MOST = 96  # twelve days
BEYOND_S = 76 * 3600  # kept beyond the longest travel time: the newest reading downstream may be so old, as old as a late one may be

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {  # as many as ``depth`` says
    "h_t": ("u4", (MOST,)),  # time of the last reading in each three hours; 0: empty
    "h_v": ("f4", (MOST,)),
    "e_t": ("u4", (MOST,)),  # time of the last estimate in each three hours; 0: none
    "e_v": ("f4", (MOST,)),
}


def depth(travel_s: int) -> int:
    """How many readings to keep where water needs up to ``travel_s`` to the next gauge."""
    return min(MOST, -(-(travel_s + BEYOND_S) // HISTORY_S) + 1)


Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Routed:
    """Per zone (Z, L): expected discharge, its standard deviation; NaN where nothing upstream is known."""

    median: NDArray[np.float64]
    sigma: NDArray[np.float64]


def remember(
    arrays: Arrays, row: NDArray[np.intp], time_s: NDArray[np.int64], value: NDArray[np.float64]
) -> list[tuple[str, Any, NDArray[Any]]]:
    """What to assign so that n readings of zones (``row`` of the history) are in it; of twin series at one time the larger counts."""
    order = np.lexsort((value, time_s, row))
    row, time_s, value = row[order], time_s[order], value[order]
    slot_id = time_s // HISTORY_S
    last = np.ones(len(row), np.bool_)
    last[:-1] = (row[1:] != row[:-1]) | (slot_id[1:] != slot_id[:-1])
    row, time_s, value = row[last], time_s[last], value[last]
    slots = arrays["h_t"].shape[1]
    slot = (time_s // HISTORY_S % slots).astype(np.intp)
    old_t, old_v = arrays["h_t"][row, slot].astype(np.int64), arrays["h_v"][row, slot].astype(np.float64)
    newer = (time_s > old_t) | ((time_s == old_t) & (value > old_v))
    if len(row) and int(time_s.max() - time_s.min()) > (slots - 1) * HISTORY_S:
        # A beat that spans more than the ring: of two that share a slot only the newest may be written.
        _, newest = np.unique((row * slots + slot)[::-1], return_index=True)
        only = np.zeros(len(row), np.bool_)
        only[len(row) - 1 - newest] = True
        newer &= only
    row, slot = row[newer], slot[newer]
    return [("h_t", (row, slot), time_s[newer].astype(np.uint32)), ("h_v", (row, slot), value[newer].astype(np.float32))]


def estimate(arrays: Arrays, row: NDArray[np.intp], now_s: int, value: NDArray[np.float64]) -> list[tuple[str, Any, NDArray[Any]]]:
    """What to assign so that the discharge estimated for now (NaN: none) is in the history, for the hours without a reading."""
    known = ~np.isnan(value)
    slot = np.full(int(known.sum()), now_s // HISTORY_S % arrays["e_t"].shape[1], np.intp)
    return [("e_t", (row[known], slot), np.full(len(slot), now_s, np.uint32)), ("e_v", (row[known], slot), value[known].astype(np.float32))]


def move(arrays: Arrays, row: NDArray[np.intp], old: Arrays) -> None:
    """Histories ``old`` (r, of another depth), into ``row`` (r,) of ``arrays``: as much of the newest as there is room for."""
    slots = arrays["h_t"].shape[1]
    if old["h_t"].shape[1] == slots:
        for name, values in old.items():
            arrays[name][row] = values
        return
    for time, value in (("h_t", "h_v"), ("e_t", "e_v")):
        order = np.argsort(old[time], axis=1)  # of two that share a slot the later one stays
        times, values = (np.take_along_axis(old[name], order, axis=1) for name in (time, value))
        at = row[:, None], (times // HISTORY_S % slots).astype(np.intp)
        for column in range(times.shape[1]):
            some = times[:, column] > 0
            where = at[0][some, 0], at[1][some, column]
            arrays[time][where], arrays[value][where] = times[some, column], values[some, column]


@dataclass(frozen=True, slots=True)
class Curve:
    """Discharge at an upstream gauge over time, piecewise linear: readings, then estimates, then its forecast; NaN where unknown."""

    time_s: NDArray[np.int64]
    value: NDArray[np.float64]

    def at(self, time_s: NDArray[np.int64]) -> NDArray[np.float64]:
        if not len(self.time_s):
            return np.full(len(time_s), np.nan)
        return np.interp(time_s, self.time_s, self.value, left=np.nan, right=np.nan)


def curve(
    arrays: Arrays, row: int, observed_s: int, value: float, hold_s: int, knot_s: NDArray[np.int64], median: NDArray[np.float64], now_s: int
) -> Curve:
    """The course of the zone in ``row`` of the history.

    ``value`` was read at ``observed_s`` (0: never) and may be held for ``hold_s``; ``median`` (L,) is the zone's forecast for
    the times ``knot_s``. Between the newest reading and now the estimates of those hours count (the wave was on its way,
    nobody measured it), else the reading is held.
    """
    seen, told = arrays["h_t"][row], arrays["e_t"][row]
    past = (seen > 0) & (seen <= observed_s)
    guessed = told > observed_s
    times = [seen[past].astype(np.int64), told[guessed].astype(np.int64)]
    values = [arrays["h_v"][row][past].astype(np.float64), arrays["e_v"][row][guessed].astype(np.float64)]
    ahead = (knot_s > now_s) & ~np.isnan(median)
    if observed_s and not guessed.any():
        end = min(observed_s + hold_s, now_s)
        times.append(np.array([end, end + 1], np.int64))
        values.append(np.array([value, value if end == now_s else np.nan]))
        ahead &= knot_s > end + 1
    times.append(knot_s[ahead])
    values.append(median[ahead])
    time_s, value_s = np.concatenate(times), np.concatenate(values)
    order = np.argsort(time_s, kind="stable")
    return Curve(time_s[order], value_s[order])


@dataclass(frozen=True, slots=True)
class Reaches:
    """R reaches, sorted by ``down``: the zone that each ends at (an index into Z), what part arrives and its standard deviation."""

    down: NDArray[np.intp]
    share: NDArray[np.float64]
    share_sigma: NDArray[np.float64]


def arrival(
    reaches: Reaches,
    now: NDArray[np.float64],
    early: NDArray[np.float64],
    late: NDArray[np.float64],
    then: NDArray[np.float64],
    base: NDArray[np.float64],
    spread: float,
) -> Routed:
    """What arrives at Z zones.

    ``now``, ``early``, ``late`` (R, L): upstream discharge at each time less the middle, the short and the long travel time;
    ``then`` (R,): at the time of the newest reading downstream less the middle travel time; ``base`` (Z,): that reading,
    NaN: none; ``spread``: further standard deviation, as a part of the change.
    """
    zones, leads = len(base), now.shape[1]
    known = ~np.isnan(now)
    tracked = ~np.isnan(then) & ~np.isnan(base[reaches.down])
    change = np.where(known, now - np.where(tracked, then, 0.0)[:, None], 0.0)
    total, variance = np.zeros((zones, leads)), np.zeros((zones, leads))
    bound, some, all_tracked = np.zeros((zones, leads)), np.zeros((zones, leads), np.bool_), np.ones((zones, leads), np.bool_)
    travel = np.where(np.isnan(early) | np.isnan(late), 0.0, np.abs(early - late) / 2.0) * reaches.share[:, None]
    first = np.ones(len(reaches.down), np.bool_)
    first[1:] = reaches.down[1:] != reaches.down[:-1]
    rank = np.arange(len(first)) - np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
    for turn in range(int(rank.max(initial=-1)) + 1):  # a fixed order of addition: the first reach of each zone, then the second
        r = np.flatnonzero(rank == turn)
        z = reaches.down[r]
        total[z] += reaches.share[r, None] * change[r]
        bound[z] += np.where(known[r], reaches.share[r, None] * now[r], 0.0)
        variance[z] += (reaches.share_sigma[r, None] * change[r]) ** 2 + np.where(known[r], travel[r], 0.0) ** 2
        some[z] |= known[r]
        all_tracked[z] &= tracked[r, None] | ~known[r]
    base_column = base[:, None]
    routed = np.where(all_tracked & ~np.isnan(base_column), base_column + total, np.fmax(bound, base_column))
    routed = np.maximum(routed, 0.0)
    variance += (spread * np.where(np.isnan(base_column), routed, routed - base_column)) ** 2
    return Routed(np.where(some, routed, np.nan), np.where(some, np.sqrt(variance), np.nan))
