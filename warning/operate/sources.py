"""What the sources of ``warning pull`` gave, as metrics; each label set starts at zero as soon as its source is known."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from warning import facts

OUTCOMES = (
    *("taken", "unchanged", "empty", "refused", "format", "too_large", "timeout", "connect", "throttled", "server_error"),
    *("client_error", "unauthenticated", "secret", "forbidden_address", "redirect", "encoding", "log", "internal"),
)
WELL = ("taken", "unchanged", "empty")


class SourceMetrics:
    """Takes ``SourceKnown`` and ``SourcePolled``. ``clock`` gives Unix seconds."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self._clock = clock

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"warning_source_{name}", text, ("source", *labels), registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"warning_source_{name}", text, ("source",), registry=registry)

        self._polls = counter("polls_total", "Rounds of requests to a source, by how they ended", "outcome")
        self._accepted = counter("readings_accepted_total", "Readings of a source that the broker has (acks=all)")
        self._refused = counter("readings_refused_total", "Readings of a source that the gateway refused", "reason")
        self._well = gauge("last_well_time_seconds", "When a source last answered as it should; at first, since when it is asked")
        self._newest = gauge("newest_reading_time_seconds", "Time of a source's newest reading in the log; 0: none yet")
        self._silent = gauge("silent_after_seconds", "A source whose newest reading is older is silent")
        self._seconds = gauge("round_seconds", "How long the last round of requests took")

    def known(self, fact: facts.SourceKnown) -> None:
        for outcome in OUTCOMES:
            self._polls.labels(fact.source, outcome)
        self._accepted.labels(fact.source)
        self._well.labels(fact.source).set(self._clock())
        self._newest.labels(fact.source)
        self._silent.labels(fact.source).set(fact.silent_after_s)

    def polled(self, fact: facts.SourcePolled) -> None:
        self._polls.labels(fact.source, fact.outcome).inc()
        self._accepted.labels(fact.source).inc(fact.accepted)
        for reason, count in fact.refused.items():
            self._refused.labels(fact.source, reason).inc(count)
        if fact.outcome in WELL:
            self._well.labels(fact.source).set(self._clock())
        if fact.newest_ms is not None:
            self._newest.labels(fact.source).set(fact.newest_ms / 1000)
        self._seconds.labels(fact.source).set(fact.seconds)
