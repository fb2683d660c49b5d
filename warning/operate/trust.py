"""Metrics of what others trust: signatures, codes that were asked for, anticipatory cash."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from warning import facts

SEALED = ("signed", "no_key", "key_expired", "database", "conflict", "internal")
ASKED = ("in_force", "replaced", "ended", "expired", "unknown", "malformed", "rate_limited", "unavailable")
PHASES = ("case", "readiness", "activation", "stand_down")


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
