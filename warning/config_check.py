"""What is wrong between the files of a region: names that nobody has, orders, loops, gaps. Each check yields its problems."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import lt
from typing import Any

from warning.config_check_field import check_field
from warning.config_check_hazards import check_hazards
from warning.config_check_rules import check_rules
from warning.config_contacts import check_contacts
from warning.config_order import downstream_order
from warning.config_rain import check_rain
from warning.config_read import Files, Model, Row, Table, did_you_mean
from warning.config_schema import LimitsRow, SeriesRow, StationRow
from warning.config_units import factor
from warning.errors import Problem
from warning.model import Level, Parameter


def check_all(files: Files) -> list[Problem]:
    """Every problem between the files; those within one file are found when it is read."""
    checks: tuple[Callable[[Files], Iterable[Problem]], ...] = (
        check_rules,
        _duplicates,
        _stations,
        _series,
        check_rain,
        _limits,
        _reaches,
        _loops,
        _zones,
        _districts,
        _assets,
        check_hazards,
        check_field,
        check_contacts,
    )
    return [problem for check in checks for problem in check(files)]


def _unknown(row: Row[Any], column: str, value: str, table: Table[Any]) -> Sequence[Problem]:
    if value in table.ids:
        return ()
    name = table.file.rsplit("/", 1)[-1]
    return (Problem(row.where(column), f"{value!r} is not in {name}", did_you_mean(value, table.ids) or f"add it to {name}"),)


# --- ids


def _duplicates(files: Files) -> Iterator[Problem]:
    yield from _twice(files.stations, lambda row: row.id)
    yield from _twice(files.series, lambda row: (row.station, row.parameter.value))
    yield from _twice(files.limits, lambda row: row.station)
    yield from _twice(files.reaches, lambda row: (row.upstream, row.downstream or ""))
    yield from _twice(files.districts, lambda row: row.id)
    yield from _twice(files.contacts, lambda row: row.id)
    yield from _twice(files.assets, lambda row: row.id)
    yield from _twice(files.hazards, lambda row: row.zone)


def _twice(table: Table[Model], key: Callable[[Model], Hashable]) -> Iterator[Problem]:
    keys = [key(row.data) for row in table.rows]
    if len(set(keys)) == len(keys):
        return
    first: dict[Hashable, int] = {}
    for row, mine in zip(table.rows, keys, strict=True):
        if mine in first:
            name = " ".join(mine) if isinstance(mine, tuple) else mine
            yield Problem(row.where(), f"{name} stands twice; first in line {first[mine]}", "remove one, or give it another id")
        first.setdefault(mine, row.line)


# --- gauges


def _stations(files: Files) -> Iterator[Problem]:
    if not files.stations.ids:
        yield Problem(files.stations.file, "no gauge", "a region needs at least one")
    for row in files.stations.rows:
        station = row.data
        if "en" not in station.names:
            yield Problem(row.where("name_en"), "no English name", "documents need one; write name_en")
        if station.id not in files.series.ids:
            what = f"{station.id} measures nothing: it has no row in series.csv"
            yield Problem(row.where(), what, "add one for each parameter")
        if files.region and station.basin not in files.region.basins:
            fix = did_you_mean(station.basin, files.region.basins) or "add it there with its partition"
            yield Problem(row.where("basin"), f"basin {station.basin!r} has no partition in region.yaml", fix)
        yield from _position(files, row)


def _position(files: Files, row: Row[StationRow]) -> Iterator[Problem]:
    lat, lon = row.data.lat, row.data.lon
    if lat is None and lon is None:
        return
    if lat is None or lon is None:
        yield Problem(row.where("lat" if lat is None else "lon"), "half a position", "write both lat and lon, or neither")
        return
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        swapped = "; they look swapped" if abs(lon) <= 90 and abs(lat) <= 180 else ""
        yield Problem(row.where("lat"), f"{lat}, {lon} is not a place on Earth{swapped}", "write degrees, WGS 84, north and east positive")
    elif files.region and not _inside(files, lat, lon):
        if _inside(files, lon, lat):
            yield Problem(row.where("lat"), f"lat {lat} and lon {lon} are swapped", f"write lat {lon}, lon {lat}")
        else:
            yield Problem(
                row.where("lat"), f"{lat}, {lon} is outside the region's bounds", "correct the position, or bounds in region.yaml"
            )


def _inside(files: Files, lat: float, lon: float) -> bool:
    box = files.region.bounds if files.region else None
    if box is None or box.south >= box.north or box.west >= box.east:
        return True  # reported with the bounds
    return box.south <= lat <= box.north and box.west <= lon <= box.east


def _unit(row: Row[Any], column: str, unit: str, quantity: str) -> Sequence[Problem]:
    try:
        factor(unit, quantity)
    except ValueError as error:
        what, _, fix = str(error).partition("; ")
        return (Problem(row.where(column), what, fix),)
    return ()


def _series(files: Files) -> Iterator[Problem]:
    kinds = {row.data.id: row.data.kind for row in files.stations.rows}
    for row in files.series.rows:
        series = row.data
        yield from _unknown(row, "station", series.station, files.stations)
        yield from _unit(row, "unit", series.unit, series.parameter.quantity)
        if series.feed_unit and not (series.feed_unit == "tips" and series.mm_per_tip):
            yield from _unit(row, "feed_unit", series.feed_unit, series.parameter.quantity)
        if series.plausible_min is not None and series.plausible_max is not None and series.plausible_min >= series.plausible_max:
            what = f"plausible_min {series.plausible_min:g} is not below plausible_max {series.plausible_max:g}"
            yield Problem(row.where("plausible_min"), what, "exchange or correct them")
        kind = kinds.get(series.station)
        if kind == "rain" and series.parameter is not Parameter.RAIN:
            yield Problem(
                row.where("parameter"), f"a rain gauge cannot measure {series.parameter.value}", "correct its kind or the parameter"
            )


# --- limits


def _limits(files: Files) -> Iterator[Problem]:
    measured: dict[str, list[Row[SeriesRow]]] = {}
    for one in files.series.rows:
        measured.setdefault(one.data.station, []).append(one)
    for row in files.limits.rows:
        limits, values = row.data, row.data.values
        yield from _unknown(row, "station", limits.station, files.stations)
        yield from _unit(row, "unit", limits.unit, limits.quantity)
        if not values:
            yield Problem(row.where("low"), "no limit at all", "write at least one, or remove the row: no zone then")
        yield from _rising(row, values)
        yield from _measured(measured.get(limits.station, ()), row, values)
        if files.region and not values.keys() <= files.region.classes.keys():
            for level in [level for level in values if level not in files.region.classes]:
                yield Problem(
                    row.where(level.name.lower()), f"class {level.name} has no name in region.yaml", f"add {level.name} under classes:"
                )


def _rising(row: Row[LimitsRow], limits: dict[Level, float]) -> Sequence[Problem]:
    values = [*limits.values()]
    if all(map(lt, values, values[1:])):
        return ()
    return [
        Problem(
            row.where(upper.name.lower()),
            f"limits out of order: {lower.name} {below:g} is not below {upper.name} {above:g}",
            "limits rise with the class",
        )
        for (lower, below), (upper, above) in pairwise(limits.items())
        if below >= above
    ]


def _measured(own: Sequence[Row[SeriesRow]], row: Row[LimitsRow], limits: dict[Level, float]) -> Iterator[Problem]:
    """A limit needs a series of its quantity among the gauge's ``own``, and must lie where that series' readings are believed."""
    quantity = row.data.quantity
    fitting = [one for one in own if one.data.parameter.quantity == quantity]
    if own and not fitting:
        yield Problem(
            row.where("quantity"), f"no series of {row.data.station} measures {row.data.quantity}", "correct quantity, or add a series"
        )
    for one in fitting:
        yield from _believed(row, one, limits)


def _believed(row: Row[LimitsRow], series: Row[SeriesRow], limits: dict[Level, float]) -> Sequence[Problem]:
    try:
        limit_unit, series_unit = factor(row.data.unit, row.data.quantity), factor(series.data.unit, row.data.quantity)
    except ValueError:
        return ()  # reported with the unit
    low, high = series.data.plausible_min, series.data.plausible_max
    if low is not None and high is not None and low >= high:
        return ()  # reported with the series
    here = {level: value * limit_unit / series_unit for level, value in limits.items()}
    outside = [level for level, value in here.items() if (high is not None and value >= high) or (low is not None and value < low)]
    return [
        Problem(
            row.where(level.name.lower()),
            f"limit {level.name} is {here[level]:g} {series.data.unit}, outside the plausible range: a real flood would be thrown away",
            f"check the units; widen {series.where('plausible_max')}",
        )
        for level in outside
    ]


# --- reaches, zones, districts


def _reaches(files: Files) -> Iterator[Problem]:
    basins = {row.data.id: row.data.basin for row in files.stations.rows}
    for row in files.reaches.rows:
        reach = row.data
        yield from _unknown(row, "upstream", reach.upstream, files.stations)
        if reach.downstream is not None:
            yield from _unknown(row, "downstream", reach.downstream, files.stations)
        for end, station in (("upstream", reach.upstream), ("downstream", reach.downstream)):
            if station in files.stations.ids and station not in files.limits.ids:
                yield Problem(row.where(end), f"{station} has no limits, so it is no zone", "add it to limits.csv, or remove the reach")
        for district in reach.districts:
            yield from _unknown(row, "districts", district, files.districts)
        low, high = reach.travel_low_h, reach.travel_high_h
        if (low is None) != (high is None):
            yield Problem(row.where("travel_high_h" if high is None else "travel_low_h"), "half a travel time", "write both, or neither")
        if low is not None and high is not None and low > high:
            yield Problem(row.where("travel_low_h"), f"travel time {low:g} h is longer than {high:g} h", "exchange them")
        if low is not None and reach.downstream is None:
            yield Problem(row.where("travel_low_h"), "a travel time to nowhere", "write downstream, or remove the time")
        if reach.share_low > reach.share_high:
            yield Problem(row.where("share_low"), f"share {reach.share_low:g} is larger than {reach.share_high:g}", "exchange them")
        above, below = basins.get(reach.upstream), basins.get(reach.downstream or "")
        if above and below and above != below:
            what = f"the reach leads from basin {above} into basin {below}"
            yield Problem(row.where("downstream"), what, "one river system is one basin: its gauges must meet in one partition")


def _loops(files: Files) -> Iterator[Problem]:
    pairs = [(row.data.upstream, row.data.downstream) for row in files.reaches.rows if row.data.downstream is not None]
    _, caught = downstream_order([*dict.fromkeys(one for pair in pairs for one in pair)], pairs)
    below: dict[str, list[str]] = {}
    for up, down in pairs if caught else ():
        below.setdefault(up, []).append(down)
    inside, known = set(caught), set[str]()
    for row in files.reaches.rows if caught else ():
        start = row.data.upstream
        loop = None if start in known or start not in inside else _way_back(start, below)
        if loop:
            known.update(loop)
            yield Problem(row.where("downstream"), f"water flows in a loop: {' -> '.join([*loop, start])}", "correct one downstream")


def _way_back(start: str, below: dict[str, list[str]]) -> list[str] | None:
    """The stations on a way downstream from ``start`` to itself, None if there is none."""
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        for there in below.get(here, ()):
            if there == start:
                way = [here]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if there not in came_from:
                came_from[there] = here
                waiting.append(there)
    return None


def _zones(files: Files) -> Iterator[Problem]:
    districts: dict[str, set[str]] = {}
    for reach in files.reaches.rows:
        districts.setdefault(reach.data.upstream, set()).update(reach.data.districts)
    for row in files.limits.rows:
        station = row.data.station
        if station not in files.stations.ids or districts.get(station):
            continue
        if station not in files.reaches.ids:
            yield Problem(row.where("station"), f"zone {station} has no district: no row in reaches.csv", "add one with its districts")
        elif station in districts:
            place = f"{files.reaches.file}:{files.reaches.ids[station]} (districts)"
            yield Problem(place, f"zone {station} has no district", "write who is at risk below the gauge, separated by |")


def _districts(files: Files) -> Iterator[Problem]:
    told = {district for row in files.contacts.rows if row.data.role != "operator" for district in row.data.districts}
    for row in files.districts.rows:
        if "en" not in row.data.names:
            yield Problem(row.where("name_en"), "no English name", "documents need one; write name_en")
        if row.data.id not in told and "*" not in told:
            yield Problem(row.where(), f"nobody is told in {row.data.names.get('en', row.data.id)}", "add a contact to contacts.csv", False)


def _assets(files: Files) -> Iterator[Problem]:
    for row in files.assets.rows:
        if "en" not in row.data.names:
            yield Problem(row.where("name_en"), "no English name", "documents need one; write name_en")
        if row.data.district:
            yield from _unknown(row, "district", row.data.district, files.districts)
        for zone in row.data.zones:
            yield from _unknown(row, "zones", zone, files.limits)
