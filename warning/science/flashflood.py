"""Flash flood guidance: how much rain makes a small stream flood, which falls as the ground gets wet.

The form of the U.S. National Weather Service (Carpenter et al., J. Hydrol. 224, 1999; Georgakakos, J. Hydrol. 317, 2006): the runoff that
just fills the stream, asked back through a model of the ground for the rain that makes it. The ground is the curve number of the U.S. Soil
Conservation Service (National Engineering Handbook 4, 1972), between its values for dry and wet ground by the antecedent precipitation
index. Depths in mm, n zones or stations, D durations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# Where ground counts as dry and as wet, in mm of antecedent rain: the lower limit of the handbook's dormant season and the upper limit of
# its growing season (its table 4.2, five days). Ours is the index of ``rainfall``, which forgets by a tenth a day instead of all at once.
DRY_MM, WET_MM = 12.7, 53.3


@dataclass(frozen=True, slots=True)
class Judged:
    """The highest ratio (n,), and of its duration: place among the durations, rain, threshold, how wet the ground was (0 to 1)."""

    ratio: Values  # NaN: no rain is known of any duration
    duration: NDArray[np.intp]
    rain: Values
    threshold: Values
    wetness: Values


def wetness(antecedent: Values) -> Values:
    """0 on dry ground (antecedent rain up to 12.7 mm), 1 on wet ground (from 53.3 mm), evenly between them; NaN counts as dry."""
    return np.asarray(np.clip((np.nan_to_num(antecedent) - DRY_MM) / (WET_MM - DRY_MM), 0.0, 1.0))


def curve_number(average: Values, wet: Values) -> Values:
    """The curve number on ground ``wet`` (0 dry, 0.5 average, 1 wet): Chow, Maidment, Mays, Applied Hydrology, 1988, eq. 5.5.5 and 6."""
    dry = 4.2 * average / (10.0 - 0.058 * average)
    soaked = 23.0 * average / (10.0 + 0.13 * average)
    below, above = dry + (average - dry) * 2.0 * wet, average + (soaked - average) * (2.0 * wet - 1.0)
    return np.where(wet <= 0.5, below, above)


def threshold(runoff: Values, number: Values) -> Values:
    """The rain in mm that makes ``runoff`` mm run off ground of that curve number: the SCS equation, solved for rain.

    runoff = (rain - 0.2 S)^2 / (rain + 0.8 S) with S = 25400 / CN - 254 mm.
    """
    held = 25_400.0 / number - 254.0
    return np.asarray(0.2 * held + 0.5 * (runoff + np.sqrt(runoff * runoff + 4.0 * runoff * held)))


def judge(rain: Values, index: Values, average: Values, runoff: Values) -> Judged:
    """The highest ratio of rain to its threshold.

    ``rain`` (n, D): what fell in the hours up to the newest reading, NaN where nothing is known; ``index`` (n,): antecedent precipitation
    index with that rain in it, which is taken out: the rain that is judged must not wet the ground before it falls
    (what fell before midnight UTC counts nine tenths in the index, so up to a tenth of it is taken out too much). ``average`` (n,): curve
    number; ``runoff`` (n, D): what just floods, NaN: that duration is not judged.
    """
    wet = wetness(index[:, None] - np.nan_to_num(rain))
    needed = threshold(runoff, curve_number(average[:, None], wet))
    ratio = np.where(np.isnan(rain / needed), -1.0, rain / needed)
    here, best = np.arange(len(ratio)), ratio.argmax(axis=1)
    found = ratio[here, best]
    return Judged(np.where(found < 0.0, np.nan, found), best, rain[here, best], needed[here, best], wet[here, best])
