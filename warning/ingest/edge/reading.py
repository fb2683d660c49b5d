"""What a sensor on the spot sends -> a reading and what of it is kept. The same form as the gateway's, but the time may be left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import msgspec
from msgspec.structs import replace

from warning.errors import InputError
from warning.ingest.edge.clock import NO_TIME_MS, Now
from warning.ingest.formats import GAUGE_ZERO, Formats, Item, Refusal, item, refusal
from warning.model import Parameter
from warning.region import Region, Series, Station
from warning.site import Sensor, Site, sensors_by_name

_NUMBER = msgspec.json.Decoder(float | None)


@dataclass(frozen=True, slots=True)
class Heard:
    """One reading: as sent (``item``), of which sensor, in SI, when; ``own_time``: it came with one."""

    sensor: Sensor
    item: Item
    value: float | None  # SI; None: missing or a sentinel
    time_ms: int
    own_time: bool


@dataclass(frozen=True, slots=True)
class _Stations:
    station_by_id: Mapping[str, Station]


class Readings:
    """Reads what the sensors of one site send."""

    def __init__(self, site: Site) -> None:
        self._sensors = sensors_by_name(site)
        self.stations = frozenset(sensor.station for sensor in site.sensors)
        known = {station: _station(station, [one for one in site.sensors if one.station == station]) for station in self.stations}
        self._formats = Formats(cast(Region, _Stations(known)))  # of a region it asks for the stations only

    def heard(self, text: bytes | msgspec.Raw, now: Now, stations: frozenset[str] = frozenset()) -> Heard:
        """One JSON object; ``stations``: which the sender may send for, empty: all. Raises InputError."""
        try:
            read, own_time = item(text), True
        except InputError as error:
            if error.reason != Refusal.FIELD_MISSING or error.field != "time":
                raise
            read, own_time = item(_timed(bytes(text), now)), False
        if stations and read.station in self.stations and read.station not in stations:
            what = f"this key may not send for {read.station}"
            raise refusal(Refusal.STATION_FORBIDDEN, "station", what, "keys: of edge.yaml names the stations of each")
        return self._heard(read, now, own_time)

    def number(self, sensor: Sensor, payload: bytes, now: Now) -> Heard:
        """A bare number from the sensor's own topic, or null. Raises InputError."""
        try:
            value = _NUMBER.decode(payload.strip() or b"null")
        except msgspec.DecodeError:
            raise refusal(Refusal.VALUE_TYPE, "value", f"{payload[:60]!r} is no number", "a number with a point, or null") from None
        return self._heard(Item(sensor.station, sensor.parameter.value, _datetime(now.ms), value), now, False)

    def _heard(self, read: Item, now: Now, own_time: bool) -> Heard:
        sensor = self._sensors.get(f"{read.station} {read.parameter}")
        if sensor is not None:
            read = replace(read, unit=read.unit or sensor.unit, datum=read.datum or sensor.datum)
        reading = self._formats.reading(read, provider="", received_ms=now.ms, live=now.sure)
        if reading.time_ms >= NO_TIME_MS:  # while nobody knows the time the future is taken; this could not be written down in UTC
            raise refusal(Refusal.TIME_FUTURE, "time", f"{read.time.isoformat()} is after the year 9999 in UTC", "set the sensor's clock")
        assert sensor is not None  # else the line before has refused it
        return Heard(sensor, read, reading.value, reading.time_ms, own_time)


def _timed(text: bytes, now: Now) -> bytes:
    fields = msgspec.json.decode(text)
    return msgspec.json.encode(fields | {"time": _datetime(now.ms)})


def _datetime(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _station(name: str, sensors: list[Sensor]) -> Station:
    zeros = [sensor for sensor in sensors if sensor.parameter is Parameter.STAGE and sensor.zero_elevation_m is not None]
    return Station(
        id=name,
        names={},
        kind="gauge",
        river="",
        basin="",
        lat=None,
        lon=None,
        position="approximate",
        series=tuple(Series(name, one.parameter, unit=one.unit, mm_per_tip=one.mm_per_tip) for one in sensors),
        silent_after_s=0,
        datum=zeros[0].elevation_datum if zeros else GAUGE_ZERO,
        zero_elevation_m=zeros[0].zero_elevation_m if zeros else None,
    )
