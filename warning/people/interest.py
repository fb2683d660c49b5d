"""What an agency wants to hear of: places, hazards, classes. Decided here for an alert's zone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec
import shapely

from warning.region import Region, Ring, Zone

MOST_POINTS = 1000  # of an area


class Interest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Places: a zone counts if any of ``districts``, ``rivers``, ``zones`` or the ``area`` has it; none named: every zone.

    ``area``: a closed ring of (lat, lon). ``hazards``: flood, flash_flood, heat, heavy_rain; empty: all.
    """

    districts: tuple[str, ...] = ()
    rivers: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    area: Ring = ()

    @property
    def anywhere(self) -> bool:
        return not (self.districts or self.rivers or self.zones or self.area)

    def includes(self, zone: Zone, places: Mapping[str, tuple[float, float]]) -> bool:
        """``places``: station -> (lat, lon), for zones without a polygon. One that lies nowhere that we know lies in every area."""
        if self.hazards and zone.hazard not in self.hazards:
            return False
        if self.anywhere or zone.id in self.zones or zone.river in self.rivers or not set(self.districts).isdisjoint(zone.districts):
            return True
        return bool(self.area) and _meets(self.area, zone, places.get(zone.station))


def zones_of(interest: Interest, region: Region) -> list[str]:
    """The zones of a region that an interest has."""
    places = places_of(region)
    return [zone.id for zone in region.zones if interest.includes(zone, places)]


def places_of(region: Region) -> dict[str, tuple[float, float]]:
    """station -> (lat, lon), where it is known."""
    return {one.id: (one.lat, one.lon) for one in region.stations if one.lat is not None and one.lon is not None}


def wrong_ring(area: Ring) -> str:
    """What is wrong with an area, and the fix; "" if nothing is."""
    if len(area) < 4 or area[0] != area[-1]:
        return "a ring has at least four points, the last one the first again"
    if len(area) > MOST_POINTS:
        return f"{len(area)} points; at most {MOST_POINTS}"
    if not all(-90 <= lat <= 90 and -180 <= lon <= 180 for lat, lon in area):
        return "a point lies outside of the Earth: [longitude, latitude] in degrees"
    polygon = _polygon(area)
    if not polygon.is_valid:
        return f"the ring crosses itself: {shapely.is_valid_reason(polygon)}"
    return "" if polygon.area > 0 else "the ring encloses nothing"


def _meets(area: Ring, zone: Zone, place: tuple[float, float] | None) -> bool:
    if zone.polygon is not None:
        return bool(_polygon(area).intersects(_polygon(zone.polygon)))
    return place is None or bool(shapely.intersects_xy(_polygon(area), *place))


@lru_cache(maxsize=4096)
def _polygon(ring: Ring) -> shapely.Polygon:
    """In degrees, x = lat: a polygon of the plane, as CAP means it."""
    polygon = shapely.Polygon(ring)
    shapely.prepare(polygon)
    return polygon
