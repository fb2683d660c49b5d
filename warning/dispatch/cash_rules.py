"""When is money to be made ready, and when to be paid? Pure: the alerts in force, the rules of ``cash.yaml``, and now.

Only what this system measured or forecast triggers (no alert by hand), only Actual, and only what the public may see: an alert that waits
for a person, or that a person declined, moves no money.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from warning.alerts.lifecycle import chain_of
from warning.alerts.manual import by_hand
from warning.alerts.persons import different, person
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

    @property
    def touched(self) -> tuple[str, ...]:
        """Those that fulfil either."""
        return tuple(sorted({district for ground in (*self.readiness, *self.activation) for district in ground.districts}))

    def alert_of(self, district: str) -> str:
        """That it is ready or paid for."""
        return next(one.alert for one in (*self.activation, *self.readiness) if district in one.districts)

    def without(self, spent: Collection[tuple[str, str]]) -> Finding:
        """Without what an earlier case had: (chain, district), or (chain, "") for all of a chain."""
        return replace(self, readiness=_left(self.readiness, spent), activation=_left(self.activation, spent))


def _left(grounds: Iterable[Ground], spent: Collection[tuple[str, str]]) -> tuple[Ground, ...]:
    found = []
    for ground in grounds:
        chain = chain_of(ground.alert)
        districts = tuple(one for one in ground.districts if (chain, one) not in spent and (chain, "") not in spent)
        found += [replace(ground, districts=districts)] if districts else []
    return tuple(found)


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


@dataclass(frozen=True, slots=True)
class Budget:
    """What the caps leave: ``left`` of all together and of this trigger, ``used`` by each district in the period."""

    left: int
    cap_per_district: int
    used: Mapping[str, int]

    def fits(self, amounts: Mapping[str, int], districts: Iterable[str]) -> dict[str, int]:
        """The lines that fit. No line is cut."""
        paid: dict[str, int] = {}
        for district in districts:
            amount = amounts[district]
            if amount <= self.cap_per_district - self.used.get(district, 0) and amount <= self.left - sum(paid.values()):
                paid[district] = amount
        return paid


@dataclass(frozen=True, slots=True)
class Case:
    """As far as its next step depends on it. ``readied``: district -> when; ``ordered``: the districts that an activation was made for.

    What came first of an answer and a step is told by turns of the ledger alone: an answer's time is by the clock of whoever took it."""

    id: str
    state: str
    why: str
    until_ms: int
    readied: Mapping[str, int] = field(default_factory=dict)
    ordered: frozenset[str] = frozenset()
    joined: Mapping[str, int] = field(default_factory=dict)  # district -> the turn of its readiness
    activated: int = 0  # the turn of the last time: answers from before were about that


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's. ``turn`` 0: taken by a process of before there were turns; a no of its counts, whenever it was, and a yes does not."""

    by: str
    at_ms: int
    granted: bool
    key: str = ""
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """``to``: open, joined (districts more), or a state of a case, or over; ``amounts``: of the districts that it is an order for."""

    to: str
    why: str
    amounts: Mapping[str, int] = field(default_factory=dict)


def step(trigger: Trigger, case: Case | None, found: Finding, answers: Iterable[Answer], budget: Budget, now_ms: int) -> Step | None:
    """What a trigger's case does next; ``case`` None: none is open or still of this flood. None: all is as it should be."""
    if case is None:
        return _ready("open", trigger, found, frozenset())
    if not found.alive:
        taken_back = case.state in ("readiness", "approval") and not case.ordered
        return Step("cancelled" if taken_back else "over", "no alert for its districts is in force")
    waits = case.state in ("readiness", "approval")
    counted = (one for one in answers if one.turn > case.activated or not (one.turn or one.granted))
    latest = {person(one.by): one for one in sorted(counted, key=lambda one: one.turn or math.inf)}
    if waits and (declined := [one.by for one in latest.values() if not one.granted]):
        return Step("refused", f"by {', '.join(declined)}")
    if case.state in JOINABLE and (joined := _ready("joined", trigger, found, case.readied.keys())) is not None:
        return joined
    if waits and now_ms >= case.until_ms:
        return Step("expired", "readiness ended; not activated any more" if case.ordered else "readiness ended without an activation")
    fresh = [one for one in latest.values() if one.granted and one.at_ms > now_ms - trigger.approval_for_s * 1000]
    return _towards_activation(trigger, case, found, fresh, budget, now_ms) if waits or case.state == "activated" else None


JOINABLE = ("readiness", "approval", "activated", "expired")


def _ready(to: str, trigger: Trigger, found: Finding, before: Collection[str]) -> Step | None:
    """The districts that come up to readiness for the first time in this flood."""
    grounds = found.readiness or found.activation
    amounts = {one: trigger.amounts[one] for one in found.touched if one not in before}
    ground = next((one for one in (*grounds, *found.activation) if amounts.keys() & set(one.districts)), None)
    if ground is None:
        return None
    whom = "" if to == "open" else f"{', '.join(amounts)}: "
    return Step(to, f"{whom}{ground.alert}: {ground.level}, probability {ground.probability:.2f}", amounts)


def _towards_activation(
    trigger: Trigger, case: Case, found: Finding, approved: Sequence[Answer], budget: Budget, now_ms: int
) -> Step | None:
    """A district is activated once in a flood, while its readiness lasts, as far as the caps leave anything; and only by people who
    ``approved`` when it was of the case already: who had said yes before it joined was not asked about it."""
    lasting_ms = now_ms - round(trigger.readiness_for_s * 1000)
    due = [one for one in found.districts if one not in case.ordered and case.readied.get(one, lasting_ms) > lasting_ms]
    paid = budget.fits(trigger.amounts, due)
    why = "; ".join(_words(one) for one in found.activation if set(one.districts) & set(due))
    if case.state == "activated":
        return Step("approval", f"{', '.join(paid)} too: {why}") if paid else None
    if not due:
        back = "activated" if case.ordered else "readiness"
        return None if case.state == "readiness" else Step(back, "what activates does not hold any more")
    if not paid:
        capped = Step("approval", f"capped, not paid: {', '.join(due)}")
        return None if (case.state, case.why) == (capped.to, capped.why) else capped
    if case.state == "readiness":
        return Step("approval", why)
    asked = {district: different([one for one in approved if one.turn > case.joined[district]]) for district in due}
    let_out = [district for district in due if len(asked[district]) >= trigger.approvals]
    paid = budget.fits(trigger.amounts, let_out)
    if not paid:
        return None
    by = sorted({one.by for district in paid for one in asked[district]})
    who = f"approved by {', '.join(by)}" if trigger.approvals else "no approval is asked for"
    out = [one for one in let_out if one not in paid]
    return Step("activated", "; ".join(filter(None, (who, f"capped, not paid: {', '.join(out)}" if out else ""))), paid)


def _words(one: Ground) -> str:
    return f"{one.alert}: {one.level}, probability {one.probability:.2f}, lead {one.lead_s / 3600:.1f} h"
