"""What a person's word kept from going and another word lets go: it goes to whom it was kept from, and nobody hears twice for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from dispatch_house import T0, H, House

from warning.alerts.rules import Silence
from warning.deployment import Deployment
from warning.dispatch.returned import Returned
from warning.model import AlertEvent, EventKind, Level
from warning.people.imports import CONFIG, merge
from warning.region import Contact

MINUTE = 60_000


@asynccontextmanager
async def told(folder: Path, *, level: Level | None = None, persons: int = 1):
    """Two contacts, one zone. ``level``: from this class on persons release."""
    region, contacts = world.region(folder), tuple(world.contact(number, level=Level.LOW) for number in (1, 2))
    rules = replace(region.alert, approve_from=level, approve_persons=persons, approve_within_s=3600, call_off_for_s=6 * 3600)
    one = House(replace(region, contacts=contacts, alert=rules), Deployment(prefix="k.", directory=folder), contacts)
    one.now_ms = T0 + MINUTE
    await one.start()
    one.returned = Returned(one.region, one.people, one.decisions, one.ledger, one.courier)
    try:
        yield one
    finally:
        await one.stop()


async def settle(one: House) -> None:
    """As ``Dispatcher`` does each second."""
    await one.settle()
    await one.returned.look(one.decided.standing, one.now_ms)
    await one.settle()
    await one.returned.look(one.decided.standing, one.now_ms)
    await one.settle()


async def called_off(one: House) -> AlertEvent:
    """Told of a flood, then of its cancel by hand: the cancel."""
    event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
    await one.read(event)
    await settle(one)
    made = await one.authority.cancel(event.alert.identifier, "Misread", "A. Khan", one.now_ms)
    await one.read(made)
    await settle(one)
    return made


def heard(one: House) -> list[tuple[str, int, str]]:
    """(contact, revision, class), by hand or not, in order."""
    return sorted((contact.id, event.alert.revision, event.alert.level.value) for _, event, contact in one.sink.sent)


async def test_what_an_end_by_hand_stopped_in_the_queue_goes_when_that_runs_out(tmp_path: Path) -> None:
    """The way was closed for one of two as the alert was called off: he heard neither. The water is still above six hours later."""
    async with told(tmp_path) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        one.courier.gate.clear()
        await one.read(event)
        await one.planned()
        made = await one.authority.cancel(event.alert.identifier, "Misread", "A. Khan", one.now_ms)
        await one.read(made)
        await one.planned()
        one.courier.gate.set()
        await settle(one)
        assert heard(one) == []
        one.now_ms = made.alert.expires_ms + 1000
        await settle(one)
        assert heard(one) == [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]
        one.now_ms += MINUTE
        await settle(one)
        assert len(heard(one)) == 2


async def test_what_was_declined_and_then_released_goes_to_whom_it_was_kept_from(tmp_path: Path) -> None:
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        first = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        high = world.event(one.region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=T0 + 1000, raised_ms=T0, previous=Level.HIGH)
        for event in (first, high):
            await one.read(event)
            await settle(one)
        before = [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]
        assert heard(one) == before
        await one.authority.approve(high.alert.identifier, Level.VERY_HIGH, "A. Khan", one.now_ms, granted=False)
        one.now_ms += MINUTE
        await settle(one)
        assert heard(one) == before and not one.courier.held
        await one.authority.approve(high.alert.identifier, Level.VERY_HIGH, "B. Shah", one.now_ms)
        one.now_ms += MINUTE
        await settle(one)
        assert heard(one) == sorted([*before, ("c1", 2, "VERY_HIGH"), ("c2", 2, "VERY_HIGH")])
        one.now_ms += H
        await settle(one)
        assert len(heard(one)) == 4, "once"


async def test_what_was_declined_and_ran_out_is_told_by_the_renewal_that_is_released(tmp_path: Path) -> None:
    """A renewal is of a kind that nobody hears of: nobody was told that the class holds, whoever had let it out."""
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        first = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        high = world.event(one.region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=T0 + 1000, raised_ms=T0, previous=Level.HIGH)
        for event in (first, high):
            await one.read(event)
            await settle(one)
        before = [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]
        await one.authority.approve(high.alert.identifier, Level.VERY_HIGH, "A. Khan", one.now_ms, granted=False)
        one.now_ms += MINUTE
        await settle(one)
        one.now_ms += 21 * H
        for revision in (3, 4):  # the second one came while no dispatcher ran
            renewed = ("A", revision, EventKind.RENEW, Level.VERY_HIGH)
            sent_ms = one.now_ms + revision * 1000
            await one.read(world.event(one.region, *renewed, sent_ms=sent_ms, raised_ms=T0, previous=Level.VERY_HIGH))
        one.now_ms += 3 * H
        await settle(one)
        assert heard(one) == before
        await one.authority.approve(high.alert.identifier, Level.VERY_HIGH, "B. Shah", one.now_ms)
        await settle(one)
        after = sorted([*before, ("c1", 4, "VERY_HIGH"), ("c2", 4, "VERY_HIGH")])
        assert heard(one) == after
        assert [act.subject for act in await one.decisions.acts(kinds=("released",))] == [first.alert.identifier.rpartition(".")[0]]
        for answer in range(2):  # others are released, and the next dispatcher looks again
            one.now_ms += MINUTE
            await one.read(world.event(one.region, *renewed[:1], 5 + answer, *renewed[2:], sent_ms=one.now_ms, raised_ms=T0))
            await one.authority.approve(f"{one.region.namespace}.B.1.0", Level.HIGH, "B. Shah", one.now_ms)
            one.returned = Returned(one.region, one.people, one.decisions, one.ledger, one.courier)
            await settle(one)
            assert heard(one) == after


@pytest.mark.parametrize("ends", ["by itself", "early", "of one contact", "as a renewal holds"])
async def test_what_a_silence_kept_from_going_goes_when_that_ends(tmp_path: Path, ends: str) -> None:
    """A siren test, and then the water: a warning that holds still is not quietly missing."""
    async with told(tmp_path) as one:
        contact = "c1" if ends == "of one contact" else ""
        wish = Silence("A", Level.HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test", contact)
        number = await one.authority.silence(wish)
        await settle(one)
        over_ms = one.now_ms + (H // 2 if ends == "as a renewal holds" else 20 * H)
        await one.read(world.event(one.region, "A", sent_ms=one.now_ms, raised_ms=T0, expires_ms=over_ms))
        await settle(one)
        before = [("c2", 1, "HIGH")] if contact else []
        assert heard(one) == before
        if ends == "as a renewal holds":
            one.now_ms += 25 * MINUTE
            await one.read(world.event(one.region, "A", 2, EventKind.RENEW, sent_ms=one.now_ms, raised_ms=T0, previous=Level.HIGH))
            await settle(one)
        if ends == "early":
            await one.authority.end_silence(number, "B. Shah", one.now_ms)
        else:
            one.now_ms = wish.until_ms
        await settle(one)
        revision = 2 if ends == "as a renewal holds" else 1
        after = [("c1", revision, "HIGH"), ("c2", revision, "HIGH")]
        assert heard(one) == after
        one.returned = Returned(one.region, one.people, one.decisions, one.ledger, one.courier)  # the next dispatcher
        await settle(one)
        assert heard(one) == after
        await one.authority.silence(replace(wish, contact="", from_ms=one.now_ms, until_ms=one.now_ms + H))
        arrival = world.event(one.region, "A", 3, EventKind.ARRIVAL, sent_ms=one.now_ms, raised_ms=T0, previous=Level.HIGH)
        await settle(one)
        await one.read(arrival)
        await settle(one)
        assert heard(one) == after
        one.now_ms += H
        await settle(one)
        assert heard(one) == sorted([*after, ("c1", 3, "HIGH"), ("c2", 3, "HIGH")])


async def test_what_waits_for_its_plan_as_an_end_by_hand_runs_out_is_told_to_all(tmp_path: Path) -> None:
    """The planner is busy with a flood elsewhere: the newest revision, of a kind that nobody hears of, is entered and not planned."""
    async with told(tmp_path) as one:
        made = await called_off(one)
        before = len(heard(one))
        await one.stop_planner()
        one.now_ms = made.alert.expires_ms - 500
        silent = world.event(one.region, "A", 2, EventKind.CERTAINTY, sent_ms=one.now_ms // 1000 * 1000, raised_ms=T0, previous=Level.HIGH)
        await one.read(silent)
        one.now_ms += 1000
        await one.returned.look(one.decided.standing, one.now_ms)
        one.begin_planner()
        await settle(one)
        assert len(heard(one)) == before + 2


async def test_nothing_goes_again_beside_a_plan_of_its_chain(tmp_path: Path) -> None:
    """A revision that was let out is gone through again, and is in no table of plans: at its end it passes over what waits."""
    async with told(tmp_path) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await settle(one)
        await one.stop_planner()
        assert await one.planner.comes_again(event)
        await one.authority.resend(event.alert.identifier, "mast", "A. Khan", one.now_ms)
        await one.decided.refresh()
        assert await one.resends.look() == 0
        one.begin_planner()
        await settle(one)
        assert len(heard(one)) == 4


async def test_a_correction_that_nobody_releases_moves_no_end_of_the_one_before(tmp_path: Path) -> None:
    """Corrected down for two hours, then up for twenty, which waits for a release: after two hours nothing speaks but the gauge."""
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await settle(one)
        down = await one.authority.correct(event.alert.identifier, Level.LOW, "Misread", 2, "A. Khan", one.now_ms)
        await one.read(down)
        await settle(one)
        one.now_ms += MINUTE
        await one.read(await one.authority.correct(down.alert.identifier, Level.VERY_HIGH, "Dam", 20, "A. Khan", one.now_ms))
        await settle(one)
        before = heard(one)
        assert sorted(before) == [("c1", 0, "LOW"), ("c1", 1, "HIGH"), ("c2", 0, "LOW"), ("c2", 1, "HIGH")]
        one.now_ms = down.alert.expires_ms + 1000
        await settle(one)
        assert heard(one) == sorted([*before, ("c1", 1, "HIGH"), ("c2", 1, "HIGH")])
        one.now_ms += MINUTE
        await settle(one)
        assert len(heard(one)) == 6


async def test_what_went_by_itself_as_an_end_by_hand_had_run_out_does_not_come_again(tmp_path: Path) -> None:
    """No dispatcher ran then: it reads first what people hear of, and after it a revision of a kind that they do not."""
    async with told(tmp_path) as one:
        made = await called_off(one)
        before, one.now_ms = len(heard(one)), made.alert.expires_ms + 10 * MINUTE
        for revision, kind in ((2, EventKind.ARRIVAL), (3, EventKind.CERTAINTY)):
            sent_ms = made.alert.expires_ms + revision * MINUTE
            await one.read(world.event(one.region, "A", revision, kind, sent_ms=sent_ms, raised_ms=T0, previous=Level.HIGH))
            await one.settle()
        await settle(one)
        assert len(heard(one)) == before + 2


async def test_who_is_killed_as_a_chain_that_was_called_off_rises_tells_its_step_down(tmp_path: Path) -> None:
    """It rose above the end by hand and was told; the next dispatcher begins when that has expired, and finds a step down in the log."""
    async with told(tmp_path) as one:
        await called_off(one)
        one.now_ms += MINUTE
        rose = world.event(
            *(one.region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH),
            sent_ms=one.now_ms,
            raised_ms=T0,
            previous=Level.HIGH,
            expires_ms=one.now_ms + H,
        )
        await one.read(rose)
        while not one.planner.idle or one.courier.waiting:
            await asyncio.sleep(0.002)
        before = heard(one)
        assert before.count(("c1", 2, "VERY_HIGH")) == 1
        await one.stop()  # before what it noticed was entered
        next_one = House(one.region, one.where, one.contacts)
        next_one.now_ms, next_one.sink.sent, next_one.offset = one.now_ms + 2 * H, one.sink.sent, one.offset
        await next_one.start()
        try:
            down_ms = next_one.now_ms - MINUTE
            down = world.event(one.region, "A", 3, EventKind.DOWNGRADE, Level.HIGH, sent_ms=down_ms, raised_ms=T0, previous=Level.VERY_HIGH)
            await next_one.read(down)
            await next_one.settle()
            assert heard(next_one) == sorted([*before, ("c1", 3, "HIGH"), ("c2", 3, "HIGH")])
        finally:
            await next_one.stop()
            await one.start()


@pytest.mark.parametrize("level", [None, Level.HIGH])
async def test_what_ran_out_while_no_dispatcher_ran_is_told_by_the_renewal_that_holds(tmp_path: Path, level: Level | None) -> None:
    """``level``: it waits for a release, too."""
    async with told(tmp_path, level=level) as one:
        one.now_ms = T0 + 4 * H
        one.contacts = (*one.contacts, world.contact(3, level=Level.VERY_HIGH))
        await merge(one.directory, one.contacts, CONFIG, one.now_ms, by=CONFIG)
        await one.read(world.event(one.region, "A", sent_ms=T0, raised_ms=T0, expires_ms=T0 + H))
        await one.settle()
        for revision in (2, 3):
            sent_ms = T0 + revision * H
            await one.read(world.event(one.region, "A", revision, EventKind.RENEW, sent_ms=sent_ms, raised_ms=T0, previous=Level.HIGH))
            await settle(one)
        after = [("c1", 2, "HIGH"), ("c2", 2, "HIGH")]
        if level is not None:
            assert heard(one) == []
            await one.authority.approve(f"{one.region.namespace}.A.{T0 // 1000}.0", level, "A. Khan", one.now_ms)
            await settle(one)
            after = [("c1", 3, "HIGH"), ("c2", 3, "HIGH")]
        assert heard(one) == after


async def test_what_was_silenced_and_then_declined_goes_when_others_release_it(tmp_path: Path) -> None:
    async with told(tmp_path, level=Level.HIGH) as one:
        await one.authority.silence(Silence("A", Level.HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test"))
        await settle(one)
        event = world.event(one.region, "A", sent_ms=one.now_ms, raised_ms=T0)
        await one.read(event)
        await settle(one)
        await one.authority.approve(event.alert.identifier, Level.HIGH, "A. Khan", one.now_ms, granted=False)
        one.now_ms += 2 * H
        await settle(one)
        assert heard(one) == []
        await one.authority.approve(event.alert.identifier, Level.HIGH, "B. Shah", one.now_ms)
        await settle(one)
        assert heard(one) == [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]


@pytest.mark.parametrize("released", [None, False, True])
async def test_an_end_by_hand_that_still_waits_does_not_go_after_the_rise_above_it(tmp_path: Path, released: bool | None) -> None:
    """The queue is long: most had not heard of the end when the water rose. ``released``: the higher class needs a release."""
    async with told(tmp_path, level=None if released is None else Level.VERY_HIGH) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await settle(one)
        before = heard(one)
        one.courier.gate.clear()
        made = await one.authority.cancel(event.alert.identifier, "Misread", "A. Khan", one.now_ms)
        rose = ("A", 2, EventKind.UPGRADE, Level.VERY_HIGH)
        high = world.event(one.region, *rose, sent_ms=one.now_ms + 1000, raised_ms=T0, previous=Level.HIGH)
        for each in (made, high):
            await one.read(each)
            await one.decided.refresh()
            await one.planned()
        one.now_ms += MINUTE
        if released:
            await one.authority.approve(high.alert.identifier, Level.VERY_HIGH, "A. Khan", one.now_ms)
            await one.decided.refresh()
        one.courier.gate.set()
        await settle(one)
        last = (0, "NORMAL") if released is False else (2, "VERY_HIGH")
        assert heard(one) == sorted([*before, ("c1", *last), ("c2", *last)])


def asleep(one: House, until_ms: int) -> Contact:
    """The first contact, whose quiet hours began an hour ago."""
    minutes = [(ms // MINUTE + one.region.utc_offset_s // 60) % 1440 for ms in (one.now_ms - H, until_ms)]
    return replace(one.contacts[0], quiet=(minutes[0], minutes[1]))


async def test_what_is_released_at_night_wakes_nobody_whom_it_may_not_wake(tmp_path: Path) -> None:
    async with told(tmp_path, level=Level.HIGH) as one:
        morning_ms = one.now_ms // MINUTE * MINUTE + 5 * H
        await merge(one.directory, [asleep(one, morning_ms)], CONFIG, one.now_ms, by=CONFIG)
        event = world.event(one.region, "A", 1, EventKind.RAISE, Level.HIGH, sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await one.planned()
        await one.authority.approve(event.alert.identifier, Level.HIGH, "A. Khan", one.now_ms)
        await one.decided.refresh()
        for now_ms, expected in ((one.now_ms, ["c2"]), (morning_ms - 1000, ["c2"]), (morning_ms, ["c1", "c2"])):
            one.now_ms = now_ms
            await one.courier.recheck()
            for lane in one.courier.lanes.values():
                lane._wake.set()
            await one.rest()
            assert [row[0] for row in heard(one)] == expected


async def test_what_is_released_at_night_goes_past_what_sleeps_until_morning(tmp_path: Path) -> None:
    """The lower revision waits for the end of the contact's quiet hours, and stands before the higher one in his queue."""
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        await merge(one.directory, [asleep(one, one.now_ms + 5 * H)], CONFIG, one.now_ms, by=CONFIG)
        high = world.event(one.region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=T0 + 1000, raised_ms=T0, previous=Level.LOW)
        for event in (world.event(one.region, "A", 1, EventKind.RAISE, Level.LOW, sent_ms=T0, raised_ms=T0), high):
            await one.read(event)
            await one.planned()
        assert [row[:2] for row in heard(one)] == [("c2", 1)]
        await one.authority.approve(high.alert.identifier, Level.VERY_HIGH, "A. Khan", one.now_ms)
        await one.decided.refresh()
        for _ in range(3):  # as each second, in whatever order
            one.planner.look_again()
            await one.courier.recheck()
            await one.rest()
        assert [row[:2] for row in heard(one)] == [("c1", 2), ("c2", 1), ("c2", 2)]
