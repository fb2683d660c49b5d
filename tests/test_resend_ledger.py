"""A person's wish to send again, in the ledger: on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from dispatch_house import H
from sqlalchemy import text
from test_ledger import NOW, accepted, ledger, planned, position, receipt, server, url  # noqa: F401
from test_ledger_proof import exported_lines

from warning.dispatch import resent, shown
from warning.dispatch.attempts import Claim, Claimed, Close
from warning.dispatch.ledger import Ledger
from warning.dispatch.reconcile import Said, reconcile
from warning.dispatch.trail import legal
from warning.model import DeliveryState as State
from warning.model import EventKind, Level
from warning.proof import audit
from warning.proof.decisions import Resend


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
    await ledger.end([items[3].id], State.FAILED, "contact_gone", NOW)
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
    await ledger.begin(renewed, b"{}", position(2))
    assert await goes_again(ledger, wished(item, id=3)) == ([], resent.Stage(0, item.id, 0, False, busy=True)), (
        "while that is being planned"
    )
    await ledger.finish(renewed, NOW, replay=False)
    assert (await goes_again(ledger, wished(item, id=3)))[0] == [item.id]
    await sent(ledger, item, "b")
    higher = world.event(region, "A", 3, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=NOW + 3000, raised_ms=NOW)
    await ledger.begin(higher, b"{}", position(3))
    ledger.withheld = lambda: {higher.alert.identifier}
    assert (await goes_again(ledger, wished(item, id=4)))[1] == resent.Stage(0, item.id, 0, False, busy=True), "it waits for a person"
    ledger.withheld = frozenset
    assert (await goes_again(ledger, wished(item, id=4)))[1].why == "overtaken"
    assert await ledger.resends_done() == {1, 2, 3, 4} and not audit.verify(await exported_lines(url)).faults


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
