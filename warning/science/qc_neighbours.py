"""What others say about a series: its twin sensor, its neighbours on the river, the rain above it, the season.

QARTOD's climatology, multi-variate, attenuated signal and neighbour tests. All are SUSPECT at most, and a reading that departs upwards
counts as soon as the next one confirms it: no flood is thrown away because it is unusual, dry or alone. Neighbours are taken as they stood
at the tick before; where they have said nothing in the window, the test is not evaluated. S series, s of them asked about, n readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause
from warning.science import windows

TWIN_S = 3600  # twin sensors within an hour of each other see the same water
FEWEST = 6  # readings in a window that say something about its range
MOVED = 3.0  # times that range in 72 h: what stood still before has not been attenuated
ALONE = 0.1  # of the own range: who moves less does not move

Arrays = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
Index = NDArray[np.intp]
_CODE = {cause: number for number, cause in enumerate(Cause)}


@dataclass(frozen=True, slots=True)
class Others:
    """Per series (S). NaN, -1: not asked. SI units."""

    neighbours: Index  # (S, K) rows; -1 where there are fewer
    twin: Index  # row
    twin_within: Floats
    attenuated: Floats  # a range in 24 h below this is attenuated ...
    while_moving: Floats  # ... while a neighbour's is above this
    alone: Floats  # a range in 24 h above this, of which no neighbour shares a tenth
    rain: Index  # row of the rain that the series rises with
    rise: Floats  # a rise in 6 h above this ...
    dry_mm: Floats  # ... after less rain than this in 24 h
    wet_mm: Floats  # more rain than this in 24 h, and the range stays below ``attenuated``
    month_least: Floats | None  # (S, 12)
    month_greatest: Floats | None


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Per series asked about (s): code of the cause, 0 for none; does it show too little (else too much); move of its neighbours in 6 h."""

    cause: NDArray[np.int8]
    low: NDArray[np.bool_]
    moved: Floats  # NaN: no neighbour said anything


def suspicion(arrays: Arrays, others: Others, series: Index, now_s: int) -> Suspicion:
    """What the windows say, as they stood before this beat."""
    s, near = len(series), others.neighbours[series]
    cause, low = np.zeros(s, np.int8), np.zeros(s, np.bool_)
    asked = np.flatnonzero((near >= 0).any(axis=1) | (others.rain[series] >= 0))
    moved = np.full(s, np.nan)
    if not len(asked):
        return Suspicion(cause, low, moved)
    mine, near = series[asked], near[asked]
    rows = np.unique(np.concatenate((mine, near[near >= 0])))
    seen = {name: _window(arrays, rows, name, now_s) for name in ("6h", "24h", "72h")}
    six, day, three = (each["max"] - each["min"] for each in seen.values())
    at = np.searchsorted(rows, mine)
    about = np.where(near >= 0, np.searchsorted(rows, np.maximum(near, 0)), 0)
    day_near, six_near = (np.where(near >= 0, each[about], np.nan) for each in (day, six))
    most_day, most_six = (np.fmax.reduce(each, axis=1, initial=np.nan) for each in (day_near, six_near))
    rise = seen["6h"]["last"][at] - seen["6h"]["min"][at]
    rain = _rain(arrays, others.rain[mine], now_s)
    own = day[at]
    quiet = most_day < ALONE * own
    falls = seen["24h"]["last"][at] - seen["24h"]["min"][at] < 0.5 * own
    wants = {name: getattr(others, name)[mine] for name in ("attenuated", "while_moving", "alone", "rise", "dry_mm", "wet_mm")}
    for where, why, too_low in (
        ((rise > wants["rise"]) & (rain < wants["dry_mm"]) & ~(most_six >= 0.25 * rise), Cause.RISE_WITHOUT_RAIN, False),
        ((own > wants["alone"]) & quiet & ~falls, Cause.NEIGHBOUR, False),
        ((own > wants["alone"]) & quiet & falls, Cause.NEIGHBOUR, True),
        ((rain > wants["wet_mm"]) & (own < wants["attenuated"]), Cause.RAIN_WITHOUT_RISE, True),
        (
            (own < wants["attenuated"]) & (three[at] > MOVED * wants["attenuated"]) & (most_day > wants["while_moving"]),
            Cause.ATTENUATED,
            True,
        ),
    ):
        cause[asked[where]], low[asked[where]] = _CODE[why], too_low
    moved[asked] = most_six
    return Suspicion(cause, low, moved)


def _window(arrays: Arrays, rows: Index, name: str, now_s: int) -> Arrays:
    """Least, greatest and last of each of ``rows`` in a whole ring; NaN where it holds too little to say anything."""
    ring = windows.WINDOWS[name][0]
    (width, buckets), offset = windows.RINGS[ring], windows.OFFSETS[ring]
    part = {field: arrays[field][rows, offset : offset + buckets] for field in ("w_count", "w_min", "w_max", "w_last", "w_last_t")}
    held = (part["w_count"] > 0) & (part["w_last_t"] // width > now_s // width - buckets)
    enough = np.where(held, part["w_count"], 0).sum(axis=1, dtype=np.int64) >= FEWEST
    newest = np.where(held, part["w_last_t"], 0).argmax(axis=1)
    return {
        "min": np.where(enough, np.where(held, part["w_min"], np.inf).min(axis=1), np.nan),
        "max": np.where(enough, np.where(held, part["w_max"], -np.inf).max(axis=1), np.nan),
        "last": np.where(enough, part["w_last"][np.arange(len(rows)), newest].astype(np.float64), np.nan),
    }


def _rain(arrays: Arrays, rows: Index, now_s: int) -> Floats:
    """mm in 24 h; NaN where no gauge is asked or it said nothing."""
    if not (rows >= 0).any():
        return np.full(len(rows), np.nan)
    day = windows.features(arrays, np.maximum(rows, 0), now_s)["24h"]
    return np.where((rows >= 0) & (day["count"] >= FEWEST), day["mean"] * day["count"], np.nan)


def per_reading(
    arrays: Arrays, others: Others, row: Index, time_s: NDArray[np.int64], value: Floats
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """Twin and season: (code of the cause, too low) of n readings."""
    cause, low = np.zeros(len(row), np.int8), np.zeros(len(row), np.bool_)
    if others.month_least is not None and others.month_greatest is not None:
        month = time_s.astype("M8[s]").astype("M8[M]").astype(np.int64) % 12
        below, above = value < others.month_least[row, month], value > others.month_greatest[row, month]
        cause[below | above], low[below] = _CODE[Cause.CLIMATOLOGY], True
    twin = others.twin[row]
    if (twin >= 0).any():
        known = (twin >= 0) & (np.abs(time_s - arrays["last_t"][twin].astype(np.int64)) <= TWIN_S)
        apart = value - arrays["last_v"][twin]
        differs = known & (np.abs(apart) > others.twin_within[row])
        cause[differs], low[differs] = _CODE[Cause.NEIGHBOUR], apart[differs] < 0
    return cause, low
