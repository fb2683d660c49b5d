"""What stands in the ledger can be proven: legal changes of state only, a chain that shows each change, carried over from before."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import defaultdict
from pathlib import Path

import channel_world as world
import pytest
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError
from test_ledger import NOW, accepted, ledger, planned, receipt, server, told, url  # noqa: F401 - fixtures among them

from warning import wiring_ledger
from warning.alerts.rules import Approval
from warning.deployment import Deployment
from warning.dispatch import exported, shown
from warning.dispatch import tables as t
from warning.dispatch.attempts import Arrived, Claim, Close
from warning.dispatch.channel import Outcome, Part, PartReceipt
from warning.dispatch.database import connect
from warning.dispatch.journal import Journal
from warning.dispatch.ledger import Ledger
from warning.dispatch.reconcile import Said, reconcile
from warning.dispatch.trail import legal
from warning.errors import ExitCode, StateError
from warning.model import DeliveryState as State
from warning.model import EventKind, Level
from warning.people.acknowledged import Acknowledgements
from warning.proof import audit, chain

OLD = Path(__file__).parent / "data" / "ledger" / "version_1.sql"


async def exported_lines(url: str, region: str = "oak") -> list[bytes]:  # noqa: F811
    engine = await connect(url)
    async with engine.connect() as connection:
        seq, digest = await chain.head(connection)
        salt = await chain.salt(connection)
        items = [audit.first(region, "2025-08-27T00:00:00Z")]
        items += [{"line": line, "digest": own} async for line, own in exported.lines(connection, salt, seq)]
        items.append(audit.last(region, seq, digest, None))
    await engine.dispose()
    return [chain.canonical(item) for item in items]


async def histories(opened: Ledger) -> dict[tuple[int, int], list]:
    moves = defaultdict(list)
    async with opened._engine.connect() as connection:
        for row in await connection.execute(select(t.transitions).order_by(t.transitions.c.seq)):
            moves[row.delivery, row.part].append(row)
    return moves


def check(moves: dict[tuple[int, int], list], states: dict[int, str]) -> None:
    for (delivery, part), rows in moves.items():
        for before, row in zip([None, *rows], rows, strict=False):
            if not part:
                assert row.was == ("" if before is None else before.became), f"delivery {delivery}: a gap in {rows}"
            assert legal(part, row.was, row.became, row.why), f"delivery {delivery}, part {part}: {row.was} > {row.became} ({row.why})"
        if not part:
            assert rows[-1].became == states[delivery]
    assert {delivery for delivery, part in moves if not part} == set(states), "each delivery has its beginning"


def some_outcome(chance: random.Random, delivery: int, ids: list[str]) -> Outcome:
    """``ids``: the names of its parts are added."""
    kind = chance.choice([*list(State)[2:6], State.WAITING])
    names = [f"{delivery}-{chance.randrange(10**9)}-{number}" for number in (1, 2)]
    ids.extend(names)
    good = [Part(number, State.ACCEPTED, name) for number, name in enumerate(names, 1)]
    if kind is State.ACCEPTED:
        return Outcome(kind, parts=tuple(good))
    lost = [Part(number, State.UNKNOWN, name, "any") for number, name in enumerate(names, 1)] if kind is State.UNKNOWN else []
    return Outcome(kind, "any", parts=tuple(lost if chance.randrange(2) else good[: chance.randrange(2)]))


def some_entries(chance: random.Random, known: set[int], sending: dict[int, int], ids: list[str]) -> list[Claim | Close | Arrived]:
    """Of one transaction; what it closes is no more ``sending``."""
    entries: list[Claim | Close | Arrived] = []
    for _ in range(chance.randrange(1, 4)):
        what = chance.randrange(6)
        if what <= 1:
            entries.append(Claim(chance.choice(sorted(known)), NOW))
        elif what <= 3 and sending:
            delivery = chance.choice(sorted(sending))
            del sending[delivery]
            again = chance.choice([None, NOW + 10])
            entries.append(Close(delivery, some_outcome(chance, delivery, ids), NOW, again, again))
        elif ids:
            state = chance.choice([State.DELIVERED, State.FAILED])
            entries.append(Arrived(PartReceipt("sms", chance.choice([*ids[-6:], "nobody's"]), state, "any"), NOW))
    return list({(type(entry), getattr(entry, "delivery", id(entry))): entry for entry in entries}.values())


@pytest.mark.parametrize("seed", range(3))
async def test_no_sequence_of_events_writes_an_illegal_change_of_state(ledger: Ledger, url: str, tmp_path: Path, seed: int) -> None:  # noqa: F811
    chance = random.Random(seed)
    people = [world.contact(number) for number in range(3)] + [world.contact(3, hook="x", phone=False)]
    items = await planned(ledger, tmp_path, *people)
    revision, sending, ids = 1, dict[int, int](), list[str]()
    known = {item.id for item in items}

    for _ in range(60):
        entries = some_entries(chance, known, sending, ids)
        for entry, answer in zip(entries, await ledger.write(entries), strict=True):
            if isinstance(entry, Claim) and answer.attempt:
                sending[entry.delivery] = answer.attempt
            elif not isinstance(entry, Claim):
                known |= {item.id for item in answer or ()}
        event = chance.randrange(12)
        if event == 0 and revision < 6:
            revision += 1
            late = [item.id for item in await ledger.open_deliveries()]
            kind = chance.choice([EventKind.UPGRADE, EventKind.RENEW, EventKind.DOWNGRADE])
            known |= {item.id for item in await planned(ledger, tmp_path, *people, revision=revision, overtaken=late, kind=kind)}
        elif event == 1:
            await ledger.recover(NOW)
            sending.clear()
        elif event == 2:
            await ledger.end([chance.choice(sorted(known))], chance.choice([State.FAILED, State.REFUSED]), "expired", NOW)
        elif event == 3 and ids:
            said = [Said(number, chance.choice(ids), chance.choice(["delivered", "failed", ""])) for number in range(2, 5)]
            await reconcile(ledger._engine, "oak", list({each.message_id: each for each in said}.values()), NOW)
    async with ledger._engine.connect() as connection:
        states = {row.id: row.state for row in await connection.execute(select(t.deliveries.c.id, t.deliveries.c.state))}
    check(await histories(ledger), states)
    found = audit.verify(await exported_lines(url))
    assert not found.faults and found.lines > 30


async def test_the_receipts_carry_the_head_of_the_chain(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    await ledger.write([Claim(item.id, NOW)])
    await ledger.write([Close(item.id, accepted("a"), NOW), receipt("a")])
    heads = dict(one.chain.split(":") for one in await told(ledger) if one.chain)
    lines = await exported_lines(url)
    known = {int(seq): digest for seq, digest in heads.items()}
    assert known and not audit.verify(lines, known).faults
    cut = [*lines[:-2], chain.canonical(audit.last("oak", len(lines) - 3, audit.verify(lines[:-2]).digest, None))]
    assert not audit.verify(cut).faults, "a tail that was cut with care stands by itself"
    assert "cut or changed" in audit.verify(cut, known).faults[0], "but not against what the topic holds"


async def test_what_people_decide_stands_in_the_chain_and_nobody_can_be_told_from_it(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    await planned(ledger, tmp_path, world.contact(1))
    await ledger.approve(Approval("ews.oak.A.1", Level.HIGH, "A. Khan", NOW))
    lines = await exported_lines(url)
    assert b'"kind":"approval"' in lines[2] and b"A. Khan" in lines[2]
    assert b"c1" not in b"".join(lines).replace(b"digest", b"") or b'"contact":"c1"' not in b"".join(lines)
    assert b"+999" not in b"".join(lines)


async def test_an_answer_stands_in_the_chain_under_a_tag(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    await planned(ledger, tmp_path, world.contact(1))
    answers = Acknowledgements(url)
    await answers.acknowledge(by="", how="sms", at_ms=NOW, phone="+9992000001")
    await answers.acknowledge(by="A. Khan", how="person", at_ms=NOW, contact="c1", chain="ews.oak.A.1")
    assert await answers.answered("ews.oak.A.1") == {"c1"}
    await answers.close()
    lines = await exported_lines(url)
    assert [line.count(b'"kind":"acknowledgement"') for line in lines] == [0, 0, 1, 1, 0]
    assert not audit.verify(lines).faults and b"+999" not in b"".join(lines) and b"A. Khan" in lines[3]


async def test_a_head_that_was_put_back_stops_no_warning_and_shows(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    first, second = await planned(ledger, tmp_path, world.contact(1), world.contact(2))
    await ledger.write([Claim(first.id, NOW)])
    async with ledger._engine.begin() as connection:
        await connection.execute(text("UPDATE chain_heads SET seq = 1"))
    with pytest.raises(IntegrityError):  # it ends the process: waiting would not mend it
        await Journal(ledger.write, lambda up, why: None)._durable([Claim(second.id, NOW)])
    again = await Ledger.open(url, "oak")
    assert (await again.write([Claim(second.id, NOW)]))[0].attempt == 1
    await again.close()
    lines = await exported_lines(url)
    assert not audit.verify(lines).faults, "the lines themselves were left alone"
    async with ledger._engine.begin() as connection:
        await connection.execute(text("DELETE FROM transitions WHERE seq = 3"))
    assert "seq 3 removed" in audit.verify(await exported_lines(url)).faults[0]


@pytest.mark.parametrize("how", ["changed", "removed", "inserted", "cut", "gone"])
async def test_whatever_is_done_to_the_database_shows(ledger: Ledger, url: str, tmp_path: Path, how: str) -> None:  # noqa: F811
    for item in await planned(ledger, tmp_path, world.contact(1), world.contact(2)):
        await ledger.write([Claim(item.id, NOW)])
        await ledger.write([Close(item.id, accepted(f"m{item.id}"), NOW)])
    assert not audit.verify(await exported_lines(url)).faults
    statements = {
        "changed": "UPDATE transitions SET at_ms = at_ms - 60000 WHERE seq = 4",
        "removed": "DELETE FROM transitions WHERE seq = 4",
        "inserted": "INSERT INTO transitions SELECT seq + 100, delivery, part, was, became, at_ms, why, route, attempt, digest "
        "FROM transitions WHERE seq = 4",
        "cut": "DELETE FROM transitions WHERE seq > 6",
        "gone": "DELETE FROM deliveries WHERE contact = 'c2'",
    }
    async with ledger._engine.begin() as connection:
        if how == "gone":
            await connection.execute(text("DELETE FROM parts"))
        await connection.execute(text(statements[how]))
        if how == "inserted":
            await connection.execute(text("UPDATE chain_heads SET seq = 104"))
    words = "\n".join(audit.verify(await exported_lines(url)).faults)
    assert {
        "changed": "seq 4 changed",
        "removed": "seq 4 removed before seq 5",
        "inserted": "before seq 104",
        "cut": "cut: the head is seq 8",
        "gone": "seq 2 removed before seq 3",
    }[how] in words


async def test_a_ledger_of_before_is_carried_over_and_its_open_messages_go(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as database:
        database.executescript(OLD.read_text("utf-8"))
        before = database.execute("SELECT id, contact, state, reason, attempts FROM deliveries ORDER BY id").fetchall()
    database.close()
    address = f"sqlite+aiosqlite:///{path}"
    for _ in range(2):  # the second time there is nothing to carry
        opened = await Ledger.open(address, "oak")
        async with opened._engine.connect() as connection:
            rows = [row async for row in shown.listed(connection, shown.Which())]
        if _ == 0:
            assert [(row["id"], row["contact"], row["state"], row["reason"], row["attempts"]) for row in rows] == before
            assert {(row["route"], row["deadline_ms"], row["step"]) for row in rows} == {("", None, 0)}
            assert await opened.recover(NOW) == 1, "what was under way when the old version ended"
        check(await histories(opened), {row["id"]: row["state"] for row in rows} | {2: "unknown"})
        with sqlite3.connect(path) as database:
            assert [row[2] for row in database.execute("PRAGMA index_info(deliveries_chain)")] == ["chain", "contact"]
        database.close()
        assert not audit.verify(await exported_lines(address)).faults
        assert len(await opened.unpublished(100)) == 5 and len((await opened.decisions())[0]) == 1
        await opened.close()


async def test_a_ledger_whose_lines_had_a_foreign_key_loses_it_and_goes_on(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    if not ledger.lease.alone:
        async with ledger._engine.begin() as connection:
            await connection.execute(text("ALTER TABLE transitions ADD FOREIGN KEY (delivery) REFERENCES deliveries (id)"))
    for attempt in (1, 2):
        again = await Ledger.open(url, "oak")
        async with again._engine.connect() as connection:
            assert await connection.run_sync(lambda sync: inspect(sync).get_foreign_keys("transitions")) == []
        assert (await again.write([Claim(item.id, NOW)]))[0].attempt == attempt
        await again.close()
    assert not audit.verify(await exported_lines(url)).faults


async def test_a_report_that_is_being_read_holds_up_neither_a_start_nor_what_goes(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    """To drop the foreign key PostgreSQL has the tables for itself: who waited for that held up all that came after him, 96 s long."""
    (item,) = await planned(ledger, tmp_path, world.contact(1))
    keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'transitions'::regclass AND contype = 'f'"
    if not ledger.lease.alone:
        async with ledger._engine.begin() as connection:
            await connection.execute(text("ALTER TABLE transitions ADD FOREIGN KEY (delivery) REFERENCES deliveries (id)"))
    async with ledger.reading() as reading:
        await reading.execute(select(t.deliveries.c.id))
        again = await asyncio.wait_for(Ledger.open(url, "oak"), 10)
        assert ledger.lease.alone or (await reading.execute(text(keys))).scalar_one() == 1
        assert (await asyncio.wait_for(again.write([Claim(item.id, NOW)]), 10))[0].attempt == 1
    await again.close()
    await (await Ledger.open(url, "oak")).close()
    async with ledger.reading() as reading:
        assert ledger.lease.alone or (await reading.execute(text(keys))).scalar_one() == 0, "when nobody reads it goes"


async def test_a_ledger_of_a_version_to_come_is_refused_and_left_alone(tmp_path: Path) -> None:
    address = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    await (await Ledger.open(address, "oak")).close()
    with sqlite3.connect(tmp_path / "new.db") as database:
        database.execute("UPDATE ledger_versions SET version = 99")
    database.close()
    with pytest.raises(StateError, match="the ledger is of version 99, this code reads up to 3") as caught:
        await Ledger.open(address, "oak")
    assert caught.value.exit_code is ExitCode.CHECKPOINT_VERSION


async def test_the_centres_report_corrects_what_differs_once(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    lost, fine, wrong, gone = await planned(ledger, tmp_path, *(world.contact(number) for number in range(4)))
    for item, name in ((lost, "l"), (fine, "f"), (wrong, "w"), (gone, "g")):
        await ledger.write([Claim(item.id, NOW)])
        await ledger.write([Close(item.id, accepted(name), NOW)])
    await ledger.write([receipt("f"), receipt("w")])
    before = len(await told(ledger))
    report = [Said(2, "l", "delivered"), Said(3, "f", "delivered"), Said(4, "w", "failed"), Said(5, "g", ""), Said(6, "other", "failed")]
    trial = await reconcile(ledger._engine, "oak", report, NOW + 1, write=False)
    assert trial.counts["corrected"] == 2 and len(await told(ledger)) == before, "on trial nothing is changed"
    found = await reconcile(ledger._engine, "oak", report, NOW + 1)
    assert dict(found.counts) == {"lines": 5, "corrected": 2, "same": 1, "pending": 1, "unknown": 1}
    assert [(each.message_id, each.ours, each.theirs) for each in found.differences] == [
        ("l", "accepted", "delivered"),
        ("w", "delivered", "failed"),
        ("other", "", "failed"),
    ]
    new = (await told(ledger))[before:]
    assert {(one.contact, one.state, one.origin, one.message_ids) for one in new} == {
        ("c0", State.DELIVERED, "reconciliation", ("l",)),
        ("c2", State.FAILED, "reconciliation", ("w",)),
    }
    assert await ledger.counts() == {("sms", "delivered"): 2, ("sms", "failed"): 1, ("sms", "accepted"): 1}
    again = await reconcile(ledger._engine, "oak", report, NOW + 2)
    assert dict(again.counts) == {"lines": 5, "same": 3, "pending": 1, "unknown": 1} and len(await told(ledger)) == before + 2
    assert not audit.verify(await exported_lines(url)).faults


async def test_a_centres_report_is_held_against_the_messages_of_its_own_route(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    """Two centres call one message 17 each."""
    for item, name in zip(await planned(ledger, tmp_path, world.contact(0), world.contact(1)), ("jazz/17", "spare/17"), strict=True):
        await ledger.write([Claim(item.id, NOW)])
        await ledger.write([Close(item.id, accepted(name), NOW)])
    report = tmp_path / "report.csv"
    report.write_text("id,status\n17,DELIVRD\n")
    where = Deployment(directory=tmp_path, database_url=url)
    for route, word in (("", "unknown"), ("spare", "corrected")):
        found = await wiring_ledger.reconciled(world.region(tmp_path), where, report, {}, {}, route=route, write=True)
        assert dict(found.counts) == {"lines": 1, word: 1}
    assert {(one.contact, one.state) for one in await told(ledger) if one.origin} == {("c1", State.DELIVERED)}


async def test_an_audit_with_names_and_numbers_is_its_writers_alone(ledger: Ledger, url: str, tmp_path: Path) -> None:  # noqa: F811
    await planned(ledger, tmp_path, world.contact(0))
    file, where = tmp_path / "audit.jsonl", Deployment(directory=tmp_path, database_url=url)
    file.write_text("of before")
    file.chmod(0o644)
    await wiring_ledger.export(world.region(tmp_path), where, file, with_contacts=True)
    assert file.stat().st_mode & 0o777 == 0o600 and '"id":"c0"' in file.read_text()


async def test_deliveries_are_listed_page_by_page_counted_and_shown(
    ledger: Ledger,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown, "PAGE", 2)
    items = await planned(ledger, tmp_path, *(world.contact(number) for number in range(5)))
    await ledger.write([Claim(items[0].id, NOW)])
    await ledger.write([Close(items[0].id, accepted("m0"), NOW + 50), receipt("m0")])
    async with ledger._engine.connect() as connection:
        assert [row["contact"] async for row in shown.listed(connection, shown.Which())] == [f"c{number}" for number in range(5)]
        assert [row["contact"] async for row in shown.listed(connection, shown.Which(states=(State.DELIVERED,)))] == ["c0"]
        assert [row["contact"] async for row in shown.listed(connection, shown.Which(zones=("A",)), most=3)] == ["c0", "c1", "c2"]
        assert [row async for row in shown.listed(connection, shown.Which(zones=()))] == []
        assert await shown.counted(connection, shown.Which(), ["state"]) == [
            {"state": "delivered", "deliveries": 1},
            {"state": "waiting", "deliveries": 4},
        ]
        assert await shown.of_message(connection, "m0") == [items[0].id]
        one = await shown.shown(connection, items[0].id)
    assert one is not None
    assert [(each["part"], each["was"], each["became"]) for each in one["transitions"]] == [
        (0, "", "waiting"),
        (0, "waiting", "sending"),
        (1, "", "accepted"),
        (0, "sending", "accepted"),
        (1, "accepted", "delivered"),
        (0, "accepted", "delivered"),
    ]
