"""The shipped regions and the small one of the tests: known values, frozen, the same digest wherever they lie."""

from __future__ import annotations

import copy
import csv
import dataclasses
import json
import pickle
import re
import shutil
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from regions import REGION, edit, write_region

from warning import config, config_build, config_digest
from warning.config_model import standard_path
from warning.config_schema import AssetRow, ContactRow, DistrictRow, LimitsRow, PlaceRow, ReachRow, SeriesRow, StationRow
from warning.config_units import amount, factor, to_si
from warning.errors import ConfigError, ExitCode
from warning.model import CLASSES, Level, Parameter, Status
from warning.region import AlertRules, ForecastRules, Region, named

ROOT = Path(__file__).resolve().parent.parent
CUSEC = 0.3048**3


@pytest.fixture(scope="module")
def indus() -> Region:
    return config.load(ROOT / "config" / "indus")


@pytest.fixture(scope="module")
def lanka() -> Region:
    return config.load(ROOT / "config" / "sri-lanka")


# --- the shipped regions


@pytest.mark.parametrize("name", ["indus", "sri-lanka"])
def test_a_shipped_region_has_no_problem_at_all(name: str) -> None:
    assert config.check(ROOT / "config" / name) == []


def test_indus_has_its_gauges_limits_and_rules(indus: Region) -> None:
    assert (len(indus.stations), len(indus.zones), len(indus.reaches), len(indus.districts)) == (35, 35, 28, 59)
    assert (indus.status, indus.utc_offset_s, indus.timezone_name) == (Status.EXERCISE, 18000, "PKT")
    assert indus.languages == ("en", "ur")
    assert (dict(indus.basins), indus.partitions) == ({"indus": 0}, 4)
    guddu = indus.zone_by_id["IND-GUDDU"]
    assert guddu.limits.values[Level.HIGH] == pytest.approx(500_000 * CUSEC)
    assert guddu.limits.values[Level.HIGH] == pytest.approx(14158.4, abs=0.05)
    assert [round(value / CUSEC) for value in guddu.limits.values.values()] == [200_000, 350_000, 500_000, 700_000, 900_000]
    assert (guddu.downstream, guddu.names["ur"], guddu.districts) == ("IND-SUKKUR", "گدو", ("kashmore", "ghotki", "shikarpur", "sukkur"))
    assert indus.alert.at_once == (Level.HIGH, Level.VERY_HIGH, Level.EXCEPTIONAL)
    assert named(indus.class_names[Level.EXCEPTIONAL], "ur") == "انتہائی اونچے درجے کا سیلاب"
    assert round(indus.zone_by_id["CHE-AKHNUR"].limits.values[Level.LOW] / CUSEC) == 75_000
    assert Level.EXCEPTIONAL not in indus.zone_by_id["KAB-NOWSHERA"].limits.values


def test_indus_flows_from_the_mountains_to_the_sea(indus: Region) -> None:
    place = {zone.id: number for number, zone in enumerate(indus.zones)}
    assert all(place[reach.upstream] < place[reach.downstream] for reach in indus.reaches)
    below, way = indus.zone_by_id["CHE-MARALA"], []
    while below.downstream:
        below = indus.zone_by_id[below.downstream]
        way.append(below.id)
    assert way[-3:] == ["IND-GUDDU", "IND-SUKKUR", "IND-KOTRI"]
    assert {reach.upstream for reach in indus.reaches_into["CHE-PANJNAD"]} == {"CHE-TRIMMU", "RAV-SIDHNAI", "SUT-ISLAM"}
    panjnad = next(reach for reach in indus.reaches if reach.upstream == "CHE-PANJNAD")
    assert (panjnad.downstream, panjnad.travel_low_s, panjnad.travel_high_s, panjnad.basis) == ("IND-GUDDU", 172_800, 172_800, "published")


def test_the_fastest_rises_of_2025_are_not_suspect(indus: Region) -> None:
    """Marala rose from 281,293 to 690,000 cusec in 12 h, Qadirabad from 99,025 to 800,000 in 42 h."""
    for station, rise_per_hour in (("CHE-MARALA", (690_000 - 281_293) / 12), ("CHE-QADIRABAD", (800_000 - 99_025) / 42)):
        for series in indus.station_by_id[station].series:
            assert series.rise_per_hour is not None
            assert series.rise_per_hour > 3 * rise_per_hour * CUSEC


def test_sri_lanka_has_its_gauges_and_three_classes(lanka: Region) -> None:
    assert (len(lanka.stations), len(lanka.zones), len(lanka.basins)) == (39, 39, 19)
    assert {lanka.partition_of(station.id) for station in lanka.stations} == {0, 1, 2}
    assert lanka.partitions == 4
    assert {level for zone in lanka.zones for level in zone.limits.values} == {Level.LOW, Level.MEDIUM, Level.HIGH}
    street = lanka.zone_by_id["NAGALAGAM-STREET"]
    assert dict(street.limits.values) == {Level.LOW: 1.2192, Level.MEDIUM: 1.524, Level.HIGH: 2.1336}  # 4, 5 and 7 ft
    assert street.districts == ("LK-11", "LK-12")
    assert named(lanka.district_by_id["LK-11"].names, "si") == "කොළඹ"
    assert {reach.upstream for reach in lanka.reaches_into["GLENCOURSE"]} == {"DERANIYAGALA", "HOLOMBUWA", "KITHULGALA"}
    assert {reach.basis for reach in lanka.reaches if reach.travel_low_s is not None} == {"assumed"}  # from the map, not from its flood
    assert all(reach.travel_low_s is None for reach in lanka.reaches if reach.upstream == "PERADENIYA")  # reservoirs lie below it
    assert all(zone.polygon is None for zone in lanka.zones)


def test_no_shipped_contact_can_be_reached_by_accident(indus: Region, lanka: Region) -> None:
    for region in (indus, lanka):
        assert region.status is Status.EXERCISE
        assert not any(contact.live for contact in region.contacts)
        assert all(contact.phone.startswith("+999") for contact in region.contacts if contact.phone)
        assert all(contact.webhook.startswith("rehearsal:") for contact in region.contacts if contact.webhook)
        assert {contact.role for contact in region.contacts} == {"official", "public", "responder", "operator"}
        told = {district for contact in region.contacts if contact.role == "official" for district in contact.districts}
        assert told == {district.id for district in region.districts}
        assert {contact.language for contact in region.contacts} == set(region.languages)


def test_every_replayed_reading_fits_a_series_and_only_two_are_implausible(indus: Region, lanka: Region) -> None:
    counts: dict[str, int] = {}
    implausible = []
    for region, folder in ((indus, "indus"), (lanka, "sri-lanka")):
        for path in sorted((ROOT / "config" / folder / "replays").glob("*.csv")):
            times = []
            for row in csv.DictReader(path.open(encoding="utf-8")):
                parameter = Parameter(row["parameter"])
                series = next(one for one in region.station_by_id[row["station"]].series if one.parameter is parameter)
                value = to_si(float(row["value"]), row["unit"], parameter.quantity)
                assert series.plausible_min is not None
                assert series.plausible_max is not None
                if not series.plausible_min <= value <= series.plausible_max:
                    implausible.append((row["station"], value))
                time = datetime.fromisoformat(row["time"])
                assert time.utcoffset() is not None
                times.append(time)
            assert times == sorted(times)
            counts[path.stem] = len(times)
    assert counts == {"flood-2025": 117, "floods-2010-2023": 39, "ditwah-2025": 6760}
    assert implausible == [("WERAGANTHOTA", -2.72), ("WERAGANTHOTA", -2.74)]


# --- where it is found


def test_a_region_is_found_by_path_by_name_and_in_the_users_own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_region(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert config.find(folder) == folder
    assert config.find("oak") == Path("oak")  # a path in the current folder
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert config.find("indus") == ROOT / "config" / "indus"
    monkeypatch.setenv("WARNING_CONFIG", str(tmp_path))
    assert config.find("oak") == folder
    with pytest.raises(ConfigError, match=r"atlantis: no region there: no region\.yaml in .*config/atlantis") as error:
        config.load("atlantis")
    assert error.value.exit_code is ExitCode.CONFIG
    [problem] = config.check("atlantis")
    assert problem.fatal


# --- what it is


def test_the_small_region_of_the_tests(tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))
    assert [zone.id for zone in region.zones] == ["A", "B", "C", "D"]
    assert [zone.downstream for zone in region.zones] == ["B", "C", "D", None]
    assert region.zone_by_id["B"].districts == ("upper", "lower")
    assert dict(region.zone_by_id["A"].limits.values) == dict(zip(CLASSES, (2.0, 3.0, 4.0, 5.0, 6.0), strict=True))
    assert region.station_by_id["A"].silent_after_s == 10_800
    [stage] = region.station_by_id["A"].series
    assert (stage.plausible_min, stage.plausible_max, stage.rise_per_hour, stage.flat_after_s) == (-0.5, 20.0, 3.0, 172_800)
    inflow = region.station_by_id["D"].series[0]
    assert (inflow.parameter, inflow.plausible_min, inflow.rise_per_hour, inflow.flat_after_s) == (Parameter.INFLOW, 0.0, None, None)
    assert [(reach.travel_low_s, reach.travel_high_s) for reach in region.reaches] == [(14_400, 21_600), (14_400, 21_600), (28_800, 43_200)]
    agency = next(contact for contact in region.contacts if contact.id == "agency")
    assert (agency.districts, agency.webhook, agency.live) == ((), "rehearsal:agency", False)
    assert region.bounds == (29.0, 70.0, 33.0, 74.0)


def test_status_and_rules_have_safe_defaults(tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))
    assert region.status is Status.EXERCISE
    assert region.alert == AlertRules()
    assert region.forecast == ForecastRules(model=standard_path().read_text(encoding="ascii"))  # the trained model, unless told otherwise


def test_every_rule_arrives_in_si(tmp_path: Path) -> None:
    rules = """\
forecast: {trend_window: 3 h, trend_points: 4, trend_horizon: 0 h, probability: 0.6, probability_keep: 0.2, travel_spread: 10 %,
  model: none, needed_6h: 0.4, needed_12h: 0.5, needed_24h: 0.6, needed_keep: 0.7, miss_cost: {HIGH: 2.0, LOW: 0.5}}
alert:
  {warn_from: MEDIUM, confirm_readings: 1, at_once: [EXCEPTIONAL], margin_stage: 20 cm, margin_discharge: 7.5 %,
  margin_heat: 1.8 degF, margin_rain: 10 %, clear_after: 2 h,
  expires_after: 6 h, renew_before: 30 min, arrival_change: 50 %, arrival_change_time: 1 h, approve_from: HIGH, approve_within: 10 min,
  unanswered: send, approve_persons: 2, escalate_after: 10 min, call_off_for: 2 h}
"""
    region = config.load(write_region(tmp_path, region=REGION + rules))
    assert region.forecast == ForecastRules(10_800, 4, 0, 0.6, 0.2, 0.1, "", 0.4, 0.5, 0.6, 0.7, ((Level.LOW, 0.5), (Level.HIGH, 2.0)))
    assert dataclasses.astuple(region.alert) == (
        *(Level.MEDIUM, 1, (Level.EXCEPTIONAL,), 0.2, 0.075, 1.0, 0.1, 7200),
        *(21_600, 1800, 0.5, 3600, Level.HIGH, 600, "send", 600, 7200, 2),
    )


def test_a_region_is_frozen_all_the_way_down(tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))
    with pytest.raises(dataclasses.FrozenInstanceError):
        region.partitions = 8  # type: ignore[misc]
    with pytest.raises(TypeError, match="frozen"):
        region.basins["oak"] = 1  # type: ignore[index]
    with pytest.raises(TypeError, match="frozen"):
        region.zones[0].limits.values.clear()  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="frozen"):
        region.zones[0].names |= {"ur": "x"}  # type: ignore[operator,misc]
    for twin in (pickle.loads(pickle.dumps(region)), copy.deepcopy(region)):
        assert twin == region
        assert hash(twin.zones) == hash(region.zones)
    assert json.loads(msgspec.json.encode(region.zones[0].names)) == {"en": "Alder", "ur": "الف"}
    assert dataclasses.asdict(region)["basins"] == {"oak": 0}


# --- digest


def test_the_digest_depends_on_what_decides_and_on_nothing_else(tmp_path: Path) -> None:
    folder = write_region(tmp_path)
    region = config.load(folder)
    digest = region.digest
    assert len(digest) == 64
    two = dataclasses.replace(region, alert=dataclasses.replace(region.alert, approve_persons=2, escalate_after_s=0))
    assert config_digest.digest(two) == digest  # who releases a warning is asked by dispatch alone
    assert config_digest.digest(dataclasses.replace(region, alert=dataclasses.replace(region.alert, confirm_readings=1))) != digest
    assert config.load(folder).digest == digest
    assert config.load(shutil.copytree(folder, tmp_path / "copy")).digest == digest
    edit(folder, "contacts", "+9991000001", "+9991000009")
    edit(folder, "rivers", '"FeatureCollection", ', '"FeatureCollection",  ')
    (folder / "countries.geojson").write_text("{}")
    edit(folder, "limits", "B,stage,m,2,", "B,stage,cm,200,")  # would be other limits: 300 cm stands in the next column
    edit(folder, "limits", "200,3,4,5,6", "200,300,400,500,600")
    assert config.load(folder).digest == digest


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("region", "partitions: 2", "partitions: 3"),
        ("region", "width: 4 km", "width: 5 km"),
        ("region", "en: High Flood", "en: Great Flood"),
        ("stations", "Birch", "Beech"),
        ("stations", "published,36", "published,24"),
        ("series", "D,outflow,cusec,0,2000000", "D,outflow,cusec,0,1900000"),
        ("limits", "B,stage,m,2", "B,stage,m,2.1"),
        ("reaches", "8,12", "8,13"),
        ("reaches", "upper|lower", "lower"),
        ("districts", "Upper Oak", "Upper Valley"),
    ],
)
def test_the_digest_changes_with_what_decides(tmp_path: Path, file: str, old: str, new: str) -> None:
    folder = write_region(tmp_path)
    digest = config.load(folder).digest
    assert config.load(edit(folder, file, old, new)).digest != digest


# --- units


def test_units() -> None:
    assert to_si(1, "cusec", "discharge") == 0.028316846592
    assert to_si(10, "ft", "stage") == pytest.approx(3.048)
    assert to_si(2, "in", "rain") == pytest.approx(50.8)  # rain is in mm
    assert to_si(2, "in", "stage") == pytest.approx(0.0508)
    assert factor("m³/s", "discharge") == factor("cumecs", "discharge") == 1.0
    assert amount("22.5 h", "time") == 81_000
    assert amount("12km", "length") == 12_000
    with pytest.raises(ValueError, match=r"unknown unit 'kusec' for discharge; did you mean cusec\?"):
        factor("kusec", "discharge")
    with pytest.raises(ValueError, match="unknown unit 'cusec' for stage"):
        factor("cusec", "stage")
    with pytest.raises(ValueError, match="'1e3 m' is not a number with its unit"):
        amount("1e3 m", "length")


# --- config/README.md


def test_the_readme_names_every_column_and_no_other() -> None:
    """Rows of its table: | `file` | `column`, `column` | ... |; ``name_en ...`` stands for the names."""
    models = {
        "stations.csv": StationRow,
        "series.csv": SeriesRow,
        "limits.csv": LimitsRow,
        "reaches.csv": ReachRow,
        "districts.csv": DistrictRow,
        "contacts.csv": ContactRow,
        "assets.csv": AssetRow,
        "places.csv": PlaceRow,
    }
    told: dict[str, set[str]] = {}
    file = ""
    for line in (ROOT / "config" / "README.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 5 and cells[2].startswith("`"):
            file = cells[1].strip("`") or file
            told.setdefault(file, set()).update(re.findall(r"`(\w+)`", cells[2]))
    told["limits.csv"] |= {"medium", "high", "very_high"}  # low ... exceptional
    for name, model in models.items():
        columns = {"name_en" if column == "names" else column for column in model.model_fields}
        assert told[name] - {"name_ur"} == columns, name


@pytest.mark.parametrize("width", [0.5, 0.0, -0.0, 1e-4, 1e-5, 2.5e-7, 1e15, 1e16, 1.5e17, 1e22, 1e300, 123456789012345.6, 1 / 3])
@pytest.mark.parametrize("name", ["Guddu", "گڈو", 'a "quoted" one', "back\\slash", "tab\there", "\x7f", "\u2028", "1e5"])
def test_how_a_digest_is_made_does_not_show(indus: Region, width: float, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in checkpoints and exported files: the same for a region that travelled, whatever the order of its file and our chunks."""
    frozen = config_build.FrozenDict
    zone = dataclasses.replace(indus.zones[1], names=frozen({"en": name, "ur": "ب"}))
    region = dataclasses.replace(indus, names=frozen({"en": name, "ur": "ب"}), bounds=(width, 1.0, 2.0, 3.0), zones=(zone, *indus.zones))
    found = config_digest.digest(region)
    swapped = dataclasses.replace(region, names=frozen({"ur": "ب", "en": name}), basins=frozen(reversed(indus.basins.items())))
    assert config_digest.digest(swapped) == found
    travelled = msgspec.json.decode(msgspec.json.encode(region), type=Region)
    assert config_digest.digest(travelled) == found
    monkeypatch.setattr(config_digest, "AT_ONCE", 3)
    assert config_digest.digest(region) == found
    others = [{"bounds": (width, 1.0, 2.0, 3.1)}, {"zones": region.zones[1:]}, {"names": frozen({"en": name, "ur": "پ"})}, {"zones": ()}]
    assert found not in {config_digest.digest(dataclasses.replace(region, **other)) for other in others}
