"""Who is told next where nobody confirms, on a real ledger and directory: nobody waits for ever, and nothing stale is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from test_planning import Phones, Story, planned

from warning.dispatch import escalation as escalating
from warning.dispatch import tables as t
from warning.dispatch.attempts import Claim, Close
from warning.dispatch.channel import Outcome, Part
from warning.dispatch.escalation import Escalation
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import Planner
from warning.dispatch.rows import Open
from warning.facts import nobody
from warning.model import AlertEvent, EventKind, Level
from warning.model import DeliveryState as State
from warning.people.acknowledged import Acknowledgements
from warning.people.directory import Directory
from warning.people.imports import merge
from warning.people.tables import address
from warning.region import Contact

MINUTE_MS = 60_000
ONE = world.contact(1, office="dc", rank=0)
OTHER = world.contact(2, office="dc", rank=1)
ROOM = world.contact(9, control_room=True, level=Level.EXCEPTIONAL)


class Mails(Phones):
    name = "email"

    def address(self, contact: Contact) -> str:
        return contact.email


class Night:
    """A warning that went out, and what escalation does about it. ``at_ms`` moves by hand."""

    def __init__(self, told: Story, answers: Acknowledgements) -> None:
        self.told, self.answers, self.opened = told, answers, list[tuple[str, str, str]]()
        self.start_ms = self.at_ms = world.now_ms()
        self.planner: Planner = told.planner()
        self.planner.channels = (Phones(), Mails())
        self.lost = 0
        self.escalation = Escalation(
            self.planner,
            told.ledger,
            told.directory,
            answers,
            self.contacts,
            lambda some: self.opened.extend((item.alert, contact.id, item.channel) for item, contact in some),
            lambda identifier: identifier[-7:].replace(".", "X").replace("-", "X"),
            lambda: self.at_ms,
            nobody,
            lost=self._lost,
        )

    def _lost(self) -> None:
        self.lost += 1

    async def contacts(self, ids: Collection[str]) -> dict[str, Contact]:
        return await self.told.directory.many(ids)

    async def warn(self, revision: int = 1, kind: EventKind = EventKind.RAISE, outcome: Outcome | None = None) -> AlertEvent:
        """Planned, and with a centre that took it (or what ``outcome`` says)."""
        event = world.event(self.told.region, "A", revision, kind, sent_ms=self.start_ms + revision - 1, raised_ms=self.start_ms)
        await self.told.enter(self.planner, event)
        await planned(self.planner)
        for item in await self.told.ledger.open_deliveries():
            await self.sent(item, outcome)
        return event

    async def sent(self, item: Open, outcome: Outcome | None = None) -> None:
        taken = Outcome(State.ACCEPTED, parts=(Part(1, State.ACCEPTED, f"m{item.id}"),))
        await self.told.ledger.write([Claim(item.id, self.at_ms)])
        await self.told.ledger.write([Close(item.id, outcome or taken, self.at_ms)])

    async def look(self, minute: float) -> int:
        self.at_ms = self.start_ms + round(minute * MINUTE_MS)
        return await self.escalation.look(self.at_ms)

    async def steps(self) -> list[tuple[str, str, str]]:
        rows = await self.told.ledger._rows(select(t.escalations))
        return sorted((row["contact"], row["step"], row["to_contact"]) for row in rows)


@asynccontextmanager
async def night(folder: Path, *contacts: Contact) -> AsyncIterator[Night]:
    region = world.region(folder, contacts)
    region = replace(region, alert=replace(region.alert, escalate_after_s=300))
    told = Story(folder, region, None, None)  # type: ignore[arg-type]
    told.ledger, told.directory = await Ledger.open(told.where.database, region.id), Directory(address(told.where), region)
    answers = Acknowledgements(address(told.where))
    try:
        await merge(told.directory, contacts, "config", world.now_ms(), by="test", whole=True)
        yield Night(told, answers)
    finally:
        await answers.close()
        await told.directory.close()
        await told.ledger.close()


@pytest.mark.parametrize("at_once", [500, 1])
async def test_two_of_an_office_whose_phones_are_off_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Also where they are looked at in two transactions."""
    monkeypatch.setattr(escalating, "MOST", at_once)
    async with night(tmp_path, ONE, OTHER, ROOM) as of:
        event = await of.warn()
        assert await of.look(4) == 0
        await of.look(6)
        assert await of.steps() == [("c1", "control_room", "c9"), ("c2", "control_room", "c9")]
        assert of.opened == [(event.alert.identifier, "c9", "sms")], "once"


@pytest.mark.parametrize("at_once", [500, 1])
async def test_a_colleague_who_has_a_channel_left_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(escalating, "MOST", at_once)
    async with night(tmp_path, ONE, replace(OTHER, email="c2@x.example"), ROOM) as of:
        event = await of.warn()
        await of.look(6)
        assert of.opened == [(event.alert.identifier, "c2", "email")]
        assert await of.steps() == [("c2", "channel", "c2")]
        for item in await of.told.ledger.open_deliveries():
            await of.sent(item)
        await of.look(12)
        assert await of.steps() == [("c1", "control_room", "c9"), ("c2", "channel", "c2"), ("c2", "control_room", "c9")]


async def test_a_colleague_who_answered_before_the_next_channel_was_tried_is_enough(tmp_path: Path) -> None:
    async with night(tmp_path, ONE, replace(OTHER, email="c2@x.example"), ROOM) as of:
        event = await of.warn()
        chain = event.alert.identifier.rpartition(".")[0]
        of.at_ms += 2 * MINUTE_MS
        await of.answers.acknowledge(by="", how="link", at_ms=of.at_ms, contact="c1", chain=chain)
        await of.look(6)
        for item in await of.told.ledger.open_deliveries():
            await of.sent(item)
        await of.look(12)
        assert await of.steps() == [("c1", "answered", ""), ("c2", "answered", "c1"), ("c2", "channel", "c2")]
        assert [to for _, to, _ in of.opened] == ["c2"], "the control room sleeps on"


async def test_of_a_revision_that_a_newer_one_replaced_while_it_was_looked_at_nothing_goes_any_more(tmp_path: Path) -> None:
    async with night(tmp_path, ONE, ROOM) as of:
        await of.warn()
        look_up = of.escalation.contacts

        async def meanwhile(ids: Collection[str]) -> dict[str, Contact]:
            await of.warn(2, EventKind.CLEAR)
            return await look_up(ids)

        of.escalation.contacts = meanwhile
        assert await of.look(6) == 0
        assert of.opened == [] and await of.steps() == []


async def test_what_may_have_gone_and_cannot_go_again_is_not_left_alone(tmp_path: Path) -> None:
    async with night(tmp_path, ONE, ROOM) as of:
        await of.warn(outcome=Outcome(State.UNKNOWN, "reset"))
        assert await of.told.ledger.open_deliveries() == []
        assert await of.look(14) == 0
        await of.look(16)
        assert await of.steps() == [("c1", "control_room", "c9")]


async def test_after_an_outage_of_the_ledger_or_a_freeze_receipts_have_a_minute_to_come_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escalating, "LEAST_LOOK_S", 0.01)
    monkeypatch.setattr(escalating, "MOST_LOOK_S", 0.01)
    async with night(tmp_path, ONE, ROOM) as of:
        looks, escalate, look = list[int](), of.told.ledger.escalate, of.escalation.look

        async def counted(now_ms: int) -> int:
            looks.append(await look(now_ms))
            return looks[-1]

        of.escalation.look = counted  # type: ignore[method-assign]
        await of.warn()
        of.at_ms += 2 * MINUTE_MS
        of.escalation._started_ms = of.start_ms - 1  # it was there when they were accepted
        running = asyncio.create_task(of.escalation.run())
        try:
            await world.until(lambda: len(looks) >= 2, what="at work")
            of.at_ms += 10 * MINUTE_MS
            before = len(looks)
            await world.until(lambda: len(looks) >= before + 3, what="at work again")
            assert of.opened == []
            of.at_ms += MINUTE_MS

            async def unanswered(*args, **kwargs):
                await escalate(*args, **kwargs)
                raise DBAPIError("COMMIT", {}, OSError("the connection went with the answer"))

            monkeypatch.setattr(of.told.ledger, "escalate", unanswered)
            await world.until(lambda: of.lost == 1, what="the ledger has a step whose message nobody was handed: that is said")
            assert len(await of.steps()) == 1 and of.opened == []
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_code_answers_what_it_is_the_code_of_and_a_bare_word_everything(tmp_path: Path) -> None:
    async with night(tmp_path, ONE, ROOM) as of:
        event = await of.warn()
        chain = event.alert.identifier.rpartition(".")[0]
        for code, wanted in (("OLDCODE", set()), (of.escalation.code_of(event.alert.identifier).lower(), {"c1"})):
            await of.answers.acknowledge(by="", how="sms", at_ms=of.at_ms, phone=ONE.phone, code=code)
            await of.escalation.settle()
            assert await of.answers.answered(chain) == wanted, code
    async with night(tmp_path / "bare", ONE, ROOM) as of:
        event = await of.warn()
        await of.answers.acknowledge(by="", how="sms", at_ms=of.at_ms, phone=ONE.phone)
        await of.escalation.settle()
        assert await of.answers.answered(event.alert.identifier.rpartition(".")[0]) == {"c1"}
