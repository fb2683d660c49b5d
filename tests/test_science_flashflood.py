"""Flash flood guidance: the curve-number equation both ways, wetness, and which duration counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warning.science import flashflood


def runoff_of(rain: float, number: float) -> float:
    """The SCS equation as published (National Engineering Handbook 4, eq. 10.11), mm."""
    held = 25_400.0 / number - 254.0
    return max(rain - 0.2 * held, 0.0) ** 2 / (rain + 0.8 * held)


@given(st.floats(0.5, 200), st.floats(40, 99))
def test_the_threshold_is_the_rain_that_makes_the_runoff(runoff: float, number: float) -> None:
    rain = float(flashflood.threshold(np.array([runoff]), np.array([number]))[0])
    assert runoff_of(rain, number) == pytest.approx(runoff, rel=1e-9)


def test_curve_numbers_for_dry_and_wet_ground_are_the_handbooks() -> None:
    # NEH-4, table 10.1: CN for condition II -> I, III
    for average, dry, wet in ((90, 78, 96), (80, 63, 91), (70, 51, 85), (60, 40, 78)):
        found = flashflood.curve_number(np.full(3, float(average)), np.array([0.0, 0.5, 1.0]))
        assert found == pytest.approx([dry, average, wet], abs=1.6)


def test_wet_ground_needs_less_rain() -> None:
    wet = flashflood.wetness(np.array([0.0, 12.7, 33.0, 53.3, 200.0, np.nan]))
    assert wet == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0, 0.0])
    needed = flashflood.threshold(np.full(5, 20.0), flashflood.curve_number(np.full(5, 80.0), wet[:5]))
    assert (np.diff(needed) <= 0).all()
    assert needed[0] == pytest.approx(96.1, abs=0.1)  # by hand: CN 62.7, S = 151.2 mm, 30.2 + (20 + 111.8) / 2
    assert needed[-1] == pytest.approx(41.1, abs=0.1)  # CN 90.2, S = 27.6 mm, 5.5 + (20 + 51.1) / 2


def test_the_duration_with_the_highest_ratio_counts() -> None:
    rain = np.array([[30.0, 35.0, 40.0], [5.0, 30.0, 70.0], [np.nan, 50.0, np.nan], [np.nan] * 3])
    runoff = np.array([[10.0, 20.0, 30.0]] * 4)
    found = flashflood.judge(rain, np.array([40.0, 70.0, 50.0, 0.0]), np.full(4, 80.0), runoff)
    assert found.duration[:3].tolist() == [0, 2, 1]
    assert found.rain[:3].tolist() == [30.0, 70.0, 50.0]
    assert found.ratio[:3] == pytest.approx(found.rain[:3] / found.threshold[:3])
    assert np.isnan(found.ratio[3])  # no rain is known: UNKNOWN, not "dry"


def test_the_rain_that_is_judged_does_not_wet_the_ground_before_it_falls() -> None:
    """All of the index fell in the last hour: the ground was dry for it. Of six hours ago it was not, for the last hour."""
    rain, runoff = np.array([[50.0, 50.0]]), np.array([[10.0, np.nan]])
    assert flashflood.judge(rain, np.array([50.0]), np.array([80.0]), runoff).wetness[0] == 0.0
    before = flashflood.judge(np.array([[20.0, 80.0]]), np.array([80.0]), np.array([80.0]), np.array([[10.0, 60.0]]))
    assert (before.duration[0], before.wetness[0]) == (0, 1.0)


def test_a_duration_without_runoff_is_not_judged() -> None:
    found = flashflood.judge(np.array([[500.0, 10.0]]), np.array([10.0]), np.array([80.0]), np.array([[np.nan, 20.0]]))
    assert found.duration[0] == 1
