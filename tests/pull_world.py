"""A puller for tests: a server plays the agency, the log is a fake that can be away, the watermark is real SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from pull_agency import AgencyServer

from warning.config_agency import Agency, AgencyModel
from warning.config_sources import Source, Theirs
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.facts import Fact
from warning.ingest.gateway import Gateway
from warning.ingest.pull import Puller
from warning.ingest.watermark import Watermarks
from warning.model import Reading, Rejected
from warning.region import Region

NOW_MS = 1_756_800_000_000  # 2025-09-02T08:00:00Z
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
KEY = "secret-of-the-agency"


@dataclass
class FakeLog:
    """The port Log. ``away``: raises, and takes nothing."""

    away: bool = False
    records: list[tuple[str, bytes]] = field(default_factory=list)

    async def append(self, records: Mapping[tuple[str, int], Sequence[tuple[bytes | None, bytes]]]) -> None:
        if self.away:
            raise Unavailable("the broker is away", retry_after_s=5.0)
        self.records += [(topic, value) for (topic, _), some in records.items() for _, value in some]

    @property
    def readings(self) -> list[tuple[str, int, float | None]]:
        found = [msgspec.json.decode(value, type=Reading) for topic, value in self.records if topic == "readings"]
        return [(one.station, (one.time_ms - NOW_MS) // MINUTE_MS, one.value) for one in found]

    @property
    def rejected(self) -> list[Rejected]:
        return [msgspec.json.decode(value, type=Rejected) for topic, value in self.records if topic == "readings.rejected"]


def agency(**keys: Any) -> Agency:
    reading = {"station": "item.s", "what": "'stage'", "time": "item.t", "value": "item.v"}
    stage = {"parameter": "stage", "unit": "m", "datum": "gauge_zero"}
    form = {"format": "json", "items": {"item": "whole.items"}, "readings": [reading], "parameters": {"stage": stage}}
    return AgencyModel.model_validate(form | {"time_format": "unix_ms"} | keys).noun()


def item(minutes: int, value: float | None = 1.0, station: str = "X") -> dict[str, Any]:
    """A reading so many minutes after now."""
    return {"s": station, "t": NOW_MS + minutes * MINUTE_MS, "v": value}


def at(minutes: float) -> str:
    return datetime.fromtimestamp(NOW_MS / 1000 + minutes * 60, UTC).isoformat().replace("+00:00", "Z")


@dataclass
class World:
    server: AgencyServer
    folder: Path
    region: Region
    log: FakeLog = field(default_factory=FakeLog)
    facts: list[Fact] = field(default_factory=list)
    now_ms: int = NOW_MS
    _opened: list[Puller] = field(default_factory=list)
    _marks: list[Watermarks] = field(default_factory=list)

    def source(self, **changes: Any) -> Source:
        source = Source("agency", agency(), self.server.url + "/r", {"X": Theirs("A"), "Y": Theirs("B")}, reach="loopback", timeout_s=30.0)
        return replace(source, **changes)

    def marks(self) -> Watermarks:
        self._marks.append(Watermarks(f"sqlite+aiosqlite:///{self.folder / 'w.db'}", lambda: self.now_ms, within_s=30.0))
        return self._marks[-1]

    async def puller(self, **changes: Any) -> Puller:
        gateway = Gateway(self.region, Deployment(), self.log, lambda: self.now_ms)  # type: ignore[arg-type]
        puller = Puller(self.source(**changes), gateway, self.marks(), lambda: self.now_ms, self.facts.append)
        await puller.start()
        self._opened.append(puller)
        return puller

    async def stored(self) -> dict[tuple[str, str], int]:
        found = await self.marks().load("agency")
        return {place: (time_ms - NOW_MS) // MINUTE_MS for place, time_ms in found.items()}

    @property
    def queries(self) -> list[dict[str, str]]:
        return [query for _, query, _ in self.server.asked]

    async def close(self) -> None:
        for puller in self._opened:
            await puller.stop()
        for marks in self._marks:
            await marks.close()


@asynccontextmanager
async def opened(folder: Path, region: Region) -> AsyncIterator[World]:
    async with AgencyServer() as server:
        made = World(server, folder, region)
        yield made
        await made.close()


def history(world: World, minutes: range, most: int = 10**9, **others: int) -> None:
    """The agency has a reading of X at each of these minutes, and answers what is asked for."""

    async def answer(request: web.Request) -> web.Response:
        since, until = (
            (datetime.fromisoformat(request.query[name]).timestamp() * 1000 - NOW_MS) / MINUTE_MS for name in ("since", "until")
        )
        found = [item(minute) for minute in minutes if since <= minute < until]
        return web.json_response({"items": found[:most]})

    world.server.answer = answer


WINDOWED = "/r?since={since}&until={until}"
