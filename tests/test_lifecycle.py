"""The life of a chain of alerts, told as stories."""

from __future__ import annotations

import pytest
from alert_region import REGION, T0, ZONE, H, M, S, hazard, raised, silent, with_rules

from warning.alerts.lifecycle import WHYS, chain_of, transition
from warning.model import Alert, Certainty, EventKind, Hazard, Level, Status
from warning.region import Region


def step(alert: Alert | None, hazard_: Hazard, now_ms: int, region: Region = REGION, waves: tuple[str, ...] = ()):
    moved = transition(alert, hazard_, ZONE, region, now_ms, waves)
    assert moved.why in WHYS
    return moved


def test_nothing_happens_below_the_first_class():
    moved = step(None, hazard(), T0)
    assert (moved.alert, moved.event, moved.why, moved.deadline_ms) == (None, None, "quiet", None)


def test_the_first_class_that_is_warned_of_is_the_regions():
    region = with_rules(warn_from=Level.HIGH)
    assert step(None, hazard(observed=Level.MEDIUM), T0, region).event is None
    assert step(None, hazard(observed=Level.HIGH), T0, region).event.kind is EventKind.RAISE


def test_a_raise_carries_everything():
    moved = step(None, hazard(observed=Level.HIGH), T0 + 400)
    event = moved.event
    assert moved.alert is event
    assert event.identifier == "ews.chenab.CHE-MARALA.20250827T020000Z.0"
    assert event.event_ids == ("ews.chenab.CHE-MARALA.20250827T020000Z",)
    assert (event.kind, event.level, event.previous_level, event.certainty) == (
        EventKind.RAISE,
        Level.HIGH,
        Level.NORMAL,
        Certainty.OBSERVED,
    )
    assert (event.sent_ms, event.raised_ms, event.expires_ms) == (T0, T0, T0 + 81_000 * S)  # whole seconds
    assert (event.revision, event.references, event.status) == (0, (), Status.EXERCISE)
    assert moved.deadline_ms == T0 + 81_000 * S - H  # renewal


def test_an_unconfirmed_reading_raises_nothing():
    assert step(None, hazard(level=Level.HIGH, level_confirmed=Level.NORMAL, level_cleared=Level.HIGH), T0).event is None


def test_a_silent_gauge_is_raised_by_what_comes_from_upstream():
    event = step(None, silent(T0, None, expected=Level.VERY_HIGH, arrival_ms=T0 + 9 * H), T0).event
    assert (event.level, event.certainty, event.arrival_ms) == (Level.VERY_HIGH, Certainty.LIKELY, T0 + 9 * H)
    assert [reason.code for reason in event.hazard.reasons] == ["never_spoke"]
    assert event.hazard.words == ("there has never been a good reading from the gauge",)


def test_waves_give_the_event_ids_and_later_ones_join():
    event = step(None, hazard(observed=Level.LOW), T0, waves=("wave.a",)).event
    assert event.event_ids == ("wave.a",)
    event = step(event, hazard(T0 + H, observed=Level.HIGH), T0 + H, waves=("wave.b", "wave.a")).event
    assert event.event_ids == ("wave.a", "wave.b")


def test_escalation_is_at_once_even_while_the_gauge_is_silent():
    alert = raised(observed=Level.LOW)
    event = step(alert, silent(T0 + 10 * M, T0, expected=Level.EXCEPTIONAL, arrival_ms=T0 + 5 * H), T0 + 10 * M).event
    assert (event.kind, event.level, event.previous_level, event.revision) == (EventKind.UPGRADE, Level.EXCEPTIONAL, Level.LOW, 1)
    assert event.identifier == f"{chain_of(alert.identifier)}.1"
    assert [(r.identifier, r.sent_ms, r.expires_ms) for r in event.references] == [(alert.identifier, alert.sent_ms, alert.expires_ms)]


def test_two_revisions_within_one_second_have_two_times():
    alert = raised(observed=Level.LOW)
    second = step(alert, hazard(observed=Level.MEDIUM), T0 + 250).event
    third = step(second, hazard(observed=Level.HIGH), T0 + 500).event
    assert [one.sent_ms - T0 for one in (alert, second, third)] == [0, S, 2 * S]


def test_a_clear_waits_an_hour_and_a_second_reading():
    alert = raised()
    first = step(alert, hazard(T0 + 10 * M), T0 + 10 * M)
    assert (first.event, first.why, first.deadline_ms) == (None, "below_waiting", T0 + 70 * M)
    assert first.alert.below_since_ms == T0 + 10 * M
    # an hour later, but still the same reading: it ends nothing
    same = step(first.alert, hazard(T0 + 70 * M, observed_ms=T0 + 5 * M), T0 + 70 * M)
    assert (same.event, same.deadline_ms) == (None, alert.expires_ms - H)
    # a second one does
    moved = step(same.alert, hazard(T0 + 72 * M), T0 + 72 * M)
    event = moved.event
    assert (moved.alert, moved.why, moved.deadline_ms) == (None, "below_long_enough", None)
    assert (event.kind, event.level, event.previous_level, event.certainty) == (
        EventKind.CLEAR,
        Level.NORMAL,
        Level.HIGH,
        Certainty.OBSERVED,
    )
    assert [reference.identifier for reference in event.references] == [alert.identifier]


def test_a_rise_in_between_starts_the_clock_again():
    alert = step(raised(), hazard(T0 + M), T0 + M).alert
    alert = step(alert, hazard(T0 + 50 * M, observed=Level.HIGH), T0 + 50 * M).alert
    assert alert.below_since_ms is None
    alert = step(alert, hazard(T0 + 55 * M), T0 + 55 * M).alert
    assert alert.below_since_ms == T0 + 55 * M
    assert step(alert, hazard(T0 + 65 * M), T0 + 65 * M).event is None
    assert step(alert, hazard(T0 + 115 * M), T0 + 115 * M).event.kind is EventKind.CLEAR


@pytest.mark.parametrize("kept", ["level_cleared", "level_expected_cleared"])
def test_within_the_margin_the_alert_stands(kept):
    near = {kept: Level.HIGH}
    alert = step(raised(), hazard(T0 + M, **near), T0 + M).alert
    for minutes in (61, 121, 600):
        moved = step(alert, hazard(T0 + minutes * M, **near), T0 + minutes * M)
        assert moved.event is None and moved.alert.below_since_ms is None
        alert = moved.alert


def test_a_downgrade_goes_to_the_highest_class_of_the_hour():
    alert = raised(observed=Level.EXCEPTIONAL)
    alert = step(alert, hazard(T0 + 10 * M, observed=Level.VERY_HIGH), T0 + 10 * M).alert
    alert = step(alert, hazard(T0 + 60 * M, observed=Level.LOW), T0 + 60 * M).alert
    moved = step(alert, hazard(T0 + 70 * M, observed=Level.LOW), T0 + 70 * M)
    assert (moved.event.kind, moved.event.level, moved.event.previous_level) == (EventKind.DOWNGRADE, Level.VERY_HIGH, Level.EXCEPTIONAL)
    assert moved.why == "lower_class"
    # and the lower class has its own hour
    alert = step(moved.alert, hazard(T0 + 71 * M, observed=Level.LOW), T0 + 71 * M).alert
    assert step(alert, hazard(T0 + 130 * M, observed=Level.LOW), T0 + 130 * M).event is None
    assert step(alert, hazard(T0 + 131 * M, observed=Level.LOW), T0 + 131 * M).event.level is Level.LOW


def test_silence_lowers_nothing_and_is_told_once_to_feeds():
    alert = step(raised(), hazard(T0 + M), T0 + M).alert  # the clock runs
    fell = step(alert, silent(T0 + 30 * M, T0 + M), T0 + 30 * M)
    assert (fell.event.kind, fell.event.certainty, fell.event.silent_since_ms) == (EventKind.CERTAINTY, Certainty.POSSIBLE, T0 + M)
    assert fell.alert.below_since_ms is None and fell.event.level is Level.HIGH
    assert [reason.code for reason in fell.event.hazard.reasons] == ["silent_since", "end_unconfirmed"]
    quiet = step(fell.alert, silent(T0 + 5 * H, T0 + M), T0 + 5 * H)
    assert (quiet.event, quiet.why) == (None, "silence_holds")
    speaks = step(quiet.alert, hazard(T0 + 6 * H), T0 + 6 * H)
    assert (speaks.event.kind, speaks.why, speaks.event.silent_since_ms) == (EventKind.CERTAINTY, "speaks_again", None)
    assert speaks.alert.below_since_ms == T0 + 6 * H  # only now does the hour begin
    assert step(speaks.alert, hazard(T0 + 7 * H), T0 + 7 * H).event.kind is EventKind.CLEAR


def test_a_silent_chain_is_renewed_for_weeks():
    alert, now_ms, renewals = raised(), T0, 0
    while now_ms < T0 + 21 * 24 * H:
        moved = step(alert, silent(now_ms, T0 - H), now_ms)
        if moved.event is not None:
            assert moved.event.kind in (EventKind.RENEW, EventKind.CERTAINTY)
            assert moved.event.level is Level.HIGH
            renewals += moved.event.kind is EventKind.RENEW
        alert, now_ms = moved.alert, moved.deadline_ms
    assert renewals == 23  # 21 days in steps of 21.5 h


def test_a_renewal_refers_to_what_has_not_expired():
    alert = raised()
    due = alert.expires_ms - H
    assert step(alert, hazard(due - 1, observed=Level.HIGH), due - 1).event is None
    second = step(alert, hazard(due, observed=Level.HIGH), due).event
    assert (second.kind, second.revision, second.expires_ms) == (EventKind.RENEW, 1, due + 81_000 * S)
    third = step(second, hazard(due + 2 * H, observed=Level.VERY_HIGH), due + 2 * H).event
    assert [reference.identifier for reference in third.references] == [second.identifier]  # the first one has expired


def test_after_an_outage_the_chain_goes_on_without_references():
    alert = raised()
    later = alert.expires_ms + 5 * H
    moved = step(alert, hazard(later, observed=Level.HIGH), later)
    assert (moved.event.kind, moved.why, moved.event.references) == (EventKind.RENEW, "expired_and_lasts", ())
    assert moved.event.event_ids == alert.event_ids and moved.event.revision == 1


def test_after_an_outage_what_is_over_just_ends():
    alert = raised()
    later = alert.expires_ms + 5 * H
    moved = step(alert, hazard(later), later)
    assert (moved.alert, moved.event.kind, moved.why) == (None, EventKind.EXPIRE, "over_while_expired")
    assert moved.event.references == ()
    assert step(alert, silent(later, T0), later).event.kind is EventKind.RENEW  # silence is not an end


@pytest.mark.parametrize(
    ("lead_h", "moved_min", "news"),
    [
        (48, 179, False),
        (48, 180, True),  # three hours
        (48, -180, True),  # sooner too
        (8, 119, False),
        (8, 120, True),  # a quarter of eight hours
        (1, -29, False),  # minutes do not flap
        (1, -30, True),
        (1, 119, False),  # later is hardly news
        (1, 120, True),
    ],
)
def test_an_arrival_is_news_when_it_moves_by_a_quarter_or_three_hours(lead_h, moved_min, news):
    alert = raised(expected=Level.HIGH, arrival_ms=T0 + lead_h * H)
    assert alert.told_arrival_ms == T0 + lead_h * H
    now = T0 + M
    moved = step(alert, hazard(now, expected=Level.HIGH, arrival_ms=T0 + lead_h * H + moved_min * M), now)
    assert (moved.event is not None) is news
    if news:
        assert (moved.event.kind, moved.why) == (EventKind.ARRIVAL, "arrival_moved")
        assert moved.event.told_arrival_ms == moved.event.arrival_ms == T0 + lead_h * H + moved_min * M
        # and then the new time is what counts
        assert step(moved.alert, hazard(now + M, expected=Level.HIGH, arrival_ms=moved.event.arrival_ms + M), now + M).event is None


def test_slow_drift_is_measured_against_what_was_told():
    alert, arrival = raised(expected=Level.HIGH, arrival_ms=T0 + 10 * H), T0 + 10 * H
    kinds = []
    for quarter in range(1, 17):  # 20 minutes later every quarter of an hour
        now, arrival = T0 + quarter * 15 * M, arrival + 20 * M
        moved = step(alert, hazard(now, expected=Level.HIGH, arrival_ms=arrival), now)
        kinds.append(moved.event and moved.event.kind)
        alert = moved.alert
    assert [number for number, kind in enumerate(kinds, 1) if kind] == [8, 16]
    assert {kind for kind in kinds if kind} == {EventKind.ARRIVAL}


def test_the_lead_is_the_one_that_was_told_whatever_went_to_feeds_since():
    """Told 8 h ahead: a quarter is two hours, also after a revision that contacts did not hear of."""
    alert = raised(expected=Level.HIGH, arrival_ms=T0 + 8 * H)
    fell = step(alert, silent(T0 + 4 * H, T0, expected=Level.HIGH, arrival_ms=T0 + 8 * H), T0 + 4 * H)
    assert (fell.event.kind, fell.event.told_ms, fell.event.told_arrival_ms) == (EventKind.CERTAINTY, T0, T0 + 8 * H)
    now = T0 + 5 * H
    assert step(fell.alert, silent(now, T0, expected=Level.HIGH, arrival_ms=T0 + 8 * H + 119 * M), now).event is None
    assert step(fell.alert, silent(now, T0, expected=Level.HIGH, arrival_ms=T0 + 8 * H + 120 * M), now).event.kind is EventKind.ARRIVAL


def test_what_a_silent_gauge_said_last_is_not_observed_now():
    alert = raised()
    event = step(alert, silent(T0 + H, T0, level_confirmed=Level.HIGH, level_cleared=Level.HIGH), T0 + H).event
    assert (event.kind, event.certainty, event.level) == (EventKind.CERTAINTY, Certainty.POSSIBLE, Level.HIGH)


def test_the_arrival_of_the_water_is_told_once():
    alert = raised(expected=Level.HIGH, arrival_ms=T0 + 3 * H)
    assert alert.certainty is Certainty.LIKELY
    now = T0 + 3 * H
    event = step(alert, hazard(now, observed=Level.HIGH), now).event
    assert (event.kind, event.arrival_ms, event.certainty, event.told_observed) == (EventKind.ARRIVAL, None, Certainty.OBSERVED, True)
    assert step(event, hazard(now + M, observed=Level.HIGH), now + M).event is None
    # silent and back: no second arrival
    gone = step(event, silent(now + H, now), now + H)
    assert gone.event.kind is EventKind.CERTAINTY
    back = step(gone.alert, hazard(now + 2 * H, observed=Level.HIGH), now + 2 * H)
    assert (back.event.kind, back.event.certainty) == (EventKind.CERTAINTY, Certainty.OBSERVED)


def test_an_expectation_without_a_time_is_told_when_it_gets_one():
    alert = raised(expected=Level.HIGH)
    assert (alert.arrival_ms, alert.told_observed) == (None, False)
    event = step(alert, hazard(T0 + M, expected=Level.HIGH, arrival_ms=T0 + 5 * H), T0 + M).event
    assert (event.kind, event.arrival_ms) == (EventKind.ARRIVAL, T0 + 5 * H)


def test_a_lower_class_that_is_expected_does_not_set_the_arrival_of_the_higher():
    alert = raised(expected=Level.HIGH, arrival_ms=T0 + 10 * H)
    moved = step(alert, hazard(T0 + M, expected=Level.LOW, arrival_ms=T0 + 2 * H, level_expected_cleared=Level.HIGH), T0 + M)
    assert moved.event is None
    renewal = step(
        alert, hazard(moved.deadline_ms, expected=Level.LOW, arrival_ms=T0 + 2 * H, level_expected_cleared=Level.HIGH), moved.deadline_ms
    )
    assert renewal.event.arrival_ms == T0 + 10 * H


def test_a_chain_that_ended_is_no_chain():
    alert = step(raised(), hazard(T0 + M), T0 + M).alert
    ended = step(alert, hazard(T0 + 2 * H), T0 + 2 * H).event
    again = step(ended, hazard(T0 + 3 * H, observed=Level.LOW), T0 + 3 * H).event
    assert (again.kind, again.revision) == (EventKind.RAISE, 0)
    assert chain_of(again.identifier) != chain_of(ended.identifier)
