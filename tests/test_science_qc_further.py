"""Further tests of quality control as stories: by a series' own past, by others, by the season; however beats are cut."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pipeline_story import Story, small
from regions import edit, write_region

from warning import config
from warning.errors import ConfigError
from warning.model import Cause
from warning.region import Region
from warning.science import doubt, qc_activity, windows

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


# --- steps: units, calm water, what others share


@pytest.mark.parametrize(("factor", "name"), [(3.2808, "feet"), (0.3048, "feet taken for metres"), (0.01, "centimetres the wrong way")])
def test_a_wrong_unit_is_named_until_it_is_right_again(tmp_path: Path, factor: float, name: str) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6, 2.0))
    wrong = [(minute, round(value * factor, 3)) for minute, value in calm(1, 2.0, 360)]
    first, *others = fed(story, wrong)
    assert first in {("SUSPECT", "wrong_unit"), ("SUSPECT", "rate_of_rise"), ("SUSPECT", "rate_of_fall")}, name  # whichever is graver
    assert others == [("SUSPECT", "wrong_unit")] * 5, name
    found = fed(story, calm(1, 2.0, 420))
    assert found[1:] == [("GOOD", "none")] * 5
    assert story.series("shift_said", "A") == 0


def test_feet_sent_as_metres_of_a_low_river_do_not_clear_and_metres_as_feet_count_once_confirmed(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6, 2.0))
    fed(story, [(360, 0.61), (370, 0.61), (380, 0.61)])
    assert story.series("last_v", "A") > 1.9  # too low and suspect counts nowhere
    other = Story(region(tmp_path / "other"))
    fed(other, [*calm(6, 2.0), (360, 6.56)])
    assert other.series("last_v", "A") < 2.1  # waits
    fed(other, [(370, 6.56)])
    assert other.series("last_v", "A") == 6.56  # it may be the flood: said, and warned of


def test_a_flood_that_passes_a_wrong_units_ratio_goes_on_and_is_none(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    rise = [(360, 1.0), (370, 3.28), (380, 4.2), (390, 5.0), (400, 5.6), (410, 6.0)]
    found = fed(story, [*calm(6, 1.0), *rise])[36:]
    assert "FAIL" not in {flag for flag, _ in found}
    assert "wrong_unit" not in causes(found[2:])  # it did not stay
    assert story.series("last_v", "A") == 6.0
    assert float(story.state.s["w_max"][0].max()) == pytest.approx(6.0)


def test_a_step_out_of_water_that_moves_is_no_datum_shift(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    rising = [(60.0 * n, 1.0 + 0.2 * n) for n in range(8)]  # a flood, hour by hour, and its crest
    crest = [(480, 3.3), (540, 3.32), (600, 3.31), (660, 3.3), (720, 3.28), (780, 3.27)]
    assert "datum_shift" not in causes(fed(story, [*calm(6), *((360 + minute, value) for minute, value in [*rising, *crest])]))


def test_a_spike_slow_enough_to_count_is_taken_back_though_the_way_back_is_too_fast() -> None:
    def course(last: float) -> doubt.Course:
        return doubt.Course(5.0, 2.0, math.nan, (3600, last, 0), (1, 1.0, -1), (0, 0.0, -1), Cause.NONE)

    spike = course(4.0)  # up by 3 m in an hour, where 5 may be; down by 3 m, where 2 may be
    assert spike.take(7200, 1.05, False, 1, usual=0.3) is Cause.NONE
    assert (spike.last[1], spike.spikes, spike.retracted, spike.pending[0]) == (1.05, [0], [(3600, 4.0)], 0)
    crest = course(4.0)
    assert crest.take(7200, 1.9, False, 1, usual=1.5) is Cause.RATE_OF_FALL  # it is not back where it was: it waits as before
    assert (crest.last[1], crest.retracted) == (4.0, [])


def test_a_river_that_goes_on_as_it_stood_has_not_hung(tmp_path: Path) -> None:
    story = Story(region(tmp_path))
    fed(story, calm(6))
    stands = [(360 + 10 * n, 1.0) for n in range(48)]  # 8 h: three are allowed
    assert ("SUSPECT", "flat_line") in fed(story, stands)
    fed(story, [(840, 1.005), *calm(2, 1.0, 850)])
    assert causes(fed(story, [(970 + 10 * n, 1.0) for n in range(60)])) == {"none"}  # ten hours, after eight that were true
    leap = Story(region(tmp_path / "leap"))
    fed(leap, calm(6))
    fed(leap, [*stands, (840, 1.15), *calm(2, 1.15, 850)])
    assert ("SUSPECT", "flat_line") in fed(leap, [(970 + 10 * n, 1.15) for n in range(60)])


def creep(hour: int) -> float:
    """1 m a day from the third day on."""
    return max(0, hour - 72) / 24.0


def flood(hour: int, until: int) -> float:
    """3 m up in six hours; gone by hour ``until``."""
    return 3.0 * max(0.0, min((hour - 30) / 6, 1.0, (until - hour) / 12))


def said_of(tmp_path: Path, own: Callable[[int], float], other: Callable[[int], float]) -> list[tuple[str, str]]:
    """Of A, which goes by ``own`` m (by the hour) from its calm level, beside B, which goes by ``other``."""
    story, found = Story(region(tmp_path, "A,stage,m,B", "station,parameter,unit,neighbours")), []
    for hour in range(108):
        story.push("B", hour * 60, 2.0 + BREATHING[hour % 4] + other(hour))
        found += list(story.push("A", hour * 60, 4.0 + BREATHING[hour % 4] + own(hour)).tick(hour * 60).flags)
    return found


def still(hour: int) -> float:
    return 0.0


@pytest.mark.parametrize(("way", "other"), [(1, still), (-1, still), (-1, lambda hour: flood(hour, 48))])
def test_a_creep_that_no_neighbour_shares(tmp_path: Path, way: int, other: Callable[[int], float]) -> None:
    """A flood that both had, and that was over, excuses nothing."""
    found = said_of(tmp_path, lambda hour: way * creep(hour) + other(hour), other)
    assert causes(found[:90]) == {"none"}
    assert ("SUSPECT", "neighbour") in found[90:108]


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (lambda hour: -creep(hour), lambda hour: -0.5 * creep(hour)),
        (creep, lambda hour: 0.5 * creep(hour)),
        (lambda hour: flood(hour, 200) - creep(hour), still),  # it falls back to where it came from
        (lambda hour: 0.45 * creep(hour) + 0.45 * max(0, hour - 42) / 24, still),  # it rose the day before
        (lambda hour: creep(hour) * (1 + 0.3 * math.sin(hour)), still),  # no line
    ],
)
def test_a_creep_that_a_neighbour_shares_or_that_goes_on_is_the_water(
    tmp_path: Path, own: Callable[[int], float], other: Callable[[int], float]
) -> None:
    assert "neighbour" not in causes(said_of(tmp_path, own, other))


@pytest.mark.parametrize(
    ("other", "third", "found"),
    [(1.0, 0.01, True), (1.0, -0.01, True), (1.2, 0.01, True), (1.2, -0.01, False), (0.0, 0.01, False), (-1.5, 0.01, False)],
)
def test_a_choked_well_goes_with_its_neighbours_and_what_falls_while_they_rise_has_its_own_water(
    tmp_path: Path, other: float, third: float, found: bool
) -> None:
    """``other``: A's movement in tenths of B's: choked, unchanged, against it. ``third``: C's, m an hour: at its lowest
    it says no, unless A is as good as dead."""
    story, said = Story(region(tmp_path, "A,stage,m,B|C", "station,parameter,unit,neighbours")), []
    for hour in range(110):
        story.push("B", hour * 60, 2.0 + 0.05 * hour)
        story.push("C", hour * 60, 5.0 + third * hour)
        level = 2.0 + 0.05 * min(hour, 70) + (0.005 * other * max(0, hour - 70) if other else 0.05 * max(0, hour - 70))
        said += list(story.push("A", hour * 60, level).tick(hour * 60).flags)
    assert ("attenuated" in causes(said)) == found


@pytest.mark.parametrize(("every", "through", "found"), [(20, 0.1, True), (20, 0.6, False), (60, 0.1, False), (60, 0.03, True)])
def test_a_choked_well_is_seen_in_twelve_hours_if_it_is_read_often_or_dead(tmp_path: Path, every: int, through: float, found: bool) -> None:
    """A and B swing together for 36 h; then B rises by 0.1 m an hour, and ``through`` of that comes to A."""
    story, said = Story(region(tmp_path, "A,stage,m,B", "station,parameter,unit,neighbours")), []
    for minute in range(0, 48 * 60, every):
        swing, rise = 0.3 * math.sin(min(minute, 36 * 60) / 360 * math.pi), max(0.0, minute / 60 - 36) / 10
        story.push("B", minute, 2.0 + swing + rise)
        said.append((minute, list(story.push("A", minute, 2.0 + swing + through * rise).tick(minute).flags)))
    assert not [minute for minute, flags in said if minute <= 36 * 60 and ("SUSPECT", "attenuated") in flags]
    assert any(("SUSPECT", "attenuated") in flags for _, flags in said) == found
