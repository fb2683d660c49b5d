"""What waits for a person: who may release it, with one answer or two, and what nobody answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from alert_region import DRILL, LIVE, REGION, T0, ZONE, H, M, hazard, raised, with_rules
from test_rules import HIGH, HIGH_ACTUAL, STRICT, as_, grant, say, silence

from warning.alerts.lifecycle import chain_of, transition
from warning.alerts.rules import audience_level
from warning.model import CLASSES, EventKind, Level, Status


@pytest.mark.parametrize("contact", [DRILL, None])
def test_from_its_class_on_an_alert_waits_for_a_person(contact):
    verdict = say(HIGH, contact, STRICT)
    assert (verdict.allowed, verdict.held, verdict.reason) == (False, True, "approval_pending")
    assert say(as_(HIGH, level=Level.MEDIUM), contact, STRICT).reason == "allowed"
    assert say(HIGH, contact, STRICT, approvals=(grant(),)).reason == "approved"


@pytest.mark.parametrize(("unanswered", "reason"), [("hold", "approval_unanswered"), ("send", "unanswered_sent")])
def test_when_nobody_answers(unanswered, reason):
    region = with_rules(STRICT, unanswered=unanswered)
    assert say(HIGH, DRILL, region, now_ms=T0 + 900_000 - 1).reason == "approval_pending"
    verdict = say(HIGH, DRILL, region, now_ms=T0 + 900_000)
    assert (verdict.reason, verdict.allowed, verdict.held) == (reason, unanswered == "send", unanswered == "hold")
    assert say(HIGH, DRILL, region, now_ms=T0 + 3 * H, approvals=(grant(at_ms=T0 + 2 * H),)).reason == "approved"  # late, but an answer


def test_the_time_for_an_answer_runs_from_the_first_question():
    """A gauge that falls silent and speaks again makes a revision every few minutes; a rise is a new question."""
    region, chain = with_rules(STRICT, unanswered="send"), chain_of(HIGH.identifier)
    asked = {chain: ((Level.HIGH, T0), (Level.HIGH, T0 + 5 * M))}
    silent = as_(HIGH, kind=EventKind.CERTAINTY, sent_ms=T0 + 14 * M)
    higher = as_(silent, kind=EventKind.UPGRADE, level=Level.VERY_HIGH)
    for contact in (DRILL, None):
        told = contact is not None
        assert say(silent, contact, region, T0 + 15 * M - 1, stands_in=told, asked=asked).reason == "approval_pending"
        assert say(silent, contact, region, T0 + 15 * M, stands_in=told, asked=asked).reason == "unanswered_sent"
        assert say(silent, contact, region, T0 + 15 * M, stands_in=told).reason == "approval_pending", "nobody was asked before"
        assert say(higher, contact, region, T0 + 29 * M - 1, asked=asked).reason == "approval_pending"
    long_after = as_(HIGH, sent_ms=T0 + 10 * H)
    assert say(long_after, DRILL, region, T0 + 10 * H + M, asked=asked).reason == "approval_pending"


@pytest.mark.parametrize(
    "void",
    [
        {"chain": "ews.chenab.CHE-KHANKI.20250827T020000Z"},
        {"level": Level.MEDIUM},  # not for this class
        {"by": "  "},
        {"at_ms": T0 + 2 * M},  # not yet given
    ],
)
def test_an_approval_of_something_else_is_none(void):
    assert say(HIGH, DRILL, STRICT, approvals=(grant(**void),)).reason == "approval_pending"


def test_the_newest_answer_counts_and_in_doubt_the_refusal():
    yes, no = grant(at_ms=T0 + 10), grant(at_ms=T0 + 20, granted=False)
    assert say(HIGH, DRILL, STRICT, approvals=(yes, no)).reason == "declined"
    assert say(HIGH, DRILL, STRICT, approvals=(no, grant(at_ms=T0 + 30))).reason == "approved"
    assert say(HIGH, DRILL, STRICT, approvals=(grant(at_ms=T0 + 20), no)).reason == "declined"


def test_a_refusal_is_asked_again_when_the_class_rises():
    no = grant(granted=False)
    assert say(HIGH, DRILL, STRICT, approvals=(no,)).reason == "declined"
    assert say(as_(HIGH, level=Level.VERY_HIGH), DRILL, STRICT, approvals=(no,)).reason == "approval_pending"


def test_an_approval_opens_no_other_gate():
    yes = (grant(level=Level.EXCEPTIONAL),)
    assert say(HIGH, LIVE, STRICT, approvals=yes).reason == "live_contact"
    assert say(HIGH, DRILL, STRICT, approvals=yes, now_ms=HIGH.expires_ms).reason == "expired"
    assert say(HIGH, DRILL, STRICT, approvals=yes, silences=(silence(),)).reason == "silenced"
    assert say(HIGH_ACTUAL, LIVE, replace(STRICT, status=Status.ACTUAL), approvals=yes, replay=True).reason == "replay_actual"


def test_an_end_needs_no_release():
    clear = as_(HIGH, kind=EventKind.CLEAR, level=Level.NORMAL, previous_level=Level.HIGH)
    assert say(clear, DRILL, STRICT).allowed


def test_who_was_warned_of_the_higher_class_hears_of_the_lower_one():
    alert = transition(HIGH, hazard(T0 + M, observed=Level.LOW), ZONE, REGION, T0 + M).alert
    down = transition(alert, hazard(T0 + 2 * H, observed=Level.LOW), ZONE, REGION, T0 + 2 * H).event
    assert (down.kind, down.level, audience_level(down)) == (EventKind.DOWNGRADE, Level.LOW, Level.HIGH)
    assert [audience_level(raised(observed=level)) for level in CLASSES] == list(CLASSES)


# --- two persons

TWO = with_rules(STRICT, approve_persons=2)


def test_two_persons_release_what_one_does_not():
    first = grant(by="A. Khan")
    verdict = say(HIGH, DRILL, TWO, approvals=(first,))
    assert (verdict.reason, verdict.held) == ("approval_second", True)
    assert say(HIGH, DRILL, TWO, approvals=(first, grant(by="B. Shah"))).reason == "approved"
    assert say(HIGH, DRILL, TWO, now_ms=T0 + H, approvals=(first,)).reason == "approval_unanswered"


@pytest.mark.parametrize("again", ["A. Khan", " a.  KHAN ", "Ａ. Khan", "A. Khan\u200b", "A.\u00a0Khan"])
def test_the_same_person_in_another_spelling_is_no_second_one(again):
    assert say(HIGH, DRILL, TWO, approvals=(grant(by="A. Khan"), grant(by=again, at_ms=T0 + 2))).reason == "approval_second"


def test_two_names_on_one_key_are_one_person():
    one, other = grant(by="A. Khan", key="k1"), grant(by="B. Shah", key="k1")
    assert say(HIGH, DRILL, TWO, approvals=(one, other)).reason == "approval_second"
    assert say(HIGH, DRILL, TWO, approvals=(one, replace(other, key="k2"))).reason == "approved"


def test_a_refusal_stands_until_two_have_said_yes_after_it():
    first, no = grant(by="A. Khan", at_ms=T0 + 10), grant(by="B. Shah", at_ms=T0 + 20, granted=False)
    assert say(HIGH, DRILL, TWO, approvals=(first, no)).reason == "declined"
    assert say(HIGH, DRILL, TWO, approvals=(first, no, grant(by="B. Shah", at_ms=T0 + 30))).reason == "declined"
    both = (grant(by="B. Shah", at_ms=T0 + 30), grant(by="C. Mir", at_ms=T0 + 40))
    assert say(HIGH, DRILL, TWO, approvals=(first, no, *both)).reason == "approved"
