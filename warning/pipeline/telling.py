"""What zones have to tell: hazards, built from the columns of all of them, and put into JSON without a noun in between.

Most zones are quiet most of the time, and all of them are told of every ten minutes: that is the larger part of what a zone costs. So a
hazard is a row of plain values with the fields of ``model.Hazard``; the noun is made for whoever asks for it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from warning.alerts.message import words
from warning.model import Level, Reason
from warning.pipeline.beat import Row
from warning.pipeline.plan import Index, Plan
from warning.pipeline.reasons import reasons
from warning.pipeline.score import Scores
from warning.pipeline.state import State
from warning.science import windows
from warning.science.forecast import KNOTS, Course, knots

# As ``beat.Row``: fields in the order of the nouns, to JSON as they are.
_Window: Any = msgspec.defstruct("_Window", [(name, Any) for name in ("count", "min", "max", "mean", "last", "rate")], gc=False)
_NAMES = {f"w{name}": name for name in windows.WINDOWS}
_Windows: Any = msgspec.defstruct("_Windows", [(name, Any) for name in _NAMES], rename=_NAMES, gc=False)
_Course: Any = msgspec.defstruct("_Course", [(name, Any) for name in ("issued_ms", "lead_h", "median", "sigma")], gc=False)
_Below: Any = msgspec.defstruct("_Below", [(name, Any) for name in ("value", "limit", "observed_ms")], gc=False)
_Reason: Any = msgspec.defstruct("_Reason", [(name, Any) for name in ("code", "values")], gc=False)

_TOLD = np.array([*range(7), 8, 10, 12, *range(14, 25, 2), *range(25, KNOTS)])  # knots that are told: hours, then two and six apart

_encode = msgspec.json.Encoder().encode
_NOTHING = msgspec.Raw(b"{}")
_LEVELS = [Level.of_rank(rank).value for rank in range(-1, 6)]


def rows(plan: Plan, state: State, scores: Scores, wanted: NDArray[np.intp], now_s: int) -> list[Any]:
    """The hazards of the zones at the places ``wanted`` of ``scores``."""
    if not len(wanted):
        return []
    seen, expectation, zones = scores.observed, scores.expectation, scores.zone[wanted]
    nouns = [plan.zones[zone] for zone in zones.tolist()]
    row, value, observed_s, silent = seen.row[wanted], seen.value[wanted], seen.time_s[wanted], seen.silent[wanted]
    values = [None if math.isnan(each) else each for each in value.tolist()]
    observed_ms = _milliseconds(observed_s)
    why, english = _grounds(plan, state, scores, wanted, values, observed_ms, now_s)
    peak_ms = _milliseconds(scores.peak_s[wanted])
    peak = [None if at is None else round(each, 3) for each, at in zip(scores.peak[wanted].tolist(), peak_ms, strict=True)]
    levels = (seen.level, seen.confirmed, seen.cleared, expectation.level, expectation.keep)
    region = plan.region
    columns: tuple[Iterable[Any], ...] = (
        itertools.repeat(region.id),
        [noun.id for noun in nouns],
        itertools.repeat(now_s * 1000),
        [noun.limits.quantity for noun in nouns],
        values,
        observed_ms,
        *([_LEVELS[rank] for rank in (level[wanted] + 1).tolist()] for level in levels),
        expectation.probability[wanted].tolist(),  # a thousandth already
        _milliseconds(expectation.arrival_s[wanted]),
        _milliseconds(np.where(silent, observed_s, 0)),
        peak,
        peak_ms,
        why,
        english,
        _upstream(plan, scores, wanted),
        _forecasts(scores.course, wanted, now_s),
        _windows(state, row, now_s),
        itertools.repeat(region.digest),
        itertools.repeat(-1),
    )
    return list(map(Row, *columns))


def _grounds(
    plan: Plan, state: State, scores: Scores, wanted: NDArray[np.intp], values: list[Any], observed_ms: list[Any], now_s: int
) -> tuple[list[Any], list[Any]]:
    """The reasons of each, and their words; none where a good reading below all limits is all there is to say."""
    quiet = _quiet(plan, state, scores, wanted, now_s)
    zones = scores.zone[wanted]
    below = map(_Below, values, [plan.lowest[zone] for zone in zones.tolist()], observed_ms)
    why: list[Any] = [(reason,) for reason in map(_Reason, itertools.repeat("observed_below"), below)]
    english: list[Any] = [()] * len(wanted)
    for place in np.flatnonzero(~quiet).tolist():
        found: tuple[Reason, ...] = reasons(plan, state, scores.one(int(wanted[place])), now_s)
        quantity = plan.zones[zones[place]].limits.quantity
        why[place] = msgspec.Raw(_encode(found))
        english[place] = msgspec.Raw(_encode([words(reason, plan.region, "en", quantity) for reason in found]))
    return why, english


def _quiet(plan: Plan, state: State, scores: Scores, wanted: NDArray[np.intp], now_s: int) -> NDArray[np.bool_]:
    """Where a good reading below all limits is all there is to say; see ``reasons``."""
    seen, zones = scores.observed, scores.zone[wanted]
    series = plan.zone_series[zones]
    there = series >= 0
    doubted = (there & (state.s["out"][series] | (state.s["pending_t"][series] > 0) | (state.s["manual_n"][series] > 0))).any(axis=1)
    below = (seen.row[wanted] >= 0) & ~seen.silent[wanted] & (seen.level[wanted] <= 0)
    stale = now_s - seen.time_s[wanted] > plan.zone_silent_s[zones]
    nothing_expected = scores.expectation.level[wanted] <= np.maximum(seen.confirmed[wanted], 0)
    return np.asarray(below & ~doubted & ~stale & nothing_expected)


def _upstream(plan: Plan, scores: Scores, wanted: NDArray[np.intp]) -> list[tuple[str, ...]]:
    """The zones whose water the expectation rests on, and that confirm a reading."""
    wave = np.where(scores.course.wave[wanted], scores.wave_from[wanted], -1)
    neighbour = scores.observed.neighbour[wanted]
    out: list[tuple[str, ...]] = [()] * len(wanted)
    for place in np.flatnonzero((wave >= 0) | (neighbour >= 0)).tolist():
        pair = dict.fromkeys((int(wave[place]), int(neighbour[place])))
        out[place] = tuple(plan.zones[each].id for each in pair if each >= 0)
    return out


def _forecasts(course: Course, wanted: NDArray[np.intp], now_s: int) -> list[Any]:
    """As far as there is evidence, for persistence is no news; None where there is none."""
    evidence = course.evidence[wanted]
    ends = np.where(evidence.any(axis=1), evidence.shape[1] - evidence[:, ::-1].argmax(axis=1), 0)
    out: list[Any] = [None] * len(wanted)
    some = np.flatnonzero(ends)
    if not len(some):
        return out
    told = np.searchsorted(_TOLD, ends[some]).tolist()  # how many of those that are told
    lead_h = [round((knot - now_s) / 3600.0, 3) for knot in knots(now_s)[_TOLD].tolist()]
    medians, sigmas = (np.round(each[np.ix_(wanted[some], _TOLD)], 3).tolist() for each in (course.median, course.sigma))
    written = {end: msgspec.Raw(_encode(lead_h[:end])) for end in set(told)}  # once, for they are the same for all
    for place, end, median, sigma in zip(some.tolist(), told, medians, sigmas, strict=True):
        out[place] = msgspec.Raw(_encode(_Course(now_s * 1000, written[end], median[:end], sigma[:end])))
    return out


def _windows(state: State, row: Index, now_s: int) -> list[Any]:
    """The features of the deciding series of each; nothing of one that never spoke. Floats to a thousandth, finer than any resolution.

    As JSON at once: a beat after an outage tells of every zone, and forty numbers take three times as much as their digits.
    """
    found = windows.features(state.s, np.maximum(row, 0), now_s)
    each = []
    for window in found.values():
        numbers = np.round(np.array([window[name] for name in ("min", "max", "mean", "last", "rate")], np.float64), 3)
        each.append(map(_Window, window["count"].tolist(), *numbers.tolist()))
    out = [msgspec.Raw(_encode(windows_of_one)) for windows_of_one in map(_Windows, *each)]
    for place in np.flatnonzero(row < 0).tolist():
        out[place] = _NOTHING
    return out


def _milliseconds(time_s: NDArray[Any]) -> list[int | None]:
    """None for 0."""
    return [each or None for each in (time_s.astype(np.int64) * 1000).tolist()]
