"""``hazards.csv``: zones of a quantity that no gauge reads. Its row, and the zone that a checked row makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from warning.config_names import names
from warning.config_schema import DATE, Listed, Number, Positive, Text, Word
from warning.config_units import factor, zero
from warning.model import CLASSES, Level
from warning.region import QUANTITIES, Guidance, Limits, Zone

RUNOFF_HOURS = (1, 3, 6)  # which durations of rain a flash flood is judged by


class HazardRow(BaseModel):
    """``hazards.csv``, which a region may do without. Limits in ``unit``; ``stations``, ``districts``: ``a|b``.

    A flash flood needs ``curve_number`` and at least one ``runoff``: mm that just fill the stream when they run off rain of so many hours.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    zone: Word
    names: dict[str, Text]
    quantity: Literal["heat_index", "wet_bulb", "rain_1h", "rain_3h", "rain_6h", "rain_24h", "rain_72h", "flash_flood"]
    unit: Text
    low: Number | None = None
    medium: Number | None = None
    high: Number | None = None
    very_high: Number | None = None
    exceptional: Number | None = None
    stations: Listed
    districts: Listed
    curve_number: Annotated[float, Field(ge=30, le=99)] | None = None
    runoff_1h: Positive | None = None
    runoff_3h: Positive | None = None
    runoff_6h: Positive | None = None
    source: Text
    date: Annotated[str, Field(pattern=DATE)]
    version: Text

    @cached_property
    def values(self) -> dict[Level, float]:
        """Class -> limit in ``unit``, for the classes that have one."""
        cells = zip(CLASSES, (self.low, self.medium, self.high, self.very_high, self.exceptional), strict=True)
        return {level: value for level, value in cells if value is not None}

    @cached_property
    def runoff(self) -> dict[int, float]:
        """Hours of rain -> mm, for the durations that have one."""
        cells = zip(RUNOFF_HOURS, (self.runoff_1h, self.runoff_3h, self.runoff_6h), strict=True)
        return {hours: value for hours, value in cells if value is not None}

    @property
    def group(self) -> str:
        """What its unit is a unit of."""
        return QUANTITIES[self.quantity].shown


def zone(
    row: HazardRow, rivers: Mapping[str, str], basins: Mapping[str, str], frozen: Callable[[dict[Any, Any]], Mapping[Any, Any]]
) -> Zone:
    """``rivers``, ``basins``: those of the stations. ``frozen`` makes a mapping that cannot change."""
    unit, start = factor(row.unit, row.group), zero(row.unit)
    values = {level: value * unit + start for level, value in row.values.items()}
    flash = QUANTITIES[row.quantity].hazard == "flash_flood"
    return Zone(
        id=row.zone,
        names=names(row.names),
        station=row.stations[0],
        river=rivers[row.stations[0]] if flash else "",
        basin=basins[row.stations[0]],
        districts=row.districts,
        limits=Limits(row.quantity, frozen(values), row.source, row.date, row.version),
        stations=row.stations,
        guidance=Guidance(row.curve_number, tuple(row.runoff.items())) if flash and row.curve_number else None,
    )
