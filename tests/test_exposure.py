"""Who and what lies in a zone: towns, people, assets; from the files of a region to the words of a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.regions import edit, write_region
from warning import config, config_archive
from warning.config_exposure import distance_m
from warning.errors import ConfigError
from warning.region import Exposure, Region

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
    region = config.load("indus")
    found = _of(region, "IND-GUDDU")

    assert (found.basis, found.within_m) == ("polygon", 12_000.0)
    assert {"guddu-power", "guddu-barrage", "sukkur-barrage", "lansdowne"} <= set(found.assets)
    assert found.largest[0].name == "Sukkur"
    assert found.people == sum(town.people for town in found.largest)
    assert all(asset.source for asset in region.assets)
    assert not {"gwadar-port", "khunjerab"} & {asset for zone in region.zones if zone.exposure for asset in zone.exposure.assets}
