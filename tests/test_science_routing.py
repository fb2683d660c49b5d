"""Routing, forecast and probabilities on numbers that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from warning.science import curves, forecast, hazard, normal, routing

NOW = 1_754_000_000 // 21_600 * 21_600
H = 3600


def history(*points: tuple[int, float]) -> dict[str, np.ndarray]:
    arrays = {name: np.zeros((1, *shape), dtype) for name, (dtype, shape) in routing.FIELDS.items()}
    row, time_s, value = np.zeros(len(points), np.intp), np.array([t for t, _ in points]), np.array([v for _, v in points], float)
    for name, index, values in routing.remember(arrays, row, time_s, value):
        arrays[name][index] = values
    return arrays


class Curve:
    """The course of one zone, asked for at times since 1970."""

    def __init__(self, arrays: dict[str, np.ndarray], observed_s: int, value: float, hold_s: int, median: np.ndarray) -> None:
        one = lambda number, dtype: np.array([number], dtype)  # noqa: E731
        self.past = (
            arrays,
            one(0, np.intp),
            one(observed_s, np.int64),
            one(value, float),
            one(hold_s, np.int64),
            forecast.knots(NOW)[None, :],
        )
        self.median = median

    def at(self, time_s: np.ndarray) -> np.ndarray:
        found = curves.Curves(*self.past, (time_s - NOW)[None, :].astype(float), NOW, [slice(0, 1)])
        found.expect(slice(0, 1), self.median[None, :], np.array([np.nan], np.float32))
        return found.at(slice(0, 1))[0]


def curve(arrays: dict[str, np.ndarray], observed_s: int, value: float, hold_h: int = 36, median: np.ndarray | None = None) -> Curve:
    return Curve(arrays, observed_s, value, hold_h * H, np.full(forecast.KNOTS, np.nan) if median is None else median)


def test_the_curve_is_the_readings_then_held_then_unknown() -> None:
    found = curve(history((NOW - 12 * H, 100.0), (NOW - 6 * H, 400.0)), NOW - 6 * H, 400.0, hold_h=36)
    at = found.at(np.array([NOW - 13 * H, NOW - 9 * H, NOW - 6 * H, NOW - H, NOW, NOW + H]))
    assert math.isnan(at[0]) and math.isnan(at[5])
    assert at[1:5] == pytest.approx([250.0, 400.0, 400.0, 400.0])


def test_a_reading_is_not_held_for_ever() -> None:
    found = curve(history((NOW - 40 * H, 400.0)), NOW - 40 * H, 400.0, hold_h=36)
    at = found.at(np.array([NOW - 5 * H, NOW - 3 * H, NOW]))
    assert at[0] == pytest.approx(400.0)
    assert math.isnan(at[1]) and math.isnan(at[2])


def test_estimates_stand_in_for_hours_that_nobody_measured() -> None:
    arrays = history((NOW - 24 * H, 100.0))
    for name, index, values in routing.estimate(arrays, np.array([0]), NOW - 3 * H, np.array([700.0])):
        arrays[name][index] = values
    assert curve(arrays, NOW - 24 * H, 100.0).at(np.array([NOW - 3 * H]))[0] == pytest.approx(700.0)
    assert curve(arrays, NOW - 2 * H, 100.0).at(np.array([NOW - 2 * H]))[0] != pytest.approx(700.0)  # a newer reading knows better


def test_the_forecast_goes_on_from_now() -> None:
    median = np.full(forecast.KNOTS, 900.0)
    assert curve(history((NOW, 500.0)), NOW, 500.0, median=median).at(np.array([NOW + 2 * H]))[0] == pytest.approx(900.0)


def test_of_twin_series_at_one_time_the_larger_counts() -> None:
    arrays = history((NOW, 500.0), (NOW, 620.0), (NOW - 5, 900.0))
    assert curve(arrays, NOW, 620.0).at(np.array([NOW]))[0] == pytest.approx(620.0)


def arrive(
    now: float, then: float, base: float, share: float = 0.8, early: float | None = None, late: float | None = None
) -> tuple[float, float]:
    reaches = routing.Reaches.of(np.array([0]), np.array([share]), np.array([0.1]))
    one = lambda value: np.array([[now if value is None else value]])  # noqa: E731
    routed = routing.arrival(reaches, np.array([[now]]), np.array([then]), np.array([base]))
    same = routing.Then(np.array([then]), np.array([then]), np.array([then]))
    sigma = routing.spread(reaches, np.array([[now]]), one(early), one(late), same, np.array([base]), routed, 0.0)
    return float(routed[0, 0]), float(sigma[0, 0])


def test_a_rise_arrives_weakened_on_top_of_what_flows() -> None:
    median, sigma = arrive(now=700.0, then=300.0, base=350.0)
    assert median == pytest.approx(350.0 + 0.8 * 400.0)
    assert sigma == pytest.approx(0.1 * 400.0)


def test_a_falling_river_upstream_falls_downstream_but_not_below_nothing() -> None:
    assert arrive(now=100.0, then=500.0, base=400.0)[0] == pytest.approx(80.0)
    assert arrive(now=0.0, then=900.0, base=100.0)[0] == 0.0


def test_without_the_past_upstream_the_known_water_is_a_lower_bound() -> None:
    assert arrive(now=855.0, then=math.nan, base=129.0)[0] == pytest.approx(0.8 * 855.0)
    assert arrive(now=100.0, then=math.nan, base=129.0)[0] == pytest.approx(129.0)
    assert arrive(now=855.0, then=500.0, base=math.nan)[0] == pytest.approx(0.8 * 855.0)


def test_nothing_known_upstream_is_unknown_not_zero() -> None:
    assert math.isnan(arrive(now=math.nan, then=300.0, base=350.0)[0])


def test_uncertain_travel_time_widens_the_spread() -> None:
    assert arrive(700.0, 300.0, 350.0, early=800.0, late=600.0)[1] > arrive(700.0, 300.0, 350.0)[1]


def test_what_the_travel_time_has_let_through_already_is_no_doubt_about_what_comes() -> None:
    reaches, one = routing.Reaches.of(np.array([0]), np.array([1.0]), np.array([0.0])), np.array([[700.0]])
    steady = routing.Then(np.array([300.0]), np.array([350.0]), np.array([250.0]))  # a rise of 50 each hour, before and after
    found = routing.spread(reaches, one, one + 50.0, one - 50.0, steady, np.array([300.0]), one, 0.0)
    assert found[0, 0] == 0.0


def late(middle: tuple[float, ...], late: tuple[float, ...], base: float) -> float:
    reaches = routing.Reaches.of(np.zeros(len(middle), np.intp), np.full(len(middle), 0.8), np.zeros(len(middle)))
    return float(routing.lateness(reaches, routing.Then(np.array(middle), np.array(middle), np.array(late)), np.array([base]))[0])


def test_a_wave_is_late_by_as_much_as_is_missing() -> None:
    assert late((500.0,), (300.0,), 400.0) == 0.0  # as the middle travel time has it
    assert late((500.0,), (300.0,), 320.0) == pytest.approx(0.5)
    assert late((500.0,), (300.0,), 240.0) == pytest.approx(1.0)
    assert late((500.0,), (300.0,), 90.0) == 1.0  # later than the longest it cannot be: that water was lost
    assert late((500.0, 200.0), (300.0, 100.0), 440.0) == pytest.approx(0.5)  # where rivers join, of all together


def test_a_fall_that_is_early_a_past_that_is_unknown_and_a_gauge_that_never_spoke_say_nothing_of_lateness() -> None:
    assert late((300.0,), (500.0,), 100.0) == 0.0
    assert late((500.0,), (math.nan,), 100.0) == 0.0
    assert late((500.0,), (300.0,), math.nan) == 0.0


def test_where_the_longer_travel_time_is_unknown_the_middle_one_stands() -> None:
    found = routing.later(np.array([[500.0, 500.0]]), np.array([[300.0, math.nan]]), np.array([[0.5]]))
    np.testing.assert_array_equal(found, [[400.0, 500.0]])


def test_two_rivers_add_up() -> None:
    reaches = routing.Reaches.of(np.array([0, 0]), np.array([0.8, 0.5]), np.array([0.0, 0.0]))
    now, then = np.array([[700.0], [200.0]]), np.array([300.0, 100.0])
    assert routing.arrival(reaches, now, then, np.array([350.0]))[0, 0] == pytest.approx(350.0 + 0.8 * 400.0 + 0.5 * 100.0)


def test_knots_are_full_hours_and_reach_four_days() -> None:
    for now in (NOW, NOW + 1, NOW + 3599, NOW + 10_799, NOW + 12_345):
        knot_s = forecast.knots(now)
        assert len(knot_s) == forecast.KNOTS
        assert knot_s[0] == now
        assert (np.diff(knot_s) > 0).all()
        assert (knot_s[1:] % 3600 == 0).all()
        assert 90 <= (knot_s[-1] - now) / H <= 102


def test_probabilities_are_the_normal_distribution_to_a_thousandth() -> None:
    z = np.linspace(-5, 5, 777)
    exact = [round(0.5 * (1 + math.erf(x / math.sqrt(2))), 3) for x in z]
    assert normal.exceedance(z, np.ones(1), np.zeros(1)) == pytest.approx(exact, abs=0.0011)
    assert math.isnan(normal.exceedance(np.array([math.nan]), np.ones(1), np.zeros(1))[0])


def test_the_greatest_score_has_the_greatest_probability() -> None:
    """No value of the table is so near to where 0.001 is rounded that the last bit of an interpolation beside it could fall."""
    z, probability = normal._table()
    assert (np.diff(probability) >= 0.0).all()
    assert (np.abs(probability * 1000.0 % 1.0 - 0.5) > 1e-9)[1:-1].sum() == len(z) - 2
    around = np.sort(np.concatenate([z, np.nextafter(z, -9.0), np.nextafter(z, 9.0)]))
    assert (np.diff(normal.below(around)) >= 0.0).all()


LIMITS = np.array([[2.0, 3.0, 4.0, 5.0, math.nan]])
MM = np.array([0.001])


@pytest.mark.parametrize(("value", "rank"), [(1.9994, 0), (1.9996, 1), (2.0, 1), (4.9999, 4), (99.0, 4), (-1.0, 0), (math.nan, -1)])
def test_classes_are_compared_after_rounding_to_a_millimetre(value: float, rank: int) -> None:
    assert hazard.rank(np.array([value]), LIMITS, MM)[0] == rank


@pytest.mark.parametrize(
    ("level", "support", "doubtful", "other", "readings", "result"),
    [
        (3, 0, -1, 0, 2, 0),  # one good reading: not yet
        (3, 3, -1, 0, 2, 3),  # a second one
        (3, 2, -1, 0, 2, 2),  # the second was lower
        (3, 0, -1, 0, 1, 3),  # this region asks for one only
        (4, 0, -1, 0, 2, 4),  # the two top classes at once
        (5, 0, -1, 0, 2, 5),
        (1, 1, 4, -1, 2, 1),  # a suspect reading alone raises nothing
        (1, 1, 4, 4, 2, 4),  # a neighbour confirms it
        (-1, -1, -1, -1, 2, -1),  # unknown stays unknown
    ],
)
def test_what_may_be_warned_of(level: int, support: int, doubtful: int, other: int, readings: int, result: int) -> None:
    at_once = np.array([False, False, False, False, True, True])
    of = lambda rank: np.array([rank], np.int8)  # noqa: E731
    assert hazard.confirmed(of(level), of(support), of(doubtful), of(other), at_once, readings)[0] == result


def expect(medians: dict[int, float], base: float, sigma: float = 0.01, evidence: bool = True) -> hazard.Expectation:
    knot_s = forecast.knots(NOW)
    median = np.full((1, len(knot_s)), base)
    for place, value in medians.items():
        median[0, place:] = value
    course = forecast.Course(median, np.full_like(median, sigma), np.full(median.shape, evidence), np.array([False]), np.array([True]))
    return hazard.expected(course, np.array([base]), LIMITS, MM, knot_s, 0.5, 0.3)


def test_the_expected_class_its_time_and_its_probability() -> None:
    found = expect({6: 3.5}, base=1.0)
    assert (found.level[0], found.probability[0]) == (2, 1.0)
    assert NOW + 5 * H <= found.arrival_s[0] <= NOW + 6 * H


def test_what_is_there_has_no_arrival() -> None:
    assert expect({6: 3.5}, base=3.2).arrival_s[0] == 0


def test_persistence_is_no_evidence() -> None:
    assert expect({}, base=4.5, evidence=False).level[0] == 0


def test_half_a_chance_is_enough_to_expect_and_less_keeps_alive() -> None:
    at_limit = expect({3: 2.0}, base=1.0, sigma=0.1)
    assert (at_limit.level[0], at_limit.probability[0]) == (1, 0.5)
    below = expect({3: 1.96}, base=1.0, sigma=0.1)
    assert (below.level[0], below.keep[0]) == (0, 1)


@pytest.mark.parametrize("slots", [30, 50, 96])
def test_histories_of_another_depth_keep_the_newest(slots: int) -> None:
    old = {name: np.zeros((2, 50), dtype) for name, (dtype, _) in routing.FIELDS.items()}
    times = NOW - routing.HISTORY_S * np.arange(40)
    for name, index, values in routing.remember(old, np.repeat([0, 1], 40), np.tile(times, 2), np.arange(80.0)):
        old[name][index] = values
    for name, index, values in routing.estimate(old, np.array([1]), NOW, np.array([7.0])):
        old[name][index] = values
    new = {name: np.zeros((3, slots), dtype) for name, (dtype, _) in routing.FIELDS.items()}
    routing.move(new, np.array([2, 0]), old)
    for mine, theirs in ((2, 0), (0, 1)):
        kept = dict(zip(new["h_t"][mine].tolist(), new["h_v"][mine].tolist(), strict=True)) | {0: 0}
        assert kept == {0: 0} | {int(times[k]): 40 * theirs + k for k in range(min(slots, 40))}
    assert new["e_t"][0].max() == NOW and new["e_v"][0].max() == 7.0 and not new["h_t"][1].any()


def test_the_depth_covers_the_way_of_the_water() -> None:
    assert [routing.depth(hours * H) for hours in (0, 4, 240)] == [27, 28, 96]


def test_zones_without_evidence_change_nothing_for_the_others() -> None:
    random = np.random.default_rng(4)
    median = np.where(random.random((40, 33)) < 0.2, np.nan, random.normal(3.0, 2.0, (40, 33)))
    evidence = (random.random((40, 33)) < 0.6) & (np.arange(40) % 3 == 0)[:, None]
    course = forecast.Course(median, np.full((40, 33), 0.4), evidence, evidence.any(axis=1), evidence.any(axis=1))
    given = course, random.normal(3.0, 2.0, 40), np.sort(random.normal(4.0, 2.0, (40, 5)), axis=1), np.full(40, 0.001)
    rest = forecast.knots(1_760_000_000), 0.5, 0.3
    found, of_all = hazard.expected(*given, *rest), hazard._by_course(*given, *rest)
    for name in ("level", "keep", "probability", "arrival_s"):
        np.testing.assert_array_equal(getattr(found, name), getattr(of_all, name))
    assert found.level.any() and not found.level[~evidence.any(axis=1)].any()
