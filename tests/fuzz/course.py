"""The region of the fuzz and its good readings: two rivers with a flood each, beside sources whose records are mutated."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from fuzz.seeds import START_MS
from warning.model import Level, Parameter, Reading, Status, Tick, to_json
from warning.region import AlertRules, Contact, District, ForecastRules, Limits, Reach, Region, Series, Station, Zone

GOOD, MUTATED, OTHER = "good", "mutated", "other"  # basins; the first two share partition 0, the last is partition 1's
MINUTE_MS = 60_000


def region() -> Region:
    """Gauges G00000 to G00019 in basin good, to G00039 in basin mutated, to G00049 in basin other; rivers of ten."""
    ids = [f"G{number:05d}" for number in range(50)]
    below = {up: down for up, down in itertools.pairwise(ids) if int(down[1:]) % 10}
    return Region(
        id="fuzz",
        names={"en": "Fuzz"},
        namespace="ews.fuzz",
        sender="fuzz@fuzz.example",
        status=Status.EXERCISE,
        languages=("en",),
        utc_offset_s=0,
        timezone_name="UTC",
        country="PK",
        display_units={},
        class_names={},
        partitions=2,
        basins={GOOD: 0, MUTATED: 0, OTHER: 1},
        stations=tuple(_station(name) for name in ids),
        zones=tuple(_zone(name, below.get(name)) for name in ids),
        reaches=tuple(Reach(up, down, 2 * 3600, 4 * 3600, "assumed") for up, down in below.items()),
        districts=(District("d", {"en": "District"}, "PK-PB"),),
        contacts=(Contact("c", "Contact", "public", "en", (), Level.LOW, phone="+99900000001", live=False),),
        forecast=ForecastRules(),
        alert=AlertRules(),
        exercise_numbers="+999",
        urls={},
        digest="fuzz",
        folder="",
    )


def _basin(name: str) -> str:
    number = int(name[1:])
    return GOOD if number < 20 else MUTATED if number < 40 else OTHER


def _station(name: str) -> Station:
    one = Series(name, Parameter.DISCHARGE, 0.0, 5000.0, rise_per_hour=1500.0, fall_per_hour=1500.0, spike=400.0, flat_after_s=12 * 3600)
    return Station(name, {"en": name}, "gauge", name[:-1], _basin(name), 30.0, 70.0, "approximate", (one,), silent_after_s=6 * 3600)


def _zone(name: str, downstream: str | None) -> Zone:
    levels = {Level.LOW: 300.0, Level.MEDIUM: 400.0, Level.HIGH: 500.0, Level.VERY_HIGH: 650.0, Level.EXCEPTIONAL: 800.0}
    limits = Limits("discharge", levels, "made up", "", "")
    return Zone(name, {"en": name}, name, name[:-1], _basin(name), ("d",), limits, downstream)


def stations(of: Region, basin: str) -> list[str]:
    return [station.id for station in of.stations if station.basin == basin]


def good(names: list[str], minute: int) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of one reading of each, as the gateway writes it: up over all limits and down again within 200 minutes."""
    at = START_MS + minute * MINUTE_MS
    for number, name in enumerate(names):
        value = 200.0 + 350.0 * (1 - math.cos((minute - 3 * (number % 10)) / 32)) + number / 10
        reading = Reading(
            station=name, parameter=Parameter.DISCHARGE, time_ms=at, value=round(value, 2), received_ms=at + 900, provider="gauges"
        )
        yield GOOD.encode(), to_json(reading)


def tick(minute: int) -> tuple[None, bytes]:
    return None, to_json(Tick(tick_ms=START_MS + minute * MINUTE_MS + 1000, writer="w"))
