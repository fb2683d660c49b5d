"""How each sensor is: when it was last seen, how overdue it is, what became of its readings, and what a person said of it. Pure.

A sensor is one series. It is ``silent`` when its newest good reading is older than its station's ``silent_after``, the very rule by which
the stream calls it UNKNOWN; ``never`` when none came in the days that were read; ``out`` when a person took it out of service: then its
silence is nobody's alarm, and its zone is UNKNOWN all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from warning.model import Parameter
from warning.operate.registry import Sensor as Key
from warning.operate.registry import Service
from warning.operate.view import View
from warning.region import QUANTITIES, Region, Series, Station, Zone

State = Literal["ok", "silent", "never", "out"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Sensor:
    """One series. Times are ms since 1970; None: never, or not known."""

    station: str
    parameter: Parameter
    state: State
    seen_ms: int | None  # when a gateway last took anything of it
    reading_ms: int | None  # the newest time of measurement
    good_ms: int | None  # the newest of a good reading
    expected_s: int  # no good reading for so long: silent
    usual_s: float | None  # median pause between its last readings
    overdue: float | None  # age of the newest good reading, times ``expected_s``; above 1 it is silent
    delay_s: float | None  # from the measurement to the gateway, of the reading received last
    provider: str = ""
    flags: Mapping[str, int] = field(default_factory=dict)  # cause -> readings
    service: Service | None = None  # what was last said of it

    @property
    def out(self) -> bool:
        return self.state == "out"


def judged(region: Region, view: View, service: Mapping[Key, Service], now_ms: int | None, usual: bool = True) -> Iterator[Sensor]:
    """Every sensor of the region, in its order. ``now_ms`` None: before the first tick, when every one that never spoke is silent.

    ``usual`` False leaves the usual pause out, which costs most.
    """
    flags: dict[Key, dict[str, int]] = {}
    for (name, parameter, cause), count in view.flagged.items():
        flags.setdefault((name, Parameter(parameter)), {})[cause] = count
    for station in region.stations:
        for series in station.series:
            found = _sensor(station, series, view, service, flags, now_ms)
            yield replace(found, usual_s=view.usual_s(series.station, series.parameter)) if usual else found


def _sensor(
    station: Station, series: Series, view: View, service: Mapping[Key, Service], flags: Mapping[Key, dict[str, int]], now_ms: int | None
) -> Sensor:
    key = (series.station, series.parameter)
    track, heard, said = view.tracks.get(key), view.heard.get(key), service.get(key)
    good = None if track is None else track.last_good_ms(now_ms if now_ms is not None else track.newest_ms or 0)
    overdue = None if good is None or now_ms is None else max(0.0, (now_ms - good) / 1000) / station.silent_after_s
    state: State
    if said is not None and said.out:
        state = "out"
    elif good is None:
        state = "never"
    else:
        state = "silent" if overdue is not None and overdue > 1 else "ok"
    return Sensor(
        station=station.id,
        parameter=series.parameter,
        state=state,
        seen_ms=None if heard is None else heard.received_ms,
        reading_ms=None if track is None else track.newest_ms,
        good_ms=good,
        expected_s=station.silent_after_s,
        usual_s=None,
        overdue=overdue,
        delay_s=None if heard is None else (heard.received_ms - heard.time_ms) / 1000,
        provider="" if heard is None else heard.provider,
        flags=flags.get(key, {}),
        service=said,
    )


def blind(region: Region, service: Mapping[Key, Service]) -> list[str]:
    """Zones whose every sensor a person took out of service: they are UNKNOWN because somebody said so."""
    out = {key for key, said in service.items() if said.out}
    return [zone.id for zone in region.zones if _blind(region, zone, out)] if out else []


def _blind(region: Region, zone: Zone, out: set[Key]) -> bool:
    wanted = QUANTITIES[zone.limits.quantity].parameters
    read = [
        (series.station, series.parameter)
        for station in zone.stations or (zone.station,)
        for series in region.station_by_id[station].series
        if series.parameter in wanted
    ]
    return bool(read) and all(key in out for key in read)
