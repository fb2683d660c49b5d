"""Derived zones in the pipeline: pairs of readings, confirmation, silence, twins, out of service; nothing where none is configured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hazard_regions import HAZARDS, write_hazards
from pipeline_story import MINUTE, START_MS, Story
from regions import write_region

from warning import config, config_archive
from warning.errors import ConfigError
from warning.model import Level, ManualFlag, Parameter
from warning.pipeline import Plan, Readings, State, step
from warning.pipeline.derived import Derived
from warning.region import Region


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return config.load(write_hazards(tmp_path))


@pytest.fixture
def story(region: Region) -> Story:
    return Story(region)


def levels(story: Story, zone: str) -> tuple[str, str]:
    """Observed and confirmed class."""
    hazard = story.hazards[zone]
    return hazard.level.value, hazard.level_confirmed.value


def value(story: Story, zone: str) -> float:
    """Now, whether it was published or not."""
    return float(story.state.z["value"][[each.id for each in story.plan.zones].index(zone)])


def test_a_temperature_without_humidity_is_nothing(story: Story) -> None:
    story.push("W1", 0, 45, "temperature").tick(0)
    assert levels(story, "HEAT-UPPER") == ("UNKNOWN", "UNKNOWN")
    assert [reason.code for reason in story.hazards["HEAT-UPPER"].reasons] == ["never_spoke"]
    assert story.alerts == []


def test_what_is_more_than_an_hour_apart_is_no_pair(story: Story) -> None:
    """Silence is a state: a temperature of now with a humidity of long ago is unknown, not normal and not the last class."""
    story.push("W1", 0, 45, "temperature").push("W1", 61, 30, "humidity").tick(61)
    hazard = story.hazards["HEAT-UPPER"]
    assert (hazard.level, hazard.value, hazard.silent_since_ms is not None) == (Level.UNKNOWN, None, True)
    story.push("W1", 62, 45, "temperature").tick(62)
    assert story.hazards["HEAT-UPPER"].level is not Level.UNKNOWN


def test_two_readings_confirm_and_one_wrong_temperature_does_not(story: Story) -> None:
    """32 degC and 50 % are an index of 34.6 (LOW); one reading of 41 (HIGH) waits, and a new humidity alone does not confirm it."""
    for minute in (0, 60):
        story.push("W1", minute, 32, "temperature").push("W1", minute, 50, "humidity").tick(minute)
    assert levels(story, "HEAT-UPPER") == ("LOW", "LOW")
    story.push("W1", 120, 39, "temperature").push("W1", 120, 32, "humidity").tick(120)
    assert levels(story, "HEAT-UPPER") == ("HIGH", "LOW")
    story.push("W1", 150, 33, "humidity").tick(150)
    assert story.hazards["HEAT-UPPER"].level_confirmed < Level.HIGH
    assert story.told(zone="HEAT-UPPER") == ["raise LOW"]
    story.push("W1", 180, 39, "temperature").push("W1", 180, 32, "humidity").tick(180)
    assert levels(story, "HEAT-UPPER") == ("HIGH", "HIGH")
    assert story.told(zone="HEAT-UPPER") == ["raise LOW", "upgrade HIGH"]


def test_a_temperature_that_comes_before_its_humidity_takes_nothing_back(story: Story) -> None:
    """Every three hours, in two messages: between them the pair before stands, and the alert does not fall silent and speak again."""
    for minute in (0, 180, 360):
        story.push("W1", minute, 39, "temperature").tick(minute)
        story.push("W1", minute, 32, "humidity").tick(minute + 1)
    assert story.told(zone="HEAT-UPPER") == ["raise HIGH"]
    story.push("W1", 540, 39, "temperature").tick(540)
    assert story.hazards["HEAT-UPPER"].level is Level.HIGH


def test_a_second_place_confirms(story: Story) -> None:
    story.push("W1", 0, 39, "temperature").push("W1", 0, 32, "humidity").tick(0)
    assert levels(story, "HEAT-UPPER") == ("HIGH", "NORMAL")
    story.push("W2", 1, 40, "temperature").push("W2", 1, 32, "humidity").tick(1)
    assert levels(story, "HEAT-UPPER") == ("HIGH", "HIGH")
    assert "second_reading_confirms" in {reason.code for reason in story.hazards["HEAT-UPPER"].reasons}


def test_heat_ends_only_with_good_data(story: Story) -> None:
    """Silence is no end; the alert is kept, and cools down only when readings below the limit less the margin have lasted an hour."""
    for minute in (0, 60):
        story.push("W1", minute, 39, "temperature").push("W1", minute, 32, "humidity").tick(minute)
    story.tick(60 + 181)
    assert story.told(zone="HEAT-UPPER") == ["raise HIGH", "certainty HIGH"]
    for minute in (400, 430, 470):
        story.push("W1", minute, 25, "temperature").push("W1", minute, 40, "humidity").tick(minute)
    assert story.told(zone="HEAT-UPPER")[-1] == "clear NORMAL"


def test_just_below_a_limit_is_within_the_margin(story: Story) -> None:
    for minute in (0, 60):
        story.push("W1", minute, 39, "temperature").push("W1", minute, 32, "humidity").tick(minute)
    assert story.hazards["HEAT-UPPER"].value is not None and story.hazards["HEAT-UPPER"].value > 41.0
    for minute in (120, 180, 240, 300):
        story.push("W1", minute, 38.6, "temperature").push("W1", minute, 30.6, "humidity").tick(minute)
    hazard = story.hazards["HEAT-UPPER"]
    assert hazard.value is not None and 40.5 < hazard.value < 41.0
    assert (hazard.level, hazard.level_cleared) == (Level.MEDIUM, Level.HIGH)
    assert story.told(zone="HEAT-UPPER") == ["raise HIGH"]


def test_outside_of_its_formula_the_wet_bulb_is_unknown(story: Story) -> None:
    story.push("W1", 0, 57, "temperature").push("W1", 0, 10, "humidity").tick(0)
    assert levels(story, "WET-UPPER") == ("UNKNOWN", "UNKNOWN")
    assert story.hazards["HEAT-UPPER"].level is not Level.UNKNOWN


def test_rain_is_summed_and_one_wet_reading_does_not_confirm_itself(story: Story) -> None:
    """Every five minutes: the newest reading lies in one bucket with those before it, and still needs them without it."""
    for minute in range(0, 60, 5):
        story.push("R1", minute, 1, "rain").tick(minute)
    assert value(story, "RAIN-UPPER") == 12.0
    story.push("R1", 58, 60, "rain").tick(60)
    assert levels(story, "RAIN-UPPER") == ("MEDIUM", "NORMAL")
    assert story.hazards["RAIN-UPPER"].value == 72.0
    story.push("R1", 62, 0.2, "rain").tick(62)
    assert levels(story, "RAIN-UPPER") == ("MEDIUM", "MEDIUM")


def test_the_wetter_of_two_gauges_counts(story: Story) -> None:
    for minute in (0, 60):
        story.push("R1", minute, 10, "rain").push("R2", minute, 30, "rain").tick(minute)
    assert (story.hazards["RAIN-UPPER"].value, levels(story, "RAIN-UPPER")) == (60.0, ("MEDIUM", "LOW"))


def test_a_revised_rain_is_revised_in_the_sum(story: Story) -> None:
    story.push("R1", 0, 80, "rain").push("R1", 60, 1, "rain").tick(60)
    assert story.hazards["RAIN-UPPER"].value == 81.0
    story.push("R1", 0, 8, "rain").tick(61)
    assert story.hazards["RAIN-UPPER"].value == 9.0


def test_wet_ground_makes_a_flash_flood_of_less_rain(region: Region) -> None:
    dry, wet = Story(region), Story(region)
    for hour in range(24):
        wet.push("R1", 60 * hour, 3, "rain").tick(60 * hour)
    for story in (dry, wet):
        for hour, mm in ((30, 4), (31, 15), (32, 18)):
            story.push("R1", 60 * hour, mm, "rain").tick(60 * hour)
    before, after = dry.hazards["FLASH-UPPER"], wet.hazards["FLASH-UPPER"]
    assert before.value is not None and after.value is not None
    assert before.value < 0.75 < 1.0 < after.value
    assert (before.level, after.level) == (Level.NORMAL, Level.MEDIUM)
    why = next(reason for reason in after.reasons if reason.code == "flash_flood").values
    assert after.value == pytest.approx(float(why["rain_mm"] or 0) / float(why["threshold_mm"] or 1), abs=0.01)
    assert why["wetness"] == 1.0


def test_a_series_that_raises_is_out_and_its_zones_are_unknown(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    from warning.science import heat

    real: Callable[..., np.ndarray] = heat.heat_index

    def broken(temperature: np.ndarray, humidity: np.ndarray) -> np.ndarray:
        if (temperature == 44.0).any():
            raise FloatingPointError("made to fail")
        return real(temperature, humidity)

    story = Story(region)
    story.push("A", 0, 1.8).push("W1", 0, 30, "temperature").push("W1", 0, 40, "humidity").tick(0)
    monkeypatch.setattr(heat, "heat_index", broken)
    story.push("A", 30, 3.1).push("W1", 30, 44, "temperature").push("W1", 30, 40, "humidity")
    out = story.tick(30)
    assert ("W1", "temperature") in out.out_of_service
    assert levels(story, "HEAT-UPPER") == ("UNKNOWN", "UNKNOWN")
    assert story.hazards["A"].level is Level.MEDIUM, "the river's gauge goes on"


def test_nothing_is_forecast_of_it(story: Story) -> None:
    """A steep rise of heat and rain is judged by what was measured only."""
    for hour in range(6):
        story.push("W1", 60 * hour, 25 + 2 * hour, "temperature").push("W1", 60 * hour, 40, "humidity")
        story.push("R1", 60 * hour, 4 * hour, "rain").tick(60 * hour)
    for zone in ("HEAT-UPPER", "WET-UPPER", "RAIN-UPPER", "SHOWER-UPPER", "FLASH-UPPER"):
        hazard = story.hazards[zone]
        assert (hazard.level_expected, hazard.arrival_ms, hazard.forecast) == (Level.NORMAL, None, None), zone


def test_a_checkpoint_in_the_middle_changes_nothing(region: Region) -> None:
    course = [(hour, 30 + hour, 45 - hour, hour % 4 * 6) for hour in range(12)]

    def run(story: Story, part: list[tuple[int, int, int, int]]) -> None:
        for hour, t, h, mm in part:
            story.push("W1", 60 * hour, t, "temperature").push("W1", 60 * hour, h, "humidity").push("R1", 60 * hour, mm, "rain")
            story.tick(60 * hour)

    whole, cut = Story(region), Story(region)
    run(whole, course)
    run(cut, course[:6])
    head, arrays = cut.state.freeze()
    cut.state = State.thaw(cut.plan, head, {name: array.copy() for name, array in arrays.items()})
    run(cut, course[6:])
    assert [event.cap for event in cut.alerts] == [event.cap for event in whole.alerts]
    assert cut.hazards == whole.hazards and len(whole.alerts) > 3


def test_how_a_backlog_is_cut_changes_nothing(region: Region) -> None:
    """An outage of six hours: one beat judges the newest readings, and the one before them confirms."""
    story = Story(region)
    for hour in range(6):
        story.push("W1", 60 * hour, 39, "temperature").push("W1", 60 * hour, 32, "humidity").push("R1", 60 * hour, 12, "rain")
    story.tick(360)
    assert story.told(zone="HEAT-UPPER") == ["raise HIGH"]
    assert story.told(zone="RAIN-UPPER") == ["raise MEDIUM"]


def test_a_region_without_them_has_no_columns_of_them(tmp_path: Path) -> None:
    plan = Plan.of(config.load(write_region(tmp_path)), 0)
    assert plan.derived is None and plan.rain is None
    assert Derived.of(plan.zones, plan.row, plan.zone_series, None) is None


def test_what_a_series_feeds(region: Region) -> None:
    plan = Plan.of(region, 0)
    assert plan.derived is not None
    names = [zone.id for zone in plan.zones]

    def fed(station: str, parameter: Parameter) -> set[str]:
        rows = np.array([plan.row[station, parameter]])
        return {names[zone] for zone in plan.derived.touched(rows).tolist()}  # type: ignore[union-attr]

    assert fed("W1", Parameter.TEMPERATURE) == {"HEAT-UPPER", "WET-UPPER"} == fed("W1", Parameter.HUMIDITY)
    assert fed("W2", Parameter.HUMIDITY) == {"HEAT-UPPER"}
    assert fed("R1", Parameter.RAIN) == {"RAIN-UPPER", "SHOWER-UPPER", "FLASH-UPPER"}
    assert fed("A", Parameter.STAGE) == set()
    assert plan.zone_of_row[plan.row["R1", Parameter.RAIN]] == -1, "a rain gauge is nobody's river"


def test_the_region_travels_with_them(region: Region) -> None:
    there = config_archive.unpack(config_archive.pack(region), "f")
    assert there.digest == region.digest and there.zones == region.zones
    assert there.zone_by_id["FLASH-UPPER"].guidance == region.zone_by_id["FLASH-UPPER"].guidance is not None


# --- hazards.csv


def test_units_and_margins(tmp_path: Path) -> None:
    text = HAZARDS.replace("heat_index,degC,32,38,41,47,54", "heat_index,degF,90,100,106,117,129").replace(
        "rain_1h,mm,,20,40,60,", "rain_1h,in,,1,2,3,"
    )
    rules = "{margin_heat: 1.8 degF, margin_rain: 10 %}"
    region = config.load(write_hazards(tmp_path, text, rules))
    assert region.zone_by_id["HEAT-UPPER"].limits.values[Level.LOW] == pytest.approx(32.222, abs=0.001)
    assert region.zone_by_id["SHOWER-UPPER"].limits.values[Level.HIGH] == pytest.approx(50.8)
    assert region.zone_by_id["FLASH-UPPER"].limits.values[Level.MEDIUM] == 1.0
    assert (region.alert.margin_heat_k, region.alert.margin_rain) == (pytest.approx(1.0), 0.1)
    assert region.zone_by_id["FLASH-UPPER"].river == "Oak Brook" and region.zone_by_id["HEAT-UPPER"].river == ""
    assert [zone.hazard for zone in region.zones] == ["flood"] * 4 + ["heat", "heat", "heavy_rain", "heavy_rain", "flash_flood"]


FIRST, FLASH = HAZARDS.splitlines()[1], HAZARDS.splitlines()[-1]


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("HEAT-UPPER,", "A,", "hazards.csv:2 (zone)", "A is a gauge's id"),
        (
            "W1|W2,upper,,,,,made up for tests,2025,1\nWET",
            "W1|W9,upper,,,,,made up for tests,2025,1\nWET",
            "hazards.csv:2 (stations)",
            "'W9' is not in",
        ),
        ("W1|W2,upper", "W1|R1,upper", "hazards.csv:2 (stations)", "R1 does not measure temperature and humidity"),
        ("W1|W2,upper", "W1|W1,upper", "hazards.csv:2 (stations)", "a station stands twice"),
        ("W1|W2,upper", "W1|W2,uper", "hazards.csv:2 (districts)", "'uper' is not in districts.csv"),
        ("degC,32,38", "degC,39,38", "hazards.csv:2 (medium)", "limits out of order"),
        ("heat_index,degC", "heat_index,mm", "hazards.csv:2 (unit)", "unknown unit 'mm' for temperature"),
        ("heat_index,", "heat,", "hazards.csv:2 (quantity)", "'heat' is not right here"),
        ("WET-UPPER,", "HEAT-UPPER,", "hazards.csv:3", "HEAT-UPPER stands twice"),
        ("upper,80,10,15,20", "upper,,10,15,20", "hazards.csv:6 (curve_number)", "a flash flood needs the curve number"),
        ("upper,80,10,15,20", "upper,80,,,", "hazards.csv:6 (curve_number)", "a flash flood needs the curve number"),
        ("upper,80,10,15,20", "upper,80,10,8,20", "hazards.csv:6 (runoff_3h)", "runoff over 1 h, 10 mm, is more than over 3 h"),
        ("upper,80,10,15,20", "upper,101,10,15,20", "hazards.csv:6 (curve_number)", "101"),
        ("rain_24h,mm,30", "rain_24h,mm,0", "hazards.csv:4 (low)", "limit 0 is reached by no rain at all"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, old: str, new: str, where: str, what: str) -> None:
    assert HAZARDS.count(old) >= 1
    with pytest.raises(ConfigError) as refused:
        config.load(write_hazards(tmp_path, HAZARDS.replace(old, new, 1)))
    assert any(where in str(problem) and what in str(problem) for problem in refused.value.problems), [
        str(one) for one in refused.value.problems
    ]


def test_an_operators_flag_reaches_the_zones_that_the_sensor_feeds(region: Region) -> None:
    """A thermometer in the sun: what it said is taken back, and the heat of its zone is unknown at once."""
    story = Story(region)
    story.push("W1", 0, 49, "temperature").push("W1", 0, 30, "humidity").tick(0)
    assert story.hazards["HEAT-UPPER"].level is Level.EXCEPTIONAL
    flag = ManualFlag(
        flag_ms=START_MS + MINUTE,
        station="W1",
        parameter=Parameter.TEMPERATURE,
        action="fail",
        who="duty",
        because="in the sun",
        from_ms=START_MS,
    )
    out = step(story.plan, story.state, Readings.none(), START_MS + MINUTE, (flag,))
    assert {hazard.zone: hazard.level for hazard in out.hazards}["HEAT-UPPER"] is Level.UNKNOWN
