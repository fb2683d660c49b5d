"""Totals and tips of a bucket -> mm since the reading before: resets, roll-over, late and revised readings, however the log is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warning.science.rain_counters import FIELDS, HOUR_S, KEPT, Rules, convert

DAY = 1_756_684_800 // 86_400 * 86_400  # midnight UTC
MINUTE = 60


class Counter:
    """One series, fed in beats; ``mm``: time -> the increment that stands, as quality control and windows are told."""

    def __init__(self, reset_s: int = -1, roll_over: float = np.nan, greatest: float = np.nan) -> None:
        self.arrays = {name: np.zeros((1, *shape), dtype) for name, (dtype, shape) in FIELDS.items()}
        self.rules = Rules(np.array([True]), np.array([reset_s]), np.array([roll_over]), np.array([greatest]))
        self.mm: dict[int, float] = {}

    def beat(self, *readings: tuple[int, float]) -> list[float]:
        times, values = np.array([one[0] for one in readings], np.int64), np.array([one[1] for one in readings], float)
        done = convert(self.arrays, self.rules, np.zeros(len(times), np.intp), times, values)
        for name, rows, new in done.fields:
            self.arrays[name][rows] = new
        for time, mm in zip(times.tolist(), done.mm.tolist(), strict=True):
            if mm == mm:
                self.mm[time] = mm
        self.mm.update(zip(done.time_s.tolist(), done.more.tolist(), strict=True))
        return done.mm.tolist()

    @property
    def total(self) -> float:
        return round(sum(self.mm.values()), 3)


def at(hour: float) -> int:
    return DAY + round(hour * 3600)


def test_a_total_since_nine_is_what_fell_between_its_readings() -> None:
    gauge = Counter(reset_s=3 * HOUR_S + HOUR_S // 2)  # 09:00 in Colombo
    assert gauge.beat((at(4), 2.0)) == [2.0]  # the first: all since 03:30
    assert gauge.beat((at(4.5), 2.0)) == [0.0]
    assert gauge.beat((at(5), 14.5)) == [12.5]
    assert gauge.beat((at(27), 15.0)) == [pytest.approx(0.023, abs=0.001)]  # 22 h without a word: 0.5 mm shared out over them
    assert gauge.beat((at(27.5), 15.0)) == [0.0]  # read at the reset: the day that ends
    assert gauge.beat((at(28), 1.5)) == [1.5]  # begins again
    assert gauge.beat((at(29), 4.0)) == [2.5]
    assert gauge.total == 15.0 + 4.0


def test_a_total_that_is_set_back_late_brings_nothing_twice() -> None:
    gauge = Counter(reset_s=9 * HOUR_S)
    gauge.beat((at(8.75), 30.0))
    assert gauge.beat((at(9.25), 31.0)) == [1.0]  # not set back yet: not 31 mm in a quarter of an hour
    assert gauge.beat((at(9.5), 0.5)) == [0.5]
    assert gauge.total == 31.5


def test_more_than_an_hour_after_the_reset_a_larger_total_is_of_the_new_day() -> None:
    gauge = Counter(reset_s=9 * HOUR_S)
    gauge.beat((at(8), 3.0))
    gauge.beat((at(12), 60.0))
    assert [gauge.mm[at(hour)] for hour in (10, 11, 12)] == [20.0, 20.0, 20.0]


def test_a_counter_begins_again_rolls_over_or_is_corrected() -> None:
    again = Counter()
    again.beat((at(1), 80.0))
    assert again.beat((at(1.5), 0.4)) == [0.4]
    over = Counter(roll_over=65_536 * 0.2)
    over.beat((at(1), 65_530 * 0.2))
    assert over.beat((at(1.5), 4 * 0.2)) == [2.0]
    corrected = Counter()
    corrected.beat((at(1), 50.2))
    assert corrected.beat((at(1.5), 50.0)) == [0.0]  # and not 50 mm in half an hour
    assert corrected.beat((at(2), 50.6)) == [0.6]


def test_one_impossible_count_is_not_believed_and_two_that_agree_are_a_new_counter() -> None:
    gauge = Counter(greatest=150.0)
    gauge.beat((at(1), 10.0))
    assert gauge.beat((at(1.25), 999.0)) == [989.0]  # as it is: gross range refuses it
    assert gauge.beat((at(1.5), 12.0)) == [2.0]
    changed = Counter(greatest=150.0)
    changed.beat((at(1), 10.0))
    changed.beat((at(1.25), 4000.0))
    assert changed.beat((at(1.5), 4003.0)) == [3.0]
    assert changed.mm == {at(1): 0.0, at(1.25): 0.0, at(1.5): 3.0}


def test_a_late_reading_splits_the_increment_that_it_lies_in() -> None:
    gauge = Counter()
    gauge.beat((at(1), 10.0))
    gauge.beat((at(1.5), 30.0))
    assert gauge.mm[at(1.5)] == 20.0
    assert gauge.beat((at(1.25), 14.0)) == [4.0]
    assert (gauge.mm[at(1.5)], gauge.total) == (16.0, 20.0)
    gauge.beat((at(1.25), 24.0))  # and is revised
    assert (gauge.mm[at(1.25)], gauge.mm[at(1.5)], gauge.total) == (14.0, 6.0, 20.0)
    assert gauge.beat((at(1.25), 24.0)) == [14.0]  # the same again changes nothing
    assert gauge.total == 20.0


def test_a_day_of_silence_has_not_brought_its_rain_in_the_last_hour() -> None:
    gauge = Counter()
    gauge.beat((at(1.5), 0.0))
    gauge.beat((at(25.5), 120.0))
    assert gauge.mm[at(2)] == 2.5 and gauge.mm[at(25.5)] == 2.5
    assert all(gauge.mm[at(hour)] == 5.0 for hour in range(3, 26))
    assert gauge.total == 120.0
    gauge.beat((at(13.5), 120.0))  # late: all of it fell in the first half
    assert gauge.mm[at(20)] == 0.0 and gauge.mm[at(5)] == 10.0
    assert gauge.total == 120.0


def test_what_is_older_than_what_is_kept_changes_nothing() -> None:
    gauge = Counter()
    for number in range(KEPT + 3):
        gauge.beat((at(1) + 15 * MINUTE * number, 2.0 * number))
    assert np.isnan(gauge.beat((at(1) + MINUTE, 1.0))[0])
    assert gauge.total == 2.0 * (KEPT + 2)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[tuple[int, float]], list[int]]:
    """Readings of a counter in the order in which they come, some late, repeated or revised, and where beats end."""
    count = draw(st.integers(2, 12))
    gaps = draw(st.lists(st.sampled_from([5, 15, 30, 60, 95, 400]), min_size=count, max_size=count))
    steps = draw(st.lists(st.sampled_from([0.0, 0.2, 3.0, 40.0, -500.0]), min_size=count, max_size=count))
    time, mm, readings = DAY, 20.0, []
    for gap, step in zip(gaps, steps, strict=True):
        time, mm = time + gap * MINUTE, max(0.0, round(mm + step, 1))
        readings.append((time, mm))
    more = draw(st.lists(st.sampled_from(readings), max_size=3))
    revised = [(time, mm + 0.6) for time, mm in draw(st.lists(st.sampled_from(readings), max_size=2))]
    return draw(st.permutations([*readings, *more, *revised])), draw(st.lists(st.integers(1, count), max_size=6, unique=True))


@settings(max_examples=80, deadline=None)
@given(stories(), st.sampled_from([(-1, np.nan, np.nan), (9 * HOUR_S, np.nan, np.nan), (-1, np.nan, 50.0), (6 * HOUR_S, 60.0, 30.0)]))
def test_however_the_log_is_cut_the_same_rain_stands(
    story: tuple[list[tuple[int, float]], list[int]], rule: tuple[int, float, float]
) -> None:
    readings, ends = story
    one_by_one, cut, sorted_by_time = Counter(*rule), Counter(*rule), Counter(*rule)
    for reading in readings:
        one_by_one.beat(reading)
    for begin, end in zip([0, *sorted(ends)], [*sorted(ends), len(readings)], strict=True):
        if readings[begin:end]:
            cut.beat(*readings[begin:end])
    stands = sorted(dict(readings).items())
    sorted_by_time.beat(*stands)

    def rain(counter: Counter) -> dict[int, float]:
        return {time: mm for time, mm in counter.mm.items() if mm}

    assert rain(one_by_one) == rain(cut) == rain(sorted_by_time)
    for name in FIELDS:
        assert np.array_equal(one_by_one.arrays[name], cut.arrays[name]), name


def test_many_series_at_once_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(5)
    series, beats = 40, 30
    arrays = {name: np.zeros((series, *shape), dtype) for name, (dtype, shape) in FIELDS.items()}
    reset_s = np.where(np.arange(series) % 2, 9 * HOUR_S, -1)
    rules = Rules(np.ones(series, np.bool_), reset_s, np.full(series, np.nan), np.full(series, 100.0))
    alone = [Counter(int(each), np.nan, 100.0) for each in reset_s]
    counts = np.zeros(series)
    for beat in range(beats):
        counts = np.where(rng.random(series) < 0.05, 0.0, counts + rng.integers(0, 30, series) * 0.2)
        rows = np.flatnonzero(rng.random(series) < 0.8)
        times = np.full(len(rows), DAY + (beat + 1) * 15 * MINUTE)
        done = convert(arrays, rules, rows, times, counts[rows])
        for name, where, new in done.fields:
            arrays[name][where] = new
        for row, time, mm in zip(rows.tolist(), times.tolist(), done.mm.tolist(), strict=True):
            assert alone[row].beat((time, float(counts[row]))) == [mm]
    for row, counter in enumerate(alone):
        for name in FIELDS:
            assert np.array_equal(arrays[name][row], counter.arrays[name][0]), (row, name)
