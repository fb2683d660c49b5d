"""Limits of quality control as arrays over series (S). NaN: the test is not made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.science.qc_activity import Activity
from warning.science.qc_neighbours import Others


@dataclass(frozen=True, slots=True)
class More:
    """Limits per series (S) of the tests by its own past, by others, and of the gap; NaN: not made."""

    asked: NDArray[np.bool_]
    gap_s: NDArray[np.float64]  # a reading so long after the one before it is judged without it
    activity: Activity
    others: Others


@dataclass(frozen=True, slots=True)
class SeriesLimits:
    """Limits per series (S); NaN: the test is not evaluated. Values in the series' SI unit, rates per hour, ``flat_after`` in s."""

    least: NDArray[np.float64]
    greatest: NDArray[np.float64]
    rise: NDArray[np.float64]
    fall: NDArray[np.float64]
    spike: NDArray[np.float64]
    flat_after: NDArray[np.float64]
    flat_within: NDArray[np.float64]
    more: More | None = None  # tests that cost something only where they are asked for
