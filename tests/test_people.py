"""The directory of contacts, on SQLite and on PostgreSQL: who is found by place, what imports change, and that a stop stays one."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
import sqlalchemy as sql
from channel_postgres import postgres
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.errors import Unavailable
from warning.model import EventKind, Level
from warning.people import consent, imports
from warning.people import tables as t
from warning.people.directory import CHUNK, Directory
from warning.people.interest import Interest
from warning.people.subscriptions import Wanted
from warning.region import Contact, Region

NOW = 1_790_000_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def directory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Directory]:
    """Empty."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'people.db'}" if request.param == "sqlite" else request.getfixturevalue("server")
    opened = await Directory.open(url)
    async with opened.tables.together() as connection:
        for table in t.METADATA.sorted_tables:
            await connection.execute(sql.delete(table))
    for one in await opened.subscriptions.of():
        await opened.subscriptions.end(one.id)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return world.region(tmp_path)


def person(number: int, *districts: str, **changes: object) -> Contact:
    made = Contact(f"p{number:05d}", f"Person {number}", "public", "en", districts, Level.LOW, phone=f"+9992{number:06d}", live=False)
    return replace(made, **changes)


async def enter(directory: Directory, *contacts: Contact, origin: str = "villages", **options: object) -> imports.Merged:
    return await imports.merge(directory, contacts, origin, NOW, by="ayesha", **options)


async def found(directory: Directory, region: Region, zone: str = "A", *, also: set[str] = frozenset(), **event: object) -> list[str]:
    """Ids, in the order in which they come."""
    one = world.event(region, zone, sent_ms=NOW, **event)
    lists = [chunk async for chunk in directory.concerned(one, region.zone_by_id[zone], also)]
    assert all(0 < len(chunk) <= CHUNK for chunk in lists)
    return [contact.id for chunk in lists for contact in chunk]


async def test_what_goes_in_comes_out(directory: Directory) -> None:
    plain = person(1, "upper")
    full = person(
        2,
        webhook="https://hooks.example.org/x",
        secret=world.SECRET,
        email="duty@example.org",
        voice=True,
        office="ddma",
        rank=2,
        village="الف",
        channels=("email", "sms"),
        quiet=(1320, 360),
        control_room=True,
        lat=30.5,
        lon=71.25,
        level=Level.VERY_HIGH,
    )
    await enter(directory, plain, full)
    assert await directory.contact("p00001") == plain
    assert await directory.contact("p00002") == full
    assert await directory.contact("nobody") is None
    assert await directory.by_phone(full.phone) == [full]


async def test_an_alert_concerns_its_districts_from_their_class_on(directory: Directory, region: Region) -> None:
    upper, lower, zone = "upper", "lower", region.zone_by_id["A"]
    assert zone.districts == (upper,)
    await enter(
        directory,
        person(1, upper),
        person(2, lower),
        person(3),
        person(4, lower, upper),
        person(5, upper, level=Level.EXCEPTIONAL),
        person(6, upper, consent=False),
    )
    assert sorted(await found(directory, region)) == ["p00001", "p00003", "p00004"]
    assert sorted(await found(directory, region, level=Level.EXCEPTIONAL)) == ["p00001", "p00003", "p00004", "p00005"]
    # who is in the chain's history comes in any case, once; an end concerns nobody else
    assert sorted(await found(directory, region, also={"p00001", "p00002", "p00006", "gone"})) == ["p00001", "p00002", "p00003", "p00004"]
    assert await found(directory, region, kind=EventKind.CLEAR, level=Level.NORMAL, also={"p00002"}) == ["p00002"]
    assert await found(directory, region, kind=EventKind.RENEW, also={"p00005"}) == ["p00005"]


async def test_who_lives_in_the_polygon_is_told_whatever_district_it_was_entered_under(directory: Directory, region: Region) -> None:
    zone = replace(region.zone_by_id["A"], polygon=((30.0, 71.0), (30.0, 72.0), (31.0, 71.0), (30.0, 71.0)))
    await enter(
        directory,
        person(1, "lower", lat=30.2, lon=71.2),
        person(2, "lower", lat=30.9, lon=71.9),  # in the triangle's box, not in the triangle
        person(3, "upper", lat=30.2, lon=71.2),
        person(4, "lower"),
    )
    event = world.event(region, "A", sent_ms=NOW)
    ids = [contact.id async for chunk in directory.concerned(event, zone) for contact in chunk]
    assert sorted(ids) == ["p00001", "p00003"]


async def test_pages_lose_and_double_nobody(directory: Directory, region: Region) -> None:
    zone = replace(region.zone_by_id["A"], districts=("upper", "lower"))
    everybody = [person(number, *(("upper",), ("lower",), ("upper", "lower"), ())[number % 4]) for number in range(2 * CHUNK + 7)]
    await enter(directory, *everybody)
    event = world.event(region, "A", sent_ms=NOW)
    lists = [chunk async for chunk in directory.concerned(event, zone, {"p00003", "p00004"})]
    ids = [contact.id for chunk in lists for contact in chunk]
    assert sorted(ids) == [contact.id for contact in everybody]
    assert max(map(len, lists)) <= CHUNK


async def test_the_same_file_again_changes_nothing_and_a_changed_row_alone_is_written(directory: Directory, region: Region) -> None:
    first = await enter(directory, person(1, "upper"), person(2, "upper"))
    assert (first.accepted, first.changed, first.same) == (["p00001", "p00002"], [], [])
    second = await enter(directory, person(1, "upper"), person(2, "lower"), person(3, "upper"))
    assert (second.accepted, second.changed, second.same) == (["p00003"], ["p00002"], ["p00001"])
    assert sorted(await found(directory, region)) == ["p00001", "p00003"], "the second one has moved"
    third = await enter(directory, person(1, "upper"), whole=True)
    assert (third.gone, third.same) == (["p00002", "p00003"], ["p00001"])
    assert await found(directory, region) == ["p00001"]
    assert await directory.contact("p00003") is None
    fourth = await enter(directory, person(3, "upper"))
    assert fourth.accepted == ["p00003"] and sorted(await found(directory, region)) == ["p00001", "p00003"]


async def test_a_dry_run_says_the_same_and_writes_nothing(directory: Directory, region: Region) -> None:
    await enter(directory, person(1, "upper"))
    tried = await enter(directory, person(1, "lower"), person(2, "upper"), whole=True, dry_run=True)
    assert (tried.accepted, tried.changed) == (["p00002"], ["p00001"])
    assert await found(directory, region) == ["p00001"]


async def test_another_files_contact_is_not_taken_over_and_shared_numbers_are_named(directory: Directory) -> None:
    await enter(directory, person(1, "upper"), person(2, "upper"), origin="config")
    merged = await enter(
        directory, person(1, "lower"), person(7, "lower", phone=person(2).phone), person(8, phone="+999777"), person(9, phone="+999777")
    )
    assert merged.foreign == {"p00001": "config"}
    assert merged.phones == {person(2).phone: ["p00007", "p00002"], "+999777": ["p00008", "p00009"]}
    assert (await directory.contact("p00001")).districts == ("upper",)


async def test_no_import_brings_back_who_said_stop(directory: Directory, region: Region) -> None:
    await enter(directory, person(1, "upper"), person(2, "upper"))
    stopped = await consent.say(directory, person(1).phone, given=False, at_ms=NOW, by=person(1).phone, how="sms")
    assert stopped == ["p00001"] and await found(directory, region) == ["p00002"]
    assert await found(directory, region, kind=EventKind.CLEAR, level=Level.NORMAL, also={"p00001"}) == []
    assert not (await directory.contact("p00001")).consent, "but it is known, and why"
    again = await enter(directory, person(1, "upper", name="Spelled anew"), person(2, "upper"))
    assert (again.changed, again.stopped) == (["p00001"], ["p00001"])
    await imports.leave(directory, ["p00001"], NOW, by="ayesha")
    await enter(directory, person(1, "upper"), person(3, "upper", phone=person(1).phone))
    assert await found(directory, region) == ["p00002"], "neither under its old id nor under a new one"
    assert await consent.say(directory, "p00003", given=True, at_ms=NOW + 1, by="ayesha", how="person") == ["p00003"]
    assert sorted(await found(directory, region)) == ["p00002", "p00003"]
    words = await consent.history(directory, [person(1).phone, "p00001", "p00003"])
    assert [(one.address, one.given, one.how) for one in words] == [
        (person(1).phone, False, "sms"),
        ("p00001", False, "sms"),
        ("p00003", True, "person"),
        (person(1).phone, True, "person"),
    ]
    with pytest.raises(ValueError, match="who says so"):
        await consent.say(directory, "p00001", given=True, at_ms=NOW, by=" ", how="person")


async def test_an_email_address_says_stop_however_it_is_written(directory: Directory) -> None:
    hers = person(1, "upper", email="Aisha@Example.org")
    await enter(directory, hers)
    assert await consent.say(directory, "aisha@example.ORG", given=False, at_ms=NOW, by="ayesha", how="person") == ["p00001"]
    await enter(directory, person(2, "upper", email="AISHA@example.org"))
    assert [(await directory.contact(id)).consent for id in ("p00001", "p00002")] == [False, False]
    assert [one.given for one in await consent.history(directory, ["AISHA@EXAMPLE.ORG"])] == [False]


async def test_a_stop_and_an_import_that_cross_do_not_miss_each_other(directory: Directory) -> None:
    """The import has read who said stop, and has not written yet: the stop comes after it, not beside it."""
    read, go_on = asyncio.Event(), asyncio.Event()
    stopped_addresses = imports.stopped_addresses

    async def slowly(connection: AsyncConnection) -> set[str]:
        said = await stopped_addresses(connection)
        read.set()
        await go_on.wait()
        return said

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(imports, "stopped_addresses", slowly)
        entering = asyncio.create_task(enter(directory, person(1, "upper")))
        await read.wait()
        stop = asyncio.create_task(consent.say(directory, person(1).phone, given=False, at_ms=NOW, by="she", how="sms"))
        await asyncio.wait([stop], timeout=0.5)
        go_on.set()
        await asyncio.gather(entering, stop)
    assert not (await directory.contact("p00001")).consent


async def test_an_office_stands_in_in_its_order_and_a_district_has_its_control_room(directory: Directory) -> None:
    crew = [person(number, "upper", office="ddma", rank=number) for number in (1, 2, 3)]
    room = person(9, "upper", control_room=True)
    await enter(directory, *crew, room, person(10, "lower", control_room=True), person(11, control_room=True), person(12, "upper"))
    assert [one.id for one in await directory.office(crew[1])] == ["p00003", "p00001"]
    assert await directory.office(room) == []
    assert [one.id for one in await directory.control_rooms(("upper",))] == ["p00009", "p00011"]
    await consent.say(directory, "p00003", given=False, at_ms=NOW, by="ayesha", how="person")
    assert [one.id for one in await directory.office(crew[1])] == ["p00001"]


async def test_operators_are_told_of_the_system_wherever_they_came_from(directory: Directory) -> None:
    hook = {"webhook": "https://hooks.example.org/x", "secret": world.SECRET}
    await enter(directory, person(1, "upper", role="operator", **hook), person(2, "upper", role="operator"), person(3, "upper", **hook))
    wanted = Wanted("Agency", "webhook", "https://agency.example/hook", "en", Level.LOW, False, Interest(), role="operator")
    made = await directory.subscriptions.create("agency", wanted)
    await directory.subscriptions.ran(made, "verified", "", state="active")
    assert [one.id for one in await directory.subscriptions.contacts([f"agency-{made.id}"])] == [f"agency-{made.id}"]
    assert [one.id for one in await directory.operators()] == ["p00001"], "nobody makes himself one of them"
    await consent.say(directory, "p00001", given=False, at_ms=NOW, by="ayesha", how="person")
    assert await directory.operators() == []


async def test_an_audience_is_read_in_bounded_memory(directory: Directory, region: Region) -> None:
    """Ten times the people, no more memory. (`warning bench dispatch` has the 90,000.)"""
    districts = [f"d{number}" for number in range(10)]
    await enter(directory, *(person(number, districts[number % 10], village=f"village {number // 3}") for number in range(6_000)))
    event, zone = world.event(region, "A", sent_ms=NOW), region.zone_by_id["A"]
    counts, peaks = [], []
    for wanted in (("d7",), tuple(districts)):
        tracemalloc.start()
        try:
            lists = [len(chunk) async for chunk in directory.concerned(event, replace(zone, districts=wanted))]
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        counts.append(sum(lists))
        assert max(lists) <= CHUNK
    assert counts == [600, 6_000]
    assert peaks[1] < 2 * peaks[0] + 1e6


async def test_a_database_that_is_away_is_no_empty_audience(region: Region, tmp_path: Path) -> None:
    away = Directory("postgresql+asyncpg://postgres@127.0.0.1:1/postgres")
    try:
        with pytest.raises(Unavailable, match="contacts"):
            await found(away, region)
    finally:
        await away.close()
    (tmp_path / "broken.db").write_bytes(b"not a database, for sure" * 100)
    with pytest.raises(Unavailable):
        await Directory.open(f"sqlite+aiosqlite:///{tmp_path / 'broken.db'}")
