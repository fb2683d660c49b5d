"""A Region compiled for one partition: rows, indices and limits as arrays. Built once; nothing in it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from warning import __version__
from warning.model import CLASSES, Parameter
from warning.pipeline.derived import Derived
from warning.pipeline.quality import further_limits
from warning.pipeline.rain import Rain
from warning.pipeline.rated import Rated
from warning.pipeline.trained import Trained, trained
from warning.region import QUANTITIES, Region, Series, Station, Zone
from warning.science import routing
from warning.science.fingerprint import fingerprint
from warning.science.qc_limits import SeriesLimits

Index = NDArray[np.intp]
Numbers = NDArray[np.signedinteger[Any]]  # of zones or series, kept in half the bytes where a beat looks few of them up


@dataclass(frozen=True, slots=True)
class ReachArrays:
    """Reaches with travel times, ordered by their downstream zone; indices into the plan's zones."""

    up: Numbers
    down: Numbers
    travel_low_s: Numbers
    travel_high_s: Numbers
    share: NDArray[np.float64]
    share_sigma: NDArray[np.float64]


class RowNumbers(Mapping[tuple[str, Parameter], int]):
    """(station, parameter) -> row. A dictionary for each parameter: no tuple for each series."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._rows: dict[Parameter, dict[str, int]] = {}
        for number, one in enumerate(series):
            self._rows.setdefault(one.parameter, {})[one.station] = number
        self._count = len(series)

    def __getitem__(self, pair: tuple[str, Parameter]) -> int:
        return self._rows[pair[1]][pair[0]]

    def __iter__(self) -> Iterator[tuple[str, Parameter]]:
        return ((station, parameter) for parameter, rows in self._rows.items() for station in rows)

    def __len__(self) -> int:
        return self._count

    @property
    def by_parameter(self) -> Mapping[Parameter, Mapping[str, int]]:
        """parameter -> station -> row; not copies."""
        return self._rows


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about one partition of a region that does not change.

    Rows number series, zone numbers number zones. ``zone_series`` (Z, K) holds the rows whose quantity the zone's limits are in, or those
    of temperature or rain that a derived one is made of; -1 where there are fewer; ``depth`` groups zones so that a group only depends
    on groups before it.
    """

    region: Region
    partition: int
    code: str
    series: tuple[Series, ...]
    row: Mapping[tuple[str, Parameter], int]
    zones: tuple[Zone, ...]
    limits: SeriesLimits
    zone_of_row: Index  # (S,) the zone whose gauge it is, -1: none
    derived: Derived | None  # None: no zone's quantity is derived
    rain: Rain | None  # None: no series is rain
    rated: Rated | None  # None: no station has a rating curve
    zone_series: Index  # (Z, K)
    zone_limits: NDArray[np.float64]  # (Z, 5)
    margin: NDArray[np.int8]  # (Z,) what kind of margin clears it: see ``cleared``
    lowest: tuple[float | None, ...]  # the limit of each zone's lowest class
    resolution: NDArray[np.float64]  # (Z,)
    zone_silent_s: NDArray[np.int64]  # (Z,)
    neighbour_up: Numbers  # pairs of upstream and downstream zone, by the latter: those of zone z are neighbour_into[z] to [z + 1]
    neighbour_into: Numbers  # (Z + 1,)
    below: Numbers  # the same pairs by their upstream zone: the zones right below zone z are below[below_from[z] : below_from[z + 1]]
    below_from: Numbers  # (Z + 1,)
    reaches: ReachArrays
    into: Numbers  # (Z + 1,) the reaches that end at zone z: into[z] to into[z + 1]
    history_row: Index  # (Z,) -1: nobody downstream asks
    histories: int
    history_slots: int
    depth: Numbers  # (Z,) the longest way to a zone from a source
    downwards: Index  # all zones, upstream first
    place: Numbers  # (Z,) in ``downwards``
    pairs_by_depth: tuple[tuple[Numbers, Numbers], ...]  # (upstream, downstream), by the depth of the latter
    at_once: NDArray[np.bool_]  # (6,) by rank
    trained: Trained | None  # None: the straight line alone

    def fed(self, rows: NDArray[Any]) -> Index:
        """The zones that the series ``rows`` feed, each once: their gauges' and the derived ones."""
        hit = np.unique(self.zone_of_row[rows])
        hit = hit[hit >= 0]
        return hit if self.derived is None else np.union1d(hit, self.derived.touched(rows))

    def cleared(self, zones: Index) -> NDArray[np.float64]:
        """(n, 5) the limits of ``zones`` less the margin."""
        rules, limits = self.region.alert, self.zone_limits[zones]
        parts = (limits - rules.margin_stage_m, limits * (1.0 - rules.margin_discharge), limits - rules.margin_heat_k)
        return np.choose(self.margin[zones, None], (*parts, limits * (1.0 - rules.margin_rain)))

    @staticmethod
    def of(region: Region, partition: int) -> Plan:
        """The plan of one partition; a partition without basins has no series, and all that comes is refused."""
        stations = [station for station in region.stations if region.basins[station.basin] == partition]
        series = tuple(one for station in stations for one in station.series)
        row = RowNumbers(series)
        here = {station.id: station for station in stations}
        zones = tuple(zone for zone in region.zones if zone.station in here)
        number = {zone.id: place for place, zone in enumerate(zones)}
        zone_series = _zone_series(zones, here, row)
        zone_of_row = np.full(len(series), -1, np.intp)
        rain = Rain.of(series)
        derived = Derived.of(zones, row, zone_series, rain)
        own = zone_series >= 0 if derived is None else (zone_series >= 0) & (derived.place < 0)[:, None]
        zone_of_row[zone_series[own]] = np.nonzero(own)[0]
        limits = _zone_limits(zones)
        return Plan(
            region=region,
            partition=partition,
            code=f"{__version__}-{fingerprint()}",
            series=series,
            row=row,
            zones=zones,
            limits=_series_limits(series, row),
            zone_of_row=zone_of_row,
            derived=derived,
            rain=rain,
            rated=Rated.of(region.ratings, row),
            zone_series=zone_series,
            zone_limits=limits,
            margin=np.array([_MARGIN[QUANTITIES[zone.limits.quantity].shown] for zone in zones], np.int8),
            lowest=tuple(next(iter(zone.limits.values.values()), None) for zone in zones),
            resolution=np.array([QUANTITIES[zone.limits.quantity].resolution for zone in zones]),
            zone_silent_s=np.array([max(here[one].silent_after_s for one in zone.stations or (zone.station,)) for zone in zones], np.int64),
            at_once=np.array([False, *(level in region.alert.at_once for level in CLASSES)]),
            trained=trained(region, zones, limits, here),
            **_rivers(region, zones, number),
        )


def _rivers(region: Region, zones: Sequence[Zone], number: dict[str, int]) -> dict[str, Any]:
    """The fields of a plan that say how zones lie along their rivers."""
    pairs = [(number[r.upstream], number[r.downstream]) for r in region.reaches if r.upstream in number and r.downstream in number]
    ups, downs = (np.array([pair[end] for pair in pairs], np.intp) for end in (0, 1))
    reaches, depth = _reaches(region, zones, number), _depth(len(zones), ups, downs)
    sources = np.unique(reaches.up)
    history_row = np.full(len(zones), -1, np.intp)
    history_row[sources] = np.arange(len(sources))
    depths = tuple(np.flatnonzero(depth == level) for level in range(int(depth.max(initial=-1)) + 1))
    downwards = np.concatenate(depths) if depths else np.zeros(0, np.intp)
    return {
        "neighbour_up": _small(ups[np.argsort(downs, kind="stable")]),
        "neighbour_into": _starts(downs, len(zones)),
        "below": _small(downs[np.argsort(ups, kind="stable")]),
        "below_from": _starts(ups, len(zones)),
        "reaches": reaches,
        "into": _starts(reaches.down, len(zones)),
        "history_row": history_row,
        "histories": len(sources),
        "history_slots": routing.depth(int(reaches.travel_high_s.max(initial=0))),
        "depth": _small(depth),
        "downwards": downwards,
        "place": _small(np.argsort(downwards)),
        "pairs_by_depth": tuple(
            (_small(ups[inside]), _small(downs[inside])) for level in range(len(depths)) if (inside := depth[downs] == level).any()
        ),
    }


def _small(numbers: Index) -> Numbers:
    return numbers.astype(np.int32)


def _starts(of: Numbers, zones: int) -> Numbers:
    """Where each zone's own begin, when they are sorted by the zone that they are ``of``: (Z + 1,)."""
    return np.concatenate(([0], np.cumsum(np.bincount(of, minlength=zones)))).astype(np.int32)


def _zone_series(zones: Sequence[Zone], stations: dict[str, Station], row: Mapping[tuple[str, Parameter], int]) -> Index:
    lists = []
    for zone in zones:
        quantity = QUANTITIES[zone.limits.quantity]
        if quantity.derived:
            lists.append([row[station, quantity.parameters[0]] for station in zone.stations])
        else:
            own = stations[zone.station].series
            lists.append([row[one.station, one.parameter] for one in own if one.parameter in quantity.parameters])
    out = np.full((len(zones), max(map(len, lists), default=1) or 1), -1, np.intp)
    for place, rows in enumerate(lists):
        out[place, : len(rows)] = rows
    return out


def _series_limits(series: Sequence[Series], row: Mapping[tuple[str, Parameter], int]) -> SeriesLimits:
    def column(get: Callable[[Series], float | None]) -> NDArray[np.float64]:
        return np.array([np.nan if (value := get(one)) is None else value for one in series], np.float64)

    return SeriesLimits(
        least=column(lambda one: one.plausible_min),
        greatest=column(lambda one: one.plausible_max),
        rise=column(lambda one: one.rise_per_hour),
        fall=column(lambda one: one.fall_per_hour),
        spike=column(lambda one: one.spike),
        flat_after=column(lambda one: one.flat_after_s),
        flat_within=column(lambda one: one.flat_within),
        more=further_limits(series, row),
    )


def _zone_limits(zones: Sequence[Zone]) -> NDArray[np.float64]:
    values = (zone.limits.values.get(level, np.nan) for zone in zones for level in CLASSES)
    return np.fromiter(values, np.float64, len(zones) * len(CLASSES)).reshape(-1, len(CLASSES))


_MARGIN = {"stage": 0, "discharge": 1, "temperature": 2, "rain": 3, "ratio": 3}


def _reaches(region: Region, zones: Sequence[Zone], number: dict[str, int]) -> ReachArrays:
    """Reaches that a discharge can be routed along: with travel times, between zones whose limits are discharges."""
    usable = [
        reach
        for reach in region.reaches
        if reach.travel_low_s is not None
        and reach.travel_high_s is not None
        and reach.upstream in number
        and reach.downstream in number
        and zones[number[reach.upstream]].limits.quantity == zones[number[reach.downstream]].limits.quantity == "discharge"
    ]
    usable.sort(key=lambda reach: number[reach.downstream])

    def column(get: Callable[[Any], Any], dtype: Any) -> NDArray[Any]:
        return np.array([get(reach) for reach in usable], dtype)

    return ReachArrays(
        up=column(lambda reach: number[reach.upstream], np.int32),
        down=column(lambda reach: number[reach.downstream], np.int32),
        travel_low_s=column(lambda reach: reach.travel_low_s, np.int32),
        travel_high_s=column(lambda reach: reach.travel_high_s, np.int32),
        share=column(lambda reach: (reach.share_low + reach.share_high) / 2.0, np.float64),
        # low .. high taken as the range that holds nine of ten
        share_sigma=column(lambda reach: (reach.share_high - reach.share_low) / 2.0 / 1.645, np.float64),
    )


def _depth(zones: int, ups: Index, downs: Index) -> Index:
    """The length of the longest way from a source to each zone; the region has no loops (``config`` refuses them)."""
    depth = np.zeros(zones, np.intp)
    for _ in range(zones):
        longer = depth[downs] <= depth[ups]
        if not longer.any():
            break
        np.maximum.at(depth, downs[longer], depth[ups[longer]] + 1)
    return depth
