"""Grids of rain from files: real radar of 2016, IMERG and ERA5 after their documentation, plain CF; what is wrong in a file is named."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from grid_files import SQUARE, Land, catchment, cf, era5, era5_packed
from regions import SERIES, STATIONS, write_region

from warning import config
from warning.errors import ConfigError, InputError
from warning.ingest.grids import Grids, Mean, Unreadable, items
from warning.region import Catchment
from warning.rehearsal.imerg import half_hour
from warning.science.rain_grid import Asked
from warning.science.rain_grid_units import unit

MRMS = Path(__file__).parent / "data" / "mrms" / "mrms_qpe01h_20160920-22_0p05deg.nc"
DAY = 1_756_684_800  # 1 September 2025
LAT, LON = np.arange(29.5, 33.0, 1.0), np.arange(68.5, 74.0, 1.0)


def only(found: tuple[Mean, ...], station: str = "SQ") -> list[tuple[int, float | None]]:
    return [(mean.end_s, mean.mm) for mean in found if mean.station == station]


def sine(lat: float) -> float:
    return math.sin(math.radians(lat))


# --- real radar


def test_the_headwaters_of_the_cedar_had_a_hundred_millimetres_in_three_days() -> None:
    found = Grids(Land(catchment("CEDAR", 42.6, -93.4, 43.9, -92.2))).read(MRMS)
    rain = [mean.mm or 0.0 for mean in found.means]
    assert (found.variable, found.steps, found.outside) == ("precipitation", 72, ())
    assert (round(sum(rain), 1), round(max(rain), 1)) == (100.6, 10.7)  # as its makers' native grid says
    assert found.means[0].end_s == 1_474_329_600  # 20 September 2016, 00 UTC: the END of the hour
    assert [mean.end_s - found.means[0].end_s for mean in found.means] == [3600 * hour for hour in range(72)]


def test_a_catchment_of_any_shape_is_what_exact_areas_say() -> None:
    """Against a plain reckoning: each cell cut by the polygon with shapely, and its part measured on the equal-area cylinder."""
    ring = ((42.03, -93.41), (42.61, -92.17), (43.87, -92.4), (43.2, -93.9), (42.9, -92.9), (42.03, -93.41))
    hole = ((43.0, -92.9), (43.1, -92.6), (43.3, -92.8), (43.0, -92.9))
    [first, *_] = Grids(Land(Catchment("ODD", ((ring, hole),)))).read(MRMS).means
    import netCDF4

    with netCDF4.Dataset(MRMS) as file:
        mm, lats, lons = file["precipitation"][0].filled(np.nan), file["lat"][:].data, file["lon"][:].data
    ground = shapely.Polygon([(x, y) for y, x in ring], [[(x, y) for y, x in hole]])
    total = area = 0.0
    for row, lat in enumerate(lats):
        for column, lon in enumerate(lons):
            part = ground.intersection(shapely.box(lon - 0.025, lat - 0.025, lon + 0.025, lat + 0.025))
            if not part.is_empty:
                size = part.area * math.cos(math.radians(lat))
                total, area = total + size * float(mm[row, column]), area + size
    assert first.mm == pytest.approx(total / area, rel=2e-4, abs=1e-3)


def test_a_catchment_that_the_file_does_not_hold_has_no_rain_and_is_named() -> None:
    found = Grids(Land(catchment("CEDAR", 42.6, -93.4, 43.9, -92.2), catchment("EDGE", 44.0, -93.0, 46.0, -92.0))).read(MRMS)
    assert found.outside == ("EDGE",) and {mean.station for mean in found.means} == {"CEDAR"}
    with pytest.raises(InputError, match=r"holds nothing of this region"):
        Grids(Land(SQUARE)).read(MRMS)


# --- GPM IMERG, after its documentation


@pytest.mark.parametrize(("version", "suffix"), [("V07B", "HDF5"), ("V06B", "RT-H5"), ("V07B", "nc4")])
def test_a_half_hour_of_imerg_is_half_its_rate(version: str, suffix: str, tmp_path: Path) -> None:
    path = half_hour(tmp_path, DAY + 5400, lambda lon, lat: lat + 0.0 * lon, version=version, step=1.0, suffix=suffix)
    found = Grids(Land(SQUARE)).read(path)
    weights = [sine(31) - sine(30), sine(32) - sine(31)]
    expected = (30.5 * weights[0] + 31.5 * weights[1]) / sum(weights) / 2.0
    [(end_s, mm)] = only(found.means)
    assert end_s == DAY + 7200  # the end of the half hour, UTC
    assert mm == pytest.approx(expected, abs=1e-3)


def test_what_imerg_does_not_know_is_missing_and_what_it_knows_counts_for_the_rest(tmp_path: Path) -> None:
    def west_unknown(lon: Any, lat: Any) -> Any:
        return np.where(lon < 70.6, np.nan, 4.0 + 0.0 * lat)

    lands = Land(SQUARE, catchment("EAST", 30.0, 70.0, 32.0, 75.0))
    found = Grids(lands).read(half_hour(tmp_path, DAY, west_unknown, step=1.0))
    assert only(found.means) == [(DAY + 1800, None)]  # half of it
    assert only(found.means, "EAST") == [(DAY + 1800, 2.0)]  # a fifth
    [first, _] = items(found.means)
    assert first == b'{"station":"EAST","parameter":"rain","time":"2025-09-01T00:30:00+00:00","value":2.0,"unit":"mm"}'


# --- ERA5, after its documentation


def test_era5_is_the_hour_that_ends_at_its_time(tmp_path: Path) -> None:
    mm = np.stack([np.full((4, 6), 3.0), np.full((4, 6), 0.5)])
    for path in (
        era5(tmp_path / "new.nc", mm, LAT[::-1] * 0.25 + 23.2, LON * 0.25 + 53.0, [1, 2]),
        era5_packed(tmp_path / "old.nc", mm, LAT[::-1] * 0.25 + 23.2, LON * 0.25 + 53.0, [1, 2]),
    ):
        found = Grids(Land(catchment("SQ", 30.7, 70.3, 31.3, 71.1))).read(path)
        assert only(found.means) == [(DAY + 3600, pytest.approx(3.0, abs=2e-3)), (DAY + 7200, pytest.approx(0.5, abs=2e-3))]


def test_era5_land_counts_since_midnight(tmp_path: Path) -> None:
    since = np.array([2.0, 5.0, 24.0, 1.0])  # at 23:00 of the day before, 00:00 has all of that day; then 01:00 begins again
    mm = since[:, None, None] * np.ones((4, 6))
    path = era5(tmp_path / "land.nc", mm, LAT[::-1] * 0.1 + 27.9, LON * 0.1 + 63.5, [-2, -1, 0, 1])
    found = Grids(Land(catchment("SQ", 30.9, 70.4, 31.1, 70.8))).read(path)
    approx = [pytest.approx(each, abs=1e-3) for each in (3.0, 19.0, 1.0)]
    assert only(found.means) == list(zip((DAY - 3600, DAY, DAY + 3600), approx, strict=True))
    assert (found.steps, found.left_out) == (4, 1)  # what fell in the hour to 22:00 the file does not tell


# --- plain CF


def test_axes_in_any_order_and_direction_and_any_longitudes_give_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    lat, lon = np.arange(-4.5, 5.0, 1.0), np.arange(-9.5, 10.0, 1.0)
    rate = rng.random((2, len(lat), len(lon))) * 1e-3
    says = {"time": {"values": [1, 2]}, "bounds": [[0, 1], [1, 2]], "attrs": {"units": "kg m-2 s-1", "standard_name": "precipitation_flux"}}
    land = Land(catchment("SQ", -2.3, -3.7, 3.1, 5.2))
    plain = only(Grids(land).read(cf(tmp_path / "a.nc", rate, lat, lon, **says)).means)
    assert plain[0][1] is not None and plain[0][1] > 1.0
    for number, dims in enumerate([("lon", "time", "lat"), ("lat", "lon", "time"), ("time", "lon", "lat")]):
        turned = cf(tmp_path / f"b{number}.nc", rate[:, ::-1, ::-1], lat[::-1], lon[::-1], dims=dims, **says)
        assert only(Grids(land).read(turned).means) == plain
    east = lon % 360.0
    order = np.argsort(east)  # 0.5 ... 9.5, 350.5 ... 359.5 is not even; so the whole circle
    circle = np.arange(0.5, 360.0, 1.0)
    whole = np.zeros((2, len(lat), 360))
    whole[:, :, np.searchsorted(circle, east[order])] = rate[:, :, order]
    assert only(Grids(land).read(cf(tmp_path / "c.nc", whole, lat, circle, **says)).means) == plain


def test_amounts_by_cell_methods_by_bounds_and_by_what_is_asked(tmp_path: Path) -> None:
    mm = np.full((1, 4, 6), 6.0)
    summed = {"units": "mm", "cell_methods": "time: sum (interval: 3 hours)", "standard_name": "precipitation_amount"}
    path = cf(tmp_path / "sum.nc", mm, LAT, LON, time={"values": [3]}, attrs=summed)
    assert only(Grids(Land(SQUARE)).read(path).means) == [(DAY + 3 * 3600, 6.0)]
    bare = cf(tmp_path / "bare.nc", mm, LAT, LON, time={"values": [1]}, variable="x")
    with pytest.raises(InputError, match="which of x is rain is not said"):
        Grids(Land(SQUARE)).read(bare)
    asked = Asked(variable="x", units="mm/h", interval_s=1800)
    assert only(Grids(Land(SQUARE), asked).read(bare).means) == [(DAY + 3600, 3.0)]


def test_codes_for_nothing_known_and_packing_below_zero(tmp_path: Path) -> None:
    stored = np.full((1, 4, 6), 50, "i2")
    stored[0, :, :2] = 0  # a hair below zero once unpacked
    says = {"bounds": [[0, 1]], "time": {"values": [1]}, "dtype": "i2"}
    attrs = {"units": "mm", "standard_name": "precipitation_amount", "scale_factor": 0.1, "add_offset": -0.02}
    dry = cf(tmp_path / "dry.nc", stored * 0, LAT, LON, attrs=attrs, **says)
    assert only(Grids(Land(SQUARE)).read(dry).means) == [(DAY + 3600, 0.0)]
    stored[0, :, 2] = -30  # MRMS: no coverage
    holes = cf(tmp_path / "holes.nc", stored, LAT, LON, attrs=attrs, **says)
    lands = Land(SQUARE, catchment("EAST", 30.0, 70.9, 32.0, 73.9))
    assert only(Grids(lands).read(holes).means, "EAST") == [(DAY + 3600, 4.98)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attrs": {"standard_name": "rainfall_amount"}}, r"pr:units: is missing .*--units"),
        ({"attrs": {"standard_name": "rainfall_amount", "units": "dBZ"}}, r"pr:units: 'dBZ' is no unit"),
        ({"bounds": None}, r"time:bounds: the file does not say in which interval .*--interval"),
        ({"bounds": [[1, 1]]}, r"time_bnds: an interval of 0 s"),
        ({"time": {"values": [1], "units": "hours"}}, r"time:units: 'hours' is not like seconds since"),
        ({"time": {"values": [1], "calendar": "360_day"}}, r"time:calendar: 360_day"),
        ({"lat": np.array([29.5, 30.5, 31.5, 35.0])}, r"lat: is not evenly spaced"),
        ({"values": np.full((1, 4, 6), -9999.0)}, None),
        ({"values": np.full((1, 4, 6), 9.96921e36)}, r"_FillValue"),
        ({"attrs": {"standard_name": "rainfall_amount", "units": "mm", "scale_factor": "x"}}, r"pr:scale_factor: 'x' is no number"),
        ({"names": ("time", "y", "x")}, None),
    ],
)
def test_what_a_file_does_not_say_is_named_with_the_fix(changes: dict[str, Any], words: str | None, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "values": np.full((1, 4, 6), 1.0),
        "lat": LAT,
        "lon": LON,
        "time": {"values": [1]},
        "bounds": [[0, 1]],
        "attrs": {"standard_name": "rainfall_amount", "units": "mm"},
    } | changes
    path = cf(tmp_path / "some.nc", **given)
    if words is None:  # said otherwise: the axes by their units, the code by being far below zero
        expected = None if "values" in changes else 1.0
        assert only(Grids(Land(SQUARE)).read(path).means) == [(DAY + 3600, expected)]
        return
    with pytest.raises(InputError) as caught:
        Grids(Land(SQUARE)).read(path)
    shown = f"{caught.value} {caught.value.fix}"
    assert shown.startswith("some.nc: ") and re.search(words, shown), shown


def test_files_of_another_kind_and_broken_ones(tmp_path: Path) -> None:
    grids = Grids(Land(SQUARE))
    (tmp_path / "a.grib2").write_bytes(b"GRIB" + bytes(100))
    with pytest.raises(InputError, match=r"a.grib2: GRIB is not read"):
        grids.read(tmp_path / "a.grib2")
    (tmp_path / "a.txt").write_text("rain")
    with pytest.raises(Unreadable, match="neither NetCDF nor HDF5"):
        grids.read(tmp_path / "a.txt")
    whole = half_hour(tmp_path, DAY, lambda lon, lat: 1.0 + 0.0 * lat * lon, step=1.0).read_bytes()
    for part in (20, len(whole) // 2, len(whole) - 10):
        (tmp_path / "half.h5").write_bytes(whole[:part])
        with pytest.raises(Unreadable, match=r"half.h5: cannot be read"):
            grids.read(tmp_path / "half.h5")
    with pytest.raises(InputError, match="No such file"):
        grids.read(tmp_path / "none.nc")


@pytest.mark.parametrize(
    ("words", "to_mm", "rate"),
    [
        *[(each, 1 / 3600, True) for each in ("mm/h", "mm/hr", "mm h-1", "mm hr^-1", "mm/hour", "MM/HR", "mm h**-1", "kg m-2 h-1")],
        *[(each, 1.0, True) for each in ("kg m-2 s-1", "kg/m2/s", "kg m**-2 s**-1", "mm/s", "mm s-1")],
        *[(each, 1000.0, True) for each in ("m s-1", "m/s")],
        *[(each, 1 / 86_400, True) for each in ("mm/day", "mm d-1", "kg m-2 day-1")],
        *[(each, 1.0, False) for each in ("mm", "kg m-2", "kg m**-2", "millimeters", "kg/m2")],
        *[(each, 1000.0, False) for each in ("m", "metre", "m of water equivalent")],
        ("inches", 25.4, False),
    ],
)
def test_units_in_the_spellings_that_are_about(words: str, to_mm: float, rate: bool) -> None:
    found = unit("pr", words)
    assert (found.to_mm, found.rate) == (pytest.approx(to_mm), rate)


@pytest.mark.parametrize("words", ["", "1", "%", "K", "mm-1", "m3 s-1", "kg", "mm m", "dBZ", "mm/fortnight"])
def test_what_is_no_unit_of_rain_is_refused(words: str) -> None:
    with pytest.raises(InputError, match="is no unit of rain"):
        unit("pr", words)


# --- the region's folder

GRID = "G,rain,mm,,,,,,,,grid\n"
TABLE = "\n".join(f"{row}," for row in SERIES.splitlines()).replace("flat_within,", "flat_within,rain_as") + "\n" + GRID
STATION = STATIONS + "G,Gorse,گ,rain,Oak,oak,,,approximate,12\n"
SHAPE = '{"type": "Feature", "properties": {"id": "%s"}, "geometry": {"type": "Polygon", "coordinates": %s}}'
RING = "[[[70, 30], [72, 30], [72, 32], [70, 32], [70, 30]]]"


def folder(tmp_path: Path, *features: str) -> Path:
    made = write_region(tmp_path, stations=STATION, series=TABLE)
    (made / "catchments.geojson").write_text('{"type": "FeatureCollection", "features": [' + ", ".join(features) + "]}")
    return made


def test_a_region_with_a_catchment(tmp_path: Path) -> None:
    found = config.load(folder(tmp_path, SHAPE % ("G", RING)))
    assert found.catchments == (Catchment("G", ((((30.0, 70.0), (30.0, 72.0), (32.0, 72.0), (32.0, 70.0), (30.0, 70.0)),),)),)
    other = config.load(folder(tmp_path, SHAPE % ("G", RING.replace("72", "71"))))
    assert other.catchments != found.catchments and other.digest == found.digest


def test_the_polygon_of_a_zone_stands_in_for_a_catchment(tmp_path: Path) -> None:
    table = TABLE.replace(GRID, "A,rain,mm,,,,,,,,grid\n")
    found = config.load(write_region(tmp_path, series=table))
    assert [(one.station, one.polygons) for one in found.catchments] == [("A", ((found.zone_by_id["A"].polygon,),))]


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ((), "nobody knows the land of G"),
        ((SHAPE % ("H", RING),), "'H' is no station whose rain is of grids"),
        ((SHAPE % ("G", RING), SHAPE % ("G", RING)), "G stands twice"),
        ((SHAPE % ("G", "[[[70, 30], [72, 32], [72, 30], [70, 32], [70, 30]]]"),), "Self-intersection"),
        ((SHAPE % ("G", "[[[30, 700], [32, 700], [32, 720], [30, 720], [30, 700]]]"),), "are not longitudes and latitudes"),
        ((SHAPE.replace("Polygon", "LineString") % ("G", "[[70, 30], [72, 30]]"),), "LineString is no land"),
        (("{",), "not a GeoJSON FeatureCollection"),
    ],
)
def test_wrong_catchments_are_named(features: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        config.load(folder(tmp_path, *features))


def test_a_region_without_grids_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no station's rain is of grids .*catchments.geojson"):
        Grids(config.load(write_region(tmp_path)))
