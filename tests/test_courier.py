"""What is held, and lanes that must not end unseen."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import channel_world as world
import msgspec
import pytest
from sqlalchemy import select
from test_planning import Phones, Story, planned, story

from warning.alerts.rules import Approval, Silence, Verdict
from warning.dispatch import lane as lanes
from warning.dispatch import tables as t
from warning.dispatch.channel import Outcome, Part, Sending
from warning.dispatch.courier import Courier
from warning.dispatch.journal import Journal
from warning.dispatch.lane import Lane
from warning.dispatch.lookup import Lookup
from warning.dispatch.planner import Planner
from warning.dispatch.rows import Open
from warning.facts import nobody
from warning.model import DeliveryState as State
from warning.model import Level

MINUTE_MS = 60_000


class Way(Phones):
    """Also the lane of a channel; nothing leaves, for the courier's gate stays closed."""

    def lane(self, contact) -> str:
        return "sms"

    def width(self, lane: str) -> int:
        return 1

    async def ready(self) -> None:
        return

    async def send(self, sending: Sending) -> Outcome:
        return Outcome(State.ACCEPTED, parts=(Part(1, State.ACCEPTED, f"m{sending.delivery}"),))


class Asked:
    """A directory that counts whom it is asked for."""

    def __init__(self, told: Story) -> None:
        self.told, self.count = told, 0

    async def __call__(self, ids):
        self.count += len(ids)
        return {one.id: one async for chunk in self.told.directory.heard(ids) for one in chunk}


def courier(told: Story, planner: Planner, asked: Asked, now_ms) -> Courier:
    journal: Journal = Journal(told.ledger.write, lambda up, why: None)
    return Courier(told.ledger, journal, planner, {"sms": Way()}, Lookup(asked), False, now_ms, now_ms, nobody)


@pytest.mark.parametrize("release", ["approval", "time", "silence"])
async def test_what_waits_for_a_person_costs_one_question_an_alert_and_goes_on_when_something_changed(tmp_path: Path, release: str) -> None:
    async with story(tmp_path) as told:
        rules = replace(told.region.alert, approve_from=Level.HIGH, approve_within_s=600, unanswered="send")
        told.region = replace(told.region, alert=rules)
        planner, asked, at_ms = told.planner(), Asked(told), world.now_ms()
        at = [at_ms]
        of = courier(told, planner, asked, lambda: at[0])
        await told.enter(planner, event := world.event(told.region, "A", sent_ms=at_ms))
        await planned(planner)
        await of.resync()
        held = len(of.held)
        assert held == 53 and not of.lanes
        chain = event.alert.identifier.rpartition(".")[0]
        await of.recheck()  # the first time each is asked for: that puts them into their lane
        await back(of, held)
        asked.count = 0
        for _ in range(5):
            await of.recheck()
        assert (asked.count, len(of.held)) == (0, held), "nobody is read again while nothing changed"
        if release == "approval":
            planner.people.approvals = (Approval(chain, Level.EXCEPTIONAL, "A. Engineer", at_ms),)
        elif release == "silence":
            planner.people.silences = (Silence("A", Level.HIGH, at_ms, at_ms + MINUTE_MS, "A. Engineer", "a test"),)
        else:
            at[0] += 11 * MINUTE_MS
        await of.recheck()
        assert asked.count == held and not of.held
        await of.finish(0.0)


async def back(of: Courier, number: int) -> None:
    """As their lane does when the gate says no once more."""
    for lane in of.lanes.values():
        while (item := lane.queue.take(of.wall_ms())) is not None:
            of.held[item.id] = replace(item, next_attempt_ms=None)
            lane.queue.done(item.key)
    assert len(of.held) == number


async def test_a_lane_whose_way_breaks_in_an_unforeseen_manner_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "AGAIN_MS", 10)
    sent, asked, faults = list[int](), list[int](), [KeyError("no such route"), RuntimeError("any")]

    async def ready() -> None:
        if faults:
            raise faults.pop()

    async def send(item: Open) -> None:
        sent.append(item.id)
        if item.id == 2 and sent.count(2) == 1:
            raise OSError("at its first attempt")

    async def prepare(items):
        asked.append(len(items))
        if len(asked) == 1:
            raise OSError("the directory is away")
        return [send(item) if item.id < 4 else None for item in items]

    gate = asyncio.Event()
    gate.set()
    lane = Lane("sms", lambda: 2, prepare, ready, gate, world.now_ms)
    running = asyncio.create_task(lane.run())
    try:
        for number in range(1, 5):
            lane.add(Open(number, "x.1", "x", Level.HIGH, f"c{number}", "sms", "en", "", 0, 0, 0, 10**15))
        await world.until(lambda: len(sent) == 4 and not len(lane.queue), what="all went, and the second once more")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert sorted(sent) == [1, 2, 2, 3] and not faults and max(asked) == 2, "never more at once than there is room for"
    assert await lane.finish(0.0) == 0 and lane._going == 0


async def test_a_lane_whose_gate_closed_while_its_way_was_away_sends_nothing_before_it_is_open_again() -> None:
    """The network was away, so centre and log were: the log is read to its end before anything goes, though the centre is there first."""
    gate, back, asked, sent = asyncio.Event(), asyncio.Event(), list[bool](), list[int]()

    async def ready() -> None:
        asked.append(True)
        await back.wait()

    async def send(item: Open) -> None:
        sent.append(item.id)

    async def prepare(items):
        return [send(item) for item in items]

    gate.set()
    lane = Lane("sms", lambda: 2, prepare, ready, gate, world.now_ms)
    lane.add(Open(1, "x.1", "x", Level.HIGH, "c1", "sms", "en", "", 0, 0, 0, 10**15))
    running = asyncio.create_task(lane.run())
    try:
        await world.until(lambda: asked != [], what="it waits for its way")
        gate.clear()
        back.set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(lane.queue) == 1 and not lane.queue._busy and not sent
        gate.set()
        await world.until(lambda: sent == [1], what="it went")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_document_that_could_not_be_signed_is_signed_for_those_who_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database of signatures was away for two seconds at the first of ninety thousand."""
    async with story(tmp_path) as told:
        planner, at_ms = told.planner(), world.now_ms()
        of = courier(told, planner, Asked(told), lambda: at_ms)
        await told.enter(planner, event := world.event(told.region, "A", sent_ms=at_ms))
        answers = ["", "", "<Signature/>"]
        asked: list[str] = []

        async def seal(plain):
            asked.append(plain.alert.identifier)
            return msgspec.structs.replace(plain, cap=plain.cap + answers.pop(0))

        of.seal, name = seal, event.alert.identifier
        assert [(await of._event(name)).cap for _ in range(3)] == [event.cap] * 3 and len(asked) == 1, "not at each message"
        monkeypatch.setattr("warning.dispatch.courier.SEAL_AGAIN_S", 0.0)
        assert (await of._event(name)).cap == event.cap
        assert (await of._event(name)).cap == event.cap + "<Signature/>"
        assert (await of._event(name)).cap == event.cap + "<Signature/>" and len(asked) == 3


async def test_one_that_cannot_be_looked_at_holds_up_none_of_those_that_are_claimed_with_it(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        planner, at_ms = told.planner(), world.now_ms()
        of = courier(told, planner, Asked(told), lambda: at_ms)
        await told.enter(planner, world.event(told.region, "A", sent_ms=at_ms))
        await planned(planner)
        items, may = await told.ledger.open_deliveries(), planner.may

        def broken(event, contact, *rest, **more):
            if contact.id == "c7":
                raise KeyError("what nobody thought of")
            return may(event, contact, *rest, **more)

        planner.may = broken
        journal = asyncio.create_task(of.journal.run())
        try:
            works = await of.prepare(items)
            ends = await asyncio.gather(*(work for work in works if work is not None), return_exceptions=True)
        finally:
            journal.cancel()
        assert len(ends) == len(items) == 53
        assert [(item.contact, type(end)) for item, end in zip(items, ends, strict=True) if end is not None] == [("c7", KeyError)]
        assert await told.ledger.counts() == {("sms", "accepted"): 52, ("sms", "waiting"): 1}


async def test_what_ends_without_an_attempt_ends_together_and_holds_up_none_that_goes(tmp_path: Path) -> None:
    """Sixty thousand wait, and a person silences the zone: a transaction for each would keep the ledger busy for minutes."""
    async with story(tmp_path) as told:
        planner, at_ms = told.planner(), world.now_ms()
        of = courier(told, planner, Asked(told), lambda: at_ms)
        await told.enter(planner, world.event(told.region, "A", sent_ms=at_ms))
        await planned(planner)
        items, may, moving = await told.ledger.open_deliveries(), planner.may, told.ledger._moving
        of._owned.update(item.id for item in items)
        refused = {item.contact: ("silenced", "expired")[number % 2] for number, item in enumerate(items[:-3])}

        def said(event, contact, *rest, **more):
            reason = refused.get(contact.id)
            return Verdict(False, False, reason, "") if reason else may(event, contact, *rest, **more)

        opened = list[int]()

        def counted():
            opened.append(1)
            return moving()

        planner.may, told.ledger._moving = said, counted
        journal = asyncio.create_task(of.journal.run())
        try:
            works = await of.prepare(items)
            assert len(opened) == 3, "each end, and the claims"
            await asyncio.gather(*(work for work in works if work is not None))
        finally:
            journal.cancel()
        rows = await told.ledger._rows(select(t.deliveries).order_by(t.deliveries.c.id))
        ends = [(State.REFUSED.value, "silenced"), (State.FAILED.value, "expired")]
        gone = [(State.ACCEPTED.value, "")] * 3
        assert [(row["state"], row["reason"]) for row in rows] == [ends[number % 2] for number in range(50)] + gone
        assert of.waiting == 0
