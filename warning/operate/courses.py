"""What zones read as over time, for the page: a gauge's series as they came; of a derived quantity what its readings make.

For the eye only: nothing is decided here, and what quality control failed is left out of a derived course.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from warning.model import Parameter
from warning.operate.view import Point, Track, View
from warning.region import QUANTITIES, Region, Zone
from warning.science import heat

PAIR_MS = 3_600_000
HOUR_MS = 3_600_000


def of(region: Region, view: View, zone: Zone, since_ms: int, until_ms: int) -> Iterator[tuple[str, str, list[Point]]]:
    """(quantity or parameter, unit, points) of each course. A flash flood shows the rain that it is made of."""
    quantity = QUANTITIES[zone.limits.quantity]
    for station in zone.stations or (zone.station,):
        tracks = {parameter: view.tracks.get((station, parameter)) for parameter in Parameter}
        if quantity.hazard == "heat":
            points = _heat(zone.limits.quantity, tracks[Parameter.TEMPERATURE], tracks[Parameter.HUMIDITY], since_ms, until_ms)
            if points:
                yield zone.limits.quantity, quantity.unit, points
            continue
        track = tracks[Parameter.RAIN] if quantity.derived else None
        if track is not None and quantity.hours:
            yield zone.limits.quantity, quantity.unit, _fell(track, quantity.hours, since_ms, until_ms)
        elif track is not None:
            yield Parameter.RAIN.value, Parameter.RAIN.unit, track.points(since_ms, until_ms)
        elif not quantity.derived:
            for each in region.station_by_id[station].series:
                if (own := tracks[each.parameter]) is not None:
                    yield each.parameter.value, each.parameter.unit, own.points(since_ms, until_ms)


def _good(track: Track | None, since_ms: int, until_ms: int) -> list[tuple[int, float]]:
    points = [] if track is None else track.points(since_ms, until_ms)
    return [(point.time_ms, point.value) for point in points if point.value is not None and not point.cause]


def _heat(quantity: str, t: Track | None, h: Track | None, since_ms: int, until_ms: int) -> list[Point]:
    """Each temperature with the humidity last read before it, within an hour."""
    humid = _good(h, since_ms - PAIR_MS, until_ms)
    pairs, place = [], -1
    for at, value in _good(t, since_ms, until_ms):
        while place + 1 < len(humid) and humid[place + 1][0] <= at:
            place += 1
        if place >= 0 and at - humid[place][0] <= PAIR_MS:
            pairs.append((at, value, humid[place][1]))
    columns: list[Any] = [list(column) for column in zip(*pairs, strict=True)]
    if not columns:
        return []
    made = (heat.heat_index if quantity == "heat_index" else heat.wet_bulb)(columns[1], columns[2])
    return [Point(at, None if value != value else round(value, 1), "") for at, value in zip(columns[0], made.tolist(), strict=True)]


def _fell(track: Track, hours: int, since_ms: int, until_ms: int) -> list[Point]:
    """What fell in so many hours up to each reading."""
    read = _good(track, since_ms - hours * HOUR_MS, until_ms)
    total = [0.0, *accumulate(value for _, value in read)]
    out, first = [], 0
    for place, (at, _) in enumerate(read):
        while read[first][0] <= at - hours * HOUR_MS:
            first += 1
        if at >= since_ms:
            out.append(Point(at, round(total[place + 1] - total[first], 1), ""))
    return out
