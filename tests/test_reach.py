"""Who cannot be reached is seen, and others hear in his place at once; a warning that nobody hears of is told of."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import channel_world as world
import httpx
import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import event as happens
from sqlalchemy import insert, select
from sqlalchemy.engine import Engine
from test_dispatch import bootstrap, dispatching, outside  # noqa: F401 - a fixture among them
from test_escalation_ledger import Mails, Night, night
from test_planning import Phones, planned

from warning.alerts.rules import Approval
from warning.dispatch import escalation as escalating
from warning.dispatch import pulse
from warning.dispatch import tables as t
from warning.dispatch.channel import Outcome
from warning.facts import AlertHandled, AlertsUntold, Fact
from warning.model import DeliveryState as State
from warning.model import EventKind, Level, to_json
from warning.operate import api
from warning.people.consent import say
from warning.people.imports import leave, merge
from warning.people.standing import Standing
from warning.people.unreached import Unreached
from warning.region import Contact

ROOM = world.contact(9, control_room=True, level=Level.EXCEPTIONAL)


class Hooks(Phones):
    name = "webhook"

    def address(self, contact: Contact) -> str:
        return contact.webhook


@asynccontextmanager
async def reach(folder: Path, *contacts: Contact):
    async with night(folder, *contacts) as of:
        of.facts = list[Fact]()
        of.planner.channels, of.planner.listen = (Phones(), Hooks()), of.facts.append
        yield of


async def rows(of: Night) -> set[tuple[str, str, str, str]]:
    found = await of.told.ledger._rows(select(t.deliveries))
    return {(row["contact"], row["channel"], row["state"], row["reason"]) for row in found}


def without_way(of: Night) -> dict[str, int]:
    return dict(next(fact for fact in of.facts if isinstance(fact, AlertHandled)).without_way)


def approving(of: Night, level: Level = Level.HIGH, unanswered: str = "hold") -> None:
    rules = replace(of.told.region.alert, approve_from=level, approve_within_s=600, unanswered=unanswered)
    of.planner.region = replace(of.told.region, alert=rules)
    of.planner.wall_ms = lambda: of.at_ms
    of.told.ledger.withheld = of.planner.withheld
    of.planner.routed = lambda some: of.opened.extend((item.alert, contact.id, item.channel) for item, contact in some)


async def upgrade(of: Night, revision: int = 2, level: Level = Level.HIGH, kind: EventKind = EventKind.UPGRADE):
    sent_ms = of.start_ms + revision
    event = world.event(of.told.region, "A", revision, kind, level, sent_ms=sent_ms, raised_ms=of.start_ms, previous=Level.LOW)
    await of.told.enter(of.planner, event)
    await planned(of.planner)
    return event


# --- who has no way

MAIL = {"phone": False, "email": "x@x.example"}  # and there is no relay


@pytest.mark.parametrize(
    ("lost", "why"),
    [
        (world.contact(1, office="dc", **MAIL), "no_route"),
        (world.contact(1, office="dc", email="x@x.example", channels=("email",)), "no_route"),
        (world.contact(1, office="dc", phone=False), "no_address"),
        (world.contact(1, office="dc", consent=False), "no_consent"),
        (world.contact(1, role="official", consent=False), "no_consent"),
    ],
)
async def test_who_has_no_way_has_a_row_and_others_hear_in_his_place_at_once(tmp_path: Path, lost: Contact, why: str) -> None:
    deputy = world.contact(2, office="dc", rank=1, level=Level.EXCEPTIONAL)  # would not hear of it himself
    async with reach(tmp_path, lost, deputy, ROOM, world.contact(5)) as of:
        event = await of.warn()
        assert ("c1", "none", "refused", why) in await rows(of) and without_way(of) == {why: 1}
        instead = ("office", "c2") if lost.office else ("control_room", "c9")
        await of.look(0)
        assert await of.steps() == [("c1", *instead)] and of.opened == [(event.alert.identifier, instead[1], "sms")]
        report = Unreached(of.told.where.database, of.answers)
        [one] = [one for one in await report.of(event.alert.identifier) if one.contact == "c1"]
        assert [(each.channel, each.state, each.reason, each.step) for each in one.tried] == [("none", "refused", why, instead[0])]
        await report.close()
        await of.look(1)
        assert len(of.opened) == 1, "once"


async def test_who_of_the_public_said_stop_has_chosen_and_stands_nowhere(tmp_path: Path) -> None:
    async with reach(tmp_path, world.contact(1), world.contact(2, **MAIL), ROOM) as of:
        for stopped in (world.contact(1).phone, "x@x.example"):
            await say(of.told.directory, stopped, given=False, at_ms=1, by="himself", how="sms")
        await of.warn()
        await of.look(0)
        assert await rows(of) == set() and await of.steps() == [] and without_way(of) == {}


async def test_who_stops_or_is_removed_while_his_message_waits_is_told_of_only_if_others_rely_on_him(tmp_path: Path) -> None:
    some = [world.contact(1), world.contact(2, office="dc"), world.contact(3)]
    async with reach(tmp_path, *some, ROOM) as of:
        event = world.event(of.told.region, "A", sent_ms=of.start_ms)
        await of.told.enter(of.planner, event)
        await planned(of.planner)
        for one in some[:2]:
            await say(of.told.directory, one.phone, given=False, at_ms=1, by="himself", how="sms")
        await leave(of.told.directory, ["c3"], 1, by="office")
        for item in await of.told.ledger.open_deliveries():  # as the courier ends them
            gone = item.contact == "c3"
            await of.told.ledger.end([item.id], *((State.FAILED, "contact_gone") if gone else (State.REFUSED, "no_consent")), of.at_ms)
        await of.look(0)
        assert await of.steps() == [("c1", "unsubscribed", ""), ("c2", "control_room", "c9"), ("c3", "control_room", "c9")]
        assert [to for _, to, _ in of.opened] == ["c9"], "once"


async def test_an_exercise_looks_for_no_way_to_live_contacts(tmp_path: Path) -> None:
    async with reach(tmp_path, world.contact(1, phone=False, live=True), ROOM) as of:
        await of.warn()
        assert await rows(of) == set() and await of.look(0) == 0


async def test_an_endpoint_that_wants_nothing_any_more_is_the_end_of_an_office_and_not_of_an_agency(tmp_path: Path) -> None:
    async with reach(tmp_path, world.contact(1, hook="a", phone=False), world.contact(2, hook="b"), ROOM) as of:
        at = [{"contact": f"c{n}", "address": f"rehearsal:{hook}", "at_ms": 1} for n, hook in ((1, "a"), (2, "b"))]
        async with of.told.ledger._writing() as connection:
            await connection.execute(insert(t.endpoints_off), at)
        await of.warn()
        off = {("c1", "webhook", "refused", "endpoint_off"), ("c1", "none", "refused", "endpoint_off")}
        assert await rows(of) == {*off, ("c2", "webhook", "refused", "endpoint_off"), ("c2", "sms", "accepted", "")}
        await of.look(0)
        assert await of.steps() == [("c1", "control_room", "c9")]


# --- control rooms that are machines


async def test_a_control_room_that_has_a_webhook_alone_is_told_by_it_and_what_it_took_counts(tmp_path: Path) -> None:
    room = replace(world.contact(9, hook="room", phone=False), control_room=True, level=Level.EXCEPTIONAL)
    async with reach(tmp_path, world.contact(1), world.contact(2), room) as of:
        event = await of.warn()
        await of.look(6)
        assert of.opened == [(event.alert.identifier, "c9", "webhook")], "both tell it once"
        assert await of.steps() == [("c1", "control_room", "c9"), ("c2", "control_room", "c9")]
        for item in await of.told.ledger.open_deliveries():
            await of.sent(item, Outcome(State.DELIVERED))
        await of.look(60)
        assert len(await of.steps()) == 2


async def test_a_control_room_whose_webhook_fails_is_no_end_and_one_that_heard_by_itself_is(tmp_path: Path) -> None:
    dead = world.contact(8, hook="dead", phone=False, control_room=True, rank=0)
    async with reach(tmp_path, world.contact(1), dead, replace(ROOM, rank=1)) as of:
        event = world.event(of.told.region, "A", sent_ms=of.start_ms)
        await of.told.enter(of.planner, event)
        await planned(of.planner)
        for item in await of.told.ledger.open_deliveries():
            await of.sent(item, Outcome(State.FAILED, "gone") if item.channel == "webhook" else None)
        await of.look(1)
        assert await of.steps() == [("c8", "control_room", "c9")]
    heard = world.contact(8, hook="well", phone=False, control_room=True)
    async with reach(tmp_path / "heard", world.contact(1), heard, ROOM) as of:
        event = world.event(of.told.region, "A", sent_ms=of.start_ms)
        await of.told.enter(of.planner, event)
        await planned(of.planner)
        for item in await of.told.ledger.open_deliveries():
            await of.sent(item, Outcome(State.DELIVERED) if item.channel == "webhook" else None)
        await of.look(6)
        assert await of.steps() == [("c1", "control_room", "c8")] and of.opened == []


async def test_a_webhook_that_fails_beside_a_phone_wakes_nobody(tmp_path: Path) -> None:
    async with reach(tmp_path, world.contact(1, hook="a"), ROOM) as of:
        event = world.event(of.told.region, "A", sent_ms=of.start_ms)
        await of.told.enter(of.planner, event)
        await planned(of.planner)
        for item in await of.told.ledger.open_deliveries():
            await of.sent(item, Outcome(State.FAILED, "server_error") if item.channel == "webhook" else None)
        await of.look(1)
        assert await of.steps() == [("c1", "own_channels", "")] and of.opened == []


async def test_a_control_room_that_has_mail_alone_is_told_by_it(tmp_path: Path) -> None:
    room = replace(ROOM, phone="", email="room@x.example")
    async with reach(tmp_path, world.contact(1), room) as of:
        of.planner.channels = (Phones(), Mails())
        await of.warn()
        await of.look(6)
        assert [(to, channel) for _, to, channel in of.opened] == [("c9", "email")]


# --- how much it asks


async def test_many_overdue_are_not_as_many_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In twenty transactions, as ten thousand by five hundred are."""
    many, at_once = 1000, 50
    monkeypatch.setattr(escalating, "MOST", at_once)
    contacts = [world.contact(n, office=f"o{n % 300}", level=Level.EXCEPTIONAL) for n in range(many)]
    async with reach(tmp_path, replace(ROOM, id="room")) as of:
        event = await of.warn()
        await merge(of.told.directory, contacts, "file", 1, by="test")
        row = {"alert": event.alert.identifier, "revision": 1, "chain": event.alert.identifier.rpartition(".")[0], "zone": "A"}
        row |= {"level": "HIGH", "channel": "sms", "language": "en", "state": "failed", "reason": "undeliv", "attempts": 3, "due_ms": 0}
        row |= {"expires_ms": event.alert.expires_ms, "doubled": False, "handed": True, "parts": 1, "parts_delivered": 0}
        row |= {"created_ms": of.start_ms, "changed_ms": of.start_ms}
        async with of.told.ledger._writing() as connection:
            await connection.execute(insert(t.deliveries), [{**row, "contact": one.id} for one in contacts])
        asked: list[str] = []

        def count(connection, cursor, statement, parameters, context, executemany) -> None:
            asked.append(statement)

        happens.listen(Engine, "before_cursor_execute", count)
        try:
            assert await of.look(1) == many
        finally:
            happens.remove(Engine, "before_cursor_execute", count)
    assert len(asked) <= 20 * many / at_once + 40, f"{len(asked)} statements"


# --- what nobody hears of


@asynccontextmanager
async def watched(folder: Path, *contacts: Contact):
    async with reach(folder, *contacts) as of:
        of.told_operators = list[list[str]]()

        async def tell(events) -> None:
            of.told_operators.append([event.alert.identifier for event in events])

        of.escalation.untold.tell, of.escalation.untold.listen = tell, of.facts.append
        yield of


async def untold(of: Night) -> list[str]:
    found = await of.escalation.untold.look(of.at_ms)
    assert {row["alert"] for row in await of.told.ledger._rows(select(t.untold))} == found
    assert of.facts[-1] == AlertsUntold(len(found))
    return sorted(found)


async def test_a_zone_without_contacts_is_told_of_once_until_it_ends(tmp_path: Path) -> None:
    agency = world.contact(1, hook="far", phone=False, id="agency-7")  # subscribed to everything
    async with watched(tmp_path, replace(agency, districts=("lower",)), world.contact(2, districts=("lower",))) as of:
        event = await of.warn()
        assert await untold(of) == [event.alert.identifier] == await untold(of)
        await of.warn(2, EventKind.CLEAR)
        assert await untold(of) == []
        assert of.told_operators == [[event.alert.identifier]] * 2 + [[]], "how often they are told is the affair of ``lasting``"


async def test_a_warning_whose_every_contact_cannot_be_reached_is_told_of_and_one_that_waits_is_not(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path, world.contact(1), world.contact(2, **MAIL)) as of:
        event = world.event(of.told.region, "A", sent_ms=of.start_ms)
        await of.told.enter(of.planner, event)
        assert await untold(of) == [], "it is being planned"
        await planned(of.planner)
        assert await untold(of) == [], "one waits"
        [item] = await of.told.ledger.open_deliveries()
        await of.sent(item, Outcome(State.FAILED, "undeliv"))
        assert await untold(of) == [event.alert.identifier]


async def test_a_class_that_all_chose_not_to_hear_of_an_exercise_and_what_waits_for_a_person_are_no_fault(tmp_path: Path) -> None:
    async with watched(tmp_path / "class", world.contact(1, level=Level.EXCEPTIONAL)) as of:
        await of.warn()
        assert await untold(of) == []
    async with watched(tmp_path / "live", world.contact(1, live=True)) as of:
        await of.warn()
        assert await rows(of) == {("c1", "sms", "refused", "live_contact")} and await untold(of) == []
    async with watched(tmp_path / "held") as of:
        approving(of)
        high = await upgrade(of)
        assert await untold(of) == []
        of.planner.people.approvals = (Approval(high.alert.identifier.rpartition(".")[0], Level.HIGH, "Chief", of.at_ms),)
        of.planner.look_again()
        await planned(of.planner)
        assert await untold(of) == [high.alert.identifier]


async def test_the_api_names_what_does_not_get_to_all_whom_it_should(tmp_path: Path) -> None:
    async with watched(tmp_path, world.contact(1, phone=False), world.contact(2, office="dc", consent=False)) as of:
        event = await of.warn()
        await of.look(0)
        await untold(of)
        app = api.create_app(of.told.region, of.told.where, clock=lambda: of.at_ms / 1000)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            said = (await client.get("/v1/reach")).json()
    assert said["known"] is True
    [one] = said["alerts"]
    assert (one["identifier"], one["without_way"], one["nobody_left"]) == (event.alert.identifier, 2, 2) and one["untold_since"]


async def test_who_sleeps_is_passed_over_for_who_is_awake_and_waited_for_where_nobody_is(tmp_path: Path) -> None:
    def asleep(of: Night) -> tuple[int, int]:
        minute = (of.start_ms // 60_000 + of.told.region.utc_offset_s // 60) % 1440
        return (minute - 60) % 1440, (minute + 120) % 1440

    some = world.contact(1, office="dc", phone=False), world.contact(2, office="dc", rank=1, level=Level.EXCEPTIONAL)
    for rooms, wanted in (((ROOM,), [("c1", "control_room", "c9")]), ((), [])):
        async with reach(tmp_path / str(len(rooms)), *some, *rooms) as of:
            await merge(of.told.directory, [replace(some[1], quiet=asleep(of))], "config", 2, by="test")
            event = world.event(of.told.region, "A", level=Level.LOW, sent_ms=of.start_ms)
            await of.told.enter(of.planner, event)
            await planned(of.planner)
            await of.look(1)
            assert await of.steps() == wanted
            await of.look(125)
            assert await of.steps() == (wanted or [("c1", "office", "c2")])
            assert len(of.opened) == 1, "where nobody was awake, the deputy in the morning"


async def test_the_dispatcher_writes_down_how_far_it_follows_both_logs(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", 0.1)
    region = world.region(tmp_path, [world.contact(1)])
    where, seen_ms = await world.deployment(bootstrap, tmp_path, "pulse"), world.now_ms()
    producer = AIOKafkaProducer(bootstrap_servers=where.bootstrap)
    await producer.start()
    await producer.send_and_wait(where.hazards, to_json(world.hazard(region, "A", Level.HIGH, seen_ms)), key=b"A", partition=0)
    await producer.stop()
    standing = Standing(region, where)
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver):
        event = world.event(region, "A", sent_ms=world.now_ms())
        await world.publish(where, [event])

        async def followed() -> bool:
            found = await standing.of(["A"], world.now_ms())
            return found.known and [one.alert.identifier for one in found.events] == [event.alert.identifier]

        await world.until(followed, what="both logs are followed")
    try:
        later = await standing.of(["A"], world.now_ms() + 120_000)
        assert not later.known and abs(later.since_ms - world.now_ms()) < 60_000, "it stands still since then"
        assert [one.alert.identifier for one in later.events] == [event.alert.identifier]
    finally:
        await standing.close()
