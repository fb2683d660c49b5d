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

HISTORY = 96  # readings kept of a zone that has water to pass on
HISTORY_S = 10_800  # one per three hours: twelve days

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "h_t": ("u4", (HISTORY,)),  # time of the last reading in each three hours; 0: empty
    "h_v": ("f4", (HISTORY,)),
}

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Upstream:
    """What is known of each reach's upstream gauge: its newest reading and how long that may be held, and its own forecast."""

    observed_s: NDArray[np.int64]  # (R,) 0: never
    value: NDArray[np.float64]  # (R,)
    hold_s: NDArray[np.int64]  # (R,) after its time the newest reading says nothing any more
    median: NDArray[np.float64]  # (R, L)


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
    slot = (time_s // HISTORY_S % HISTORY).astype(np.intp)
    old_t, old_v = arrays["h_t"][row, slot].astype(np.int64), arrays["h_v"][row, slot].astype(np.float64)
    newer = (time_s > old_t) | ((time_s == old_t) & (value > old_v))
    # A beat that spans more than the ring: of two that share a slot only the newest may be written.
    newest = np.zeros(arrays["h_t"].shape, np.int64)
    np.maximum.at(newest, (row, slot), time_s)
    newer &= newest[row, slot] == time_s
    row, slot = row[newer], slot[newer]
    return [("h_t", (row, slot), time_s[newer].astype(np.uint32)), ("h_v", (row, slot), value[newer].astype(np.float32))]


def course(
    arrays: Arrays, row: NDArray[np.intp], up: Upstream, at_s: NDArray[np.int64], now_s: int, lead_s: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Discharge of each reach's upstream gauge at the times ``at_s`` (R, Q).

    From its history, its newest reading, its own forecast; NaN where none of them tells.
    """
    past = _interpolate(arrays["h_t"][row].astype(np.int64), arrays["h_v"][row].astype(np.float64), at_s)
    observed, value = up.observed_s[:, None], up.value[:, None]
    held = np.where((observed > 0) & (at_s <= observed + up.hold_s[:, None]), value, np.nan)
    knots = np.concatenate([[0], lead_s])
    first = np.where((up.observed_s > 0) & (now_s <= up.observed_s + up.hold_s), up.value, np.nan)
    medians = np.concatenate([first[:, None], up.median], axis=1)
    ahead = at_s - now_s
    right = np.clip(np.searchsorted(knots, ahead, side="left"), 1, len(knots) - 1)
    here = np.arange(len(row))[:, None]
    low, high = medians[here, right - 1], medians[here, right]
    part = (ahead - knots[right - 1]) / (knots[right] - knots[right - 1])
    future = np.where(ahead > knots[-1], np.nan, low + (high - low) * part)
    return np.where(at_s <= observed, past, np.where(at_s <= now_s, held, future))


def _interpolate(times: NDArray[np.int64], values: NDArray[np.float64], at_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """Between the readings around each time; (R, H) readings in any order, (R, Q) times; NaN before the first or where there is none."""
    out = np.full(at_s.shape, np.nan)
    for start in range(0, len(times), 256):  # bounds the memory of the comparison
        part = slice(start, start + 256)
        t, v, at = times[part, None, :], values[part], at_s[part, :, None]
        below = np.where((t > 0) & (t <= at), t, -1)
        above = np.where(t >= at, t, np.iinfo(np.int64).max)
        low, high = below.argmax(axis=2), above.argmin(axis=2)
        here = np.arange(len(v))[:, None]
        t_low, t_high = times[part][here, low], times[part][here, high]
        v_low, v_high = v[here, low], v[here, high]
        known, bounded = below.max(axis=2) > 0, above.min(axis=2) < np.iinfo(np.int64).max
        share = (at_s[part] - t_low) / np.maximum(t_high - t_low, 1)
        out[part] = np.where(known, np.where(bounded, v_low + (v_high - v_low) * share, v_low), np.nan)
    return out


@dataclass(frozen=True, slots=True)
class Reaches:
    """R reaches, sorted by ``down``: indices of their zones, travel times in s, what part arrives and its standard deviation."""

    down: NDArray[np.intp]  # index into the zones asked for (Z)
    travel_s: NDArray[np.int64]
    travel_low_s: NDArray[np.int64]
    travel_high_s: NDArray[np.int64]
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

    ``now``, ``early``, ``late`` (R, L): upstream discharge at lead time less the middle, the short and the long travel time;
    ``then`` (R,): at the time of the newest reading downstream less the middle travel time; ``base`` (Z,): that reading, NaN: none;
    ``spread``: further standard deviation, as a part of the change.
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
