"""What the water did against what was said of it: observed crossings of official limits, and the warnings that stood by then.

Definitions:

*Value of a zone at a time*: the reading of its quantity at that time; at a barrage the larger of inflow and outflow read at that time.
Readings that quality control failed are no observation; suspect ones are, so that a real flood held for a spike counts as a miss.

*Crossing of class C*: a value at or above C's limit whose predecessor in time was below it, or that is the first one. A value that
jumps over several limits crosses each of them.

*Beat of a reading*: the tick that follows it in the log. Nothing can be said of a reading before its beat; in a replay the tick
stands at most ten minutes of log time behind it.

*Warned*: the zone's newest alert revision at the crossing's beat is active and of class C or above ("no later than its reading").
Its time is that of the first revision of the unbroken stretch at C or above. *Warned before*: that time is earlier than the reading's.

*Lead*: from the warning to the crossing reading, in hours; 0 where both fall into one beat or where there was no warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from warning.model import CLASSES, Alert, Level, Parameter, Reading
from warning.region import Region, Zone

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Observation:
    """Value of a zone at a time (m or m3/s) and the beat in which it was applied."""

    time_ms: int
    value: float
    beat_ms: int


@dataclass(frozen=True, slots=True)
class Crossing:
    zone: str
    level: Level
    time_ms: int
    value: float
    beat_ms: int
    seen_below_high: bool  # an earlier reading of the zone was below HIGH: a warning ahead was possible from its own gauge
    warned_ms: int | None

    @property
    def ahead(self) -> bool:
        return self.warned_ms is not None and self.warned_ms < self.time_ms

    @property
    def lead_h(self) -> float:
        return max(0.0, (self.time_ms - self.warned_ms) / HOUR_MS) if self.warned_ms is not None else 0.0


def observations(region: Region, readings: Iterable[tuple[Reading, int]]) -> dict[str, list[Observation]]:
    """zone -> its values in order of time, from (reading, beat) pairs in the order of the log; of a revised value the larger."""
    zones_of: dict[str, list[Zone]] = {}
    for zone in region.zones:
        zones_of.setdefault(zone.station, []).append(zone)
    seen: dict[str, dict[int, Observation]] = {zone.id: {} for zone in region.zones}
    for reading, beat_ms in readings:
        if reading.value is None or reading.parameter is Parameter.RAIN:
            continue
        for zone in zones_of.get(reading.station, ()):
            if reading.parameter.quantity != zone.limits.quantity:
                continue
            before = seen[zone.id].get(reading.time_ms)
            if before is None or reading.value > before.value:
                seen[zone.id][reading.time_ms] = Observation(reading.time_ms, reading.value, beat_ms)
    return {zone: [values[time] for time in sorted(values)] for zone, values in seen.items() if values}


def stretch_start(alerts: Sequence[Alert], level: Level, by_ms: int) -> int | None:
    """When the unbroken stretch at ``level`` or above began that stands at ``by_ms``; None: nothing of that class stands then.

    ``alerts``: all revisions of one zone.
    """
    start = None
    for alert in sorted(alerts, key=lambda alert: (alert.sent_ms, alert.raised_ms, alert.revision)):
        if alert.sent_ms > by_ms:
            break
        if not alert.active or alert.level < level:
            start = None
        elif start is None:
            start = alert.sent_ms
    return start


def reaches(quantity: str, value: float, limit: float) -> bool:
    """Whether a value is at or above a limit, both rounded as decisions round them (``Parameter.resolution``)."""
    resolution = Parameter(quantity).resolution
    return round(value / resolution) >= round(limit / resolution)


def crossings(region: Region, observed: dict[str, list[Observation]], alerts: Iterable[Alert]) -> list[Crossing]:
    """All crossings of all zones, in order of zone, class and time."""
    said: dict[str, list[Alert]] = {}
    for alert in alerts:
        said.setdefault(alert.zone, []).append(alert)
    found = []
    for zone in region.zones:
        values = observed.get(zone.id, [])
        high = zone.limits.values.get(Level.HIGH)
        for level in CLASSES:
            limit = zone.limits.values.get(level)
            if limit is None:
                continue
            below, below_high = True, False
            for value in values:
                reached = reaches(zone.limits.quantity, value.value, limit)
                if reached and below:
                    warned_ms = stretch_start(said.get(zone.id, ()), level, value.beat_ms)
                    found.append(Crossing(zone.id, level, value.time_ms, value.value, value.beat_ms, below_high, warned_ms))
                below = not reached
                below_high = below_high or (high is not None and not reaches(zone.limits.quantity, value.value, high))
    return found
