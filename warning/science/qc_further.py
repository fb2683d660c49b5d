"""The tests that only some series ask for, put together: by a series' own past, by others, by the season."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning.model import Cause
from warning.science.qc_activity import follow
from warning.science.qc_limits import More
from warning.science.qc_neighbours import per_reading, suspicion

Arrays = dict[str, NDArray[Any]]
_DATUM_SHIFT, _WRONG_UNIT = (tuple(Cause).index(cause) for cause in (Cause.DATUM_SHIFT, Cause.WRONG_UNIT))


@dataclass(slots=True)
class Further:
    """Per reading (n): what a spike departs by, too long a standstill, code of the softest doubt, does it show too little; does it wait
    until the next confirms it: this reading alone is in doubt. What a series shows over hours, its readings have confirmed."""

    usual: NDArray[np.float64]
    still: NDArray[np.bool_]
    soft: NDArray[np.int8]
    low: NDArray[np.bool_]
    waits: NDArray[np.bool_]
    series: NDArray[np.intp]
    fields: Arrays


def further(
    arrays: Arrays,
    more: More,
    row: NDArray[np.intp],
    time_s: NDArray[np.int64],
    value: NDArray[np.float64],
    series: NDArray[np.intp],
    start: NDArray[np.intp],
    end: NDArray[np.intp],
    now_s: int,
) -> Further:
    """The tests by a series' own past and by others, of the series that ask for them. A datum shift before what others say."""
    asked = np.flatnonzero(more.asked[series])
    count = end[asked] + 1 - start[asked]
    said = suspicion(arrays, more.others, series[asked], now_s)
    past = follow(arrays, more.activity, series[asked], start[asked], count, time_s, value, said.moved)
    soft, low = per_reading(arrays, more.others, row, time_s, value)
    waits = soft > 0
    for place, (cause, too_low) in enumerate(zip(said.cause.tolist(), said.low.tolist(), strict=True)):
        if cause:
            span = slice(int(start[asked[place]]), int(end[asked[place]]) + 1)
            soft[span], low[span] = cause, too_low
    shifted = past.shifted != 0
    soft[shifted], low[shifted] = np.where(past.unit, _WRONG_UNIT, _DATUM_SHIFT)[shifted], past.shifted[shifted] < 0
    waits[shifted] = past.unit[shifted] & ~low[shifted]
    return Further(past.spike, past.still, soft, low, waits, series[asked], past.fields)
