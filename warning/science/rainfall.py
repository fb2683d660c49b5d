"""Rain of a series up to its newest reading: accumulations over 1 to 72 h, daily sums, and the antecedent precipitation index.

A rain reading is an increment: the mm that fell since the series' reading before it; its time is the end of that interval. What a sender
counts otherwise (a total since a reset, tips of a bucket) is made into increments before quality control (``rain_counters``), so here
all rain is the same, of a gauge or of a grid.

Accumulations end at the series' newest reading, not at ``now``: a satellite's grid is hours old when it comes, and the hours since
nobody knows. Whoever decides looks at its age (``newest``). They come from the rings of ``windows``; the antecedent index from sums per
day, which late and revised readings correct like any other. S series, R of them rain, n readings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science.windows import OFFSETS, RINGS

Arrays = dict[str, NDArray[Any]]
Index = NDArray[np.intp]

HOURS = (1, 3, 6, 24, 72)  # what is accumulated
DAY_S = 86_400
DAYS = 32
DECAY = 0.9  # of the antecedent index, a day
_RING = {1: 0, 3: 0, 6: 0, 24: 1, 72: 2}  # hours -> which ring holds so much

FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "d_mm": ("f8", (DAYS,)),  # of the day, a day being UTC and its end its own: 00:00 is the end of the day before
    "d_day": ("u4", ()),  # newest day in it; 0: none
}


def newest(arrays: Arrays, rows: Index) -> NDArray[np.int64]:
    """When the newest reading that counts was (end of its interval, s since 1970), of each of ``rows``; 0: there is none."""
    count, time_s = (arrays[name][rows, : RINGS[0][1]] for name in ("w_count", "w_last_t"))
    return np.asarray(np.where(count > 0, time_s.astype(np.int64), 0).max(axis=1, initial=0))


def accumulations(arrays: Arrays, rows: Index, now_s: int | NDArray[np.int64]) -> dict[int, NDArray[np.float64]]:
    """Hours -> mm that fell in the hours up to the newest reading, of each of ``rows``. NaN: no reading in them.

    ``arrays``: the fields of ``windows`` (S, slots). 1 and 3 h are exact for readings on full quarters. Of a bucket that the window begins
    in, the part inside counts as if its readings were evenly spaced. The rings have no bucket to spare for 6, 24 and 72 h: what fell in
    the part of a bucket (15 min, 1 h, 6 h) before the oldest full one is missed, at most 4, 4 and 8 % of the window. A series that reports
    less often than a window is long has its last reading in it whole, however long that took to fall.
    """
    until = np.minimum(newest(arrays, rows), now_s)
    out = {}
    for hours in HOURS:
        ring = _RING[hours]
        width, slots = RINGS[ring]
        part = {name: arrays[name][rows, OFFSETS[ring] : OFFSETS[ring] + slots] for name in ("w_count", "w_min", "w_over", "w_last_t")}
        after = (until - hours * 3600)[:, None]
        out[hours] = _sum(part, width, after, until[:, None])
    return out


def _sum(part: Arrays, width: int, after: NDArray[np.int64], until: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of buckets (rows, B): what fell in ``after`` < time <= ``until``."""
    last = part["w_last_t"].astype(np.int64)
    held = (part["w_count"] > 0) & (last > after) & (last // width <= until // width)
    total = part["w_over"] + part["w_count"] * part["w_min"].astype(np.float64)
    begins = last // width * width
    inside = np.where((begins > after) | (part["w_count"] == 1), 1.0, np.minimum((last - after) / width, 1.0))
    mm = np.cumsum(np.where(held, total * inside, 0.0), axis=1)[:, -1]  # one after the other
    return np.where(held.any(axis=1), np.maximum(mm, 0.0), np.nan)


def remember(arrays: Arrays, row: Index, time_s: NDArray[np.int64], mm: NDArray[np.float64]) -> list[tuple[str, Any, NDArray[Any]]]:
    """What to assign, (field, index, values), so that n readings, sorted by (row, time), are in the sums of their days.

    ``row``: of ``arrays`` (R). ``mm`` below zero takes away (a revision, a spike). Days that the ring holds no more are left out.
    """
    if not len(row):
        return []
    day = (time_s - 1) // DAY_S
    end = np.append(np.flatnonzero(row[1:] != row[:-1]), len(row) - 1)
    series = row[end]
    was = arrays["d_day"][series].astype(np.int64)
    now = np.maximum(was, day[end])
    table = arrays["d_mm"][series]
    days = now[:, None] - (now[:, None] - np.arange(DAYS)) % DAYS  # which day each slot now holds
    table[(days > was[:, None]) & (was[:, None] < now[:, None])] = 0.0
    of = np.cumsum(np.append(False, row[1:] != row[:-1]))
    kept = day > now[of] - DAYS
    np.add.at(table, (of[kept], (day[kept] % DAYS).astype(np.intp)), mm[kept])  # in the order of the readings
    return [("d_mm", series, np.maximum(table, 0.0)), ("d_day", series, now.astype(np.uint32))]


def api(arrays: Arrays, rows: Index, now_s: int | NDArray[np.int64], decay: float = DECAY) -> NDArray[np.float64]:
    """Antecedent precipitation index in mm of each of ``rows`` (of R): the 32 days up to ``now_s`` (one for all, or each its own).

    API_t = decay * API_{t-1} + P_t, with P_t the rain of day t: Kohler and Linsley, Predicting the runoff from storm rainfall, U.S.
    Weather Bureau Research Paper 34, 1951, who give 0.85 to 0.98. What fell before the 32 days would weigh at most 0.9^32 = 3 %.
    A series that never spoke has 0: whoever needs to know asks ``newest``.
    """
    today = np.asarray(now_s) // DAY_S
    here = np.arange(len(rows))
    mm, day = arrays["d_mm"][rows], arrays["d_day"][rows].astype(np.int64)
    total = np.zeros(len(rows))
    for ago in range(DAYS - 1, -1, -1):
        number = today - ago
        known = (number <= day) & (number > day - DAYS)
        total = total * decay + np.where(known, mm[here, number % DAYS], 0.0)
    return total
