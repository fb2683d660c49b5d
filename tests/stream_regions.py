"""Regions made in code, as large as a test of the stream wants them."""

from __future__ import annotations

from warning.model import CLASSES, Level, Parameter, Status
from warning.region import AlertRules, ForecastRules, Limits, Region, Series, Station, Zone


def region(stations: int = 4, partitions: int = 1, basins: int = 0, digest: str = "d1", status: Status = Status.EXERCISE) -> Region:
    """Stations s000, s001, ... with a stage each, shared out over ``basins`` (default: one a partition) b0, b1, ..."""
    basins = basins or partitions
    names = {"en": "x"}
    made = tuple(_station(f"s{number:03d}", f"b{number % basins}") for number in range(stations))
    values = {level: 100.0 + number for number, level in enumerate(CLASSES)}
    zones = tuple(Zone(s.id, names, s.id, "Oak", s.basin, ("d",), Limits("stage", values, "test", "2025", "1")) for s in made)
    return Region(
        id="r",
        names=names,
        namespace="ews.r",
        sender="t@example.org",
        status=status,
        languages=("en",),
        utc_offset_s=0,
        timezone_name="UTC",
        country="PK",
        display_units={"stage": "m"},
        class_names=dict.fromkeys(Level, names),
        partitions=partitions,
        basins={f"b{number}": number % partitions for number in range(basins)},
        stations=made,
        zones=zones,
        reaches=(),
        districts=(),
        contacts=(),
        forecast=ForecastRules(),
        alert=AlertRules(),
        exercise_numbers="+999",
        urls={},
        digest=digest,
        folder="",
    )


def _station(name: str, basin: str) -> Station:
    return Station(
        id=name,
        names={"en": "x"},
        kind="gauge",
        river="Oak",
        basin=basin,
        lat=None,
        lon=None,
        position="approximate",
        series=(Series(name, Parameter.STAGE, plausible_min=-10.0, plausible_max=1e6),),
        silent_after_s=3 * 3600,
    )
