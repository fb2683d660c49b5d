"""Who and what lies in a zone: towns, people, assets; from the files of a region to the words of a warning."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.alert_region import T0, H, raised
from tests.hazard_regions import write_hazards
from tests.pipeline_story import Story
from tests.regions import edit, write_region
from warning import config, config_archive
from warning.alerts import cap, exposed
from warning.alerts.display import LANGUAGES
from warning.alerts.lint import lint
from warning.alerts.message import MOST_PARTS, check_code, description, sms, words
from warning.config_exposure import distance_m
from warning.errors import ConfigError
from warning.model import Alert, EventKind, Forecast, Level, Reason
from warning.operate import present
from warning.operate.view import View
from warning.region import Exposure, Region
from warning.science.likelihood import TERMS, span_s, term

PLACES = """\
geonameid,name,lat,lon,country,admin1,population,timezone
1,Alderton,32.0,72.0,PK,04,1500000,Asia/Karachi
2,Elm,32.05,72.05,PK,04,0,Asia/Karachi
3,Far,32.0,72.2,PK,04,900,Asia/Karachi
4,Beech,31.93,72.0,PK,04,40000,Asia/Karachi
"""
ASSETS = """\
id,kind,name_en,name_ur,lat,lon,position,zones,district,source
bridge-a,bridge,Alder bridge,الف پل,31.99,72.0,published,,,test
bridge-2,bridge,Second bridge,دوسرا پل,32.01,72.01,published,,,test
power-c,power,Cedar power station,دیار بجلی گھر,29.5,73.5,approximate,C,,test
"""


@cache
def _indus() -> Region:
    return config.load("indus")


@pytest.fixture(name="oak")
def _oak(tmp_path: Path) -> Region:
    """No river line: all zones by distance."""
    folder = write_region(tmp_path, rivers=None)
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    (folder / "assets.csv").write_text(ASSETS, encoding="utf-8")
    return config.load(folder)


def _of(region: Region, zone: str) -> Exposure:
    found = region.zone_by_id[zone].exposure
    assert found is not None
    return found


# --- from the files


def test_without_towns_and_assets_nothing_is_said(tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))

    assert [zone.exposure for zone in region.zones] == [None] * 4
    assert region.assets == ()


def test_a_zone_without_a_polygon_counts_what_is_near_its_gauge(oak: Region) -> None:
    found = _of(oak, "A")

    assert (found.basis, found.within_m) == ("distance", 10_000.0)
    assert (found.towns, found.people, found.unsized) == (3, 1_540_000, 1)
    assert [town.name for town in found.largest] == ["Alderton", "Beech", "Elm"]  # Far is 18.9 km away
    assert found.assets == ("bridge-a", "bridge-2")


def test_a_polygon_counts_what_lies_inside_it(tmp_path: Path) -> None:
    """4 km wide, from the gauge downstream: Beech lies in it, Elm 5 km off the line does not, nor what is near C but named by its row."""
    folder = write_region(tmp_path)
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    (folder / "assets.csv").write_text(ASSETS, encoding="utf-8")
    found = _of(config.load(folder), "A")

    assert (found.basis, found.within_m) == ("polygon", 4_000.0)
    assert [town.name for town in found.largest] == ["Alderton", "Beech"]
    assert found.assets == ("bridge-a", "bridge-2")


def test_an_asset_belongs_to_the_zones_that_its_row_names(oak: Region) -> None:
    assert _of(oak, "C").assets == ("power-c",)
    assert _of(oak, "B").assets == ()


def test_the_distance_is_the_regions_to_choose(tmp_path: Path) -> None:
    folder = write_region(tmp_path, rivers=None)
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    edit(folder, "region", "partitions: 2\n", "partitions: 2\nexposure: {within: 20 km}\n")

    assert _of(config.load(folder), "A").towns == 4


def test_great_circles() -> None:
    """A degree of a meridian is 111.2 km; Lahore to Sukkur 682 km."""
    assert distance_m(0.0, 0.0, 1.0, 0.0) == pytest.approx(111_195, abs=1)
    assert distance_m(31.558, 74.351, 27.703, 68.859) == pytest.approx(682_000, rel=0.01)
    assert distance_m(10.0, 20.0, 10.0, 20.0) == 0.0


def test_exposure_is_part_of_the_digest_and_of_an_exported_region(tmp_path: Path, oak: Region) -> None:
    assert oak.digest != config.load(write_region(tmp_path / "bare")).digest
    again = config_archive.unpack(config_archive.pack(oak), "test")
    assert again.zones == oak.zones
    assert again.asset_by_id["power-c"].names["ur"] == "دیار بجلی گھر"


def test_heat_reaches_as_far_as_its_districts_and_no_town_says_where_it_lies(tmp_path: Path) -> None:
    folder = write_hazards(tmp_path)
    district = config.load(folder).zone_by_id["HEAT-UPPER"].districts[0]
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    assert config.load(folder).zone_by_id["HEAT-UPPER"].exposure is None
    (folder / "assets.csv").write_text(ASSETS.replace("C,,test", f",{district},test"), encoding="utf-8")
    region = config.load(folder)

    found = _of(region, "HEAT-UPPER")
    assert (found.basis, found.within_m, found.towns, found.assets) == ("districts", 0.0, 0, ("power-c",))
    assert words(exposed.reason(found), region, "en") == "in its districts: Cedar power station"


WRONG = (
    ("bridge-a,bridge", "bridge-a,brigde", "assets.csv:2 (kind)", "'brigde' is not right here"),
    ("31.99,72.0", "131.99,72.0", "assets.csv:2 (lat)", "131.99"),
    ("29.5,73.5,approximate,C", "29.5,73.5,approximate,Q", "assets.csv:4 (zones)", "'Q' is not in limits.csv"),
    ("C,,test", "C,nowhere,test", "assets.csv:4 (district)", "'nowhere' is not in districts.csv"),
    ("bridge-2,bridge", "bridge-a,bridge", "assets.csv:3", "bridge-a stands twice"),
    (",,,test\nbridge-2", ",,,\nbridge-2", "assets.csv:2 (source)", "'source' is missing"),
)


@pytest.mark.parametrize(("old", "new", "where", "what"), WRONG)
def test_a_wrong_asset_is_named_with_line_and_column(tmp_path: Path, old: str, new: str, where: str, what: str) -> None:
    folder = write_region(tmp_path)
    assert old in ASSETS
    (folder / "assets.csv").write_text(ASSETS.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(ConfigError) as failed:
        config.load(folder)

    assert [problem for problem in failed.value.problems if problem.where.endswith(where) and what in problem.what]


def test_a_wrong_town_is_left_out_with_a_warning(tmp_path: Path) -> None:
    """A list of towns must not keep a warning system from starting."""
    folder = write_region(tmp_path, rivers=None)
    (folder / "places.csv").write_text(PLACES.replace("1500000", "many"), encoding="utf-8")

    assert _of(config.load(folder), "A").people == 40_000
    told = [problem for problem in config.check(folder) if "places.csv:2" in problem.where]
    assert [problem.fatal for problem in told] == [False]


def test_the_indus_below_guddu() -> None:
    region = _indus()
    found = _of(region, "IND-GUDDU")

    assert (found.basis, found.within_m) == ("polygon", 12_000.0)
    assert {"guddu-power", "guddu-barrage", "sukkur-barrage", "lansdowne"} <= set(found.assets)
    assert found.largest[0].name == "Sukkur"
    assert found.people == sum(town.people for town in found.largest)
    assert all(asset.source for asset in region.assets)
    assert not {"gwadar-port", "khunjerab"} & {asset for zone in region.zones if zone.exposure for asset in zone.exposure.assets}


# --- in words


def _indus_alert(level: Level = Level.HIGH, kind: EventKind = EventKind.RAISE) -> tuple[Alert, Region]:
    """A warning for the reach below Guddu, with its exposure as a reason."""
    region = _indus()
    zone = region.zone_by_id["IND-GUDDU"]
    assert zone.exposure is not None
    alert = raised(region, zone, expected=Level.HIGH, arrival_ms=T0 + 30 * H, reasons=(exposed.reason(zone.exposure),))
    return msgspec.structs.replace(alert, level=level, kind=kind), region


EXPOSED = {
    "en": "in the zone along the river, 12 km wide (not an inundation map): 3 towns with 700,000 people, 2 bridges, "
    "Lansdowne and Ayub bridges at Rohri, M-5 motorway at Rohri, Guddu thermal power station",
    "ur": "دریا کے ساتھ 12 کلومیٹر چوڑے علاقے میں (یہ زیر آب آنے کا نقشہ نہیں): 3 شہر، آبادی 7 لاکھ، 2 پل، "
    "لینس ڈاؤن اور ایوب پل روہڑی، ایم 5 موٹروے روہڑی، گدو تھرمل بجلی گھر",
}


@pytest.mark.parametrize("language", sorted(EXPOSED))
def test_what_lies_there_in_few_words(language: str) -> None:
    alert, region = _indus_alert()

    assert words(alert.hazard.reasons[0], region, language) == EXPOSED[language]
    assert EXPOSED[language][1:] in description(alert, region, language)


NUMBERS = ((950, "950"), (995, "1,000"), (12_345, "12,000"), (999_999, "1 million"), (1_234_567, "1.2 million"), (20_345_678, "20 million"))
LAKHS = ((99_400, "99,000"), (563_851, "5.6 لاکھ"), (1_234_567, "12 لاکھ"), (20_345_678, "2 کروڑ"))


def test_numbers_of_people_are_no_more_exact_than_they_are_known() -> None:
    assert [exposed.number(people, LANGUAGES["en"]) for people, _ in NUMBERS] == [said for _, said in NUMBERS]
    assert [exposed.number(people, LANGUAGES["ur"]) for people, _ in LAKHS] == [said for _, said in LAKHS]


def test_an_asset_that_the_region_no_longer_has_is_named_by_its_id() -> None:
    region = _indus()
    values = {"basis": "distance", "within_km": 10.0, "towns": 0, "people": 0, "unsized": 0, "largest": "", "assets": "gone|kotri-barrage"}

    said = words(Reason(code="exposure", values=values), region, "en")

    assert said == "within 10 km of the gauge (not an inundation map): no town on the list, gone, Kotri barrage road"


def test_a_reason_without_a_basis_is_shown_as_it_is() -> None:
    said = words(Reason(code="exposure", values={"towns": 2}), _indus(), "en")

    assert said == "exposure (towns 2)"


def test_the_document_says_it_for_machines_and_lints() -> None:
    alert, region = _indus_alert()
    xml = cap.document(alert, region)

    info = cap.parse(xml).infos[0]
    assert info.parameter("exposureBasis") == "polygon 12 km"
    assert (info.parameter("townsExposed"), info.parameter("peopleInTownsExposed")) == ("3", "695986")
    assert info.parameter("assetsExposed").split("; ")[-1] == "Guddu thermal power station"
    assert lint(xml, region=region) == []


def test_an_ended_warning_names_nothing_at_risk() -> None:
    alert, region = _indus_alert(Level.NORMAL, EventKind.CLEAR)

    assert cap.parse(cap.document(alert, region)).infos[0].parameter("assetsExposed") == ""
    assert "At risk" not in sms(alert, region, "en", "operator").text


@pytest.mark.parametrize("language", ["en", "ur"])
def test_an_operator_is_told_of_assets_within_two_parts(language: str) -> None:
    alert, region = _indus_alert()
    plain, told = sms(alert, region, language), sms(alert, region, language, "operator")

    assert told.parts <= MOST_PARTS
    first = exposed.name("guddu-barrage", region, LANGUAGES[language])
    assert first in told.text
    assert first not in plain.text
    texts = LANGUAGES[language]
    kept = (texts.actions[Level.HIGH], "Guddu" if language == "en" else "گدو", check_code(alert.identifier))
    assert [piece in told.text for piece in kept] == [True] * 3


def test_an_operator_hears_of_as_many_as_fit_and_the_value_gives_way_to_the_first() -> None:
    alert, region = _indus_alert()

    english, urdu = (sms(alert, region, language, "operator").text for language in ("en", "ur"))

    assert "cusec. At risk: Guddu barrage road, Sukkur barrage road" in english
    assert " +4" in urdu
    assert "کیوسک" not in urdu


@pytest.mark.parametrize("role", ["official", "responder"])
def test_officials_are_told_of_people_only_where_it_costs_nothing(role: str) -> None:
    alert, region = _indus_alert()
    for language in ("en", "ur"):
        plain, told = sms(alert, region, language), sms(alert, region, language, role)
        assert told.parts == plain.parts
    assert "700,000 people in towns there." in sms(alert, region, "en", role).text


def test_the_public_is_told_what_to_do_and_nothing_more() -> None:
    alert, region = _indus_alert()

    assert sms(alert, region, "en", "public") == sms(alert, region, "en")


# --- how sure


def test_probabilities_in_the_words_of_the_ipcc() -> None:
    """Every term from its least probability on; each has a word in every language."""
    for least, word in TERMS:
        assert term(least) == word
        assert term(min(least + 0.005, 1.0)) == word
    assert [term(probability) for probability in (1.0, 0.72, 0.659, 0.499, 0.0)] == [
        *("virtually_certain", "likely", "more_likely_than_not", "about_as_likely_as_not", "exceptionally_unlikely")
    ]
    for texts in LANGUAGES.values():
        assert texts.likelihoods.keys() == {word for _, word in TERMS}


SPANS = (
    ((0.0, 0.2, 0.95, 0.99), (200, 300)),
    ((0.0, 0.2, 0.5, 0.6), (200, 0)),  # nobody says by when it is there
    ((0.0, 0.05, 0.09, 0.09), (0, 0)),
    ((0.95, 0.2, 0.1, 0.0), (100, 100)),  # it was there, and fell again
    ((float("nan"), 0.2, float("nan"), 0.95), (200, 400)),
)


@pytest.mark.parametrize(("chance", "span"), SPANS)
def test_between_when_and_when_the_limit_is_reached(chance: tuple[float, ...], span: tuple[int, int]) -> None:
    assert span_s(np.array(chance), np.array([100, 200, 300, 400], np.int64)) == span


def test_a_warning_says_whose_limit_how_sure_and_between_when_and_when(tmp_path: Path) -> None:
    """From the pipeline: a gauge that rises by 0.4 m an hour towards its limit of 2 m."""
    folder = write_region(tmp_path, rivers=None)
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    story = Story(config.load(folder))
    for number in range(5):
        story.push("A", 60 * number, 0.2 + 0.4 * number).tick(60 * number + 1)
    hazard = story.hazards["A"]
    why = {reason.code: reason.values for reason in hazard.reasons}

    assert list(why) == ["observed_below", "expected", "likelihood", "trend", "peak", "exposure"]
    assert (why["expected"]["source"], why["expected"]["version"]) == ("test, 2025", "1")
    assert why["likelihood"]["likelihood"] == term(hazard.probability)
    assert why["likelihood"]["probability"] == hazard.probability
    early_ms, arrival_ms = why["likelihood"]["early_ms"], why["expected"]["arrival_ms"]
    assert isinstance(early_ms, int)
    assert isinstance(arrival_ms, int)
    assert hazard.at_ms <= early_ms <= arrival_ms + H
    assert why["likelihood"]["lead_low_h"] == round((early_ms - hazard.at_ms) / H, 1)
    assert why["exposure"]["people"] == 1_540_000
    assert hazard.words[-1].startswith(
        "within 10 km of the gauge (not an inundation map): 2 towns with 1.5 million people, towns of unknown"
    )


def test_a_quiet_zone_says_nothing_of_what_lies_there(tmp_path: Path) -> None:
    folder = write_region(tmp_path, rivers=None)
    (folder / "places.csv").write_text(PLACES, encoding="utf-8")
    story = Story(config.load(folder))
    story.push("A", 0, 0.5).tick(1)

    assert [reason.code for reason in story.hazards["A"].reasons] == ["observed_below"]


# --- on the page


def test_the_hydrograph_says_why_in_every_language_and_what_lies_there() -> None:
    alert, region = _indus_alert()
    told = Forecast(issued_ms=T0, lead_h=(0.0, 1.0, 2.0), median=(10.0, 20.0, None), sigma=(1.0, 2.0, None))
    why = (Reason(code="likelihood", values={"likelihood": "likely", "probability": 0.7}), *alert.hazard.reasons)
    hazard = msgspec.structs.replace(alert.hazard, forecast=told, reasons=why)
    view = View()
    view.hazards["IND-GUDDU"] = hazard

    shown = present.hydrograph(region, view, "IND-GUDDU", view.active(T0), T0 - H, T0 + H)

    assert shown.reasons == {"en": ["how sure: likely (70 %)"], "ur": ["یقین: امکان ہے (70 %)"]}
    assert shown.exposure is not None
    assert shown.exposure.texts == EXPOSED
    assert (shown.exposure.towns, shown.exposure.people) == (3, 695_986)
    assert {asset.id: asset.position for asset in shown.exposure.assets}["guddu-power"] == "published"
    assert shown.forecast is not None
    assert [band.percent for band in shown.forecast.bands] == [90, 80, 50]
    assert shown.forecast.bands[0].high == pytest.approx([11.6449, 23.2898, None])
    assert shown.forecast.bands[1].low == shown.forecast.low == pytest.approx([8.7184, 17.4368, None])


def test_a_zone_of_which_nothing_is_known_shows_no_exposure(tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))

    shown = present.hydrograph(region, View(), "A", {}, T0 - H, T0 + H)

    assert (shown.exposure, shown.reasons, shown.forecast) == (None, {}, None)
