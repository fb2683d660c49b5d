"""Things, Locations, Datastreams, Sensors and ObservedProperties of a region, as SensorThings 1.1 (18-088, 8.2) shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from warning.ingest.sensorthings import id_of
from warning.model import Parameter
from warning.region import Region, Series, Station, named

COLLECTIONS = ("Things", "Locations", "Datastreams", "Sensors", "ObservedProperties")

_MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
_NAMES = {"m": "metre", "m3/s": "cubic metre per second", "mm": "millimetre", "degC": "degree Celsius", "%": "percent"}
_STEP = re.compile(r"(?P<name>[A-Za-z]+)(?:\((?P<id>[^/]+)\))?")
Entity = dict[str, Any]


class NotFound(Exception):
    """No such entity."""


class Entities:
    """``get("Things('A')/Datastreams", base)``: a dict is one entity, a list is a collection whose members are yet to be made."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._series = {f"{station.id}:{one.parameter.value}": (station, one) for station in region.stations for one in station.series}
        self._parameters = {one.parameter.value: one.parameter for _, one in self._series.values()}
        self._located = {station.id: station for station in region.stations if station.lat is not None}

    def get(self, path: str, base: str) -> Entity | list[Callable[[], Entity]]:
        """Raises NotFound."""
        steps = [_STEP.fullmatch(step) for step in path.split("/")]
        first, last = steps[0], steps[-1]
        if len(steps) > 2 or first is None or last is None or (len(steps) == 2 and first["id"] is None):
            raise NotFound(f"nothing at {path[:80]!r}")
        table = self._table(first["name"], base)
        if first["id"] is None:
            return list(table.values())
        name = str(id_of(first["id"]))
        if name not in table:
            raise NotFound(f"no {first['name']}({name[:80]!r})")
        return table[name]() if len(steps) == 1 else self._related(first["name"], name, last, base)

    def _table(self, kind: str, base: str) -> Mapping[str, Callable[[], Entity]]:
        if kind == "Things":
            return {name: partial(self._thing, one, base) for name, one in self._region.station_by_id.items()}
        if kind == "Locations":
            return {name: partial(self._location, one, base) for name, one in self._located.items()}
        if kind == "Datastreams":
            return {name: partial(self._datastream, *one, base) for name, one in self._series.items()}
        if kind == "Sensors":
            return {name: partial(self._sensor, *one, base) for name, one in self._series.items()}
        if kind == "ObservedProperties":
            return {name: partial(self._property, one, base) for name, one in self._parameters.items()}
        raise NotFound(f"no collection {kind[:80]!r}")

    def _related(self, kind: str, name: str, step: re.Match[str], base: str) -> Entity | list[Callable[[], Entity]]:
        to = step["name"]
        if step["id"] is None and kind in ("Datastreams", "Sensors") and name in self._series:
            station, one = self._series[name]
            if kind == "Datastreams" and to == "Thing":
                return self._thing(station, base)
            if kind == "Datastreams" and to == "Sensor":
                return self._sensor(station, one, base)
            if kind == "Datastreams" and to == "ObservedProperty":
                return self._property(one.parameter, base)
            if kind == "Sensors" and to == "Datastreams":
                return [partial(self._datastream, station, one, base)]
        if step["id"] is None and kind == "Things":
            station = self._region.station_by_id[name]
            if to == "Datastreams":
                return [partial(self._datastream, station, one, base) for one in station.series]
            if to == "Locations":
                return [partial(self._location, station, base)] if name in self._located else []
        if step["id"] is None and kind == "ObservedProperties" and to == "Datastreams":
            return [partial(self._datastream, *one, base) for one in self._series.values() if one[1].parameter.value == name]
        if step["id"] is None and kind == "Locations" and to == "Things":
            return [partial(self._thing, self._located[name], base)]
        raise NotFound(f"nothing at {kind}({name[:80]!r})/{to[:40]}")

    def _thing(self, one: Station, base: str) -> Entity:
        extra = {"river": one.river, "basin": one.basin, "kind": one.kind, "position": one.position, "names": dict(one.names)}
        made = _entity("Things", one.id, base, named(one.names, "en"), f"{one.kind} on the {one.river}", "Locations", "Datastreams")
        return made | {"properties": extra}

    def _location(self, one: Station, base: str) -> Entity:
        point = {"type": "Point", "coordinates": [one.lon, one.lat]}
        made = _entity("Locations", one.id, base, named(one.names, "en"), f"position: {one.position}", "Things")
        return made | {"encodingType": "application/geo+json", "location": point}

    def _datastream(self, station: Station, one: Series, base: str) -> Entity:
        unit = one.parameter.unit
        about = f"{one.parameter.value} at {named(station.names, 'en')}"
        about += ", metres above the gauge's zero" if one.parameter is Parameter.STAGE else ""
        name = f"{station.id}:{one.parameter.value}"
        made = _entity("Datastreams", name, base, about, about, "Thing", "Sensor", "ObservedProperty", "Observations")
        measure = {"name": _NAMES[unit], "symbol": unit, "definition": f"http://unitsofmeasure.org/ucum.html#{unit}"}
        return made | {"observationType": _MEASUREMENT, "unitOfMeasurement": measure}

    def _sensor(self, station: Station, one: Series, base: str) -> Entity:
        about = f"what reads the {one.parameter.value} at {named(station.names, 'en')}"
        made = _entity("Sensors", f"{station.id}:{one.parameter.value}", base, about, about, "Datastreams")
        return made | {"encodingType": "text/plain", "metadata": station.source}

    def _property(self, one: Parameter, base: str) -> Entity:
        made = _entity("ObservedProperties", one.value, base, one.value, f"{one.value} in {one.unit}", "Datastreams")
        return made | {"definition": f"{base}/ObservedProperties('{one.value}')"}


def _entity(kind: str, name: str, base: str, title: str, about: str, *links: str) -> Entity:
    here = f"{base}/{kind}('{name}')"
    return {
        "@iot.id": name,
        "@iot.selfLink": here,
        "name": title,
        "description": about,
        **{f"{link}@iot.navigationLink": f"{here}/{link}" for link in links},
    }
