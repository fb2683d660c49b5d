"""A desk at which gauge readers' SMS come in: a fake log and a clock of its own, SQL is real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from ingest_house import deployment

from warning.config_readers import Reader
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.facts import Fact
from warning.ingest.gateway import Gateway
from warning.ingest.log import Place, Record
from warning.ingest.reader_memory import Memory
from warning.ingest.sms_grammar import Message
from warning.ingest.sms_in import SmsIn
from warning.model import Parameter, Reading, Rejected
from warning.region import Region

ROOT = Path(__file__).parent.parent
T0 = round(datetime(2025, 9, 2, 6, 0, tzinfo=UTC).timestamp() * 1000)  # 11:00 in Pakistan
MINUTE = 60_000
PHONE = "+99910000101"
SUKKUR, GUDDU, JASSAR = "IND-SUKKUR", "IND-GUDDU", "RAV-JASSAR"


def clerk(**changes: object) -> Reader:
    made = Reader("clerk", "Clerk", "en", ("IND-SUKKUR", "IND-GUDDU", "RAV-JASSAR"), PHONE, Parameter.INFLOW, "cusec")
    return replace(made, **changes)  # type: ignore[arg-type]


def said(message: Message) -> list[tuple[str, str, float, str]]:
    return [(one.station, one.parameter.value if one.parameter else "", one.value, one.unit) for one in message.readings]


class Log:
    """The port ``Log``."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes]] = []
        self.away = False

    async def append(self, records: dict[Place, list[Record]]) -> None:
        if self.away:
            raise Unavailable("the brokers are away")
        self.records += [(topic, value) for (topic, _), these in records.items() for _, value in these]


class Desk:
    """An SmsIn on a fake log and a clock of its own; SQL is real."""

    def __init__(self, region: Region, readers: tuple[Reader, ...], folder: Path, place: Deployment | None = None) -> None:
        self.region, self.readers, self.folder = region, readers, folder
        self.now_ms, self.log, self.facts = T0, Log(), list[Fact]()
        self.place = place or deployment("nowhere:1", folder)
        self.gateway = Gateway(region, self.place, self.log, lambda: self.now_ms)  # type: ignore[arg-type]
        self.memory = Memory(self.place.database)
        self.sms = self.made()

    def made(self) -> SmsIn:
        return SmsIn(self.region, self.readers, self.gateway, self.memory, lambda: self.now_ms, self.facts.append)

    async def again(self) -> None:
        """As after a crash: nothing is left but SQL."""
        await self.memory.close()
        self.memory = Memory(self.place.database)
        self.sms = self.made()

    async def take(self, text: str, phone: str = PHONE, minutes: float = 0, sent_ms: int | None = None) -> str:
        self.now_ms += round(minutes * MINUTE)
        return await self.sms.take(phone, text, sent_ms)

    @property
    def readings(self) -> list[Reading]:
        return [msgspec.json.decode(value, type=Reading) for topic, value in self.log.records if topic == self.place.readings]

    @property
    def rejected(self) -> list[Rejected]:
        return [msgspec.json.decode(value, type=Rejected) for topic, value in self.log.records if topic == self.place.rejected]


@asynccontextmanager
async def desk(region: Region, folder: Path, *readers: Reader) -> AsyncIterator[Desk]:
    made = Desk(region, readers or (clerk(),), folder)
    try:
        yield made
    finally:
        await made.memory.close()
