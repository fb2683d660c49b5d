"""How sure a score is: the bootstrap by event, also of the difference between methods that were judged on the same events.

A unit is one event with what each method made of it, or one false alarm (of whichever methods raised one there within a day of each other).
Units are drawn with replacement (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 6 and 8); the intervals are
percentiles.
Events of one storm are not independent: the intervals are, if anything, too narrow. Chance comes from the caller's generator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.science.verify import WITHIN_S, Judged

DRAWS = 2000
AT_ONCE = 1_000_000  # of units drawn at a time


@dataclass(frozen=True, slots=True)
class Units:
    """U units of M methods: ``event`` (U,) True for an event, False for false alarms only; ``lead_s`` (M, U), -1: not warned;
    ``false`` (M, U): false alarms of each method in it."""

    event: NDArray[np.bool_]
    lead_s: NDArray[np.int64]
    false: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.event)


def units(methods: Sequence[Sequence[Judged]], near_s: int = WITHIN_S) -> Units:
    """``methods[m][k]``: what method m made of series k. The events of a series must be the same for all of them."""
    event, lead, false = [], [], []
    for judged in zip(*methods, strict=True):
        count = len(judged[0].event_s)
        if any(not np.array_equal(each.event_s, judged[0].event_s) for each in judged):
            raise ValueError("methods were judged on different events")
        alarms = np.concatenate([each.alert_s[each.false] for each in judged])
        whose = np.concatenate([np.full(int(np.count_nonzero(each.false)), m) for m, each in enumerate(judged)])
        order = np.argsort(alarms, kind="stable")
        group = np.cumsum(np.diff(alarms[order], prepend=alarms[order][:1]) > near_s) if len(alarms) else np.zeros(0, np.int64)
        groups = int(group[-1]) + 1 if len(group) else 0
        counted = np.zeros((len(methods), count + groups), np.int64)
        np.add.at(counted, (whose[order], count + group), 1)
        event.append(np.arange(count + groups) < count)
        lead.append(np.stack([np.concatenate((each.lead_s, np.full(groups, -1))) for each in judged]))
        false.append(counted)
    if not event:
        return Units(np.zeros(0, np.bool_), np.zeros((len(methods), 0), np.int64), np.zeros((len(methods), 0), np.int64))
    return Units(np.concatenate(event), np.concatenate(lead, axis=1), np.concatenate(false, axis=1))


def pooled(sets: Sequence[Units]) -> Units:
    """Several sets as one; all of the same methods."""
    return Units(
        np.concatenate([each.event for each in sets]),
        np.concatenate([each.lead_s for each in sets], axis=1),
        np.concatenate([each.false for each in sets], axis=1),
    )


def timely(sample: Units, method: int, lead_h: float) -> float:
    """Timely CSI of one method over the units; NaN without any."""
    found, false = float(np.count_nonzero(sample.lead_s[method] >= lead_h * 3600)), float(sample.false[method].sum())
    whole = float(np.count_nonzero(sample.event)) + false
    return found / whole if whole else float("nan")


def draws(sample: Units, lead_h: float, rng: np.random.Generator, times: int = DRAWS) -> NDArray[np.float64]:
    """Timely CSI of every method in ``times`` samples drawn with replacement: (M, times); NaN where a sample has nothing to judge."""
    size = len(sample)
    out = np.full((len(sample.lead_s), times), np.nan)
    if not size:
        return out
    hit = (sample.lead_s >= lead_h * 3600).astype(np.float64)
    step = max(1, AT_ONCE // size)
    for first in range(0, times, step):
        chosen = rng.integers(0, size, (min(step, times - first), size))
        events = np.count_nonzero(sample.event[chosen], axis=1)
        for method in range(len(out)):
            whole = events + sample.false[method][chosen].sum(axis=1)
            found = hit[method][chosen].sum(axis=1)
            out[method, first : first + step] = np.where(whole > 0, found / np.maximum(whole, 1), np.nan)
    return out


def interval(values: NDArray[np.float64], part: float = 0.95) -> tuple[float, float]:
    """The middle ``part`` of the values; NaN where there are none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (50 * (1 - part), 50 * (1 + part)))
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Difference:
    """Timely CSI of one method less that of another, with the interval; ``sure``: zero lies outside of it."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        return self.low > 0.0 or self.high < 0.0


def difference(
    sample: Units, one: int, other: int, lead_h: float, rng: np.random.Generator, times: int = DRAWS, part: float = 0.95
) -> Difference:
    """The paired bootstrap: both methods are judged on the same drawn units each time."""
    drawn = draws(sample, lead_h, rng, times)
    low, high = interval(drawn[one] - drawn[other], part)
    return Difference(timely(sample, one, lead_h) - timely(sample, other, lead_h), low, high)
