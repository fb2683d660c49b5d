"""What a silence or an end by hand kept from going, and waits for a person as that is over: it goes when he or the rule lets it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from dispatch_house import T0, TAKEN, H
from test_come_again import MINUTE, heard, settle, told

from warning.alerts.rules import Silence
from warning.dispatch.channel import Outcome, Sending
from warning.dispatch.returned import Returned
from warning.model import DeliveryState, EventKind, Level
from warning.people.imports import CONFIG, merge


async def test_what_a_silence_kept_goes_when_nobody_answers_and_the_rule_says_send(tmp_path: Path) -> None:
    """The silence ends while it waits for a release: no answer and no silence changes any more, and yet it may go."""
    async with told(tmp_path, level=Level.HIGH) as one:
        one.planner.region = one.returned.region = replace(one.region, alert=replace(one.region.alert, unanswered="send"))
        await one.authority.silence(Silence("A", Level.HIGH, one.now_ms, one.now_ms + 10 * MINUTE, "A. Khan", "siren test"))
        await settle(one)
        await one.read(world.event(one.region, "A", sent_ms=one.now_ms, raised_ms=T0))
        await settle(one)
        one.now_ms += 10 * MINUTE
        await settle(one)
        assert heard(one) == [], "it waits for a release"
        one.now_ms += H
        await settle(one)
        assert heard(one) == [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]
        one.now_ms += H
        await settle(one)
        assert len(heard(one)) == 2, "once"


async def test_what_was_called_off_before_anybody_released_it_goes_when_it_is_released_after_the_end_by_hand(tmp_path: Path) -> None:
    async with told(tmp_path, level=Level.HIGH) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await settle(one)
        made = await one.authority.cancel(event.alert.identifier, "Misread", "A. Khan", one.now_ms)
        await one.read(made)
        await settle(one)
        one.now_ms = made.alert.expires_ms + 1000
        await settle(one)
        assert heard(one) == [], "it waits for a release"
        await one.authority.approve(event.alert.identifier, Level.HIGH, "B. Shah", one.now_ms)
        await settle(one)
        assert heard(one) == [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]
        one.now_ms += MINUTE
        await settle(one)
        assert len(heard(one)) == 2, "once"


async def test_a_step_down_that_ran_out_while_no_dispatcher_ran_is_told_to_who_heard_of_more(tmp_path: Path) -> None:
    """The contact asks for VERY_HIGH alone, and had it: the renewal says that it is HIGH now, for the step down came too late."""
    async with told(tmp_path) as one:
        one.contacts = (*one.contacts, world.contact(3, level=Level.VERY_HIGH))
        await merge(one.directory, one.contacts, CONFIG, one.now_ms, by=CONFIG)
        await one.read(world.event(one.region, "A", level=Level.VERY_HIGH, sent_ms=T0, raised_ms=T0, expires_ms=T0 + H))
        await settle(one)
        assert ("c3", 1, "VERY_HIGH") in heard(one)
        one.now_ms = T0 + 4 * H
        down = ("A", 2, EventKind.DOWNGRADE, Level.HIGH)
        sent_ms = T0 + H // 2
        await one.read(world.event(one.region, *down, sent_ms=sent_ms, raised_ms=T0, previous=Level.VERY_HIGH, expires_ms=T0 + 2 * H))
        await settle(one)
        renewed = ("A", 3, EventKind.RENEW, Level.HIGH)
        await one.read(world.event(one.region, *renewed, sent_ms=T0 + 2 * H, raised_ms=T0, previous=Level.HIGH))
        await settle(one)
        assert heard(one)[-1] == ("c3", 3, "HIGH")


async def test_what_comes_again_while_a_silence_lasts_goes_when_that_ends(tmp_path: Path) -> None:
    """The end by hand has run out, and the zone is silenced just then: nobody hears, and all do when the silence is over."""
    async with told(tmp_path) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await settle(one)
        made = await one.authority.cancel(event.alert.identifier, "Misread", "A. Khan", one.now_ms)
        await one.read(made)
        await settle(one)
        before = heard(one)
        one.now_ms = made.alert.expires_ms - MINUTE
        await one.authority.silence(Silence("A", Level.HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test"))
        for minutes in (2, 57):
            one.now_ms += minutes * MINUTE
            await settle(one)
            assert heard(one) == before
        one.now_ms += MINUTE
        await settle(one)
        after = sorted([*before, ("c1", 1, "HIGH"), ("c2", 1, "HIGH")])
        assert heard(one) == after
        one.now_ms += H
        await settle(one)
        assert heard(one) == after, "once"


async def test_what_was_declined_and_is_released_goes_at_once_where_no_silence_may_hold_it(tmp_path: Path) -> None:
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        assert Level.VERY_HIGH in one.region.alert.at_once
        await one.authority.silence(Silence("A", Level.EXCEPTIONAL, one.now_ms, one.now_ms + H, "A. Khan", "siren test"))
        event = world.event(one.region, "A", level=Level.VERY_HIGH, sent_ms=one.now_ms, raised_ms=T0)
        await one.read(event)
        await settle(one)
        await one.authority.approve(event.alert.identifier, Level.VERY_HIGH, "A. Khan", one.now_ms, granted=False)
        one.now_ms += MINUTE
        await settle(one)
        assert heard(one) == []
        await one.authority.approve(event.alert.identifier, Level.VERY_HIGH, "B. Shah", one.now_ms)
        await settle(one)
        assert heard(one) == [("c1", 1, "VERY_HIGH"), ("c2", 1, "VERY_HIGH")]


async def test_a_step_down_that_a_silence_kept_is_told_by_what_follows_it_though_that_is_below_his_class(tmp_path: Path) -> None:
    """He asks for VERY_HIGH alone, and heard of it. What fell since then was silenced, and a new arrival is no matter of his class."""
    async with told(tmp_path) as one:
        one.contacts = (*one.contacts, world.contact(3, level=Level.VERY_HIGH))
        await merge(one.directory, one.contacts, CONFIG, one.now_ms, by=CONFIG)
        await one.read(world.event(one.region, "A", level=Level.VERY_HIGH, sent_ms=T0, raised_ms=T0))
        await settle(one)
        await one.authority.silence(Silence("A", Level.VERY_HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test"))
        await settle(one)
        for revision, kind, previous in ((2, EventKind.DOWNGRADE, Level.VERY_HIGH), (3, EventKind.ARRIVAL, Level.HIGH)):
            await one.read(world.event(one.region, "A", revision, kind, sent_ms=one.now_ms, raised_ms=T0, previous=previous))
            await settle(one)
        assert [row for row in heard(one) if row[0] == "c3"] == [("c3", 1, "VERY_HIGH")]
        one.now_ms += H
        await settle(one)
        assert [row for row in heard(one) if row[0] == "c3"] == [("c3", 1, "VERY_HIGH"), ("c3", 3, "HIGH")]


async def test_a_step_down_that_a_silence_kept_until_it_ran_out_is_told_by_the_renewal(
    tmp_path: Path,
) -> None:
    async with told(tmp_path) as one:
        one.contacts = (*one.contacts, world.contact(3, level=Level.VERY_HIGH))
        await merge(one.directory, one.contacts, CONFIG, one.now_ms, by=CONFIG)
        await one.read(world.event(one.region, "A", level=Level.VERY_HIGH, sent_ms=T0, raised_ms=T0))
        await settle(one)
        await one.authority.silence(Silence("A", Level.VERY_HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test"))
        await settle(one)
        for revision, kind, hours in ((2, EventKind.DOWNGRADE, 0.5), (3, EventKind.RENEW, 6)):
            over_ms = one.now_ms + round(hours * H)
            await one.read(world.event(one.region, "A", revision, kind, sent_ms=one.now_ms, raised_ms=T0, expires_ms=over_ms))
            await settle(one)
        assert len(heard(one)) == 3
        one.now_ms += H
        await settle(one)
        assert [row[1:] for row in heard(one) if row[0] == "c3"] == [(1, "VERY_HIGH"), (3, "HIGH")]


@pytest.mark.parametrize("ends", ["by itself", "early", "early, and the dispatcher is started again"])
async def test_what_goes_again_and_runs_out_before_it_went_is_told_by_the_renewal(tmp_path: Path, ends: str) -> None:
    """The silence ends while something of the chain is being planned, for as long as it has left; nobody decides anything after that."""
    async with told(tmp_path) as one:
        until_ms = one.now_ms + (H if ends == "by itself" else 9 * H)
        number = await one.authority.silence(Silence("A", Level.HIGH, one.now_ms, until_ms, "A. Khan", "siren test"))
        await settle(one)
        await one.read(world.event(one.region, "A", sent_ms=one.now_ms, raised_ms=T0, expires_ms=one.now_ms + H + MINUTE))
        await settle(one)
        await one.stop_planner()
        await one.read(world.event(one.region, "A", 2, EventKind.RENEW, sent_ms=one.now_ms, raised_ms=T0))
        one.now_ms += H
        if ends != "by itself":
            await one.authority.end_silence(number, "B. Shah", one.now_ms)
        await one.decided.refresh()
        if ends.endswith("again"):
            one.returned = Returned(one.region, one.people, one.decisions, one.ledger, one.courier)
        await one.returned.look(one.decided.standing, one.now_ms)
        await one.resends.look()
        one.now_ms += MINUTE
        one.begin_planner()
        await settle(one)
        one.now_ms += MINUTE
        await settle(one)
        assert heard(one) == [("c1", 2, "HIGH"), ("c2", 2, "HIGH")]
        one.now_ms += H
        await settle(one)
        assert len(heard(one)) == 2, "once"


async def test_what_comes_again_to_some_does_not_stand_for_what_comes_again_to_all(tmp_path: Path) -> None:
    async with told(tmp_path) as one:
        await one.read(world.event(one.region, "A", sent_ms=T0, raised_ms=T0))
        await settle(one)
        renewed = world.event(one.region, "A", 2, EventKind.RENEW, sent_ms=one.now_ms, raised_ms=T0)
        await one.read(renewed)
        await settle(one)
        await one.stop_planner()
        assert await one.planner.comes_again(renewed, since=1)
        assert not await one.planner.comes_again(renewed), "look again"
        one.begin_planner()
        await settle(one)
        assert len(heard(one)) == 2
        assert await one.planner.comes_again(renewed)
        await settle(one)
        assert [row[:2] for row in heard(one)] == [("c1", 1), ("c1", 2), ("c2", 1), ("c2", 2)]


async def test_what_was_the_newest_a_moment_ago_does_not_come_again_after_what_is_newer(tmp_path: Path) -> None:
    """The end of the chain was read and told between the look at the ledger and the plan."""
    async with told(tmp_path) as one:
        said = {"raised_ms": T0, "previous": Level.HIGH}
        renewed = world.event(one.region, "A", 2, EventKind.RENEW, sent_ms=T0 + 1, **said)
        over = world.event(one.region, "A", 3, EventKind.CLEAR, Level.NORMAL, sent_ms=T0 + 2, **said)
        for event in (world.event(one.region, "A", sent_ms=T0, raised_ms=T0), renewed, over):
            await one.read(event)
            await settle(one)
        before = heard(one)
        assert not await one.planner.comes_again(renewed)
        await settle(one)
        assert heard(one) == before and before[-1] == ("c2", 3, "NORMAL")


async def test_a_second_correction_that_nobody_releases_leaves_the_end_of_the_first_one_as_it_was(tmp_path: Path) -> None:
    """The first one has run out while the zone is silenced, and the second waits for a release: when the silence ends the gauge speaks."""
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await settle(one)
        first = await one.authority.correct(event.alert.identifier, Level.LOW, "Misread", 2, "A. Khan", one.now_ms)
        await one.read(first)
        await settle(one)
        before = heard(one)
        one.now_ms = first.alert.expires_ms - MINUTE
        await one.authority.silence(Silence("A", Level.HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test"))
        one.now_ms += 2 * MINUTE
        await settle(one)
        await one.read(await one.authority.correct(event.alert.identifier, Level.VERY_HIGH, "Dam", 20, "A. Khan", one.now_ms))
        await settle(one)
        assert heard(one) == before
        one.now_ms += H
        await settle(one)
        after = sorted([*before, ("c1", 1, "HIGH"), ("c2", 1, "HIGH")])
        assert heard(one) == after
        one.now_ms += H
        await settle(one)
        assert heard(one) == after, "once"


@pytest.mark.parametrize("declined", [False, True])
async def test_what_holds_below_a_rise_that_waits_comes_again_and_the_rise_when_it_is_released(tmp_path: Path, declined: bool) -> None:
    """HIGH was told, VERY_HIGH waited for a release as all was cancelled by hand: when that ends nobody must believe that it is over."""
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        said = {"raised_ms": T0, "previous": Level.HIGH}
        for event in (
            world.event(one.region, "A", sent_ms=T0, raised_ms=T0),
            world.event(one.region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=T0, **said),
        ):
            await one.read(event)
            await settle(one)
        made = await one.authority.cancel(event.alert.identifier, "Misread", "A. Khan", one.now_ms)
        await one.read(made)
        await settle(one)
        before = heard(one)
        one.now_ms = made.alert.expires_ms - MINUTE
        if declined:
            await one.authority.approve(event.alert.identifier, Level.VERY_HIGH, "B. Shah", one.now_ms, granted=False)
        one.now_ms += 2 * MINUTE
        await settle(one)
        after = sorted([*before, ("c1", 1, "HIGH"), ("c2", 1, "HIGH")])
        assert heard(one) == after
        one.now_ms += MINUTE
        await one.authority.approve(event.alert.identifier, Level.VERY_HIGH, "C. Roy", one.now_ms)
        await settle(one)
        assert heard(one) == sorted([*after, ("c1", 2, "VERY_HIGH"), ("c2", 2, "VERY_HIGH")])
        one.now_ms += H
        await settle(one)
        assert len(heard(one)) == len(after) + 2, "once"


async def test_what_a_silence_kept_until_it_ran_out_is_told_by_the_renewal_though_a_rise_above_it_waits(tmp_path: Path) -> None:
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        await one.authority.silence(Silence("A", Level.HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test"))
        await settle(one)
        kinds = ((EventKind.RAISE, Level.HIGH, 0.5), (EventKind.RENEW, Level.HIGH, 6), (EventKind.UPGRADE, Level.VERY_HIGH, 6))
        for revision, (kind, level, hours) in enumerate(kinds, 1):
            said = {"raised_ms": T0, "previous": Level.HIGH, "expires_ms": one.now_ms + round(hours * H)}
            await one.read(world.event(one.region, "A", revision, kind, level, sent_ms=one.now_ms, **said))
            await settle(one)
        assert heard(one) == []
        one.now_ms += H
        await settle(one)
        assert heard(one) == [("c1", 2, "HIGH"), ("c2", 2, "HIGH")]
        await one.authority.approve(f"{one.region.namespace}.A.{T0 // 1000}.3", Level.VERY_HIGH, "B. Shah", one.now_ms)
        await settle(one)
        assert heard(one) == [("c1", 2, "HIGH"), ("c1", 3, "VERY_HIGH"), ("c2", 2, "HIGH"), ("c2", 3, "VERY_HIGH")]


async def test_what_comes_again_is_told_to_who_had_a_revision_that_hardly_anybody_hears(tmp_path: Path) -> None:
    """They had the renewal in place of what had run out before they heard of it, and were told by hand since that it is over."""
    async with told(tmp_path) as one:
        one.now_ms = T0 + 2 * H
        await one.read(world.event(one.region, "A", sent_ms=T0, raised_ms=T0, expires_ms=T0 + H))
        renewed = world.event(one.region, "A", 2, EventKind.RENEW, sent_ms=one.now_ms, raised_ms=T0, previous=Level.HIGH)
        await one.read(renewed)
        await settle(one)
        made = await one.authority.cancel(renewed.alert.identifier, "Misread", "A. Khan", one.now_ms)
        await one.read(made)
        await settle(one)
        before = [("c1", 0, "NORMAL"), ("c1", 2, "HIGH"), ("c2", 0, "NORMAL"), ("c2", 2, "HIGH")]
        assert heard(one) == before
        one.now_ms = made.alert.expires_ms + 1000
        for _ in range(3):
            await settle(one)
        after = sorted([*before, ("c1", 2, "HIGH"), ("c2", 2, "HIGH")])
        assert heard(one) == after
        one.returned = Returned(one.region, one.people, one.decisions, one.ledger, one.courier)  # the next dispatcher
        await settle(one)
        assert heard(one) == after


async def test_a_correction_that_waits_does_not_go_after_a_later_one_that_went(tmp_path: Path) -> None:
    """VERY_HIGH waits for a release, another clerk says LOW in its place, and then the first is released: LOW is the last that was said."""
    async with told(tmp_path, level=Level.VERY_HIGH) as one:
        event = world.event(one.region, "A", sent_ms=T0, raised_ms=T0)
        await one.read(event)
        await settle(one)
        up = await one.authority.correct(event.alert.identifier, Level.VERY_HIGH, "Dam", 3, "A. Khan", one.now_ms)
        await one.read(up)
        await settle(one)
        one.now_ms += MINUTE
        await one.read(await one.authority.correct(event.alert.identifier, Level.LOW, "Misread", 2, "B. Shah", one.now_ms))
        await settle(one)
        before = [("c1", 0, "LOW"), ("c1", 1, "HIGH"), ("c2", 0, "LOW"), ("c2", 1, "HIGH")]
        assert heard(one) == before
        await one.authority.approve(up.alert.identifier, Level.VERY_HIGH, "C. Roy", one.now_ms)
        one.now_ms += MINUTE
        await settle(one)
        assert heard(one) == before
        one.now_ms += 2 * H
        for _ in range(2):
            await settle(one)
        assert heard(one) == sorted([*before, ("c1", 1, "HIGH"), ("c2", 1, "HIGH")]), "the gauge speaks, as nothing else does"


async def test_what_the_rule_let_out_is_not_overtaken_by_what_waits(tmp_path: Path) -> None:
    """Nobody answered, so it goes; the gateway takes nothing just then, and a new arrival of that class waits for an answer of its own."""
    async with told(tmp_path, level=Level.HIGH) as one:
        one.planner.region = one.returned.region = replace(one.region, alert=replace(one.region.alert, unanswered="send"))
        await one.read(world.event(one.region, "A", sent_ms=one.now_ms, raised_ms=T0))
        one.sink.outcome = Outcome(DeliveryState.WAITING, "throttled", retry_after_s=60)
        one.now_ms += H
        await settle(one)
        one.now_ms += 30_000
        await one.read(world.event(one.region, "A", 2, EventKind.ARRIVAL, sent_ms=one.now_ms, raised_ms=T0, previous=Level.HIGH))
        await settle(one)
        one.now_ms += 2 * MINUTE
        one.sink.outcome = TAKEN
        await settle(one)
        assert heard(one) == [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]
        one.now_ms += H
        await settle(one)
        assert heard(one) == [("c1", 1, "HIGH"), ("c1", 2, "HIGH"), ("c2", 1, "HIGH"), ("c2", 2, "HIGH")]


async def test_what_the_rule_let_out_and_was_refused_under_way_is_not_replaced_by_what_waits(tmp_path: Path) -> None:
    async with told(tmp_path, level=Level.HIGH) as one:
        one.planner.region = one.returned.region = replace(one.region, alert=replace(one.region.alert, unanswered="send"))
        await one.read(world.event(one.region, "A", sent_ms=one.now_ms, raised_ms=T0))
        one.now_ms += H
        newer = [world.event(one.region, "A", 2, EventKind.ARRIVAL, sent_ms=one.now_ms, raised_ms=T0, previous=Level.HIGH)]
        takes = one.sink.send

        async def refuses(sending: Sending) -> Outcome:
            while newer:
                await one.read(newer.pop())
            await one.planned()
            return Outcome(DeliveryState.WAITING, "throttled", retry_after_s=60)

        one.sink.send = refuses
        await settle(one)
        one.now_ms += 2 * MINUTE
        one.sink.send = takes
        await settle(one)
        assert heard(one) == [("c1", 1, "HIGH"), ("c2", 1, "HIGH")]
