"""Discharge over time at the upstream end of reaches: readings, estimates, forecasts; asked for at any time, all reaches at once.

R reaches, r of them, L times of a forecast, Q times that are asked for; discharges in m3/s, times in s since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science.routing import HISTORY_S, Arrays

_BOUND_S = float(1 << 33)  # more than any two times are apart
_AT_ONCE = 4096  # reaches: what fits into a cache


class Curves:
    """Discharge over time at the upstream end of each of R reaches, piecewise linear; NaN where it is unknown.

    First the readings, then the estimates of the hours since (the wave was on its way, nobody measured it), else the newest
    reading held; from now on the forecast of that zone. A row of points each: a bound, the readings, the estimates, the two ends of
    what is held, the estimate made now, the forecast, a bound.
    """

    def __init__(
        self,
        arrays: Arrays,
        row: NDArray[np.intp],
        observed_s: NDArray[np.int64],
        value: NDArray[np.float64],
        hold_s: NDArray[np.int64],
        knot_s: NDArray[np.int64],
        asked: NDArray[np.float64],
        now_s: int,
        parts: Sequence[slice],
    ) -> None:
        """``row`` (R,): of the history; ``value`` was read at ``observed_s`` (0: never) and may be held for ``hold_s``.

        ``knot_s`` (R, L): the times of the zone's forecast; ``asked`` (R, Q): the times that are asked for, in s from now, NaN: not asked;
        ``parts``: the reaches that will be asked for together.
        """
        reaches, leads = knot_s.shape
        told = arrays["e_t"][row]
        ids = _needed(arrays, row, told, observed_s, now_s + int(np.nanmin(asked)), now_s)
        slot, slots = (ids % told.shape[1]).astype(np.intp), len(ids)
        at = row[:, None], slot[None, :]
        self._now_s, self._observed_s = now_s, observed_s
        self._never = observed_s == 0
        self._any_never = bool(self._never.any())
        self._readings, self._estimates = slice(1, slots + 1), slice(slots + 1, 2 * slots + 1)
        self._held, self._told_now = slice(2 * slots + 1, 2 * slots + 3), 2 * slots + 3
        self._knots = slice(2 * slots + 4, 2 * slots + 4 + leads)
        self._overwritten = slots + 1 + int((now_s // HISTORY_S - ids[0]) % told.shape[1])  # the slot that an estimate of now goes to
        self._time = np.empty((reaches, 2 * slots + 5 + leads))  # relative to now
        self._value = np.full(self._time.shape, np.nan)
        self._there = np.ones(self._time.shape, np.bool_)
        self._time[:, 0], self._time[:, -1], self._time[:, self._told_now] = -_BOUND_S, _BOUND_S, 0.0
        self._measured(arrays, at, told)
        known_to = self._carried_on(told, value, hold_s)
        self._time[:, self._knots] = knot_s - now_s
        self._ahead = self._time[:, self._knots] > known_to[:, None]
        self._ahead_of_now = self._time[:, self._knots] > 0
        # One line for the rows of a part, one after the other, with the bounds (NaN) between them; whole seconds, so nothing is rounded.
        shift = np.concatenate([np.arange(part.stop - part.start) % _AT_ONCE for part in parts])[:, None] * (2.0 * _BOUND_S)
        self._time += shift
        self._asked = asked + shift

    def _measured(self, arrays: Arrays, at: tuple[NDArray[np.intp], NDArray[np.intp]], told: NDArray[Any]) -> None:
        """The readings and, newer than the last of them, the estimates, of the histories' places ``at``."""
        seen, told_at = arrays["h_t"][at], told[:, at[1][0]]
        newest = self._observed_s[:, None]
        for part, times, values, held in (
            (self._readings, seen, "h_v", (seen > 0) & (seen <= newest)),
            (self._estimates, told_at, "e_v", told_at > newest),
        ):
            self._time[:, part] = times.astype(np.int64) - self._now_s
            self._value[:, part] = arrays[values][at]
            self._there[:, part] = held

    def _carried_on(self, told: NDArray[Any], value: NDArray[np.float64], hold_s: NDArray[np.int64]) -> NDArray[np.int64]:
        """The newest reading, held where nothing was estimated since. Returns until when that is known, s from now (R,)."""
        observed_s, now_s = self._observed_s, self._now_s
        end = np.minimum(observed_s + hold_s, now_s)
        self._holds = (observed_s > 0) & ~(told > observed_s[:, None]).any(axis=1)
        self._time[:, self._held] = (end - now_s)[:, None] + np.arange(2)
        self._value[:, self._held.start] = value
        self._value[:, self._held.start + 1] = np.where(end == now_s, value, np.nan)
        return np.where(self._holds, np.maximum(end + 1 - now_s, 0), 0)

    def expect(self, part: slice, median: NDArray[np.float64], told: NDArray[Any]) -> None:
        """Of the zones upstream of ``part`` of the reaches: their forecasts ``median`` (r, L), and what was ``told`` (r,) for now.

        NaN: nothing.
        """
        there, known, ahead = self._there[part], ~np.isnan(median), self._ahead[part]
        telling = ~np.isnan(told)
        if telling.any():
            telling &= self._now_s > self._observed_s[part]
            there[:, self._told_now] = telling
            there[:, self._overwritten] &= ~telling
            there[:, self._held] = (self._holds[part] & ~telling)[:, None]
            ahead = np.where(telling[:, None], self._ahead_of_now[part], ahead)
        else:
            there[:, self._told_now] = False
            there[:, self._held] = self._holds[part, None]
        np.logical_and(known, ahead, out=there[:, self._knots])
        values = self._value[part]
        values[:, self._told_now], values[:, self._knots] = told, median
        if self._any_never:  # neither a reading nor a forecast: what was estimated long ago says nothing
            there[self._never[part] & ~known.any(axis=1), 1:-1] = False

    def at(self, part: slice) -> NDArray[np.float64]:
        """The discharge at the times that were asked for (r, Q), of one of the parts."""
        if part.stop - part.start <= _AT_ONCE:
            return self._interpolated(part)
        blocks = (slice(start, min(start + _AT_ONCE, part.stop)) for start in range(part.start, part.stop, _AT_ONCE))
        return np.concatenate([self._interpolated(block) for block in blocks])

    def _interpolated(self, rows: slice) -> NDArray[np.float64]:
        there, asked = self._there[rows], self._asked[rows]
        times, values = self._time[rows][there], self._value[rows][there]
        if (times[1:] < times[:-1]).any():  # a clock that is ahead, a ring that was not written for long
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
        return np.asarray(np.interp(asked.ravel(), times, values)).reshape(asked.shape)


def _needed(
    arrays: Arrays, row: NDArray[np.intp], told: NDArray[Any], observed_s: NDArray[np.int64], oldest_s: int, now_s: int
) -> NDArray[np.int64]:
    """Which three hours of the histories to look at, oldest first: as far back as ``oldest_s`` needs."""
    most = told.shape[1]
    last = max(now_s, int(observed_s.max(initial=0))) // HISTORY_S
    slots = max(last - min(oldest_s, now_s) // HISTORY_S + 2, 2)
    if slots < most:
        ids = np.arange(last - slots + 1, last + 1)
        slot = (ids % most).astype(np.intp)
        seen, guessed, observed = arrays["h_t"][row[:, None], slot[None, :]], told[:, slot], observed_s[:, None]
        past, since = (seen > 0) & (seen <= observed), guessed > observed
        # A point at or before the oldest time, in its own turn of the ring: what is older does not count.
        reached = past & (seen <= oldest_s) & (seen // HISTORY_S == ids) | since & (guessed <= oldest_s) & (guessed // HISTORY_S == ids)
        short = np.flatnonzero(~reached.any(axis=1))
        if len(short):
            whole, observed = arrays["h_t"][row[short]], observed[short]
            points = np.count_nonzero((whole > 0) & (whole <= observed)) + np.count_nonzero(told[short] > observed)
            if points > np.count_nonzero(past[short]) + np.count_nonzero(since[short]):
                slots = most
    return np.arange(last - min(slots, most) + 1, last + 1)
