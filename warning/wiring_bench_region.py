"""A made-up region for load: rivers of ten discharge gauges, a zone at each, water passed on from gauge to gauge. No claim about floods.

In code for as many gauges as memory holds, and as a folder of ``config/`` for the real processes: the same gauges, limits and reaches.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from warning.config_model import model_text
from warning.config_names import names
from warning.model import CLASSES, Level, Parameter, Status
from warning.region import AlertRules, Contact, District, ForecastRules, Limits, Reach, Region, Series, Station, Zone

GAUGES_PER_RIVER = 10
RIVERS_PER_BASIN = 10
LIMITS = dict(zip(CLASSES, (300.0, 400.0, 500.0, 650.0, 800.0), strict=True))
AT_ONCE = (Level.VERY_HIGH, Level.EXCEPTIONAL)
CROSSING = 700.0  # m3/s: VERY_HIGH, so that one reading raises


@dataclass(frozen=True, slots=True)
class Size:
    """How large a region is. ``probes``: gauges that stand alone on rivers of their own, for readings whose alert is waited for."""

    series: int
    partitions: int = 1
    probes: int = 0

    def basin(self, gauge: int) -> str:
        """Neighbouring rivers share one; at least one basin for each partition."""
        return f"b{gauge // GAUGES_PER_RIVER // RIVERS_PER_BASIN:05d}"

    @property
    def basins(self) -> dict[str, int]:
        names = dict.fromkeys(self.basin(gauge) for gauge in range(0, self.series, GAUGES_PER_RIVER))
        return {name: number % self.partitions for number, name in enumerate(names)}

    @property
    def gauges(self) -> list[tuple[str, str, str]]:
        """(id, river, basin). What is the same is one string, not one for each gauge."""
        rivers = [(f"R{river:06d}", self.basin(river * GAUGES_PER_RIVER)) for river in range(-(-self.series // GAUGES_PER_RIVER))]
        load = [(self.gauge(number), *rivers[number // GAUGES_PER_RIVER]) for number in range(self.series)]
        return load + [(self.probe(number), f"P{number:05d}", "b00000") for number in range(self.probes)]

    def gauge(self, number: int) -> str:
        return f"G{number:07d}"

    def probe(self, number: int) -> str:
        return f"P{number:05d}"

    def below(self, number: int) -> int | None:
        """The gauge downstream of gauge ``number``; None for the last one of a river."""
        last = number % GAUGES_PER_RIVER == GAUGES_PER_RIVER - 1 or number + 1 >= self.series
        return None if last else number + 1


def made_up(size: Size) -> Region:
    """The region in code; its digest is no digest of files."""
    gauges = size.gauges
    stations = tuple(_station(number, *gauge) for number, gauge in enumerate(gauges))
    limits = Limits("discharge", LIMITS, "made up", "2025", "1")
    below = {gauges[number][0]: gauges[down][0] for number in range(size.series) if (down := size.below(number)) is not None}
    return Region(
        id="load",
        names={"en": "Load"},
        namespace="ews.load",
        sender="load@load.example",
        status=Status.EXERCISE,
        languages=("en",),
        utc_offset_s=0,
        timezone_name="UTC",
        country="PK",
        display_units={"discharge": "m3/s", "stage": "m", "rain": "mm"},
        class_names={level: {"en": level.name.replace("_", " ").title()} for level in (Level.NORMAL, *CLASSES)},
        partitions=size.partitions,
        basins=size.basins,
        stations=stations,
        zones=tuple(_zone(station, limits, below.get(station.id)) for station in stations),
        reaches=tuple(Reach(up, down, 2 * 3600, 4 * 3600, "assumed") for up, down in below.items()),
        districts=(District("PK-PB", {"en": "District"}, "PK-PB"),),
        contacts=(Contact("c", "Contact", "public", "en", (), Level.LOW, phone="+99900000001", live=False),),
        forecast=ForecastRules(model=model_text(None, Path())),
        alert=AlertRules(at_once=AT_ONCE),
        exercise_numbers="+999",
        urls={"page": "https://load.example/"},
        digest="load",
        folder="",
        bounds=(-60.0, -180.0, 60.0, 180.0),
    )


def _zone(station: Station, limits: Limits, downstream: str | None) -> Zone:
    return Zone(station.id, station.names, station.id, station.river, station.basin, ("PK-PB",), limits, downstream)


def _place(number: int) -> tuple[float, float]:
    """Latitude, longitude: a gauge every fifth of a degree, in rivers from north to south. What is equal is one number."""
    return _degrees(59.8, -(number % 598)), _degrees(-179.8, number // 598)


@functools.cache
def _degrees(first: float, steps: int) -> float:
    return round(first + steps * 0.2, 1)


def _station(number: int, name: str, river: str, basin: str) -> Station:
    lat, lon = _place(number)
    one = Series(name, Parameter.DISCHARGE, 0.0, 5000.0, rise_per_hour=400.0, fall_per_hour=400.0, spike=200.0, flat_after_s=12 * 3600)
    return Station(
        name, names({"en": name}), "gauge", river, basin, lat, lon, "approximate", (one,), silent_after_s=6 * 3600, source="made up"
    )


def write(size: Size, folder: Path) -> Path:
    """The same region as a folder that every command takes as ``--region``."""
    folder.mkdir(parents=True, exist_ok=True)
    basins = "".join(f"  {name}: {partition}\n" for name, partition in size.basins.items())
    classes = "".join(f"  {level.name}: {{en: {level.name.replace('_', ' ').title()}}}\n" for level in (Level.NORMAL, *CLASSES))
    (folder / "region.yaml").write_text(_YAML.format(classes=classes, partitions=size.partitions, basins=basins), encoding="utf-8")
    gauges = size.gauges
    _table(
        folder / "stations.csv",
        "id,name_en,kind,river,basin,lat,lon,position,silent_after_h,source",
        (
            f"{name},{name},gauge,{river},{basin},{lat:.1f},{lon:.1f},approximate,6,made up"
            for (name, river, basin), (lat, lon) in zip(gauges, map(_place, range(len(gauges))), strict=True)
        ),
    )
    _table(
        folder / "series.csv",
        "station,parameter,unit,plausible_min,plausible_max,rise_per_hour,fall_per_hour,spike,flat_after_h,flat_within",
        (f"{name},discharge,m3/s,0,5000,400,400,200,12,0" for name, _, _ in gauges),
    )
    limits = ",".join(f"{value:g}" for value in LIMITS.values())
    _table(
        folder / "limits.csv",
        "station,quantity,unit,low,medium,high,very_high,exceptional,source,date,version",
        (f"{name},discharge,m3/s,{limits},made up,2025,1" for name, _, _ in gauges),
    )
    _table(
        folder / "reaches.csv",
        "upstream,downstream,travel_low_h,travel_high_h,basis,districts",
        (
            f"{name},{size.gauge(down)},2,4,assumed,PK-PB"
            if number < size.series and (down := size.below(number)) is not None
            else f"{name},,,,,PK-PB"
            for number, (name, _, _) in enumerate(gauges)
        ),
    )
    _table(folder / "districts.csv", "id,name_en,geocode", ("PK-PB,District,PK-PB",))
    contact = "c,Contact,public,en,*,LOW,+99900000001,,,false"
    _table(folder / "contacts.csv", "id,name,role,language,districts,level,phone,webhook,secret,live", (contact,))
    return folder


def _table(path: Path, header: str, rows: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(header + "\n")
        file.writelines(row + "\n" for row in rows)


_YAML = """id: load
names: {{en: Load}}
namespace: ews.load
sender: load@load.example
status: Exercise
languages: [en]
timezone: {{name: UTC, utc_offset: "+00:00"}}
country: PK
bounds: {{south: -60, west: -180, north: 60, east: 180}}
display_units: {{discharge: m3/s, stage: m, rain: mm}}
classes:
{classes}partitions: {partitions}
basins:
{basins}exercise_numbers: "+999"
urls: {{page: "https://load.example/"}}
alert:
  at_once: [VERY_HIGH, EXCEPTIONAL]
"""
