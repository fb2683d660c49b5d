"""Further tests of quality control as stories: by a series' own past, by others, by the season; however beats are cut."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pipeline_story import Story, small
from regions import edit, write_region

from warning import config
from warning.errors import ConfigError
from warning.region import Region
from warning.science import qc_activity, windows

Point = tuple[float, float]
BREATHING = (0.0, 0.01, 0.0, -0.01)  # m: what a calm river does


def region(tmp_path: Path, quality: str = "*,stage,m,2", header: str = "station,parameter,unit,gap_after_h", **more: str) -> Region:
    folder = write_region(tmp_path)
    (folder / "quality.csv").write_text(f"{header}\n{quality}\n", "utf-8")
    for name, text in more.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    return small(folder)


def calm(hours: float, level: float = 1.0, begin: float = 0.0, every: float = 10.0) -> list[Point]:
    return [(begin + n * every, level + BREATHING[n % 4]) for n in range(int(hours * 60 / every))]


def fed(story: Story, points: Sequence[Point], station: str = "A", at_once: bool = False) -> list[tuple[str, str]]:
    """(flag, cause) of each reading on its arrival; of a whole beat the flags that are not GOOD."""
    if at_once:
        for minute, value in points:
            story.push(station, minute, value)
        return sorted(story.tick(points[-1][0]).flags)
    return [next(iter(story.push(station, minute, value).tick(minute).flags)) for minute, value in points]


def causes(found: Sequence[tuple[str, str]]) -> set[str]:
    return {cause for _, cause in found}


# --- by its own past


def test_a_spike_below_the_fixed_threshold_is_exposed_by_what_is_usual(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6))
    assert fed(story, [(360, 1.4)]) == [("GOOD", "none")]  # 0.4 m: neither too fast nor, yet, a spike
    fed(story, [(370, 1.0)])
    assert (story.series("last_v", "A"), story.series("before_v", "A")) == (1.0, pytest.approx(0.99))


@pytest.mark.parametrize("value", [1.15, 0.85])
def test_what_departs_by_less_than_the_least_size_is_no_spike(tmp_path: Path, value: float) -> None:
    story = Story(region(tmp_path))
    fed(story, [*calm(6), (360, value), (370, 1.0)])
    assert story.series("before_v", "A") == value


def test_a_crest_is_no_spike(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    crest = [(360, 1.4), (370, 1.9), (380, 2.3), (390, 2.1), (400, 1.8), (410, 1.6)]
    assert causes(fed(story, [*calm(6), *crest])) == {"none"}
    assert story.series("before_v", "A") == 1.8


def test_a_standstill_longer_than_three_times_the_longest_is_a_flat_line(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6))
    found = fed(story, [(360 + 10 * n, 1.0) for n in range(24)])
    assert found.index(("SUSPECT", "flat_line")) == 19  # 190 minutes after the first 1.0: three hours are allowed
    assert causes(fed(story, [(620, 1.02)])) == {"none"}


def test_a_river_that_often_stands_still_may_do_so_for_longer(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, [(120 * n + 10 * k, 1.0 + 0.01 * (n % 2)) for n in range(12) for k in range(12)])  # two hours each
    assert causes(fed(story, [(1440 + 10 * n, 1.05) for n in range(36)])) == {"none"}  # six hours are allowed


def test_a_step_that_stays_is_a_datum_shift_until_an_operator_accepts_it(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6))
    found = fed(story, calm(4, 1.4, 360))
    assert found.index(("SUSPECT", "datum_shift")) == 12  # two hours
    assert found[12:] == [("SUSPECT", "datum_shift")] * 12
    assert story.series("last_v", "A") > 1.3  # upwards it counts: it may be the water
    for name in ("shift_t", "shift_from", "shift_by", "shift_n", "shift_said"):  # as ``pipeline.flagged`` accepts it
        story.state.s[name][0] = 0
    assert causes(fed(story, calm(1, 1.4, 600))) == {"none"}


def test_a_zero_that_comes_back_after_its_shift_was_taken_for_the_level_is_no_second_shift(tmp_path: Path) -> None:
    story, hourly = Story(region(tmp_path)), 60.0
    fed(story, calm(12, 1.0, 0.0, hourly))
    away = fed(story, calm(96, 0.6, 12 * hourly, hourly))
    assert away[3:73] == [("SUSPECT", "datum_shift")] * 70
    assert causes(away[76:]) == {"none"}  # nobody said anything for three days: it is the level now
    other = copy.deepcopy(story)
    assert causes(fed(story, calm(12, 1.0, 108 * hourly, hourly))[1:]) == {"none"}
    assert ("SUSPECT", "datum_shift") in fed(story, calm(12, 0.6, 120 * hourly, hourly))  # once
    assert ("SUSPECT", "datum_shift") in fed(other, calm(12, 1.3, 108 * hourly, hourly))  # as great as another


def test_a_shift_of_a_state_from_before_is_held_until_its_three_days_are_over(tmp_path: Path) -> None:
    """Then ``shift_n`` counted to 255 while the shift was said: four hours, where a gauge is read each minute."""
    story = Story(region(tmp_path))
    fed(story, calm(12, 1.0, 0.0, 60.0))
    assert fed(story, calm(8, 0.6, 720.0, 60.0))[3:] == [("SUSPECT", "datum_shift")] * 5
    story.state.s["shift_n"][0] = 255
    assert fed(story, calm(20, 0.6, 1200.0, 60.0)) == [("SUSPECT", "datum_shift")] * 20


def test_a_step_down_does_not_count_once_it_is_a_datum_shift_and_a_rise_does(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6, 2.5))
    assert fed(story, calm(4, 2.1, 360))[-1] == ("SUSPECT", "datum_shift")
    last = story.series("last_t", "A")
    fed(story, [(600, 2.1)])
    assert story.series("last_t", "A") == last
    fed(story, [(610, 2.6), (620, 2.7)])
    assert story.series("last_v", "A") == 2.7


def test_a_step_that_a_neighbour_shares_is_the_water(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    for minute, value in calm(6):
        story.push("A", minute, value).push("B", minute, value + 1).tick(minute)
    found = []
    for minute, value in calm(4, 1.4, 360):
        found += list(story.push("A", minute, value).push("B", minute, value + 1.2).tick(minute).flags)
    assert "datum_shift" not in causes(found)


def test_a_step_over_a_gap_is_no_datum_shift_and_says_gap(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6))
    found = fed(story, calm(6, 1.6, 360 + 600))
    assert found[0] == ("NOT_EVALUATED", "gap")
    assert causes(found[1:]) == {"none"}


# --- a flood is a flood


NAKKALA = [(0, 1.16), (60, 1.18), (120, 1.22), (180, 1.31), (240, 4.7), (300, 6.1), (360, 7.4), (420, 8.1), (480, 8.65), (540, 8.2)]


@pytest.mark.parametrize(
    "flood",
    [
        NAKKALA,  # 3.4 m in an hour
        [*calm(5), *((300 + 10 * n, 0.4 + 1.9 * n) for n in range(1, 6)), (360, 9.0), (370, 8.6), (380, 8.0)],  # as in the Cevennes
    ],
)
def test_a_flash_flood_never_fails_and_the_next_reading_confirms_it(tmp_path: Path, flood: list[Point]) -> None:
    story = Story(region(tmp_path))
    found = fed(story, flood)
    assert "FAIL" not in {flag for flag, _ in found}
    highest = max(value for _, value in flood)
    assert float(story.state.s["w_max"][0].max()) == pytest.approx(highest)
    assert story.told()[0].startswith("raise")


@pytest.mark.parametrize("seed", range(3))
def test_what_is_decided_does_not_depend_on_how_beats_are_cut(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    steps = random.normal(0, 0.02, 400)
    steps[random.integers(60, 400, 6)] += random.choice((-1.0, 1.0), 6) * random.uniform(0.3, 2.0, 6)
    value = np.round(2.0 + np.cumsum(steps), 2)
    value[random.integers(60, 400, 8)] += 0.8
    value[200:240] = value[199]
    points = [(10.0 * n, float(each)) for n, each in enumerate(value)]
    stories = []
    for number, size in enumerate((1, 7, 400)):
        story = Story(region(tmp_path / str(number), "A,stage,m,2"))
        for begin in range(0, len(points), size):
            for minute, each in points[begin : begin + size]:
                story.push("A", minute, each)
            story.tick(points[min(begin + size, len(points)) - 1][0])
        stories.append(story)
    one, *others = stories
    now_s = one.state.now_ms // 1000
    for other in others:
        for name in ("last_t", "last_v", "before_t", "before_v", "pending_t", "seen_t", "flat_t", *qc_activity.FIELDS):
            assert other.series(name, "A") == one.series(name, "A"), name
        for window, known in windows.features(one.state.s, np.array([0]), now_s).items():
            found = windows.features(other.state.s, np.array([0]), now_s)[window]
            assert found["count"][0] == known["count"][0], window
            for name in ("min", "max", "mean", "last"):
                assert float(found[name][0]) == pytest.approx(float(known[name][0]), abs=1e-4, nan_ok=True)


def test_late_readings_do_not_change_what_is_usual(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6))
    usual = story.series("usual", "A")
    assert story.push("A", 5, 1.7).tick(371).flags == {("NOT_EVALUATED", "none"): 1}
    assert story.series("usual", "A") == usual


# --- by others and by the season


def test_the_season(tmp_path: Path) -> None:
    text = "station,parameter,unit,month,least,greatest,source\nA,stage,m,8,0.5,1.5,made up\nA,stage,m,9,0.5,4,made up\n"
    story = Story(region(tmp_path, "B,stage,m,2", climatology=text))
    assert fed(story, [(0, 1.0), (20, 1.6), (30, 1.7), (40, 1.8)]) == [("GOOD", "none"), *[("SUSPECT", "climatology")] * 3]
    assert story.series("last_v", "A") == 1.8  # the second confirmed the first, and a run counts
    assert fed(story, [(80, 0.4)]) == [("SUSPECT", "climatology")]
    assert story.series("last_v", "A") == 1.8  # too low counts nowhere: it must not clear


def test_a_twin_that_says_otherwise(tmp_path: Path) -> None:
    story = Story(region(tmp_path, "A,stage,m,B,0.2", "station,parameter,unit,twin,twin_within"))
    for minute, a, b in ((0, 1.0, 1.1), (10, 1.0, 1.1)):
        story.push("B", minute, b).tick(minute)
        assert story.push("A", minute, a).tick(minute + 1).flags == {("GOOD", "none"): 1}
    assert story.push("A", 20, 1.5).tick(20).flags == {("SUSPECT", "neighbour"): 1}
    assert story.series("last_v", "A") == 1.0
    story.push("A", 30, 1.6).tick(30)
    assert story.series("last_v", "A") == 1.6  # the next one confirms it: it may be the twin that is wrong
    assert story.push("A", 90, 0.5).tick(90).flags == {("GOOD", "none"): 1}  # the twin is silent: not evaluated


def test_an_attenuated_signal_while_its_neighbour_moves(tmp_path: Path) -> None:
    story = Story(region(tmp_path, "A,stage,m,B", "station,parameter,unit,neighbours"))
    found = []
    for hour in range(60):
        story.push("B", hour * 60, 1.0 + 0.05 * hour)
        level = 1.0 + 0.05 * min(hour, 20) + 0.002 * (hour % 3)
        found += list(story.push("A", hour * 60, level).tick(hour * 60).flags)
    assert "attenuated" in causes(found)
    assert "attenuated" not in causes(found[:32])  # twelve hours after it died, not before


RAIN = "station,parameter,unit,rain,rise,dry_mm,wet_mm,attenuated,neighbours,alone"


def rainy(tmp_path: Path) -> Story:
    folder = write_region(tmp_path)
    edit(folder, "series", "B,stage,m,-0.5,20,3,3,1.5,48,0", "B,stage,m,-0.5,20,3,3,1.5,48,0\nB,rain,mm,0,200,,,,,")
    (folder / "quality.csv").write_text(f"{RAIN}\nA,stage,m,B,0.5,5,50,0.05,-,-\n", "utf-8")
    return Story(config.load(folder))


@pytest.mark.parametrize(("mm", "cause"), [(0.0, "rise_without_rain"), (4.0, "none")])
def test_a_rise_without_rain_is_suspect_and_still_warns(tmp_path: Path, mm: float, cause: str) -> None:
    story, found = rainy(tmp_path), []
    for n in range(48):
        story.push("B", n * 30, mm, "rain")
        level = 1.0 + BREATHING[n % 4] + max(0, n - 30) * 0.1
        found += list(story.push("A", n * 30, level).tick(n * 30).flags)
    assert cause in causes(found)
    assert ("rise_without_rain" in causes(found)) == (mm == 0.0)
    assert story.told()[0].startswith("raise")


def test_a_rise_without_rain_that_becomes_faster_waits_for_no_further_reading(tmp_path: Path) -> None:
    """Rain upstream that no gauge measures, a dam that breaks."""
    story = rainy(tmp_path)
    levels = [*(1.0 + BREATHING[n % 4] for n in range(20)), *(1.0 + 0.3 * n for n in range(1, 6)), 3.9]
    for n, level in enumerate(levels):
        story.push("B", n * 30, 0.0, "rain").push("A", n * 30, level)
        flags = story.tick(n * 30).flags
    assert ("SUSPECT", "rise_without_rain") in flags
    assert story.series("last_v", "A") == 3.9


def test_rain_without_a_rise(tmp_path: Path) -> None:
    story, found = rainy(tmp_path), []
    for n in range(48):
        story.push("B", n * 30, 3.0, "rain")
        found += list(story.push("A", n * 30, 1.0 + BREATHING[n % 4]).tick(n * 30).flags)
    assert "rain_without_rise" in causes(found)


# --- what is asked for


def test_nothing_is_asked_for_where_no_file_says_so(tmp_path: Path) -> None:
    assert Story(small(write_region(tmp_path))).plan.limits.more is None


def test_cells_defaults_and_what_is_switched_off(tmp_path: Path) -> None:
    found = region(tmp_path, "*,stage,ft,,10,-\nA,stage,m,3,,", "station,parameter,unit,gap_after_h,spike,shift")
    a, b = (found.station_by_id[name].series[0].quality for name in "AB")
    assert a is not None and b is not None
    assert (a.gap_s, a.spike, a.shift, a.spike_factor) == (10_800, pytest.approx(3.048), None, 2.0)
    assert (b.gap_s, b.spike, b.neighbours) == (3 * 3600, pytest.approx(3.048), ("A", "C"))
    assert found.station_by_id["D"].series[0].quality is None


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("A,stage,m,0", "is not above 0"),
        ("A,stage,m,soon", "is not a number"),
        ("A,stage,furlong,2", "unknown unit"),
        ("A,rain,mm,2", "has no series rain"),
        ("A,stage,m,2\nA,stage,m,3", "stands in line"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        region(tmp_path, row)
