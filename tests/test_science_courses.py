"""The forecasts of all zones at once give what a loop over zones and reaches gives, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from warning.model import Level, Parameter, Status
from warning.pipeline.courses import courses
from warning.pipeline.plan import Plan
from warning.pipeline.state import Journal, State
from warning.region import AlertRules, District, ForecastRules, Limits, Reach, Region, Series, Station, Zone
from warning.science import forecast, routing

H = 3600
NOW = 1_754_005_600


# --- the same in plain words: one reach, one curve, one zone after the other


def curve(state: State, plan: Plan, zone: int, median: NDArray[np.float32], issued_s: int, now_s: int) -> list[tuple[float, float]]:
    """The points of the course of one zone, in order of time; of equal times the later one counts."""
    z, row = state.z, int(plan.history_row[zone])
    h = {name: array[row] for name, array in state.h.items()}
    observed_s, hold_s = int(z["observed_t"][zone]), int(plan.zone_silent_s[zone])
    points = [(int(t), float(v)) for t, v in zip(h["h_t"], h["h_v"], strict=True) if 0 < t <= observed_s]
    guessed = [(int(t), float(v)) for t, v in zip(h["e_t"], h["e_v"], strict=True) if t > observed_s]
    points += guessed
    begins = now_s
    if observed_s and not guessed:
        end = min(observed_s + hold_s, now_s)
        value = float(z["value"][zone])
        points += [(end, value), (end + 1, value if end == now_s else np.nan)]
        begins = max(now_s, end + 1)
    knot_s = forecast.knots(issued_s).tolist()
    points += [(t, float(v)) for t, v in zip(knot_s, median, strict=True) if t > begins and not np.isnan(v)]
    return sorted(points, key=lambda point: point[0])


def at(points: list[tuple[float, float]], time_s: int) -> float:
    after = next((place for place, point in enumerate(points) if point[0] > time_s), len(points))
    if after == 0:
        return np.nan
    t, v = points[after - 1]
    if t == time_s:
        return v
    if after == len(points):
        return np.nan
    later, value = points[after]
    return (value - v) / (later - t) * (time_s - t) + v


def arriving(plan: Plan, state: State, zone: int, base: float, observed_s: int, out: dict[int, dict[str, Any]]) -> list[Any]:
    """Of each reach into the zone: its number, who is upstream, what was there before the reading, (now, early, late) at each time; with
    the middle travel time longer where the wave is late."""
    reaches: list[Any] = []
    for r in np.flatnonzero(plan.reaches.down == zone).tolist():
        up = int(plan.reaches.up[r])
        median, issued_s = (out[up]["kept"], NOW) if up in out else (state.z["median"][up], int(state.z["issued_t"][up]))
        if not state.z["observed_t"][up] and np.isnan(median).all():
            continue
        points = curve(state, plan, up, median, issued_s, NOW)
        low, high = int(plan.reaches.travel_low_s[r]), int(plan.reaches.travel_high_s[r])
        travel_s = (low + high) // 2, low, high
        then = [at(points, observed_s - each) if observed_s else np.nan for each in travel_s]
        reaches.append((r, up, then, [tuple(at(points, t - each) for each in travel_s) for t in forecast.knots(NOW).tolist()]))
    brought, missing = 0.0, 0.0
    for r, _, then, _ in reaches:
        share = plan.reaches.share[r]
        if not np.isnan(lacks := (then[0] - then[2]) * share):
            brought, missing = brought + then[0] * share, missing + lacks
    by = min((brought - base) / missing, 1.0) if missing > 0.0 and brought - base > 0.0 else 0.0
    later = lambda middle, late: middle if np.isnan(late) else middle + by * (late - middle)  # noqa: E731
    return [
        (r, up, later(then[0], then[2]), then[1], then[2], [(later(now, late), early, late) for now, early, late in found])
        for r, up, then, found in reaches
    ]


def by_reach(plan: Plan, state: State, base_of: Any, observed_of: Any, line: forecast.Trend, zones: list[int]) -> dict[int, dict[str, Any]]:
    now_s, knot_s, rules = NOW, forecast.knots(NOW), plan.region.forecast
    out: dict[int, dict[str, Any]] = {}
    for place, zone in enumerate(zones):
        base, observed_s = float(base_of[place]), int(observed_of[place])
        total, bound, variance = np.zeros(len(knot_s)), np.zeros(len(knot_s)), np.zeros(len(knot_s))
        some, tracked_all = np.zeros(len(knot_s), bool), np.ones(len(knot_s), bool)
        brings: list[tuple[float, int]] = []
        for r, up, then, then_early, then_late, found in arriving(plan, state, zone, base, observed_s, out):
            share, share_sigma = plan.reaches.share[r], plan.reaches.share_sigma[r]
            tracked = not np.isnan(then) and not np.isnan(base)
            passed = then_early - then_late if tracked and not np.isnan(then_early + then_late) else 0.0
            for k, (now, early, late) in enumerate(found):
                if np.isnan(now):
                    continue
                change = now - (then if tracked else 0.0)
                travel = 0.0 if np.isnan(early) or np.isnan(late) else abs(early - late - passed) / 2.0 * share
                total[k] += share * change
                bound[k] += share * now
                part = share_sigma * change
                variance[k] += part * part + travel * travel  # as arrays square; pow() of one number may differ in the last bit
                some[k] = True
                tracked_all[k] &= tracked
            if not np.isnan([now for now, _, _ in found]).all():
                brings.append((max(now * share for now, _, _ in found if not np.isnan(now)), up))
        routed = np.where(tracked_all & ~np.isnan(base), base + total, np.fmax(bound, base))
        routed = np.where(some, np.maximum(routed, 0.0), np.nan)
        sigma = np.sqrt(variance + (rules.travel_spread * (routed if np.isnan(base) else routed - base)) ** 2)
        one = course(plan, zone, base, observed_s, line, place, routed, sigma, knot_s)
        one["source"] = max(brings, key=lambda pair: pair[0])[1] if brings else -1
        one["kept"] = one["median"].astype(np.float32)
        out[zone] = one
        history = int(plan.history_row[zone])
        if history >= 0 and not np.isnan(routed[0]):
            slot = now_s // routing.HISTORY_S % state.h["e_t"].shape[1]
            state.h["e_t"][history, slot], state.h["e_v"][history, slot] = now_s, routed[0]
    return out


def course(
    plan: Plan, zone: int, base: float, observed_s: int, line: forecast.Trend, place: int, routed: Any, routed_sigma: Any, knot_s: Any
) -> dict[str, Any]:
    now_s, horizon_s, resolution = int(knot_s[0]), plan.region.forecast.trend_horizon_s, plan.resolution[zone]
    median, sigma, evidence = np.full(len(knot_s), np.nan), np.full(len(knot_s), np.nan), np.zeros(len(knot_s), bool)
    fresh = not np.isnan(base) and observed_s > 0
    straight = fresh and not np.isnan(line.slope[place]) and now_s - observed_s <= horizon_s
    for k, t in enumerate(knot_s.tolist()):
        if fresh and t - observed_s <= plan.zone_silent_s[zone]:
            median[k], sigma[k] = base, 0.02 * abs(base) + resolution
        if not np.isnan(routed[k]):
            median[k], sigma[k], evidence[k] = routed[k], routed_sigma[k], True
        carried_s = min(int(line.span_s[place]), horizon_s)
        if straight and t <= now_s + carried_s:
            rise = line.slope[place] * (min(t - observed_s, carried_s) / 3600.0)
            if not routed[k] >= base + rise:
                spread, unsure = line.sigma[place], 0.5 * rise
                median[k], sigma[k] = base + rise, np.sqrt(spread * spread + unsure * unsure)  # no pow(), as above
            evidence[k] = True
        if not np.isnan(sigma[k]):
            sigma[k] = max(sigma[k], resolution)
    return {"median": median, "sigma": sigma, "evidence": evidence}


# --- made-up rivers and pasts


def region(silent_h: list[int], quantities: list[str], reaches: list[Reach]) -> Region:
    stations, zones = [], []
    for number, (hours, quantity) in enumerate(zip(silent_h, quantities, strict=True)):
        name = f"Z{number}"
        series = (Series(name, Parameter(quantity), None, None),)
        stations.append(Station(name, {"en": name}, "gauge", "R", "b", 30.0, 70.0, "assumed", series, silent_after_s=hours * H))
        limits = Limits(quantity, {Level.LOW: 300.0, Level.HIGH: 500.0}, "made up", "", "")
        zones.append(Zone(name, {"en": name}, name, "R", "b", ("d",), limits, None))
    return Region(
        id="made-up",
        names={"en": "Made up"},
        namespace="ews.made-up",
        sender="a@b.example",
        status=Status.EXERCISE,
        languages=("en",),
        utc_offset_s=0,
        timezone_name="UTC",
        country="PK",
        display_units={},
        class_names={},
        partitions=1,
        basins={"b": 0},
        stations=tuple(stations),
        zones=tuple(zones),
        reaches=tuple(reaches),
        districts=(District("d", {"en": "D"}, "PK-PB"),),
        contacts=(),
        exercise_numbers="+999",
        urls={},
        forecast=ForecastRules(),
        alert=AlertRules(),
        digest="made-up",
        folder="",
    )  # type: ignore[arg-type]


@st.composite
def rivers(draw: st.DrawFn) -> Region:
    """Up to nine zones, numbered in any order, up to three reaches into each."""
    count = draw(st.integers(2, 9))
    name = draw(st.permutations([f"Z{number}" for number in range(count)]))
    reaches = []
    for number in range(1, count):
        for up in draw(st.lists(st.integers(max(0, number - 4), number - 1), max_size=3, unique=True)):
            low = draw(st.sampled_from([0, 1, 3, 14, 60])) * H
            reaches.append(Reach(name[up], name[number], low, low + draw(st.sampled_from([0, 2, 25])) * H, "assumed"))
    quantities = [draw(st.sampled_from(["discharge"] * 5 + ["stage"])) for _ in range(count)]
    return region([draw(st.sampled_from([2, 36])) for _ in range(count)], quantities, draw(st.permutations(reaches)))


def fill(plan: Plan, state: State, seed: int) -> None:
    """A past: gauges that speak, fall silent, are ahead of the clock or never spoke; rings that were not written for long."""
    random = np.random.default_rng(seed)
    zones, (histories, slots) = len(plan.zones), state.h["h_t"].shape
    age_s = random.choice([-240, -1, 0, 1, 700, 5 * H, 30 * H, 80 * H, 300 * H], zones)
    spoke = random.random(zones) < 0.8
    state.z["observed_t"][:] = np.where(spoke, NOW - age_s, 0)
    state.z["value"][:] = np.where(spoke, np.round(random.uniform(0, 900, zones), 1), np.nan)
    state.z["issued_t"][:] = random.choice([NOW - 250, NOW - 7 * H, NOW - 90 * H], zones)
    known = random.random((zones, forecast.KNOTS)) < random.choice([0.0, 0.5, 1.0], (zones, 1))
    state.z["median"][:] = np.where(known, random.uniform(0, 900, known.shape), np.nan)
    for time, value, share in (("h_t", "h_v", 0.8), ("e_t", "e_v", 0.4)):
        turns = np.where(random.random((histories, slots)) < 0.95, 0, random.integers(1, 4, (histories, slots)))
        ids = NOW // routing.HISTORY_S - np.arange(slots) - turns * slots
        times = ids * routing.HISTORY_S + random.integers(0, routing.HISTORY_S, (histories, slots))
        there = (random.random((histories, slots)) < share * random.choice([0.0, 0.5, 1.0], (histories, 1))) & (times <= NOW)
        at = (ids % slots).astype(np.intp)
        rows = np.broadcast_to(np.arange(histories)[:, None], at.shape)
        state.h[time][rows, at] = np.where(there, times, 0)
        state.h[value][rows, at] = random.uniform(0, 900, (histories, slots))
    for zone in np.flatnonzero((plan.history_row >= 0) & spoke).tolist():  # the newest reading is in its history, as far as it reaches back
        observed_s, row = int(state.z["observed_t"][zone]), int(plan.history_row[zone])
        slot = observed_s // routing.HISTORY_S % slots
        state.h["h_t"][row, slot], state.h["h_v"][row, slot] = observed_s, state.z["value"][zone]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rivers(), st.integers(0, 2**32 - 1), st.data())
def test_all_zones_at_once_are_what_a_loop_over_reaches_gives(made: Region, seed: int, data: st.DataObject) -> None:
    plan = Plan.of(made, 0)
    state, plain = State.empty(plan), State.empty(plan)
    fill(plan, state, seed)
    fill(plan, plain, seed)
    some = data.draw(st.sets(st.integers(0, len(plan.zones) - 1), min_size=1))
    zones = np.array([zone for zone in plan.downwards.tolist() if zone in some], np.intp)
    random = np.random.default_rng(seed)
    base = np.where(random.random(len(zones)) < 0.8, state.z["value"][zones], np.nan)
    observed_s = state.z["observed_t"][zones].astype(np.int64)
    line = forecast.Trend(
        np.where(random.random(len(zones)) < 0.5, random.normal(0, 30, len(zones)), np.nan),
        random.uniform(0, 9, len(zones)),
        np.full(len(zones), 5),
        random.integers(0, 6 * H, len(zones)),
    )
    found, source = courses(plan, state, Journal(state), zones, base, observed_s, line, forecast.knots(NOW))
    expected = by_reach(plan, plain, base, observed_s, line, zones.tolist())
    for place, zone in enumerate(zones.tolist()):
        one = expected[zone]
        for name in ("median", "sigma", "evidence"):
            np.testing.assert_array_equal(getattr(found, name)[place], one[name], err_msg=f"{plan.zones[zone].id} {name}")
        assert source[place] == one["source"]
        np.testing.assert_array_equal(state.z["median"][zone], one["kept"])
    for name in state.h:
        np.testing.assert_array_equal(state.h[name], plain.h[name], err_msg=name)
