"""Upstream to downstream: what part of a wave arrives, and when.

A rise upstream arrives after the travel time of the reach, weakened by what its banks take up (``share``):

    Q_down(t) = Q_down(t0) + sum over reaches of share * (Q_up(t - travel) - Q_up(t0 - travel))

with t0 the time of the newest reading downstream. Where the upstream course is not known back to t0 - travel, the sum of what
is known to arrive is a lower bound: Q_down(t) >= sum of share * Q_up(t - travel). Pure translation with attenuation, the first
term of Muskingum routing (McCarthy, 1938). The travel time is known as a span: where a reading downstream is lower than what the middle one
would have brought by then, and a longer one explains it, the wave is late and not lost; what it has not brought is still to come
(``lateness``). All arrays: R reaches, L lead times, discharges in m3/s, times in s since 1970.
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


def remember(
    arrays: Arrays, row: NDArray[np.intp], time_s: NDArray[np.int64], value: NDArray[np.float64]
) -> list[tuple[str, Any, NDArray[Any]]]:
    """What to assign so that n readings of zones (``row`` of the history) are in it; of twin series at one time the larger counts."""
    # What the next one overtakes in its own slot need not be sorted: of a beat of many readings that is nearly all.
    kept = np.ones(len(row), np.bool_)
    kept[:-1] = (row[1:] != row[:-1]) | (time_s[1:] <= time_s[:-1]) | (time_s[1:] // HISTORY_S != time_s[:-1] // HISTORY_S)
    row, time_s, value = row[kept], time_s[kept], value[kept]
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
class Reaches:
    """R reaches, sorted by ``down``: the zone that each ends at (an index into Z), what part arrives and its standard deviation.

    ``turns``: (reaches, zones) of the first reach of each zone, of the second ...: the fixed order of addition.
    """

    down: NDArray[np.intp]
    share: NDArray[np.float64]
    share_sigma: NDArray[np.float64]
    turns: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]

    @staticmethod
    def of(down: NDArray[np.intp], share: NDArray[np.float64], share_sigma: NDArray[np.float64]) -> Reaches:
        number = np.arange(len(down))
        first = np.ones(len(down), np.bool_)
        first[1:] = down[1:] != down[:-1]
        if first.all():
            return Reaches(down, share, share_sigma, ((number, down),) if len(down) else ())
        rank = number - np.maximum.accumulate(np.where(first, number, 0))
        turns = (np.flatnonzero(rank == turn) for turn in range(int(rank.max()) + 1))
        return Reaches(down, share, share_sigma, tuple((r, down[r]) for r in turns))

    def single(self, zones: int) -> bool:
        """Whether one reach ends at each of Z zones."""
        return len(self.turns) == 1 and len(self.down) == zones

    def over(self, together: np.ufunc, start: float | bool, values: NDArray[Any], zones: int) -> NDArray[Any]:
        """(R, L) to (Z, L): what the reaches into each zone come to, beginning with ``start``."""
        if self.single(zones):
            return np.asarray(together(start, values))
        out = np.full((zones, values.shape[1]), start)
        for reach, zone in self.turns:
            out[zone] = together(out[zone], values[reach])
        return out


@dataclass(frozen=True, slots=True)
class Then:
    """Discharges upstream (R,) at the time of the newest reading downstream less the middle, the short and the long travel time.

    NaN: not known.
    """

    middle: NDArray[np.float64]
    early: NDArray[np.float64]
    late: NDArray[np.float64]


def lateness(reaches: Reaches, then: Then, base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where between the middle (0) and the long travel time (1) the water of Z zones travels, (Z,), by what is not there yet.

    Only a rise can be late: 0 where the reading ``base`` (Z,) is not below what the middle travel time brings, where no reach into the zone
    says so, or where the longer one would not have brought less.
    """
    zones = len(base)
    brought, missing = then.middle * reaches.share, (then.middle - then.late) * reaches.share
    if reaches.single(zones):  # NaN: no comparison holds
        short, late = brought - base, missing
    else:
        tracked = ~np.isnan(missing)
        sums = reaches.over(np.add, 0.0, np.where(tracked[:, None], np.stack((brought, missing), axis=1), 0.0), zones)
        short, late = sums[:, 0] - base, sums[:, 1]
    explains = (late > 0.0) & (short > 0.0)
    if not explains.any():
        return np.zeros(zones)
    return np.where(explains, np.minimum(short / np.where(explains, late, 1.0), 1.0), 0.0)


def later(middle: NDArray[np.float64], late: NDArray[np.float64], by: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the middle travel time brings, ``by`` (0 to 1) of the way to what the long one does; the former where the latter is unknown."""
    moved = middle + by * (late - middle)
    return np.where(np.isnan(moved), middle, moved)


def arrival(reaches: Reaches, now: NDArray[np.float64], then: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    """What arrives at Z zones (Z, L); NaN where nothing upstream is known.

    ``now`` (R, L): upstream discharge at each time less the travel time; ``then`` (R,): at the time of the newest reading downstream
    less the travel time; ``base`` (Z,): that reading, NaN: none.
    """
    zones = len(base)
    single = reaches.single(zones)
    tracked = ~np.isnan(then + (base if single else base[reaches.down]))
    share = reaches.share[:, None]
    if single and tracked.all():  # the usual case, in a fifth of the operations
        return np.asarray(np.maximum(base[:, None] + share * (now - then[:, None]), 0.0))
    if single and not tracked.any():  # a past that is too short
        held = np.maximum(np.fmax(0.0 + share * now, base[:, None]), 0.0)
        held[np.isnan(now)] = np.nan
        return np.asarray(held)
    known = ~np.isnan(now)
    total = reaches.over(np.add, 0.0, share * _change(now, known, then, tracked), zones)
    bound = reaches.over(np.add, 0.0, np.where(known, share * now, 0.0), zones)
    some = reaches.over(np.logical_or, False, known, zones)
    all_tracked = reaches.over(np.logical_and, True, tracked[:, None] | ~known, zones)
    base_column = base[:, None]
    routed = np.where(all_tracked & ~np.isnan(base_column), base_column + total, np.fmax(bound, base_column))
    return np.where(some, np.maximum(routed, 0.0), np.nan)


def spread(
    reaches: Reaches,
    now: NDArray[np.float64],
    early: NDArray[np.float64],
    late: NDArray[np.float64],
    then: Then,
    base: NDArray[np.float64],
    routed: NDArray[np.float64],
    part: float,
) -> NDArray[np.float64]:
    """The standard deviation (Z, L) of what arrives (``routed``, of ``arrival``).

    ``early``, ``late`` (R, L): as ``now``, with the short and the long travel time, which holds before the reading as it does after it:
    what differs is the change since then. ``part``: further standard deviation, as a part of the change.
    """
    known = ~np.isnan(now)
    tracked = ~np.isnan(then.middle + base[reaches.down])
    passed = np.where(tracked & ~np.isnan(then.early + then.late), then.early - then.late, 0.0)[:, None]
    travel = np.where(np.isnan(early) | np.isnan(late), 0.0, np.abs(early - late - passed) / 2.0) * reaches.share[:, None]
    change = reaches.share_sigma[:, None] * _change(now, known, then.middle, tracked)
    variance = reaches.over(np.add, 0.0, change**2 + np.where(known, travel, 0.0) ** 2, len(base))
    base_column = base[:, None]
    variance += (part * np.where(np.isnan(base_column), routed, routed - base_column)) ** 2
    return np.asarray(np.sqrt(variance))


def _change(
    now: NDArray[np.float64], known: NDArray[np.bool_], then: NDArray[np.float64], tracked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    return np.where(known, now - np.where(tracked, then, 0.0)[:, None], 0.0)
