"""Rain in a region's folder: how its gauges count, and ``catchments.geojson``, the land that stations of grids stand for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import MultiPolygon, Polygon, shape

from warning.config_read import Files, Row, did_you_mean
from warning.config_schema import SeriesRow
from warning.errors import Problem
from warning.model import Parameter
from warning.region import Catchment, Ring

FILE = "catchments.geojson"


def check_rain(files: Files) -> Iterator[Problem]:
    """Columns of series.csv that say how rain is counted."""
    for row in files.series.rows:
        one = row.data
        if one.parameter is not Parameter.RAIN:
            given = [name for name in ("mm_per_tip", "reset_hour", "roll_over") if getattr(one, name) is not None]
            given += ["rain_as"] if one.rain_as != "increment" else []
            for name in given:
                yield Problem(row.where(name), f"{name} is of rain, and this is {one.parameter.value}", "leave it empty")
            continue
        yield from _counter(row)


def _counter(row: Row[SeriesRow]) -> Iterator[Problem]:
    one = row.data
    if one.rain_as == "tips" and one.mm_per_tip is None:
        yield Problem(row.where("mm_per_tip"), "tips without mm_per_tip", "write what one tip of the bucket is in mm, such as 0.2")
    if one.reset_hour is not None and one.rain_as not in ("total", "tips"):
        yield Problem(row.where("reset_hour"), f"{one.rain_as} has no reset", "leave it empty, or set rain_as to total")
    if one.roll_over is not None and one.rain_as not in ("total", "tips"):
        yield Problem(row.where("roll_over"), f"{one.rain_as} does not roll over", "leave it empty, or set rain_as to total or tips")


def catchments(files: Files, zones: Mapping[str, Ring]) -> tuple[tuple[Catchment, ...], list[Problem]]:
    """(the land of each station whose rain is of grids, what is wrong). ``zones``: station -> ring, for those that are not in the file.

    Each feature of ``catchments.geojson`` is a polygon or several with the property ``id``, a station; WGS 84 degrees.
    """
    wanted = {row.data.station: row for row in files.series.rows if row.data.rain_as == "grid" and row.data.parameter is Parameter.RAIN}
    path = files.folder / FILE
    try:
        features = json.loads(path.read_text("utf-8-sig"))["features"] if path.exists() else []
        given = [(str((feature.get("properties") or {}).get("id", "")), shape(feature["geometry"])) for feature in features]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, ShapelyError) as error:
        what = f"not a GeoJSON FeatureCollection of polygons: {type(error).__name__} {error}"
        return (), [Problem(str(path), what, "export it again as GeoJSON, WGS 84, with the property id")]
    problems = [
        problem for number, (name, ground) in enumerate(given, 1) for problem in _wrong(f"{path} feature {number}", name, ground, wanted)
    ]
    names = [name for name, _ in given]
    problems += [
        Problem(str(path), f"{name} stands twice", "make one feature of both") for name in sorted({*names}) if names.count(name) > 1
    ]
    found = {name: _rings(ground) for name, ground in given if not problems}
    found |= {name: ((ring,),) for name, ring in zones.items() if name in wanted and name not in found}
    for name in wanted.keys() - found.keys() if not problems else ():
        fix = f"add a polygon with the id {name} to {FILE}, or limits and a river line that make it a zone with one"
        problems.append(Problem(wanted[name].where("rain_as"), f"nobody knows the land of {name}, whose rain is of grids", fix))
    return tuple(Catchment(name, found[name]) for name in sorted(found) if name in wanted), problems


def _wrong(where: str, name: str, ground: Any, wanted: Mapping[str, Any]) -> Iterator[Problem]:
    if name not in wanted:
        what = f"{name!r} is no station whose rain is of grids" if name else "no property id"
        yield Problem(where, what, did_you_mean(name, wanted) or "set rain_as to grid in its row of rain in series.csv")
        return
    if not isinstance(ground, Polygon | MultiPolygon) or ground.is_empty:
        yield Problem(where, f"{name}: {ground.geom_type} is no land", "export the catchment as a polygon")
        return
    west, south, east, north = ground.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):  # false for NaN too
        what = f"{name}: coordinates from {west:g}, {south:g} to {east:g}, {north:g} are not longitudes and latitudes"
        yield Problem(where, what, "export it in WGS 84 (EPSG:4326); longitudes -180 to 180")
    elif not ground.is_valid:
        yield Problem(where, f"{name}: {shapely.is_valid_reason(ground)}", "mend it: in QGIS, Fix geometries")


def _rings(ground: Any) -> tuple[tuple[Ring, ...], ...]:
    return tuple(
        tuple(tuple((float(y), float(x)) for x, y, *_ in ring.coords) for ring in (polygon.exterior, *polygon.interiors))
        for polygon in getattr(ground, "geoms", [ground])
    )
