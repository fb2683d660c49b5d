"""How long water takes from one gauge to the next, learnt from what both measured: peak by peak, and by how their rises correlate.

Two answers that know nothing of each other. Peak to peak: each rise upstream with the highest water after it downstream. Correlation: the
lag at which the increments of both series agree best (Box and Jenkins, 1976, chapter 11: the cross-correlation of differenced series). A
river that gets no water from its sides has one answer to both; where they differ widely, nobody should trust either.

Times are seconds since 1970, int64, rising; values any unit, NaN-free; both of shape (n,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]

LEAST_RISE = 0.10  # of the series' range: less is no rise
TOP = 0.02  # of the rise: as close to the highest value as this is the peak, which is taken in the middle of it
AGREE = 0.30  # correlation below this is no answer
WIDTH = 0.8  # of the best correlation: lags that agree nearly as well
MOST_STEPS = 20_000  # of the common axis of times


@dataclass(frozen=True, slots=True)
class Pair:
    """One rise that passed both gauges: the times of its peaks, s since 1970.

    ``upstream_within``, ``downstream_within``: the readings before and after; the water was highest somewhere between them.
    """

    upstream_s: int
    downstream_s: int
    upstream_within: tuple[int, int]
    downstream_within: tuple[int, int]

    @property
    def lag_s(self) -> int:
        return self.downstream_s - self.upstream_s

    @property
    def low_s(self) -> int:
        return max(self.downstream_within[0] - self.upstream_within[1], 0)

    @property
    def high_s(self) -> int:
        return self.downstream_within[1] - self.upstream_within[0]


@dataclass(frozen=True, slots=True)
class TravelTime:
    """What two series say. ``low_s`` .. ``high_s``: the span of the peaks' lags, as far as the readings around them leave open.

    ``correlated_low_s`` .. ``correlated_high_s``: lags that correlate nearly as well as the best. None: they do not say.
    ``correlation``: of the increments at ``correlated_s``; NaN: not found.
    """

    pairs: tuple[Pair, ...]
    lag_s: int | None  # median of the peaks' lags
    low_s: int | None
    high_s: int | None
    correlated_s: int | None
    correlation: float
    correlated_low_s: int | None
    correlated_high_s: int | None
    step_s: int  # the coarser spacing of the two: no lag is known better


def learn(up_s: Times, up: Values, down_s: Times, down: Values, most_s: int) -> TravelTime:
    """The travel time between two gauges, none longer than ``most_s``."""
    step = max(spacing_s(up_s), spacing_s(down_s))
    found = pairs(up_s, up, down_s, down, most_s)
    lags = sorted(pair.lag_s for pair in found)
    middle = (lags[(len(lags) - 1) // 2] + lags[len(lags) // 2]) // 2 if lags else None
    lag, best, low, high = _correlated(up_s, up, down_s, down, most_s, step)
    least, greatest = min((pair.low_s for pair in found), default=None), max((pair.high_s for pair in found), default=None)
    return TravelTime(found, middle, least, greatest, lag, best, low, high, step)


def columns(points: Sequence[tuple[int, float]]) -> tuple[Times, Values]:
    """(times, values) of points (s since 1970, value), which are in order of time."""
    return np.array([at for at, _ in points], np.int64), np.array([value for _, value in points], np.float64)


def spacing_s(times: Times) -> int:
    """The median spacing of the readings; 0 for fewer than two."""
    return int(np.median(np.diff(times))) if len(times) > 1 else 0


# --- peak to peak


def pairs(up_s: Times, up: Values, down_s: Times, down: Values, most_s: int) -> tuple[Pair, ...]:
    """Each peak upstream with the highest water downstream within ``most_s`` after it, if that had risen and fell again.

    Several peaks upstream that lead to one downstream are one wave: its highest counts.
    """
    if len(up_s) < 3 or len(down_s) < 3:
        return ()
    best: dict[int, tuple[float, Pair]] = {}
    least = LEAST_RISE * float(np.ptp(down))
    for up_top in _peaks(up_s, up, most_s):
        at, up_within = _middle(up_s, up, up_top)
        inside = np.flatnonzero((down_s >= up_within[0]) & (down_s <= at + most_s))
        if not len(inside):
            continue
        top = int(inside[int(down[inside].argmax())])
        rose = down[top] - down[(down_s >= at - most_s // 2) & (down_s <= down_s[top])].min()
        if least <= 0.0 or rose < least or down[top] - down[top:].min() < least / 2.0:
            continue  # it hardly rose, or it still rose at the end of what is known
        there, down_within = _middle(down_s, down, top)
        if down_within[1] > at and (top not in best or up[up_top] > best[top][0]):
            best[top] = float(up[up_top]), Pair(at, max(there, at), up_within, down_within)
    return tuple(pair for _, (_, pair) in sorted(best.items()))


def _peaks(times: Times, values: Values, apart_s: int) -> list[int]:
    """Where the highest values stand, ``apart_s`` / 2 from each other at least, that rose by ``LEAST_RISE`` of the range and fell again."""
    least = LEAST_RISE * float(np.ptp(values))
    free = np.ones(len(values), np.bool_)
    found: list[int] = []
    while least > 0.0 and free.any():
        top = int(np.where(free, values, -np.inf).argmax())
        near = np.abs(times - times[top]) <= apart_s // 2
        rose, fell = values[top] - values[near & (times <= times[top])].min(), values[top] - values[times >= times[top]].min()
        if values[top] >= values[near].max() and 0 < top < len(values) - 1 and rose >= least and fell >= least / 2.0:
            found.append(top)
        free &= ~near
    return sorted(found)


def _middle(times: Times, values: Values, top: int) -> tuple[int, tuple[int, int]]:
    """The middle of the stretch around ``top`` that is as high within ``TOP`` of the range, and the readings on both sides of it."""
    high = values >= values[top] - TOP * np.ptp(values)
    first = last = top
    while first > 0 and high[first - 1]:
        first -= 1
    while last < len(values) - 1 and high[last + 1]:
        last += 1
    within = int(times[max(first - 1, 0)]), int(times[min(last + 1, len(times) - 1)])
    return int((times[first] + times[last]) // 2), within


# --- correlation


def _correlated(
    up_s: Times, up: Values, down_s: Times, down: Values, most_s: int, step_s: int
) -> tuple[int | None, float, int | None, int | None]:
    """Lag of the best correlation of the increments on a common axis, that correlation, and the span of lags nearly as good."""
    nothing = None, float("nan"), None, None
    if step_s <= 0 or min(len(up_s), len(down_s)) < 10:
        return nothing
    step_s = max(step_s, 900)
    begin, end = max(int(up_s[0]), int(down_s[0])), min(int(up_s[-1]), int(down_s[-1]))
    axis = np.arange(begin, end + 1, max(step_s, (end - begin) // MOST_STEPS), dtype=np.int64)
    if len(axis) < 20:
        return nothing
    step = int(axis[1] - axis[0])
    increments = [np.diff(_smooth(np.interp(axis, times, values))) for times, values in ((up_s, up), (down_s, down))]
    for one in increments:
        one[one < 0.0] = 0.0  # rises: a fall is drawn out by the banks and the gates
    lags = range(min(most_s // step, len(axis) // 2) + 1)
    found = np.array([_correlation(increments[0][: len(increments[0]) - lag], increments[1][lag:]) for lag in lags])
    if not len(found) or np.isnan(found).all() or float(np.nanmax(found)) < AGREE:
        return nothing
    best = int(np.nanargmax(found))
    first = last = best
    while first > 0 and found[first - 1] >= WIDTH * found[best]:
        first -= 1
    while last < len(found) - 1 and found[last + 1] >= WIDTH * found[best]:
        last += 1
    return best * step, float(found[best]), first * step, last * step


def _smooth(values: Values) -> Values:
    """The mean of three neighbours: a reading that is late by one step must not look like another wave."""
    out: Values = np.convolve(np.pad(values, 1, mode="edge"), np.full(3, 1.0 / 3.0), mode="valid")
    return out


def _correlation(one: Values, other: Values) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0.0 else float("nan")
