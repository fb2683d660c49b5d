"""What a forecast is made of: the recent course of a gauge and of those around it, free of units and of scale.

The same pure functions run in training (``wiring_train``) and in the stream. Everything is relative to the newest reading, not to the
clock, and in units of the gauge's own recent range or of the span of its limits, so that a model of rivers in metres serves one in m3/s.
N zones, T times of the windows, values in the zone's SI unit, times in s since 1970.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science import windows

LAGS_H = (1, 2, 3, 4, 6, 9, 12, 18, 24, 36, 48, 72)
MOVES = ("position", "rise_1h", "rise_3h", "rise_6h", "rise_12h", "rise_24h", "below_top")  # of a zone, for those around it: N x 7
STALE_S = 26 * 3600  # a neighbour that has been silent for longer says nothing
LEAST_POINTS, LEAST_H = (
    5,
    4.0,
)  # fewer readings in 24 h (or three in 72 h, of a gauge read daily), or a shorter past: the straight line is used
GROUPS = ("up", "above", "near")
_MEANS = (2, 3, 4, 5)  # of MOVES, for the groups "above" and "near"
_LAGS_S = 3600 * np.array(LAGS_H)
_APART = float(1 << 22)  # s; more than the windows hold

Numbers = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]


@functools.cache
def names() -> tuple[str, ...]:
    """Names of the columns of ``table``."""
    own = [f"change_{lag}h" for lag in LAGS_H] + ["bend_1h", "bend_3h", "below_top_24h", "above_floor_72h", "below_top_72h"]
    own += ["range/span", "position", "known_h", "gap_h", "rise_1h", "rise_3h", "rise_6h", "rise_24h"]
    around = []
    for group in GROUPS:
        around += [f"{group}_there"] + [f"{group}_{name}" for name in MOVES]
        if group != "up":
            around += [f"{group}_mean_{MOVES[place]}" for place in _MEANS] + [f"{group}_mean_position"]
    return (*own, *around, "up_ahead")


@dataclass(frozen=True, slots=True)
class Scale:
    """Of N zones: the lowest limit, the span of the limits, the least range that is taken for one; all in the zone's unit."""

    lowest: Numbers
    span: Numbers
    floor: Numbers

    @staticmethod
    def of(limits: Numbers, stage: NDArray[np.bool_]) -> Scale:
        """``limits`` (N, classes), NaN where a class has none; ``stage``: m, else m3/s."""
        some = ~np.isnan(limits)
        lowest = np.where(some, limits, np.inf).min(axis=1, initial=np.inf)
        highest = np.where(some, limits, -np.inf).max(axis=1, initial=-np.inf)
        known = some.any(axis=1)
        lowest, highest = np.where(known, lowest, 0.0), np.where(known, highest, 0.0)
        alone = np.maximum(0.2 * np.abs(lowest), np.where(stage, 0.5, 1.0))
        span = np.where(highest > lowest, highest - lowest, alone)
        return Scale(lowest, span, np.maximum(0.04 * span, np.where(stage, 0.03, 0.1)))

    def take(self, zones: NDArray[np.intp]) -> Scale:
        return Scale(self.lowest[zones], self.span[zones], self.floor[zones])


@dataclass(frozen=True, slots=True)
class Past:
    """The recent course of N gauges: the newest reading and its time, the range that is the unit of ``own`` (N, 25), ``moves`` (N, 7).

    ``enough``: there is a past to forecast from.
    """

    time_s: NDArray[np.int64]
    value: Numbers
    unit: Numbers
    own: Numbers
    moves: Numbers
    enough: NDArray[np.bool_]


def log2(value: Numbers) -> Numbers:
    """Logarithm to the base 2, linear between powers: the same on every CPU."""
    part, power = np.frexp(value)
    return np.asarray(power + 2.0 * (part - 1.0))


def timeline(arrays: Arrays, rows: NDArray[np.intp], now_s: int) -> tuple[NDArray[np.int64], Numbers]:
    """The last readings of all buckets that are known, in order of time: (N, T) each, time -1 where there is none.

    Six hours in quarters, a day in hours, three days in six hours; a coarser ring only where the finer one does not reach.
    """
    times, values = [], []
    starts = [(now_s // width - buckets + 1) * width for width, buckets in windows.RINGS]
    for ring in reversed(range(len(windows.RINGS))):
        width, buckets = windows.RINGS[ring]
        ids = np.arange(now_s // width - buckets + 1, now_s // width + 1)
        at = rows[:, None], (windows.OFFSETS[ring] + ids % buckets)[None, :]
        time = arrays["w_last_t"][at].astype(np.int64)
        held = (time // width == ids) & (arrays["w_count"][at] > 0)
        if ring:
            held &= time < starts[ring - 1]
        times.append(np.where(held, time, -1))
        values.append(arrays["w_last"][at].astype(np.float64))
    return np.concatenate(times, axis=1), np.concatenate(values, axis=1)


def _at_lags(time: NDArray[np.int64], value: Numbers, newest: NDArray[np.int64], asked_s: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Values (N, A) at ``newest`` less ``asked_s`` (A,), linear in between and held at the oldest; how long ago that was, s (N,)."""
    held = time >= 0
    relative = np.where(held, time - newest[:, None], 0).astype(np.float64)
    oldest = relative.min(axis=1, initial=0.0)
    shift = _APART * np.arange(len(time))[:, None]
    wanted = np.maximum(-asked_s[None, :], oldest[:, None]) + shift
    if not held.any():
        return np.full(wanted.shape, np.nan), -oldest
    return np.interp(wanted.ravel(), (relative + shift)[held], value[held]).reshape(wanted.shape), -oldest


def past(arrays: Arrays, rows: NDArray[np.intp], now_s: int, scale: Scale) -> Past:
    """The recent course of the series ``rows`` (N; -1: none) as the windows have it at ``now_s``."""
    time, value = timeline(arrays, np.maximum(rows, 0), now_s)
    time[rows < 0] = -1
    held: NDArray[np.bool_] = np.asarray(time >= 0)
    here = np.arange(len(rows))
    spoke: NDArray[np.bool_] = np.asarray(held.any(axis=1))
    last = time.argmax(axis=1)
    newest, base = np.where(spoke, time[here, last], 0), np.where(spoke, value[here, last], 0.0)
    lagged, known_s = _at_lags(time, value, newest, _LAGS_S)
    rise = np.where(spoke[:, None], base[:, None] - lagged, 0.0)  # (N, A)
    day: NDArray[np.bool_] = np.asarray(held & (time >= newest[:, None] - 86_400))
    top_day, floor_day = _extremes(day, value, base)
    top, floor = _extremes(held, value, base)
    unit = np.maximum(np.maximum(top_day - floor_day, 0.3 * (top - floor)), scale.floor)
    before = np.where(held & (time < newest[:, None] - 600), time, -1).max(axis=1)
    gap_h = np.where(before > 0, np.minimum((newest - before) / 3600.0, 24.0), 24.0)
    position = np.clip((base - scale.lowest) / scale.span, -4.0, 4.0)
    change, known_h = rise / unit[:, None], known_s / 3600.0
    part = np.clip(rise[:, (0, 2, 4, 6, 8)] / scale.span[:, None], -3.0, 3.0)
    own = (
        change,
        np.stack((2.0 * change[:, 0] - change[:, 1], 2.0 * change[:, 2] - change[:, 4]), axis=1),
        np.stack((base - top_day, base - floor, base - top), axis=1) / unit[:, None],
        np.clip(log2(unit / scale.span), -7.0, 4.0)[:, None],
        position[:, None],
        np.stack((np.minimum(log2(known_h + 1.0), 7.0), log2(gap_h + 0.25)), axis=1),
        part[:, (0, 1, 2, 4)],
    )
    moves = np.concatenate((position[:, None], part, np.clip((base - top_day) / scale.span, -3.0, 0.0)[:, None]), axis=1)
    moves[~spoke] = np.nan
    points = np.count_nonzero(day, axis=1)
    daily = (np.count_nonzero(held, axis=1) >= 3) & (known_h >= 36.0)
    enough = spoke & ((points >= LEAST_POINTS) | daily) & (known_h >= LEAST_H)
    return Past(newest, np.where(spoke, base, np.nan), unit, np.concatenate(own, axis=1), moves, enough)


def _extremes(held: NDArray[np.bool_], value: Numbers, base: Numbers) -> tuple[Numbers, Numbers]:
    top = np.where(held, value, -np.inf).max(axis=1, initial=-np.inf)
    floor = np.where(held, value, np.inf).min(axis=1, initial=np.inf)
    return np.maximum(top, base), np.minimum(floor, base)


@dataclass(frozen=True, slots=True)
class Around:
    """Who is around each of Z zones: (Z, K) numbers of zones, -1 where there are fewer. Right upstream, all above, the nearest."""

    up: NDArray[np.signedinteger[Any]]
    above: NDArray[np.signedinteger[Any]]
    near: NDArray[np.signedinteger[Any]]

    def take(self, zones: NDArray[np.intp]) -> Around:
        return Around(self.up[zones], self.above[zones], self.near[zones])


def table(of: Past, around: Around, moves: NDArray[Any], told_s: NDArray[np.int64], now_s: int) -> Numbers:
    """The features (N, ``names``) of N zones: their own past, and what those ``around`` them did.

    ``moves`` (Z, 7) of all zones, of readings at ``told_s`` (Z,).
    """
    fresh = (told_s > now_s - STALE_S) & ~np.isnan(moves[:, 0])
    columns = [of.own]
    for group in GROUPS:
        members: NDArray[np.signedinteger[Any]] = getattr(around, group)
        there = (members >= 0) & fresh[members]
        some, number = there.any(axis=1), np.maximum(np.count_nonzero(there, axis=1), 1)
        said = np.where(there[:, :, None], moves[members].astype(np.float64), -np.inf)
        most = np.where(some[:, None], said.max(axis=1, initial=-np.inf), 0.0)
        most[~some, 0] = -1.0
        columns += [some[:, None].astype(np.float64), most]
        if group == "up":
            ahead = most[:, :1]
            continue
        total = np.cumsum(np.where(there[:, :, None], said, 0.0), axis=1)[:, -1] / number[:, None]  # one after the other
        columns += [total[:, _MEANS], np.where(some, total[:, 0], -1.0)[:, None]]
    position = of.own[:, (names_of_own()["position"],)]
    return np.concatenate([*columns, ahead - position], axis=1)


@functools.cache
def names_of_own() -> dict[str, int]:
    """Column of each of a gauge's own features."""
    return {name: place for place, name in enumerate(names()[:25])}


def toward(features: Numbers, need: Numbers, part: Numbers) -> Numbers:
    """What is known about a limit above the newest reading: (N, 6).

    ``need`` (N,) > 0: how far, in units of the recent range; ``part`` (N,): in spans of the limits.
    """
    at = names_of_own()
    least = np.maximum(need, 0.02)
    columns = [need, *(features[:, at[f"change_{lag}h"]] / least for lag in (3, 6, 1)), part, features[:, at["position"]] + part]
    return np.clip(np.stack(columns, axis=1), -50.0, 50.0)
