"""Accumulations from the windows, sums of days and the antecedent precipitation index, against plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warning.science import rainfall, windows

DAY = 1_756_684_800
HOUR = 3600
Readings = list[tuple[int, float]]


class Gauge:
    """One series, a beat a reading."""

    def __init__(self) -> None:
        self.s = {name: np.zeros((1, *shape), dtype) for name, (dtype, shape) in windows.FIELDS.items()}
        self.r = {name: np.zeros((1, *shape), dtype) for name, (dtype, shape) in rainfall.FIELDS.items()}
        self.newest = 0

    def take(self, *readings: tuple[int, float]) -> Gauge:
        row = np.zeros(len(readings), np.intp)
        times, mm = np.array([one[0] for one in readings], np.int64), np.array([one[1] for one in readings], float)
        self.newest = max(self.newest, *times.tolist())
        for change in windows.fold(self.s, row, times, mm, np.full(len(row), self.newest)):
            for name, values in change.fields.items():
                self.s[name][change.row, change.slot] = values
        for name, index, values in rainfall.remember(self.r, row, times, mm):
            self.r[name][index] = values
        return self

    def fell(self, now_s: int | None = None) -> dict[int, float]:
        found = rainfall.accumulations(self.s, np.array([0]), self.newest if now_s is None else now_s)
        return {hours: float(mm[0]) for hours, mm in found.items()}

    def index(self, now_s: int, decay: float = rainfall.DECAY) -> float:
        return float(rainfall.api(self.r, np.array([0]), now_s, decay)[0])


def plain(readings: Readings, hours: int) -> float:
    newest = max(time for time, _ in readings)
    return math.fsum(mm for time, mm in readings if newest - hours * HOUR < time <= newest)


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_readings_on_full_quarters_are_summed_exactly_up_to_the_newest(minutes: int) -> None:
    rng = np.random.default_rng(minutes)
    readings = [(DAY + step * minutes * 60, round(float(mm), 1)) for step, mm in enumerate(rng.gamma(0.5, 4.0, 80 * 60 // minutes))]
    gauge = Gauge()
    for reading in readings:
        gauge.take(reading)
    for hours in (1, 3, 6):
        assert gauge.fell()[hours] == pytest.approx(plain(readings, hours), abs=1e-4)
    assert 0.9 * plain(readings, 24) <= gauge.fell()[24] <= plain(readings, 24) + 1e-3
    assert 0.85 * plain(readings, 72) <= gauge.fell()[72] <= plain(readings, 72) + 1e-3


@pytest.mark.parametrize("minutes", [1, 5, 10])
def test_of_a_bucket_that_the_hour_begins_in_its_part_counts(minutes: int) -> None:
    gauge = Gauge()
    for step in range(420 // minutes):
        gauge.take((DAY + step * minutes * 60, 0.1 * minutes))
        if step * minutes > 240:
            found = gauge.fell()
            assert found[1] == pytest.approx(6.0, abs=0.1 * minutes + 1e-5)
            assert found[3] == pytest.approx(18.0, abs=0.1 * minutes + 1e-5)


def test_accumulations_end_at_the_newest_reading_and_not_now() -> None:
    gauge = Gauge().take((DAY + HOUR, 20.0)).take((DAY + 2 * HOUR, 30.0))
    assert gauge.fell(DAY + 6 * HOUR) == {1: 30.0, 3: 50.0, 6: 50.0, 24: 50.0, 72: 50.0}  # a satellite's rain is hours late
    assert rainfall.newest(gauge.s, np.array([0])).tolist() == [DAY + 2 * HOUR]
    gauge.take((DAY + 90 * HOUR, 0.0))
    assert gauge.fell() == {1: 0.0, 3: 0.0, 6: 0.0, 24: 0.0, 72: 0.0}


def test_a_series_that_never_spoke_has_no_rain_known() -> None:
    gauge = Gauge()
    assert all(math.isnan(mm) for mm in gauge.fell(DAY).values())
    assert (rainfall.newest(gauge.s, np.array([0])).tolist(), gauge.index(DAY)) == ([0], 0.0)


def test_late_readings_fall_into_their_own_hours() -> None:
    gauge = Gauge().take((DAY + HOUR, 1.0)).take((DAY + 4 * HOUR, 2.0)).take((DAY + 3 * HOUR, 40.0))
    assert gauge.fell() == {1: 2.0, 3: 42.0, 6: 43.0, 24: 43.0, 72: 43.0}


def test_the_index_is_kohlers_and_linsleys() -> None:
    gauge, daily = Gauge(), [12.0, 0.0, 30.0, 4.0, 0.0, 55.0]
    expected = 0.0
    for day, mm in enumerate(daily):
        for hour in (6, 24):  # 24: midnight is the end of the day that was
            gauge.take((DAY + day * 86_400 + hour * HOUR, mm / 2))
        expected = 0.9 * expected + mm
        assert gauge.index(DAY + (day + 1) * 86_400 - 1) == pytest.approx(expected)
    for more in range(1, 40):  # dry days
        now = DAY + (len(daily) + more) * 86_400 - 1
        exact = expected * 0.9**more
        assert -1e-9 <= exact - gauge.index(now) <= sum(daily) * 0.9**32
    assert gauge.index(DAY + 40 * 86_400) == 0.0
    assert gauge.index(DAY + 6 * 86_400 - 1, decay=0.5) == pytest.approx(55.0 + 0.25 * 4 + 0.125 * 30 + 0.03125 * 12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40 * 24 * 4), st.sampled_from([0.0, 0.2, 5.0, 60.0])), min_size=1, max_size=30),
    st.lists(st.integers(1, 29), max_size=4, unique=True),
)
def test_sums_of_days_do_not_depend_on_the_beats(quarters: list[tuple[int, float]], ends: list[int]) -> None:
    readings = [(DAY + quarter * 900 + 1, mm) for quarter, mm in quarters]
    cut, alone = Gauge(), Gauge()
    for begin, end in zip([0, *sorted(ends)], [*sorted(ends), len(readings)], strict=True):
        if readings[begin:end]:
            cut.take(*sorted(readings[begin:end]))
    for reading in readings:
        alone.take(reading)
    newest = max(time for time, _ in readings)
    days: dict[int, float] = {}
    for time, mm in readings:
        days[(time - 1) // 86_400] = days.get((time - 1) // 86_400, 0.0) + mm
    held = {day: mm for day, mm in days.items() if day > (newest - 1) // 86_400 - rainfall.DAYS}
    expected = math.fsum(mm * 0.9 ** ((newest - 1) // 86_400 - day) for day, mm in held.items())
    assert cut.index(newest - 1) == pytest.approx(expected, abs=1e-6) == alone.index(newest - 1)
