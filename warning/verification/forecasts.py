"""Forecasts with their spread against what came 3, 6, 12 and 24 h later: Brier score, CRPS, reliability, coverage.

A case is one forecast (one an hour and gauge at most) and the reading nearest to its lead, if there is one within half an hour. Where
the system said nothing but "as it is", that is its forecast: probability 0 or 1 of each class, the value without a spread (such a case
counts in the Brier score and the CRPS, not in the coverage).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.model import Level
from warning.science import verify_probability as probability
from warning.science.verify_probability import Bin
from warning.verification.observed import Track
from warning.verification.said import LEVELS, Said

LEADS_H = (3, 6, 12, 24)
NEAR_S = 1800


@dataclass(frozen=True, slots=True)
class Cases:
    """N cases of one zone at one lead. ``quantiles`` (N, 5); ``spread`` (N,): there was a forecast and not only "as it is"."""

    zone: str
    value: NDArray[np.float64]  # when it was issued
    observed: NDArray[np.float64]  # what came
    quantiles: NDArray[np.float64]
    spread: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Brier score of a class at a lead, and its skill against climatology (of the sample) and persistence."""

    cases: int
    happened: int
    brier: float
    skill_climatology: float
    skill_persistence: float
    table: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Forecasts:
    """By lead in hours: ``cases``, those ``with_spread``, their ``coverage`` by the 90 % interval. ``crps`` by (quantity, lead): ours, in
    m or m3/s, and its skill against persistence. ``classes`` by (class, lead); ``all``: classes together, each with its own climatology.
    """

    cases: Mapping[int, int]
    with_spread: Mapping[int, int]
    coverage: Mapping[int, float]
    crps: Mapping[tuple[str, int], tuple[float, float]]
    classes: Mapping[tuple[Level, int], ClassScore]
    all: Mapping[int, ClassScore]


def forecasts(
    quantities: Mapping[str, str], limits: Mapping[Level, Mapping[str, float]], tracks: Mapping[str, Track], said: Mapping[str, Said]
) -> Forecasts:
    """``quantities``: zone -> stage or discharge; ``limits``: class -> zone -> limit, SI."""
    cases: dict[int, int] = {}
    spread: dict[int, int] = {}
    coverage: dict[int, float] = {}
    crps: dict[tuple[str, int], tuple[float, float]] = {}
    classes: dict[tuple[Level, int], ClassScore] = {}
    together: dict[int, ClassScore] = {}
    for lead in LEADS_H:
        each = [found for zone in quantities if len((found := cases_of(zone, tracks[zone], said[zone], lead)).value)]
        cases[lead], spread[lead] = sum(len(one.value) for one in each), sum(int(one.spread.sum()) for one in each)
        coverage[lead] = _coverage(each)
        for quantity in sorted(set(quantities.values())):
            mine = [one for one in each if quantities[one.zone] == quantity]
            if mine:
                crps[quantity, lead] = _crps(mine)
        parts = {level: _chances(each, by_zone) for level, by_zone in limits.items()}
        parts = {level: part for level, part in parts.items() if len(part[1])}
        for level, part in parts.items():
            classes[level, lead] = _score(*part, probability.base_rate(part[1]))
        if parts:
            chance, happened, before = (np.concatenate(list(column)) for column in zip(*parts.values(), strict=True))
            climatology = np.concatenate([probability.base_rate(part[1]) for part in parts.values()])
            together[lead] = _score(chance, happened, before, climatology)
    return Forecasts(cases, spread, coverage, crps, classes, together)


def cases_of(zone: str, track: Track, said: Said, lead_h: float) -> Cases:
    """The zone's forecasts at one lead, each with the reading nearest to it; interpolated to that reading's own time."""
    at = np.array([issue.at_s for issue in said.issues], np.int64)
    target = at + round(lead_h * 3600)
    after = np.clip(np.searchsorted(track.time_s, target), 1, max(len(track.time_s) - 1, 1))
    if len(track.time_s) < 2 or not len(at):
        at, target, after = at[:0], target[:0], after[:0]
    nearer = target - track.time_s[after - 1] <= track.time_s[after] - target
    place = np.where(nearer, after - 1, after)
    kept = np.flatnonzero((np.abs(track.time_s[place] - target) <= NEAR_S) & (track.time_s[place] > at))
    quantiles, spread = np.zeros((len(kept), len(LEVELS))), np.zeros(len(kept), np.bool_)
    for row, number in enumerate(kept.tolist()):
        issue = said.issues[number]
        hours = (track.time_s[place[number]] - issue.at_s) / 3600.0
        quantiles[row] = issue.value
        if len(issue.lead_h) and hours <= issue.lead_h[-1]:
            found = [np.interp(hours, issue.lead_h, column) for column in issue.quantiles.T]
            if not np.isnan(found).any():
                quantiles[row], spread[row] = found, True
    value = np.array([said.issues[number].value for number in kept.tolist()], np.float64)
    return Cases(zone, value, track.value[place[kept]], quantiles, spread)


def _coverage(each: list[Cases]) -> float:
    if not each:
        return float("nan")
    low, high, observed = (np.concatenate([column(one)[one.spread] for one in each]) for column in (_low, _high, _observed))
    return probability.covered(low, high, observed)


def _low(one: Cases) -> NDArray[np.float64]:
    return np.asarray(one.quantiles[:, 0])


def _high(one: Cases) -> NDArray[np.float64]:
    return np.asarray(one.quantiles[:, -1])


def _observed(one: Cases) -> NDArray[np.float64]:
    return one.observed


def _crps(each: list[Cases]) -> tuple[float, float]:
    ours = np.concatenate([probability.crps_quantiles(np.array(LEVELS), one.quantiles, one.observed) for one in each])
    persistence = np.concatenate([np.abs(one.value - one.observed) for one in each])  # CRPS of a forecast without a spread
    worst = float(persistence.mean())
    return float(ours.mean()), 1.0 - float(ours.mean()) / worst if worst > 0.0 else float("nan")


def _chances(each: list[Cases], limits: Mapping[str, float]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Probability of being at or above the limit, whether it was, and what persistence says."""
    chance: list[NDArray[np.float64]] = [np.zeros(0)]
    happened: list[NDArray[np.bool_]] = [np.zeros(0, np.bool_)]
    before: list[NDArray[np.float64]] = [np.zeros(0)]
    for one in each:
        if one.zone not in limits:
            continue
        limit = np.full(len(one.value), limits[one.zone])
        said = probability.above(np.array(LEVELS), one.quantiles, limit)
        now = (one.value >= limit).astype(np.float64)
        chance.append(np.where(one.spread, said, now))
        happened.append(one.observed >= limit)
        before.append(now)
    return np.concatenate(chance), np.concatenate(happened), np.concatenate(before)


def _score(
    chance: NDArray[np.float64], happened: NDArray[np.bool_], before: NDArray[np.float64], climatology: NDArray[np.float64]
) -> ClassScore:
    return ClassScore(
        cases=len(happened),
        happened=int(happened.sum()),
        brier=probability.brier(chance, happened),
        skill_climatology=probability.brier_skill(chance, climatology, happened),
        skill_persistence=probability.brier_skill(chance, before, happened),
        table=tuple(probability.reliability(chance, happened)),
    )
