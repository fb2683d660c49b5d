"""Devices that a region lists in ``devices.csv``: those never heard are missing, and for each it is known which station and how often."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from warning import config_devices
from warning.errors import ConfigError
from warning.operate.registry import Device
from warning.region import Region

log = logging.getLogger(__name__)


def listed(region: Region) -> tuple[Device, ...]:
    """As the registry would have them, were they never heard. A file that is wrong lists none: ``warning check`` says why."""
    try:
        found = config_devices.load(Path(region.folder), region)
    except ConfigError as error:
        log.error("devices.csv lists nothing that can be shown: %s", error)
        return ()
    return tuple(Device(each.id, "lorawan" if each.eui else "mqtt", only(each.stations), expected_s=each.interval_s) for each in found)


def only(stations: Iterable[str]) -> str:
    """The station if it is one, else none: several, or all."""
    found = tuple(stations)
    return found[0] if len(found) == 1 else ""


def with_listed(heard: Iterable[Device], own: Iterable[Device]) -> tuple[Device, ...]:
    """What was heard of devices, with what the region says of them; and those it lists that never were."""
    known = {(each.device, each.way): each for each in own}
    found = []
    for each in heard:
        said = known.pop((each.device, each.way), None)
        found.append(each if said is None else replace(each, station=said.station or each.station, expected_s=said.expected_s))
    return tuple(sorted([*found, *known.values()], key=lambda each: (each.device, each.way)))
