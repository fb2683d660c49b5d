"""Sensors and devices in a scrape: those of the newest ``SensorsJudged``, bounded there; nothing before the first one."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from warning.facts import DeviceState, SensorsJudged

_SENSOR = ("station", "parameter")
_DEVICE = ("device", "way", "station")
_OF_DEVICE = {
    "age_seconds": ("Since a device was last heard", "age_s"),
    "overdue": ("That age over how often it should speak (devices.csv)", "overdue"),
    "battery_volts": ("Battery of a device", "battery_v"),
    "battery_percent": ("Charge of a device's battery", "battery_percent"),
    "rssi_dbm": ("Signal of a device at the gateway that hears it best", "rssi_dbm"),
    "clock_skew_seconds": ("A device's clock less ours", "clock_skew_s"),
    "silent": ("1 after a device's last will, until it speaks again", "silent"),
}


class SensorsShown(Collector):
    def __init__(self) -> None:
        self._now = SensorsJudged({})

    def take(self, fact: SensorsJudged) -> None:
        self._now = fact

    def collect(self) -> Iterator[Metric]:
        counts = GaugeMetricFamily("warning_sensors", "Sensors by how they are", labels=("state",))
        for state, count in self._now.counts.items():
            counts.add_metric((state,), count)
        age = GaugeMetricFamily("warning_sensor_age_seconds", "Since the newest good reading of a sensor", labels=_SENSOR)
        overdue = GaugeMetricFamily("warning_sensor_overdue", "That age over what is expected; not of those out of service", labels=_SENSOR)
        out = GaugeMetricFamily("warning_sensor_out_of_service", "1 for a sensor that a person took out of service", labels=_SENSOR)
        for each in self._now.sensors:
            if each.age_s is not None:
                age.add_metric((each.station, each.parameter), each.age_s)
            if each.overdue is not None and each.state != "out":
                overdue.add_metric((each.station, each.parameter), each.overdue)
            if each.state == "out":
                out.add_metric((each.station, each.parameter), 1)
        blind = GaugeMetricFamily("warning_zone_out_of_service", "1 for a zone whose every sensor is out of service", labels=("zone",))
        for zone in self._now.blind:
            blind.add_metric((zone,), 1)
        yield from (counts, age, overdue, out, blind, *map(self._of_device, _OF_DEVICE))

    def _of_device(self, name: str) -> Metric:
        words, field = _OF_DEVICE[name]
        family = GaugeMetricFamily(f"warning_device_{name}", words, labels=_DEVICE)
        for each in self._now.devices:
            value = getattr(each, field)
            if value is not None:
                family.add_metric(_labels(each), float(value))
        return family


def _labels(device: DeviceState) -> tuple[str, str, str]:
    return device.device, device.way, device.station
