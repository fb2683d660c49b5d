"""What a reading that a person sent means at once: its class by the station's limits, and whether it is far off his last one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warning.model import Level, Parameter, Reading
from warning.region import QUANTITIES, Region, Series, Zone

_HOUR_MS = 3_600_000
_OLD_MS = 48 * _HOUR_MS  # a last value that says nothing any more
_TIMES = 5.0  # a slip of the decimal mark is ten times; a river in flood does not rise so between two readings of a person
_LEAST = {"stage": 1.0, "discharge": 100.0}  # m, m3/s: below both values this ratio says nothing


@dataclass(frozen=True)
class Levels:
    """The limits of one region, by station and quantity."""

    zones: Mapping[str, Sequence[Zone]]
    series: Mapping[tuple[str, Parameter], Series]

    @staticmethod
    def of(region: Region) -> Levels:
        zones: dict[str, list[Zone]] = {}
        for zone in region.zones:
            if zone.hazard == "flood":
                zones.setdefault(zone.station, []).append(zone)
        series = {(station.id, one.parameter): one for station in region.stations for one in station.series}
        return Levels(zones, series)

    def level(self, reading: Reading) -> Level | None:
        """The class that this value is of; None where nobody has set limits for what was read."""
        for zone in self.zones.get(reading.station, ()):
            quantity = QUANTITIES[zone.limits.quantity]
            if reading.value is None or reading.parameter not in quantity.parameters or not zone.limits.values:
                continue
            steps = round(reading.value / quantity.resolution)
            reached = [level for level, limit in zone.limits.values.items() if steps >= round(limit / quantity.resolution)]
            return max(reached, key=lambda level: level.rank, default=Level.NORMAL)
        return None

    def doubt(self, reading: Reading, last: tuple[int, float] | None) -> bool:
        """Whether to ask: beyond what is plausible, faster than the river has ever moved, or many times the last value.

        ``last``: (ms, SI value) of his last reading of this series. A limit that nobody has set asks nothing.
        """
        series, value = self.series[reading.station, reading.parameter], reading.value
        if value is None:
            return False
        low, high = series.plausible_min, series.plausible_max
        if (low is not None and value < low) or (high is not None and value > high):
            return True
        if last is None or not 0 <= reading.time_ms - last[0] <= _OLD_MS:
            return False
        hours = max((reading.time_ms - last[0]) / _HOUR_MS, 1.0)
        change = value - last[1]
        if series.rise_per_hour is not None and change > series.rise_per_hour * hours:
            return True
        if series.fall_per_hour is not None and -change > series.fall_per_hour * hours:
            return True
        least = _LEAST.get(reading.parameter.quantity)
        small, large = sorted((abs(value), abs(last[1])))
        return least is not None and large > least and large > _TIMES * small
