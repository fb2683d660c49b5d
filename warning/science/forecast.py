"""Expected course of each zone's quantity at coming full hours, with its spread.

Three sources: water that is on its way (``routing``), the straight line through the last hours (the higher of the two, where
both speak), and persistence while the newest reading is fresh. Only the first two are evidence for a warning. Z zones, L times.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science import outlook, windows

KNOTS = 33


@functools.lru_cache(maxsize=16)
def knots(now_s: int) -> NDArray[np.int64]:
    """The times of a forecast issued at ``now_s``, s since 1970: now, 12 full hours, 12 steps of three hours, 8 of six.

    About four days. Full hours of the clock, not of the lead: the front of a wave stays between the same two while time
    passes, so its arrival does not drift.
    """
    out: NDArray[np.int64] = knots_of(np.array([now_s], np.int64))[0]
    out.flags.writeable = False  # shared by all that ask for the same time
    return out


def knots_of(now_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same for forecasts issued at n times: (n, L)."""
    now = now_s[:, None]
    hours = now // 3600 * 3600 + 3600 * np.arange(1, 13, dtype=np.int64)
    threes = hours[:, -1:] // 10_800 * 10_800 + 10_800 * np.arange(1, 13, dtype=np.int64)
    sixes = threes[:, -1:] // 21_600 * 21_600 + 21_600 * np.arange(1, 9, dtype=np.int64)
    return np.concatenate([now, hours, threes, sixes], axis=1)


@dataclass(frozen=True, slots=True)
class Trend:
    """Straight line per series: slope per hour, residual standard deviation, points used; NaN slope where there are too few."""

    slope: NDArray[np.float64]
    sigma: NDArray[np.float64]
    points: NDArray[np.int64]
    span_s: NDArray[np.int64]  # from the first to the last of them; the line is not carried on for longer than that


@dataclass(frozen=True, slots=True)
class Course:
    """(Z, L): median, standard deviation (both in the quantity's SI unit, NaN: unknown), and where it is evidence.

    ``trend`` (Z,) and ``wave`` (Z,): which evidence there is.
    """

    median: NDArray[np.float64]
    sigma: NDArray[np.float64]
    evidence: NDArray[np.bool_]
    trend: NDArray[np.bool_]
    wave: NDArray[np.bool_]
    own: NDArray[np.bool_] | None = None  # (Z, L) where the zone's own past leads, and not the water on its way


def trend(arrays: dict[str, NDArray[Any]], rows: NDArray[np.intp], now_s: int, window_s: int, least_points: int) -> Trend:
    """Least squares through the last reading of each quarter of an hour in the last ``window_s`` (at most 6 h)."""
    held, times, values = windows.recent(arrays, rows, now_s, min(window_s // 900, 24))
    newest = np.where(held, times, 0).max(axis=1)
    hours = np.where(held, (times - newest[:, None]) / 3600.0, 0.0)
    values = np.where(held, values, 0.0)
    if len(rows) <= windows.FEW:  # one after the other all the same, in fewer calls; 0.0: a sum of -0.0 is 0.0, as below
        terms = np.stack((held, hours, values, hours * hours, hours * values, values * values))
        n, st, sy, stt, sty, syy = terms.cumsum(axis=2)[:, :, -1] + 0.0
    else:
        n, st, sy, stt, sty, syy = np.zeros((6, len(rows)))
        for slot in range(held.shape[1]):  # one after the other: a fixed order of addition
            t, y = hours[:, slot], values[:, slot]
            n += held[:, slot]
            st += t
            sy += y
            stt += t * t
            sty += t * y
            syy += y * y
    spread = n * stt - st * st
    enough = (n >= least_points) & (spread > 0.0)
    slope = np.where(enough, (n * sty - st * sy) / np.where(enough, spread, 1.0), np.nan)
    centred_yy, centred_ty = syy - sy * sy / np.maximum(n, 1.0), sty - st * sy / np.maximum(n, 1.0)
    residual = np.maximum(centred_yy - slope * centred_ty, 0.0) / np.maximum(n - 2.0, 1.0)
    return Trend(slope, np.sqrt(residual), n.astype(np.int64), np.rint(-3600.0 * hours.min(axis=1)).astype(np.int64))


@dataclass(frozen=True, slots=True)
class Alone:
    """What Z zones expect without the water on its way (Z, L): persistence and its spread, the line and its spread, where that counts."""

    median: NDArray[np.float64]
    sigma: NDArray[np.float64]
    line: NDArray[np.float64]
    line_sigma: NDArray[np.float64]
    inside: NDArray[np.bool_]
    resolution: NDArray[np.float64]  # (Z,)

    def seen_by(self, of: outlook.Outlook) -> Alone:
        """The same with the trained model's fan in place of the straight line, where it speaks."""
        told = of.told[:, None]
        return Alone(
            self.median,
            self.sigma,
            np.where(told, of.median, self.line),
            np.where(told, of.sigma, self.line_sigma),
            np.where(told, of.inside, self.inside),
            self.resolution,
        )

    def with_water(self, zones: NDArray[np.intp] | slice, routed: NDArray[np.float64]) -> NDArray[np.float64]:
        """The median course of some of the zones, with what arrives there (NaN: nothing)."""
        line = self.line[zones]
        leads = self.inside[zones] & ~(routed >= line)  # the higher of the two, where both speak
        return np.where(leads, line, np.where(np.isnan(routed), self.median[zones], routed))

    def course(self, median: NDArray[np.float64], routed: NDArray[np.float64], routed_sigma: NDArray[np.float64]) -> Course:
        """``median``: of ``with_water``, of all zones."""
        wave = ~np.isnan(routed)
        leads = self.inside & ~(routed >= self.line)
        sigma = np.where(leads, self.line_sigma, np.where(wave, routed_sigma, self.sigma))
        sigma = np.maximum(sigma, self.resolution[:, None])
        return Course(median, sigma, wave | self.inside, np.asarray(self.inside.any(axis=1)), np.asarray(wave.any(axis=1)), leads)


def alone(
    base: NDArray[np.float64],
    observed_s: NDArray[np.int64],
    fresh_s: NDArray[np.int64],
    line: Trend,
    resolution: NDArray[np.float64],
    knot_s: NDArray[np.int64],
    horizon_s: int,
) -> Alone:
    """What each zone expects at the times ``knot_s`` from its newest reading ``base`` (NaN: none) at ``observed_s``.

    The reading is fresh for ``fresh_s``; a straight line is carried on for ``horizon_s``.
    """
    now_s = int(knot_s[0])
    ahead = knot_s[None, :] - observed_s[:, None]
    fresh = ~np.isnan(base) & (observed_s > 0)
    persistent = fresh[:, None] & (ahead <= fresh_s[:, None])
    median = np.where(persistent, base[:, None], np.nan)
    sigma = np.where(persistent, (0.02 * np.abs(base) + resolution)[:, None], np.nan)
    straight = fresh & ~np.isnan(line.slope) & (now_s - observed_s <= horizon_s)
    carried_s = np.minimum(line.span_s, horizon_s)[:, None]
    reached = np.minimum(ahead, carried_s) / 3600.0
    rise = np.where(straight, line.slope, 0.0)[:, None] * reached
    inside = straight[:, None] & (knot_s[None, :] <= now_s + carried_s)
    line_sigma = np.sqrt((line.sigma**2)[:, None] + (0.5 * rise) ** 2)
    return Alone(median, sigma, base[:, None] + rise, line_sigma, inside, resolution)
