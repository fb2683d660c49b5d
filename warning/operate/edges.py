"""What edge nodes say of themselves, as metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from warning import facts

_MOST = 500  # nodes that are shown; who has a key may say any name


class EdgeMetrics:
    """Takes ``EdgeReported``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"warning_edge_{name}", text, ("node",), registry=registry)

        self._waiting = gauge("waiting_readings", "Readings that wait in an edge node's outbox, as it last said")
        self._oldest = gauge("oldest_waiting_seconds", "Age of the oldest of them")
        self._refused = gauge("refused_readings", "Readings that an edge node keeps because they were refused")
        self._thinned = gauge("thinned_readings", "Readings that an edge node has dropped for want of room, ever")
        self._undated = gauge("undated_readings", "Readings that an edge node keeps and cannot date: nobody said what time it was")
        self._clock = gauge("clock_sure", "1 if an edge node knows what time it is")
        self._on = gauge("sirens_on", "Sirens that sound at an edge node")
        self._failing = gauge("sirens_failing", "Sirens of an edge node that cannot be told anything")
        self._nodes: set[str] = set()

    def reported(self, fact: facts.EdgeReported) -> None:
        if fact.node not in self._nodes and len(self._nodes) >= _MOST:
            return
        self._nodes.add(fact.node)
        for gauge, value in (
            (self._waiting, fact.waiting),
            (self._oldest, fact.oldest_s or 0.0),
            (self._refused, fact.refused),
            (self._thinned, fact.thinned),
            (self._undated, fact.undated),
            (self._clock, int(fact.clock_sure)),
            (self._on, fact.sirens_on),
            (self._failing, fact.sirens_failing),
        ):
            gauge.labels(fact.node).set(value)
