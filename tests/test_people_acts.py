"""What people say of themselves stands in the audit's chain, on both databases, whatever is killed in between."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import channel_world as world
import msgspec
import pytest
import sqlalchemy as sql
from channel_postgres import postgres

from warning import wiring_ledger
from warning.deployment import Deployment
from warning.dispatch.ledger import Ledger
from warning.errors import Unavailable
from warning.model import Level
from warning.people import consent, imports
from warning.people.acknowledged import Acknowledgements
from warning.people.directory import Directory
from warning.people.enrolment import Enrolment
from warning.people.tables import address
from warning.proof import audit, chain
from warning.proof.gathered import Gathering
from warning.region import Contact, Region

NOW, PHONE = 1_790_000_000_000, "+923001234567"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
async def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Deployment]:
    """With a ledger."""
    made = Deployment(directory=tmp_path, database_url="" if request.param == "sqlite" else request.getfixturevalue("server"))
    await (await Ledger.open(made.database, "oak")).close()
    yield made


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return world.region(tmp_path)


async def exported(region: Region, deployment: Deployment, *, contacts: bool = False) -> tuple[list[dict], audit.Found]:
    """(acts of people, what the verification of the file found)."""
    file = deployment.directory / "audit.jsonl"
    await wiring_ledger.export(region, deployment, file, with_contacts=contacts)
    lines = file.read_bytes().splitlines()
    found = audit.verify(lines)
    items = [msgspec.json.decode(line) for line in lines]
    return [item["line"] for item in items if "line" in item] + [item for item in items if "contact" in item], found


async def test_each_act_is_a_line_that_names_nobody(deployment: Deployment, region: Region) -> None:
    directory = Directory(address(deployment), region)
    enrolment, answers = Enrolment(directory, region), Acknowledgements(address(deployment))
    clerk = Contact("c1", "Clerk", "official", "en", (), Level.LOW, phone="+99910000042", email="clerk@example.org", live=False)
    await imports.merge(directory, [clerk], "offices", NOW, by="ayesha")
    joined = await enrolment.enter(PHONE, ("riverside",), "en", NOW + 1)
    assert joined is not None
    await enrolment.speak(PHONE, "ur", NOW + 2)
    await enrolment.stop(PHONE, NOW + 3)
    await consent.say(directory, "Clerk@Example.org", given=False, at_ms=NOW + 4, by="ayesha", how="person")
    await answers.acknowledge(by=PHONE, how="sms", at_ms=NOW + 5, phone=PHONE)
    await imports.leave(directory, ["c1"], NOW + 6, by="ayesha")
    items, found = await exported(region, deployment, contacts=True)
    assert found.faults == []
    acts = [item for item in items if "kind" in item and item["at_ms"] >= NOW]
    assert [(one["kind"], one["at_ms"] - NOW) for one in acts] == [
        *(
            ("import", 0),
            ("consent", 1),
            ("joined", 1),
            ("language", 2),
            ("consent", 3),
            ("consent", 4),
            ("acknowledgement", 5),
            ("removal", 6),
        )
    ]
    assert [one["given"] for one in acts if one["kind"] == "consent"] == [True, False, False]
    assert acts[5]["by"] == "ayesha" and acts[4]["by"] == ""
    whose = {item["contact"]: item["id"] for item in items if "contact" in item and "id" in item}
    assert [whose[one["who"]] for one in acts if "who" in one] == [PHONE, PHONE, PHONE, PHONE, "clerk@example.org"]
    text = str(acts)
    assert PHONE not in text and "clerk@" not in text.lower() and joined.id not in text
    again, found = await exported(region, deployment)
    assert found.faults == [] and [one for one in again if one["at_ms"] >= NOW] == acts, "nothing enters twice"
    await directory.close()
    await answers.close()


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_file_of_contacts_from_a_backup_shows(deployment: Deployment, region: Region) -> None:
    directory, gathering = Directory(address(deployment), region), Gathering(address(deployment), deployment.database)
    await consent.say(directory, PHONE, given=True, at_ms=NOW, by="a", how="person")
    await directory.close()
    file = deployment.directory / "people.db"
    shutil.copy(file, deployment.directory / "backup")
    await consent.say(directory, PHONE, given=False, at_ms=NOW + 1, by="a", how="person")
    assert await gathering.gather() == 2
    await directory.close()
    await gathering.close()
    for old in deployment.directory.glob("people.db*"):
        old.unlink()
    shutil.move(deployment.directory / "backup", file)
    assert await gathering.gather() == 2, "the mark, and what the file holds"
    assert await gathering.gather() == 0
    items, found = await exported(region, deployment)
    assert found.faults == [] and [item["kind"] for item in items] == ["consent", "consent", "put_back", "consent"]
    await gathering.close()


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_gatherers_at_once_and_a_ledger_that_is_away(deployment: Deployment, region: Region) -> None:
    directory = Directory(address(deployment), region)
    for number in range(40):
        await consent.say(directory, f"+9230000000{number:02d}", given=True, at_ms=NOW + number, by="a", how="person")
    away = Gathering(address(deployment), f"sqlite+aiosqlite:///{deployment.directory}/none/there.db")
    with pytest.raises(Unavailable):
        await away.gather()
    several = [Gathering(address(deployment), deployment.database) for _ in range(3)]
    assert sum(await asyncio.gather(*(one.gather() for one in several))) == 40
    items, found = await exported(region, deployment)
    assert found.faults == [] and [item["at_ms"] - NOW for item in items] == list(range(40))
    for one in (*several, away, directory):
        await one.close()


WORKER = """
import asyncio, sys
from pathlib import Path
from warning.deployment import Deployment
from warning.people import consent
from warning.people.directory import Directory
from warning.people.tables import address
from warning.proof.gathered import Gathering

async def main():
    where = Deployment(directory=Path(sys.argv[1]))
    directory, gathering = Directory(address(where)), Gathering(address(where), where.database)
    for number in range(int(sys.argv[2]), 100_000):
        await consent.say(directory, f"+92300{number:07d}", given=number % 2 == 0, at_ms=number, by="a", how="person")
        print(number, flush=True)
        await gathering.gather()

asyncio.run(main())
"""


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_killed_at_any_moment_no_word_is_without_its_line_and_none_has_two(deployment: Deployment, region: Region) -> None:
    said = 0
    for after in (3, 7, 12):
        with subprocess.Popen(
            [sys.executable, "-c", WORKER, str(deployment.directory), str(said)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        ) as worker:
            assert worker.stdout is not None
            for line in worker.stdout:
                said = int(line) + 1
                if said % 20 >= after:
                    break
            worker.send_signal(signal.SIGKILL)
    items, found = await exported(region, deployment)
    assert found.faults == []
    directory = Directory(address(deployment))
    rows = await directory.tables.run(
        sql.text("SELECT at_ms, given FROM people_consents ORDER BY id").columns(at_ms=sql.Integer, given=sql.Boolean)
    )
    assert len(rows) >= said >= 10
    assert [(item["at_ms"], item["given"]) for item in items] == [(row.at_ms, row.given) for row in rows]
    await directory.close()


def test_the_tag_of_another_salt_is_found_out() -> None:
    lines = [
        audit.first("r", "2026-01-01T00:00:00Z", "s"),
        {"contact": chain.tag("t", "x"), "id": "x", "salt": "u"},
        audit.last("r", 0, chain.FIRST, None),
    ]
    assert ["is not who" in fault for fault in audit.verify(map(chain.canonical, lines)).faults] == [True]
