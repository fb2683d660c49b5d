"""The limits on the spot: two readings or the top classes at once, an hour below to clear, and nothing that is no observation decides."""

from __future__ import annotations

import pytest
from edge_house import MINUTE_MS, START_MS

from warning.ingest.edge.limits import Judged, Seen, Watch
from warning.model import Level, Parameter
from warning.site import Rules, Sensor

LIMITS = ((Level.LOW, 2.0), (Level.MEDIUM, 3.0), (Level.HIGH, 4.0), (Level.VERY_HIGH, 5.0), (Level.EXCEPTIONAL, 6.0))
SENSOR = Sensor(
    station="A",
    parameter=Parameter.STAGE,
    unit="m",
    datum="gauge_zero",
    every_s=300,
    plausible_min=-0.5,
    plausible_max=20.0,
    limits=LIMITS,
    margin=0.1,
)


class Story:
    """Readings at minutes of a story; both clocks go on evenly unless a step is said."""

    def __init__(self, watch: Watch | None = None, sure: bool = True) -> None:
        self.watch, self.sure, self.step_ms = watch or Watch(SENSOR, Rules()), sure, 0

    def at(self, minute: float, value: float | None, *, of: float | None = None, own: bool = True) -> Judged:
        """``of``: the minute that the reading itself says; default: now."""
        even = int(minute * MINUTE_MS)
        now = START_MS + even + self.step_ms
        time_ms = now if of is None else START_MS + int(of * MINUTE_MS) + self.step_ms
        return self.watch.see(Seen(value, time_ms, now, even, self.sure, own))

    @property
    def level(self) -> Level:
        return self.watch.level


def test_two_readings_confirm_a_class_and_one_does_not() -> None:
    story = Story()
    story.at(0, 1.0)
    assert story.at(5, 4.2) is Judged.COUNTED and story.level is Level.NORMAL
    story.at(10, 4.2)
    assert story.level is Level.HIGH


def test_the_second_reading_confirms_what_both_reach() -> None:
    story = Story()
    story.at(0, 3.1)
    story.at(5, 4.9)
    assert story.level is Level.MEDIUM
    story.at(10, 4.9)
    assert story.level is Level.HIGH


def test_a_spike_between_good_readings_raises_nothing() -> None:
    story = Story()
    for minute, value in enumerate((1.0, 4.5, 1.0, 4.5, 1.0)):
        story.at(5 * minute, value)
    assert story.level is Level.NORMAL


def test_the_top_classes_stand_at_once() -> None:
    story = Story()
    story.at(0, 5.0)
    assert story.level is Level.VERY_HIGH


@pytest.mark.parametrize(("value", "level"), [(1.9994, Level.NORMAL), (1.9996, Level.LOW), (2.0, Level.LOW)])
def test_values_are_compared_to_the_millimetre(value: float, level: Level) -> None:
    story = Story()
    story.at(0, value)
    story.at(5, value)
    assert story.level is level


def test_it_clears_after_an_hour_below_the_limit_less_the_margin() -> None:
    story = Story()
    story.at(0, 4.1), story.at(5, 4.1)
    for minute in range(10, 70, 5):
        story.at(minute, 3.95)  # within the margin: not below
    assert story.level is Level.HIGH
    for minute in range(70, 130, 5):
        story.at(minute, 3.5)
    assert story.level is Level.HIGH, "55 minutes"
    story.at(130, 3.5)
    assert story.level is Level.MEDIUM, "what was reached all the while still stands"


def test_one_reading_above_begins_the_hour_anew() -> None:
    story = Story()
    story.at(0, 4.1), story.at(5, 4.1)
    for minute in range(10, 60, 5):
        story.at(minute, 1.0)
    story.at(60, 4.0)
    for minute in range(65, 120, 5):
        story.at(minute, 1.0)
    assert story.level is Level.HIGH
    story.at(125, 1.0)
    assert story.level is Level.NORMAL


def test_silence_clears_nothing_and_counts_for_nothing() -> None:
    story = Story()
    story.at(0, 4.1), story.at(5, 4.1)
    story.at(10, 1.0)
    story.at(300, 1.0)
    assert story.level is Level.HIGH, "five hours without a word are no hour of good readings"
    for minute in range(305, 365, 5):
        story.at(minute, 1.0)
    assert story.level is Level.NORMAL


@pytest.mark.parametrize(
    ("value", "of", "judged"),
    [
        (None, 0.0, Judged.MISSING),
        (25.0, 0.0, Judged.GROSS_RANGE),
        (-1.0, 0.0, Judged.GROSS_RANGE),
        (5.5, 6.0, Judged.FUTURE),
    ],
)
def test_what_is_no_observation_of_now_raises_nothing(value: float | None, of: float, judged: Judged) -> None:
    story = Story()
    assert story.at(0, value, of=of) is judged
    assert story.at(5, value, of=5 + of) is judged
    assert story.level is Level.NORMAL


def test_what_is_no_observation_does_not_clear_either() -> None:
    story = Story()
    story.at(0, 5.5)
    for minute in range(5, 200, 5):
        assert story.at(minute, None) is Judged.MISSING
    for minute in range(200, 400, 5):
        assert story.at(minute, -5.0) is Judged.GROSS_RANGE
    assert story.level is Level.VERY_HIGH


def test_an_older_reading_is_history_and_the_same_one_no_second() -> None:
    story = Story()
    story.at(10, 1.0)
    assert story.at(11, 5.5, of=5) is Judged.OLDER
    assert story.at(15, 4.2) is Judged.COUNTED
    assert story.at(16, 4.2, of=15) is Judged.SAME
    assert story.level is Level.NORMAL
    assert story.at(20, 4.2) is Judged.COUNTED and story.level is Level.HIGH


def test_a_revision_does_not_confirm_what_it_revises() -> None:
    story = Story()
    story.at(0, 1.0)
    story.at(5, 4.2)
    assert story.at(6, 4.3, of=5) is Judged.COUNTED
    assert story.level is Level.NORMAL
    story.at(10, 4.3)
    assert story.level is Level.HIGH


def test_one_that_comes_again_for_want_of_an_answer_is_no_second() -> None:
    """Without a time of its own it cannot be told from a new one but by how soon it came."""
    story = Story()
    assert story.at(0, 4.2, own=False) is Judged.COUNTED
    assert story.at(1, 4.2, own=False) is Judged.SAME
    assert story.level is Level.NORMAL
    assert story.at(5, 4.2, own=False) is Judged.COUNTED
    assert story.level is Level.HIGH


def test_with_an_unsure_clock_the_siren_still_decides() -> None:
    """The sensor's clock is years ahead, the node's is the one of its last shutdown: the water is there all the same."""
    story = Story(sure=False)
    assert story.at(0, 4.2, of=5_000_000) is Judged.COUNTED
    assert story.at(5, 4.2, of=5_000_005) is Judged.COUNTED
    assert story.level is Level.HIGH


def test_a_leap_of_a_sensors_clock_does_not_deafen() -> None:
    story = Story(sure=False)
    story.at(0, 1.0, of=5_000_000)  # set right by its GPS after that
    assert story.at(5, 5.5, of=5) is Judged.OLDER, "it could be history"
    assert story.at(10, 5.5, of=10) is Judged.COUNTED, "twice its interval without a newer one: it is not"
    assert story.level is Level.VERY_HIGH


def test_a_leap_of_the_nodes_clock_neither_clears_nor_deafens() -> None:
    story = Story()
    story.at(0, 4.1), story.at(5, 4.1)
    story.at(10, 1.0)
    story.step_ms = 24 * 60 * MINUTE_MS  # a day ahead at once
    story.watch.clock_set()
    story.at(15, 1.0)
    assert story.level is Level.HIGH, "ten minutes have passed, whatever the time of day says"
    story.step_ms = -24 * 60 * MINUTE_MS
    story.watch.clock_set()
    assert story.at(20, 5.5) is Judged.COUNTED
    assert story.level is Level.VERY_HIGH


def test_what_stood_before_a_restart_stands_and_clears_by_readings() -> None:
    story = Story(Watch(SENSOR, Rules(), Level.HIGH))
    for minute in range(0, 60, 5):
        story.at(minute, 1.0)
    assert story.level is Level.HIGH
    story.at(60, 1.0)
    assert story.level is Level.NORMAL


def test_history_that_is_sent_late_raises_nothing() -> None:
    """A logger hands over its night within a minute: the flood of the night is over."""
    story = Story()
    for number in range(60):
        assert story.at(number / 60, 5.5, of=-600 + 5 * number) is Judged.STALE
    story.at(1.5, 1.0)
    assert story.level is Level.NORMAL


def test_a_sensor_that_writes_local_time_for_utc_is_heard() -> None:
    """Five hours behind, but as fast as time goes: its clock is wrong, its water is of now."""
    story = Story()
    assert story.at(0, 4.2, of=-300) is Judged.STALE
    assert story.at(5, 4.2, of=-295) is Judged.COUNTED
    assert story.at(10, 4.2, of=-290) is Judged.COUNTED
    assert story.level is Level.HIGH


def test_a_node_whose_time_was_set_a_day_ahead_and_back_is_not_deaf() -> None:
    story = Story()
    story.step_ms = 24 * 60 * MINUTE_MS
    story.at(0, 1.0)
    story.step_ms = 0
    assert story.at(5, 5.5) is Judged.COUNTED
    assert story.level is Level.VERY_HIGH


def test_a_series_without_limits_says_so() -> None:
    watch = Watch(Sensor(station="B", parameter=Parameter.STAGE, unit="m", datum="gauge_zero", every_s=300), Rules())
    assert watch.see(Seen(9.0, START_MS, START_MS, 0, True, True)) is Judged.NO_LIMITS
    assert watch.level is Level.NORMAL
