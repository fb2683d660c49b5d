"""The single answer to "may this leave the house?". Nothing reaches a contact or a public feed without ``may_leave``.

In order, the first that applies:

1. **Whose it is.** An alert of another region, a replay or an embedded broker that says Actual, an Actual alert of a region that is not
   Actual: refused.
2. **Whom it would reach.** Exercise and Test reach only contacts that are not live *and* whose number begins with the region's prefix of
   numbers that cannot be dialled, with an e-mail address that nobody has, and never by cell broadcast; Actual reaches only live contacts
   outside of that prefix. Both marks must agree: one wrong cell in a table is not enough to wake a town for a drill.
3. **Whether it says anything.** EXPIRE has no document; an expired or overtaken revision says nothing; RENEW and CERTAINTY are for
   feeds, not for phones, unless they stand in for an earlier revision that this contact never got; no end is told of what was never told.
4. **Silences.** A person may silence a zone, with name, reason and an end within 24 h, up to a class. A silence never holds back the
   classes of ``AlertRules.at_once`` (but their DOWNGRADE), and never an end (CLEAR). Feeds are not silenced. What holds still when it
   ends goes then (``dispatch.kept``).
5. **Approval.** From ``approve_from`` on a person releases a chain up to a class. Until then it is held, feeds included; after
   ``approve_within_s`` without an answer ``unanswered`` decides: hold on, or send. Ends need none. Whoever declined a class has not
   declined a higher one: that is asked again. Where ``approve_persons`` is 2, two different people (by name, and by key if both
   have one) must say yes; the no of one of them stands until so many have said yes after it. The time for an answer runs from the first
   question: a revision that follows within it, of the same class or a lower one, does not begin it anew.

Before the silences: **called off.** A person who cancels or corrects an automatic chain (``alerts.manual``) calls it off up to a class: its
revisions go to nobody any more, its end neither, for people were told by hand. When it rises above that class it speaks again; and so it
does while the correction waits for a release or was refused, and when what was said by hand runs out: a cancel after ``call_off_for_s``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from warning.alerts.lifecycle import chain_of
from warning.alerts.persons import different
from warning.model import Alert, AlertEvent, EventKind, Level, Status
from warning.region import AlertRules, Contact, Region

LONGEST_SILENCE_MS = 24 * 3_600_000

# Every ``Verdict.reason``: bounded, a metric label.
REASONS: dict[str, str] = {
    "allowed": "may leave",
    "approved": "a person released it",
    "unanswered_sent": "nobody answered in time, and the region's rules say: send",
    "other_region": "belongs to another region",
    "replay_actual": "a replay can never be Actual",
    "embedded_actual": "the embedded broker forgets: it never carries Actual",
    "status_mismatch": "the region is not Actual",
    "live_contact": "an exercise never reaches a live contact",
    "dialable_number": "an exercise only goes to numbers that cannot be dialled",
    "routable_address": "an exercise only goes to e-mail addresses that nobody has (.example, .test, .invalid)",
    "exercise_broadcast": "an exercise never goes to a cell broadcast: each phone around would ring",
    "exercise_contact": "an Actual alert does not go to a contact for exercises",
    "exercise_number": "the number cannot be dialled",
    "no_document": "an alert that ran out has no document",
    "expired": "it has expired",
    "overtaken": "a newer revision stands in its place",
    "not_told": "contacts do not hear of this kind of revision",
    "never_told": "the contact was never told of what ends here",
    "called_off": "a person called the chain off, or corrected it",
    "silenced": "a person silenced the zone",
    "declined": "a person declined it",
    "approval_pending": "waits for a person's release",
    "approval_second": "one person released it, and waits for another",
    "approval_unanswered": "nobody answered in time, and the region's rules say: hold",
}

RESERVED, RESERVED_TOP = ("example.com", "example.org", "example.net"), ("example", "test", "invalid", "localhost")
HELD = ("approval_pending", "approval_second", "approval_unanswered")


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's answer: this chain may go out up to this class, or must not. Without a name it is no answer."""

    chain: str  # lifecycle.chain_of(identifier)
    level: Level  # the highest class that the answer is about; a higher one is asked again
    by: str
    at_ms: int
    granted: bool = True
    key: str = ""  # of the API; "": by command


@dataclass(frozen=True, slots=True)
class CallOff:
    """A person's word that an automatic chain is wrong: nothing of it goes out up to a class, from ``at_ms`` on.

    ``resumed_ms``: sent time of the revision that rose above that class, to ``rose``; from it on the chain speaks for itself again, and
    what was said before that and has not gone does not go after it. ``instead``: what
    was said by hand in its place, in order: what nobody released, or what ran out, calls nothing off.
    """

    chain: str
    up_to: Level
    by: str
    at_ms: int
    resumed_ms: int | None = None
    instead: tuple[Alert, ...] = ()
    rose: Level | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A person's wish for quiet about a zone, up to a class. Void without name or reason, or when longer than 24 h."""

    zone: str
    up_to: Level
    from_ms: int
    until_ms: int
    by: str
    reason: str
    contact: str = ""  # "": every contact

    @property
    def valid(self) -> bool:
        return bool(self.zone and self.by.strip() and self.reason.strip()) and 0 < self.until_ms - self.from_ms <= LONGEST_SILENCE_MS


@dataclass(frozen=True, slots=True)
class Decision:
    """What people decided, and what the caller knows about the deployment and about this contact."""

    approvals: tuple[Approval, ...] = ()
    silences: tuple[Silence, ...] = ()
    replay: bool = False
    embedded: bool = False  # the broker forgets all when it stops
    overtaken_by: str = ""  # identifier of the newer revision that goes instead
    contact_knows: bool = True  # some revision of this chain went to this contact before
    stands_in: bool = False  # goes instead of an earlier revision of this chain that this contact should have got and did not
    call_offs: tuple[CallOff, ...] = ()
    asked: Mapping[str, tuple[tuple[Level, int], ...]] = field(
        default_factory=dict
    )  # chain -> (class, sent time) that people were asked about


@dataclass(frozen=True, slots=True)
class Verdict:
    """``allowed``: send now. ``held``: not now, ask again later. Neither: never, record it. ``reason`` is one of ``REASONS``."""

    allowed: bool
    held: bool
    reason: str
    words: str


def may_leave(event: AlertEvent | Alert, contact: Contact | None, region: Region, decision: Decision, now_ms: int) -> Verdict:
    """May this revision go to this contact now? ``contact`` None: to the public feed and the agencies that read it."""
    alert = event.alert if isinstance(event, AlertEvent) else event
    refused = _foreign(alert, region, decision) or _reach(alert, contact, region) or _mute(alert, contact, decision, now_ms)
    if refused:
        return _verdict(refused)
    by_ms = now_ms if contact is not None else alert.sent_ms  # a feed keeps what it had before
    off = called_off(alert, region.alert, decision, by_ms, now_ms)
    if off is not None:
        return _verdict("called_off", off.by)
    if contact is not None and _risen_above(alert, region.alert, decision, now_ms):
        return _verdict("overtaken")
    silence = _silence(alert, contact, region.alert, decision, now_ms)
    if silence is not None:
        return _verdict("silenced", f"{silence.by}: {silence.reason}")
    return _approval(alert, region.alert, decision, now_ms)


def audience_level(alert: Alert) -> Level:
    """The class that a contact's own limit is compared with: who was warned of the higher class also hears that it is lower, or over."""
    return max(alert.level, alert.previous_level, key=lambda level: level.rank)


def _verdict(reason: str, detail: str = "") -> Verdict:
    allowed = reason in ("allowed", "approved", "unanswered_sent")
    held = reason in HELD
    return Verdict(allowed, held, reason, REASONS[reason] + (f" ({detail})" if detail else ""))


def _foreign(alert: Alert, region: Region, decision: Decision) -> str:
    if alert.region != region.id:
        return "other_region"
    if alert.status is not Status.ACTUAL:
        return ""
    if decision.replay:
        return "replay_actual"
    if decision.embedded:
        return "embedded_actual"
    return "" if region.status is Status.ACTUAL else "status_mismatch"


def _reach(alert: Alert, contact: Contact | None, region: Region) -> str:
    if contact is None:
        return ""
    if alert.status is Status.ACTUAL:
        if not contact.live:
            return "exercise_contact"
        return "exercise_number" if contact.phone and _undialable(contact.phone, region, strict=False) else ""
    if contact.live:
        return "live_contact"
    if contact.phone and not _undialable(contact.phone, region, strict=True):
        return "dialable_number"
    if contact.email and not _unroutable(contact.email):
        return "routable_address"
    return "exercise_broadcast" if "broadcast" in contact.channels else ""


def _unroutable(email: str) -> bool:
    """The domain is one of those that no mail is ever delivered to (RFC 2606, RFC 6761)."""
    domain = email.rpartition("@")[2].strip().rstrip(".").lower()
    return domain.isascii() and (domain in RESERVED or domain.rpartition(".")[2] in RESERVED_TOP)


def _undialable(phone: str, region: Region, *, strict: bool) -> bool:
    """The number begins with the prefix that cannot be dialled. ``strict``: and is plain E.164, so that no spelling of it slips through."""
    prefix = re.sub(r"[^0-9]", "", region.exercise_numbers)
    if not prefix:
        return False  # no such numbers are configured, so none is one
    if strict:
        return re.fullmatch(r"\+[0-9]{5,15}", phone) is not None and phone[1:].startswith(prefix)
    digits = re.sub(r"[^0-9]", "", phone)
    return digits.startswith(prefix) or digits.removeprefix("00").startswith(prefix)


def _mute(alert: Alert, contact: Contact | None, decision: Decision, now_ms: int) -> str:
    if alert.kind is EventKind.EXPIRE:
        return "no_document"
    if now_ms >= alert.expires_ms:
        return "expired"
    if contact is None:
        return ""
    if decision.overtaken_by:
        return "overtaken"
    if not alert.kind.told and not decision.stands_in:
        return "not_told"
    if alert.kind is EventKind.CLEAR and not decision.contact_knows:
        return "never_told"
    return ""


def called_off(alert: Alert, rules: AlertRules, decision: Decision, by_ms: int, now_ms: int | None = None) -> CallOff | None:
    """Who had said by then that this is wrong, unless the chain speaks for itself again, as it does when that has run out by ``now_ms``."""
    chain = chain_of(alert.identifier)
    for place, off in enumerate(decision.call_offs):
        spoken = off.resumed_ms is not None and alert.sent_ms >= off.resumed_ms
        meant = off.chain == chain and off.at_ms <= by_ms and not spoken and said_level(alert) <= off.up_to
        if (
            meant
            and _stands(off, rules, decision, by_ms, by_ms if now_ms is None else now_ms)
            and not _followed(place, rules, decision, by_ms)
        ):
            return off
    return None


def _followed(place: int, rules: AlertRules, decision: Decision, by_ms: int) -> bool:
    """Whether by then a person had spoken in that chain's place again, and people let it out: what came before stands for nothing."""
    chain, later = decision.call_offs[place].chain, decision.call_offs[place + 1 :]
    return any(off.chain == chain and off.at_ms <= by_ms and said_instead(off, rules, decision, by_ms) is not None for off in later)


def _stands(off: CallOff, rules: AlertRules, decision: Decision, by_ms: int, now_ms: int) -> bool:
    """Whether what was said in the chain's place holds: else nobody would hear either."""
    last = said_instead(off, rules, decision, by_ms)
    return not off.instead or (last is not None and now_ms < last.expires_ms)


def said_instead(off: CallOff, rules: AlertRules, decision: Decision, by_ms: int) -> Alert | None:
    """The newest that was said in the chain's place and that people let out."""
    return next((one for one in reversed(off.instead) if _approval(one, rules, decision, by_ms).allowed), None)


def _risen_above(alert: Alert, rules: AlertRules, decision: Decision, now_ms: int) -> bool:
    """Whether it is what a person said in the place of a chain that has risen above that since, if people let that rise out: an end by hand
    that still waits must not be the last that somebody hears. Nor what a person said before the last that was let out."""
    for place, off in enumerate(decision.call_offs):
        if not any(one.identifier == alert.identifier for one in off.instead):
            continue
        if _followed(place, rules, decision, now_ms):
            return True
        if off.resumed_ms is not None and off.rose is not None and alert.sent_ms <= off.resumed_ms and alert.level <= off.rose:
            names = {"identifier": f"{off.chain}.0", "kind": EventKind.UPGRADE, "level": off.rose, "sent_ms": off.resumed_ms}
            return _approval(msgspec.structs.replace(alert, **names), rules, decision, now_ms).allowed
    return False


def said_level(alert: Alert) -> Level:
    """The class that a revision is about: of an end the one that ends."""
    return alert.level if alert.active else alert.previous_level


def _silence(alert: Alert, contact: Contact | None, rules: AlertRules, decision: Decision, now_ms: int) -> Silence | None:
    if contact is None or alert.kind is EventKind.CLEAR:
        return None
    if alert.level in rules.at_once and alert.kind is not EventKind.DOWNGRADE:
        return None
    for silence in decision.silences:
        if (
            silence.valid
            and silence.zone == alert.zone
            and silence.contact in ("", contact.id)
            and silence.from_ms <= now_ms < silence.until_ms
            and audience_level(alert) <= silence.up_to
        ):
            return silence
    return None


def _approval(alert: Alert, rules: AlertRules, decision: Decision, now_ms: int) -> Verdict:
    if rules.approve_from is None or not alert.active or alert.level < rules.approve_from:
        return _verdict("allowed")
    refusal, granted = _answers(alert, decision, now_ms)
    if granted and len(granted) >= rules.approve_persons:
        return _verdict("approved", ", ".join(one.by for one in granted))
    if refusal is not None:
        return _verdict("declined", refusal.by)
    if now_ms >= asked_ms(alert, rules, decision) + rules.approve_within_s * 1000:
        return _verdict("unanswered_sent" if rules.unanswered == "send" else "approval_unanswered")
    return _verdict("approval_second", granted[0].by) if granted else _verdict("approval_pending")


def asked_ms(alert: Alert, rules: AlertRules, decision: Decision) -> int:
    """From when on the time for an answer runs. A gauge that falls silent every few minutes makes a revision each time: nobody would be
    waited for in the end."""
    lately_ms = alert.sent_ms - rules.approve_within_s * 1000
    asked = decision.asked.get(chain_of(alert.identifier), ())
    return min((sent_ms for level, sent_ms in (*asked, (alert.level, alert.sent_ms)) if level >= alert.level and sent_ms >= lately_ms))


def _answers(alert: Alert, decision: Decision, now_ms: int) -> tuple[Approval | None, list[Approval]]:
    """Of the answers that cover this class of this chain: the newest refusal, and whoever said yes after it, each person once.

    Of two at the same moment the refusal counts.
    """
    chain = chain_of(alert.identifier)
    covering = [
        one for one in decision.approvals if one.chain == chain and one.by.strip() and one.at_ms <= now_ms and alert.level <= one.level
    ]
    refusal = max((one for one in covering if not one.granted), key=lambda one: one.at_ms, default=None)
    since_ms = -1 if refusal is None else refusal.at_ms
    yes = sorted((one for one in covering if one.granted and one.at_ms > since_ms), key=lambda one: one.at_ms)
    return refusal, different(yes)
