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
import pytest
from sqlalchemy import select, text
from test_authority import authority
from test_authority_property import T0, H, House
from test_dispatch import bootstrap, dispatching, outside, settled  # noqa: F401
from test_ledger import NOW, accepted, ledger, planned, receipt, server, url  # noqa: F401
from test_ledger_proof import exported_lines

from warning.alerts import hand_words
from warning.deployment import Deployment
from warning.dispatch import resending, resent, shown, tables
from warning.dispatch.attempts import Claim, Claimed, Close
from warning.dispatch.ledger import Ledger
from warning.dispatch.reconcile import Said, reconcile
from warning.dispatch.trail import legal
from warning.errors import InputError
from warning.model import DeliveryState as State
from warning.model import EventKind, Level
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
    told = [each for each in await world.receipts(where) if each.contact == "c2"]
    assert [(each.state, each.attempt, each.resent, each.reason) for each in told if each.state is not State.ACCEPTED] == [
        (State.DELIVERED, 1, 0, ""),
        (State.WAITING, 1, 1, "resend"),
        (State.DELIVERED, 2, 1, ""),
    ]


async def _the_ledger_says_so(where, wish: Resend, one: Resend) -> None:
    ledger = await Ledger.open(where.database, "oak")  # noqa: F811
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


# --- in the ledger, in SQLite and in PostgreSQL


def wished(item, **changes) -> Resend:
    return replace(Resend(7, item.alert, "A. Khan"), **changes)


async def goes_again(opened: Ledger, wish: Resend, now_ms: int = NOW + 60_000, **quiet: int) -> tuple[list[int], resent.Stage]:
    """Everything that the ledger alone takes for meant; ids of what waits again."""
    at, ids = await opened.resend_stage(wish, now_ms), list[int]()
    while not (at.done or at.busy):
        rows = await opened.resend_meant(wish, at)
        after = rows[-1]["id"] if len(rows) == resent.SOME else None
        items, at = await opened.resend(wish, at, {row["id"]: quiet.get(row["contact"], 0) for row in rows}, after, now_ms)
        ids += [item.id for item in items]
    return ids, at


async def sent(opened: Ledger, item, *ids: str) -> None:
    await opened.write([Claim(item.id, NOW)])
    await opened.write([Close(item.id, accepted(*ids), NOW)])


async def test_only_what_came_since_counts(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    """Receipts of the first message settle nothing of the second; its parts go anew; the centre's report is about each by itself."""
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await sent(ledger, item, "a", "b")
    assert await goes_again(ledger, wished(item)) == ([item.id], resent.Stage(0, item.id, 1, True))
    await ledger.write([receipt("a"), receipt("b")])
    assert await ledger.counts() == {("sms", "waiting"): 1}, "a receipt of the first that comes now"
    assert await ledger.write([Claim(item.id, NOW)]) == [Claimed(2, (), False, 1)], "all parts, and nothing marked as doubled"
    await ledger.write([Close(item.id, accepted("c", "d"), NOW), receipt("c", State.FAILED, "undeliv")])
    assert await ledger.counts() == {("sms", "waiting"): 1}, "its own tries of what the centre could not deliver"
    assert await ledger.write([Claim(item.id, NOW)]) == [Claimed(3, (2,), False, 1)], "the second part was taken"
    await ledger.write([Close(item.id, accepted("e"), NOW), receipt("e"), receipt("d")])
    assert await ledger.counts() == {("sms", "delivered"): 1}
    found = await reconcile(ledger._engine, "oak", [Said(2, "a", "failed"), Said(3, "d", "delivered")], NOW + 9)
    assert dict(found.counts) == {"lines": 2, "corrected": 1, "same": 1}
    assert await ledger.counts() == {("sms", "delivered"): 1}, "the report on the first is about the first"
    assert await goes_again(ledger, wished(item)) == ([], resent.Stage(0, item.id, 1, True)), "a decision is done once"
    assert await goes_again(ledger, wished(item, id=8)) == ([item.id], resent.Stage(0, item.id, 1, True))
    async with ledger._engine.connect() as connection:
        one = await shown.shown(connection, item.id)
    assert one is not None and (one["resent"], one["attempts"], one["parts"], one["parts_delivered"]) == (3, 3, 1, 0)
    assert all(legal(each["part"], each["was"], each["became"], each["why"]) for each in one["transitions"])
    assert not audit.verify(await exported_lines(url)).faults


async def test_whom_it_means(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """What waits or is under way is left alone; of several chunks each is looked at once; quiet hours are kept."""
    monkeypatch.setattr(resent, "SOME", 2)
    people = [world.contact(number) for number in range(6)] + [world.contact(6, hook="agency", phone=False)]
    items = await planned(ledger, tmp_path, *people)
    for number in (0, 1, 2):
        await sent(ledger, items[number], f"m{number}")
    await ledger.write([receipt("m0"), receipt("m1", State.DELIVERED)])
    await ledger.end(items[3].id, State.FAILED, "contact_gone", NOW)
    await ledger.write([Claim(items[4].id, NOW)])
    every = [item.id for item in items]
    assert (await goes_again(ledger, wished(items[0], id=1, contact="c1")))[0] == [every[1]]
    await sent(ledger, items[1], "again")
    assert (await goes_again(ledger, wished(items[0], id=2, undelivered=True)))[0] == [every[1], every[2], every[3]]
    assert (await goes_again(ledger, wished(items[0], id=3, channel="webhook")))[0] == [], "it waits still"
    ids, at = await goes_again(ledger, wished(items[0], id=4), c0=NOW + 7_200_000)
    assert ids == [every[0]] and at.again == 1
    (waits,) = [item for item in await ledger.open_deliveries() if item.id == every[0]]
    assert (waits.reason, waits.next_attempt_ms, waits.due_ms) == ("quiet", NOW + 7_200_000, NOW + 7_200_000)


async def test_a_decision_of_what_is_over_comes_to_its_end(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await sent(ledger, item, "a")
    region = world.region(tmp_path)
    assert (await goes_again(ledger, wished(item, id=1), NOW + 23 * H))[1].why == "expired"
    assert (await goes_again(ledger, wished(item, id=2, alert="nothing")))[1].why == "unknown"
    renewed = world.event(region, "A", 2, EventKind.RENEW, sent_ms=NOW + 2000, raised_ms=NOW)
    await ledger.begin(renewed, b"{}", _position(2))
    assert await goes_again(ledger, wished(item, id=3)) == ([], resent.Stage(0, item.id, 0, False, busy=True)), (
        "while that is being planned"
    )
    await ledger.finish(renewed, NOW, replay=False)
    assert (await goes_again(ledger, wished(item, id=3)))[0] == [item.id]
    await sent(ledger, item, "b")
    higher = world.event(region, "A", 3, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=NOW + 3000, raised_ms=NOW)
    await ledger.begin(higher, b"{}", _position(3))
    ledger.withheld = lambda: {higher.alert.identifier}
    assert (await goes_again(ledger, wished(item, id=4)))[1] == resent.Stage(0, item.id, 0, False, busy=True), "it waits for a person"
    ledger.withheld = frozenset
    assert (await goes_again(ledger, wished(item, id=4)))[1].why == "overtaken"
    assert await ledger.resends_done() == {1, 2, 3, 4} and not audit.verify(await exported_lines(url)).faults


def _position(number: int):
    from test_ledger import position

    return position(number)


async def test_what_is_sent_again_is_tried_anew_and_escalates_from_then(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    for number in range(3):
        await sent(ledger, item, f"m{number}")
        await ledger.write([receipt(f"m{number}", State.FAILED, "undeliv")])
    assert await ledger.counts() == {("sms", "failed"): 1}
    at_ms = NOW + H
    assert (await goes_again(ledger, wished(item), at_ms))[0] == [item.id]
    assert await ledger.unanswered(at_ms, 300_000, 900_000, 10, 0) == [], "planned an hour ago, and waiting since just now"
    (late,) = await ledger.unanswered(at_ms + 900_000, 300_000, 900_000, 10, 0)
    assert (late["resent"], late["resent_ms"]) == (3, at_ms)
    await ledger.write([Claim(item.id, at_ms)])
    await ledger.write([Close(item.id, accepted("x"), at_ms + 1000)])
    assert await ledger.unanswered(at_ms + 300_000, 300_000, 900_000, 10, 0) == []
    assert len(await ledger.unanswered(at_ms + 301_000, 300_000, 900_000, 10, 0)) == 1


async def test_a_ledger_of_version_2_is_carried_over(url: str, tmp_path: Path) -> None:  # noqa: F811
    old = await Ledger.open(url, "oak")
    (item,) = await planned(old, tmp_path, world.contact(1))
    await sent(old, item, "a")
    async with old._engine.begin() as connection:
        for words in (
            "ALTER TABLE deliveries DROP COLUMN resent",
            "ALTER TABLE deliveries DROP COLUMN resent_ms",
            "DROP TABLE resends",
            "UPDATE ledger_versions SET version = 2",
        ):
            await connection.execute(text(words))
    await old.close()
    for _ in range(2):
        opened = await Ledger.open(url, "oak")
        try:
            async with opened._engine.connect() as connection:
                (row,) = [row async for row in shown.listed(connection, shown.Which())]
                version = (await connection.execute(text("SELECT version FROM ledger_versions"))).scalars().all()
            assert version == [3] and row["state"] == ("accepted" if _ == 0 else "waiting")
            assert (row["resent"], row["resent_ms"]) == ((0, None) if _ == 0 else (1, NOW + 60_000))
            assert (await goes_again(opened, wished(item)))[0] == ([item.id] if _ == 0 else [])
        finally:
            await opened.close()


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


def house(region, folder: Path, contacts) -> House:
    made = House(replace(region, contacts=contacts), Deployment(prefix="k.", directory=folder), contacts)
    made.now_ms = T0 + 10 * 60_000
    return made


async def _told_once(region, folder: Path, contacts) -> None:
    """The warning went out, the clerk has decided, and no dispatcher has seen it yet."""
    folder.mkdir()
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
