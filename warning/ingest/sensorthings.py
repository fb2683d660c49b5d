"""OGC SensorThings 1.1 (18-088): Observations as FROST's clients send them -> parts. Over HTTP and MQTT; pure.

::

    POST /v1/sta/v1.1/Observations                          {"Datastream": {"@iot.id": "A:stage"}, "phenomenonTime": ..., "result": 1.5}
    POST /v1/sta/v1.1/Datastreams('A:stage')/Observations   {"phenomenonTime": "2025-09-02T06:00:00Z", "result": 1.5}
    POST /v1/sta/v1.1/CreateObservations                    the data array extension
    MQTT v1.1/Datastreams('A:stage')/Observations           the same object

A Datastream is a series: its id is ``STATION:parameter`` and its unit the one that it says (metres above the gauge's zero, m3/s, mm,
degC, %). A time must be there, with a zone: an Observation without ``phenomenonTime`` has its ``resultTime``; one of an interval is of
its end. Ids of a sender's own are mapped in ``datastreams.csv`` (``config_datastreams``), with their unit and datum.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec

from warning.config_datastreams import Datastream
from warning.errors import InputError
from warning.ingest.body import MOST_ITEMS
from warning.ingest.formats import GAUGE_ZERO, Item, Refusal, refusal, shown_field
from warning.ingest.gateway import Part
from warning.model import Parameter
from warning.region import Region

TOPIC = re.compile(r"(?:.*/)?v1\.[01]/Datastreams\((?P<id>[^/]{1,220})\)/Observations")
TOPIC_ALL = re.compile(r"(?:.*/)?v1\.[01]/Observations")

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Link(msgspec.Struct, frozen=True):
    """``{"@iot.id": ...}``; ids are numbers or texts."""

    id: int | str = msgspec.field(name="@iot.id")


class Observation(msgspec.Struct, frozen=True):
    """What of an Observation counts here; other properties of the standard are left alone."""

    result: float | str | bool | dict[str, Any] | list[Any] | None
    phenomenonTime: str | None = None  # noqa: N815 - the standard's name
    resultTime: str | None = None  # noqa: N815
    Datastream: Link | None = None


class DataArray(msgspec.Struct, frozen=True):
    """One Datastream's observations as rows of ``components``."""

    Datastream: Link
    components: list[str]
    dataArray: list[msgspec.Raw]  # noqa: N815


_OBSERVATION = msgspec.json.Decoder(Observation)
_ARRAYS = msgspec.json.Decoder(list[msgspec.Raw])
_ARRAY = msgspec.json.Decoder(DataArray)
_ROW = msgspec.json.Decoder(list[msgspec.Raw])
_TIME = msgspec.json.Decoder(_Time)
_STANDARD = frozenset(
    "id result phenomenonTime resultTime resultQuality validTime parameters FeatureOfInterest FeatureOfInterest/id".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Things:
    """The Datastreams of one region. ``own``: ids of senders' own."""

    region: Region
    own: Mapping[str, Datastream]

    @staticmethod
    def of(region: Region, own: Sequence[Datastream] = ()) -> Things:
        return Things(region, {one.id: one for one in own})

    def datastream(self, id: int | str) -> Datastream:
        """By id. Raises InputError (``datastream_unknown``)."""
        name = str(id)
        if name in self.own:
            return self.own[name]
        station, _, parameter = name.rpartition(":")
        found = self.region.station_by_id.get(station)
        series = next((one for one in found.series if one.parameter.value == parameter), None) if found else None
        if series is None:
            fix = "an id of /v1/sta/v1.1/Datastreams, or one of datastreams.csv"
            raise InputError(f"no Datastream {name[:80]!r}", reason="datastream_unknown", field="Datastream", fix=fix)
        datum = GAUGE_ZERO if series.parameter is Parameter.STAGE else ""
        return Datastream(name, station, series.parameter, series.parameter.unit, datum)

    def message(self, topic: str, payload: bytes) -> list[Part]:
        """The parts of an MQTT message, never none: a topic that is none of SensorThings is one that is refused."""
        named = TOPIC.fullmatch(topic)
        if named is None and TOPIC_ALL.fullmatch(topic) is None:
            fix = "v1.1/Datastreams(ID)/Observations"
            return [Part(payload, refusal(Refusal.MALFORMED, "topic", f"topic {topic[:80]!r}", fix))]
        return [self.observation(payload, id_of(named["id"]) if named else None)]

    def observation(self, text: bytes, datastream: int | str | None = None) -> Part:
        """One Observation; ``datastream``: of which, where the address says it."""
        try:
            try:
                one = _OBSERVATION.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise _unreadable(error) from None
            link = datastream if datastream is not None else one.Datastream.id if one.Datastream else None
            if link is None:
                fix = '"Datastream": {"@iot.id": ...}'
                raise refusal(Refusal.FIELD_MISSING, "Datastream", "the Datastream is missing", fix)
            return Part(text, self._item(self.datastream(link), one))
        except InputError as error:
            return Part(text, error)

    def arrays(self, body: bytes) -> list[list[Part]]:
        """Those of ``CreateObservations``, a list for each Datastream. Raises InputError if the body cannot be split."""
        try:
            raws = _ARRAYS.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(
                str(error), reason="not_json", field="", fix="an array of objects with Datastream, components, dataArray"
            ) from None
        found, count = [], 0
        for raw in raws:
            parts = self._array(bytes(raw))
            count += len(parts)
            if count > MOST_ITEMS:
                raise InputError(f"over {MOST_ITEMS} Observations", reason="too_many", field="dataArray", fix=f"at most {MOST_ITEMS}")
            found.append(parts)
        if not count:
            raise InputError("no Observations", reason="empty", field="dataArray", fix="send at least one")
        return found

    def _array(self, text: bytes) -> list[Part]:
        try:
            try:
                array = _ARRAY.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise _unreadable(error) from None
            datastream = self.datastream(array.Datastream.id)
            unknown = [name for name in array.components if name not in _STANDARD]
            if unknown or len(set(array.components)) < len(array.components) or "result" not in array.components:
                what = f"components {', '.join(map(shown_field, array.components))[:120]}"
                raise refusal(Refusal.FIELD_UNKNOWN, "components", what, "phenomenonTime, result, each once, and others of an Observation")
        except InputError as error:
            return [Part(text, error)]
        return [self._row(datastream, array.components, bytes(row)) for row in array.dataArray]

    def _row(self, datastream: Datastream, components: list[str], text: bytes) -> Part:
        try:
            try:
                cells = _ROW.decode(text)
                if len(cells) != len(components):
                    raise refusal(Refusal.MALFORMED, "dataArray", f"{len(cells)} values for {len(components)} components", "one value each")
                named = {name: cell for name, cell in zip(components, cells, strict=True) if name in Observation.__struct_fields__}
                one = _OBSERVATION.decode(msgspec.json.encode(named))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise _unreadable(error) from None
            return Part(text, self._item(datastream, one))
        except InputError as error:
            return Part(text, error)

    @staticmethod
    def _item(datastream: Datastream, one: Observation) -> Item:
        if isinstance(one.result, bool) or not isinstance(one.result, int | float | None):
            raise refusal(Refusal.VALUE_TYPE, "result", "the result is no number", "a number without quotes, or null")
        time, field = (one.phenomenonTime, "phenomenonTime") if one.phenomenonTime is not None else (one.resultTime, "resultTime")
        if time is None:
            raise refusal(Refusal.FIELD_MISSING, "phenomenonTime", "the time of the measurement is missing", "2025-09-02T06:00:00Z")
        try:
            at = _TIME.decode(msgspec.json.encode(time.rpartition("/")[2]))
        except msgspec.DecodeError as error:
            fix = "RFC 3339 with a zone, or an interval of two"
            raise refusal(Refusal.TIME_FORMAT, field, str(error), fix) from None
        return Item(datastream.station, datastream.parameter.value, at, one.result, datastream.unit, datastream.datum)


def id_of(text: str) -> int | str:
    """What stands in brackets in an address: ``17``, or ``'A:stage'`` (a quote within is doubled)."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


def _unreadable(error: Exception) -> InputError:
    named = re.search(r"at `\$\.([\w@.]+)", str(error))
    field = named[1] if named else ""
    missing = re.search(r"missing required field `([^`]{1,60})`", str(error))
    if missing:
        return refusal(Refusal.FIELD_MISSING, missing[1], f"{missing[1]} is missing", "see the SensorThings standard, 8.2.6")
    reason = Refusal.VALUE_NOT_FINITE if field == "result" and "range" in str(error) else Refusal.FIELD_TYPE if field else Refusal.MALFORMED
    return refusal(reason, field, f"not an Observation: {error}", "JSON of an Observation, in UTF-8; null when there is no value")
