"""What came: the readings of a history as one series a zone, as received; only what the sender himself called missing is left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warning.model import Parameter, Reading
from warning.region import Region

PAIR_S = 3600  # inflow and outflow within an hour of each other are one observation, as in the scores


@dataclass(frozen=True, slots=True)
class Track:
    """One zone's quantity: ``time_s`` (N,), rising; ``value`` (N,), SI."""

    time_s: NDArray[np.int64]
    value: NDArray[np.float64]


def tracks(region: Region, readings: Iterable[Reading]) -> dict[str, Track]:
    """zone -> its series. A barrage's discharge is the larger of what its series say within an hour; of a repeated time the last counts."""
    zones = {zone.station: zone for zone in region.zones}
    found: dict[str, dict[Parameter, dict[int, float]]] = {}
    for reading in readings:
        zone = zones.get(reading.station)
        if zone is not None and reading.value is not None and reading.parameter.quantity == zone.limits.quantity:
            found.setdefault(zone.id, {}).setdefault(reading.parameter, {})[reading.time_ms // 1000] = reading.value
    return {zone: _highest([_sorted(series) for series in own.values()]) for zone, own in found.items()}


def _sorted(series: dict[int, float]) -> Track:
    times = sorted(series)
    return Track(np.array(times, np.int64), np.array([series[time] for time in times], np.float64))


def _highest(series: list[Track]) -> Track:
    if len(series) == 1:
        return series[0]
    times = np.unique(np.concatenate([each.time_s for each in series]))
    value = np.full(len(times), -np.inf)
    for each in series:
        place = np.searchsorted(each.time_s, times, side="right") - 1
        fresh = (place >= 0) & (times - each.time_s[np.maximum(place, 0)] <= PAIR_S)
        value = np.where(fresh, np.maximum(value, each.value[np.maximum(place, 0)]), value)
    return Track(times, value)
