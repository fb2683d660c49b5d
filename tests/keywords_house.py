"""Two-way SMS on real SQL beside an SmsIn on a fake log, and warnings as the dispatcher enters them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from alert_region import raised
from readers_desk import Desk, clerk

from warning import config
from warning.database import Tables
from warning.deployment import Deployment
from warning.dispatch import tables as ledger
from warning.facts import Fact
from warning.ingest.sms_in import SmsIn
from warning.ingest.two_way import TwoWay
from warning.model import AlertEvent, Level, to_json
from warning.people.acknowledged import Acknowledgements
from warning.people.directory import Directory
from warning.people.enrolment import Enrolment
from warning.people.standing import Standing
from warning.people.tables import address
from warning.proof.register import Register
from warning.region import Region

ROOT = Path(__file__).parent.parent
VILLAGER, OFFICER = "+923001234567", "+99910000042"


@pytest.fixture(scope="module")
def indus() -> Region:
    return config.load(ROOT / "config" / "indus")


class House:
    """Two-way SMS on real SQL beside an SmsIn on a fake log."""

    def __init__(self, region: Region, folder: Path, desk: Desk) -> None:
        self.region, self.desk, self.place = region, desk, desk.place
        self.directory, self.acknowledgements = Directory(address(self.place), region), Acknowledgements(address(self.place))
        self.register, self.standing = Register(region, self.place), Standing(region, self.place)
        self.enrolment = Enrolment(self.directory, region)
        self.ledger = Tables(self.place.database, ledger.metadata, "ledger")
        self.heard: list[Fact] = []
        parts = (self.enrolment, self.acknowledgements, self.register, self.standing)
        self.two_way = TwoWay(region, *parts, desk.memory, listen=self.heard.append)
        readers = desk.readers
        desk.sms = SmsIn(region, readers, desk.gateway, desk.memory, lambda: desk.now_ms, desk.facts.append, self.two_way)

    async def follows(self, alerts_ms: int, hazards_ms: int) -> None:
        """As the dispatcher writes it down."""
        await self.ledger.run(ledger.pulses.delete())
        known = {"alerts": alerts_ms, **{f"hazards {number}": hazards_ms for number in range(self.region.partitions)}}
        await self.ledger.run(self.ledger.insert(ledger.pulses), [{"name": name, "at_ms": at_ms} for name, at_ms in known.items()])

    async def say(self, text: str, phone: str = VILLAGER) -> str:
        return await self.desk.take(text, phone)

    async def again(self, text: str, phone: str = VILLAGER) -> str:
        """A JOIN after a stop, without a time: it is asked about, begins nothing, and counts when it comes after that answer."""
        assert "JOIN" in await self.say(text, phone) and await self.enrolment.stopped(phone)
        await self.desk.sms.delivered(phone)
        self.desk.now_ms += 60_000
        return await self.say(text, phone)

    async def entered(self, event: AlertEvent) -> None:
        """As the dispatcher enters it, before anybody is told; nobody may have to be."""
        alert = event.alert
        row = {
            "identifier": alert.identifier,
            "chain": alert.identifier.rpartition(".")[0],
            "zone": alert.zone,
            "revision": alert.revision,
            "digest": "",
        }
        row |= {"kind": alert.kind.value, "level": alert.level.value, "sent_ms": alert.sent_ms, "expires_ms": alert.expires_ms}
        await self.ledger.run(self.ledger.insert(ledger.alerts).values({**row, "value": to_json(event)}))

    async def told(self, event: AlertEvent) -> None:
        """Somebody was sent it."""
        await self.entered(event)
        alert = event.alert
        said = {
            "alert": alert.identifier,
            "revision": 0,
            "chain": alert.identifier.rpartition(".")[0],
            "zone": alert.zone,
            "level": "",
            "contact": "c",
        }
        said |= {"channel": "sms", "language": "en", "state": "sent", "reason": "", "attempts": 1, "due_ms": 0, "expires_ms": 0}
        said |= {"doubled": False, "handed": True, "parts": 1, "parts_delivered": 0, "created_ms": 0, "changed_ms": 0}
        await self.ledger.run(self.ledger.insert(ledger.deliveries).values(said))

    async def close(self) -> None:
        for one in (self.directory, self.acknowledgements, self.register, self.standing, self.ledger):
            await one.close()


@asynccontextmanager
async def house(region: Region, folder: Path, place: Deployment | None = None) -> AsyncIterator[House]:
    desk = Desk(region, (clerk(),), folder, place)
    made = House(region, folder, desk)
    await made.follows(desk.now_ms, desk.now_ms)  # the dispatcher has made its tables, and follows both logs
    try:
        yield made
    finally:
        await made.close()
        await desk.memory.close()


def event_of(region: Region, zone: str, level: Level, sent_ms: int) -> AlertEvent:
    alert = raised(region, region.zone_by_id[zone], sent_ms, observed=level)
    return AlertEvent(alert=alert, cap="", config="", code="")
