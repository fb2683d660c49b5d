"""The shapes of a CAP area: syntax, closure, crossings, swapped axes, and whether they lie inside the region."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from shapely.geometry import LinearRing

from warning.alerts.parsed import ParsedArea, ring
from warning.region import Region

Box = tuple[float, float, float, float]  # south, west, north, east, degrees
Points = tuple[tuple[float, float], ...]
Broken = tuple[str, str]  # rule, what

_MARGIN = 1.0  # degrees around a region that does not say where it ends
_CIRCLE = re.compile(r"\s*([^\s,]+),([^\s,]+)\s+(\S+)\s*")


def bounds_of(region: Region) -> Box | None:
    """The region's bounds; else a degree around its gauges and zones; None if it has no position at all."""
    if region.bounds is not None:
        return region.bounds
    points = [(station.lat, station.lon) for station in region.stations if station.lat is not None and station.lon is not None]
    points += [point for zone in region.zones for point in zone.polygon or ()]
    if not points:
        return None
    lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
    return min(lats) - _MARGIN, min(lons) - _MARGIN, max(lats) + _MARGIN, max(lons) + _MARGIN


def area_findings(area: ParsedArea, box: Box | None) -> Iterator[Broken]:
    """Every broken rule of an area's polygons and circles, all of them, not only the first."""
    for polygon in area.polygons:
        if polygon:
            yield from _polygon(polygon, box)
    for circle in area.circles:
        if circle:
            yield from _circle(circle, box)


def _polygon(text: str, box: Box | None) -> Iterator[Broken]:
    try:
        points = ring(text)
    except ValueError:
        yield "polygon-format", f"{text[:60]!r} is not lat,lon lat,lon ..."
        return
    swapped = tuple((lon, lat) for lat, lon in points)
    if not _on_globe(points):
        if _on_globe(swapped):
            yield "polygon-axes", "a latitude beyond 90: written as lon,lat"
        else:
            yield "polygon-format", "a point is not on the globe"
        return
    if len(points) < 4:
        yield "polygon-points", f"{len(points)} points"
    if points[0] != points[-1]:
        yield "polygon-open", f"begins at {points[0]} and ends at {points[-1]}"
    elif len(points) >= 4 and (len(set(points)) < 3 or not LinearRing(points).is_simple):
        yield "polygon-crossing", "the line crosses or touches itself"
    if box is not None and not _inside(points, box):
        if _inside(swapped, box):
            yield "polygon-axes", "inside the region only when read as lon,lat"
        else:
            yield "polygon-outside", "a point lies outside of the region"


def _circle(text: str, box: Box | None) -> Iterator[Broken]:
    match = _CIRCLE.fullmatch(text)
    try:
        lat, lon, radius = map(float, match.groups()) if match else (math.nan, math.nan, math.nan)
    except ValueError:
        lat = lon = radius = math.nan
    if not (_on_globe(((lat, lon),)) and 0 <= radius < 20_000):
        yield "circle-format", f"{text[:60]!r} is not lat,lon radius_km"
    elif box is not None and not _inside(((lat, lon),), box):
        yield "circle-outside", f"its centre {lat},{lon} lies outside of the region"


def _on_globe(points: Points) -> bool:
    return all(abs(lat) <= 90 and abs(lon) <= 180 for lat, lon in points)  # NaN is not


def _inside(points: Points, box: Box) -> bool:
    south, west, north, east = box
    return all(south <= lat <= north and west <= lon <= east for lat, lon in points)
