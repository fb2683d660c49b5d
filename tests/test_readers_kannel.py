"""A real Kannel between the SMS centre and us: what a phone writes comes to the log, and the answer goes back to the phone.

And what Kannel forgets: smsbox acknowledges a message to bearerbox when its request to us has begun, so one that waits for our 200 is in
its memory alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import smpp34
from aiohttp import web
from ingest_house import HOST, two_basins, wall_ms
from kannel_box import Kannel, kannel
from readers_desk import Log

from warning import config_readers
from warning.deployment import Deployment
from warning.ingest import kannel_in
from warning.ingest.gateway import Gateway
from warning.ingest.kannel_held import KIND, Held
from warning.ingest.kannel_in import KannelIn
from warning.ingest.keys import KeyStore
from warning.ingest.rate import Limits
from warning.ingest.reader_memory import Memory
from warning.ingest.serving import serve
from warning.ingest.sms_in import SmsIn
from warning.model import Reading
from warning.rehearsal.telecom import Telecom

PHONE = "+99910000101"


@dataclass
class House:
    """A gateway's way in for Kannel on a log that may be away; ``asked``: what each request was answered."""

    log: Log
    place: Deployment
    memory: Memory
    held: Held
    way: KannelIn
    limits: Limits
    asked: list[int]
    url: str
    key: str
    key_row: object
    seconds: float = 0.0  # of the limits' clock

    @property
    def values(self) -> list[float | None]:
        return [one.value for one in self.readings]

    @property
    def readings(self) -> list[Reading]:
        return [msgspec.json.decode(value, type=Reading) for topic, value in self.log.records if topic == self.place.readings]


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    region = two_basins(folder)
    readers = f"id,name,phone,language,stations,parameter,unit\nr1,Reader,{PHONE},ur,A|B,stage,ft\n"
    (Path(region.folder) / "readers.csv").write_text(readers, "utf-8")
    log, place, asked = Log(), Deployment(directory=folder), list[int]()
    keys, memory = KeyStore(place.database, wall_ms), Memory(place.database)
    row, key = await keys.create("kannel")
    gateway = Gateway(region, place, log, wall_ms)  # type: ignore[arg-type]
    sms = SmsIn(region, config_readers.load(region.folder, region), gateway, memory, wall_ms)
    held, limits = Held(memory, gateway, wall_ms), Limits(lambda: made.seconds)
    way = KannelIn(sms, gateway, keys, held, limits=limits)

    @web.middleware
    async def noted(request: web.Request, handler: object) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)  # type: ignore[operator]
        asked.append(response.status)
        return response

    app = web.Application(middlewares=[noted])
    app.add_routes(way.routes())
    server = await serve(app, HOST, 0)
    made = House(log, place, memory, held, way, limits, asked, f"http://{HOST}:{server.port}{kannel_in.PATH}", key, row)
    try:
        yield made
    finally:
        await server.stop()
        await memory.close()
        await keys.close()


def said(text: str) -> smpp34.DeliverSm:
    coding, content = (0, text.encode("ascii")) if text.isascii() else (8, text.encode("utf-16-be"))
    return smpp34.DeliverSm(PHONE[1:], "8333", content, source_addr_ton=1, source_addr_npi=1, data_coding=coding)


async def answer(telecom: Telecom, count: int) -> str:
    for _ in range(1000):
        if len(telecom.messages) >= count:
            found = telecom.messages[count - 1]
            assert found["destination"].lstrip("+") == PHONE[1:]
            return str(found["text"])
        await asyncio.sleep(0.03)
    pytest.fail("no answer came")


async def until(true: object) -> None:
    for _ in range(1000):
        if true():  # type: ignore[operator]
            return
        await asyncio.sleep(0.03)
    pytest.fail("it does not come true")


async def test_through_a_real_kannel(tmp_path: Path) -> None:
    telecom = Telecom()
    smsc = await telecom.start()
    async with house(tmp_path) as at:
        try:
            async with kannel(tmp_path, smsc, at.url, at.key) as box:
                await _answered(at, telecom)
                await _asked_again_after_503_and_429(at, telecom)
                await _what_kannel_forgets_is_taken(at, telecom, box)
        finally:
            await telecom.stop()


async def _answered(at: House, telecom: Telecom) -> None:
    assert await telecom.say(said("Alder 9.5 ft")) == 0
    assert "9.5 فٹ" in await answer(telecom, 1)
    assert await telecom.say(said("ب ۱۶٫۵ فٹ")) == 0
    text = await answer(telecom, 2)
    assert text.startswith("مشق: ب: 16.5 فٹ") and text.endswith("بہت اونچے درجے کا سیلاب۔")
    assert await telecom.say(said("what?")) == 0
    assert "یوں لکھیں: الف" in await answer(telecom, 3)
    assert [(one.station, one.value, one.provider) for one in at.readings] == [("A", 2.8956, "r1"), ("B", 5.0292, "r1")]
    assert all(abs(one.time_ms - wall_ms()) < 60_000 for one in at.readings)


async def _asked_again_after_503_and_429(at: House, telecom: Telecom) -> None:
    at.log.away = True
    assert await telecom.say(said("Birch 10 ft")) == 0, "Kannel has it now"
    await until(lambda: at.asked.count(503) >= 2)
    assert len(at.readings) == 2 and await at.memory.count(KIND) == 1, "in SQL, too"
    at.log.away = False
    assert "10 فٹ" in await answer(telecom, 4), "asked again until the log had it"
    assert at.values[2:] == [3.048] and await at.memory.count(KIND) == 0
    bucket = at.limits.bucket(at.key_row)  # type: ignore[arg-type]
    assert bucket is not None
    bucket.take(int(bucket.left))
    assert await telecom.say(said("Birch 11 ft")) == 0
    await until(lambda: at.asked.count(429) >= 2)
    assert len(at.readings) == 3
    at.seconds += 60
    assert "11 فٹ" in await answer(telecom, 5)
    assert at.values[3:] == [3.3528] and await at.memory.count(KIND) == 0


async def _what_kannel_forgets_is_taken(at: House, telecom: Telecom, box: Kannel) -> None:
    at.log.away = True
    assert await telecom.say(said("Birch 12 ft")) == 0
    await until(lambda: at.asked[-1] == 503)
    await box.kill("smsbox")
    await box.start("smsbox")
    at.log.away = False
    before = len(at.asked)
    await asyncio.sleep(1.0)  # Kannel says the time in whole seconds
    assert await telecom.say(said("Birch 13 ft")) == 0
    assert "13 فٹ" in await answer(telecom, 6)
    await asyncio.sleep(2.5)  # two and a half times what it waits between two tries
    assert at.asked[before:] == [200] and at.values[4:] == [3.9624], "Kannel has forgotten the other one"
    assert await at.held.sweep(at.way._heard) == 0, "it may still come"
    at.held.quiet_ms = -1
    assert await at.held.sweep(at.way._heard) == 1
    assert at.values[5:] == [3.6576] and await at.memory.count(KIND) == 0
    assert at.readings[5].time_ms < at.readings[4].time_ms, "of its own time"
