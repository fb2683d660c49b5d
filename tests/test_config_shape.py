"""Zone polygons: on the river, around the gauge, simple; and none where there is no line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import shapely
from regions import RIVERS, STATIONS, edit, write_region
from shapely.geometry import Point, Polygon

from warning import config
from warning.config_shape import MOST_POINTS, river_lines
from warning.region import Region, Ring, Zone

ROOT = Path(__file__).resolve().parent.parent
INDUS = config.load(ROOT / "config" / "indus")
SHAPED = [zone for zone in INDUS.zones if zone.polygon]


def shape_of(zone: Zone) -> Polygon:
    """x = longitude, y = latitude, both in km around the zone."""
    assert zone.polygon is not None
    return to_km(Polygon([(lon, lat) for lat, lon in zone.polygon]), zone.polygon[0])


def to_km(geometry: shapely.Geometry, origin: tuple[float, float]) -> shapely.Geometry:
    east = 111.195 * math.cos(math.radians(origin[0]))
    return shapely.transform(geometry, lambda xy: (xy - [origin[1], origin[0]]) * [east, 111.195])


def collection(*features: tuple[str, list[list[float]]]) -> str:
    lines = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "LineString", "coordinates": coordinates}}
        for name, coordinates in features
    ]
    return json.dumps({"type": "FeatureCollection", "features": lines})


def test_only_the_kabul_the_tawi_and_the_nullahs_have_no_line() -> None:
    nullahs = {"BEIN-CHAK-AMRU", "BEIN-SHAKARGARH", "AIK-URA", "BASANTAR-JASSAR", "DEG-KINGRA", "PALKU-WAZIRABAD"}
    without = {zone.id for zone in INDUS.zones if zone.polygon is None}
    assert without == {"KAB-WARSAK", "KAB-NOWSHERA", "CHE-JAMMU-TAWI"} | {f"NUL-{name}" for name in nullahs}


@pytest.mark.parametrize("zone", SHAPED, ids=[zone.id for zone in SHAPED])
def test_a_shipped_polygon_is_closed_simple_short_and_holds_its_gauge(zone: Zone) -> None:
    ring = zone.polygon
    assert ring is not None
    assert ring[0] == ring[-1]
    assert 4 <= len(ring) <= MOST_POINTS
    assert all((round(lat, 4), round(lon, 4)) == (lat, lon) for lat, lon in ring)
    assert INDUS.bounds is not None
    south, west, north, east = INDUS.bounds
    assert all(south <= lat <= north and west <= lon <= east for lat, lon in ring)
    shape = shape_of(zone)
    assert shape.is_valid
    station = INDUS.station_by_id[zone.station]
    assert shape.covers(to_km(Point(station.lon, station.lat), ring[0]))
    if zone.downstream:
        below = INDUS.station_by_id[zone.downstream]
        assert shape.covers(to_km(Point(below.lon, below.lat), ring[0]))


@pytest.mark.parametrize("zone", SHAPED, ids=[zone.id for zone in SHAPED])
def test_a_shipped_polygon_is_as_wide_as_the_region_says(zone: Zone) -> None:
    """Every part of the shape lies within a good 6 km of its river, or of the one it flows into, and the river's reach lies inside."""
    lines, problems = river_lines(ROOT / "config" / "indus" / "rivers.geojson")
    assert problems == []
    below = INDUS.zone_by_id.get(zone.downstream or "")
    assert zone.polygon is not None
    rivers = [to_km(lines[name], zone.polygon[0]) for name in {zone.river, below.river if below else zone.river}]
    shape, river = shape_of(zone), shapely.union_all(rivers)
    assert shape.difference(river.buffer(6 + 2)).area < 0.001 * shape.area
    inside = shape.intersection(river)
    assert 0.5 < shape.area / (inside.length * 12) < 1.5


def test_a_reach_is_cut_at_its_gauges(tmp_path: Path) -> None:
    region = config.load(write_region(tmp_path))
    ring = ring_of(region, "A")
    assert max(lat for lat, _ in ring) == pytest.approx(32.0 + 2 / 111.195, abs=0.01)
    assert min(lat for lat, _ in ring) == pytest.approx(31.5 - 2 / 111.195, abs=0.01)
    last = ring_of(region, "D")
    assert min(lat for lat, _ in last) == pytest.approx(30.2 - 2 / 111.195, abs=0.01)  # to the end of the river


def ring_of(region: Region, zone: str) -> Ring:
    ring = region.zone_by_id[zone].polygon
    assert ring is not None
    return ring


def test_pieces_are_joined_in_any_order_and_direction(tmp_path: Path) -> None:
    whole = config.load(write_region(tmp_path / "whole"))
    pieces = collection(
        ("Oak", [[72.0, 30.2], [72.0, 30.6], [71.98, 31.0]]),
        ("Oak", [[72.0, 32.2], [72.01, 31.8]]),
        ("Oak", [[71.98, 31.003], [72.0, 31.4], [72.01, 31.8]]),
        ("Oak", [[73.0, 31.0], [73.1, 31.1]]),  # a lake of the same name, far away
    )
    cut = config.load(write_region(tmp_path / "cut", rivers=pieces))
    for zone in "ABCD":
        one, other = (Polygon(ring_of(region, zone)) for region in (whole, cut))
        assert one.symmetric_difference(other).area < 0.05 * one.area


def test_a_confluence_is_followed_into_the_next_river(tmp_path: Path) -> None:
    rivers = collection(
        ("Elm", [[71.5, 32.0], [72.0, 31.2]]),
        ("Oak", [[72.0, 32.2], [72.0, 30.2]]),
    )
    folder = write_region(
        tmp_path, rivers=rivers, stations=STATIONS.replace("B,Birch,ب,gauge,Oak,oak,31.5,72.0", "B,Birch,ب,gauge,Elm,oak,31.84,71.6")
    )
    assert config.check(folder) == []
    shape = Polygon(ring_of(config.load(folder), "B"))  # to C at 31.0, 72.0
    assert shape.covers(Point(31.52, 71.8))  # on the Elm
    assert shape.covers(Point(31.1, 72.0))  # on the Oak, below the confluence
    assert not shape.intersects(Point(31.4, 72.0))  # on the Oak, above it
    assert not shape.intersects(Point(30.9, 72.0))


def test_rivers_that_do_not_meet_give_no_polygon(tmp_path: Path) -> None:
    rivers = collection(("Elm", [[71.5, 32.0], [71.7, 31.5]]), ("Oak", [[72.0, 32.2], [72.0, 30.2]]))
    stations = STATIONS.replace("B,Birch,ب,gauge,Oak,oak,31.5,72.0", "B,Birch,ب,gauge,Elm,oak,31.75,71.6")
    region = config.load(write_region(tmp_path, rivers=rivers, stations=stations))
    assert region.zone_by_id["B"].polygon is None
    assert region.zone_by_id["C"].polygon is not None


def test_a_gauge_far_from_its_river_gets_no_polygon_and_a_warning(tmp_path: Path) -> None:
    folder = edit(write_region(tmp_path), "stations", "31.5,72.0", "31.5,72.2")
    [problem] = config.check(folder)
    assert problem.where == f"{folder}/stations.csv:3 (lat)"
    assert "km from the line of Oak: its zone gets no polygon" in problem.what
    assert not problem.fatal
    region = config.load(folder)
    assert region.zone_by_id["B"].polygon is None
    assert region.zone_by_id["A"].polygon is None  # it would end nobody knows where


def test_a_misspelt_river_is_a_warning(tmp_path: Path) -> None:
    folder = edit(write_region(tmp_path, rivers=RIVERS.replace('"Oak"', '"Oaks"')), "stations", "C,Cedar,ج,gauge,Oak", "C,Cedar,ج,gauge,Zz")
    problems = config.check(folder)
    assert {problem.fix for problem in problems} == {"did you mean Oaks?"}
    assert len(problems) == 3
    assert not any(problem.fatal for problem in problems)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"type": "FeatureCollection"}',
        '{"features": [1]}',
        '{"features": [{"properties": {"name": "Oak"}, "geometry": {"type": "Line"}}]}',
    ],
)
def test_a_broken_river_file_is_explained(tmp_path: Path, text: str) -> None:
    folder = write_region(tmp_path, rivers=text)
    [problem] = config.check(folder)
    assert problem.where == f"{folder}/rivers.geojson"
    assert "not a GeoJSON FeatureCollection of lines" in problem.what
    assert problem.fatal


def test_heights_empty_lines_and_other_shapes_do_no_harm(tmp_path: Path) -> None:
    features = json.loads(
        collection(("Oak", [[72.0, 32.2, 300.0], [72.0, 31.0, 200.0]]), ("Oak", [[72.0, 31.0], [72.0, 30.2]]), ("Oak", []))
    )
    point = {"type": "Feature", "properties": {"name": "Oak"}, "geometry": {"type": "Point", "coordinates": [72.0, 31.0]}}
    same = {"type": "Feature", "properties": {"name": "Oak"}, "geometry": {"type": "LineString", "coordinates": [[72, 31], [72, 31]]}}
    features["features"] += [point, same, {"type": "Feature", "properties": None, "geometry": point["geometry"]}]
    region = config.load(write_region(tmp_path, rivers=json.dumps(features)))
    assert all(zone.polygon for zone in region.zones)


def test_without_river_lines_there_is_a_warning_and_no_polygon(tmp_path: Path) -> None:
    folder = write_region(tmp_path, rivers=None)
    [problem] = config.check(folder)
    assert (problem.fatal, "no zone gets a polygon" in problem.what) == (False, True)
    assert all(zone.polygon is None for zone in config.load(folder).zones)


def test_a_line_outside_the_bounds_is_refused(tmp_path: Path) -> None:
    folder = write_region(tmp_path, rivers=RIVERS.replace("[72.0, 30.2]", "[72.0, 28.2]"))
    [problem] = config.check(folder)
    assert problem.where == f"{folder}/region.yaml:8 (bounds)"
    assert problem.what == "polygons reach outside the region's bounds: D"
