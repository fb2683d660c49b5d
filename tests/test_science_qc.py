"""Quality control as stories: readings in, flag and cause out. Limits: -0.5 to 20 m, 3 m/h up and down, spike 1.5 m, flat after 48 h."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pipeline_story import Story, small
from regions import edit, write_region

from warning import config
from warning.science import windows


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(small(write_region(tmp_path)))


def flags(
    story: Story, *points: tuple[float, float | None], tick: float | None = None, received: float | None = None
) -> dict[tuple[str, str], int]:
    for minute, value in points:
        story.push("A", minute, value, received=received)
    return story.tick(max(minute for minute, _ in points) if tick is None else tick).flags


@pytest.mark.parametrize(
    ("value", "flag", "cause"),
    [
        (1.0, "GOOD", "none"),
        (-0.5, "GOOD", "none"),
        (-0.51, "FAIL", "gross_range"),
        (20.01, "FAIL", "gross_range"),
        (None, "MISSING", "missing"),
        (-999.0, "MISSING", "sentinel"),
        (-9999.0, "MISSING", "sentinel"),
        (-999999.0, "MISSING", "sentinel"),
        (-888.0, "MISSING", "sentinel"),
    ],
)
def test_one_reading(story: Story, value: float | None, flag: str, cause: str) -> None:
    assert flags(story, (0, value)) == {(flag, cause): 1}


def test_future_is_told_by_the_gateway_and_by_the_log(story: Story) -> None:
    assert flags(story, (5.0, 1.0), tick=0.0, received=0.0) == {("GOOD", "none"): 1}
    assert flags(story, (11.0, 1.0), tick=5.0, received=5.5) == {("FAIL", "future"): 1}
    assert flags(story, (20.0, 1.0), tick=6.0, received=20.0) == {("FAIL", "future"): 1}  # the gateway's clock is wrong too


def test_the_year_1_is_no_time(story: Story) -> None:
    story.push("A", -1_000_000_000, 1.0, received=0)
    out = story.tick(0)
    assert out.flags == {("FAIL", "stale"): 1}
    assert [(one.stage, one.reason) for one in out.rejected] == [("qc", "stale")]


def test_a_failed_reading_is_kept_with_its_reason_and_scores_nothing(story: Story) -> None:
    story.push("A", 0, 99.0)
    out = story.tick(0)
    assert (out.rejected[0].reason, out.rejected[0].stage) == ("gross_range", "qc")
    assert "99 m is outside -0.5 to 20" in out.rejected[0].detail
    assert '"value":99.0' in out.rejected[0].record
    assert (out.applied, out.alerts, story.hazards["A"].value) == (0, (), None)


def test_the_same_again_is_a_duplicate_and_another_value_a_revision(story: Story) -> None:
    assert flags(story, (0, 1.0), (0, 1.0)) == {("GOOD", "none"): 1, ("NOT_EVALUATED", "duplicate"): 1}
    assert flags(story, (0, 1.0), tick=1) == {("NOT_EVALUATED", "duplicate"): 1}
    assert flags(story, (0, 1.2), tick=2) == {("GOOD", "revision"): 1}
    assert story.series("last_v", "A") == 1.2
    assert flags(story, (0, 1.2), tick=3) == {("NOT_EVALUATED", "duplicate"): 1}


def test_within_a_beat_the_last_value_of_a_time_stands(story: Story) -> None:
    assert flags(story, (0, 1.0), (0, 2.0), (0, 1.5)) == {("GOOD", "none"): 1, ("GOOD", "revision"): 2}
    assert story.series("last_v", "A") == 1.5


def test_a_flash_flood_that_the_next_reading_confirms_is_real(story: Story) -> None:
    flags(story, (0, 1.0))
    assert flags(story, (15, 4.5)) == {("SUSPECT", "rate_of_rise"): 1}
    assert story.series("last_v", "A") == 1.0
    assert flags(story, (30, 4.9)) == {("GOOD", "none"): 1}
    assert (story.series("last_v", "A"), story.series("before_v", "A"), story.series("pending_t", "A")) == (4.9, 4.5, 0)


def test_a_reading_that_jumps_and_returns_was_a_spike(story: Story) -> None:
    flags(story, (0, 1.0))
    flags(story, (15, 4.5))
    assert flags(story, (30, 1.1)) == {("GOOD", "none"): 1}
    assert (story.series("last_v", "A"), story.series("before_v", "A")) == (1.1, 1.0)


def test_beats_do_not_change_the_judgement_of_a_confirmed_rise(tmp_path: Path) -> None:
    points = [(0, 1.0), (15, 4.5), (30, 4.9), (45, 5.0)]
    one, many = Story(small(write_region(tmp_path / "a"))), Story(small(write_region(tmp_path / "b")))
    assert flags(one, *points) == {("GOOD", "none"): 4}
    for point in points:
        flags(many, point)
    assert one.series("last_v", "A") == many.series("last_v", "A") == 5.0
    assert (one.state.s["w_count"][0] == many.state.s["w_count"][0]).all()
    assert (one.state.s["w_max"][0] == many.state.s["w_max"][0]).all()


def test_a_slow_spike_is_found_when_the_next_sample_is_there_and_taken_out_of_the_windows(story: Story) -> None:
    flags(story, (0, 1.0), (60, 1.0), (120, 3.4))  # 2.4 m/h is possible
    assert highest_in_a_day(story) == pytest.approx(3.4)
    flags(story, (180, 1.0))
    assert (story.series("last_v", "A"), story.series("before_v", "A")) == (1.0, 1.0)
    assert highest_in_a_day(story) == pytest.approx(1.0)


def highest_in_a_day(story: Story) -> float:
    return float(windows.features(story.state.s, np.array([0]), story.state.now_ms // 1000)["24h"]["max"][0])


def test_a_fall_that_is_too_fast_is_suspect_and_does_not_clear(story: Story) -> None:
    told = story.course("A", [(0, 6.5), (15, 0.1)])
    assert told == ["raise EXCEPTIONAL"]
    assert story.hazards["A"].level.value == "EXCEPTIONAL"
    assert [reason.code for reason in story.hazards["A"].reasons if reason.code == "suspect"] == ["suspect"]


def test_flat_line_is_by_elapsed_time_not_by_samples(story: Story) -> None:
    assert flags(story, *[(minute, 1.0) for minute in range(300)]) == {("GOOD", "none"): 300}
    assert flags(story, (48 * 60 - 1, 1.0)) == {("GOOD", "none"): 1}
    assert flags(story, (48 * 60, 1.0)) == {("SUSPECT", "flat_line"): 1}
    assert flags(story, (48 * 60 + 5, 1.01)) == {("GOOD", "none"): 1}


def test_a_test_without_a_limit_is_not_evaluated(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    edit(folder, "series", "A,stage,m,-0.5,20,3,3,1.5,48,0", "A,stage,m,,,,,,,")
    edit(folder, "limits", "A,stage,m,2,3,4,5,6,test,2025,1", "A,stage,m,2,3,4,5,6,test,2025,1")
    story = Story(config.load(folder))
    assert flags(story, (0, 500.0)) == {("NOT_EVALUATED", "none"): 1}


def test_a_limit_of_zero_is_a_limit(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    edit(folder, "series", "A,stage,m,-0.5,20,3,3,1.5,48,0", "A,stage,m,0,20,3,3,,,")
    region = config.load(folder)
    stations = tuple(replace(one, series=tuple(replace(series, rise_per_hour=0.0) for series in one.series)) for one in region.stations)
    story = Story(replace(region, stations=stations))
    assert flags(story, (0, -0.001)) == {("FAIL", "gross_range"): 1}
    flags(story, (1, 1.0))
    assert flags(story, (31, 1.001)) == {("SUSPECT", "rate_of_rise"): 1}


def test_late_readings_correct_the_history_and_move_nothing_back(story: Story) -> None:
    flags(story, (60, 1.0), (120, 1.2))
    assert flags(story, (90, 1.1), tick=130) == {("NOT_EVALUATED", "none"): 1}
    assert (story.series("last_v", "A"), story.series("before_v", "A")) == (1.2, 1.1)
    assert flags(story, (30, 0.9), tick=131) == {("NOT_EVALUATED", "none"): 1}
    assert (story.series("last_v", "A"), story.series("before_v", "A")) == (1.2, 1.1)


def test_what_is_too_late_to_tell_apart_is_kept_as_stale(story: Story) -> None:
    flags(story, (80 * 60, 1.0))
    story.push("A", 0, 1.0)
    out = story.tick(80 * 60 + 1)
    assert out.flags == {("NOT_EVALUATED", "stale"): 1}
    assert [one.reason for one in out.rejected] == ["stale"]
    assert out.applied == 0
