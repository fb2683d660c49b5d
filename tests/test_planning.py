"""An alert is planned some contacts at a time: killed anywhere it goes on, nobody is left out or told twice, the urgent come first."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from sqlalchemy import select

from warning.deployment import Deployment
from warning.dispatch import planner as planning
from warning.dispatch import tables as t
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import People, Planner
from warning.dispatch.rows import Position
from warning.facts import nobody
from warning.model import AlertEvent, EventKind, Level, to_json
from warning.people.directory import Directory
from warning.people.imports import merge
from warning.people.tables import address

CONTACTS = 53


class Phones:
    """A channel that is only asked for addresses."""

    name = "sms"

    def address(self, contact) -> str:
        return contact.phone


class Story:
    """A ledger and a directory on disk; planners come and go."""

    def __init__(self, folder: Path, region, ledger: Ledger, directory: Directory) -> None:
        self.region, self.ledger, self.directory = region, ledger, directory
        self.where = Deployment(directory=folder, prefix="plan.")
        self.opened: list[tuple[str, str]] = []
        self.dropped: list[int] = []
        self.offset = 0

    def planner(self) -> Planner:
        return Planner(
            self.region,
            self.where,
            self.ledger,
            self.directory,
            (Phones(),),
            People(),
            nobody,
            lambda items: self.opened.extend((item.alert, contact.id) for item, contact in items),
            self.dropped.extend,
            self._resync,
            world.now_ms,
        )

    async def _resync(self) -> None:
        return

    async def enter(self, planner: Planner, event: AlertEvent) -> None:
        self.offset += 1
        await self.ledger.begin(event, to_json(event), Position("alerts", 0, self.offset, "a", "b"))
        planner._enter(event)

    async def rows(self) -> Counter[tuple[str, str, str]]:
        found = await self.ledger._rows(select(t.deliveries))
        return Counter((row["alert"], row["contact"], row["state"]) for row in found)


@asynccontextmanager
async def story(folder: Path) -> AsyncIterator[Story]:
    region = world.region(folder, [world.contact(number) for number in range(CONTACTS)])
    where = Deployment(directory=folder, prefix="plan.")
    ledger, directory = await Ledger.open(where.database, region.id), Directory(address(where), region)
    try:
        await merge(directory, region.contacts, "config", world.now_ms(), by="test", whole=True)
        yield Story(folder, region, ledger, directory)
    finally:
        await directory.close()
        await ledger.close()


async def planned(planner: Planner, chunks: int | None = None) -> int:
    """Lets it make so many transactions, or all; how many it made."""
    made = 0
    while planner._chains and made != chunks:
        await planner._go_on(min(planner._chains, key=planner._urgency))
        made += 1
    return made


@pytest.fixture(autouse=True)
def ten_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "SOME", 10)


async def test_killed_after_any_transaction_of_a_plan_nobody_is_left_out_nor_planned_twice(tmp_path: Path) -> None:
    for killed_after in range(7):
        folder = tmp_path / str(killed_after)
        folder.mkdir()
        async with story(folder) as told:
            first, event = told.planner(), world.event(told.region, "A", sent_ms=world.now_ms())
            await told.enter(first, event)
            await planned(first, killed_after)
            again = told.planner()  # another process: it knows what the ledger knows
            await again.start()
            await planned(again)
            assert await told.rows() == {(event.alert.identifier, f"c{number}", "waiting"): 1 for number in range(CONTACTS)}
            assert await told.ledger.unfinished() == []
            assert len(told.opened) == len(set(told.opened)) == CONTACTS, "each is handed on once"


async def test_a_very_high_flood_elsewhere_does_not_wait_for_the_plan_of_a_lower_one(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        planner = told.planner()
        slow = world.event(told.region, "A", level=Level.MEDIUM, sent_ms=world.now_ms())
        high = world.event(told.region, "C", level=Level.VERY_HIGH, sent_ms=world.now_ms())
        same = world.event(told.region, "B", level=Level.MEDIUM, sent_ms=world.now_ms())
        await told.enter(planner, slow)
        await planned(planner, 2)
        await told.enter(planner, high)
        await told.enter(planner, same)
        await planned(planner)
    order = [alert for alert, _ in told.opened]
    assert order[:20] == [slow.alert.identifier] * 20
    assert order[20 : 20 + CONTACTS] == [high.alert.identifier] * CONTACTS, "the next transaction is already its"
    rest = order[20 + CONTACTS :]
    assert rest[:40] != [slow.alert.identifier] * len(rest[:40]), "of one class they take turns"
    assert Counter(order) == {one.alert.identifier: CONTACTS for one in (slow, high, same)}


async def test_a_newer_revision_stops_at_once_what_waits_of_the_older_one_and_reaches_also_whom_that_had_not(tmp_path: Path) -> None:
    """Revision 1 is planned for twenty when revision 2, which contacts do not hear of, comes: all fifty-three get revision 2."""
    async with story(tmp_path) as told:
        planner, start = told.planner(), world.now_ms()
        first = world.event(told.region, "A", sent_ms=start)
        second = world.event(told.region, "A", 2, EventKind.RENEW, sent_ms=start + 1000, raised_ms=start)
        await told.enter(planner, first)
        await planned(planner, 2)
        chain = first.alert.identifier.rpartition(".")[0]
        assert not planner.overtakes(chain, first.alert.identifier)
        await told.enter(planner, second)
        assert planner.overtakes(chain, first.alert.identifier) and not planner.overtakes(chain, second.alert.identifier)
        await planned(planner)
        rows = await told.rows()
        assert not planner.overtakes(chain, first.alert.identifier), "the ledger says it now"
    assert rows == {
        **{(first.alert.identifier, f"c{number}", "overtaken"): 1 for number in range(CONTACTS)},
        **{(second.alert.identifier, f"c{number}", "waiting"): 1 for number in range(CONTACTS)},
    }
    assert len(told.dropped) == CONTACTS


async def test_who_left_the_directory_is_not_told_and_what_waited_for_him_does_not_go(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        planner, start = told.planner(), world.now_ms()
        first = world.event(told.region, "A", sent_ms=start)
        await told.enter(planner, first)
        await planned(planner)
        await merge(told.directory, told.region.contacts[1:], "config", world.now_ms(), by="test", whole=True)
        second = world.event(
            told.region, "A", 2, EventKind.UPGRADE, Level.VERY_HIGH, sent_ms=start + 1000, raised_ms=start, previous=Level.HIGH
        )
        await told.enter(planner, second)
        await planned(planner)
        rows = await told.rows()
    assert rows[first.alert.identifier, "c0", "overtaken"] == 1
    assert (
        sum(count for (alert, _, state), count in rows.items() if alert == second.alert.identifier and state == "waiting") == CONTACTS - 1
    )
    assert (second.alert.identifier, "c0", "waiting") not in rows


async def test_those_whose_water_comes_first_are_planned_first(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        region = told.region
        reach = next(one for zone in region.zones for one in region.reaches_into.get(zone.id, ()) if one.travel_low_s)
        above, below = (region.station_by_id[region.zone_by_id[zone].station] for zone in (reach.upstream, reach.downstream))
        spread = []
        for number, contact in enumerate(region.contacts):
            part = (number * 17 % CONTACTS) / CONTACTS
            lat, lon = above.lat + part * (below.lat - above.lat), above.lon + part * (below.lon - above.lon)
            spread.append(replace(contact, lat=lat, lon=lon))
        await merge(told.directory, spread, "config", world.now_ms(), by="test", whole=True)
        planner = told.planner()
        await told.enter(planner, world.event(region, reach.upstream, sent_ms=world.now_ms()))
        await planned(planner)
    places = {contact.id: number * 17 % CONTACTS for number, contact in enumerate(region.contacts)}
    assert [places[contact] for _, contact in told.opened] == sorted(places.values())


async def test_what_can_wait_waits_for_the_end_of_quiet_hours_and_what_saves_lives_does_not(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        minute = (world.now_ms() // 60_000 + told.region.utc_offset_s // 60) % 1440
        quiet = [replace(one, quiet=((minute - 60) % 1440, (minute + 60) % 1440)) for one in told.region.contacts[:2]]
        await merge(told.directory, quiet, "config", world.now_ms(), by="test", whole=True)
        planner, now_ms = told.planner(), world.now_ms()
        low = world.event(told.region, "A", level=Level.LOW, sent_ms=now_ms)
        high = world.event(told.region, "C", level=Level.VERY_HIGH, sent_ms=now_ms)
        for event in (low, high):
            await told.enter(planner, event)
        await planned(planner)
        rows = {(row["alert"], row["contact"]): row for row in await told.ledger._rows(select(t.deliveries))}
    for contact in ("c0", "c1"):
        assert rows[high.alert.identifier, contact]["next_attempt_ms"] == 0
        waits = rows[low.alert.identifier, contact]
        assert waits["reason"] == "quiet" and 58 * 60_000 <= waits["next_attempt_ms"] - now_ms <= 60 * 60_000
