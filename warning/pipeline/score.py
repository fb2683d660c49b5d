"""Scoring zones: readings and forecast to classes, group by group down the rivers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.pipeline import derived, looks
from warning.pipeline.courses import courses
from warning.pipeline.downstream import spans
from warning.pipeline.plan import Index, Plan
from warning.pipeline.reasons import Scored
from warning.pipeline.state import Journal, State
from warning.science import forecast, hazard

PAIR_S = 3600  # twin series (inflow, outflow) within an hour of each other are one observation


@dataclass(frozen=True, slots=True)
class Observed:
    """The newest observation of Z zones: deciding series, value, time, classes; see ``hazard.confirmed``."""

    row: Index
    value: NDArray[np.float64]
    base: NDArray[np.float64]  # what a forecast starts from: not an unconfirmed reading
    time_s: NDArray[np.int64]
    silent: NDArray[np.bool_]
    level: NDArray[np.int8]
    confirmed: NDArray[np.int8]
    cleared: NDArray[np.int8]
    neighbour: Index
    twin: NDArray[np.bool_]
    second: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of the zones ``zone`` (Z), and their forecast (Z, L)."""

    zone: Index
    observed: Observed
    expectation: hazard.Expectation
    course: forecast.Course
    line: forecast.Trend
    wave_from: Index
    peak: NDArray[np.float64]  # highest of the median forecast (Z,)
    peak_s: NDArray[np.int64]  # its time; 0: no forecast

    def one(self, place: int) -> Scored:
        seen, expectation = self.observed, self.expectation
        return Scored(
            zone=int(self.zone[place]),
            row=int(seen.row[place]),
            value=float(seen.value[place]),
            observed_s=int(seen.time_s[place]),
            silent=bool(seen.silent[place]),
            level=int(seen.level[place]),
            confirmed=int(seen.confirmed[place]),
            cleared=int(seen.cleared[place]),
            expected=int(expectation.level[place]),
            keep=int(expectation.keep[place]),
            probability=float(expectation.probability[place]),
            arrival_s=int(expectation.arrival_s[place]),
            slope=float(self.line.slope[place]),
            points=int(self.line.points[place]),
            wave_from=int(self.wave_from[place]) if self.course.wave[place] else -1,
            neighbour=int(seen.neighbour[place]),
            twin=bool(seen.twin[place]),
            second=bool(seen.second[place]),
            median=np.where(self.course.evidence[place], self.course.median[place], np.nan),
            sigma=self.course.sigma[place],
            peak=(round(float(self.peak[place]), 3), int(self.peak_s[place]) * 1000) if self.peak_s[place] else None,
        )


def score(plan: Plan, state: State, journal: Journal, zones: Index, now_s: int) -> Scores:
    """Score ``zones`` (in the plan's order) and write their scores into the state."""
    seen = observe(plan, state, journal, zones, now_s)
    rules = plan.region.forecast
    line = forecast.trend(state.s, np.maximum(seen.row, 0), now_s, rules.trend_window_s, rules.trend_points)
    line.slope[(seen.row < 0) | seen.silent] = np.nan
    if plan.derived is not None:
        line.slope[plan.derived.place[zones] >= 0] = np.nan  # only what was measured is judged: its series is not what has the limits
    knot_s = forecast.knots(now_s)
    look = looks.look(plan.trained, state, journal, zones, np.where(seen.silent, -1, seen.row), seen.base, now_s, knot_s)
    course, wave_from = courses(plan, state, journal, zones, seen.base, seen.time_s, line, knot_s, look)
    resolution = plan.resolution[zones]
    limits = plan.zone_limits[zones]
    own = None if look is None or plan.trained is None else look.own(limits, plan.trained.rule, course.own)
    expectation = hazard.expected(course, seen.base, limits, resolution, knot_s, rules.probability, rules.probability_keep, own)
    z = state.z
    # What should be there and was not seen keeps the time at which it was expected.
    overdue = (expectation.arrival_s == now_s) & (z["expected"][zones] == expectation.level) & (z["arrival_t"][zones] > 0)
    expectation.arrival_s[overdue] = np.minimum(z["arrival_t"][zones], now_s)[overdue]
    for name, values in (
        ("confirmed", seen.confirmed),
        ("cleared", seen.cleared),
        ("expected", expectation.level),
        ("keep", expectation.keep),
        ("arrival_t", expectation.arrival_s),
        ("source", wave_from + 1),
    ):
        journal.put(z[name], zones, values)
    median = np.where(np.isnan(course.median), -np.inf, course.median)
    highest = median.argmax(axis=1)
    peak = median[np.arange(len(zones)), highest]
    return Scores(zones, seen, expectation, course, line, wave_from, peak, np.where(np.isinf(peak), 0, knot_s[highest]))


@dataclass(frozen=True, slots=True)
class _Members:
    """The K series of Z zones as they stand, (Z, K): row of the state, whether it counts, its newest reading and the one that waits."""

    row: Index
    there: NDArray[np.bool_]
    time_s: NDArray[np.int64]
    value: NDArray[np.float64]
    heard_s: NDArray[np.int64]
    pending_s: NDArray[np.int64]
    made: derived.Members | None

    @staticmethod
    def of(plan: Plan, state: State, zones: Index) -> _Members:
        s, rows = state.s, plan.zone_series[zones]
        there = (rows >= 0) & ~s["out"][rows]
        times = np.where(there, s["last_t"][rows].astype(np.int64), 0)
        last, heard, pending = s["last_v"][rows], s["heard_t"][rows].astype(np.int64), s["pending_t"][rows].astype(np.int64)
        made = None if plan.derived is None else derived.members(plan.derived, s, state.r, zones, rows)
        if made is not None:
            times[made.at], last[made.at], heard[made.at], pending[made.at] = made.time, made.value, made.heard, 0
        return _Members(rows, there, times, last, heard, pending, made)

    def before(self, state: State, here: Index, deciding: Index) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Time and value of the reading before the newest of the ``deciding`` series of each zone; 0: none."""
        row = self.row[here, deciding]
        time_s, value = state.s["before_t"][row].astype(np.int64), state.s["before_v"][row]
        if self.made is not None:
            mine = np.arange(len(self.made.at)), deciding[self.made.at]
            time_s[self.made.at], value[self.made.at] = self.made.before_t[mine], self.made.before[mine]
        return time_s, value


def observe(plan: Plan, state: State, journal: Journal, zones: Index, now_s: int) -> Observed:
    """What the gauges of ``zones`` say now."""
    members, rules = _Members.of(plan, state, zones), plan.region.alert
    times, silent_s = members.time_s, plan.zone_silent_s[zones]
    newest = times.max(axis=1)
    used = (times > 0) & (times >= newest[:, None] - PAIR_S)
    values = np.where(used, members.value, -np.inf)
    here, deciding = np.arange(len(zones)), values.argmax(axis=1)
    spoke = newest > 0
    row = np.where(spoke, members.row[here, deciding], -1)
    value = _number(np.where(spoke, values[here, deciding], np.nan))
    silent = ~spoke | (now_s - np.where(used, members.heard_s, 0).max(axis=1) > silent_s)
    limits, resolution = plan.zone_limits[zones], plan.resolution[zones]
    cleared = np.where(silent, -1, hazard.rank(value, plan.cleared(zones), resolution)).astype(np.int8)
    before_t, before_v = members.before(state, here, deciding)
    before = np.where(spoke & (before_t > 0) & (newest - before_t <= silent_s), before_v, np.nan)
    others = values.copy()
    others[here, deciding] = -np.inf
    waiting = members.there & (members.pending_s > 0) & (members.pending_s >= now_s - silent_s[:, None])
    doubted = np.where(waiting, state.s["pending_v"][members.row], -np.inf)
    # The class of the newest reading, of the one before it, of a twin's, and of the highest suspect reading that waits for confirmation
    # (one that nothing followed for long waits for nothing).
    each = np.stack((value, before, _number(others.max(axis=1)), _number(doubted.max(axis=1))))
    observed, second, twin, doubtful = hazard.rank(each, limits, resolution)
    level = np.where(silent, -1, observed).astype(np.int8)
    for name, values_now in (("level", level), ("value", value), ("observed_t", newest)):
        journal.put(state.z[name], zones, values_now)
    neighbour, neighbour_level = _neighbour(plan, state, zones)
    other = np.maximum(twin, neighbour_level)
    confirmed = hazard.confirmed(level, np.maximum(second, other), doubtful, other, plan.at_once, rules.confirm_readings)
    base = np.where(level > np.maximum(confirmed, 0), np.where(np.isnan(before), np.nan, before), value)
    return Observed(
        row,
        value,
        base,
        newest,
        silent,
        level,
        confirmed,
        cleared,
        np.where((neighbour_level >= level) & (level > 0), neighbour, -1),
        (twin >= level) & (level > 0),
        (second >= level) & (level > 0),
    )


def _number(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isinf(values), np.nan, values)


def _neighbour(plan: Plan, state: State, zones: Index) -> tuple[Index, NDArray[np.int8]]:
    """The upstream zone with the highest observed class, and that class, for each of ``zones``."""
    best, level = np.full(len(zones), -1, np.intp), np.full(len(zones), -1, np.int8)
    here, mine = spans(plan.neighbour_into, zones)
    if not len(here):
        return best, level
    up = plan.neighbour_up[mine]
    shown = state.z["level"][up]
    if (here[1:] != here[:-1]).all():  # one above each, at most
        level[here], best[here] = shown, np.where(shown >= 0, up, -1)
        return best, level
    np.maximum.at(level, here, shown)
    highest = np.flatnonzero((shown == level[here]) & (shown >= 0))[::-1]  # the first of equals stays
    best[here[highest]] = up[highest]
    return best, level
