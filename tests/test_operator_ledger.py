"""What operators were told stands in the ledger: SMS with parts and receipts, and what a crash cuts off is gone on with."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from test_dispatch import bootstrap, dispatching, outside  # noqa: F401 - a fixture among them
from test_lasting import DUTY, Centre, Desk, body, texts
from test_ledger import NOW, accepted, ledger, planned, receipt, server, url  # noqa: F401 - fixtures among them
from test_reports import HEAD, House, drop, house  # noqa: F401 - a fixture among them

from warning.dispatch import exported, reconcile
from warning.dispatch import lasting as lasting_module
from warning.dispatch import operators as operators_module
from warning.dispatch import tables as t
from warning.dispatch.attempts import Claim, Close
from warning.dispatch.channel import Outcome, Part
from warning.dispatch.following import Following
from warning.dispatch.ledger import Ledger
from warning.dispatch.operator_book import STALE_MS, Book
from warning.dispatch.operators import OperatorPosts, told
from warning.dispatch.reconcile import Said
from warning.dispatch.reports import YOUNGEST_MS
from warning.dispatch.texted import Claimed, Notice
from warning.model import DeliveryState as State
from warning.proof import chain
from warning.region import Contact
from warning.routes import Routes

NOTICE = Notice("alert~untold:1:c1", "c1", "alert.untold")


async def rows(of: Ledger, table=t.operator_texts) -> list[dict]:
    async with of.reading() as connection:
        return [dict(row) for row in (await connection.execute(select(table).order_by(table.c.id))).mappings()]


async def lines(of: Ledger) -> list[tuple[str, int, str, str]]:
    """(kind, part, from, to) of the chain, whose links are held together."""
    found, before = list[tuple[str, int, str, str]](), chain.FIRST
    async with of.reading() as connection:
        salt, (seq, digest) = await chain.salt(connection), await chain.head(connection)
        async for line, own in exported.lines(connection, salt, seq):
            before = chain.link(before, line)
            assert before == own and "'c1'" not in str(line.values())
            found.append((line["kind"], line.get("part", 0), line.get("was", ""), line.get("became", "")))
    assert before == digest
    return found


async def test_a_report_that_lists_operators_sms_differs_only_where_it_does(house: House, tmp_path: Path) -> None:  # noqa: F811
    for name in ("a", "b", "c"):
        await house.ledger.write([receipt(f"jazz/{name}")])
    book = Book(house.ledger, lambda: NOW)
    for number, ids in enumerate((("jazz/o1", "jazz/o2"), ("jazz/o3",), ("jazz/o4",))):
        notice = replace(NOTICE, identifier=f"n{number}")
        await book.claim(notice)
        await book.close(notice, replace(accepted(*ids), route="jazz"))
    await house.ledger.write([receipt("jazz/o1"), receipt("jazz/o2"), receipt("jazz/o1"), receipt("jazz/o4", State.FAILED, "undeliv")])
    assert [(row["state"], row["parts"], row["parts_delivered"]) for row in await rows(house.ledger)] == [
        *(("delivered", 2, 2), ("accepted", 1, 0), ("failed", 1, 0))
    ]
    house.now_ms += YOUNGEST_MS
    drop(tmp_path / "in", "night.csv", HEAD + "a;OK\nb;OK\nc;OK\no1;OK\no2;OK\n", house.now_ms)
    await house.reports.look(house.report)
    assert (await house.rows())[-1]["counts"] == {"lines": 5, "same": 5, "unsettled": 1}, "nobody said anything of the third"
    drop(tmp_path / "in", "late.csv", HEAD + "o3;OK\no4;OK\no9;OK\n", house.now_ms)
    await house.reports.look(house.report)
    row = (await house.rows())[-1]
    assert row["counts"] == {"lines": 3, "corrected": 2, "unknown": 1, "unsettled": 0}
    assert [(each["delivery"], each["ours"]) for each in row["differences"]] == [(-2, "accepted"), (-3, "failed"), (None, "")]
    assert [(row["state"], row["reason"]) for row in (await rows(house.ledger))[1:]] == [("delivered", "reconciliation")] * 2
    assert house.ledger.counts and await house.ledger.counts() == {("sms", "delivered"): 3}, "they are no deliveries"
    moved = [line[1:] for line in await lines(house.ledger) if line[0] == "operator_text"]
    assert moved[-4:] == [
        (1, "accepted", "delivered"),
        (1, "failed", "delivered"),
        (0, "accepted", "delivered"),
        (0, "failed", "delivered"),
    ]


async def test_the_command_without_writing_changes_nothing(ledger: Ledger, url: str) -> None:  # noqa: F811
    book = Book(ledger, lambda: NOW)
    await book.claim(NOTICE)
    await book.close(NOTICE, accepted("o1"))
    found = await reconcile.reconcile(ledger._engine, "oak", [Said(1, "o1", "delivered")], NOW + 1, write=False)
    assert found.counts == {"lines": 1, "corrected": 1} and (await rows(ledger))[0]["state"] == "accepted"
    for counts in ({"lines": 1, "corrected": 1}, {"lines": 1, "same": 1}):
        assert (await reconcile.reconcile(ledger._engine, "oak", [Said(1, "o1", "delivered")], NOW + 1)).counts == counts
    assert (await rows(ledger))[0]["state"] == "delivered"


async def test_receipts_before_the_response_and_after_a_crash(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    """Beside a delivery's, in one batch: each finds its own."""
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await ledger.write([Claim(item.id, NOW)])
    book = Book(ledger, lambda: NOW)
    assert await book.claim(NOTICE) == Claimed(1, 1)
    assert await ledger.write([receipt("a"), receipt("o1"), receipt("zz")]) == [(), (), ()]
    await book.close(NOTICE, accepted("o1", "o2"))
    await ledger.write([Close(item.id, accepted("a"), NOW), receipt("o2"), receipt("o2")])
    assert await ledger.counts() == {("sms", "delivered"): 1}
    assert [(row["state"], row["attempts"], row["doubled"]) for row in await rows(ledger)] == [("delivered", 1, False)]
    assert await book.claim(NOTICE) == Claimed(1, state="delivered"), "never again under this name"
    async with ledger.reading() as connection:
        assert [row.message_id for row in await connection.execute(select(t.strays))] == ["zz"]
    other = replace(NOTICE, identifier="n2")
    await book.claim(other)
    again = await Ledger.open(url, "oak")  # killed between the centre's answer and the commit
    try:
        assert await Book(again, lambda: NOW + 5000).start() == []
        assert [(row["state"], row["reason"]) for row in await rows(again)][1:] == [("unknown", "crash")]
        assert await Book(again, lambda: NOW + 5000).claim(other) == Claimed(2, 2)
        [_, row] = await rows(again)
        assert (row["state"], row["doubled"]) == ("sending", True)
    finally:
        await again.close()
    states = [(was, became) for kind, part, was, became in await lines(ledger) if kind == "operator_text" and not part]
    assert states == [
        ("", "sending"),
        ("sending", "accepted"),
        ("accepted", "delivered"),
        *(("", "sending"), ("sending", "unknown"), ("unknown", "sending")),
    ]


async def test_what_was_sent_while_the_ledger_was_away_is_entered_when_it_is_back(
    ledger: Ledger,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warning.dispatch.operator_book.AGAIN_S", 0.02)
    monkeypatch.setattr("warning.dispatch.operator_sms.CLOSED_S", 0.02)
    centre = Centre()
    made, _, _ = texts(tmp_path, centre)
    posts = OperatorPosts(Hooks(), (), made.region, made)
    assert await posts.start(Book(ledger, lambda: NOW)) == []
    with monkeypatch.context() as away:
        away.setattr(ledger, "writing", lambda: (_ for _ in ()).throw(DBAPIError("INSERT", {}, OSError("gone"))))
        await told(posts, DUTY, "n1", body())
        assert len(centre.sent) == 1 and await rows(ledger) == [], "it wakes him all the same"
    await world.until(lambda: not made._closing, what="the ledger hears of it")
    assert [(row["identifier"], row["state"]) for row in await rows(ledger)] == [("n1", "accepted")]
    assert [row["message_id"] for row in await rows(ledger, t.operator_parts)] == ["x"]
    await told(OperatorPosts(Hooks(), (), made.region, made), DUTY, "n1", body())
    assert len(centre.sent) == 1, "another process, the same notice"
    await posts.close()


async def test_what_a_gateway_calls_a_message_stops_no_entry(ledger: Ledger) -> None:  # noqa: F811
    """PostgreSQL takes no zero byte: it would be tried again for ever, before all that goes."""
    book = Book(ledger, lambda: NOW)
    await book.claim(NOTICE)
    await ledger.write([receipt("a\x00b")])
    odd = Outcome(State.ACCEPTED, "", parts=(Part(1, State.ACCEPTED, "a\x00b", "\ud800"), Part(2, State.ACCEPTED, "c")))
    await asyncio.wait_for(book.close(NOTICE, odd), 20)
    assert [(row["state"], row["parts"], row["parts_delivered"]) for row in await rows(ledger)] == [("accepted", 2, 1)]
    await ledger.write([receipt("c")])
    assert [row["state"] for row in await rows(ledger)] == ["delivered"]


async def test_what_was_received_has_not_failed_because_the_next_attempt_was_refused(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    """A delivery: its first attempt had no response, its receipt comes as the second one is under way."""
    (item, other) = await planned(ledger, tmp_path, world.contact(1), world.contact(2))
    for number, name in ((item.id, "a"), (other.id, "b")):
        await ledger.write([Claim(number, NOW)])
        unknown = Outcome(State.UNKNOWN, "timeout", parts=(Part(1, State.UNKNOWN, name, "timeout"),))
        await ledger.write([Close(number, unknown, NOW, NOW + 5000, NOW + 5000), Claim(number, NOW + 5000)])
        await ledger.write([Claim(number, NOW + 5000)])
    await ledger.write([receipt("a")])
    refused = Outcome(State.FAILED, "invalid_number", parts=(Part(1, State.FAILED, reason="invalid_number"),))
    await ledger.write([Close(item.id, refused, NOW + 6000), Close(other.id, refused, NOW + 6000)])
    assert await ledger.counts() == {("sms", "delivered"): 1, ("sms", "failed"): 1}
    await ledger.write([receipt("b")])
    assert await ledger.counts() == {("sms", "delivered"): 1, ("sms", "failed"): 1}, "what is settled a report alone unsettles"


async def test_what_is_told_again_while_it_is_under_way_goes_once(tmp_path: Path) -> None:
    """What cannot be entered is told each second: all of them went when the way opened."""
    centre, opens = Centre(), asyncio.Event()
    centre.ready = opens.wait  # type: ignore[method-assign,assignment]
    made, _, _ = texts(tmp_path, centre)
    following = object.__new__(Following)
    following._operator_posts, following._under_way = OperatorPosts(Hooks(), (), made.region, made), {}
    for _ in range(3):
        await following._post(DUTY, "n1", body())
        await asyncio.sleep(0.01)
    opens.set()
    await asyncio.gather(*following._under_way.values())
    assert len(centre.sent) == 1


async def test_who_was_overtaken_sends_nothing_and_an_hour_is_an_hour_over_a_restart(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    assert await ledger.lease.take(asyncio.Event())
    centre = Centre()
    made, _, _ = texts(tmp_path, centre, per_hour=2)
    made.wall_ms = lambda: NOW
    await made.start(Book(ledger, lambda: NOW))
    assert (await made.post(DUTY, "n1", body())).state is State.DELIVERED
    other = await Ledger.open(url, "oak")
    other.lease.hung_s = 0.3
    assert await other.lease.take(asyncio.Event())
    assert (await made.post(DUTY, "n2", body())).state is State.WAITING and len(centre.sent) == 1
    next_one, _, now = texts(tmp_path, centre, per_hour=2)
    next_one.wall_ms = lambda: NOW + 600_000
    await next_one.start(Book(other, lambda: NOW + 600_000))
    assert [(await next_one.post(DUTY, name, body())).state for name in ("n2", "n3")] == [State.DELIVERED, State.FAILED]
    now[0] = 3001.0
    assert [(await next_one.post(DUTY, name, body())).state for name in ("n3", "n4")] == [State.DELIVERED, State.FAILED]
    assert len(centre.sent) == 3 and len({sending.delivery for sending in centre.sent}) == 3
    await other.close()


async def test_of_an_hour_is_what_went_in_it(ledger: Ledger, tmp_path: Path) -> None:  # noqa: F811
    """Refused ones, and old ones that the night's report corrected, left no room for what wakes rightly after a restart."""
    book, hour_ms = Book(ledger, lambda: NOW), 3_600_000
    for name, outcome in (("n1", Outcome(State.FAILED, "refused")), ("n2", accepted("o1"))):
        await book.claim(replace(NOTICE, identifier=name))
        await book.close(replace(NOTICE, identifier=name), outcome)
    await reconcile.reconcile(ledger._engine, "oak", [Said(1, "o1", "delivered")], NOW + 2 * hour_ms)
    assert await book.lately(NOW - 1) == [("c1", "alert.untold", NOW)]
    made, _, _ = texts(tmp_path, Centre(), per_hour=1)
    made.wall_ms = lambda: NOW + 2 * hour_ms + 1000
    await made.start(Book(ledger, made.wall_ms))
    assert (await made.post(DUTY, "n3", body())).state is State.DELIVERED


class Hooks:
    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        return Outcome(State.DELIVERED)


async def test_a_crash_while_the_end_is_posted_loses_it_not(ledger: Ledger, url: str) -> None:  # noqa: F811
    desk = Desk(ledger, world.contact(3, role="operator"))
    await desk.look(0, "A")
    await Book(ledger, lambda: desk.at_ms).settled("alert~untold:A:1756260000000~1:c1")
    await desk.look(70)
    assert len(await desk.look(72)) == 2
    again = await Ledger.open(url, "oak")  # killed: nobody had taken it
    try:
        left = await Book(again, lambda: desk.at_ms + STALE_MS).start()
        assert [(post.contact, post.kind) for post in left] == [("c1", "alert.untold.ended"), ("c3", "alert.untold.ended")]
        assert json.loads(left[0].body)["data"]["lasted_s"] == 70 * 60, "and of the begin of long ago nobody hears now"
        for post in left:
            await Book(again, lambda: desk.at_ms).settled(post.identifier)
        assert await Book(again, lambda: desk.at_ms).start() == [] and await Desk(again).look(200) == []
    finally:
        await again.close()


async def test_what_could_not_be_posted_before_a_stop_is_posted_after_it(
    bootstrap: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through dispatchers: the first one's way to operators is closed as it ends."""
    monkeypatch.setattr(lasting_module, "QUIET_MS", 100)
    monkeypatch.setattr(operators_module, "RETRIES_S", (0.0, 300.0))
    duty, far = world.contact(9, role="operator", districts=("lower",)), world.contact(1, districts=("lower",))
    region = world.region(tmp_path, [duty, far])
    region = replace(region, alert=replace(region.alert, escalate_after_s=1))
    where = await world.deployment(bootstrap, tmp_path, "ended")
    routes = Routes(operator_sms_per_hour=6, repeat_s=3600.0)
    event = world.event(region, "A", sent_ms=world.now_ms())
    async with outside() as (telecom, receiver):
        async with dispatching(region, where, telecom, receiver, routes=routes) as dispatcher:
            await world.publish(where, [event])
            await world.until(lambda: telecom.messages, what="nobody is told")
            texts = dispatcher._posts._texts
            assert texts is not None
            monkeypatch.setattr(texts, "post", closed)
            await world.publish(
                where, [world.event(region, "A", 2, world.EventKind.CLEAR, sent_ms=world.now_ms(), raised_ms=event.alert.raised_ms)]
            )
            await world.until(lambda: closed_for, what="its end is to be told")
        assert len(telecom.messages) == 1
        async with dispatching(region, where, telecom, receiver, routes=routes):
            await world.until(lambda: len(telecom.messages) == 2, what="its end is told")
        assert "over after" in telecom.messages[1]["text"]
    after = await Ledger.open(where.database, region.id)
    try:
        assert [(row["kind"], row["attempts"]) for row in await rows(after)] == [("alert.untold", 1), ("alert.untold.ended", 1)]
        async with after.reading() as connection:
            assert (await connection.execute(select(t.operator_posts))).all() == []
    finally:
        await after.close()


closed_for = list[str]()


async def closed(contact: Contact, identifier: str, body: str) -> Outcome:
    closed_for.append(identifier)
    return Outcome(State.WAITING, "no_route")
