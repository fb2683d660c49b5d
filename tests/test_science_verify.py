"""Verification: hand-computed cases, and properties that hold for any history."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warning.science import verify, verify_baselines, verify_bootstrap, verify_probability
from warning.science.verify import Judged, Spells

H = 3600


def seconds(*hours: float) -> np.ndarray:
    return np.array([round(hour * H) for hour in hours], np.int64)


def hourly(*values: float) -> tuple[np.ndarray, np.ndarray]:
    return seconds(*range(len(values))), np.array(values, np.float64)


def test_events_are_upward_crossings_six_hours_apart() -> None:
    time, value = hourly(1, 2, 3, 2, 3, 1, 1, 1, 1, 1, 1, 3)
    # at 2 h up; down and up again at 4 h is the same event; at 11 h it has been below for seven hours
    assert verify.crossings(time, value, 3.0).tolist() == [2 * H, 11 * H]
    assert verify.crossings(time, value, 3.0, apart_s=8 * H).tolist() == [2 * H]


def test_what_stands_at_the_start_is_an_alert_and_no_event() -> None:
    time, value = hourly(4, 4, 1, 1)
    assert verify.crossings(time, value, 3.0).tolist() == []
    assert verify.spells(time, value >= 3.0).start.tolist() == [0]


def test_missing_values_and_rounding() -> None:
    time, value = hourly(1, math.nan, 2.9996, 1)
    assert verify.crossings(time, value, 3.0).tolist() == []
    assert verify.crossings(time, value, 3.0, resolution=0.001).tolist() == [2 * H]
    assert verify.crossings(time[:0], value[:0], 3.0).tolist() == []
    with pytest.raises(ValueError, match="must not fall"):
        verify.spells(time[::-1], value > 0)


def test_hits_misses_false_alarms_and_lead() -> None:
    events = seconds(30, 60, 100)
    alerts = Spells(seconds(5, 26, 70, 75, 98), seconds(6, 27, 71, 100, 98))
    judged = verify.judge(events, alerts, covered_s=200 * H)
    # 30 h: warned at 26 h (5 h is 25 h before it); 60 h: nobody; 100 h: by what has stood since 75 h, 25 h ahead
    assert [round(lead / H, 1) for lead in judged.lead_s.tolist()] == [4, -0.0, 25]
    # 5 h: nothing within a day; 70 h: too; 75 h: the next day has no event in it, though it still stands when one comes; 98 h: right
    assert judged.false.tolist() == [True, False, True, True, False]
    skill = verify.skill([judged])
    assert (skill.events, skill.hits, skill.alerts, skill.false_alarms) == (3, 2, 5, 3)
    assert (skill.pod, skill.far, skill.csi) == (2 / 3, 3 / 5, 2 / 6)
    assert skill.timely == {1: 2 / 6, 3: 2 / 6, 6: 1 / 6, 12: 1 / 6, 24: 1 / 6}
    assert skill.lead_h == (9.25, 14.5, 19.75)
    assert skill.warned_h == 28 and skill.warned_part == 28 / 200


def test_nothing_to_judge_is_not_a_number() -> None:
    skill = verify.skill([verify.judge(seconds(), Spells(seconds(), seconds()))])
    assert skill.events == 0 and all(math.isnan(each) for each in (skill.pod, skill.far, skill.csi, skill.timely[3], skill.lead_h[1]))
    assert verify.skill([]).events == 0


def test_threshold_only_is_perfect_and_helps_nobody() -> None:
    time, value = hourly(*[1] * 5, *[4] * 5, *[1] * 40)
    judged = verify.judge(verify.crossings(time, value, 3.0), verify.spells(time, value >= 3.0))
    skill = verify.skill([judged])
    assert (skill.csi, skill.far, skill.timely[1]) == (1.0, 0.0, 0.0)


def test_straight_line_of_a_line_is_the_line() -> None:
    time = np.cumsum(np.array([0, 900, 1800, 3600, 7200, 600, 3600], np.int64))
    value = 2.0 + 0.5 * time / H
    slope = verify_baselines.slope_per_hour(time, value)
    assert np.isnan(slope[:2]).all() and np.allclose(slope[2:], 0.5)
    assert np.allclose(verify_baselines.straight_line(time, value, 6)[2:], value[2:] + 3.0)
    falling = verify_baselines.straight_line(time, -value, 6)
    assert np.array_equal(falling, -value)  # the higher of what is there and what comes


def test_straight_line_against_numpy() -> None:
    rng = np.random.default_rng(7)
    time = np.cumsum(rng.integers(300, 7200, 200))
    value = rng.normal(size=200).cumsum()
    slope = verify_baselines.slope_per_hour(time, value)
    for place in (10, 77, 199):
        inside = (time <= time[place]) & (time >= time[place] - 6 * H)
        if inside.sum() >= 3:
            assert slope[place] == pytest.approx(np.polyfit(time[inside] / H, value[inside], 1)[0])


def test_straight_line_of_readings_too_rare_is_persistence() -> None:
    time, value = seconds(0, 24, 48), np.array([1.0, 2.0, 3.0])
    assert np.array_equal(verify_baselines.straight_line(time, value, 10), value)


# --- probability scores


def test_brier_by_hand() -> None:
    chance, happened = np.array([0.9, 0.1, 0.5, 0.0]), np.array([True, False, True, False])
    assert verify_probability.brier(chance, happened) == pytest.approx((0.01 + 0.01 + 0.25) / 4)
    base = verify_probability.base_rate(happened)
    assert verify_probability.brier_skill(chance, base, happened) == pytest.approx(1 - 0.0675 / 0.25)
    assert math.isnan(verify_probability.brier_skill(chance, happened.astype(float), happened))


def test_crps_of_the_normal_distribution() -> None:
    # Gneiting and Raftery (2007), equation 21, of the standard normal distribution at 0 and 2
    levels = np.arange(0.005, 1, 0.01)
    quantiles = np.tile([NormalDist().inv_cdf(level) for level in levels], (2, 1))
    found = verify_probability.crps_quantiles(levels, quantiles, np.array([0.0, 2.0]))
    assert found == pytest.approx([0.233695, 1.452792], abs=2e-4)


def test_crps_without_a_spread_is_the_absolute_error() -> None:
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    assert verify_probability.crps_quantiles(levels, np.full((2, 5), 3.0), np.array([1.0, 7.0])) == pytest.approx([2.0, 4.0])


def test_probability_of_exceeding_through_quantiles() -> None:
    levels, quantiles = np.array([0.25, 0.5, 0.75]), np.tile([1.0, 2.0, 4.0], (5, 1))
    limits = np.array([-5.0, 1.0, 2.0, 3.0, 9.0])
    assert verify_probability.above(levels, quantiles, limits) == pytest.approx([1.0, 0.75, 0.5, 0.375, 0.0])
    flat = np.tile([2.0, 2.0, 2.0], (2, 1))
    assert verify_probability.above(levels, flat, np.array([1.9, 2.1])) == pytest.approx([1.0, 0.0])


@given(st.lists(st.floats(-100, 100), min_size=5, max_size=5), st.lists(st.floats(-150, 150), min_size=2, max_size=8))
def test_exceedance_falls_with_the_limit(values: list[float], limits: list[float]) -> None:
    levels, ordered = np.array([0.05, 0.25, 0.5, 0.75, 0.95]), np.sort(np.array(limits))
    chance = verify_probability.above(levels, np.tile(np.sort(values), (len(ordered), 1)), ordered)
    assert ((chance >= 0) & (chance <= 1)).all() and (np.diff(chance) <= 1e-12).all()


def test_coverage_and_reliability() -> None:
    assert verify_probability.covered(np.array([0.0, 0.0]), np.array([1.0, 1.0]), np.array([0.5, 2.0])) == 0.5
    chance, happened = np.array([0.0, 0.02, 0.5, 1.0]), np.array([False, False, True, True])
    table = verify_probability.reliability(chance, happened)
    assert [(one.cases, one.observed) for one in table] == [(2, 0.0), (1, 1.0), (1, 1.0)]
    assert sum(one.cases for one in table) == 4


# --- the bootstrap


def judged(events: list[float], leads: list[float], false: list[float]) -> Judged:
    lead_s = np.array([-1 if lead < 0 else round(lead * H) for lead in leads], np.int64)
    return Judged(seconds(*events), lead_s, seconds(*false), np.ones(len(false), np.bool_))


def test_units_hold_events_and_shared_false_alarms() -> None:
    ours = [judged([10, 50], [5, -1], [100]), judged([], [], [])]
    theirs = [judged([10, 50], [1, 2], [105, 300]), judged([], [], [7])]
    sample = verify_bootstrap.units([ours, theirs])
    # two events; 100 h and 105 h are one false alarm of both, 300 h another, and one at the second gauge
    assert sample.event.tolist() == [True, True, False, False, False]
    assert sample.false.tolist() == [[0, 0, 1, 0, 0], [0, 0, 1, 1, 1]]
    assert verify_bootstrap.timely(sample, 0, 3) == 1 / 3 and verify_bootstrap.timely(sample, 1, 3) == 0.0
    assert verify_bootstrap.timely(sample, 1, 1) == 2 / 5
    with pytest.raises(ValueError, match="different events"):
        verify_bootstrap.units([[judged([1], [0], [])], [judged([2], [0], [])]])


def test_draws_are_around_the_score_and_the_same_each_time() -> None:
    ours = [judged(list(range(0, 4000, 40)), [5.0] * 60 + [-1.0] * 40, [])]
    sample = verify_bootstrap.units([ours, [judged(list(range(0, 4000, 40)), [-1.0] * 100, [])]])
    first = verify_bootstrap.draws(sample, 3, np.random.default_rng(1))
    assert np.array_equal(first, verify_bootstrap.draws(sample, 3, np.random.default_rng(1)))
    low, high = verify_bootstrap.interval(first[0])
    # of 100 independent events with 0.6: binomial, 95 % from 0.50 to 0.69
    assert low == pytest.approx(0.50, abs=0.02) and high == pytest.approx(0.69, abs=0.02)
    found = verify_bootstrap.difference(sample, 0, 1, 3, np.random.default_rng(2))
    assert found.value == pytest.approx(0.6) and found.sure and found.low > 0.45


def test_no_difference_is_not_sure() -> None:
    one = [judged([0, 40, 80], [5, -1, 5], [300])]
    sample = verify_bootstrap.units([one, one])
    found = verify_bootstrap.difference(sample, 0, 1, 3, np.random.default_rng(3))
    assert (found.value, found.low, found.high, found.sure) == (0.0, 0.0, 0.0, False)


def test_nothing_to_draw_from() -> None:
    sample = verify_bootstrap.units([[judged([], [], [])], [judged([], [], [])]])
    assert np.isnan(verify_bootstrap.draws(sample, 3, np.random.default_rng(1))).all()
    assert all(math.isnan(each) for each in verify_bootstrap.interval(np.array([math.nan])))


# --- properties


histories = st.lists(st.tuples(st.integers(60, 20 * H), st.floats(0, 5)), min_size=1, max_size=60)


@given(histories, st.floats(0.5, 4.5))
def test_events_are_alerts_of_the_threshold(history: list[tuple[int, float]], limit: float) -> None:
    time = np.cumsum(np.array([step for step, _ in history], np.int64))
    value = np.array([value for _, value in history])
    events, alerts = verify.crossings(time, value, limit), verify.spells(time, value >= limit)
    assert set(events.tolist()) <= set(alerts.start.tolist()) and len(alerts.start) - len(events) <= 1
    assert (np.diff(events) >= verify.APART_S).all() and (alerts.start <= alerts.end).all()
    skill = verify.skill([verify.judge(events, alerts)])
    assert skill.hits == skill.events and skill.false_alarms <= 1


@given(histories, st.floats(0.5, 4.5), st.floats(0.5, 4.5))
def test_scores_stay_in_their_range(history: list[tuple[int, float]], limit: float, other: float) -> None:
    time = np.cumsum(np.array([step for step, _ in history], np.int64))
    value = np.array([value for _, value in history])
    skill = verify.skill([verify.judge(verify.crossings(time, value, limit), verify.spells(time, value >= other))])
    for each in (skill.pod, skill.far, skill.csi, *skill.timely.values()):
        assert math.isnan(each) or 0.0 <= each <= 1.0
    leads = list(skill.timely.values())
    assert all(math.isnan(b) or b <= a for a, b in zip([skill.csi, *leads], leads, strict=False))
