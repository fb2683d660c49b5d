"""Which faults anybody could see, and the drawing of them: decided on the clean record, before anything is judged.

- spike: it lies outside of both readings beside it, by half of its size at least.
- step, wrong unit: the water itself and its neighbours move by no more than half of it in the six hours before and after.
- drift: the water moves by no more than half of it while it lasts, its neighbours by no more than a quarter, and one of them is heard.
- attenuation: in its last 24 h the water and a neighbour rise by 0.3 and 0.4 m, and both had moved by 0.15 m in the two days before.
- all: no gap of more than three hours in the hours used, a day of readings before, nothing that the list of faults seen names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.rehearsal.qc_faults import FEWEST_BEFORE, HOUR, KINDS, Excerpt, Kind, Limits
from warning.rehearsal.qc_records import Records

GAP_S = 10_800
FEWEST = 6  # readings that say how the water moves
AFTER_H = 6
TRIES = 60  # for each fault wanted

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drawn:
    """``left_out``: drawn and made, but such that nobody could see them."""

    faults: list[Excerpt]
    left_out: int


def draw(kind: str, many: int, seed: int, records: Records, limits: Mapping[str, Limits]) -> Drawn:
    """``many`` faults of a kind, series drawn evenly, then the moment; fewer where the series do not have so many places."""
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    names = list(records.series)
    made, found, left_out = KINDS[kind], list[Excerpt](), 0
    for _ in range(TRIES * many):
        if len(found) == many:
            break
        number = int(random.integers(len(names)))
        time, value = records.series[names[number]]
        if len(time) < 2 * FEWEST_BEFORE:
            continue
        begin = int(random.integers(FEWEST_BEFORE, len(time) - 1))
        clean = _excerpt(number, time, value, begin, made, records.seen_on(names[number]))
        if clean is None:
            continue
        at = int(np.searchsorted(clean.time, time[begin]))
        faulty = made.draw(random, clean, at, limits[names[number]])
        if faulty is None or not faulty.show.any():
            continue
        if _observable(kind, faulty, records, names[number]):
            found.append(faulty)
        else:
            left_out += 1
    return Drawn(found, left_out)


def _excerpt(series: int, time: Ints, value: Floats, begin: int, kind: Kind, seen: Sequence[tuple[int, int]]) -> Excerpt | None:
    """The readings around number ``begin``; None where there are too few of them."""
    since, until = int(time[begin]) - kind.before_h * HOUR, int(time[begin]) + (kind.span_h + AFTER_H) * HOUR
    first, last = (int(place) for place in np.searchsorted(time, [since, until]))
    if begin - first < FEWEST_BEFORE or time[begin] - time[first] < 24 * HOUR or last - begin < FEWEST:
        return None
    if np.diff(time[first:last]).max() > GAP_S or time[last - 1] < time[begin] + kind.span_h * HOUR:
        return None
    if any(from_s <= time[last - 1] and to_s >= time[first] for from_s, to_s in seen):
        return None
    none = np.zeros(last - first, np.bool_)
    return Excerpt(series, time[first:last], value[first:last], time[first:last], none, none, int(time[begin]))


def _observable(kind: str, one: Excerpt, records: Records, name: str) -> bool:
    near = records.near.get(name, ())
    if kind == "spike":
        place = int(np.flatnonzero(one.show)[0])
        up, down = one.value[place] - one.value[place - 1], one.value[place] - one.value[place + 1]
        return bool(up * down > 0.0 and min(abs(up), abs(down)) >= one.size / 2)
    if kind in ("step", "wrong_unit"):
        around = (one.at - 6 * HOUR, one.at + 6 * HOUR)
        return all(not _range(records, other, *around) > one.size / 2 for other in (name, *near))
    end = one.at + KINDS[kind].span_h * HOUR
    if kind == "drift":
        theirs = [_range(records, other, one.at, end) for other in near]
        heard = [each for each in theirs if not np.isnan(each)]
        return bool(heard) and max(heard) <= one.size / 4 and _range(records, name, one.at, end) <= one.size / 2
    if kind == "attenuation":
        two_days = (one.at - 48 * HOUR, one.at)
        own = _rise(records, name, end - 24 * HOUR, end) > 0.3 and _range(records, name, *two_days) > 0.15
        return own and any(_rise(records, other, end - 24 * HOUR, end) > 0.4 and _range(records, other, *two_days) > 0.15 for other in near)
    return True


def _part(records: Records, name: str, since: int, until: int) -> Floats:
    time, value = records.series[name]
    return value[slice(*np.searchsorted(time, [since, until + 1]).tolist())]


def _range(records: Records, name: str, since: int, until: int) -> float:
    """NaN where it holds too little to say anything."""
    value = _part(records, name, since, until)
    return float(np.ptp(value)) if len(value) >= FEWEST else np.nan


def _rise(records: Records, name: str, since: int, until: int) -> float:
    """From the least to the greatest after it."""
    value = _part(records, name, since, until)
    return float((value - np.minimum.accumulate(value)).max()) if len(value) >= FEWEST else np.nan
