"""Quality control of steps, creeps and choked wells: wrong units, calm water, what others share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline_story import Story
from test_science_qc_further import BREATHING, calm, causes, fed, region

from warning.model import Cause
from warning.science import doubt


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
