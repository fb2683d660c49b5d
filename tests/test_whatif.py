"""``warning whatif``: which decisions other limits and rules change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from test_hindcast import KELANI, command, hand_made, rows, table

from warning import config, config_changes, wiring_whatif
from warning.errors import ConfigError
from warning.model import Level
from warning.region import Region
from warning.wiring_whatif import Raised, changes_of

H = 3_600_000
__all__ = ["command"]  # a fixture


@pytest.fixture(scope="module")
def rise(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(folder of limits, readings of a day in which the Kelani and the Seethawaka rose)."""
    folder = tmp_path_factory.mktemp("rise")
    return hand_made(folder / "kelani"), table(folder / "readings.csv", rows(KELANI, "2025-11-27T09", "2025-11-28T12"))


def test_a_lower_limit_warns_earlier(rise: tuple[Path, Path], command: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder, readings = rise
    asked = ("whatif", folder, "--readings", readings, "--set", "GLENCOURSE.major=18 m", "--set", "HOLOMBUWA.high=none")
    code, printed, errors = command(*asked, "--json", tmp_path / "out.json")
    assert code == 0, errors
    document = json.loads((tmp_path / "out.json").read_text())
    found = {(each["zone"], each["class"]): each for each in document["changes"]}
    major = found["GLENCOURSE", "HIGH"]
    assert major["what"] == "earlier" and 1 < major["earlier_h"] < 6  # the river rose by 0.4 m an hour
    assert found["HOLOMBUWA", "HIGH"]["what"] == "gone" and found["HOLOMBUWA", "HIGH"]["after"] is None
    assert found["DERANIYAGALA", "HIGH"]["what"] == found["GLENCOURSE", "MEDIUM"]["what"] == "same"
    figures = document["figures"]
    assert figures["earlier"] == 1 and figures["gone"] == 1 and figures["new"] == figures["later"] == 0
    assert len(set(document["configs"])) == 2
    assert "earlier" in printed and "GLENCOURSE" in printed and "DERANIYAGALA" not in printed


def test_the_same_rules_change_nothing(rise: tuple[Path, Path]) -> None:
    folder, readings = rise
    done = wiring_whatif.of_readings(str(folder), readings, None, ["GLENCOURSE.major=19 m"], lambda *_: None)
    assert done.changes and {each.what for each in done.changes} == {"same"}
    assert done.documents[0] == done.documents[1] > 0


def test_a_command_that_asks_for_nothing(rise: tuple[Path, Path], command: Callable[..., tuple[int, str, str]]) -> None:
    folder, readings = rise
    code, _, errors = command("whatif", folder, "--readings", readings)
    assert code == 78 and "--set" in errors
    code, _, errors = command("whatif", folder, "--set", "alert.confirm_readings=1")
    assert code == 78 and "--readings" in errors


# --- settings


@pytest.fixture(scope="module")
def lanka() -> Region:
    return config.load("sri-lanka")


def test_settings_of_every_kind(lanka: Region) -> None:
    found = config_changes.changed(
        lanka,
        [
            "GLENCOURSE.high=18.5",
            "GLENCOURSE.Minor Flood=1600 cm",
            "HANWELLA.low=none",
            "forecast.probability=0.4",
            "forecast.trend_horizon=6 h",
            "alert.confirm_readings=1",
            "alert.at_once=MEDIUM, HIGH",
            "alert.margin_stage=0.2 m",
            "alert.arrival_change_time=1 h",
            "HANWELLA.silent_after=6 h",
            "HANWELLA.spike=2 m",
        ],
    )
    assert found.zone_by_id["GLENCOURSE"].limits.values == {Level.LOW: 15.0, Level.MEDIUM: 16.0, Level.HIGH: 18.5}
    assert Level.LOW not in found.zone_by_id["HANWELLA"].limits.values
    assert (found.forecast.probability, found.forecast.trend_horizon_s) == (0.4, 21_600)
    assert found.forecast.probability_keep == lanka.forecast.probability_keep
    assert (found.alert.confirm_readings, found.alert.at_once) == (1, (Level.MEDIUM, Level.HIGH))
    assert (found.alert.margin_stage_m, found.alert.arrival_change_s) == (0.2, 3600)
    hanwella = found.station_by_id["HANWELLA"]
    assert hanwella.silent_after_s == 21_600 and hanwella.series[0].spike == 2.0
    assert found.digest != lanka.digest and config_changes.changed(lanka, []).digest == lanka.digest


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("GLENCORSE.high=18", "did you mean GLENCOURSE?"),
        ("GLENCOURSE.hihg=18", "no 'hihg'"),
        ("GLENCOURSE.high=16", "would not rise"),
        ("GLENCOURSE.high=18 cusec", "cusec"),
        ("GLENCOURSE.high=much", "much"),
        ("forecast.probabilty=0.4", "did you mean probability?"),
        ("forecast.probability=2", "not right here"),
        ("alert.at_once=HUGE", "HUGE"),
        ("probability=0.4", "WHERE.KEY=VALUE"),
        ("alert.confirm_readings", "WHERE.KEY=VALUE"),
    ],
)
def test_a_setting_that_is_wrong(lanka: Region, setting: str, what: str) -> None:
    with pytest.raises(ConfigError) as error:
        config_changes.changed(lanka, [setting])
    assert what in str(error.value.problems[0]) and setting in str(error.value.problems[0])


def test_every_wrong_setting_is_told(lanka: Region) -> None:
    with pytest.raises(ConfigError) as error:
        config_changes.changed(lanka, ["X.high=1", "forecast.x=1"])
    assert len(error.value.problems) == 2


# --- decisions side by side


def raised(at_h: float, until_h: float | None = None, zone: str = "Z", level: Level = Level.HIGH) -> Raised:
    return Raised(zone, level, round(at_h * H), None if until_h is None else round(until_h * H))


def test_decisions_side_by_side() -> None:
    before = [raised(10, 20), raised(100, 110), raised(300, 310, "Y")]
    after = [raised(8, 20), raised(160, 170), raised(300, 312, "Y"), raised(300, None, "X")]
    found = {(each.zone, each.what): each.earlier_h for each in changes_of(before, after)}
    assert found == {("Z", "earlier"): 2.0, ("Z", "gone"): None, ("Z", "new"): None, ("Y", "longer"): 0.0, ("X", "new"): None}
    back = {(each.zone, each.what) for each in changes_of(after, before)}
    assert back == {("Z", "later"), ("Z", "gone"), ("Z", "new"), ("Y", "shorter"), ("X", "gone")}


def test_one_alert_is_not_paired_twice() -> None:
    found = changes_of([raised(10, 12), raised(14, 16)], [raised(13, 16)])
    assert sorted(each.what for each in found) == ["earlier", "gone"]
