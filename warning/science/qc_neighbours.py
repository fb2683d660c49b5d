"""What others say about a series: its twin sensor, its neighbours on the river, the rain above it, the season.

QARTOD's climatology, multi-variate, attenuated signal and neighbour tests. All are SUSPECT at most, and no flood is thrown away because it
is unusual, dry or alone: what a series shows over hours counts as far as it rises, and a single reading that its twin or the season
contradicts as soon as the next one confirms it. Neighbours are taken as they stood
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
FEWEST = 6  # rain gauges' readings in a day
# Ring, younger than so many buckets, not than so many, readings that say something about its range; before: 72 to 24 h.
STRETCHES = {"6h": (0, 24, 0, 6), "12h": (1, 12, 0, 4), "24h": (1, 24, 0, 6), "before": (2, 12, 4, 6)}
MOVED = 3.0  # times ``attenuated`` in the two days before: what stood still before has not been attenuated
LOST, LOST_SOON = 0.15, 0.1  # of the share in its neighbours' movement that it had, in a day and in twelve hours: less is attenuated ...
OFTEN, LOST_OFTEN = 18, 0.3  # ... and in both where so many readings in twelve hours say what its range is
FRESH = 3  # hours: in twelve hours without a newer reading that counts nothing more is said
STILL = 0.75  # of ``while_moving``: more is movement
WITH = 0.4  # of its own movement is a rise: it goes with them
CREEP_FROM, CREEP_OVER_H = 8, 16.0  # hours of the day with a reading, and from the first to the last
STEADY = 0.07  # of a day's creep: scatter about the line
SHARED, SHARED_WAY = 0.5, 0.25  # of a day's creep: a neighbour that swings by more, or goes so far the same way, shares it
GOES_ON = 0.4  # of a day's creep: went so far that way the day before, it is the flood or its tail
FALLS_BACK = 0.7  # of a day's fall: stood so far above the least of the two days before, it is the water that came and goes

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
    attenuated: Floats  # a range in 24 h below this is none; three times that in the two days before is one
    while_moving: Floats  # a neighbour's rise in 24 h
    alone: Floats  # a steady creep in 24 h that no neighbour shares
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
    parts = [_part(arrays, rows, ring, now_s) for ring in range(len(windows.RINGS))]
    seen = {name: _moves(parts[ring], *within) for name, (ring, *within) in STRETCHES.items()}
    at = np.searchsorted(rows, mine)
    own = _with_muted(arrays, mine, {name: seen[name].of(at) for name in ("12h", "24h")}, now_s)
    about = np.where(near >= 0, np.searchsorted(rows, np.maximum(near, 0)), -1)
    six = _of(seen["6h"].range, about)
    moved[asked] = np.fmax.reduce(six, axis=1, initial=np.nan)
    six_rise, rain = seen["6h"].rise[at], _rain(arrays, others.rain[mine], now_s)
    wants = {name: getattr(others, name)[mine] for name in ("attenuated", "while_moving", "alone", "rise", "dry_mm", "wet_mm")}
    choked = _attenuated(seen, own, at, about, wants["attenuated"], wants["while_moving"])
    creep = _creep(arrays, mine, seen, at, about, wants["alone"], now_s)
    for where, why, too_low in (
        ((six_rise > wants["rise"]) & (rain < wants["dry_mm"]) & ~(moved[asked] >= 0.25 * six_rise), Cause.RISE_WITHOUT_RAIN, False),
        (creep > 0, Cause.NEIGHBOUR, False),
        (creep < 0, Cause.NEIGHBOUR, True),
        ((rain > wants["wet_mm"]) & (own["24h"].range < wants["attenuated"]), Cause.RAIN_WITHOUT_RISE, True),
        (choked, Cause.ATTENUATED, True),
    ):
        cause[asked[where]], low[asked[where]] = _CODE[why], too_low
    return Suspicion(cause, low, moved)


@dataclass(frozen=True, slots=True)
class _Moves:
    """Per row: greatest less least in a stretch of time, newest less least, the newest; NaN where it holds too little to say so."""

    number: NDArray[np.int64]  # readings
    age: NDArray[np.int64]  # buckets since the newest
    range: Floats
    rise: Floats
    last: Floats

    def of(self, places: Index) -> _Moves:
        return _Moves(*(getattr(self, name)[places] for name in _Moves.__slots__))


def _part(arrays: Arrays, rows: Index, ring: int, now_s: int) -> Arrays:
    """The buckets of a ring, and how many buckets old each is; -1: empty."""
    (width, buckets), offset = windows.RINGS[ring], windows.OFFSETS[ring]
    part = {name: arrays[name][rows, offset : offset + buckets] for name in ("w_count", "w_min", "w_max", "w_last", "w_last_t")}
    age = now_s // width - (part["w_last_t"] // np.uint32(width)).astype(np.int64)
    return part | {"age": np.where(part["w_count"] > 0, age, -1)}


def _moves(part: Arrays, since: int, until: int, fewest: int) -> _Moves:
    held = (part["age"] >= until) & (part["age"] < since)
    number = np.where(held, part["w_count"], 0).sum(axis=1, dtype=np.int64)
    enough = number >= fewest
    newest = np.where(held, part["w_last_t"], 0).argmax(axis=1)
    least = np.where(held, part["w_min"], np.inf).min(axis=1).astype(np.float64)
    greatest = np.where(held, part["w_max"], -np.inf).max(axis=1).astype(np.float64)
    last = part["w_last"][np.arange(len(held)), newest].astype(np.float64)
    age = np.where(number > 0, part["age"][np.arange(len(held)), newest], since)
    return _Moves(number, age, *(np.where(enough, each, np.nan) for each in (greatest - least, last - least, last)))


def _with_muted(arrays: Arrays, rows: Index, moves: dict[str, _Moves], now_s: int) -> dict[str, _Moves]:
    """``moves`` of ``rows``, with what came since the last reading that counted: a series that was called too low moves on all the same,
    and of that the windows know nothing."""
    some = np.flatnonzero(arrays["seen_t"][rows] > arrays["last_t"][rows])
    if not len(some):
        return moves
    since = np.maximum(arrays["last_t"][rows[some]].astype(np.int64), now_s - 86_400)
    muted = arrays["raw_t"][rows[some]] > since[:, None]
    value = arrays["raw_v"][rows[some]].astype(np.float64)
    least, greatest = np.where(muted, value, np.inf).min(axis=1), np.where(muted, value, -np.inf).max(axis=1)
    last = arrays["seen_v"][rows[some]]
    for each in moves.values():
        low = each.last[some] - each.rise[some]
        lowest, highest = np.minimum(low, least), np.maximum(low + each.range[some], greatest)  # NaN where the window knows too little
        each.range[some], each.rise[some], each.last[some] = highest - lowest, last - lowest, last
    return moves


def _of(values: Floats, about: Index) -> Floats:
    """Of each neighbour (s, K); NaN where there is none."""
    return np.where(about >= 0, values[about], np.nan)


def _attenuated(
    seen: dict[str, _Moves], own: dict[str, _Moves], at: Index, about: Index, dead: Floats, moving: Floats
) -> NDArray[np.bool_]:
    """In a day or in twelve hours. A series that is not read often wants more for it: in a day no neighbour at its lowest, for then the
    wave has not come or is over; in twelve hours it is dead. ``own``: of these series, with what did not count."""
    often = own["12h"].number >= OFTEN
    own_before = seen["before"].range[at]

    def choked(stretch: str, lost: float) -> NDArray[np.bool_]:
        return _choked(own[stretch], own_before, seen[stretch], seen["before"], about, dead, moving, np.where(often, LOST_OFTEN, lost))

    soon = choked("12h", LOST_SOON) & (own["12h"].age <= FRESH)
    lowest = (_of(seen["24h"].rise, about) <= 0.0).any(axis=1)
    return np.asarray((choked("24h", LOST) & (often | ~lowest)) | (soon & (often | (own["12h"].range <= dead))))


def _choked(
    mine: _Moves, own_before: Floats, now: _Moves, before: _Moves, about: Index, dead: Floats, moving: Floats, lost: Floats
) -> NDArray[np.bool_]:
    """Every neighbour that rises now, and moved before with this one, has lost most of what they shared; and this one is dead, or still
    goes the way that they go: what falls while others rise has its own water."""
    own = mine.range
    theirs, theirs_before, rise = (_of(each, about) for each in (now.range, before.range, now.rise))
    least = MOVED * dead
    tells = (rise > moving[:, None]) & (rise > 0.5 * theirs) & (theirs_before > least[:, None]) & (own_before > least)[:, None]
    share = np.where(tells, own[:, None] * theirs_before / np.where(tells, theirs * own_before[:, None], 1.0), -1.0)
    most = share.max(axis=1, initial=-1.0)
    gone = (most >= 0.0) & (most < lost) & (own < STILL * moving) & ((own <= dead) | (mine.rise >= WITH * own))
    return np.asarray(gone, np.bool_)


def _creep(arrays: Arrays, rows: Index, seen: dict[str, _Moves], at: Index, about: Index, alone: Floats, now_s: int) -> NDArray[np.int8]:
    """1, -1: a steady line up or down through the hours of a day, by more than ``alone``, that no neighbour shares and that neither goes on
    from the day before nor falls back to where the water came from."""
    out = np.zeros(len(rows), np.int8)
    swings = np.fmax.reduce(_of(seen["24h"].range, about), axis=1, initial=np.nan)
    some = np.flatnonzero(~np.isnan(alone) & ~np.isnan(swings))
    if not len(some):
        return out
    slope, steady = _line(arrays, rows[some], now_s)
    day, way = np.abs(slope) * 24.0, np.sign(slope)
    found = steady & (day > alone[some]) & (swings[some] < SHARED * day)
    if not found.any():
        return out
    with_it = _of(seen["24h"].last, about[some]) - _of(seen["before"].last, about[some])
    shared = np.fmax.reduce(with_it * way[:, None], axis=1, initial=np.nan) >= SHARED_WAY * day
    yesterday, two_days = (_stood(arrays, rows[some], now_s, since) for since in (4, 8))
    found &= ~shared & ((yesterday - two_days) * way < GOES_ON * day)  # False where nobody knows
    found &= (slope > 0) | (seen["before"].rise[at[some]] < FALLS_BACK * day)
    out[some] = np.where(found, way, 0)
    return out


def _line(arrays: Arrays, rows: Index, now_s: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Through the last readings of the hours of a day, by least squares: slope per hour, and whether there are enough of them that keep to
    it."""
    (width, buckets), offset = windows.RINGS[1], windows.OFFSETS[1]
    time = arrays["w_last_t"][rows, offset : offset + buckets].astype(np.int64)
    held = (arrays["w_count"][rows, offset : offset + buckets] > 0) & (now_s // width - time // width < buckets)
    number = held.sum(axis=1)
    hour = np.where(held, (time - now_s) / 3600.0, 0.0)
    value = np.where(held, arrays["w_last"][rows, offset : offset + buckets].astype(np.float64), 0.0)
    by = np.maximum(number, 1)
    x = np.where(held, hour - (_sum(hour) / by)[:, None], 0.0)
    y = np.where(held, value - (_sum(value) / by)[:, None], 0.0)
    slope = _sum(x * y) / np.maximum(_sum(x * x), 1e-9)
    rest = np.sqrt(_sum((y - slope[:, None] * x) ** 2) / by)
    over = x.max(axis=1) - x.min(axis=1)
    return slope, (number >= CREEP_FROM) & (over >= CREEP_OVER_H) & (rest < STEADY * 24.0 * np.abs(slope))


def _stood(arrays: Arrays, rows: Index, now_s: int, since: int) -> Floats:
    """The last level of the six hours numbered ``since`` back from these, else of the six hours before; NaN where both are empty."""
    (width, buckets), offset = windows.RINGS[2], windows.OFFSETS[2]
    out = np.full(len(rows), np.nan)
    for back in (since + 1, since):
        number = now_s // width - back
        slot = offset + number % buckets
        held = (arrays["w_count"][rows, slot] > 0) & (arrays["w_last_t"][rows, slot] // width == number)
        out = np.where(held, arrays["w_last"][rows, slot].astype(np.float64), out)
    return out


def _sum(values: Floats) -> Floats:
    """Along the buckets, one after the other: the same on every CPU."""
    return np.cumsum(values, axis=1)[:, -1]


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
