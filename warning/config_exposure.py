"""Who and what lies in each zone: towns and assets inside its polygon, else near its gauge. Computed once for a configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import shapely

from warning.region import Asset, Exposure, Station, Town, Zone

LARGEST = 5  # towns that are named
EARTH_M_PER_DEGREE = 111_195.0  # of a great circle, mean radius 6371.0 km
P = TypeVar("P", Town, Asset)


def exposed(
    zones: Sequence[Zone],
    stations: Iterable[Station],
    towns: Sequence[Town],
    assets: Sequence[Asset],
    width_m: float,
    within_m: float,
) -> tuple[Zone, ...]:
    """The zones with their exposure; as they are where neither towns nor assets are listed.

    ``width_m``: of the polygons, as the region's rules say; ``within_m``: the distance from the gauge that counts where there is none.
    """
    if not towns and not assets:
        return tuple(zones)
    gauges = {station.id: station for station in stations}
    towns_near, assets_near = _finder(towns, within_m), _finder(assets, within_m)
    found = []
    for zone in zones:
        gauge = (
            gauges.get(zone.station) if zone.hazard == "flood" else None
        )  # heat and rain reach as far as the districts, not from a gauge
        basis, reach_m = ("polygon", width_m) if zone.polygon else ("distance", within_m)
        if not zone.polygon and (gauge is None or gauge.lat is None):
            basis, reach_m = "districts", 0.0
        there = assets_near(zone, gauge)
        own = [one for one in assets if zone.id in one.zones or (basis == "districts" and one.district in zone.districts)]
        names = tuple(one.id for one in assets if one in there or one in own)
        known = basis != "districts" or names  # no town says in which district it lies
        found.append(dataclasses.replace(zone, exposure=_exposure(basis, reach_m, towns_near(zone, gauge), names)) if known else zone)
    return tuple(found)


def _exposure(basis: str, reach_m: float, towns: Sequence[Town], assets: tuple[str, ...]) -> Exposure:
    largest = sorted(towns, key=lambda town: (-town.people, town.name))[:LARGEST]
    unsized = sum(town.people == 0 for town in towns)
    return Exposure(basis, reach_m, len(towns), sum(town.people for town in towns), unsized, tuple(largest), assets)


def _finder(places: Sequence[P], within_m: float) -> Callable[[Zone, Station | None], list[P]]:
    """What asks for the places of a zone: inside its polygon, edge and all, or not farther than ``within_m`` from its gauge."""
    tree = shapely.STRtree([shapely.Point(place.lon, place.lat) for place in places])

    def find(zone: Zone, gauge: Station | None) -> list[P]:
        if zone.polygon:
            ring = shapely.Polygon([(lon, lat) for lat, lon in zone.polygon])
            return [places[one] for one in sorted(tree.query(ring, predicate="intersects").tolist())]
        if gauge is None or gauge.lat is None or gauge.lon is None:
            return []
        north = within_m / EARTH_M_PER_DEGREE
        east = north / max(math.cos(math.radians(gauge.lat)), 0.01)
        box = shapely.box(gauge.lon - east, gauge.lat - north, gauge.lon + east, gauge.lat + north)
        near = [places[one] for one in sorted(tree.query(box).tolist())]
        return [place for place in near if distance_m(gauge.lat, gauge.lon, place.lat, place.lon) <= within_m]

    return find


def distance_m(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Great circle, haversine (Sinnott, 1984), on a sphere of 6371.0 km."""
    half_lat, half_lon = math.radians(other_lat - lat) / 2.0, math.radians(other_lon - lon) / 2.0
    part = math.sin(half_lat) ** 2 + math.cos(math.radians(lat)) * math.cos(math.radians(other_lat)) * math.sin(half_lon) ** 2
    return 2.0 * math.degrees(math.asin(math.sqrt(min(part, 1.0)))) * EARTH_M_PER_DEGREE
