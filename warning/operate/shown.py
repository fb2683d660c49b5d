"""Which zones and series a scrape shows: made when it is asked for, and bounded, however many gauges a region has.

A worker answers a scrape in the loop in which it decides. Of a small region every zone and series is shown, also at zero. Of a large one
only what differs from the ordinary, the gravest first; ``warning_zones`` counts them all.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from warning.model import Level
from warning.region import Region

ALL = 500  # zones or series up to which each is shown
MOST = 3000  # samples of a larger region: some 30 ms
GRAVEST_FIRST = (Level.EXCEPTIONAL, Level.VERY_HIGH, Level.HIGH, Level.UNKNOWN, Level.MEDIUM, Level.LOW)  # NORMAL is the ordinary


class Shown(Collector):
    """The classes of the zones whose partitions are ours, and the series that are out of service."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._mine: frozenset[int] = frozenset()
        self._seen: dict[str, Level] = {}  # as last told, also of zones that are not ours now
        self._by_level: dict[Level, dict[str, None]] = {level: {} for level in Level}  # ours, in the order in which they came there
        self._level_of: dict[str, Level] = {}  # the same by zone
        self._out: dict[tuple[str, str], None] = {}
        self._series = sum(len(station.series) for station in region.stations)

    def observed(self, zone: str, level: Level) -> None:
        self._seen[zone] = level
        self._place(zone, level)

    def owned(self, mine: frozenset[int]) -> None:
        """A zone that came to us is as we last told it, else UNKNOWN; one that went is the new owner's to tell."""
        before, self._mine = self._mine, mine
        for zone in self._region.zones if mine != before else ():
            partition = self._region.basins[zone.basin]
            if partition in mine and partition not in before:
                self._place(zone.id, self._seen.get(zone.id, Level.UNKNOWN))
            elif partition not in mine and partition in before:
                self._place(zone.id, None)

    def out_of_service(self, station: str, parameter: str) -> None:
        self._out[station, parameter] = None

    def _place(self, zone: str, level: Level | None) -> None:
        if (old := self._level_of.pop(zone, None)) is not None:
            del self._by_level[old][zone]
        if level is not None:
            self._level_of[zone] = level
            self._by_level[level][zone] = None

    # --- a scrape

    def collect(self) -> Iterator[Metric]:
        yield self._zones()
        yield self._count()
        yield self._series_out()

    def _zones(self) -> Metric:
        words = "1 for the class that a zone's observation has; all 0 where another worker owns the zone"
        family = GaugeMetricFamily("warning_zone_level", words, labels=("zone", "level"))
        if len(self._region.zones) <= ALL:
            for zone in self._region.zones:
                for level in Level:
                    family.add_metric((zone.id, level.value), int(self._level_of.get(zone.id) is level))
            return family
        for level in GRAVEST_FIRST:
            for name in list(self._by_level[level])[: MOST - len(family.samples)]:
                family.add_metric((name, level.value), 1)
        return family

    def _count(self) -> Metric:
        family = GaugeMetricFamily("warning_zones", "Zones of this worker by the class of their observation", labels=("level",))
        for level in Level:
            family.add_metric((level.value,), len(self._by_level[level]))
        return family

    def _series_out(self) -> Metric:
        words = "1 for a series whose computation raised: UNKNOWN"
        family = GaugeMetricFamily("warning_series_out_of_service", words, labels=("station", "parameter"))
        if self._series <= ALL:
            for station in self._region.stations:
                for series in station.series:
                    family.add_metric((station.id, series.parameter.value), int((station.id, series.parameter.value) in self._out))
            return family
        for name in list(self._out)[:MOST]:
            family.add_metric(name, 1)
        return family
