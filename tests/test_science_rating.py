"""Rating curves: the table's numbers, between, above, below and out of date; through the pipeline to a warning."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from pipeline_story import START_MS, Story
from regions import edit, write_region

from warning import config
from warning.errors import ConfigError
from warning.science import normal, rating

CURVE = rating.Curve.of(1000, 2000, (1.0, 2.0, 4.0), (10.0, 100.0, 400.0))


def one(stage: float, time_s: int = 1500, curves: tuple[rating.Curve, ...] = (CURVE,)) -> tuple[float, int]:
    value, how = rating.discharge(curves, np.array([time_s]), np.array([stage]))
    return float(value[0]), int(how[0])


@pytest.mark.parametrize(
    ("stage", "expected", "how"),
    [
        (1.0, 10.0, rating.INSIDE),
        (4.0, 400.0, rating.INSIDE),
        (1.5, math.sqrt(10.0 * 100.0), rating.INSIDE),  # the mean of the logarithms
        (3.0, 200.0, rating.INSIDE),
        (5.0, 800.0, rating.ABOVE),  # a factor of four in two metres, carried on
        (0.2, 10.0, rating.BELOW),
        (99.0, 400.0 * 4.0 ** (1.5 / 2.0), rating.ABOVE),  # half of the range further, and no more
    ],
)
def test_the_table(stage: float, expected: float, how: int) -> None:
    value, where = one(stage)
    assert value == pytest.approx(expected, rel=1e-9)
    assert where == how


def test_a_curve_out_of_date_is_used_and_said() -> None:
    newer = rating.Curve.of(5000, None, (1.0, 2.0), (20.0, 200.0))
    assert one(1.0, 3000, (CURVE, newer)) == (pytest.approx(10.0), rating.EXPIRED)
    assert one(1.0, 10, (CURVE, newer)) == (pytest.approx(10.0), rating.EXPIRED)
    assert one(1.0, 5000, (CURVE, newer)) == (pytest.approx(20.0), rating.INSIDE)


def test_the_exponential_is_exact_to_twelve_digits() -> None:
    x = np.linspace(-49.0, 49.0, 9801)
    assert np.abs(normal.exponential(x) / np.exp(x) - 1.0).max() < 1e-12


RATINGS = """\
station,valid_from,valid_to,stage,stage_unit,discharge,discharge_unit,source
D,2025-01-01,,1,m,50000,cusec,test
D,2025-01-01,,6,ft,150000,cusec,test
D,2025-01-01,,3,m,300000,cusec,test
"""
CUSEC = 0.028316846592


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_region(tmp_path)
    edit(
        folder,
        "series",
        "D,inflow,cusec,0,2000000,,,,,\nD,outflow,cusec,0,2000000,,,,,",
        "D,stage,m,-1,30,,,,,\nD,discharge,cusec,0,2000000,,,,,",
    )
    (folder / "ratings.csv").write_text(RATINGS.replace("6,ft", "1.8288,m"), "utf-8")
    return folder


def test_a_stage_raises_a_zone_whose_limits_are_discharges(folder: Path) -> None:
    story = Story(config.load(folder))
    told = story.course("D", [(0, 1.0), (30, 2.2), (60, 2.6), (90, 2.7)])
    assert told[0].startswith("raise")
    assert story.hazards["D"].value == pytest.approx(float(rating.discharge((_curve(story),), np.array([0]), np.array([2.7]))[0][0]))
    assert story.series("last_v", "D", "discharge") == story.hazards["D"].value
    assert story.series("last_v", "D", "stage") == 2.7


def _curve(story: Story) -> rating.Curve:
    one = story.plan.region.ratings[0]
    return rating.Curve.of(one.from_s, one.to_s, one.stages, one.discharges)


def test_beyond_the_table_it_is_suspect_and_warns(folder: Path) -> None:
    story = Story(config.load(folder))
    story.course("D", [(0, 2.9)])
    out = story.push("D", 30, 3.5).tick(30)
    assert out.flags == {("GOOD", "none"): 1, ("SUSPECT", "outside_rating"): 1}
    assert out.applied == 1
    assert story.hazards["D"].value > 300_000 * CUSEC
    assert story.push("D", 40, 0.1).tick(40).flags == {("GOOD", "none"): 1, ("NOT_EVALUATED", "outside_rating"): 1}


def test_a_stage_that_fails_makes_no_discharge_and_a_revised_one_another(folder: Path) -> None:
    story = Story(config.load(folder))
    story.course("D", [(0, 1.0), (30, 99.0)])
    assert story.series("last_v", "D", "discharge") == pytest.approx(50_000 * CUSEC)
    story.course("D", [(60, 1.2)])
    story.push("D", 60, 3.0).tick(61)
    assert story.series("last_v", "D", "discharge") == pytest.approx(300_000 * CUSEC)
    assert story.series("last_t", "D", "discharge") == START_MS // 1000 + 3600


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("D,2025-01-01,,4,m,200000,cusec,x", "does not rise"),
        ("A,2025-01-01,,4,m,200000,cusec,x", "has no series discharge"),
        ("D,2025-01-01,,4,furlong,400000,cusec,x", "unknown unit"),
        ("D,2026-01-01,2025-01-01,4,m,400000,cusec,x", "is not after"),
        ("D,2026-01-01,,4,m,400000,cusec,x", "has one point"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, row: str, words: str) -> None:
    path = folder / "ratings.csv"
    path.write_text(path.read_text("utf-8") + row + "\n", "utf-8")
    with pytest.raises(ConfigError, match=words):
        config.load(folder)
