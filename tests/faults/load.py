"""A made-up region and its water. Synthetic: it says nothing of floods, it only gives every process work to get wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regions

from warning import config
from warning.region import Region

PARTITIONS = 4
GAUGES_PER_RIVER = 5
MINUTE_MS = 60_000
SECRET = "whsec_cmVoZWFyc2FsIG9ubHksIG5vdCBhIHNlY3JldA=="  # of the rehearsal, as in regions.py
CONTACTS = f"""\
id,name,role,language,districts,level,phone,webhook,secret,live
upper-officer,Officer of Upper Oak,official,en,upper,LOW,+9991000001,,,false
lower-officer,Officer of Lower Oak,official,ur,lower,LOW,+9991000002,,,false
village,Village committees,public,ur,upper|lower,HIGH,+9991000003,,,false
agency,The agency,responder,en,*,LOW,,rehearsal:agency,{SECRET},false
"""


@dataclass(frozen=True, slots=True)
class Size:
    """``series`` gauges, of which ``zones`` have limits, ``rounds`` readings each, one a minute."""

    series: int = 200
    zones: int = 40
    rounds: int = 150

    @property
    def readings(self) -> int:
        return self.series * self.rounds

    @staticmethod
    def of(readings: int) -> Size:
        """About so many readings; a thousand gauges for a million."""
        series = max(40, min(1000, readings // 150) // 20 * 20)
        return Size(series, max(20, min(100, series // 5)), max(1, readings // series))


def write_region(folder: Path, size: Size) -> Region:
    """The region's folder, and the region that the commands will load from it: ``tests/regions.py`` with other gauges."""
    stations = ["id,name_en,name_ur,kind,river,basin,lat,lon,position,silent_after_h"]
    series = ["station,parameter,unit,plausible_min,plausible_max,rise_per_hour,fall_per_hour,spike,flat_after_h,flat_within"]
    limits = ["station,quantity,unit,low,medium,high,very_high,exceptional,source,date,version"]
    reaches = ["upstream,downstream,travel_low_h,travel_high_h,basis,districts"]
    for number in range(size.series):
        name, river = station(number), number // GAUGES_PER_RIVER
        stations.append(f"{name},Gauge {number},الف {number},gauge,River{river},b{basin(number)},,,approximate,36")
        series.append(f"{name},stage,m,-0.5,20,,,,,")
        if number < size.zones:
            district = "upper" if number % 2 else "lower"
            last = (number + 1) % GAUGES_PER_RIVER == 0 or number + 1 == size.zones
            limits.append(f"{name},stage,m,2,3,4,5,6,made up,2025,1")
            reaches.append(f"{name},,,,,{district}" if last else f"{name},{station(number + 1)},1,2,assumed,{district}")
    about = regions.REGION.replace("partitions: 2\nbasins: {oak: 0}\n", f"partitions: {PARTITIONS}\nbasins: {_basins()}\n")
    about = about.split("polygon:")[0] + "alert: {clear_after: 20 s}\n"
    files = {"stations": stations, "series": series, "limits": limits, "reaches": reaches}
    texts: dict[str, Any] = {name: "\n".join(lines) + "\n" for name, lines in files.items()}
    return config.load(regions.write_region(folder, region=about, contacts=CONTACTS, rivers=None, **texts))


def _basins() -> str:
    return "{" + ", ".join(f"b{number}: {number}" for number in range(PARTITIONS)) + "}"


def station(number: int) -> str:
    return f"g{number:04d}"


def basin(number: int) -> int:
    """A whole river lies in one basin."""
    return number // GAUGES_PER_RIVER % PARTITIONS


Item = dict[str, Any]


class Water:
    """What the gauges read. The same seed gives the same values; times end at ``until_ms``."""

    def __init__(self, size: Size, seed: int, until_ms: int) -> None:
        self.size, self._begin_ms = size, until_ms // MINUTE_MS * MINUTE_MS - size.rounds * MINUTE_MS
        chance = random.Random(seed)
        self._wave = [(chance.uniform(0.2, 0.8), chance.uniform(0.03, 0.12), chance.uniform(0.5, 5.8)) for _ in range(size.zones)]
        self._noise = [round(chance.gauss(0, 0.02), 2) for _ in range(997)]

    def rounds(self, which: int) -> Iterator[list[Item]]:
        """Round by round the readings of one basin's gauges, as a provider posts them."""
        return self.rounds_of([number for number in range(self.size.series) if basin(number) == which])

    def rounds_of(self, gauges: Sequence[int]) -> Iterator[list[Item]]:
        """The same of some gauges, wherever they lie."""
        for turn in range(self.size.rounds):
            yield [self._item(number, turn) for number in gauges]

    def value(self, name: str, time_ms: int) -> float | None:
        """What a gauge reads at a time, in m; None where it does not."""
        turn, rest = divmod(time_ms - self._begin_ms, MINUTE_MS)
        return None if rest or not 0 <= turn < self.size.rounds else float(self._item(int(name[1:]), turn)["value"])

    def _item(self, number: int, turn: int) -> Item:
        value = 1.0 + self._noise[(number * 31 + turn * 7) % 997]
        if number < self.size.zones:
            crest, width, height = self._wave[number]
            value += height * math.exp(-(((turn / self.size.rounds) - crest) ** 2) / (2 * width**2))
        return {
            "station": station(number),
            "parameter": "stage",
            "time": (self._begin_ms + turn * MINUTE_MS) // 1000,
            "value": round(value, 2),
            "unit": "m",
            "datum": "gauge_zero",
        }
