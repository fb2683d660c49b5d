"""The only gate to the outside, from the wrong side: every combination that must not leave, and the few that may."""

from __future__ import annotations

import itertools
from dataclasses import replace

import msgspec
import pytest
from alert_region import DRILL, LIVE, REGION, T0, ZONE, H, M, actual, raised, with_rules

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import REASONS, Approval, CallOff, Decision, Silence, Verdict, may_leave
from warning.model import Alert, AlertEvent, EventKind, Level, Status
from warning.region import Contact, Region

NUMBERS = [
    "",
    "+99955501",
    "+923001234567",
    "0099955501",
    "+999 555 01",
    "999",
    "+98999555",
    "99955501",
    "+٩٩٩٥٥٥٠١",
    "+99955501,+923001234567",
    "+99955501x",
]


def say(alert: Alert, contact: Contact | None, region: Region = REGION, now_ms: int = T0 + M, **decision) -> Verdict:
    verdict = may_leave(alert, contact, region, Decision(**decision), now_ms)
    assert verdict.reason in REASONS and verdict.words.startswith(REASONS[verdict.reason])
    assert not (verdict.allowed and verdict.held)
    return verdict


def as_(alert: Alert, **fields) -> Alert:
    return msgspec.structs.replace(alert, **fields)


def grant(**fields) -> Approval:
    given = {"chain": chain_of(HIGH.identifier), "level": Level.HIGH, "by": "Duty officer", "at_ms": T0 + M}
    return Approval(**(given | fields))


STRICT = with_rules(approve_from=Level.HIGH, approve_within_s=900)
HIGH = raised()
HIGH_ACTUAL = raised(actual())


# --- whose it is, whom it would reach: the whole product of marks


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("status", [Status.EXERCISE, Status.TEST])
@pytest.mark.parametrize("region_status", list(Status))
def test_an_exercise_never_reaches_a_live_contact_or_a_number_that_rings(kind, status, region_status):
    """Every status of the region, every mark of contact and number, every knob of a decision."""
    region = replace(REGION, status=region_status)
    alert = as_(HIGH, status=status, kind=kind)
    grant = Approval(chain_of(alert.identifier), Level.EXCEPTIONAL, "Duty officer", T0)
    for live, phone, replay, stands_in, approvals in itertools.product(
        (True, False), NUMBERS, (True, False), (True, False), ((), (grant,))
    ):
        contact = replace(DRILL, live=live, phone=phone)
        verdict = say(alert, contact, region, replay=replay, stands_in=stands_in, approvals=approvals)
        if verdict.allowed:
            assert not live
            assert phone in ("", "+99955501")  # E.164 and nothing else


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("region_status", list(Status))
def test_actual_leaves_only_a_live_actual_region_to_live_contacts(kind, region_status):
    region = replace(REGION, status=region_status)
    alert = as_(HIGH_ACTUAL, kind=kind)
    for live, phone, replay, embedded in itertools.product((True, False), NUMBERS, (True, False), (True, False)):
        contact = replace(LIVE, live=live, phone=phone)
        for whom in (contact, None):
            if say(alert, whom, region, replay=replay, embedded=embedded, stands_in=True).allowed:
                assert region_status is Status.ACTUAL and not replay and not embedded
                assert whom is None or (live and phone in ("", "+923001234567", "+98999555", "+٩٩٩٥٥٥٠١"))


@pytest.mark.parametrize(
    ("alert", "contact", "region", "decision", "reason"),
    [
        (HIGH, DRILL, REGION, {}, "allowed"),
        (HIGH, None, REGION, {}, "allowed"),
        (HIGH, DRILL, REGION, {"replay": True, "embedded": True}, "allowed"),
        (HIGH_ACTUAL, LIVE, actual(), {}, "allowed"),
        (HIGH_ACTUAL, None, actual(), {}, "allowed"),
        (HIGH, LIVE, REGION, {}, "live_contact"),
        (HIGH, replace(LIVE, phone="+99955501"), REGION, {}, "live_contact"),
        (HIGH, replace(DRILL, phone=LIVE.phone), REGION, {}, "dialable_number"),
        (HIGH, DRILL, replace(REGION, exercise_numbers=""), {}, "dialable_number"),
        (HIGH, DRILL, replace(REGION, exercise_numbers="+"), {}, "dialable_number"),
        (HIGH_ACTUAL, DRILL, actual(), {}, "exercise_contact"),
        (HIGH_ACTUAL, replace(LIVE, phone="00 999 555 01"), actual(), {}, "exercise_number"),
        (HIGH_ACTUAL, LIVE, REGION, {}, "status_mismatch"),
        (HIGH_ACTUAL, None, REGION, {}, "status_mismatch"),
        (HIGH_ACTUAL, LIVE, actual(), {"replay": True}, "replay_actual"),
        (HIGH_ACTUAL, None, actual(), {"replay": True}, "replay_actual"),
        (HIGH_ACTUAL, LIVE, actual(), {"embedded": True}, "embedded_actual"),
        (HIGH, DRILL, replace(REGION, id="elsewhere"), {}, "other_region"),
    ],
)
def test_each_refusal_has_its_reason(alert, contact, region, decision, reason):
    assert say(alert, contact, region, **decision).reason == reason


# --- whether it says anything


def test_an_event_is_judged_as_its_alert():
    event = AlertEvent(alert=HIGH, cap="<alert/>", config="", code="")
    assert may_leave(event, LIVE, REGION, Decision(), T0) == may_leave(HIGH, LIVE, REGION, Decision(), T0)


def test_what_expired_stays_inside():
    assert say(HIGH, DRILL, now_ms=HIGH.expires_ms - 1).allowed
    assert say(HIGH, DRILL, now_ms=HIGH.expires_ms).reason == "expired"
    assert say(HIGH, None, now_ms=HIGH.expires_ms).reason == "expired"


def test_what_is_overtaken_goes_to_no_phone_but_stays_in_the_feed():
    assert say(HIGH, DRILL, overtaken_by="ews.chenab.CHE-MARALA.20250827T020000Z.1").reason == "overtaken"
    assert say(HIGH, None, overtaken_by="ews.chenab.CHE-MARALA.20250827T020000Z.1").allowed


@pytest.mark.parametrize("kind", [EventKind.RENEW, EventKind.CERTAINTY])
def test_contacts_do_not_hear_of_every_revision(kind):
    assert say(as_(HIGH, kind=kind), DRILL).reason == "not_told"
    assert say(as_(HIGH, kind=kind), DRILL, stands_in=True).allowed
    assert say(as_(HIGH, kind=kind), None).allowed


def test_nobody_hears_of_an_expiry():
    assert {say(as_(HIGH, kind=EventKind.EXPIRE), whom).reason for whom in (DRILL, None)} == {"no_document"}


def test_no_end_of_what_was_never_told():
    clear = as_(HIGH, kind=EventKind.CLEAR, level=Level.NORMAL, previous_level=Level.HIGH)
    assert say(clear, DRILL, contact_knows=False).reason == "never_told"
    assert say(clear, DRILL).allowed
    assert say(HIGH, DRILL, contact_knows=False).allowed


# --- silences


def silence(**fields) -> Silence:
    given = {
        "zone": ZONE.id,
        "up_to": Level.EXCEPTIONAL,
        "from_ms": T0,
        "until_ms": T0 + 2 * H,
        "by": "A. Khan",
        "reason": "gauge under repair",
    }
    return Silence(**(given | fields))


def test_a_silence_holds_back_a_zone_for_a_while():
    verdict = say(HIGH, DRILL, silences=(silence(),))
    assert (verdict.allowed, verdict.held, verdict.reason) == (False, False, "silenced")
    assert verdict.words == "a person silenced the zone (A. Khan: gauge under repair)"
    assert say(HIGH, DRILL, silences=(silence(),), now_ms=T0 + 2 * H).allowed  # its end
    assert say(HIGH, DRILL, silences=(silence(from_ms=T0 + 2 * M),)).allowed  # not yet
    assert say(HIGH, None, silences=(silence(),)).allowed  # feeds are not silenced


@pytest.mark.parametrize(
    "void",
    [
        {"by": " "},
        {"reason": ""},
        {"until_ms": T0 + 24 * H + 1},
        {"until_ms": T0 - 1},
        {"zone": ""},
        {"zone": "CHE-KHANKI"},
        {"contact": "somebody else"},
        {"up_to": Level.MEDIUM},
    ],
)
def test_a_silence_without_name_reason_end_or_match_is_none(void):
    assert say(HIGH, DRILL, silences=(silence(**void),)).allowed


@pytest.mark.parametrize("kind", [EventKind.RAISE, EventKind.UPGRADE, EventKind.ARRIVAL])
@pytest.mark.parametrize("level", [Level.VERY_HIGH, Level.EXCEPTIONAL])
def test_a_silence_never_holds_back_the_top_classes(kind, level):
    assert say(as_(HIGH, kind=kind, level=level), DRILL, silences=(silence(),)).allowed
    assert say(as_(HIGH, kind=EventKind.DOWNGRADE, level=level), DRILL, silences=(silence(),)).reason == "silenced"


def test_a_silence_never_holds_back_an_end():
    clear = as_(HIGH, kind=EventKind.CLEAR, level=Level.NORMAL, previous_level=Level.HIGH)
    assert say(clear, DRILL, silences=(silence(),)).allowed


# --- called off


def off(**fields) -> CallOff:
    return CallOff(**({"chain": chain_of(HIGH.identifier), "up_to": Level.HIGH, "by": "Duty officer", "at_ms": T0 + 30_000} | fields))


def test_of_a_chain_that_was_called_off_nothing_goes_to_a_contact():
    for alert in (HIGH, as_(HIGH, kind=EventKind.DOWNGRADE, level=Level.LOW, previous_level=Level.HIGH)):
        assert say(alert, DRILL, call_offs=(off(),)).reason == "called_off"
    clear = as_(HIGH, kind=EventKind.CLEAR, level=Level.NORMAL, previous_level=Level.HIGH)
    assert say(clear, DRILL, call_offs=(off(),)).reason == "called_off"
    assert say(HIGH, DRILL, call_offs=(off(at_ms=T0 + 2 * M),)).allowed  # not yet
    assert say(HIGH, DRILL, call_offs=(off(chain="ews.chenab.CHE-KHANKI.20250827T020000Z"),)).allowed


def test_a_feed_keeps_what_it_had_before_the_call_off_and_gets_nothing_after_it():
    assert say(HIGH, None, call_offs=(off(),)).allowed
    assert say(as_(HIGH, sent_ms=T0 + 30_000), None, call_offs=(off(),)).reason == "called_off"


def test_what_was_called_off_comes_into_no_feed_because_a_person_corrected_it_once_more():
    called = as_(HIGH, sent_ms=T0 + 30_000)
    first = off(instead=(as_(HIGH, identifier=f"{off().chain}.hand1.0", level=Level.LOW, sent_ms=T0 + 30_000),))
    second = off(at_ms=T0 + 5 * M, instead=(as_(HIGH, identifier=f"{off().chain}.hand2.0", level=Level.LOW, sent_ms=T0 + 5 * M),))
    for offs in ((first,), (first, second)):
        assert say(called, None, now_ms=T0 + 6 * M, call_offs=offs).reason == "called_off"
        assert say(called, DRILL, now_ms=T0 + 6 * M, call_offs=offs).reason == "called_off"


def test_what_rises_above_the_class_that_was_called_off_speaks_again():
    higher = as_(HIGH, kind=EventKind.UPGRADE, level=Level.VERY_HIGH, sent_ms=T0 + 40_000)
    assert say(higher, DRILL, call_offs=(off(),)).allowed
    lower = as_(HIGH, kind=EventKind.DOWNGRADE, sent_ms=T0 + 50_000, previous_level=Level.VERY_HIGH)
    assert say(lower, DRILL, call_offs=(off(),)).reason == "called_off"
    resumed = off(resumed_ms=T0 + 40_000)
    assert say(lower, DRILL, call_offs=(resumed,)).allowed
    assert say(HIGH, DRILL, call_offs=(resumed,)).reason == "called_off"  # of before


def test_a_correction_that_nobody_released_calls_nothing_off():
    """Else one operator could silence what two must release, and people would hear neither."""
    medium = as_(HIGH, level=Level.MEDIUM)
    higher = as_(HIGH, identifier="ews.chenab.manual.CHE-MARALA.20250827T020030Z.0", sent_ms=T0 + 30_000)
    waits = (off(instead=(higher,)),)
    yes = grant(chain=chain_of(higher.identifier), at_ms=T0 + 40_000)
    for contact in (DRILL, None):
        alert = medium if contact else as_(medium, sent_ms=T0 + 50_000)
        assert say(alert, contact, STRICT, call_offs=waits).allowed
        assert say(alert, contact, STRICT, call_offs=waits, approvals=(replace(yes, granted=False),)).allowed
        assert say(alert, contact, STRICT, call_offs=waits, approvals=(yes,)).reason == "called_off"
        assert say(alert, contact, call_offs=waits).reason == "called_off", "where nobody is asked"
    again = as_(higher, identifier=higher.identifier[:-1] + "1", level=Level.VERY_HIGH)
    assert say(medium, DRILL, STRICT, call_offs=(off(instead=(higher, again)),), approvals=(yes,)).reason == "called_off"


def test_what_was_said_by_hand_and_ran_out_calls_nothing_off():
    lower = as_(HIGH, level=Level.LOW, sent_ms=T0 + 30_000, expires_ms=T0 + H)
    end = as_(lower, kind=EventKind.CLEAR, level=Level.NORMAL, previous_level=Level.LOW, expires_ms=T0 + 3 * H)
    late = as_(HIGH, kind=EventKind.UPGRADE, sent_ms=T0 + H)
    assert say(late, DRILL, now_ms=T0 + H - 1, call_offs=(off(instead=(lower,)),)).reason == "called_off"
    for contact in (DRILL, None):
        assert say(late, contact, now_ms=T0 + H, call_offs=(off(instead=(lower,)),)).allowed
        for now_ms in (T0 + H, T0 + 3 * H - 1):
            assert say(late, contact, now_ms=now_ms, call_offs=(off(instead=(lower, end)),)).reason == "called_off"
        assert say(late, contact, now_ms=T0 + 3 * H, call_offs=(off(instead=(lower, end)),)).allowed, "a feed has it then, too"


# --- an exercise by the other channels


@pytest.mark.parametrize("status", [Status.EXERCISE, Status.TEST])
@pytest.mark.parametrize(
    ("email", "allowed"),
    [
        ("", True),
        ("duty@ddma.example", True),
        ("duty@ddma.EXAMPLE.", True),
        ("duty@example.org", True),
        ("duty@ddma.test", True),
        ("duty@ndma.gov.pk", False),
        ("duty@example.org.pk", False),
        ("duty@notexample.org", False),
        ("duty@example.org, chief@ndma.gov.pk", False),
        ("example.org", True),  # no address at all: no mail goes there
        ("duty@ndma.gov.pk\u200b.example@ndma.gov.pk", False),
    ],
)
def test_an_exercise_goes_to_no_address_that_somebody_has(status, email, allowed):
    verdict = say(as_(HIGH, status=status), replace(DRILL, email=email))
    assert verdict.reason == ("allowed" if allowed else "routable_address")
    assert say(HIGH_ACTUAL, replace(LIVE, email=email), actual()).allowed


@pytest.mark.parametrize("status", [Status.EXERCISE, Status.TEST])
def test_an_exercise_never_goes_by_cell_broadcast(status):
    assert say(as_(HIGH, status=status), replace(DRILL, channels=("broadcast",), phone="")).reason == "exercise_broadcast"
    assert say(HIGH_ACTUAL, replace(LIVE, channels=("broadcast",), phone=""), actual()).allowed
