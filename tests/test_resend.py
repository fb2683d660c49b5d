"""An operator has a warning sent again: to whom, in which words, once for each decision, and not to whom nothing may go.

On a real broker, SMS centre and receiver; then the same ledger and courier killed at every operation.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import channel_world as world
import httpx
import pytest
from dispatch_house import T0, H, House
from sqlalchemy import select, update
from test_authority import authority
from test_dispatch import bootstrap, dispatching, outside, settled  # noqa: F401
from test_ledger_proof import exported_lines
from typer.testing import CliRunner

from warning import config, wiring_trace
from warning.alerts import hand_words
from warning.alerts.rules import Silence
from warning.cli import app
from warning.deployment import Deployment
from warning.dispatch import resending, resent, shown, tables
from warning.dispatch.audience import Planned
from warning.dispatch.ledger import Ledger
from warning.dispatch.rows import Position, Record
from warning.errors import InputError
from warning.model import DeliveryState as State
from warning.model import EventKind, Level, to_json
from warning.operate import api
from warning.people import consent
from warning.people.imports import merge
from warning.people.keys import ApiKeys
from warning.proof import audit
from warning.proof.decisions import Resend

STEP = 1 if "WARNING_EXAMPLES" in os.environ else 3  # every operation takes ten seconds


def to(telecom) -> Counter[str]:
    return Counter(one["destination"][-1] for one in telecom.messages)


async def test_it_goes_again_marked_in_the_receivers_words_and_the_audit_says_who(bootstrap: str, tmp_path: Path) -> None:  # noqa: F811
    people = [world.contact(1), world.contact(2, language="ur"), world.contact(3, hook="agency", phone=False)]
    region = world.region(tmp_path, people)
    where = await world.deployment(bootstrap, tmp_path, "again")
    event = world.event(region, "A", sent_ms=world.now_ms())
    identifier = event.alert.identifier
    async with outside() as (telecom, receiver), dispatching(region, where, telecom, receiver), authority(region, where) as desk:
        await world.publish(where, [event])
        await world.until(lambda: len(telecom.messages) == 2 and len(receiver.taken) == 1, what="the first")
        await settled(where, region)
        wish = await desk.resend(identifier, "The mast was down", "A. Khan", world.now_ms(), key="k1")
        await world.until(lambda: len(telecom.messages) == 4 and len(receiver.taken) == 2, what="all again")
        await settled(where, region)
        with pytest.raises(InputError, match="is being sent again just so") as twice:
            await desk.resend(identifier, "once more", "B. Shah", world.now_ms())
        one = await desk.resend(identifier, "She asked", "B. Shah", world.now_ms(), contact="c1")
        await world.until(lambda: to(telecom) == {"1": 3, "2": 2}, what="one of them, once more")
        await settled(where, region)
        acts = await desk.decisions.acts(kinds=("resend",))
    assert twice.value.reason == "decided"
    for number, language in (("1", "en"), ("2", "ur")):
        first, again = [each["text"] for each in telecom.messages if each["destination"].endswith(number)][:2]
        assert hand_words.again(language) in again and hand_words.again(language) not in first
        assert again.replace(f"{hand_words.again(language)} ", "") == first, "else the same words"
    ids = [hook["webhook_id"] for hook in receiver.records if hook["verified"]]
    assert ids == [ids[0], f"{ids[0]}:again:1"] and len(receiver.taken) == 2
    assert [(act.id, act.by, act.key, act.what["reason"], act.what["contact"]) for act in acts] == [
        (one.id, "B. Shah", "", "She asked", "c1"),
        (wish.id, "A. Khan", "k1", "The mast was down", ""),
    ]
    await _the_ledger_says_so(where, wish, one)
    trace = await wiring_trace.trace(region, replace(where, embedded=True), identifier)
    assert [step.words.split(":")[0] for step in trace.steps if step.stage == "resend"] == [
        f"decision {wish.id} by A. Khan",
        f"decision {one.id} by B. Shah",
    ]
    assert sum("sent again at" in step.words for step in trace.steps if step.stage == "delivery") == 3
    told = [each for each in await world.receipts(where) if each.contact == "c2"]
    assert [(each.state, each.attempt, each.resent, each.reason) for each in told if each.state is not State.ACCEPTED] == [
        (State.DELIVERED, 1, 0, ""),
        (State.WAITING, 1, 1, "resend"),
        (State.DELIVERED, 2, 1, ""),
    ]


async def _the_ledger_says_so(where, wish: Resend, one: Resend) -> None:
    ledger = await Ledger.open(where.database, "oak")
    try:
        async with ledger._engine.connect() as connection:
            rows = [row async for row in shown.listed(connection, shown.Which(contact="c1"))]
            both = await shown.shown(connection, rows[0]["id"])
    finally:
        await ledger.close()
    assert both is not None and (both["state"], both["attempts"], both["resent"], both["doubled"]) == ("delivered", 3, 2, False)
    assert [each["attempt"] for each in both["messages"]] == [1, 2, 3], "every message that went stands with its id"
    again = [each["why"] for each in both["transitions"] if each["became"] == "waiting" and each["was"]]
    assert again == [f"resend {wish.id}", f"resend {one.id}"]
    lines = await exported_lines(where.database)
    assert not audit.verify(lines).faults
    acts = [json.loads(line).get("line", {}) for line in lines]
    said = [(act["number"], act["by"]) for act in acts if act.get("kind") == "decision.resend"]
    assert said == [(wish.id, "A. Khan"), (one.id, "B. Shah")]
    assert [(act["decision"], act["deliveries"]) for act in acts if act.get("kind") == "resent"] == [(wish.id, 3), (one.id, 1)]


# --- whom it reaches


def house(region, folder: Path, contacts, rules=None) -> House:
    folder.mkdir(exist_ok=True)
    made = House(replace(region, contacts=contacts, alert=rules or region.alert), Deployment(prefix="k.", directory=folder), contacts)
    made.now_ms = T0 + 10 * 60_000
    return made


async def test_it_goes_to_whom_it_may_and_who_is_meant(tmp_path: Path) -> None:
    """Not to who said stop since, is silenced, has answered, lives elsewhere, or has no such way any more."""
    region = world.region(tmp_path)
    contacts = tuple(world.contact(number, level=Level.LOW, districts=("upper",)) for number in range(6))
    one = house(region, tmp_path / "whom", contacts)
    await one.start()
    try:
        event = world.event(region, "A", sent_ms=T0)
        identifier, chain = event.alert.identifier, event.alert.identifier.rpartition(".")[0]
        await one.read(event)
        await one.settle()
        one.sink.sent.clear()
        await consent.say(one.directory, contacts[1].phone, given=False, at_ms=one.now_ms, by="c1", how="sms")
        await one.authority.silence(Silence("A", Level.HIGH, one.now_ms, one.now_ms + H, "A. Khan", "siren test", "c2"))
        moved = replace(contacts[3], districts=("lower",))
        await merge(one.directory, [*contacts[:3], moved, *contacts[4:]], "config", one.now_ms, by="config", whole=True)
        await one.authority.resend(identifier, "mast", "A. Khan", one.now_ms, district="upper")
        await one.settle()
        assert sorted(contact.id for _, _, contact in one.sink.sent) == ["c0", "c4", "c5"]
        async with one.ledger._writing() as connection:  # two whom no receipt came from; one of them has answered
            lost = tables.deliveries.c.contact.in_(("c4", "c5"))
            await connection.execute(update(tables.deliveries).where(lost).values(state="accepted"))
        await one.answers.acknowledge(by="c5", how="link", at_ms=one.now_ms, contact="c5", chain=chain)
        one.sink.sent.clear()
        await one.authority.resend(identifier, "mast", "A. Khan", one.now_ms, undelivered=True)
        await one.settle()
        assert [contact.id for _, _, contact in one.sink.sent] == ["c4"]
    finally:
        await one.stop()


async def test_what_waits_for_a_release_is_not_what_people_were_told(tmp_path: Path) -> None:
    """The higher revision is held: the lower one goes again, for it is the newest that anybody heard; after the release the higher one."""
    region, contacts = world.region(tmp_path), (world.contact(1, level=Level.LOW),)
    rules = replace(region.alert, approve_from=Level.VERY_HIGH, approve_within_s=3600, unanswered="hold")
    one = house(region, tmp_path / "held", contacts, rules)
    await one.start()
    try:
        first = world.event(region, "A", sent_ms=T0)
        higher = world.event(region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=T0 + 60_000, raised_ms=T0, previous=Level.HIGH)
        for event in (first, higher):
            await one.read(event)
            await one.settle()
        wish = await one.authority.resend(higher.alert.identifier, "mast", "A. Khan", one.now_ms)
        await one.settle()
        assert wish.alert == first.alert.identifier
        await one.authority.approve(higher.alert.identifier, Level.VERY_HIGH, "B. Shah", one.now_ms)
        one.now_ms += 1000
        await one.settle()
        again = await one.authority.resend(higher.alert.identifier, "mast", "A. Khan", one.now_ms)
        await one.settle()
        assert again.alert == higher.alert.identifier
        assert [event.alert.revision for _, event, _ in one.sink.sent] == [1, 1, 2, 2]
    finally:
        await one.stop()


async def test_a_wish_that_cannot_be_says_why(tmp_path: Path) -> None:
    region, contacts = world.region(tmp_path), (world.contact(1, level=Level.LOW),)
    one = house(region, tmp_path / "why", contacts)
    await one.start()
    try:
        event = world.event(region, "A", sent_ms=T0)
        identifier = event.alert.identifier
        desk, now_ms = one.authority, one.now_ms

        async def refused(name: str, reason: str = "mast", by: str = "A. Khan", at_ms: int = now_ms, **wanted: object) -> tuple[str, str]:
            with pytest.raises(InputError) as caught:
                await desk.resend(name, reason, by, at_ms, **wanted)
            assert caught.value.fix
            return caught.value.field, caught.value.reason

        assert await refused(identifier) == ("alert", "alert"), "nobody was told yet"
        await one.read(event)
        await one.settle()
        assert await refused("ews.oak.B.1.0") == ("alert", "alert")
        assert await refused(identifier, reason=" ") == ("reason", "reason")
        assert await refused(identifier, by="") == ("by", "by")
        assert await refused(identifier, contact="nobody") == ("contact", "nobody")
        assert await refused(identifier, channel="email") == ("channel", "nobody")
        assert await refused(identifier, channel="broadcast") == ("channel", "channel")
        assert await refused(identifier, channel="pigeon") == ("channel", "channel")
        assert await refused(identifier, district="nowhere") == ("district", "district")
        assert await refused(identifier, at_ms=event.alert.expires_ms) == ("alert", "over")
        await desk.resend(identifier, "mast", "A. Khan", now_ms)
        assert await refused(identifier, reason="again", by="B. Shah", at_ms=now_ms + 59_000) == ("alert", "decided")
        await desk.resend(identifier, "again", "B. Shah", now_ms + 60_000)
        made = await desk.cancel(identifier, "misread", "A. Khan", now_ms + 61_000)
        assert await refused(identifier, at_ms=now_ms + 62_000) == ("alert", "decided"), "its end stands in its place"
        await one.read(made)
        await one.settle()
        assert (await desk.resend(made.alert.identifier, "mast", "A. Khan", now_ms + 63_000)).alert == made.alert.identifier
    finally:
        await one.stop()


# --- killed at every operation


@dataclass
class Kill:
    """Ends the dispatcher at its ``at``-th operation: before a transaction, before its commit, after it, and after a send."""

    at: int
    done: int = 0

    def __post_init__(self) -> None:
        self.killed = asyncio.Event()

    async def here(self) -> None:
        self.done += 1
        if self.done == self.at:
            self.killed.set()
        if self.killed.is_set():
            await asyncio.Event().wait()  # kill -9: nothing more is done, and nothing is put in order

    def within(self, house: House) -> None:
        true, sends = house.ledger._writing, house.sink.send

        @asynccontextmanager
        async def writing():
            await self.here()
            async with true() as connection:
                yield connection
                await self.here()
            await self.here()

        async def send(sending):
            outcome = await sends(sending)
            await self.here()
            return outcome

        house.ledger._writing, house.sink.send = writing, send

    async def run(self, house: House) -> bool:
        """Whether it came so far."""
        self.within(house)
        work, killed = asyncio.create_task(house.settle()), asyncio.create_task(self.killed.wait())
        await asyncio.wait([work, killed], return_when=asyncio.FIRST_COMPLETED)
        under_way = [one for lane in house.courier.lanes.values() for one in lane._under_way]
        tasks = [work, killed, *house.loops, *house.courier._running, *under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        house.loops.clear()
        await house.stop()
        return self.killed.is_set()


async def _told_once(region, folder: Path, contacts) -> None:
    """The warning went out, the clerk has decided, and no dispatcher has seen it yet."""
    first = house(region, folder, contacts)
    await first.start()
    event = world.event(region, "A", sent_ms=T0)
    await first.read(event)
    await first.settle()
    assert len(first.sink.sent) == len(contacts)
    await first.authority.resend(event.alert.identifier, "mast", "A. Khan", first.now_ms)
    await first.stop()


async def test_killed_at_every_operation_it_goes_again_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in flight goes twice and is marked; nobody is forgotten, nobody else gets it a third time."""
    monkeypatch.setattr(resent, "SOME", 1)
    monkeypatch.setattr(resending, "SOME", 1)
    region, contacts = world.region(tmp_path), tuple(world.contact(number) for number in range(2))
    await _told_once(region, tmp_path / "before", contacts)
    at, marked, came = 1, 0, True
    while came:
        folder = shutil.copytree(tmp_path / "before", tmp_path / f"k{at}")
        one = house(region, folder, contacts)
        await one.start()
        came = await Kill(at).run(one)
        two = house(region, folder, contacts)
        await two.start()
        for _ in range(2):
            await two.settle()
        rows = [dict(row) for row in await two.ledger._rows(select(tables.deliveries).order_by(tables.deliveries.c.id))]
        assert not audit.verify(await exported_lines(two.where.database)).faults
        await two.stop()
        got = Counter(contact.id for _, _, contact in [*one.sink.sent, *two.sink.sent])
        assert sorted((row["contact"], row["state"], row["resent"]) for row in rows) == [(each.id, "delivered", 1) for each in contacts], at
        for row in rows:
            assert 1 <= got[row["contact"]] <= 1 + row["doubled"], (at, dict(got), row)
        marked += sum(got.values()) - len(contacts)
        at += STEP
    assert at > 20 and marked > 0, "a message was in flight at some kill"


# --- by command and by API


async def test_by_command_and_by_api_with_who_and_why(tmp_path: Path) -> None:
    """A key's name stands for who decided, whatever is said; what cannot be has its status and its fix."""
    region = config.load("indus")
    where = Deployment(bootstrap="127.0.0.1:1", prefix="t.", directory=tmp_path)
    event = world.event(region, region.zones[0].id, sent_ms=world.now_ms(), status=region.status)
    await _stored(where, region, event)
    identifier = event.alert.identifier
    given = [identifier, "--who", "A. Khan", "--why", "mast", "--channel", "sms", "--directory", str(tmp_path), "--prefix", "t."]
    done = await asyncio.to_thread(CliRunner().invoke, app, ["alert", "resend", "--region", "indus", *given])
    assert done.exit_code == 0 and f"{identifier} goes again (decision 1)" in done.output, done.output
    twice = await asyncio.to_thread(CliRunner().invoke, app, ["alert", "resend", "--region", "indus", *given])
    assert twice.exit_code != 0 and "is being sent again just so" in str(twice.exception or twice.output)
    keys = ApiKeys(where.database, world.now_ms)
    headers = {"authorization": f"Bearer {(await keys.create('B. Shah', ['operator']))[1]}"}
    await keys.close()
    made = api.create_app(region, where)
    transport = httpx.ASGITransport(app=made, raise_app_exceptions=False)
    async with made.router.lifespan_context(made), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        url = f"/v1/alerts/{identifier}/resending"
        again = await client.post(url, json={"reason": "She asked", "contact": "c1"}, headers=headers)
        assert (again.status_code, again.json()) == (201, {"identifier": identifier, "decision": 2, "by": "B. Shah"})
        wrong = ({"contact": "c1"}, {"contact": "c9"}, {"channel": "broadcast"}, {"district": "nowhere"}, {"reason": ""}, {"by": "me"})
        answers = [await client.post(url, json={"reason": "x", **more}, headers=headers) for more in wrong]
        assert [answer.status_code for answer in answers] == [409, 422, 422, 422, 422, 422]
        assert (await client.post("/v1/alerts/ews.indus.X.1.1/resending", json={"reason": "x"}, headers=headers)).status_code == 404
        listed = await client.get("/v1/decisions", headers=headers, params={"subject": identifier.rpartition(".")[0]})
    second, first = listed.json()["decisions"]
    assert (first["by"], first["key"], first["what"]["reason"]) == ("A. Khan", "", "mast")
    assert second["by"] == "B. Shah" and second["key"] and second["what"]["contact"] == "c1"


async def _stored(where: Deployment, region, event) -> None:
    """As a dispatcher left it: one contact was told."""
    ledger = await Ledger.open(where.database, region.id)
    try:
        planned = (Planned(world.contact(1), "sms"),)
        await ledger.plan(Record(event, to_json(event), planned, ()), Position("alerts", 0, 1, "first", "last"), T0, due_now=True)
    finally:
        await ledger.close()
