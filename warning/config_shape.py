"""Zone polygons: the river line between a gauge and the next, buffered. Where there is no line there is no polygon.

Buffering is done on a plane in metres around the gauge (equirectangular: within 2 % over the length of a reach).
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import LineString, MultiLineString, Point, Polygon, shape
from shapely.ops import linemerge, substring, unary_union

from warning.config_read import Files, Row
from warning.config_schema import PolygonFile, StationRow
from warning.errors import Problem
from warning.region import Ring

EARTH_M_PER_DEGREE = 111_195.0  # of a great circle, mean radius 6371.0 km
GAP_DEGREES = 0.01  # pieces of one river whose ends are about a kilometre apart are one line: base maps cut rivers at lakes and tiles
MOST_POINTS = 60  # in a ring: a CAP document with several zones stays small
MOST_COARSENING = 0.25  # of the width: the line must stay well inside


@dataclass(frozen=True)
class _Gauge:
    row: Row[StationRow]
    point: Point  # lon, lat
    line: LineString | None  # its river, degrees


def polygons(files: Files) -> tuple[Mapping[str, Ring], list[Problem]]:
    """(zone -> closed ring of (lat, lon), for every zone that has a river line; what is wrong or doubtful about the lines).

    ``files`` must be free of fatal problems.
    """
    rules = files.region.polygon if files.region else None
    if rules is None:
        return {}, []
    path = files.folder / "rivers.geojson"
    rivers, problems = river_lines(path)
    gauges = {row.data.id: gauge for row in files.stations.rows if (gauge := _gauge(row, rivers)) is not None}
    rings: dict[str, Ring] = {}
    for limits in files.limits.rows:
        gauge = gauges.get(limits.data.station)
        if gauge is None:
            continue
        problems += _doubts(gauge, rivers, rules)
        below = [row.data.downstream for row in files.reaches.rows if row.data.upstream == limits.data.station]
        above = [row.data.upstream for row in files.reaches.rows if row.data.downstream == limits.data.station]
        plane = _plane(gauge.point)
        reach = _reach(plane, gauge, _of(gauges, below), _of(gauges, above), rules.snap_within)
        ring = None if reach is None else _ring(reach, rules.width, _from_plane(gauge.point))
        if ring is not None:
            rings[limits.data.station] = ring
    problems += _outside(files, rings)
    return rings, problems


def _of(gauges: Mapping[str, _Gauge], ids: Iterable[str | None]) -> _Gauge | None:
    return next((gauges[one] for one in ids if one is not None and one in gauges), None)


# --- lines


def river_lines(path: Path) -> tuple[dict[str, LineString], list[Problem]]:
    """River name -> its main line, in degrees (lon, lat), pieces joined. A missing file is a warning, a broken one is fatal."""
    if not path.exists():
        return {}, [
            Problem(str(path), "no river lines: no zone gets a polygon", "add the file, or remove polygon: from region.yaml", False)
        ]
    pieces: dict[str, list[LineString]] = {}
    try:
        for feature in json.loads(path.read_text("utf-8-sig"))["features"]:
            name = (feature.get("properties") or {}).get("name")
            if name:
                pieces.setdefault(str(name), []).extend(_pieces(feature))
        return {name: _joined(parts) for name, parts in pieces.items() if parts}, []
    except (ValueError, KeyError, TypeError, AttributeError, OSError, ShapelyError) as error:
        what = f"not a GeoJSON FeatureCollection of lines: {type(error).__name__} {error}"
        return {}, [Problem(str(path), what, "export it again as GeoJSON, WGS 84, with the property name")]


def _pieces(feature: Any) -> list[LineString]:
    """The lines of a feature, without heights; none for anything that is not a line (a lake, a place)."""
    geometry = shapely.force_2d(shape(feature["geometry"]))
    if not isinstance(geometry, LineString | MultiLineString) or geometry.is_empty:
        return []
    west, south, east, north = geometry.bounds
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):  # false for NaN too
        raise ValueError(f"coordinates from {west}, {south} to {east}, {north} are not longitudes and latitudes")
    return [line for line in getattr(geometry, "geoms", [geometry]) if line.length > 0]


def _joined(parts: list[LineString]) -> LineString:
    """The longest piece, with whatever can be attached to its ends; side branches and far pieces stay away."""
    merged = linemerge(parts)
    pieces = sorted(getattr(merged, "geoms", [merged]), key=lambda piece: (-piece.length, tuple(piece.coords)))
    line = list(pieces.pop(0).coords)
    while pieces:
        distance, place, way = min(_attachments(line, pieces))
        if distance > GAP_DEGREES:
            break
        coordinates = list(pieces.pop(place).coords)
        if way in (1, 2):
            coordinates.reverse()
        line = line + coordinates if way < 2 else coordinates + line
    return LineString(line)


def _attachments(line: list[Any], pieces: list[Any]) -> list[tuple[float, int, int]]:
    """(distance, piece, way): way 0 end-start, 1 end-end, 2 start-start, 3 start-end."""
    ends = [(line[-1], 0), (line[-1], -1), (line[0], 0), (line[0], -1)]
    return [
        (math.dist(here, piece.coords[there]), place, way) for place, piece in enumerate(pieces) for way, (here, there) in enumerate(ends)
    ]


def _gauge(row: Row[StationRow], rivers: Mapping[str, LineString]) -> _Gauge | None:
    if row.data.lat is None or row.data.lon is None:
        return None
    return _Gauge(row, Point(row.data.lon, row.data.lat), rivers.get(row.data.river))


def _doubts(gauge: _Gauge, rivers: Mapping[str, LineString], rules: PolygonFile) -> list[Problem]:
    river = gauge.row.data.river
    if gauge.line is None:
        close = difflib.get_close_matches(river, rivers, n=1, cutoff=0.8)
        what = f"rivers.geojson has no river {river!r}"
        return [Problem(gauge.row.where("river"), what, f"did you mean {close[0]}?", False)] if close else []
    plane = _plane(gauge.point)
    distance = plane(gauge.point).distance(plane(gauge.line))
    if distance <= rules.snap_within:
        return []
    what = f"{gauge.row.data.id} is {distance / 1000:.1f} km from the line of {river}: its zone gets no polygon"
    return [Problem(gauge.row.where("lat"), what, "check the position and the river", False)]


# --- the reach on a plane in metres


def _plane(origin: Point) -> Callable[[Any], Any]:
    east = EARTH_M_PER_DEGREE * math.cos(math.radians(origin.y))
    return lambda geometry: shapely.transform(geometry, lambda xy: (xy - [origin.x, origin.y]) * [east, EARTH_M_PER_DEGREE])


def _from_plane(origin: Point) -> Callable[[Any], Any]:
    east = EARTH_M_PER_DEGREE * math.cos(math.radians(origin.y))
    return lambda geometry: shapely.transform(geometry, lambda xy: xy / [east, EARTH_M_PER_DEGREE] + [origin.x, origin.y])


def _reach(plane: Callable[[Any], Any], gauge: _Gauge, below: _Gauge | None, above: _Gauge | None, snap_m: float) -> Any:
    """The river from the gauge to the next one, in metres; to the river's end below the last; None without a line."""
    if gauge.line is None:
        return None
    line = plane(gauge.line)
    start = _along(line, plane(gauge.point), snap_m)
    if start is None:
        return None
    if below is None:
        return _to_the_end(line, start, plane, above, snap_m)
    if below.line is gauge.line:
        stop = _along(line, plane(below.point), snap_m)
        return None if stop is None else _cut(line, start, stop)
    return None if below.line is None else _through_confluence(line, start, plane(below.line), plane(below.point), snap_m)


def _through_confluence(line: Any, start: float, onward: Any, next_gauge: Any, snap_m: float) -> Any:
    """From the gauge to where its river meets the next gauge's river, and on along that one to the next gauge."""
    end_at = min((0.0, line.length), key=lambda at: line.interpolate(at).distance(onward))
    confluence = line.interpolate(end_at)
    if confluence.distance(onward) > snap_m:
        return None
    legs = [_cut(line, start, end_at)]
    stop = _along(onward, next_gauge, snap_m)
    if stop is not None:
        legs.append(_cut(onward, onward.project(confluence), stop))
    return unary_union([leg for leg in legs if leg is not None])


def _to_the_end(line: Any, start: float, plane: Callable[[Any], Any], above: _Gauge | None, snap_m: float) -> Any:
    """Below the last gauge: away from the gauge above it. Without one on this river nobody knows which way the water flows."""
    if above is None or above.line is None or plane(above.line).distance(line) > 0:
        return None
    came_from = _along(line, plane(above.point), snap_m)
    if came_from is None or came_from == start:
        return None
    return _cut(line, start, line.length if came_from < start else 0.0)


def _along(line: Any, point: Any, snap_m: float) -> float | None:
    """Distance along the line of the point nearest to ``point``; None if that is too far off."""
    return None if line.distance(point) > snap_m else float(line.project(point))


def _cut(line: Any, start: float, stop: float) -> Any:
    return None if start == stop else substring(line, min(start, stop), max(start, stop))


# --- the ring


def _ring(reach: Any, width_m: float, back: Callable[[Any], Any]) -> Ring | None:
    """The reach, ``width_m`` wide, as a closed, simple ring of at most MOST_POINTS points, 4 decimals; None if that cannot be."""
    for step in range(1, 26):
        coarse = width_m * MOST_COARSENING * step / 25
        around = reach.simplify(coarse / 2).buffer(width_m / 2, quad_segs=3).simplify(coarse)
        if not isinstance(around, Polygon):
            continue
        ring = tuple((round(lat, 4), round(lon, 4)) for lon, lat in back(around).exterior.coords)
        ring = tuple(point for n, point in enumerate(ring) if n == 0 or point != ring[n - 1])
        if 4 <= len(ring) <= MOST_POINTS and Polygon(ring).is_valid:
            return ring
    return None


def _outside(files: Files, rings: Mapping[str, Ring]) -> list[Problem]:
    if files.region is None:
        return []
    box = files.region.bounds
    beyond = [
        zone
        for zone, ring in rings.items()
        if any(not (box.south <= lat <= box.north and box.west <= lon <= box.east) for lat, lon in ring)
    ]
    what = f"polygons reach outside the region's bounds: {', '.join(beyond)}"
    return [Problem(files.where("bounds"), what, "widen bounds, or correct the river line")] if beyond else []
