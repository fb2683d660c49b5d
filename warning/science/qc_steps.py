"""What a step between two readings looks like: is it one out of calm water, and is it a change of unit. Readings around it in float32,
as the state keeps the past, so that a step looks the same whatever beat its past came in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOKS_BACK_S = 6 * 3600
FEWEST, MOST, SPAN_S = 3, 48, 7200  # readings of those hours that are asked, and between the first and the last of them
CALM = 0.5  # of the step: what the water moved in those hours ...
CALM_LAST = 0.2  # ... and from the last but one reading to the last
# What a value becomes when its unit is mistaken: feet and metres, centimetres, millimetres, cubic feet and cubic metres.
UNITS = np.array([0.3048, 1 / 0.3048, 0.3048**3, 1 / 0.3048**3, 100.0, 0.01, 1000.0, 0.001])
UNIT_WITHIN, UNIT_AT_MOST = 0.02, 0.1  # of the value: how well it fits; with what is usual from reading to reading

Arrays = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def calm_before(arrays: Arrays, row: int, time_s: NDArray[np.int64], value: Floats, at: int, start: int) -> bool:
    """Whether the series ``row`` was calm before reading ``at`` of this beat (its first is ``start``), measured by the step to it."""
    since = int(time_s[at]) - LOOKS_BACK_S
    times, values = time_s[start:at], value[start:at].astype(np.float32)
    if at - start < MOST:
        old_t, old_v = arrays["raw_t"][row].astype(np.int64), arrays["raw_v"][row]
        some = np.flatnonzero((old_t > since) & (old_t < int(time_s[start])))
        order = some[np.argsort(old_t[some], kind="stable")]
        times, values = np.concatenate((old_t[order], times)), np.concatenate((old_v[order], values))
    late = times > since
    times, recent = times[late][-MOST:], values[late][-MOST:].astype(np.float64)
    if len(recent) < FEWEST or times[-1] - times[0] < SPAN_S:
        return False
    step = abs(float(np.float32(value[at])) - recent[-1])
    return bool(np.ptp(recent) <= CALM * step and abs(recent[-1] - recent[-2]) <= CALM_LAST * step)


def other_unit(before: Floats, after: Floats, usual: Floats) -> Bools:
    """Whether ``after`` is ``before`` in another unit (n), as well as a series that changes by ``usual`` lets one say."""
    wanted = before[:, None] * UNITS
    size = np.abs(wanted)
    within = np.minimum(UNIT_WITHIN * size + usual[:, None] * UNITS, UNIT_AT_MOST * size)
    return np.asarray((np.abs(after[:, None] - wanted) <= within).any(axis=1))
