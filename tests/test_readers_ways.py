"""SMS of gauge readers through the suite that every way in passes: by SMPP from an SMS centre, and by Kannel's request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import smpp34
from aiohttp import web
from ingest_house import HOST
from way_conformance import BROKEN, Answer, At, Message, Way, WayConformance

from warning import config_readers
from warning.ingest import kannel_in, smpp_session
from warning.ingest.kannel_held import Held
from warning.ingest.kannel_in import KannelIn
from warning.ingest.keys import KeyStore
from warning.ingest.reader_memory import Memory
from warning.ingest.serving import serve
from warning.ingest.smpp_in import SmppIn
from warning.ingest.sms_in import SmsIn
from warning.rehearsal.telecom import Telecom

PHONE, STRANGER = "+99910000101", "+99910000199"
READERS = f"id,name,phone,language,stations,parameter,unit\nreader-1,Reader of all,{PHONE},en,A|B|C|D,stage,m\n"
NOT_TAKEN = "Not taken"
LOCAL = timedelta(hours=5)


def words(message: Message) -> str:
    """As a reader writes it."""
    at = datetime.fromtimestamp(message.at_ms / 1000, UTC) + LOCAL
    return f"{message.station} {message.parameter} {message.value} {message.unit} {at:%Y-%m-%d %H:%M}"


class OfReaders(Way):
    """``tells`` is False: a reader hears why in words of his language, not in ours (test_readers.py has them)."""

    tells = False
    reasons: ClassVar[dict[str, str]] = {"unauthenticated": "unregistered"}

    def prepare(self, folder: Path) -> None:
        (folder / "readers.csv").write_text(READERS, "utf-8")

    @asynccontextmanager
    async def sms(self, at: At) -> AsyncIterator[tuple[SmsIn, Memory]]:
        memory = Memory(at.deployment.database)
        try:
            yield SmsIn(at.region, config_readers.load(at.region.folder, at.region), at.gateway, memory, at.clock, at.listen), memory
        finally:
            await memory.close()


class Smpp(OfReaders):
    """The centre is ours; it says after each message what the session answered."""

    most_bytes = 60_000

    async def open(self, folder: Path) -> None:
        self.telecom = Telecom()
        await self.telecom.start()

    async def close(self) -> None:
        await self.telecom.stop()

    def where_outside(self) -> dict[str, Any]:
        return {"port": self.telecom.port}

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        async with self.sms(at) as (sms, memory):
            stop = asyncio.Event()
            running = SmppIn((HOST, at.outside["port"], "ews", "pw"), sms, at.gateway, memory, at.clock, at.listen)
            task = asyncio.create_task(running.run(stop))
            try:
                yield {}
            finally:
                stop.set()
                await task

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        coding, content, options = 0, words(message).encode(), []
        if message.raw == BROKEN:
            coding, content = 1, BROKEN
        elif message.raw is not None:
            content, options = b"", [smpp34.Tlv(smpp34.TLV_MESSAGE_PAYLOAD, message.raw)]
        sender = STRANGER if message.bad_key else PHONE
        before = len(self.telecom.messages)
        said = smpp34.DeliverSm(sender[1:], "8333", content, source_addr_ton=1, source_addr_npi=1, data_coding=coding, tlvs=options)
        try:
            status = await self.telecom.say(said)
        except (ConnectionError, TimeoutError):
            return Answer(None, again=True)
        if status == smpp_session.TRY_AGAIN:
            return Answer(None, again=True)
        assert status == smpp_session.OK
        for _ in range(200):
            if len(self.telecom.messages) > before:
                break
            await asyncio.sleep(0.02)
        text = self.telecom.messages[-1]["text"] if len(self.telecom.messages) > before else NOT_TAKEN
        return Answer(NOT_TAKEN not in text and "not registered" not in text)


class TestSmpp(WayConformance):
    way = Smpp()


class Kannel(OfReaders):
    """What Kannel's smsbox asks."""

    most_bytes = 4000

    @asynccontextmanager
    async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
        keys = KeyStore(at.deployment.database, at.clock)
        _, key = await keys.create("kannel")
        async with self.sms(at) as (sms, memory):
            app = web.Application()
            app.add_routes(KannelIn(sms, at.gateway, keys, Held(memory, at.gateway, at.clock), at.listen).routes())
            server = await serve(app, HOST, 0)
            try:
                yield {"url": f"http://{HOST}:{server.port}{kannel_in.PATH}", "key": key}
            finally:
                await server.stop()
                await keys.close()

    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        text = words(message).encode() if message.raw is None else message.raw
        query = {"key": where["key"], "from": STRANGER if message.bad_key else PHONE, "charset": "UTF-8"}
        from urllib.parse import urlencode

        url = f"{where['url']}?{urlencode({**query, 'text': text})}"
        try:
            async with aiohttp.ClientSession() as http, http.get(aiohttp.client.URL(url, encoded=True)) as response:
                body = await response.text()
        except aiohttp.ClientError:
            return Answer(None, again=True)
        return Answer(
            response.status == 200 and NOT_TAKEN not in body and "not registered" not in body,
            "" if response.status == 200 else str(response.status),
            again=response.status == 503,
        )


class TestKannel(WayConformance):
    way = Kannel()
