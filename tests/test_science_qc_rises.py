"""A rise that begins is never kept from being warned of: the flood of Ditwah as if each gauge's wave were still upstream of it; stories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pipeline_story import Story, small
from regions import edit, write_region
from test_science_qc_further import BREATHING, region

from warning import config
from warning.model import Cause
from warning.rehearsal import qc_bench, qc_judged, qc_records, qc_trial
from warning.rehearsal.qc_faults import Limits
from warning.rehearsal.qc_records import Records

CONFIG = Path(__file__).parent.parent / "config"
CHOKED_ONCE = ("URAWA", "THANAMALWILA", "DERANIYAGALA", "KITHULGALA")  # Ditwah: called attenuated while their waves were upstream
NEED_NOT_WAIT = {Cause.ATTENUATED.value, Cause.DATUM_SHIFT.value, Cause.FLAT_LINE.value, Cause.NEIGHBOUR.value}


@pytest.fixture(scope="module")
def ditwah() -> tuple[Records, Mapping[str, Limits]]:
    known = qc_records.ditwah(CONFIG)
    return known, qc_bench.limits_of(known, config.load(str(CONFIG / "sri-lanka")))


def read_each(known: Records, minutes: int, only: tuple[str, ...]) -> Records:
    """Of the stations ``only`` and their neighbours, on straight lines between the readings, to the cm; nothing where they are over three
    hours apart."""
    series = {}
    for name in {*only, *(other for one in only for other in known.near[one])}:
        time, value = known.series[name]
        times = np.arange(time[0] // 60 * 60 + 60, time[-1], minutes * 60)
        after = np.searchsorted(time, times, "right")
        held = np.diff(time)[after - 1] <= 3 * 3600
        series[name] = times[held], np.round(np.interp(times, time, value), 2)[held]
    return replace(known, series=dict(sorted(series.items())), near={name: known.near[name] for name in only})


@pytest.mark.parametrize(("minutes", "hours"), [(5, 12.0), (15, 3.0), (60, 6.0), (60, 18.0)])
def test_a_gauge_whose_wave_is_still_upstream_is_heard_when_it_comes(
    ditwah: tuple[Records, dict[str, Limits]], minutes: int, hours: float
) -> None:
    known, limits = ditwah
    found = qc_trial.behind(read_each(known, minutes, CHOKED_ONCE if minutes == 60 else CHOKED_ONCE[:1]), limits, hours)
    assert found.readings > 40
    assert not NEED_NOT_WAIT & found.waited.keys(), found


@pytest.mark.parametrize("crest", [("NAKKALA", 7.45), ("PADIYATHALAWA", 6.1), ("PITABEDDARA", 3.34), ("DERANIYAGALA", 2.43)])
def test_the_crest_of_a_river_that_is_read_every_three_hours_is_no_spike(
    ditwah: tuple[Records, dict[str, Limits]], crest: tuple[str, float]
) -> None:
    known, limits = ditwah
    (name, level), slot = crest, 3 * 3600
    time, value = known.series[name]
    seldom = np.append(True, np.diff(time // slot) > 0)
    shift = qc_trial.T0 - int(time[0]) // 86_400 * 86_400
    course = qc_judged.Course(0, time[seldom] + shift, value[seldom], time[seldom] + shift)
    found = qc_judged.judge(qc_trial.region_of([qc_trial._series(name, limits[name], qc_trial._quality(()))]), [course])
    places = np.flatnonzero(course.value == level)
    assert len(places) and not found.flagged[places].any()


# --- stories


@pytest.mark.parametrize("at_once", [False, True])
def test_a_spike_of_a_river_that_is_read_every_three_hours_is_taken_back_and_a_crest_is_not(tmp_path: Path, at_once: bool) -> None:
    for name, course, before in (("spike", (1.02, 2.4, 1.01), 1.02), ("crest", (1.6, 2.4, 2.0), 2.4)):
        story = Story(region(tmp_path / name))
        levels = [*(1.0 + BREATHING[n % 4] for n in range(24)), *course]
        for number, level in enumerate(levels):
            story.push("A", number * 180, level)
            if not at_once or number in (20, len(levels) - 1):
                story.tick(number * 180)
        assert (story.series("before_v", "A"), story.series("last_v", "A")) == (before, course[-1]), name


def cause_of(story: Story, minute: int) -> str:
    """Of the only reading of this beat that is doubted, if any is."""
    return next((cause for _, cause in story.tick(minute).flags if cause != "none"), "none")


def muted_then(tmp_path: Path, then: Callable[[float], float], every: int = 20) -> list[tuple[float, float, str, float]]:
    """A and B swing together for 36 h, then B rises by 0.1 m an hour while A breathes, for twelve hours, and goes by ``then`` (m, by the
    hours since). Of each of A's readings since: hours, m, its cause, and the newest that counts."""
    story, said = Story(region(tmp_path, "A,stage,m,B", "station,parameter,unit,neighbours")), []
    for minute in range(0, 54 * 60, every):
        swing, rise = 0.3 * np.sin(min(minute, 36 * 60) / 360 * np.pi), max(0.0, minute / 60 - 36) / 10
        story.push("B", minute, 2.0 + swing + rise)
        since = minute / 60 - 48
        level = round(1.0 + swing + then(max(since, 0.0)) + (BREATHING[minute // every % 4] if rise else 0.0), 3)
        story.push("A", minute, level)
        said.append((since, level, cause_of(story, minute), story.series("last_v", "A")))
    assert "attenuated" in {cause for since, _, cause, _ in said if since <= 0}
    return [one for one in said if one[0] > 0]


def test_what_is_called_attenuated_and_rises_counts_at_once_and_is_said(tmp_path: Path) -> None:
    said = muted_then(tmp_path, lambda since: 0.06 * since)
    assert all(last >= level for _, level, _, last in said)  # none is higher than what counts
    assert "attenuated" in {cause for _, level, cause, last in said if last == level}


def test_what_falls_while_it_is_called_attenuated_has_its_own_water_and_is_heard_when_it_rises_again(tmp_path: Path) -> None:
    said = muted_then(tmp_path, lambda since: -0.15 * min(since, 2.0) + 0.2 * max(0.0, since - 2.5))
    rising = [one for one in said if one[0] > 2.5]
    assert rising[-1][3] == max(level for _, level, _, _ in rising) > 1.3
    assert all(-0.001 <= last - level <= 0.1 for _, level, _, last in said)


def test_a_choked_well_that_only_trembles_clears_nothing(tmp_path: Path) -> None:
    said = muted_then(tmp_path, lambda since: -0.02 * (since > 0))
    assert sum(cause == "attenuated" and last > level for _, level, cause, last in said) > 6


def test_a_choked_well_that_leaps_for_one_reading_is_not_believed_and_one_that_comes_free_is_with_the_next(tmp_path: Path) -> None:
    """Over the hours since it counted last 2.5 m are no fast rise; over the 20 minutes since the reading before they are."""
    said = muted_then(tmp_path / "spikes", lambda since: -0.02 + 2.5 * (abs(since - 4.0) < 0.01 or abs(since - 5.0) < 0.01))
    assert [cause for _, level, cause, _ in said if level > 3.0] == ["rate_of_rise"] * 2
    assert all(last < 1.05 for *_, last in said)
    free = muted_then(tmp_path / "free", lambda since: -0.02 + 2.5 * (since > 3.9))
    assert [last for since, _, _, last in free if 3.9 < since < 4.5] == [pytest.approx(last, abs=0.05) for last in (0.99, 3.48)]
    assert all(last > 3.4 for since, *_, last in free if since > 4.3)


def test_a_slow_rise_in_steps_smaller_than_what_counts_as_a_change_is_no_standstill(tmp_path: Path) -> None:
    """1 cm every five minutes is 12 cm an hour; ``flat_within`` is 2 cm."""
    folder = write_region(tmp_path)
    edit(folder, "series", "A,stage,m,-0.5,20,3,3,1.5,48,0", "A,stage,m,-0.5,20,3,3,1.5,3,0.02")
    story = Story(small(folder))
    for reading in range(120):
        story.push("A", reading * 5, 1.0 + 0.01 * reading).tick(reading * 5)
        assert 1.0 + 0.01 * reading - story.series("last_v", "A") <= 0.0201
    assert story.told()[0].startswith("raise")


def test_the_next_reading_as_high_confirms_a_leap_though_it_stands(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    edit(folder, "series", "A,stage,m,-0.5,20,3,3,1.5,48,0", "A,stage,m,-0.5,20,0.5,3,1.5,3,0")
    story = Story(small(folder))
    for hour, level in ((0, 1.0), (3, 1.1), (6, 4.0), (9, 4.0)):
        story.push("A", hour * 60, level).tick(hour * 60)
    assert story.series("last_v", "A") == 4.0


def test_a_flood_that_rises_alone_along_a_line_is_said_and_counts_at_once(tmp_path: Path) -> None:
    """What a series shows over a day its readings have confirmed: no single one of them waits for the next."""
    story, said = Story(region(tmp_path, "A,stage,m,B", "station,parameter,unit,neighbours")), []
    for hour in range(108):
        story.push("B", hour * 60, 2.0 + BREATHING[hour % 4])
        level = 1.0 + BREATHING[hour % 4] + max(0, hour - 72) / 24.0
        story.push("A", hour * 60, level)
        said.append((cause_of(story, hour * 60), level, story.series("last_v", "A")))
    assert "neighbour" in {cause for cause, *_ in said}
    assert all(last == pytest.approx(level) for _, level, last in said)
    assert story.told()[0].startswith("raise")


def test_what_shows_too_little_beside_its_twin_and_leaps_for_one_reading_waits_and_is_nothing(tmp_path: Path) -> None:
    story = Story(region(tmp_path, "A,stage,m,B,0.2", "station,parameter,unit,twin,twin_within"))
    for minute, level in ((0, 2.0), (10, 2.0), (20, 1.0), (30, 1.0), (40, 2.4), (50, 1.0), (60, 1.0)):
        story.push("B", minute, 3.0 if minute > 10 else 2.0).tick(minute)
        story.push("A", minute, level).tick(minute + 1)
        assert story.series("last_v", "A") == 2.0
    for minute, level in ((70, 2.4), (80, 1.0)):  # a leap as high as the one that was none does not confirm it
        story.push("B", minute, 3.0).tick(minute)
        story.push("A", minute, level).tick(minute + 1)
        assert story.series("last_v", "A") == 2.0
    for minute, level in ((90, 2.4), (100, 2.5)):
        story.push("B", minute, 3.0).push("A", minute, level).tick(minute + 1)
    assert story.series("last_v", "A") == 2.5


def test_a_spike_that_counted_is_taken_back_though_what_follows_it_shows_too_little(tmp_path: Path) -> None:
    """Too little clears nothing, but that the water never was there it shows, as the next reading of every other gauge."""
    story = Story(region(tmp_path, "A,stage,m,B,0.2", "station,parameter,unit,twin,twin_within"))
    for minute in range(0, 80, 10):
        story.push("B", minute, 3.0 if minute > 60 else 1.0).push("A", minute, 1.0 + BREATHING[minute // 10 % 4]).tick(minute)
    levels = (1.05, 1.1, 1.12, 1.5, 1.02, 1.01)  # three that each confirm the one before, a spike slow enough to count, and back
    for minute, level in zip(range(80, 140, 10), levels, strict=True):
        story.push("B", minute, 3.0).push("A", minute, level).tick(minute)
    assert story.series("last_v", "A") == 1.12


def test_what_comes_late_from_within_a_doubt_clears_nothing_and_a_rise_counts(tmp_path: Path) -> None:
    story = Story(region(tmp_path, "A,stage,m,B,0.2", "station,parameter,unit,twin,twin_within"))
    for minute, level in ((0, 2.0), (10, 2.0), (20, 1.0), (40, 1.0)):
        story.push("B", minute, 2.0).push("A", minute, level).tick(minute + 1)
    for minute, level, last in ((30, 1.1, 2.0), (35, 2.1, 2.1)):
        assert story.push("A", minute, level).tick(60).flags == {("NOT_EVALUATED", "none"): 1}
        assert story.series("last_v", "A") == last
