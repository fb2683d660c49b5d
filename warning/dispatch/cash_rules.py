"""When is money to be made ready, and when to be paid? Pure: the alerts in force, the rules of ``cash.yaml``, and now.

Only what this system measured or forecast triggers (no alert by hand), only Actual, and only what the public may see: an alert that waits
for a person, or that a person declined, moves no money.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from warning.alerts.manual import by_hand
from warning.alerts.rules import Decision, called_off, may_leave
from warning.config_cash import Condition, Trigger
from warning.model import Alert, AlertEvent, Status
from warning.region import Region


@dataclass(frozen=True, slots=True)
class Ground:
    """One alert that fulfils a condition, and what it said then."""

    alert: str
    level: str
    probability: float
    lead_s: float
    districts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What holds for one trigger now. ``alive``: an alert for its districts is in force at all."""

    readiness: tuple[Ground, ...]
    activation: tuple[Ground, ...]
    alive: bool

    @property
    def districts(self) -> tuple[str, ...]:
        """Those that the activation is for."""
        return tuple(sorted({district for ground in self.activation for district in ground.districts}))


def in_force(events: Iterable[AlertEvent], region: Region, decision: Decision, now_ms: int) -> list[tuple[Alert, bool]]:
    """(alert, whether it may move money now), of the newest revisions of chains: False for what waits for a person.

    What was declined, called off or has ended is in force no more.
    """
    found = []
    for event in events:
        alert = event.alert
        counts = alert.status is Status.ACTUAL and alert.active and not by_hand(alert) and alert.zone in region.zone_by_id
        if counts and called_off(alert, region.alert, decision, now_ms) is None:  # a feed keeps what it had before; money does not
            verdict = may_leave(event, None, region, decision, now_ms)
            if verdict.allowed or verdict.held:
                found.append((alert, verdict.allowed))
    return found


def finding(trigger: Trigger, alerts: Iterable[tuple[Alert, bool]], region: Region, now_ms: int) -> Finding:
    """The districts of a ground are those of the alert's zone that the trigger pays for: nobody else's."""
    readiness, activation, alive = [], [], False
    for alert, allowed in alerts:
        districts = tuple(sorted(trigger.amounts.keys() & set(region.zone_by_id[alert.zone].districts)))
        if not districts:
            continue
        alive = True
        ground = Ground(alert.identifier, alert.level.value, probability(alert), lead_s(alert, now_ms), districts)
        if allowed and fulfils(trigger.readiness, alert, ground):
            readiness.append(ground)
        if allowed and fulfils(trigger.activation, alert, ground):
            activation.append(ground)
    return Finding(tuple(readiness), tuple(activation), alive)


def probability(alert: Alert) -> float:
    """Of the alert's class: what is observed is certain; what is expected has the forecast's, if that is about this class or a higher."""
    hazard = alert.hazard
    if hazard.level_confirmed >= alert.level:
        return 1.0
    return hazard.probability if hazard.level_expected >= alert.level else 0.0


def lead_s(alert: Alert, now_ms: int) -> float:
    """Until the water arrives; 0 where it is there, or nobody knows when."""
    return 0.0 if alert.arrival_ms is None else max(0.0, (alert.arrival_ms - now_ms) / 1000)


def fulfils(condition: Condition, alert: Alert, ground: Ground) -> bool:
    most = condition.lead_at_most_s
    return (
        alert.level >= condition.level
        and ground.probability >= condition.probability
        and condition.lead_at_least_s <= ground.lead_s
        and (most is None or ground.lead_s <= most)
    )


def affordable(
    amounts: Mapping[str, int], districts: Iterable[str], left: int, left_of: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """(lines that fit under the caps, lines that do not). ``left``: of all together, ``left_of``: of each district. No line is cut."""
    paid: dict[str, int] = {}
    out: dict[str, int] = {}
    for district in districts:
        amount = amounts[district]
        fits = amount <= left_of[district] and amount <= left - sum(paid.values())
        (paid if fits else out)[district] = amount
    return paid, out


@dataclass(frozen=True, slots=True)
class Case:
    """As far as its next step depends on it."""

    id: str
    state: str
    until_ms: int
    over: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's."""

    by: str
    at_ms: int
    granted: bool


@dataclass(frozen=True, slots=True)
class Step:
    """``to``: open, or a state of a case, or over. Nothing else follows from the rules now."""

    to: str
    why: str


def person(by: str) -> str:
    """One person, however spelt."""
    return " ".join(by.split()).casefold()


def step(trigger: Trigger, case: Case | None, found: Finding, answers: Iterable[Answer], now_ms: int) -> Step | None:
    """What a trigger's case does next; ``case`` None: none is open or still of this flood. Caps are judged where money is reserved."""
    if case is None:
        ground = next(iter(found.readiness or found.activation), None)
        return None if ground is None else Step("open", f"{ground.alert}: {ground.level}, probability {ground.probability:.2f}")
    if not found.alive:
        return Step("cancelled" if case.state in ("readiness", "approval") else "over", "no alert for its districts is in force")
    if case.state not in ("readiness", "approval"):
        return None
    latest = {person(one.by): one for one in sorted(answers, key=lambda one: (one.at_ms, not one.granted))}
    if declined := [one.by for one in latest.values() if not one.granted]:
        return Step("refused", f"by {', '.join(declined)}")
    if now_ms >= case.until_ms:
        return Step("expired", "readiness ended without an activation")
    if case.state == "readiness":
        return Step("approval", _grounds(found.activation)) if found.activation else None
    if not found.activation:
        return Step("readiness", "what activates does not hold any more")
    fresh = [one.by for one in latest.values() if one.at_ms > now_ms - trigger.approval_for_s * 1000]
    if len(fresh) >= trigger.approvals:
        return Step("activated", f"approved by {', '.join(sorted(fresh))}" if trigger.approvals else "no approval is asked for")
    return None


def _grounds(grounds: Iterable[Ground]) -> str:
    return "; ".join(f"{one.alert}: {one.level}, probability {one.probability:.2f}, lead {one.lead_s / 3600:.1f} h" for one in grounds)
