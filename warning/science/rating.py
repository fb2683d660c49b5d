"""Rating curves: discharge from stage, by table.

Between two points the logarithm of the discharge is linear in the stage (log-linear; rating tables as in WMO-No. 1044, Manual on Stream
Gauging, volume II, 2010). Above the table the last piece is carried on, because a record flood is when it matters most; below it the lowest
discharge stands. Both are said: ``outside_rating``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.science import normal

Floats = NDArray[np.float64]

INSIDE, BELOW, ABOVE, EXPIRED = range(4)
MOST_ABOVE = 0.5  # of the table's range of stages: further up nobody knows


@dataclass(frozen=True, slots=True)
class Curve:
    """One table. ``stage`` (P,) m rising, ``ln_discharge`` (P,) of m3/s; valid from ``from_s`` up to before ``to_s``."""

    from_s: int
    to_s: int
    stage: Floats
    ln_discharge: Floats

    @staticmethod
    def of(from_s: int, to_s: int | None, stages: tuple[float, ...], discharges: tuple[float, ...]) -> Curve:
        return Curve(from_s, 2**62 if to_s is None else to_s, np.array(stages), np.array([math.log(each) for each in discharges]))


def discharge(curves: tuple[Curve, ...], time_s: NDArray[np.int64], stage: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """(discharge in m3/s, INSIDE, BELOW, ABOVE or EXPIRED) of n stages of one station; ``curves`` by their first day, one at least.

    A time that no curve is valid for is judged by the newest that began before it, else by the first: EXPIRED. Further above the table than
    half of its range the discharge stays as it is there: at least so much.
    """
    begins = np.array([curve.from_s for curve in curves], np.int64)
    which = np.maximum(np.searchsorted(begins, time_s, side="right") - 1, 0)
    out, how = np.full(len(stage), np.nan), np.zeros(len(stage), np.int8)
    for number in np.unique(which).tolist():
        curve, mine = curves[number], which == number
        value, where = _on(curve, stage[mine])
        valid = (time_s[mine] >= curve.from_s) & (time_s[mine] < curve.to_s)
        out[mine], how[mine] = value, np.where(valid, where, EXPIRED)
    return out, how


def _on(curve: Curve, stage: Floats) -> tuple[Floats, NDArray[np.int8]]:
    x, y = curve.stage, curve.ln_discharge
    piece = np.clip(np.searchsorted(x, stage, side="right") - 1, 0, len(x) - 2)
    within = np.clip(stage, x[0], x[-1] + MOST_ABOVE * (x[-1] - x[0]))
    part = (within - x[piece]) / (x[piece + 1] - x[piece])
    value = normal.exponential(y[piece] + part * (y[piece + 1] - y[piece]))
    where = np.where(stage < x[0], BELOW, np.where(stage > x[-1], ABOVE, INSIDE)).astype(np.int8)
    return np.where(np.isnan(stage), np.nan, value), where
