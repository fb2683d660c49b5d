"""Discharge from stage at gauges with a rating curve: what counts of the stage becomes readings of the station's discharge.

A discharge is judged as any other series is, after its stage. Outside of the table or its validity it is SUSPECT (``outside_rating``) and
counts all the same: its stage was good, and above a table is where a record flood is. Below it: not evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause, Parameter
from warning.pipeline.beat import Readings
from warning.region import Rating
from warning.science import qc, rating

Index = NDArray[np.intp]
_OUTSIDE = qc.CODE[Cause.OUTSIDE_RATING]


@dataclass(frozen=True, slots=True)
class Rated:
    """``to`` (S,): the row of the discharge that a row's stage makes; -1: none. ``curves``: stage's row -> its tables."""

    to: Index
    curves: Mapping[int, tuple[rating.Curve, ...]]

    @staticmethod
    def of(ratings: Sequence[Rating], row: Mapping[tuple[str, Parameter], int]) -> Rated | None:
        """None: no station of this partition has a curve, and nothing here costs anything."""
        curves: dict[int, list[rating.Curve]] = {}
        to = np.full(len(row), -1, np.intp)
        for one in sorted(ratings, key=lambda each: each.from_s):
            stage, discharge = row.get((one.station, Parameter.STAGE)), row.get((one.station, Parameter.DISCHARGE))
            if stage is not None and discharge is not None:
                to[stage] = discharge
                curves.setdefault(stage, []).append(rating.Curve.of(one.from_s, one.to_s, one.stages, one.discharges))
        return Rated(to, {stage: tuple(each) for stage, each in curves.items()}) if curves else None

    def touched(self, rows: NDArray[Any], zone_of_row: Index) -> Index:
        """The zones that stages of ``rows`` feed through a curve."""
        made = self.to[np.unique(rows)]
        zones = zone_of_row[made[made >= 0]]
        return np.unique(zones[zones >= 0])

    def discharges(self, found: qc.Examined, received_s: int) -> tuple[Readings, NDArray[np.int8]]:
        """Readings of discharge from what counts of the stages, revised ones too, and where in their curves they stand."""
        mine = np.flatnonzero(self.to[found.row] >= 0)
        revised = [(row, time, new) for row, time, _, new in found.revised if self.to[row] >= 0]
        stage_row = np.concatenate((found.row[mine], np.array([row for row, _, _ in revised], np.intp)))
        time_s = np.concatenate((found.time_s[mine], np.array([time for _, time, _ in revised], np.int64)))
        stage = np.concatenate((found.value[mine], np.array([new for _, _, new in revised], np.float64)))
        value, how = np.full(len(stage), np.nan), np.zeros(len(stage), np.int8)
        for row in np.unique(stage_row).tolist():
            some = stage_row == row
            value[some], how[some] = rating.discharge(self.curves[row], time_s[some], stage[some])
        n = len(stage)
        received = np.full(n, received_s * 1000, np.int64)
        return Readings(self.to[stage_row].astype(np.int32), time_s * 1000, value, received, np.zeros(n, np.bool_)), how


def say(found: qc.Examined, how: NDArray[np.int8]) -> dict[tuple[str, str], int]:
    """Marks what is outside of its curve; (flag, cause) -> number of the discharges that are not simply good."""
    sound = (found.flag == qc.GOOD) | ((found.flag == qc.NOT_EVALUATED) & (found.cause == qc.CODE[Cause.NONE]))
    beyond = sound & ((how == rating.ABOVE) | (how == rating.EXPIRED))
    below = sound & (how == rating.BELOW)
    found.flag[beyond], found.flag[below] = qc.SUSPECT, qc.NOT_EVALUATED
    found.cause[beyond | below] = _OUTSIDE
    counts: dict[tuple[str, str], int] = {}
    for flag, cause in zip(found.flag.tolist(), found.cause.tolist(), strict=True):
        if cause:
            key = qc.FLAGS[flag].value, qc.CAUSES[cause].value
            counts[key] = counts.get(key, 0) + 1
    return counts
