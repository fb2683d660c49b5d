"""One process as it is watched: a Listener that feeds its metrics and its probes alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from warning.facts import Fact
from warning.operate.devices import Devices
from warning.operate.health import Health
from warning.operate.metrics import Metrics
from warning.region import Region


@dataclass(frozen=True, slots=True)
class Observed:
    """A Listener; ``health`` and ``registry`` are what ``health.serve``, ``health.routes`` and ``api.create_app`` show."""

    health: Health
    metrics: Metrics
    registry: CollectorRegistry
    devices: Devices | None = None  # of a process that hears devices

    def __call__(self, fact: Fact) -> None:
        """Take one fact."""
        self.metrics(fact)
        self.health(fact)
        if self.devices is not None:
            self.devices(fact)


def observe(region: Region, process: str, parts: Iterable[str], devices: Devices | None = None) -> Observed:
    """``process``: one of ``metrics.PROCESSES``; ``parts``: what must say that it is ready before the process is."""
    registry = CollectorRegistry()
    return Observed(Health(parts), Metrics(registry, region, process), registry, devices)
