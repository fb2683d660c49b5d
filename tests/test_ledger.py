"""The delivery ledger on SQLite and on PostgreSQL: the same tests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import channel_postgres
import channel_world as world
import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from warning.alerts.rules import Approval, Silence
from warning.deployment import Deployment
from warning.dispatch import bulk
from warning.dispatch import tables as t
from warning.dispatch.attempts import Arrived, Claim, Claimed, Close
from warning.dispatch.audience import Planned
from warning.dispatch.channel import Outcome, Part, PartReceipt
from warning.dispatch.journal import Journal
from warning.dispatch.ledger import Ledger
from warning.dispatch.rows import Open, Position, Record
from warning.errors import StateError
from warning.model import DeliveryState as State
from warning.model import EventKind, Level, Receipt, to_json

NOW = 1_756_260_000_000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
    else:
        with channel_postgres.postgres() as url:
            yield url


@pytest.fixture
async def url(server: str | None, tmp_path: Path) -> str:
    if server is None:
        return f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}"
    name = f"t{uuid.uuid4().hex[:12]}"
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return server.rpartition("/")[0] + f"/{name}"


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(url, "oak")
    yield opened
    await opened.close()


def position(next_offset: int = 1) -> Position:
    return Position("alerts", 0, next_offset, "first", f"last {next_offset}")


async def planned(ledger: Ledger, tmp_path: Path, *contacts, revision: int = 1, overtaken=(), kind=EventKind.RAISE) -> list[Open]:
    region = world.region(tmp_path, contacts)
    sent_ms = NOW + 1000 * revision
    event = world.event(region, "A", revision, kind, sent_ms=sent_ms, raised_ms=NOW)
    record = Record(event, to_json(event), tuple(Planned(one, "sms" if one.phone else "webhook") for one in contacts), tuple(overtaken))
    return await ledger.plan(record, position(revision), NOW, due_now=True)


async def told(ledger: Ledger) -> list[Receipt]:
    return [msgspec.json.decode(value, type=Receipt) for _, _, value in await ledger.unpublished(1000)]


def accepted(*ids: str) -> Outcome:
    return Outcome(State.ACCEPTED, parts=tuple(Part(number, State.ACCEPTED, name) for number, name in enumerate(ids, 1)))


def receipt(message_id: str, state: State = State.DELIVERED, reason: str = "") -> Arrived:
    return Arrived(PartReceipt("sms", message_id, state, reason), NOW + 9000)


async def test_a_message_is_delivered_when_all_its_parts_are(ledger: Ledger, tmp_path: Path) -> None:
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    assert await ledger.write([Claim(item.id, NOW)]) == [Claimed(1, (), False)]
    await ledger.write([Close(item.id, accepted("a", "b"), NOW)])
    assert await ledger.write([receipt("a"), receipt("a")]) == [(), ()]
    await ledger.write([receipt("a")])
    assert await ledger.counts() == {("sms", "accepted"): 1}
    await ledger.write([receipt("b")])
    assert await ledger.counts() == {("sms", "delivered"): 1}
    words = [(one.state, one.attempt, one.parts, one.parts_delivered, one.message_ids) for one in await told(ledger)]
    assert words == [
        (State.ACCEPTED, 1, 2, 0, ("a", "b")),
        (State.ACCEPTED, 1, 2, 1, ("a",)),
        (State.DELIVERED, 1, 2, 2, ("b",)),
    ], "one line an attempt and a receipt; a receipt that comes twice is one"


async def test_a_receipt_before_its_response_is_not_lost(ledger: Ledger, tmp_path: Path) -> None:
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await ledger.write([Claim(item.id, NOW)])
    await ledger.write([receipt("a")])
    await ledger.write([Close(item.id, accepted("a", "b"), NOW), receipt("b")])
    assert await ledger.counts() == {("sms", "delivered"): 1}


async def test_a_receipt_settles_what_had_no_response(ledger: Ledger, tmp_path: Path) -> None:
    """We gave it its name before it was sent: whoever has the message gets no second one."""
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await ledger.write([Claim(item.id, NOW)])
    parts = tuple(Part(number, State.UNKNOWN, name, "timeout") for number, name in ((1, "a"), (2, "b")))
    await ledger.write([Close(item.id, Outcome(State.UNKNOWN, "timeout", parts=parts), NOW, NOW + 5000, NOW + 5000)])
    await ledger.write([receipt("a"), receipt("a")])
    assert await ledger.counts() == {("sms", "unknown"): 1} and len(await ledger.open_deliveries()) == 1
    await ledger.write([receipt("b")])
    assert await ledger.counts() == {("sms", "delivered"): 1}
    assert await ledger.write([Claim(item.id, NOW + 5000)]) == [Claimed()], "no second message"


async def test_a_crash_between_claim_and_close_is_unknown_and_goes_again_marked(url: str, tmp_path: Path) -> None:
    first = await Ledger.open(url, "oak")
    (item,) = await planned(first, tmp_path, world.contact(1))
    await first.write([Claim(item.id, NOW)])
    await first.close()
    second = await Ledger.open(url, "oak")
    assert await second.recover(NOW + 1) == 1 and await second.recover(NOW + 2) == 0
    (again,) = await second.open_deliveries()
    assert (again.id, again.reason, again.attempts) == (item.id, "crash", 1)
    assert await second.write([Claim(again.id, NOW)]) == [Claimed(2, (), True)]
    await second.write([Close(again.id, accepted("a"), NOW)])
    assert [(one.state, one.doubled) for one in await told(second)] == [(State.UNKNOWN, False), (State.ACCEPTED, True)]
    await second.close()


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800", "\u067e\u06cc\u063a\u0627\u0645"])
async def test_whatever_a_gateway_calls_its_messages_their_receipts_find_them(ledger: Ledger, tmp_path: Path, name: str) -> None:
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await ledger.write([Claim(item.id, NOW)])
    await ledger.write([Close(item.id, accepted(name), NOW)])
    assert await ledger.write([receipt(name), receipt("nobody's " + name)]) == [(), ()]
    assert await ledger.counts() == {("sms", "delivered"): 1}
    assert [one.state for one in await told(ledger)] == [State.ACCEPTED, State.DELIVERED]


async def test_a_claim_whose_commit_the_database_did_not_answer_is_taken_again_and_its_message_goes(ledger: Ledger, tmp_path: Path) -> None:
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    said, writes = list[bool](), 0

    async def write(entries):
        nonlocal writes
        answers, writes = await ledger.write(entries), writes + 1
        if writes == 1:
            raise DBAPIError("COMMIT", {}, OSError("the connection went with the answer"))
        return answers

    journal = Journal(write, lambda up, why: said.append(up))
    running = asyncio.create_task(journal.run())
    try:
        claimed = await asyncio.wait_for(journal.put(Claim(item.id, NOW)), 20)
        assert claimed == Claimed(2, (), True), "nobody else would look at what stands SENDING"
        await journal.put(Close(item.id, accepted("a"), NOW))
    finally:
        running.cancel()
    assert await ledger.counts() == {("sms", "accepted"): 1} and said == [False, True]


async def test_a_retry_sends_only_the_parts_that_did_not_go(ledger: Ledger, tmp_path: Path) -> None:
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await ledger.write([Claim(item.id, NOW)])
    half = Outcome(State.UNKNOWN, "reset", parts=(Part(1, State.ACCEPTED, "a"), Part(2, State.UNKNOWN, reason="reset")))
    ((again,),) = await ledger.write([Close(item.id, half, NOW, NOW + 5000, NOW + 5000)])
    assert (again.next_attempt_ms, again.attempts) == (NOW + 5000, 1)
    assert await ledger.write([Claim(item.id, NOW)]) == [Claimed(2, (1,), True)]
    rest = Outcome(State.ACCEPTED, parts=(Part(2, State.ACCEPTED, "b"),))
    await ledger.write([Close(item.id, rest, NOW), receipt("a"), receipt("b")])
    assert await ledger.counts() == {("sms", "delivered"): 1}


async def test_what_a_phone_did_not_get_goes_again_and_has_failed_in_the_end(ledger: Ledger, tmp_path: Path) -> None:
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    for attempt in (1, 2, 3):
        assert await ledger.write([Claim(item.id, NOW)]) == [Claimed(attempt, (), False)]
        await ledger.write([Close(item.id, accepted(f"m{attempt}"), NOW)])
        (opened,) = await ledger.write([receipt(f"m{attempt}", State.FAILED, "undeliv")])
        assert len(opened) == (1 if attempt < 3 else 0)
    assert await ledger.counts() == {("sms", "failed"): 1}
    assert (await told(ledger))[-1].reason == "undeliv"


async def test_an_overtaken_delivery_cannot_be_claimed(ledger: Ledger, tmp_path: Path) -> None:
    (old,) = await planned(ledger, tmp_path, world.contact(1))
    (new,) = await planned(ledger, tmp_path, world.contact(1), revision=2, overtaken=(old.id,), kind=EventKind.UPGRADE)
    assert await ledger.write([Claim(old.id, NOW), Claim(new.id, NOW)]) == [Claimed(), Claimed(1, (), False)]
    assert await ledger.counts() == {("sms", "overtaken"): 1, ("sms", "sending"): 1}


async def test_a_retry_whose_chain_moved_on_becomes_the_state_that_replaced_it(ledger: Ledger, tmp_path: Path) -> None:
    someone = world.contact(1, hook="x", phone=False)
    (old,) = await planned(ledger, tmp_path, someone)
    await ledger.write([Claim(old.id, NOW)])
    region = world.region(tmp_path, [someone])
    renewed = world.event(region, "A", 2, EventKind.RENEW, sent_ms=NOW + 2000, raised_ms=NOW)
    await ledger.plan(Record(renewed, to_json(renewed), (), ()), position(2), NOW, due_now=True)
    failed = Outcome(State.WAITING, "server_error")
    ((instead,),) = await ledger.write([Close(old.id, failed, NOW, NOW + 5000, NOW + 5000)])
    assert (instead.alert, instead.contact, instead.attempts) == (renewed.alert.identifier, "c1", 0)
    assert await ledger.counts() == {("webhook", "overtaken"): 1, ("webhook", "waiting"): 1}


async def test_one_delivery_per_alert_revision_contact_and_channel(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        await planned(ledger, tmp_path, world.contact(1), world.contact(1))
    assert await ledger.counts() == {}, "all or nothing"
    assert await ledger.positions("alerts", "") == {}, "the position as well"


async def test_the_position_moves_with_the_plan_and_another_log_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    assert await ledger.positions("alerts", "cluster 1") == {}
    await planned(ledger, tmp_path, world.contact(1))
    assert await ledger.positions("alerts", "cluster 1") == {0: position(1)}
    assert await ledger.newest_ms("alerts") == NOW + 1000
    with pytest.raises(StateError, match="belongs to topic alerts of cluster 'cluster 1'"):
        await ledger.positions("alerts", "cluster 2")


async def test_a_broker_that_forgets_is_read_from_its_beginning_at_each_of_its_starts(ledger: Ledger, tmp_path: Path) -> None:
    """The second ``warning up`` in a folder ended with LOG_OTHER as soon as the first had raised anything."""
    first, second = (Deployment(bootstrap=f"127.0.0.1:{port}", embedded=True).cluster for port in (1, 2))
    assert await ledger.positions("alerts", first, forgets=True) == {}
    await planned(ledger, tmp_path, world.contact(1))
    assert await ledger.positions("alerts", first, forgets=True) == {0: position(1)}, "of the same start: a dispatcher that was restarted"
    assert await ledger.positions("alerts", second, forgets=True) == {} and await ledger.newest_ms("alerts") == 0
    assert sum((await ledger.counts()).values()) == 1, "what was sent stands"
    with pytest.raises(StateError, match="belongs to topic alerts"):
        await ledger.positions("alerts", Deployment(bootstrap="kafka:9092").cluster)
    assert await ledger.positions("hazards", "") == {}
    with pytest.raises(StateError, match="belongs to topic hazards"):  # of a broker that keeps: nobody forgets it by the way
        await ledger.positions("hazards", first, forgets=True)


async def test_410_is_remembered_with_the_address(ledger: Ledger, tmp_path: Path) -> None:
    someone = world.contact(1, hook="x", phone=False)
    await ledger.import_contacts([someone])
    (item,) = await planned(ledger, tmp_path, someone)
    await ledger.write([Claim(item.id, NOW)])
    await ledger.write([Close(item.id, Outcome(State.FAILED, "gone", switch_off=True, address="rehearsal:x"), NOW)])
    assert await ledger.endpoints_off() == {("c1", "rehearsal:x")}
    await ledger.endpoint_on("c1")
    assert await ledger.endpoints_off() == set()


async def test_contacts_follow_the_configuration_and_what_people_decide_is_kept(ledger: Ledger) -> None:
    await ledger.import_contacts([world.contact(1), world.contact(2)])
    await ledger.import_contacts([replace(world.contact(2), name="Other"), world.contact(3)])
    async with ledger._engine.connect() as connection:
        rows = {row.id: (row.name, row.active) for row in await connection.execute(text("SELECT id, name, active FROM contacts"))}
    assert {name: (words, bool(active)) for name, (words, active) in rows.items()} == {
        "c1": ("Contact 1", False),
        "c2": ("Other", True),
        "c3": ("Contact 3", True),
    }
    approval = Approval("ews.oak.A.1", Level.HIGH, "A. Khan", NOW)
    silence = Silence("A", Level.MEDIUM, NOW, NOW + 1000, "A. Khan", "works at the gauge")
    await ledger.approve(approval)
    await ledger.silence(silence)
    assert await ledger.decisions() == ((approval,), (silence,))


async def test_published_receipts_leave_the_outbox_by_their_own_number(ledger: Ledger, tmp_path: Path) -> None:
    for item in await planned(ledger, tmp_path, world.contact(1), world.contact(2)):
        await ledger.write([Claim(item.id, NOW)])
        await ledger.write([Close(item.id, accepted(f"m{item.id}"), NOW)])
    rows = await ledger.unpublished(10)
    await ledger.published([rows[1][0]])
    assert await ledger.unpublished(10) == rows[:1]
    async with ledger.writing():  # what goes, of which there may be thousands
        done = asyncio.create_task(ledger.published([rows[0][0]]))
        await asyncio.wait([done], timeout=0.1 if ledger.lease.alone else 10)
        assert done.done() != ledger.lease.alone, "in PostgreSQL it waits for nobody, and nobody for it"
    await done
    assert await ledger.unpublished(10) == []


@pytest.mark.parametrize("many", [bulk.MANY - 1, bulk.MANY])
async def test_rows_by_the_hundred_keep_each_its_own_whatever_they_have_in_common(ledger: Ledger, tmp_path: Path, many: int) -> None:
    items = await planned(ledger, tmp_path, *(world.contact(number) for number in range(many)))
    names = ("state", "reason", "next_attempt_ms", "due_ms", "doubled", "parts", "route")
    same = {
        "state": "unknown",
        "reason": 'a "b" {c}, \\ é',
        "next_attempt_ms": None,
        "due_ms": NOW,
        "doubled": True,
        "parts": 3,
        "route": "",
    }
    for other in ({}, {"next_attempt_ms": NOW + 1}, {"reason": ""}, {"doubled": False, "parts": 1, "route": "b"}):
        rows = [{**same, "id": item.id} for item in items]
        rows[-1].update(other)
        async with ledger.writing() as connection:
            await bulk.change(connection, t.deliveries, names, rows)
            found = await bulk.found(connection, t.deliveries, "id", [item.id for item in items])
        assert [{name: row[name] for name in rows[0]} for row in found] == rows, other
        assert [row["contact"] for row in found] == [item.contact for item in items], "and what was not set"
    strays = [{"channel": "sms", "message_id": f"m{number}", "state": "failed", "reason": "", "at_ms": NOW} for number in range(many)]
    for mixed in (strays, [{**row, "channel": "b", "reason": f"r{number % 2}"} for number, row in enumerate(strays)]):
        async with ledger.writing() as connection:
            await bulk.insert(connection, t.strays, mixed)
            found = await bulk.found(connection, t.strays, "message_id", [row["message_id"] for row in mixed], channel=mixed[0]["channel"])
        assert sorted(found, key=str) == sorted(mixed, key=str)


async def test_what_a_batch_asks_for_reads_no_more_than_that_however_many_were_told_since_the_first(ledger: Ledger, tmp_path: Path) -> None:
    """PostgreSQL had made its plans when there was nothing, and looks at a table a minute later: the first alert to ninety thousand went at
    two thirds of its rate, and to find the parts of five hundred receipts took 0.7 s of the server."""
    items = await planned(ledger, tmp_path, *(world.contact(number) for number in range(300)))
    for some in (items[first : first + 40] for first in range(0, 300, 40)):
        await ledger.write([Claim(item.id, NOW) for item in some])
        await ledger.write([Close(item.id, accepted(f"m{item.id}"), NOW) for item in some])
        await ledger.write([receipt(f"m{item.id}") for item in some])
    async with ledger.writing() as connection:
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
        copy = "SELECT delivery, channel, attempt, number, 'n' || i, state, reason, changed_ms FROM parts, n"
        into = "INSERT INTO parts (delivery, channel, attempt, number, message_id, state, reason, changed_ms)"
        await connection.execute(text(f"{into} {numbers} {copy}"))
    async with ledger.writing() as connection:
        before = await tuples_read(connection)
        found = await bulk.found(connection, t.parts, "message_id", [f"m{item.id}" for item in items[:50]], channel="sms")
        rows = await bulk.found(connection, t.deliveries, "id", [row["delivery"] for row in found])
        read = {name: many - before[name] for name, many in (await tuples_read(connection)).items()}
    assert [row["id"] for row in rows] == [item.id for item in items[:50]] and len(found) == 50
    assert ledger.lease.alone or read == {"parts": 50, "deliveries": 50}


async def tuples_read(connection: AsyncConnection) -> dict[str, int]:
    """By PostgreSQL in this transaction; SQLite does not say."""
    if connection.dialect.name == "sqlite":
        return {}
    counts = "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
    return {row[0]: row[1] for row in await connection.execute(text(counts)) if row[0] in ("deliveries", "parts")}


async def test_many_processes_may_open_a_new_ledger_at_once(url: str) -> None:
    opened = await asyncio.gather(*(Ledger.open(url, "oak") for _ in range(8)))
    assert [await one.counts() for one in opened] == [{}] * 8
    for one in opened:
        await one.close()
