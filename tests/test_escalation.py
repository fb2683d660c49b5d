"""Nobody confirms a warning: next channel, office, control room; answers end it, and an outage of the centre starts no avalanche."""

from __future__ import annotations

import asyncio
import doctest
import json
from dataclasses import replace
from pathlib import Path

import channel_world as world
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from test_dispatch import bootstrap, dispatching, outside  # noqa: F401 - a fixture among them

from warning.alerts.lifecycle import chain_of
from warning.dispatch import steps
from warning.dispatch import tables as t
from warning.dispatch.closures import Closures
from warning.dispatch.ledger import Ledger
from warning.dispatch.steps import Others, Stood, overdue, step
from warning.facts import Escalated, Fact
from warning.model import DeliveryState as State
from warning.model import EventKind, Level
from warning.operate import api
from warning.people.acknowledged import Acknowledgements
from warning.people.directory import Directory
from warning.people.imports import CONFIG, merge
from warning.people.tables import address
from warning.region import Contact, Region
from warning.wiring_unreached import unreached

MINUTE_MS = 60_000
AFTER_MS = 5 * MINUTE_MS


def ways(contact: Contact) -> list[tuple[str, str]]:
    found = {"sms": contact.phone, "voice": contact.phone if contact.voice else "", "email": contact.email, "webhook": contact.webhook}
    return [(name, to) for name, to in found.items() if to]


# --- when


def test_the_rule_of_time() -> None:
    assert doctest.testmod(steps).failed == 0


@given(st.sampled_from(list(State)), st.integers(0, 3_600_000), st.integers(0, 3_600_000), st.integers(0, 5))
def test_time_in_which_the_way_was_closed_never_counts_against_what_was_accepted(
    state: State, passed: int, closed: int, attempts: int
) -> None:
    closed = min(closed, passed)
    why = overdue(Stood(state, "sms", 0, closed, attempts), passed, AFTER_MS)
    if state is State.ACCEPTED:
        assert why == ("no_receipt" if passed - closed >= AFTER_MS else "")
    elif state in (State.DELIVERED, State.OVERTAKEN, State.REFUSED):
        assert why == ""
    elif state is State.FAILED:
        assert why == "failed"
    else:
        assert (why == "never_taken") == (passed >= 3 * AFTER_MS and (attempts > 0 or closed >= 3 * AFTER_MS))
    assert overdue(Stood(state, "webhook", 0, closed, attempts), passed, AFTER_MS) == why, "who has a machine alone is not left with it"


def test_an_outage_of_ten_minutes_moves_nobody_to_another_channel() -> None:
    """A message accepted a minute before: its five minutes go on when the centre is back. One that waits in our queue: has not begun."""
    closures = Closures()
    closures.note("sms", True, 0)
    closures.note("sms", False, 1 * MINUTE_MS)
    closures.note("sms", True, 11 * MINUTE_MS)
    for minute, due in ((5, False), (11, False), (14, False), (15, True)):
        closed = closures.closed_ms("sms", 0, minute * MINUTE_MS)
        assert bool(overdue(Stood(State.ACCEPTED, "sms", 0, closed), minute * MINUTE_MS, AFTER_MS)) is due, minute
        assert overdue(Stood(State.WAITING, "sms", 0, closed), minute * MINUTE_MS, AFTER_MS) == ""


# --- to whom


CHIEF = world.contact(1, voice=True, email="chief@x.example", channels=("voice", "sms"), office="dc", rank=0)
DEPUTY = world.contact(2, office="dc", rank=1)
THIRD = world.contact(3, office="dc", rank=2)
ROOM = world.contact(9, control_room=True)


def test_the_ladder_goes_over_channels_office_and_control_room_each_once() -> None:
    office, rooms = [DEPUTY, THIRD], [ROOM]
    others, tried, way = Others(told={"c1"}), {"voice"}, []
    for _ in range(6):
        one = step(CHIEF, tried, office, rooms, others, ways)
        way.append((one.step, one.to.id if one.to else "", one.channel))
        tried.add(one.channel)
        if one.to:
            others.told.add(one.to.id)
    assert way[:4] == [("channel", "c1", "sms"), ("office", "c2", "sms"), ("office", "c3", "sms"), ("control_room", "c9", "sms")]
    assert way[4:] == [("nobody_left", "", "")] * 2


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (Others(reached={"c1"}), ("answered", "")),
        (Others(reached={"c2"}, told={"c1", "c2"}), ("answered", "c2")),
        (Others(trying={"c2"}, told={"c1", "c2"}), ("", "")),
        (Others(trying={"c9"}, told={"c1", "c2", "c3", "c9"}), ("control_room", "c9")),
    ],
)
def test_whoever_was_reached_is_enough_and_whoever_is_being_tried_is_waited_for(others: Others, expected: tuple[str, str]) -> None:
    one = step(CHIEF, {"voice", "sms"}, [DEPUTY, THIRD], [ROOM], others, ways)
    assert (one.step, one.to.id if one.to else "") == expected and not one.anew


# --- the whole of it: a real broker, a real centre


def one_second(region: Region) -> Region:
    return replace(region, alert=replace(region.alert, escalate_after_s=1))


async def rows(where, region) -> list[tuple[str, str, str, str]]:
    """(contact, step, why, to) in the ledger."""
    ledger = await Ledger.open(where.database, region.id)
    try:
        found = await ledger._rows(select(t.escalations).order_by(t.escalations.c.delivery))
        return [(row["contact"], row["step"], row["why"], row["to_contact"]) for row in found]
    finally:
        await ledger.close()


async def test_without_a_receipt_the_office_is_told_and_then_the_control_room_and_every_step_stands_in_the_ledger(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    quiet = [replace(CHIEF, voice=False, email="", channels=()), *(replace(one, level=Level.EXCEPTIONAL) for one in (DEPUTY, ROOM))]
    region = one_second(world.region(tmp_path, quiet))
    where = await world.deployment(bootstrap, tmp_path, "office")
    facts: list[Fact] = []
    async with outside() as (telecom, receiver):
        telecom.behaviour.receipts = 0
        async with dispatching(region, where, telecom, receiver, facts):
            await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
            await world.until(lambda: len(telecom.messages) == 3, what="chief, deputy, room")
            await world.until(lambda: _steps(where, region, 3), what="and nobody is left")
    assert [message["destination"] for message in telecom.messages] == ["9992000001", "9992000002", "9992000009"]
    assert await rows(where, region) == [
        ("c1", "office", "no_receipt", "c2"),
        ("c2", "control_room", "no_receipt", "c9"),
        ("c9", "nobody_left", "no_receipt", ""),
    ]
    assert sum(sum(fact.steps.values()) for fact in facts if isinstance(fact, Escalated)) == 3


async def _steps(where, region, number: int) -> bool:
    return len(await rows(where, region)) >= number


async def test_a_reply_from_the_phone_ends_it_and_an_end_wakes_nobody(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    contacts = [replace(CHIEF, voice=False, email="", channels=()), replace(DEPUTY, level=Level.EXCEPTIONAL)]
    region = replace(world.region(tmp_path, contacts))
    region = replace(region, alert=replace(region.alert, escalate_after_s=3))
    where = await world.deployment(bootstrap, tmp_path, "reply")
    answers = Acknowledgements(address(where))
    start = world.now_ms()
    async with outside() as (telecom, receiver):
        telecom.behaviour.receipts = 0
        async with dispatching(region, where, telecom, receiver):
            await world.publish(where, [world.event(region, "A", sent_ms=start)])
            await world.until(lambda: len(telecom.messages) == 1, what="the chief's message")
            await answers.acknowledge(phone=CHIEF.phone, by="", how="sms", at_ms=world.now_ms())
            await world.until(lambda: _steps(where, region, 1), what="the answer ends it")
            over = world.event(region, "A", 2, EventKind.CLEAR, Level.NORMAL, sent_ms=start + 1000, raised_ms=start, previous=Level.HIGH)
            await world.publish(where, [over])
            await world.until(lambda: len(telecom.messages) == 2, what="the end")
            await asyncio.sleep(4.5)
    await answers.close()
    assert await rows(where, region) == [("c1", "answered", "no_receipt", "")]
    assert [message["destination"] for message in telecom.messages] == ["9992000001"] * 2


async def test_zero_means_never(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [replace(CHIEF, voice=False, email="", channels=()), replace(DEPUTY, level=Level.EXCEPTIONAL)])
    region = replace(region, alert=replace(region.alert, escalate_after_s=0))
    where = await world.deployment(bootstrap, tmp_path, "never")
    async with outside() as (telecom, receiver):
        telecom.behaviour.receipts = 0
        async with dispatching(region, where, telecom, receiver):
            await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
            await world.until(lambda: len(telecom.messages) == 1, what="the chief's message")
            await asyncio.sleep(2.0)
    assert len(telecom.messages) == 1 and await rows(where, region) == []


# --- who was not reached, and answers by link


async def test_the_report_names_who_was_not_reached_until_he_answers_by_the_link_that_only_a_post_uses(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    contacts = [replace(CHIEF, voice=False, email="", channels=()), world.contact(5, hook="agency", phone=False)]
    region = world.region(tmp_path, contacts)
    region = replace(region, urls={**region.urls, "acknowledge": "https://page.example/acknowledge/"})
    where = await world.deployment(bootstrap, tmp_path, "report")
    event, bodies = world.event(region, "A", sent_ms=world.now_ms()), []
    async with outside() as (telecom, receiver):
        telecom.behaviour.receipts = 0
        async with dispatching(region, where, telecom, receiver) as dispatcher:
            send = dispatcher._webhooks.post
            dispatcher._webhooks.post = lambda contact, name, body: (bodies.append(json.loads(body)), send(contact, name, body))[1]
            await world.publish(where, [event])
            await world.until(lambda: len(telecom.messages) == 1 and len(receiver.taken) == 1, what="both")
    chain = chain_of(event.alert.identifier)
    answers = Acknowledgements(address(where))
    link = f"/acknowledge/{chain}/c1/{await answers.token(chain, 'c1')}"
    assert bodies[0]["acknowledge"] == f"https://page.example/acknowledge/{chain}/c5/{await answers.token(chain, 'c5')}"
    app = api.create_app(region, where)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert [(one.contact, [t.state for t in one.tried]) async for one in unreached(where)] == [("c1", ["accepted"])]
        assert (await client.get(link[:-1] + "A" if link[-1] != "A" else link[:-1] + "B")).status_code == 404
        assert (await client.post(link.replace("/c1/", "/c5/"))).status_code == 404
        page = await client.get(link)
        assert page.status_code == 200 and "<form method" in page.text and "form-action 'self'" in page.headers["content-security-policy"]
        assert await answers.answered(chain) == set(), "who only looks at the link has not answered"
        assert "Thank you" in (await client.post(link)).text
        assert await answers.answered(chain) == {"c1"}
        assert "<form" not in (await client.get(link)).text
    await answers.close()
    assert [one async for one in unreached(where, event.alert.identifier)] == []


async def test_who_says_stop_while_his_message_waits_gets_nothing(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    region = world.region(tmp_path, [world.contact(1), world.contact(2)])
    where = await world.deployment(bootstrap, tmp_path, "stop")
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        await asyncio.sleep(1.0)
        await telecom.stop()
        await asyncio.sleep(0.3)
        await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
        await world.until(lambda: _waiting(where, region, 2), what="both wait for the centre")
        directory = Directory(address(where), region)
        await merge(directory, [world.contact(1), replace(world.contact(2), consent=False)], CONFIG, world.now_ms(), by="test", whole=True)
        await directory.close()
        await telecom.start()
        await world.until(lambda: _states(where, region, {"delivered": 1, "refused": 1}), what="one goes, one is refused")
    assert [message["destination"] for message in telecom.messages] == ["9992000001"]


async def _waiting(where, region, number: int) -> bool:
    return await _states(where, region, {"waiting": number})


async def _states(where, region, wanted: dict[str, int]) -> bool:
    ledger = await Ledger.open(where.database, region.id)
    try:
        return {state: count for (_, state), count in (await ledger.counts()).items()} == wanted
    finally:
        await ledger.close()
