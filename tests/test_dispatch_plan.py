"""Who is told, when again, and in which order: the pure parts."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warning.alerts.rules import Decision, may_leave
from warning.dispatch import audience, retry
from warning.dispatch.audience import Addressed, Known
from warning.dispatch.lane import Queue
from warning.dispatch.notice import Collection, Observed
from warning.dispatch.rows import Open
from warning.model import DeliveryState as State
from warning.model import EventKind, Level, Status

NOW = 1_756_260_000_000


def ways(contact):
    return [(name, address) for name, address in (("sms", contact.phone), ("webhook", contact.webhook)) if address]


def plan(region, event, history=(), off=frozenset(), *, replay=False):
    def may(contact, knows, stands_in):
        decision = Decision(contact_knows=knows, stands_in=stands_in)
        return may_leave(event, contact, region, decision, event.alert.sent_ms)

    addressed = [Addressed(one, near(one, event, region)) for one in region.contacts]
    return audience.plan(event, addressed, history, ways, may, set(off), replay=replay)


def near(contact, event, region) -> bool:
    """As the directory finds them."""
    return not contact.districts or not set(contact.districts).isdisjoint(region.zone_by_id[event.alert.zone].districts)


def told(plan) -> set[tuple[str, str]]:
    return {(one.contact.id, one.channel) for one in plan.planned if one.state is State.WAITING}


def known(number: int, contact: str, state: State, *, handed=False, attempts=1, due_ms=NOW, channel="sms") -> Known:
    return Known(number, contact, channel, state, handed, attempts, due_ms)


@pytest.mark.parametrize(
    ("zone", "level", "expected"),
    [
        ("A", Level.LOW, {"upper-officer", "agency", "duty"}),
        ("A", Level.HIGH, {"upper-officer", "agency", "duty", "village"}),
        ("C", Level.LOW, {"lower-officer", "agency", "duty"}),
        ("B", Level.EXCEPTIONAL, {"upper-officer", "lower-officer", "agency", "duty", "village"}),
    ],
)
def test_a_raise_goes_to_the_districts_from_each_contacts_class_on(tmp_path: Path, zone: str, level: Level, expected: set[str]) -> None:
    region = world.region(tmp_path)
    assert {name for name, _ in told(plan(region, world.event(region, zone, level=level, sent_ms=NOW)))} == expected


def test_the_end_and_a_step_down_go_to_whoever_may_have_heard(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(number, level=Level.HIGH) for number in range(1, 6)])
    history = [
        known(1, "c1", State.DELIVERED, handed=True),
        known(2, "c2", State.SENDING),
        known(3, "c3", State.UNKNOWN, handed=True),
        known(4, "c4", State.REFUSED),
    ]
    down = world.event(region, "A", 2, EventKind.DOWNGRADE, Level.LOW, sent_ms=NOW, previous=Level.HIGH)
    clear = world.event(region, "A", 3, EventKind.CLEAR, Level.NORMAL, sent_ms=NOW, previous=Level.LOW)
    for event in (down, clear):
        assert {name for name, _ in told(plan(region, event, history))} == {"c1", "c2", "c3"}


def test_an_end_is_not_told_to_whom_the_beginning_never_reached(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    clear = world.event(region, "A", 2, EventKind.CLEAR, Level.NORMAL, sent_ms=NOW, previous=Level.HIGH)
    result = plan(region, clear, [known(7, "c1", State.WAITING, attempts=3)])
    assert (told(result), result.overtaken) == (set(), (7,))


@pytest.mark.parametrize("kind", [EventKind.RENEW, EventKind.CERTAINTY])
def test_what_contacts_do_not_hear_of_still_replaces_what_has_not_gone(tmp_path: Path, kind: EventKind) -> None:
    region = world.region(tmp_path, [world.contact(1), world.contact(2)])
    event = world.event(region, "A", 2, kind, sent_ms=NOW)
    result = plan(region, event, [known(7, "c1", State.WAITING), known(8, "c2", State.DELIVERED, handed=True)])
    assert (told(result), result.overtaken) == ({("c1", "sms")}, (7,))


def test_an_expiry_ends_what_has_not_gone_and_tells_nobody(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    event = world.event(region, "A", 2, EventKind.EXPIRE, Level.NORMAL, sent_ms=NOW)
    result = plan(region, event, [known(7, "c1", State.WAITING)])
    assert (told(result), result.overtaken) == (set(), (7,))


def test_in_a_replay_only_a_retry_that_would_come_later_is_overtaken(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(number) for number in (1, 2, 3)])
    event = world.event(region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=NOW)
    history = [
        known(1, "c1", State.WAITING, attempts=0, due_ms=NOW - 5000),
        known(2, "c2", State.WAITING, attempts=1, due_ms=NOW - 1000),
        known(3, "c3", State.WAITING, attempts=1, due_ms=NOW + 1000),
    ]
    assert plan(region, event, history, replay=True).overtaken == (3,)
    assert plan(region, event, history).overtaken == (1, 2, 3)


@pytest.mark.parametrize("status", [Status.EXERCISE, Status.TEST])
def test_an_exercise_is_refused_for_live_contacts_and_numbers_that_ring(tmp_path: Path, status: Status) -> None:
    contacts = [world.contact(1), world.contact(2, live=True), replace(world.contact(3), phone="+923001234567")]
    region = world.region(tmp_path, contacts)
    result = plan(region, world.event(region, "A", sent_ms=NOW, status=status))
    assert told(result) == {("c1", "sms")}
    assert {one.contact.id: one.reason for one in result.planned if one.state is State.REFUSED} == {
        "c2": "live_contact",
        "c3": "dialable_number",
    }


def test_an_endpoint_that_is_off_gets_nothing_until_its_address_changes(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1, hook="x")])
    event = world.event(region, "A", sent_ms=NOW)
    assert told(plan(region, event, off={("c1", "rehearsal:x")})) == {("c1", "sms")}
    assert told(plan(region, event, off={("c1", "rehearsal:old")})) == {("c1", "sms"), ("c1", "webhook")}


def test_held_until_a_person_approves(tmp_path: Path) -> None:
    region = world.region(tmp_path, [world.contact(1)])
    region = replace(region, alert=replace(region.alert, approve_from=Level.HIGH))
    (one,) = plan(region, world.event(region, "A", sent_ms=NOW)).planned
    assert (one.state, one.held, one.reason) == (State.WAITING, True, "approval_pending")


# --- when again


def test_the_schedule_of_retries() -> None:
    assert doctest.testmod(retry).failed == 0
    due, delays = 0, []
    for attempt in range(1, 8):
        after = retry.next_attempt_ms(attempt, due, 10**12, spread=0.0)
        assert after is not None
        delays.append((after - due) / 1000)
        due = after
    assert delays == [5, 300, 1800, 7200, 7200, 7200, 7200]


@given(st.integers(1, 50), st.integers(0, 10**12), st.integers(0, 10**8), st.none() | st.floats(0, 10**5), st.floats(0, 0.999))
def test_a_retry_is_never_early_and_never_after_the_expiry(attempt, now, left, wish, spread) -> None:
    due = retry.next_attempt_ms(attempt, now, now + left, retry_after_s=wish, spread=spread)
    if due is None:
        longest = max(7200.0, wish or 0.0) * 1.1
        assert left <= longest * 1000 + 1
    else:
        assert now + max(5.0, wish or 0.0) * 1000 - 1 <= due < now + left


# --- in which order


def item(number: int, chain: str = "x", level: Level = Level.LOW, contact: str = "c1", at: int = 0) -> Open:
    return Open(number, f"{chain}.1", chain, level, contact, "sms", "en", "", 0, at, NOW, NOW + 10**7)


def test_the_highest_class_goes_first_and_one_chain_to_one_contact_in_order() -> None:
    queue = Queue()
    for one in (item(1), item(2, level=Level.EXCEPTIONAL), item(3, "y", Level.EXCEPTIONAL), item(4, "z", Level.HIGH)):
        queue.add(one)
    taken = [queue.take(NOW) for _ in range(3)]
    assert [one.id for one in taken if one] == [3, 4, 1], "2 waits behind 1: same chain, same contact"
    assert queue.take(NOW) is None
    queue.done(taken[2].key)
    assert queue.take(NOW).id == 2


def test_a_retry_waits_its_time_before_what_came_later_and_gives_way_when_dropped() -> None:
    queue = Queue()
    queue.add(item(1))
    first = queue.take(NOW)
    queue.add(item(2))
    queue.add(item(1, at=NOW + 5000), first=True)
    queue.done(first.key)
    assert (queue.take(NOW), queue.next_ms()) == (None, NOW + 5000)
    assert queue.take(NOW + 5000).id == 1
    queue.done(first.key)
    queue.take(NOW)
    queue.done(first.key)
    queue.add(item(3, at=NOW + 5000))
    queue.dropped.add(3)
    queue.add(item(4))
    assert queue.take(NOW).id == 4


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from(list(Level)[2:]), st.integers(0, 5)), max_size=30))
def test_everything_that_is_put_in_comes_out_once(entries) -> None:
    queue = Queue()
    for number, (contact, chain, level, at) in enumerate(entries):
        queue.add(item(number, chain, level, contact, at))
    out = []
    for now in range(7):
        while (one := queue.take(now)) is not None:
            out.append(one)
            queue.done(one.key)
    assert sorted(one.id for one in out) == list(range(len(entries)))
    for key in {one.key for one in out}:
        ids = [one.id for one in out if one.key == key]
        assert ids == sorted(ids)
    assert len(queue) == 0


# --- what operators hear


def seen(zone: str, level: Level, minute: float, n: int) -> Observed:
    return Observed(zone, round(NOW + 60_000 * minute), level, None, n)


def test_silence_of_many_gauges_is_one_notice_and_what_passes_within_the_span_is_none() -> None:
    collection = Collection(60_000, {})
    start = [seen(zone, Level.UNKNOWN, 0.1, 1) for zone in "ABC"] + [seen("B", Level.LOW, 0.5, 2), seen("D", Level.LOW, 0.6, 2)]
    assert [collection.see(one) for one in start] == [[]] * 5
    assert [one.zone for one in collection.see(seen("D", Level.LOW, 1.1, 3))] == ["A", "C"]
    assert collection.see(seen("A", Level.UNKNOWN, 1.2, 4)) == [], "known already"
    collection.see(seen("A", Level.NORMAL, 1.3, 5))
    assert [(one.zone, one.level) for one in collection.take()] == [("A", Level.NORMAL)]


def test_an_older_hazard_than_the_one_known_changes_nothing() -> None:
    collection = Collection(60_000, {"A": (False, 10)})
    collection.see(seen("A", Level.UNKNOWN, 0, 9))
    assert collection.take() == []
