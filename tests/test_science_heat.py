"""Heat index and wet-bulb temperature against published tables, and the arc tangent against the C library's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warning.science import heat, normal


def celsius(fahrenheit: float) -> float:
    return (fahrenheit - 32.0) / 1.8


# National Weather Service, heat index chart (weather.gov/safety/heat-index): degF, %, degF
CHART = [
    (80, 40, 80),
    (90, 50, 95),
    (88, 85, 110),
    (100, 40, 109),
    (104, 40, 119),
    (96, 60, 116),
    (86, 90, 105),
    (110, 40, 136),
    (94, 75, 124),
    (84, 100, 103),
    (90, 100, 132),
    (108, 45, 137),
    (98, 65, 128),
    (82, 60, 84),
]


@pytest.mark.parametrize(("temperature", "humidity", "chart"), CHART)
def test_the_heat_index_is_that_of_the_chart(temperature: float, humidity: float, chart: float) -> None:
    found = heat.heat_index(np.array([celsius(temperature)]), np.array([float(humidity)]))[0]
    assert found * 1.8 + 32.0 == pytest.approx(chart, abs=1.01)  # the chart is rounded, and made without the adjustments


def test_the_two_adjustments_and_the_simple_formula() -> None:
    # By hand from the formulas of the Weather Prediction Center's page, degF: dry 100 degF at 8 %: the regression gives 94.31...
    def fahrenheit(t: float, rh: float) -> float:
        return float(heat.heat_index(np.array([celsius(t)]), np.array([rh]))[0]) * 1.8 + 32.0

    def regression(t: float, r: float) -> float:
        return (-42.379 + 2.04901523 * t + 10.14333127 * r - 0.22475541 * t * r - 0.00683783 * t**2 - 0.05481717 * r**2) + (
            0.00122874 * t**2 * r + 0.00085282 * t * r**2 - 0.00000199 * t**2 * r**2
        )

    assert fahrenheit(100, 8) == pytest.approx(regression(100, 8) - (13 - 8) / 4 * math.sqrt((17 - 5) / 17), abs=1e-9)
    assert fahrenheit(82, 95) == pytest.approx(regression(82, 95) + (95 - 85) / 10 * (87 - 82) / 5, abs=1e-9)
    assert fahrenheit(113, 8) == pytest.approx(regression(113, 8), abs=1e-9)
    assert fahrenheit(70, 50) == pytest.approx((70 + 0.5 * (70 + 61 + (70 - 68) * 1.2 + 50 * 0.094)) / 2, abs=1e-9)


def test_heat_that_the_corridor_has_seen() -> None:
    """Karachi on 20 June 2015 (about 44.8 degC; at 30 % an index above 50) and Jacobabad in June (51 degC, 15 %)."""
    karachi, jacobabad = heat.heat_index(np.array([44.8, 51.0]), np.array([30.0, 15.0]))
    assert 51.0 < karachi < 54.0
    assert 50.0 < jacobabad < 56.0


# Stull 2011, p. 2268: 20 degC and 50 % give 13.7 degC; and its table's corner where air is nearly full
def test_the_wet_bulb_of_the_paper() -> None:
    assert heat.wet_bulb(np.array([20.0]), np.array([50.0]))[0] == pytest.approx(13.7, abs=0.05)


def psychrometric(temperature: float, humidity: float) -> float:
    """Wet-bulb temperature by bisection of the psychrometric equation at 1013.25 hPa (Bolton 1980 for the vapour pressure; WMO No. 8)."""

    def saturated(t: float) -> float:
        return 6.112 * math.exp(17.67 * t / (t + 243.5))

    vapour, low, high = humidity / 100.0 * saturated(temperature), -30.0, temperature
    for _ in range(60):
        middle = 0.5 * (low + high)
        if saturated(middle) - 6.53e-4 * (1.0 + 9.44e-4 * middle) * 1013.25 * (temperature - middle) > vapour:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


@pytest.mark.parametrize("temperature", [15.0, 25.0, 35.0, 45.0, 50.0, 53.0, 55.0])
@pytest.mark.parametrize("humidity", [10.0, 20.0, 35.0, 50.0, 70.0, 90.0, 99.0])
def test_the_wet_bulb_is_near_the_psychrometric_equation(temperature: float, humidity: float) -> None:
    found = heat.wet_bulb(np.array([temperature]), np.array([humidity]))[0]
    assert found == pytest.approx(psychrometric(temperature, humidity), abs=1.0)


def test_outside_of_its_range_the_wet_bulb_is_unknown_and_humidity_is_bounded() -> None:
    t, rh = np.array([-20.1, 55.1, np.nan, 30.0, 30.0]), np.array([50.0, 50.0, 50.0, np.nan, 101.0])
    found = heat.wet_bulb(t, rh)
    assert np.isnan(found[:4]).all()
    assert found[4] == heat.wet_bulb(np.array([30.0]), np.array([99.0]))[0]
    assert heat.wet_bulb(np.array([45.0]), np.array([1.0]))[0] == heat.wet_bulb(np.array([45.0]), np.array([5.0]))[0]
    assert np.isnan(heat.heat_index(np.array([np.nan, 40.0]), np.array([40.0, np.nan]))).all()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_arc_tangent_is_the_c_librarys(value: float) -> None:
    assert normal.arctan(np.array([value]))[0] == pytest.approx(math.atan(value), abs=1e-15, rel=1e-15)


@given(st.floats(25, 50), st.floats(5, 95), st.floats(0.1, 3))
def test_hotter_is_never_less(temperature: float, humidity: float, more: float) -> None:
    pair, rh = np.array([temperature, temperature + more]), np.array([humidity, humidity])
    wet = heat.wet_bulb(pair, rh)
    assert wet[1] > wet[0]
