"""What a warning is held against: methods that anybody has without a model. Each gives, per reading, the highest level that it speaks of.

``threshold``: what is there (persistence says the same). ``straight_line``: the newest reading carried on by the slope of the last hours.
Arrays of one series, (N,), in order of time; times in whole seconds, values in any unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 6 * 3600
POINTS = 3
AHEAD_H = (3, 6, 10)


def slope_per_hour(
    time_s: NDArray[np.int64], value: NDArray[np.float64], window_s: int = WINDOW_S, least_points: int = POINTS
) -> NDArray[np.float64]:
    """Least-squares slope through the readings of the ``window_s`` that end at each reading (it included); NaN where they are too few.

    Draper and Smith, Applied Regression Analysis (3rd ed. 1998), section 1.2; times are taken from the newest reading, which keeps the
    sums small however long the series is.
    """
    n, st, sy, stt, sty = np.zeros((5, len(time_s)))
    here = np.arange(len(time_s))
    for back in range(len(time_s)):  # as often as a window has readings
        there = here[back:] - back
        inside = time_s[back:] - time_s[there] <= window_s
        if not inside.any():
            break
        hours = np.where(inside, (time_s[there] - time_s[back:]) / 3600.0, 0.0)
        change = np.where(inside, value[there] - value[back:], 0.0)
        n[back:] += inside
        st[back:] += hours
        sy[back:] += change
        stt[back:] += hours * hours
        sty[back:] += hours * change
    spread = n * stt - st * st
    enough = (n >= least_points) & (spread > 0.0)
    return np.where(enough, (n * sty - st * sy) / np.where(enough, spread, 1.0), np.nan)


def straight_line(
    time_s: NDArray[np.int64], value: NDArray[np.float64], ahead_h: float, window_s: int = WINDOW_S, least_points: int = POINTS
) -> NDArray[np.float64]:
    """The higher of each reading and of where it stands ``ahead_h`` later if it goes on as in the last ``window_s``."""
    slope = slope_per_hour(time_s, value, window_s, least_points)
    return np.fmax(value, value + slope * ahead_h)
