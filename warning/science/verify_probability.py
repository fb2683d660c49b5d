"""Scores of forecasts with their spread: Brier score and skill, CRPS, reliability, coverage.

Brier, Monthly Weather Review 78 (1950); skill and reliability: Wilks, Statistical Methods in the Atmospheric Sciences (3rd ed. 2011),
sections 8.4.2 and 8.4.4. CRPS: Hersbach, Weather and Forecasting 15 (2000); through quantiles: Gneiting and Raftery, Journal of the
American Statistical Association 102 (2007), section 6. Lower is better; skill: 1 perfect, 0 as good as the reference. N cases, Q quantiles.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def brier(probability: Floats, happened: NDArray[np.bool_]) -> float:
    """Mean of (probability - outcome)²; NaN without a case."""
    return float(np.mean((probability - happened) ** 2)) if len(probability) else float("nan")


def brier_skill(probability: Floats, reference: Floats, happened: NDArray[np.bool_]) -> float:
    """1 - Brier / Brier of the reference; NaN where the reference is perfect (nothing can be better) or there is no case."""
    worst = brier(reference, happened)
    return 1.0 - brier(probability, happened) / worst if worst > 0.0 else float("nan")


def base_rate(happened: NDArray[np.bool_]) -> Floats:
    """Climatology of the sample: the same probability for each case, how often it happened in all of them."""
    return np.full(len(happened), np.mean(happened) if len(happened) else np.nan)


def crps_quantiles(levels: Floats, quantiles: Floats, observed: Floats) -> Floats:
    """CRPS through quantiles (N, Q) at ``levels`` (Q,), rising, in (0, 1): twice the pinball loss, integrated over the level.

    Each level stands for the part of (0, 1) that is nearest to it, so that coarse and uneven levels are not weighted wrongly.
    """
    edges = np.concatenate(([0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]))
    miss = observed[:, None] - quantiles
    loss = np.where(miss >= 0.0, levels * miss, (levels - 1.0) * miss)
    return np.asarray(2.0 * (loss * np.diff(edges)).sum(axis=1))


def above(levels: Floats, quantiles: Floats, limit: Floats) -> Floats:
    """Probability (N,) that ``limit`` (N,) is reached or exceeded, by straight lines between the quantiles (N, Q).

    Beyond the outermost quantiles the line goes on through the last two, down to 0 and up to 1: what is left of the probability
    there has no other shape.
    """
    low = quantiles[:, :1] - levels[0] * (quantiles[:, 1:2] - quantiles[:, :1]) / (levels[1] - levels[0])
    high = quantiles[:, -1:] + (1.0 - levels[-1]) * (quantiles[:, -1:] - quantiles[:, -2:-1]) / (levels[-1] - levels[-2])
    values = np.maximum.accumulate(np.concatenate((low, quantiles, high), axis=1), axis=1)
    at = np.concatenate(([0.0], levels, [1.0]))
    place = np.clip((values < limit[:, None]).sum(axis=1), 1, len(at) - 1)
    here = np.arange(len(limit))
    before, after = values[here, place - 1], values[here, place]
    part = np.clip((limit - before) / np.where(after > before, after - before, 1.0), 0.0, 1.0)
    below = at[place - 1] + part * (at[place] - at[place - 1])
    inside = np.where(limit > values[:, -1], 0.0, 1.0 - below)
    return np.where(limit <= values[:, 0], 1.0, inside)


def covered(low: Floats, high: Floats, observed: Floats) -> float:
    """The part of the cases that came within [low, high]; NaN without a case."""
    return float(np.mean((observed >= low) & (observed <= high))) if len(observed) else float("nan")


@dataclass(frozen=True, slots=True)
class Bin:
    """One row of a reliability table: forecasts between ``low`` and ``high``; how many, their mean, and how often it happened."""

    low: float
    high: float
    cases: int
    forecast: float
    observed: float


def reliability(
    probability: Floats, happened: NDArray[np.bool_], edges: Sequence[float] = (0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1)
) -> list[Bin]:
    """Forecast probability against observed frequency, in bins [low, high), the last one closed; empty bins are left out."""
    table = []
    for low, high in itertools.pairwise(edges):
        inside = (probability >= low) & ((probability < high) | (high == edges[-1]))
        if inside.any():
            table.append(Bin(float(low), float(high), int(inside.sum()), float(probability[inside].mean()), float(happened[inside].mean())))
    return table
