"""Subscriptions in SQL, on SQLite and on PostgreSQL; and an import that is killed at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import channel_world as world
import pytest
import sqlalchemy as sql
from channel_postgres import postgres
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.deployment import Deployment
from warning.errors import InputError
from warning.model import Level
from warning.operate.released import _RELEASED, Released
from warning.people.directory import Directory
from warning.people.interest import Interest, wrong_ring, zones_of
from warning.people.subscriptions import METADATA, MOST_OF_ONE, Subscriptions, Wanted

NOW = 1_790_000_000_000
WANTED = Wanted("PDMA", "webhook", "https://pdma.example/hook", "en", Level.MEDIUM, True, Interest(zones=("A",)))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


class Clock:
    now_ms = NOW

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Subscriptions]:
    """Empty."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'people.db'}" if request.param == "sqlite" else request.getfixturevalue("server")
    made = Subscriptions(url, clock)
    async with made._tables.together() as connection:
        for table in METADATA.sorted_tables:
            await connection.execute(sql.delete(table))
    try:
        yield made
    finally:
        await made.close()


async def test_no_place_comes_after_one_that_was_passed(server: str, tmp_path: Path) -> None:
    """Two processes of the API let documents out at once, and the one that began first ends last."""
    where = Deployment(directory=tmp_path, database_url=server)
    first, second = (Released(SimpleNamespace(deployment=where)) for _ in range(2))  # type: ignore[arg-type]
    try:
        async with first._tables.together() as connection:
            await connection.execute(sql.delete(_RELEASED))
        writing, go_on = asyncio.Event(), asyncio.Event()
        together = first._tables.together

        @asynccontextmanager
        async def slowly() -> AsyncIterator[AsyncConnection]:
            async with together() as connection:
                yield connection
                writing.set()
                await go_on.wait()

        first._tables.together = slowly  # type: ignore[method-assign,assignment]
        one = asyncio.create_task(first._enter(["a"]))
        await writing.wait()
        other = asyncio.create_task(second._enter(["b"]))
        await asyncio.wait([other], timeout=0.5)
        seen = await second.after(0, 10)
        go_on.set()
        await asyncio.gather(one, other)
        cursor = max((place for place, _ in seen), default=0)
        assert [identifier for _, identifier in [*seen, *await second.after(cursor, 10)]] == ["a", "b"]
    finally:
        await first.close()
        await second.close()


async def test_a_pause_ends_the_challenge_that_was_under_way(store: Subscriptions) -> None:
    made = await store.create("pdma", WANTED)
    (errand,) = await store.errands()
    await store.pause(made.id, "by pdma")
    assert await store.errands() == []
    await store.ran(errand, "verified", "", state="active")  # its answer comes late
    assert (await store.get(made.id)).state == "paused"


async def test_who_says_stop_is_paused_by_address_and_by_contact(store: Subscriptions) -> None:
    mail = replace(WANTED, channel="email", address="Duty@PDMA.example")
    made, other, hook = await store.create("pdma", mail), await store.create("ndma", replace(mail, address="x@ndma.example")), None
    with pytest.raises(InputError, match="another address"):
        await store.confirm(made.id, "duty@elsewhere.example", "desk")
    assert (await store.get(made.id)).state == "pending"
    await store.confirm(made.id, mail.address, "desk")
    await store.confirm(other.id, "x@ndma.example", "desk")
    hook = await store.create("pdma", WANTED)
    assert await store.stop("duty@pdma.EXAMPLE", "said stop") == [f"agency-{made.id}"]
    assert [(await store.get(one.id)).state for one in (made, other, hook)] == ["paused", "active", "pending"]
    assert await store.stop(f"agency-{hook.id}", "said stop") == [f"agency-{hook.id}"]
    assert await store.stop(WANTED.address, "") == [] == await store.stop("+923001234567", "")


async def test_only_what_was_verified_is_served_and_its_end_is_for_good(store: Subscriptions, tmp_path: Path) -> None:
    region = world.region(tmp_path)
    event, zone = world.event(region, "A", sent_ms=NOW), region.zone_by_id["A"]
    made = await store.create("pdma", WANTED)
    assert (made.state, made.errand) == ("pending", "challenge") and made.secret.startswith("whsec_") and made.token
    assert await store.concerned(event, zone) == [] == await store.contacts(["agency-" + made.id])
    (errand,) = await store.errands()
    await store.ran(errand, "verified", "", state="active")
    (contact,) = await store.concerned(event, zone)
    assert (contact.id, contact.role, contact.webhook, contact.secret) == ("agency-" + made.id, "agency", WANTED.address, made.secret)
    assert await store.contacts(["agency-" + made.id, "p1"]) == [contact] and await store.errands() == []
    assert await store.concerned(world.event(region, "A", level=Level.LOW, sent_ms=NOW), zone) == []
    assert await store.concerned(world.event(region, "B", sent_ms=NOW), region.zone_by_id["B"]) == []
    await store.end(made.id)
    assert await store.concerned(event, zone) == [] and await store.get(made.id) is None
    with pytest.raises(InputError, match="no subscription"):
        await store.rotate(made.id, 1000)


async def test_another_address_is_challenged_again_and_an_old_answer_to_an_old_challenge_counts_for_nothing(store: Subscriptions) -> None:
    made = await store.create("pdma", WANTED)
    (first,) = await store.errands()
    changed = await store.change(made.id, replace(WANTED, address="https://elsewhere.example/"))
    assert changed.state == "pending" and changed.token != made.token
    await store.ran(first, "verified", "", state="active")  # the old address gave back the old token
    assert (await store.get(made.id)).state == "pending"
    (second,) = await store.errands()
    await store.ran(second, "verified", "", state="active")
    renamed = await store.change(made.id, replace(WANTED, address="https://elsewhere.example/", name="Other"))
    assert (renamed.state, renamed.name) == ("active", "Other"), "what is no address needs no challenge"
    assert [line.outcome for line in await store.log(made.id)] == ["verified", "verified"]


async def test_a_challenge_is_tried_again_later_and_refused_in_the_end(store: Subscriptions, clock: Clock) -> None:
    made = await store.create("pdma", WANTED)
    (errand,) = await store.errands()
    await store.ran(errand, "timeout", "", again_ms=NOW + 5_000)
    assert await store.errands() == []
    clock.now_ms += 5_000
    (again,) = await store.errands()
    assert again.errand_tries == 1
    await store.ran(again, "timeout", "no answer", state="refused")
    refused = await store.get(made.id)
    assert (refused.state, refused.reason) == ("refused", "no answer") and await store.errands() == []
    await store.challenge(made.id)
    assert [one.id for one in await store.errands()] == [made.id]


async def test_both_secrets_sign_until_the_overlap_is_over(store: Subscriptions, clock: Clock) -> None:
    made = await store.create("pdma", WANTED)
    rotated = await store.rotate(made.id, 60_000)
    assert rotated.secret != made.secret and rotated.contact().former_secret == made.secret
    clock.now_ms += 59_999
    assert (await store.get(made.id)).former_secret == made.secret
    clock.now_ms += 1
    assert (await store.get(made.id)).former_secret == ""
    at_once = await store.rotate(made.id, 0)
    assert at_once.former_secret == "" and at_once.secret not in (made.secret, rotated.secret)
    both = await asyncio.gather(store.rotate(made.id, 60_000), store.rotate(made.id, 60_000))
    now = await store.get(made.id)
    assert now.secret in {one.secret for one in both} and now.former_secret in {at_once.secret, *(one.secret for one in both)}


async def test_one_owner_has_its_limit_and_its_own(store: Subscriptions) -> None:
    for _ in range(MOST_OF_ONE):
        last = await store.create("pdma", WANTED)
    with pytest.raises(InputError, match="100 subscriptions"):
        await store.create("pdma", WANTED)
    other = await store.create("ndma", WANTED)
    assert [one.id for one in await store.of("ndma")] == [other.id] and len(await store.of()) == MOST_OF_ONE + 1
    assert await store.get(last.id, "ndma") is None
    await store.end(last.id)
    await store.create("pdma", WANTED)


def test_an_area_has_what_it_touches_and_what_lies_nowhere(tmp_path: Path) -> None:
    region = world.region(tmp_path)
    triangle = ((30.0, 71.0), (30.0, 72.0), (31.0, 71.0), (30.0, 71.0))
    zones = tuple(replace(zone, polygon=triangle if zone.id == "A" else None) for zone in region.zones)
    lost = tuple(replace(one, lat=None, lon=None) if one.id == "B" else replace(one, lat=0.0, lon=0.0) for one in region.stations)
    region = replace(region, zones=zones, stations=lost)

    def of(south: float, west: float) -> list[str]:
        box = ((south, west), (south, west + 0.1), (south + 0.1, west + 0.1), (south + 0.1, west), (south, west))
        assert wrong_ring(box) == ""
        return zones_of(Interest(area=box), region)

    assert of(30.1, 71.1) == ["A", "B"], "B lies nowhere that we know: better told too often"
    assert of(30.85, 71.85) == ["B"], "in the triangle's box, not in the triangle"
    assert of(29.95, 71.5) == ["A", "B"], "across its edge"
    assert set(of(-0.05, -0.05)) == {zone.id for zone in zones} - {"A"}


IMPORTING = """
import asyncio, sys
from warning.model import Level
from warning.people import imports
from warning.people.directory import Directory
from warning.region import Contact

async def main():
    directory = await Directory.open(sys.argv[1])
    some = [Contact(f"p{n:05d}", f"{sys.argv[2]} {n}", "public", "en", ("d",), Level.LOW, live=False) for n in range(6000)]
    print("begin", flush=True)
    await imports.merge(directory, some, "villages", 1, by="test")
    print("done", flush=True)

asyncio.run(main())
"""


async def test_an_import_that_is_killed_leaves_all_or_nothing(tmp_path: Path) -> None:
    """kill -9 at moments that go through the whole of it: a reader finds the old list or the new one, never some of each."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'people.db'}"
    seen, pause_s, last = set[str](), 0.08, ""
    for turn in range(5):
        command = [sys.executable, "-c", IMPORTING, url, f"turn{turn}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
        assert process.stdout is not None and process.stdout.readline() == "begin\n"
        time.sleep(pause_s * turn)
        os.kill(process.pid, signal.SIGKILL)
        done = process.communicate()[0] == "done\n"
        directory = await Directory.open(url)
        rows = await directory.tables.run(sql.text("SELECT substr(name, 1, 6), count(*) FROM people_contacts GROUP BY 1"))
        places = await directory.tables.run(sql.text("SELECT count(*) FROM people_districts"))
        await directory.close()
        found = {row[0].strip(): row[1] for row in rows}
        assert found in ({last: 6000}, {f"turn{turn}"[:6]: 6000}, {}), found
        assert not (done and f"turn{turn}"[:6] not in found)
        assert places[0][0] == sum(found.values())
        last = next(iter(found), "")
        seen.add("new" if last == f"turn{turn}"[:6] else "old")
    assert "old" in seen, "no kill came in time"
