"""The trained forecast: whole numbers that are exact whatever the order, no look-ahead in its features, a model that reads itself back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from warning.config_model import standard_path
from warning.region import ForecastRules
from warning.science import features, forecast, hazard, network, outlook
from warning.training import train
from warning.training.fit import cross_entropy, fit
from warning.training.floods import Flood, Gauge
from warning.training.rows import HOUR_S, replay

MODEL = network.Model.of(standard_path().read_text(encoding="ascii"))


def flood(hours: int) -> Flood:
    time_s = 1_750_000_000 // HOUR_S * HOUR_S + HOUR_S * np.arange(hours)
    stage = 1.0 + 0.02 * np.arange(hours) ** 1.5
    upper = Gauge("UP", "R", "B", 7.0, 80.0, (4.0, 6.0), time_s, stage + 0.5)
    return Flood("made", (upper, Gauge("DOWN", "R", "B", 7.1, 80.1, (4.0, 6.0), time_s, stage, ("UP",))))


def test_the_future_changes_no_feature() -> None:
    short, long = replay(flood(30), 600), replay(flood(60), 600)
    assert len(short.table) == 2 * 26  # from the fifth reading on
    same = long.time_s <= short.time_s.max()
    np.testing.assert_array_equal(long.table[same], short.table)


def test_the_order_of_addition_does_not_matter() -> None:
    table = np.random.default_rng(1).normal(size=(50, len(features.names())))
    member = MODEL.fan_members[0]
    order = np.random.default_rng(2).permutation(table.shape[1])
    edges = (each[order] for each in (member.least, member.greatest, member.centre, member.scale))
    mixed = network.Layered(*edges, (member.weights[0][order], *member.weights[1:-1], member.weights[-1][order]), member.biases)
    np.testing.assert_array_equal(member(table), mixed(table[:, order]))
    np.testing.assert_array_equal(member(table)[:7], member(table[:7]))


def test_rows_are_the_same_bits_however_many_are_asked_for() -> None:
    for member in (*MODEL.fan_members, *MODEL.exceedance_members):
        table = np.random.default_rng(3).normal(0.0, 3.0, (2 * network.BLOCK + 7, len(member.least)))
        whole = member(table)
        assert whole.shape == (len(table), len(member.biases[-1]))
        for place in (0, 1, network.BLOCK - 1, network.BLOCK, 2 * network.BLOCK, len(table) - 1):
            np.testing.assert_array_equal(member(table[place : place + 1])[0], whole[place])
        assert member(table[:0]).shape == (0, whole.shape[1])


def test_limits_that_share_a_row_are_the_same_bits_as_each_with_its_own() -> None:
    for member in MODEL.exceedance_members:
        random = np.random.default_rng(5)
        table, place = random.normal(0.0, 3.0, (network.BLOCK + 9, len(member.least) - 6)), random.integers(0, network.BLOCK + 9, 1300)
        toward = random.normal(0.0, 3.0, (len(place), 6))
        whole = member(np.concatenate((table[place], toward), axis=1))
        np.testing.assert_array_equal(member.of_shared(table, place, toward), whole)
        assert member.of_shared(table, place[:0], toward[:0]).shape == (0, whole.shape[1])


def test_quantiles_rise_and_a_farther_limit_is_no_likelier_in_a_shorter_time() -> None:
    table = replay(flood(40), 600).table.astype(np.float64)
    assert (np.diff(MODEL.fan(table), axis=2) >= 0.0).all()
    need = np.full(len(table), 0.5)
    within = MODEL.exceedance(table, np.arange(len(table)), features.toward(table, need, need))
    assert (np.diff(within, axis=1) >= 0.0).all()


def test_a_miss_that_costs_more_needs_less_chance() -> None:
    rule = outlook.Rule.of((0.5, 0.7, 0.8), 0.5, np.array([1.0, 1.0, 4.0, 1.0, 1.0]))
    np.testing.assert_allclose(rule.needed[0], (0.5, 0.7, 0.8))
    np.testing.assert_allclose(rule.needed[2], (0.2, 7 / 19, 0.5))


def test_what_was_expected_is_called_off_when_it_has_become_very_unlikely() -> None:
    """Of five zones that need 0.7 within 12 h for HIGH: the last chance that raises, and those that keep and do not keep it alive."""
    zones, chance = 5, np.array([0.7, 0.69, 0.05, 0.036, 0.034])
    share = np.zeros((zones, 5))
    share[:, 2] = chance / 0.7
    knot_s = forecast.knots(1_750_000_000)
    nothing = np.full((zones, len(knot_s)), np.nan)
    off, none = np.zeros(nothing.shape, np.bool_), np.zeros(zones, np.bool_)
    own = outlook.Own(share * 0.7, share, np.full((zones, 5), 1_750_030_000), off, np.ones(zones, np.bool_), ForecastRules().needed_keep)
    limits, level = np.tile(np.array([1.0, 2.0, 3.0, np.nan, np.nan]), (zones, 1)), np.full(zones, 0.5)
    course = forecast.Course(nothing, nothing, off, none, none, off)
    found = hazard.expected(course, level, limits, np.full(zones, 0.001), knot_s, 0.5, 0.3, own)
    assert found.level.tolist() == [3, 0, 0, 0, 0]
    assert found.keep.tolist() == [3, 3, 3, 3, 0]


def test_who_is_not_heard_in_training_is_as_one_who_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose neighbours are taken away are those of the same gauge alone; what is its own stays."""
    both, nothing = replay(flood(40), 600), np.zeros(0)
    alone = replay(Flood("made", (replace(flood(40).gauges[1], upstream=()),)), 600)
    monkeypatch.setattr(train, "UNHEARD", {("near",): 1.0, ("up", "above"): 1.0})
    data = train.Pool(both.table[both.gauge == 1], nothing, nothing, nothing, nothing, nothing)
    np.testing.assert_allclose(train._unheard(data, np.random.default_rng(1)).table, alone.table, atol=1e-6)
    monkeypatch.undo()
    data = train.Pool(np.ones((4000, len(features.names())), np.float32), nothing, nothing, nothing, nothing, nothing)
    parts = (train._unheard(data, np.random.default_rng(1)).table != 1.0).mean(axis=0)
    gone = dict(zip(features.names(), parts.tolist(), strict=True))
    assert gone["change_1h"] == gone["above_floor_72h"] == 0.0
    assert gone["near_rise_1h"] == pytest.approx(0.4, abs=0.03)
    assert gone["up_there"] == gone["above_mean_rise_3h"] == pytest.approx(0.25, abs=0.03)


def test_the_same_rows_and_seed_make_the_same_weights() -> None:
    chance = np.random.default_rng(3)
    inputs = chance.normal(size=(2048, 5)).astype(np.float32)
    target = (inputs[:, :1] > 0).astype(np.float32)
    loss = cross_entropy(target, np.ones(2048, np.float32))
    first, second = (fit(inputs, (4,), np.zeros(1), loss, 300, 7) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first.weights, second.weights, strict=True))
    assert (((first.forward(inputs)[0] > 0) == (target > 0.5)).mean()) > 0.9
