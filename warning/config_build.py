"""Checked files -> the frozen nouns of ``warning.region``, in SI."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from warning.config_contacts import contact_of
from warning.config_digest import digest
from warning.config_exposure import exposed
from warning.config_hazards import zone as hazard_zone
from warning.config_model import model_text
from warning.config_names import names
from warning.config_order import downstream_order
from warning.config_quality import ratings, with_quality
from warning.config_read import Files
from warning.config_schema import AlertFile, AssetRow, ForecastFile, LimitsRow, ReachRow, RegionFile, SeriesRow, StationRow
from warning.config_units import factor
from warning.model import Parameter, Status
from warning.region import (
    AlertRules,
    Asset,
    Catchment,
    District,
    ForecastRules,
    Limits,
    Reach,
    Region,
    Ring,
    Series,
    SmsRules,
    Station,
    Town,
    Zone,
)

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A dict that cannot change: it is still JSON to every encoder, can be pickled and copied, and has a hash."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a region is frozen; edit its folder and load it again")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type, tuple[dict[K, V]]]:
        return FrozenDict, (dict(self),)


def build(files: Files, polygons: Mapping[str, Ring], catchments: tuple[Catchment, ...] = ()) -> Region:
    """The region of files that have no fatal problem. ``polygons``: zone -> ring, where a river line is known."""
    head = files.region
    if head is None:
        raise ValueError("only files without fatal problems can be built")
    reaches = tuple(_reach(row.data) for row in files.reaches.rows if row.data.downstream)
    stations = with_quality(
        _stations(files), [row.data for row in files.quality.rows], [row.data for row in files.climatology.rows], reaches
    )
    assets = tuple(_asset(row.data) for row in files.assets.rows)
    towns = [Town(row.data.name, row.data.population, row.data.lat, row.data.lon) for row in files.places.rows]
    width_m = head.polygon.width if head.polygon else 0.0
    region = Region(
        id=head.id,
        names=names(head.names),
        namespace=head.namespace,
        sender=head.sender,
        status=Status(head.status),
        languages=tuple(head.languages),
        reviewed_languages=tuple(head.reviewed_languages),
        sms=SmsRules(tuple(head.sms.countries), head.sms.joins_per_hour),
        utc_offset_s=head.timezone.utc_offset,
        timezone_name=head.timezone.name,
        country=head.country,
        display_units=FrozenDict(head.display_units.model_dump()),
        class_names=FrozenDict({level: FrozenDict(names) for level, names in head.classes.items()}),
        partitions=head.partitions,
        basins=FrozenDict(head.basins),
        stations=stations,
        zones=exposed((*_zones(files, stations, polygons), *_hazard_zones(files)), stations, towns, assets, width_m, head.exposure.within),
        reaches=reaches,
        districts=tuple(District(row.data.id, names(row.data.names), row.data.geocode) for row in files.districts.rows),
        contacts=tuple(contact_of(row.data) for row in files.contacts.rows),
        forecast=_forecast(head.forecast, files.folder),
        alert=_alert(head.alert),
        exercise_numbers=head.exercise_numbers,
        urls=FrozenDict(head.urls),
        digest="",
        folder=str(files.folder),
        bounds=_bounds(head),
        catchments=catchments,
        assets=assets,
        ratings=ratings([row.data for row in files.ratings.rows]),
    )
    return dataclasses.replace(region, digest=digest(region))


def _bounds(head: RegionFile) -> tuple[float, float, float, float]:
    return (head.bounds.south, head.bounds.west, head.bounds.north, head.bounds.east)


def _stations(files: Files) -> tuple[Station, ...]:
    series: dict[str, list[Series]] = {}
    offset_s = files.region.timezone.utc_offset if files.region else 0
    for row in files.series.rows:
        series.setdefault(row.data.station, []).append(_series(row.data, offset_s))
    return tuple(_station(row.data, tuple(series.get(row.data.id, ()))) for row in files.stations.rows)


def _station(row: StationRow, series: tuple[Series, ...]) -> Station:
    return Station(
        id=row.id,
        names=names(row.names),
        kind=row.kind,
        river=row.river,
        basin=row.basin,
        lat=row.lat,
        lon=row.lon,
        position=row.position,
        series=series,
        silent_after_s=round(row.silent_after_h * 3600),
        datum=row.datum,
        zero_elevation_m=row.zero_elevation_m,
        source=row.source,
    )


def _series(row: SeriesRow, utc_offset_s: int) -> Series:
    unit = factor(row.unit, row.parameter.quantity)
    least = 0.0 if row.plausible_min is None and row.parameter is Parameter.RAIN else row.plausible_min
    counter = row.mm_per_tip if row.rain_as == "tips" and row.mm_per_tip else unit

    def si(value: float | None) -> float | None:
        return value if value is None or unit == 1.0 else value * unit  # the same float as in other rows

    return Series(
        station=row.station,
        parameter=row.parameter,
        plausible_min=si(least),
        plausible_max=si(row.plausible_max),
        rise_per_hour=si(row.rise_per_hour),
        fall_per_hour=si(row.fall_per_hour),
        spike=si(row.spike),
        flat_after_s=None if row.flat_after_h is None else round(row.flat_after_h * 3600),
        flat_within=row.flat_within * unit,
        unit=row.feed_unit,
        rain_as=row.rain_as,
        mm_per_tip=row.mm_per_tip,
        reset_s=None if row.reset_hour is None else (round(row.reset_hour * 3600) - utc_offset_s) % 86_400,
        roll_over_mm=None if row.roll_over is None else row.roll_over * counter,
    )


def _limits(row: LimitsRow) -> Limits:
    unit = factor(row.unit, row.quantity)
    values = FrozenDict(row.values if unit == 1.0 else {level: value * unit for level, value in row.values.items()})
    return Limits(quantity=row.quantity, values=values, source=row.source, date=row.date, version=row.version)


def _reach(row: ReachRow) -> Reach:
    low, high = (None if hours is None else round(hours * 3600) for hours in (row.travel_low_h, row.travel_high_h))
    return Reach(row.upstream, row.downstream or "", low, high, row.basis, row.share_low, row.share_high)


def _zones(files: Files, gauges: tuple[Station, ...], polygons: Mapping[str, Ring]) -> tuple[Zone, ...]:
    stations = {station.id: station for station in gauges}
    below: dict[str, list[ReachRow]] = {}
    for row in files.reaches.rows:
        below.setdefault(row.data.upstream, []).append(row.data)
    limits = [row.data for row in files.limits.rows]
    zones = {one.station: _zone(stations[one.station], one, below.get(one.station, []), polygons) for one in limits}
    pairs = [(row.data.upstream, row.data.downstream) for row in files.reaches.rows if row.data.downstream]
    ordered, _ = downstream_order([one for one in stations if one in zones], pairs)
    return tuple(zones[one] for one in ordered)


def _hazard_zones(files: Files) -> tuple[Zone, ...]:
    rivers, basins = ({row.data.id: getattr(row.data, name) for row in files.stations.rows} for name in ("river", "basin"))
    return tuple(hazard_zone(row.data, rivers, basins, FrozenDict) for row in files.hazards.rows)


def _zone(station: Station, limits: LimitsRow, own: list[ReachRow], polygons: Mapping[str, Ring]) -> Zone:
    return Zone(
        id=station.id,
        names=station.names,
        station=station.id,
        river=station.river,
        basin=station.basin,
        districts=tuple({district: None for reach in own for district in reach.districts}),
        limits=_limits(limits),
        downstream=next((reach.downstream for reach in own if reach.downstream), None),
        polygon=polygons.get(station.id),
    )


def _asset(row: AssetRow) -> Asset:
    return Asset(row.id, row.kind, names(row.names), row.lat, row.lon, row.position, row.source, row.zones, row.district)


def _given(model: AlertFile | ForecastFile, renamed: Mapping[str, str]) -> dict[str, Any]:
    return {renamed.get(key, key): value for key, value in model if value is not None}


def _forecast(file: ForecastFile, folder: Path) -> ForecastRules:
    given = _given(file, {"trend_window": "trend_window_s", "trend_horizon": "trend_horizon_s"})
    given["model"] = model_text(file.model, folder)
    if "miss_cost" in given:
        given["miss_cost"] = tuple(sorted(given["miss_cost"].items(), key=lambda pair: pair[0].rank))
    return ForecastRules(**given)


def _alert(file: AlertFile) -> AlertRules:
    names = ("clear_after", "expires_after", "renew_before", "approve_within", "escalate_after", "call_off_for")
    renamed = {name: f"{name}_s" for name in names}
    renamed |= {"margin_stage": "margin_stage_m", "margin_heat": "margin_heat_k", "arrival_change_time": "arrival_change_s"}
    given = _given(file, renamed)
    if "at_once" in given:
        given["at_once"] = tuple(given["at_once"])
    return AlertRules(**given)
