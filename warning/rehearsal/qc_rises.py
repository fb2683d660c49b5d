"""Readings of true rises that do not count when they come: what quality control would cost a warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.rehearsal.qc_judged import Course, Judged
from warning.science import qc

LEAST = 0.3  # m: from a trough to the crest after it, no fall as great between them
AS_HIGH = 0.02  # m
HOUR = 3600

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rises:
    """``readings`` of true rises; those of them that did not count in the beat in which they came, by cause; and the longest time until
    the water was known to be as high, in hours."""

    readings: int
    waited: dict[str, int]
    longest_h: float


def of(value: Floats) -> Ints:
    """Places of the readings (n,) in m that stand higher than any since the trough of their rise, and from which the next one does not
    fall back by half of the way. A rise is one of ``LEAST`` m at least."""
    found: list[int] = []
    for trough, crest in _legs(value.tolist()):
        leg = value[trough : crest + 1]
        higher = np.flatnonzero(leg[1:] > np.maximum.accumulate(leg)[:-1]) + trough + 1
        higher = higher[higher + 1 < len(value)]
        found += higher[value[higher + 1] - value[trough] >= 0.5 * (value[higher] - value[trough])].tolist()
    return np.array(found, np.int64)


def _legs(value: Sequence[float]) -> list[tuple[int, int]]:
    """(trough, crest) of each rise."""
    found, trough, crest, rising = list[tuple[int, int]](), 0, 0, True
    for place, level in enumerate(value):
        if rising and level >= value[crest]:
            crest = place
        elif rising and value[crest] - level >= LEAST:
            if value[crest] - value[trough] >= LEAST:
                found.append((trough, crest))
            rising, trough = False, place
        elif rising and level < value[trough]:
            trough = crest = place
        elif not rising and level <= value[trough]:
            trough = place
        elif not rising and level - value[trough] >= LEAST:
            rising, crest = True, place
    return [*found, (trough, crest)] if rising and value and value[crest] - value[trough] >= LEAST else found


def waiting(courses: Sequence[Course], judged: Judged, faulty: NDArray[np.bool_], asked: Sequence[int]) -> Rises:
    """Of the courses numbered ``asked``; ``faulty``: per reading of all of them, what is none of the water's."""
    begins = np.append(0, np.cumsum([len(one.time) for one in courses]))
    readings, longest, waited = 0, 0.0, dict[str, int]()
    for number in asked:
        one, part = courses[number], slice(begins[number], begins[number + 1])
        came, counted, cause = judged.came[part], judged.counted[part], judged.cause[part]
        places = of(one.value)
        places = places[~faulty[part][places]]
        readings += len(places)
        for place in places[(counted[places] == 0) | (counted[places] > came[places])].tolist():
            name = qc.CAUSES[cause[place]].value
            waited[name] = waited.get(name, 0) + 1
            known = counted[place:][(one.value[place:] >= one.value[place] - AS_HIGH) & (counted[place:] > 0)]
            heard = int(known.min()) if len(known) else int(came[-1])
            longest = max(longest, (heard - int(came[place])) / HOUR)
    return Rises(readings, dict(sorted(waited.items())), longest)
