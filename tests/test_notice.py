"""The operators' notice: everybody is told, and what a crash cut off is told again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import channel_world as world
import pytest

from warning.deployment import Deployment
from warning.dispatch.channel import Outcome
from warning.dispatch.ledger import Ledger
from warning.dispatch.notice import Notices, Observed
from warning.errors import Unavailable
from warning.facts import nobody
from warning.model import DeliveryState as State
from warning.model import Level
from warning.region import Contact


class Endpoints:
    """Of operators; those in ``hang`` do not answer."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.hang = False

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        if self.hang:
            await asyncio.sleep(3600)
        self.told.append(contact.id)
        return Outcome(State.DELIVERED)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    made = await Ledger.open(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}", "oak")
    yield made
    await made.close()


def notices(tmp_path: Path, ledger: Ledger, endpoints: Endpoints, count: int) -> Notices:
    operators = [world.contact(number, hook="agency", phone=False, role="operator") for number in range(count)]

    async def known() -> list[Contact]:
        return operators

    region = world.region(tmp_path, operators)
    return Notices(region, Deployment(directory=tmp_path, replay=True), ledger, endpoints, nobody, known)  # type: ignore[arg-type]


SILENT = [Observed("A", 1_755_000_000_000, Level.UNKNOWN, 1_755_000_000_000, 7)]


async def test_every_operator_is_told_however_many_there_are(tmp_path: Path, ledger: Ledger) -> None:
    endpoints = Endpoints()
    made = notices(tmp_path, ledger, endpoints, 120)
    await made._tell(SILENT)
    await asyncio.gather(*made._under_way)
    assert len(endpoints.told) == 120 == len(set(endpoints.told))


async def test_what_operators_know_is_entered_when_they_were_told_and_not_before(tmp_path: Path, ledger: Ledger) -> None:
    endpoints = Endpoints()
    endpoints.hang = True
    cut_off = notices(tmp_path, ledger, endpoints, 2)
    await cut_off._tell(SILENT)
    await asyncio.sleep(0.05)
    for task in cut_off._under_way:
        task.cancel()
    await asyncio.gather(*cut_off._under_way, return_exceptions=True)
    assert await ledger.observed() == {}, "a crash here: they are told again"
    endpoints.hang = False
    again = notices(tmp_path, ledger, endpoints, 2)
    await again._tell(SILENT)
    await asyncio.gather(*again._under_way)
    assert await ledger.observed() == {"A": (True, 7)} and sorted(endpoints.told) == ["c0", "c1"]


async def test_a_ledger_that_is_away_ends_no_loop(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("the database is away", reason="database")

    endpoints = Endpoints()
    made = notices(tmp_path, ledger, endpoints, 2)
    monkeypatch.setattr(ledger, "observe", away)
    await made._tell(SILENT)
    await asyncio.gather(*made._under_way)
    assert sorted(endpoints.told) == ["c0", "c1"]
