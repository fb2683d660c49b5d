"""Verification live: what became of each warning, from the chains of alerts alone.

A chain said a class when a revision first had it. It is a **hit** if a later revision shows the class observed, a **miss** if it was
there when it was first said (nobody was warned ahead), a **false alarm** if the chain ended and it never was. Classes that a chain
passed over are not judged. All is counted anew from the log at each start and shown once it has been read to its end: a restart counts
nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from warning import facts
from warning.alerts.manual import by_hand
from warning.model import CLASSES, AlertEvent, Level

HIT, MISS, FALSE_ALARM = OUTCOMES = ("hit", "miss", "false_alarm")
BUCKETS_S = (0, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 48 * 3600, 96 * 3600)


@dataclass(slots=True)
class _Chain:
    """The newest chain of a zone: ``order`` of its newest revision; class -> when it was said; those already judged."""

    order: tuple[int, int]
    said_ms: dict[Level, int] = field(default_factory=dict)
    judged: set[Level] = field(default_factory=set)


class Verified:
    """Judges revisions as they come, each zone's in their order; one that came before changes nothing."""

    def __init__(self, listen: facts.Listener = facts.nobody) -> None:
        self._listen = listen
        self._chains: dict[str, _Chain] = {}

    def clear(self) -> None:
        """It is another log now."""
        self._chains.clear()
        self._listen(facts.VerificationForgotten())

    def alert(self, event: AlertEvent) -> None:
        """Take one revision. What a person raised is no forecast of ours."""
        alert = event.alert
        if by_hand(alert):
            return
        order = (alert.raised_ms, alert.revision)
        chain = self._chains.get(alert.zone)
        if chain is not None and order <= chain.order:
            return
        if chain is None or chain.order[0] != alert.raised_ms:
            if chain is not None:
                self._close(chain)
            chain = self._chains[alert.zone] = _Chain(order)
        chain.order = order
        if alert.active:
            chain.said_ms.setdefault(alert.level, alert.sent_ms)
        for level, said_ms in chain.said_ms.items():
            if level not in chain.judged and alert.hazard.level_confirmed >= level:
                lead_s = (alert.sent_ms - said_ms) / 1000.0
                self._judge(chain, level, HIT if lead_s > 0 else MISS, lead_s)
        if not alert.active:
            self._close(chain)

    def _close(self, chain: _Chain) -> None:
        for level in chain.said_ms:
            if level not in chain.judged:
                self._judge(chain, level, FALSE_ALARM, None)

    def _judge(self, chain: _Chain, level: Level, outcome: str, lead_s: float | None) -> None:
        chain.judged.add(level)
        self._listen(facts.WarningVerified(level, outcome, lead_s))


class VerifiedMetrics(Collector):
    """Counts of ``Verified``. Nothing is shown before the log has been read to its end."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """It is another log now: nothing is shown before it has been read, too."""
        self._shown = False
        self._counts = {(level, outcome): 0 for level in CLASSES for outcome in OUTCOMES}
        self._leads: dict[Level, list[float]] = {level: [0.0] * (len(BUCKETS_S) + 1) for level in CLASSES}
        self._sums = dict.fromkeys(CLASSES, 0.0)

    def show(self) -> None:
        self._shown = True

    def take(self, fact: facts.WarningVerified) -> None:
        self._counts[fact.level, fact.outcome] += 1
        if fact.lead_s is not None:
            place = next((number for number, edge in enumerate(BUCKETS_S) if fact.lead_s <= edge), len(BUCKETS_S))
            self._leads[fact.level][place] += 1
            self._sums[fact.level] += fact.lead_s

    def collect(self) -> Iterator[Metric]:
        counts = CounterMetricFamily(
            "warning_verified", "Warnings by what became of them, since the log began", labels=("level", "outcome")
        )
        leads = HistogramMetricFamily("warning_verified_lead_seconds", "From a warning to the water, of hits and misses", labels=("level",))
        if self._shown:
            for (level, outcome), count in self._counts.items():
                counts.add_metric((level.value, outcome), count)
            for level, held in self._leads.items():
                total, buckets = 0.0, []
                for edge, number in zip((*map(float, BUCKETS_S), float("inf")), held, strict=True):
                    total += number
                    buckets.append(("+Inf" if edge == float("inf") else str(edge), total))
                leads.add_metric((level.value,), buckets, self._sums[level])
        yield counts
        yield leads
