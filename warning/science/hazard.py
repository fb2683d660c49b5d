"""From readings and forecast to classes: level now, level expected, probability, time of arrival.

Classes are int8 ranks as in ``model.Level`` (-1 UNKNOWN, 0 NORMAL, 1 LOW ... 5 EXCEPTIONAL). Limits are (Z, 5), NaN where a
class has none. Values are compared after rounding to the quantity's resolution (1 mm, 0.1 m3/s).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.science import outlook
from warning.science.forecast import Course
from warning.science.normal import below

CLASSES = 5
_ORDER = np.arange(1, CLASSES + 1)


def rank(value: NDArray[Any], limits: NDArray[np.float64], resolution: NDArray[np.float64]) -> NDArray[np.int8]:
    """Class of each value (..., Z) against its zone's limits; UNKNOWN (-1) for NaN."""
    scaled = np.rint(value / resolution)
    reached = scaled[..., None] >= np.rint(limits / resolution[:, None])
    top = np.where(reached, np.arange(1, CLASSES + 1), 0).max(axis=-1)
    return np.where(np.isnan(value), -1, top).astype(np.int8)


def confirmed(
    level: NDArray[np.int8],
    support: NDArray[np.int8],
    doubtful: NDArray[np.int8],
    other: NDArray[np.int8],
    at_once: NDArray[np.bool_],
    readings: int,
) -> NDArray[np.int8]:
    """The class that may be warned of (Z,).

    ``level``: class of the newest good reading; ``support``: the highest class that a second reading, a twin sensor or an upstream
    neighbour shows; ``doubtful``: class of a suspect reading that waits; ``other``: as ``support``, without the series' own second reading;
    ``at_once`` (6,): by rank, one good reading is enough; ``readings``: how many are needed otherwise (1 or 2).
    """
    single = np.where(at_once[None, :] & (np.arange(CLASSES + 1)[None, :] <= level[:, None]), np.arange(CLASSES + 1), 0).max(axis=1)
    enough = level if readings <= 1 else np.maximum(np.minimum(level, support), single)
    raised = np.maximum(enough, np.minimum(doubtful, other))
    return np.where((level < 0) & (raised <= 0), level, raised).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Expectation:
    """(Z,): expected class, the class that keeps an alert alive, the probability of the former, and when.

    ``arrival_s``: s since 1970, ``now`` where it should be there already and no reading shows it; 0: a reading shows it, or
    nothing is expected.
    """

    level: NDArray[np.int8]
    keep: NDArray[np.int8]
    probability: NDArray[np.float64]
    arrival_s: NDArray[np.int64]


def expected(
    course: Course,
    base: NDArray[np.float64],
    limits: NDArray[np.float64],
    resolution: NDArray[np.float64],
    knot_s: NDArray[np.int64],
    needed: float,
    keep: float,
    own: outlook.Own | None = None,
) -> Expectation:
    """The highest class whose limit is exceeded with probability ``needed`` at some time for which there is evidence.

    ``own``: of zones whose own past was judged by the trained model, which has its own rule; their ``course`` counts where a wave leads it.
    """
    if own is not None:
        course = dataclasses.replace(course, evidence=course.evidence & ~own.leads)
    found = _where_evident(course, base, limits, resolution, knot_s, needed, keep)
    if own is None or not own.told.any():
        return found
    level = np.where(own.share >= 1.0, _ORDER, 0).max(axis=1).astype(np.int8)
    lasting = np.where(own.share >= own.keep, _ORDER, 0).max(axis=1).astype(np.int8)
    here, chosen = np.arange(len(base)), np.maximum(level, 1) - 1
    there = np.rint(base / resolution) >= np.rint(limits[here, chosen] / resolution)
    mine = own.told & ((level > found.level) | ((level == found.level) & (own.chance[here, chosen] >= found.probability)))
    return Expectation(
        np.where(mine, level, found.level).astype(np.int8),
        np.maximum(lasting, found.keep),
        np.where(mine, own.chance[here, chosen], found.probability),
        np.where(mine, np.where((level == 0) | there, 0, np.maximum(own.arrival_s[here, chosen], knot_s[0])), found.arrival_s),
    )


def _where_evident(
    course: Course,
    base: NDArray[np.float64],
    limits: NDArray[np.float64],
    resolution: NDArray[np.float64],
    knot_s: NDArray[np.int64],
    needed: float,
    keep: float,
) -> Expectation:
    """Only zones with evidence are reckoned: of the others nothing is expected."""
    some = np.flatnonzero(course.evidence.any(axis=1))
    zones = len(base)
    if len(some) == zones or min(needed, keep) <= 0.0:  # needed 0: reached by what nobody knows
        return _by_course(course, base, limits, resolution, knot_s, needed, keep)
    nothing = np.zeros(zones, np.int8)
    out = Expectation(nothing, nothing.copy(), np.zeros(zones), np.zeros(zones, np.int64))
    if len(some):
        mine = dataclasses.replace(course, median=course.median[some], sigma=course.sigma[some], evidence=course.evidence[some])
        found = _by_course(mine, base[some], limits[some], resolution[some], knot_s, needed, keep)
        out.level[some], out.keep[some] = found.level, found.keep
        out.probability[some], out.arrival_s[some] = found.probability, found.arrival_s
    return out


def _by_course(
    course: Course,
    base: NDArray[np.float64],
    limits: NDArray[np.float64],
    resolution: NDArray[np.float64],
    knot_s: NDArray[np.int64],
    needed: float,
    keep: float,
) -> Expectation:
    zones = len(base)
    known: NDArray[np.bool_] = np.asarray(course.evidence.any(axis=0))
    end = len(known) - int(known[::-1].argmax()) if known.any() else 1  # later there is no evidence for any zone
    median = np.where(course.evidence, course.median, np.nan)[:, :end]
    score = (median[:, None, :] - limits[:, :, None]) / course.sigma[:, None, :end]  # (Z, 5, L)
    top = below(np.fmax.reduce(score, axis=2, initial=-np.inf))
    order = np.arange(1, CLASSES + 1)
    level = np.where(top >= needed, order, 0).max(axis=1).astype(np.int8)
    lasting = np.where(top >= keep, order, 0).max(axis=1).astype(np.int8)
    here = np.arange(zones)
    chosen = np.maximum(level, 1) - 1
    probability = np.where(level > 0, top[here, chosen], top[:, 0])
    curve = below(np.fmax(score[here, chosen], -np.inf))  # (Z, L); 0 where nothing is known
    hit = (curve >= needed).argmax(axis=1)
    before = np.maximum(hit - 1, 0)
    low, high = curve[here, before], curve[here, hit]
    part = np.clip((needed - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    arrival = knot_s[before] + (knot_s[hit] - knot_s[before]) * part
    minutes = np.maximum((arrival / 600.0).astype(np.int64) * 600, knot_s[0])  # to ten minutes: nobody knows it better
    there = (level == 0) | (np.rint(base / resolution) >= np.rint(limits[here, chosen] / resolution))
    return Expectation(level, lasting, probability, np.where(there, 0, minutes))
