"""Metrics of what others trust: signatures, codes that were asked for, anticipatory cash."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from warning import facts
from warning.people.told import Reconciled

SEALED = ("signed", "no_key", "key_expired", "database", "conflict", "internal")
ASKED = ("in_force", "replaced", "ended", "expired", "unknown", "malformed", "document_mark", "rate_limited", "unavailable")


class SealMetrics:
    """``process`` dispatch or api: both sign what leaves them first."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sealed = Counter("warning_documents_sealed_total", "CAP documents: signed, or why not", ("outcome",), registry=registry)
        for outcome in SEALED:
            self._sealed.labels(outcome)
        text = "When the last certificate that can sign ends; 0: not known"
        self._ends = Gauge("warning_signing_certificate_ends_seconds", text, registry=registry)

    def sealed(self, fact: facts.DocumentSealed) -> None:
        if fact.outcome:
            self._sealed.labels(fact.outcome).inc()
        if fact.ends_s is not None:
            self._ends.set(fact.ends_s)


class CodeMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._asked = Counter("warning_codes_asked_total", "Codes that somebody asked about, by our answer", ("answer",), registry=registry)
        for answer in ASKED:
            self._asked.labels(answer)

    def asked(self, fact: facts.CodeAsked) -> None:
        self._asked.labels(fact.answer).inc()


class CashMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        text = "Changes of state of cash orders and cases"
        self._moved = Counter("warning_cash_moves_total", text, ("phase", "state"), registry=registry)
        self._approvals = Gauge("warning_cash_approvals_waiting", "Cases of cash that wait for a person", registry=registry)
        self._unsettled = Gauge("warning_cash_orders_unsettled", "Cash orders whose outcome is not known yet", registry=registry)

    def moved(self, fact: facts.CashMoved) -> None:
        self._moved.labels(fact.phase, fact.state).inc()

    def waiting(self, fact: facts.CashWaiting) -> None:
        self._approvals.set(fact.approvals)
        self._unsettled.set(fact.unsettled)


class ReportMetrics:
    """Of the SMS centres' own reports; a route has a series once it is told of."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._at: Gauge | None = None

    def told(self, fact: Reconciled) -> None:
        if self._at is None:
            words = "When the newest report of a route's SMS centre was held against the ledger; else since when it is waited for"
            self._at = Gauge("warning_report_time_seconds", words, ("route",), registry=self._registry)
            words = (
                "In the newest report: parts that were corrected, messages that are unknown here, parts that nobody has said anything of"
            )
            self._differences = Gauge("warning_report_differences", words, ("route", "what"), registry=self._registry)
            self._lines = Gauge("warning_report_lines", "Lines of the newest report", ("route",), registry=self._registry)
            self._failed = Counter("warning_report_failures_total", "Reports that could not be taken", ("route",), registry=self._registry)
        failed = self._failed.labels(fact.route)
        if fact.error:
            failed.inc()
            return
        self._at.labels(fact.route).set(fact.at_ms / 1000)
        self._lines.labels(fact.route).set(fact.lines)
        for what in ("corrected", "unknown", "unsettled"):
            self._differences.labels(fact.route, what).set(getattr(fact, what))
