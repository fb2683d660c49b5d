"""Alerts by hand: their chains, their documents and words, and that nothing of the pipeline takes them for its own."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from alert_region import REGION, T0, H, M, raised

from warning.alerts import cap, lint, manual, message
from warning.alerts.lifecycle import chain_of
from warning.alerts.parsed import parse
from warning.errors import InputError
from warning.model import CLASSES, AlertEvent, EventKind, Level
from warning.operate.view import View
from warning.pipeline import adopt
from warning.stream.decisions import PIPELINE

ZONE = "CHE-MARALA"


def event(alert, code: str = "x") -> AlertEvent:
    return AlertEvent(alert=alert, cap=cap.document(alert, REGION), config=REGION.digest, code=code)


@pytest.mark.parametrize("level", CLASSES)
@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("ahead_ms", [None, 0, 5 * H, 40 * H])
def test_each_document_of_a_chain_by_hand_lints(level, observed, ahead_ms) -> None:
    arrival_ms = None if ahead_ms is None else T0 + M + ahead_ms
    first = manual.raised(REGION, ZONE, level, "Breach  at the\nbund", T0, 6, arrival_ms=arrival_ms, observed=observed)
    known = [parse(first.cap)]
    assert not lint.lint(first.cap, REGION)
    assert "Breach at the bund" in first.cap
    last = first.alert
    for number, other in enumerate(CLASSES, 1):
        made = manual.corrected(last, REGION, other, "look again", T0 + number * M, 6, observed=observed)
        assert not lint.lint(made.cap, REGION, known)
        assert (made.alert.revision, made.alert.raised_ms, made.alert.previous_level) == (number, T0, last.level)
        known.append(parse(made.cap))
        last = made.alert
    end = manual.cancelled(last, REGION, "over", T0 + 9 * M)
    assert not lint.lint(end.cap, REGION, known) and parse(end.cap).msg_type == "Cancel"
    with pytest.raises(InputError, match="is over"):
        manual.cancelled(end.alert, REGION, "again", T0 + 10 * M)


def test_what_takes_the_place_of_an_automatic_alert_refers_to_all_of_it_that_is_in_force() -> None:
    auto = raised()
    for made in (manual.corrected(auto, REGION, Level.LOW, "misread", T0 + M, 3), manual.cancelled(auto, REGION, "misread", T0 + M)):
        assert not lint.lint(made.cap, REGION, [parse(cap.document(auto, REGION))])
        assert [one[1] for one in parse(made.cap).references] == [auto.identifier]
        assert made.alert.event_ids == auto.event_ids and manual.by_hand(made.alert) and not manual.by_hand(auto)
        assert manual.chains_meant(made.alert) == {chain_of(auto.identifier), chain_of(made.alert.identifier)}


def test_an_end_by_hand_of_an_automatic_alert_lasts_as_the_region_says_and_says_so() -> None:
    short = replace(REGION, alert=replace(REGION.alert, call_off_for_s=2 * 3600))
    auto = raised()
    end = manual.cancelled(auto, short, "misread", T0 + M)
    assert end.alert.expires_ms == T0 + M + 2 * H and cap.time(end.alert.expires_ms, short) in (parse(end.cap).note or "")
    lower = manual.corrected(auto, short, Level.LOW, "misread", T0 + M, 3).alert
    assert manual.cancelled(lower, short, "misread", T0 + 2 * M).alert.expires_ms == T0 + 2 * M + 2 * H
    own = manual.cancelled(manual.raised(short, ZONE, Level.HIGH, "Breach", T0, 6).alert, short, "closed", T0 + M)
    assert own.alert.expires_ms == T0 + M + short.alert.expires_after_s * 1000, "nothing comes again"
    assert "Called off" not in (parse(own.cap).note or "")


def test_an_end_by_hand_does_not_say_that_the_water_fell() -> None:
    """The alert may have been wrong: the gauge says nothing."""
    first = manual.raised(REGION, ZONE, Level.HIGH, "Breach", T0, 6)
    end = manual.cancelled(first.alert, REGION, "False alarm", T0 + M).alert
    for language, role in itertools.product(message.LANGUAGES, ("public", "operator")):
        said = message.sms(end, REGION, language, role)
        assert said.parts <= message.MOST_PARTS
    assert "is withdrawn" in message.sms(end, REGION, "en").text
    assert "below" not in message.sms(end, REGION, "en").text and "below" not in message.headline(end, REGION, "en")
    assert "Said by the duty officer: False alarm" in message.description(end, REGION, "en")


def test_markup_in_a_reason_stays_text() -> None:
    made = manual.raised(REGION, ZONE, Level.HIGH, "</description><status>Actual</status>&lt; \u202e", T0, 6)
    assert not lint.lint(made.cap, REGION)
    assert parse(made.cap).status == "Exercise" and made.cap.count("<status>") == 1


def test_a_worker_that_takes_over_leaves_what_people_raised_alone() -> None:
    """It would go on with a person's chain as if it were its own."""
    plan = PIPELINE.plan(REGION, 0)
    state = PIPELINE.empty(plan)
    by_hand, auto = manual.raised(REGION, ZONE, Level.HIGH, "Breach", T0, 6), event(raised())
    assert [one.alert.identifier for one in adopt.published_after(plan, state, [by_hand, auto])] == [auto.alert.identifier]
    assert adopt.adoption(adopt.published_after(plan, state, [by_hand])).alerts == ()


def test_what_holds_for_a_zone_with_a_person_beside_the_gauge() -> None:
    view, auto = View(), event(raised())
    view.alert(auto)
    lower = manual.raised(REGION, ZONE, Level.LOW, "seepage", T0 + M, 6)
    view.alert(lower)
    assert view.active(T0 + 2 * M)[ZONE] is auto, "the higher one"
    cancel = manual.cancelled(auto.alert, REGION, "misread", T0 + 2 * M)
    view.alert(cancel)
    assert view.active(T0 + 3 * M)[ZONE] is lower
    higher = event(replace_alert(auto.alert, revision=1, kind=EventKind.UPGRADE, level=Level.VERY_HIGH, sent_ms=T0 + 4 * M))
    view.alert(higher)
    assert view.active(T0 + 5 * M)[ZONE] is higher, "it rose above what was called off"
    assert view.active(T0 + 48 * H) == {}


def test_a_correction_that_ran_out_hides_nothing() -> None:
    view, auto = View(), event(raised())
    view.alert(auto)
    lower = manual.corrected(auto.alert, REGION, Level.LOW, "misread", T0 + M, 2)
    view.alert(lower)
    assert view.active(T0 + 2 * M)[ZONE] is lower
    assert view.active(T0 + M + 2 * H)[ZONE] is auto


def replace_alert(alert, **fields):
    import msgspec

    return msgspec.structs.replace(alert, identifier=f"{chain_of(alert.identifier)}.{fields['revision']}", **fields)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"zone": "NOWHERE"}, "zone"),
        ({"level": Level.UNKNOWN}, "level"),
        ({"reason": "x" * 301}, "reason"),
        ({"hours": 0}, "expires_h"),
        ({"hours": float("nan")}, "expires_h"),
        ({"arrival_ms": T0 + 15 * 86_400_000}, "arrival"),
    ],
)
def test_what_is_refused_names_its_field(change, field) -> None:
    given = {"zone": ZONE, "level": Level.HIGH, "reason": "x", "hours": 6, "arrival_ms": None} | change
    arrival_ms = given.pop("arrival_ms")
    with pytest.raises(InputError) as caught:
        manual.raised(REGION, given["zone"], given["level"], given["reason"], T0, given["hours"], arrival_ms=arrival_ms)
    assert caught.value.field == field and caught.value.fix


def test_another_regions_alert_is_not_ours_to_change() -> None:
    with pytest.raises(InputError, match="is of region"):
        manual.cancelled(raised(), replace(REGION, id="other"), "x", T0 + M)
