"""The reasons of a hazard, as codes and numbers; ``alerts.message`` puts them into words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.alerts import exposed
from warning.model import Cause, Level, Reason
from warning.pipeline import derived
from warning.pipeline.plan import Plan
from warning.pipeline.state import State
from warning.region import Limits
from warning.science import forecast, hazard, likelihood, qc_manual
from warning.science.normal import exceedance
from warning.science.qc import CAUSES

Values = dict[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class Scored:
    """One zone's scores, taken out of the arrays. Times in s since 1970, 0: none; ranks as in ``Level``."""

    zone: int
    row: int  # the deciding series; -1: never spoke
    value: float
    observed_s: int
    silent: bool
    level: int
    confirmed: int
    cleared: int
    expected: int
    keep: int
    probability: float
    arrival_s: int
    slope: float  # per hour; NaN: no trend
    points: int
    wave_from: int  # upstream zone whose water decides; -1: none
    neighbour: int  # upstream zone that confirms a reading; -1: none
    twin: bool  # a second sensor confirms
    second: bool  # a second reading confirms
    median: NDArray[np.float64]  # of the forecast (L,), NaN where there is no evidence
    sigma: NDArray[np.float64]
    peak: tuple[float, int] | None  # highest of the median forecast, and its time in ms


def reasons(plan: Plan, state: State, one: Scored, now_s: int) -> tuple[Reason, ...]:
    """Why the zone is judged as it is, the most important first."""
    out = [*_observation(plan, state, one, now_s), *_expectation(plan, state, one, now_s)]
    exposure = plan.zones[one.zone].exposure
    if exposure is not None and max(one.level, one.confirmed, one.cleared, one.expected, one.keep) > 0:
        out.append(exposed.reason(exposure))
    return tuple(out)


def _observation(plan: Plan, state: State, one: Scored, now_s: int) -> list[Reason]:
    rows = [int(row) for row in plan.zone_series[one.zone] if row >= 0]
    out = _out_of_service(plan, state, rows, now_s)
    if one.row < 0:
        return [*out, Reason(code="never_spoke")]
    if one.silent:
        out.append(Reason(code="silent_since", values={"observed_ms": one.observed_s * 1000}))
    else:
        out.append(_reading(plan, one))
        if plan.derived is not None and plan.derived.place[one.zone] >= 0:
            out.append(derived.grounds(plan.derived, state.s, state.r, one.zone, one.row, plan.zone_series[one.zone]))
        if one.level > max(one.confirmed, 0):
            out.append(Reason(code="unconfirmed", values={"value": one.value, "level": Level.of_rank(one.level).value}))
        elif one.level > 0:
            out += _support(plan, one)
        if now_s - one.observed_s > plan.zone_silent_s[one.zone]:
            out.append(Reason(code="stale_reading", values={"age_h": round((now_s - one.observed_s) / 3600.0, 1)}))
    return out + [_suspect(plan, state, one, row) for row in rows if state.s["pending_t"][row]]


def _out_of_service(plan: Plan, state: State, rows: list[int], now_s: int) -> list[Reason]:
    out: list[Reason] = []
    for row in rows:
        manual = state.s["manual_n"][row] and any(begin <= now_s < end for begin, end in qc_manual.stretches(state.s, row))
        if state.s["out"][row] or manual:
            cause = Cause.INTERNAL if state.s["out"][row] else Cause.MANUAL
            out.append(Reason(code="out_of_service", values={"parameter": plan.series[row].parameter.value, "cause": cause.value}))
    return out


def _reading(plan: Plan, one: Scored) -> Reason:
    """The newest reading against the limit that it reached, or against the lowest one."""
    zone, observed_ms = plan.zones[one.zone], one.observed_s * 1000
    limit = _limit(plan, one.zone, one.level)
    if limit is None:
        return Reason(code="observed_below", values={"value": one.value, "limit": plan.lowest[one.zone], "observed_ms": observed_ms})
    made = plan.derived is not None and plan.derived.place[one.zone] >= 0
    values: Values = {
        "value": one.value,
        "limit": limit,
        "level": Level.of_rank(one.level).value,
        "parameter": zone.limits.quantity if made else plan.series[one.row].parameter.value,
        "observed_ms": observed_ms,
    }
    return Reason(code="observed_above", values=values | _authority(zone.limits))


def _suspect(plan: Plan, state: State, one: Scored, row: int) -> Reason:
    values: Values = {
        "cause": CAUSES[int(state.s["pending_cause"][row])].value,
        "value": float(state.s["pending_v"][row]),
        "observed_ms": int(state.s["pending_t"][row]) * 1000,
    }
    if plan.zones[one.zone].hazard != "flood":  # it is not the zone's quantity
        values["parameter"] = plan.series[row].parameter.value
    return Reason(code="suspect", values=values)


def _authority(limits: Limits) -> Values:
    """Whose limits they are, and which version of them."""
    return {"source": ", ".join(filter(None, (limits.source, limits.date))), "version": limits.version}


def _support(plan: Plan, one: Scored) -> list[Reason]:
    if one.second or one.twin:
        return [Reason(code="second_reading_confirms")]
    if one.neighbour >= 0:
        return [Reason(code="neighbour_confirms", values={"upstream": plan.zones[one.neighbour].id})]
    return []


def _expectation(plan: Plan, state: State, one: Scored, now_s: int) -> list[Reason]:
    out: list[Reason] = []
    if one.expected <= max(one.confirmed, 0):  # what is there needs no expectation
        return out
    values: Values = {
        "level": Level.of_rank(one.expected).value,
        "probability": round(one.probability, 3),
        "arrival_ms": one.arrival_s * 1000 if one.arrival_s else None,
        "limit": _limit(plan, one.zone, one.expected),
    }
    out.append(Reason(code="expected", values=values | _authority(plan.zones[one.zone].limits)))
    out.append(_likelihood(plan, one, now_s))
    if one.wave_from >= 0:
        out.append(_wave(plan, state, one, values["arrival_ms"]))
    elif not math.isnan(one.slope):
        horizon_h = plan.region.forecast.trend_horizon_s / 3600.0
        out.append(Reason(code="trend", values={"rate_per_h": round(one.slope, 4), "points": one.points, "horizon_h": horizon_h}))
    if one.peak is not None and one.peak[0] > (0.0 if math.isnan(one.value) else one.value):
        out.append(Reason(code="peak", values={"value": one.peak[0], "peak_ms": one.peak[1]}))
    return out


def _likelihood(plan: Plan, one: Scored, now_s: int) -> Reason:
    """How sure, in a word of a fixed scale, and between when and when the limit is reached in eight cases of ten."""
    values: Values = {"likelihood": likelihood.term(one.probability), "probability": round(one.probability, 3)}
    limit = _limit(plan, one.zone, one.expected)
    if limit is not None:
        chance = exceedance(one.median, one.sigma, np.array(limit))
        for name, lead, at_s in zip(("early", "late"), ("low", "high"), likelihood.span_s(chance, forecast.knots(now_s)), strict=True):
            if at_s:
                values |= {f"{name}_ms": at_s * 1000, f"lead_{lead}_h": round((at_s - now_s) / 3600.0, 1)}
    return Reason(code="likelihood", values=values)


def _wave(plan: Plan, state: State, one: Scored, arrival_ms: float | int | str | None) -> Reason:
    """Where the water was last measured on its way, and how long it takes from there."""
    low_s = high_s = 0
    zone, up = one.zone, one.wave_from
    while True:
        reach = next(reach for reach in plan.region.reaches_into[plan.zones[zone].id] if reach.upstream == plan.zones[up].id)
        low_s, high_s = low_s + (reach.travel_low_s or 0), high_s + (reach.travel_high_s or 0)
        further = int(state.z["source"][up]) - 1
        if state.z["observed_t"][up] or further < 0:
            break
        zone, up = up, further
    value = float(state.z["value"][up])
    place = np.array([up], np.intp)
    rank = int(hazard.rank(state.z["value"][place], plan.zone_limits[place], plan.resolution[place])[0])  # as last measured
    values: Values = {
        "upstream": plan.zones[up].id,
        "upstream_value": None if math.isnan(value) else value,
        "upstream_level": None if rank < 0 else Level.of_rank(rank).value,
        "travel_low_h": low_s / 3600.0,
        "travel_high_h": high_s / 3600.0,
        "arrival_ms": arrival_ms,
    }
    return Reason(code="wave", values=values)


def _limit(plan: Plan, zone: int, rank: int) -> float | None:
    return None if rank < 1 else plan.zones[zone].limits.values.get(Level.of_rank(rank))
