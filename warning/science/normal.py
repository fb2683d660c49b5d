"""The transcendentals of decisions: the normal distribution, and the arc tangent.

NumPy's ``exp`` and ``power`` differ in the last bit between CPUs, so decisions take probabilities from a table of
``math.erf`` and are rounded to 0.001 before they are compared; the arc tangent is made of what IEEE 754 rounds correctly everywhere.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_REACH = 6.0  # beyond six standard deviations the probability is 0 or 1 to nine digits
_STEPS = 1200  # linear interpolation between steps of 0.01: error below 3.1e-6


@functools.cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    z = [-_REACH + 2 * _REACH * step / _STEPS for step in range(_STEPS + 1)]
    return np.array(z), np.array([0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in z])


def exceedance(median: NDArray[Any], sigma: NDArray[Any], limit: NDArray[Any]) -> NDArray[np.float64]:
    """Probability that a normal variable exceeds ``limit``, rounded to 0.001; NaN where median or limit is NaN.

    The three arrays broadcast; ``sigma`` > 0, in the unit of the other two.
    """
    return below((median - limit) / sigma)


def below(score: NDArray[Any]) -> NDArray[np.float64]:
    """Probability that a standard normal variable is below ``score``, rounded to 0.001; NaN of NaN. It never falls as the score rises: of
    many scores the greatest has the greatest."""
    z, probability = _table()
    return np.where(np.isnan(score), np.nan, np.round(np.interp(score, z, probability), 3))


def arctan(value: NDArray[Any]) -> NDArray[np.float64]:
    """Arc tangent in radians, of any real number; NaN of NaN. Error below 1e-15: halved twice, then Taylor's series to x^25."""
    x = np.asarray(value, np.float64)
    steep = np.abs(x) > 1.0
    x = np.where(steep, 1.0 / np.where(steep, x, 1.0), x)
    for _ in range(2):
        x = x / (1.0 + np.sqrt(1.0 + x * x))
    square, term, total = x * x, x, x
    for power in range(3, 27, 2):
        term = -term * square
        total = total + term / power
    angle = 4.0 * total
    return np.where(steep, np.copysign(0.5 * math.pi, x) - angle, angle)


def exponential(value: NDArray[Any]) -> NDArray[np.float64]:
    """e to the power of ``value``, |value| < 50: a 256th, Taylor's series to x^12, squared eight times. Relative error under 1e-12."""
    x = np.asarray(value, np.float64) / 256.0
    total = np.ones_like(x)
    for power in range(12, 0, -1):
        total = 1.0 + x * total / power
    for _ in range(8):
        total = total * total
    return total


_LOGIT_REACH = 10.0


@functools.cache
def _logistic_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    odds = [-_LOGIT_REACH + 2 * _LOGIT_REACH * step / 2000 for step in range(2001)]
    return np.array(odds), np.array([1.0 / (1.0 + math.exp(-value)) for value in odds])


def logistic(log_odds: NDArray[Any]) -> NDArray[np.float64]:
    """Probability for log-odds, rounded to 0.001; NaN stays NaN."""
    odds, probability = _logistic_table()
    return np.where(np.isnan(log_odds), np.nan, np.round(np.interp(log_odds, odds, probability), 3))
