"""Does an engine say what the job says? Every change, of every series, in order, with the window it was decided by.

Tolerance: sums are added up in another order by each engine (by bucket, by reading), so a mean, and with it a score, may differ in its
last digits: 1e-9 is allowed, ten thousand times what was seen. Where the score itself is within 1e-9 of the limit (values have three
decimals, so some are exactly at it) either level is right. Counts, minima, maxima, last values and times are compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from job import HIGH, MINUTE_MS, SERIES, START_MS, Change, Scores, station

TOLERANCE = 1e-9
EXACT, NEAR = ("count", "min", "max", "last"), ("mean", "score")


@dataclass(frozen=True, slots=True)
class Comparison:
    """``changes``: those that were compared; ``faults``: what is wrong, in words; ``undecided``: readings whose score is at the limit."""

    changes: int
    faults: tuple[str, ...]
    undecided: int

    @property
    def same(self) -> bool:
        return not self.faults


def compare(changes: Iterable[Change], expected: Scores) -> Comparison:
    """``changes`` as they stand on the topic; those of minutes after the last of ``expected`` are not looked at."""
    minutes = len(expected.time_ms)
    column = {station(number): number for number in range(SERIES)}
    told = np.zeros(expected.score.shape, np.bool_)
    latest, above = [-1] * SERIES, [False] * SERIES
    faults: list[str] = []
    compared = 0
    for change in changes:
        minute, series = (change.time_ms - START_MS) // MINUTE_MS, column.get(change.station)
        if minute >= minutes:
            continue
        compared += 1
        if series is None or minute < 0 or expected.time_ms[minute, series] != change.time_ms:
            faults.append(f"{change.station} at {change.time_ms}: no such reading")
            continue
        if minute <= latest[series]:
            faults.append(f"{change.station} at {change.time_ms}: told twice or out of order")
            continue
        latest[series], above[series] = minute, not above[series]
        if (change.level == "HIGH") != above[series]:
            faults.append(f"{change.station} at {change.time_ms}: {change.level}, which it was")
        told[minute, series] = True
        faults += _differences(change, expected, minute, series)
    # The level that was told last, at each reading: it begins as NORMAL, and each record changes it.
    high = np.logical_xor.accumulate(told, axis=0)
    undecided = np.abs(expected.score - HIGH) <= TOLERANCE
    for minute, series in np.argwhere((high != (expected.score > HIGH)) & ~undecided).tolist():
        words = "HIGH" if high[minute, series] else "NORMAL"
        faults.append(f"{station(series)} at {expected.time_ms[minute, series]}: {words} with a score of {expected.score[minute, series]}")
    return Comparison(compared, tuple(faults), int(undecided.sum()))


def _differences(told: Change, expected: Scores, minute: int, series: int) -> list[str]:
    wanted = {name: getattr(expected, name)[minute, series] for name in (*EXACT, *NEAR)}
    wrong = [name for name in EXACT if getattr(told, name) != wanted[name]]
    wrong += [name for name in NEAR if not abs(getattr(told, name) - wanted[name]) <= TOLERANCE]
    found = [f"{told.station} at {told.time_ms}: {name} is {getattr(told, name)!r}, not {wanted[name]!r}" for name in wrong]
    if abs(told.score - HIGH) > TOLERANCE and (told.level == "HIGH") != (told.score > HIGH):
        found.append(f"{told.station} at {told.time_ms}: {told.level} with a score of {told.score}")
    return found
