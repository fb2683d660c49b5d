"""What the owner of a region should know and may want so: nothing here is a mistake. And what a changed folder would drop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from warning.errors import Problem
from warning.model import Level
from warning.region import Asset, Region, Zone

SHOWN = 8  # names in one note


def survey(region: Region) -> Iterator[str]:
    """Notes on one region, each a sentence: gaps in who and what is known to be at risk, and in who hears of it."""
    yield from _zones(region)
    yield from _assets(region)
    yield from _contacts(region)


def _zones(region: Region) -> Iterator[str]:
    floods = [zone for zone in region.zones if zone.hazard == "flood"]
    yield from _some([zone.id for zone in region.zones if not zone.districts], "zones without a district: nobody is told of them")
    if any(zone.polygon for zone in floods):
        without = [zone.id for zone in floods if zone.polygon is None]
        yield from _some(without, "zones without a polygon: their documents name districts, their exposure is counted around the gauge")
    unlisted = [zone for zone in region.zones if zone.exposure is None]
    if unlisted and len(unlisted) == len(region.zones):
        yield "no zone knows who and what lies in it: no places.csv and no assets.csv"
    else:
        yield from _some([zone.id for zone in region.zones if _empty(zone)], "zones without a town or an asset on the lists")
    used = {district for zone in region.zones for district in zone.districts}
    yield from _some([one.id for one in region.districts if one.id not in used], "districts that belong to no zone")


def _empty(zone: Zone) -> bool:
    return zone.exposure is not None and not zone.exposure.towns and not zone.exposure.assets


def _assets(region: Region) -> Iterator[str]:
    inside = {asset for zone in region.zones if zone.exposure for asset in zone.exposure.assets}
    beyond = [one.id for one in region.assets if not _within(region, one)]
    yield from _some(beyond, "assets outside the region's bounds; check their positions")
    free = [one.id for one in region.assets if one.id not in inside and one.id not in beyond]
    yield from _some(free, "assets in no zone: no warning names them; column zones of assets.csv can")


def _within(region: Region, asset: Asset) -> bool:
    if region.bounds is None:
        return True
    south, west, north, east = region.bounds
    return south <= asset.lat <= north and west <= asset.lon <= east


def _contacts(region: Region) -> Iterator[str]:
    used = {district for zone in region.zones for district in zone.districts}
    deaf = [one.id for one in region.contacts if one.districts and not used.intersection(one.districts)]
    yield from _some(deaf, "contacts that hear of nothing: no zone lies in their districts")
    told = {district for one in region.contacts for district in one.districts}
    if all(one.districts for one in region.contacts):
        unheard = [zone.id for zone in region.zones if not told.intersection(zone.districts)]
        yield from _some(unheard, "zones of which no contact hears")


def dropped(before: Region, now: Region) -> Iterator[Problem]:
    """Warnings: what ``now`` drops that ``before`` had. An alert in force for a dropped zone ends unseen: no Cancel is sent for it."""
    yield from (Problem(now.folder, what, fix, fatal=False) for what, fix in _dropped(before, now))


def _dropped(before: Region, now: Region) -> Iterator[tuple[str, str]]:
    if before.id != now.id:
        yield f"this is region {now.id}, the other one is {before.id}", "compare a region with its own older folder"
    zones = {zone.id for zone in now.zones}
    gone = [zone.id for zone in before.zones if zone.id not in zones]
    for what in _some(gone, "zones that are dropped: a warning in force for one would end unseen, without a Cancel"):
        yield what, "end it before, or keep the zone until its end"
    heard = {(one.station, one.parameter.value) for station in now.stations for one in station.series}
    lost = [
        f"{one.station} {one.parameter.value}"
        for station in before.stations
        for one in station.series
        if (one.station, one.parameter.value) not in heard
    ]
    for what in _some(lost, "series that are dropped: their readings will be rejected"):
        yield what, "tell their senders"
    moved = [basin for basin, partition in before.basins.items() if now.basins.get(basin, partition) != partition]
    for what in _some(moved, "basins in another partition: refused at start while there is state"):
        yield what, "keep the table of basins"
    if before.partitions != now.partitions:
        yield f"{now.partitions} partitions instead of {before.partitions}: refused at start while there is state", "keep the number"


def changed_limits(before: Region, now: Region) -> Iterator[str]:
    """Notes on zones whose limits are others, in SI."""
    old = before.zone_by_id
    for zone in now.zones:
        known = old.get(zone.id)
        if known is None or known.limits == zone.limits:
            continue
        if known.limits.quantity != zone.limits.quantity:
            yield f"{zone.id}: limits are of {zone.limits.quantity}, they were of {known.limits.quantity}"
            continue
        pairs = ((level.value, known.limits.values.get(level), zone.limits.values.get(level)) for level in _levels(known, zone))
        changed = [f"{name} {_number(was)} -> {_number(is_)}" for name, was, is_ in pairs if was != is_]
        yield f"{zone.id}: other limits: {', '.join(changed) or 'their source, date or version only'}"


def _levels(*zones: Zone) -> Sequence[Level]:
    return sorted({level for zone in zones for level in zone.limits.values}, key=lambda level: level.rank)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _some(names: Sequence[str], what: str) -> Iterator[str]:
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}"
