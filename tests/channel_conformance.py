"""One suite that every channel passes: what the other side may do, and what the channel must say then.

A channel's test module defines a fixture ``side`` (a ``Side``) and imports the tests of this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import channel_world as world
import pytest

from warning.dispatch.channel import Channel, Outcome, PartReceipt, Sending
from warning.model import DeliveryState as State
from warning.region import Contact, Region


@dataclass
class Side:
    """The other side under the test's control. Every hook may be a coroutine function; ``receipted``: receipts come after acceptance."""

    channel: Channel
    region: Region
    contact: Contact
    reject: Callable[[], Any]
    throttle: Callable[[], Any]
    silence: Callable[[], Any]
    reset: Callable[[], Any] | None  # None: there is no connection that could break (a folder)
    heal: Callable[[], Any]
    go_away: Callable[[], Awaitable[None]]
    come_back: Callable[[], Awaitable[None]]
    taken: Callable[[], int]  # complete messages that the other side has
    receipts: list[PartReceipt] = field(default_factory=list)
    receipted: bool = False
    receipts_first: Callable[[], Any] = lambda: None
    receipts_twice: Callable[[], Any] = lambda: None
    receipts_lost: Callable[[], Any] = lambda: None
    parts: int = 1
    raised_ms: int = field(default_factory=world.now_ms)  # of one alert, even if a second ends between two sendings

    async def send(self, attempt: int = 1, skip: tuple[int, ...] = ()) -> Outcome:
        event = world.event(self.region, "A", sent_ms=self.raised_ms)
        return await self.channel.send(Sending(attempt, event, self.contact, self.contact.language, attempt, world.HOUR_MS, skip))


GOOD = {False: State.DELIVERED, True: State.ACCEPTED}


async def test_accepted(side: Side) -> None:
    outcome = await side.send()
    assert outcome.state is GOOD[side.receipted]
    assert len(outcome.parts) == side.parts
    assert side.taken() == 1


async def test_rejected_is_not_delivered_and_says_why(side: Side) -> None:
    side.reject()
    outcome = await side.send()
    assert outcome.state in (State.FAILED, State.WAITING) and outcome.reason in ("rejected", "client_error")
    assert side.taken() == 0


async def test_throttled_is_normal_and_goes_through_in_the_end(side: Side) -> None:
    side.throttle()
    outcomes = [await side.send(number) for number in range(1, 4)]
    while any(outcome.state is State.WAITING for outcome in outcomes):
        outcomes = [outcome for outcome in outcomes if outcome.state is not State.WAITING]
        outcomes.append(await side.send(9))
    assert {outcome.state for outcome in outcomes} == {GOOD[side.receipted]}


async def test_a_timeout_says_that_it_may_have_been_sent(side: Side) -> None:
    side.silence()
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.UNKNOWN, "timeout")


async def test_a_reset_under_way_says_that_it_may_have_been_sent_and_does_not_wait(side: Side) -> None:
    if side.reset is None:
        pytest.skip("this channel has no connection")
    side.reset()
    outcome = await asyncio.wait_for(side.send(), 10)
    assert (outcome.state, outcome.reason) == (State.UNKNOWN, "reset")


async def test_what_could_not_be_sent_is_said_to_be_not_sent(side: Side) -> None:
    await side.go_away()
    await asyncio.sleep(0.3)  # until then a loss of the connection may go unnoticed, and "may have been sent" is the truth
    outcome = await side.send()
    assert (outcome.state, outcome.reason in ("unavailable", "connect")) == (State.WAITING, True), outcome
    await side.come_back()
    side.heal()
    await asyncio.wait_for(side.channel.ready(), 60)
    assert (await side.send(2)).state is GOOD[side.receipted]
    assert side.taken() == 1


async def test_it_goes_on_after_every_fault(side: Side) -> None:
    for fault in filter(None, (side.reject, side.reset, side.heal)):
        fault()
        await side.send()
        await asyncio.wait_for(side.channel.ready(), 60)
    side.heal()
    assert (await side.send()).state is GOOD[side.receipted]


async def test_receipts_come_once_per_part(side: Side) -> None:
    outcome = await side.send()
    if side.receipted:
        await world.until(lambda: len(side.receipts) == side.parts, what="a receipt per part")
        assert {receipt.message_id for receipt in side.receipts} == {part.message_id for part in outcome.parts}
    assert {receipt.state for receipt in side.receipts} <= {State.DELIVERED}


async def test_a_receipt_before_its_response_and_one_that_comes_twice_are_both_handed_on(side: Side) -> None:
    side.receipts_first()
    first = await side.send()
    side.receipts_twice()
    second = await side.send(2)
    assert {first.state, second.state} == {GOOD[side.receipted]}
    if side.receipted:
        await world.until(lambda: len(side.receipts) == 3 * side.parts, what="one, then two receipts per part")
        ids = [part.message_id for part in (*first.parts, *second.parts)]
        assert {receipt.message_id for receipt in side.receipts} == set(ids)


async def test_a_lost_receipt_leaves_it_accepted(side: Side) -> None:
    side.receipts_lost()
    outcome = await side.send()
    await asyncio.sleep(0.3)
    assert outcome.state is GOOD[side.receipted] and side.receipts == []
