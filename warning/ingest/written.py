"""Items -> the records of ``readings``, from pieces: byte for byte what ``to_json`` makes of the reading, at a quarter of its cost.

A series as a sender writes it (station, parameter, unit, datum) has the same partition, key, conversion and bytes up to its time, each
time. Whatever is not plain (no value, a sentinel, a number beyond all use, a time out of bounds, a series not met before) goes the whole
way through ``Formats.reading``, which also says what is wrong with it: there is one place that decides. A test holds the two together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from warning.errors import InputError
from warning.ingest.formats import EPOCH, FUTURE_MS, MILLISECOND, OLDEST_MS, SENTINELS, Conversion, Formats, Item, Refusal, refusal
from warning.ingest.log import Place, Record
from warning.model import Reading, to_json

_ABOVE, _BELOW = max(SENTINELS), 1e15  # NaN lies in no bounds; times any factor of a unit it stays a number

Records = defaultdict[Place, list[Record]]

_encode = msgspec.json.Encoder().encode


class _Line(NamedTuple):
    place: Place
    key: bytes
    si: Callable[[float], float] | None  # None: it is in SI as it comes
    head: bytes  # up to the time


class Writer:
    """Writes the readings of one region. ``places``: station -> its partition and key. Holds as much as ``Formats`` does."""

    def __init__(self, formats: Formats, places: Mapping[str, tuple[Place, bytes]]) -> None:
        self._formats, self._places = formats, places
        self._lines: dict[tuple[str, str, str, str], _Line] = {}

    def write(
        self,
        items: Sequence[Item | InputError],
        provider: str,
        stations: frozenset[str],
        now_ms: int,
        records: Records,
    ) -> tuple[list[tuple[int, InputError]], int]:
        """Adds the readings to ``records``, in order. Returns (index, why) of each item that is refused, and the newest time in ms.

        ``provider``, ``stations``: of the sender, as ``gateway.Sender`` has them; ``now_ms``: the clock, and the least that is returned.
        """
        refused: list[tuple[int, InputError]] = []
        lines, tail = self._lines, b',"received_ms":%d,"provider":%b}' % (now_ms, _encode(provider))
        newest_ms, most_ms = now_ms, now_ms + FUTURE_MS
        time: datetime | None = None
        time_ms = 0
        for index, one in enumerate(items):
            if (
                isinstance(one, Item)
                and (line := lines.get((one.station, one.parameter, one.unit, one.datum))) is not None
                and (value := one.value) is not None
                and _ABOVE < value < _BELOW
                and (not stations or one.station in stations)
            ):
                if one.time != time:  # of a round of many gauges it is the same
                    time_ms = (one.time - EPOCH) // MILLISECOND
                    time = one.time
                if OLDEST_MS <= time_ms <= most_ms:
                    if time_ms > newest_ms:  # max() would cost more than all of it
                        newest_ms = time_ms
                    value = value if line.si is None else line.si(value)
                    text = b'%b%d,"value":%b%b' % (line.head, time_ms, _encode(value), tail)
                    records[line.place].append((line.key, text))
                    continue
            try:
                place, record, at_ms = self._whole(one, provider, stations, now_ms)
            except InputError as error:
                refused.append((index, error))
                continue
            newest_ms = max(newest_ms, at_ms)
            records[place].append(record)
        return refused, newest_ms

    def record(self, one: Item | InputError, provider: str, stations: frozenset[str], now_ms: int) -> tuple[Place, Record]:
        """One of them. Raises InputError."""
        place, record, _ = self._whole(one, provider, stations, now_ms)
        return place, record

    def _whole(self, one: Item | InputError, provider: str, stations: frozenset[str], now_ms: int) -> tuple[Place, Record, int]:
        if isinstance(one, InputError):
            raise one
        if stations and one.station not in stations and one.station in self._places:  # first: whatever else is wrong with it
            what, fix = f"this key may not send for {one.station}", "use the key that was issued for this station"
            raise refusal(Refusal.STATION_FORBIDDEN, "station", what, fix)
        reading = self._formats.reading(one, provider=provider, received_ms=now_ms)
        self._learn(one)
        place, key = self._places[reading.station]
        return place, (key, to_json(reading)), reading.time_ms

    def _learn(self, one: Item) -> None:
        conversion = self._formats.conversion(one)
        place, key = self._places[conversion.station]
        si = None if conversion.plain else conversion.si
        self._lines[one.station, one.parameter, one.unit, one.datum] = _Line(place, key, si, _head(conversion))


def _head(conversion: Conversion) -> bytes:
    """What the record of each reading of it begins with."""
    station, parameter = conversion.station, conversion.parameter
    whole = to_json(Reading(station=station, parameter=parameter, time_ms=0, value=None, received_ms=0, provider=""))
    return whole.removesuffix(b'0,"value":null,"received_ms":0,"provider":""}')
