"""A real Kannel between the SMS centre and us: what a phone writes comes to the log, and the answer goes back to the phone."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import smpp34
from aiohttp import web
from ingest_house import HOST, two_basins, wall_ms
from services import absent
from test_readers import Log

from warning import config_readers
from warning.deployment import Deployment
from warning.ingest import kannel_in
from warning.ingest.gateway import Gateway
from warning.ingest.keys import KeyStore
from warning.ingest.reader_memory import Memory
from warning.ingest.serving import serve
from warning.ingest.sms_in import SmsIn
from warning.model import Reading
from warning.rehearsal.telecom import Telecom
from warning.stream.broker import free_port

PHONE = "+99910000101"
GROUPS = """\
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = pw
smsbox-port = {box}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
dlr-storage = internal
store-type = spool
store-location = {folder}

group = smsc
smsc = smpp
smsc-id = SIM
host = 127.0.0.1
port = {smsc}
smsc-username = ews
smsc-password = pw
transceiver-mode = true
system-type = ""
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {box}
smsbox-id = ews
sendsms-port = {send}
sendsms-interface = 127.0.0.1
http-request-retry = 8640
http-queue-delay = 1

group = smsbox-route
smsbox-id = ews
smsc-id = SIM

group = sendsms-user
username = ews
password = pw
concatenation = false
max-messages = 1

group = sms-service
keyword = default
get-url = "{url}?key={key}&from=%p&text=%b&charset=%C&time=%T"
accept-x-kannel-headers = true
omit-empty = true
concatenation = true
max-messages = 2
"""


@asynccontextmanager
async def kannel(folder: Path, smsc: int, url: str, key: str) -> AsyncIterator[int]:
    """A real one; the port of its sendsms."""
    if shutil.which("bearerbox") is None or shutil.which("smsbox") is None:
        absent("Kannel", "make services (Debian packages kannel and kannel-extras)")
    (folder / "spool").mkdir()
    send = free_port()
    text = GROUPS.format(admin=free_port(), box=free_port(), send=send, folder=folder / "spool", smsc=smsc, url=url, key=key)
    (folder / "k.conf").write_text(text, "utf-8")
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("bearerbox", "smsbox"):
            log = (folder / f"{name}.log").open("wb")
            started.append(subprocess.Popen([name, "-v", "1", "k.conf"], cwd=folder, stdout=log, stderr=subprocess.STDOUT))
            log.close()
            await asyncio.sleep(1.5)
            assert started[-1].poll() is None, (folder / f"{name}.log").read_text()[-2000:]
        yield send
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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


async def test_through_a_real_kannel(tmp_path: Path) -> None:
    region = two_basins(tmp_path)
    readers = f"id,name,phone,language,stations,parameter,unit\nr1,Reader,{PHONE},ur,A|B,stage,ft\n"
    (Path(region.folder) / "readers.csv").write_text(readers, "utf-8")
    log, place, telecom = Log(), Deployment(directory=tmp_path), Telecom()
    keys, memory = KeyStore(place.database, wall_ms), Memory(place.database)
    _, key = await keys.create("kannel")
    gateway = Gateway(region, place, log, wall_ms)  # type: ignore[arg-type]
    sms = SmsIn(region, config_readers.load(region.folder, region), gateway, memory, wall_ms)
    app = web.Application()
    app.add_routes(kannel_in.routes(sms, gateway, keys))
    server = await serve(app, HOST, 0)
    smsc = await telecom.start()

    def readings() -> list[Reading]:
        return [msgspec.json.decode(value, type=Reading) for topic, value in log.records if topic == place.readings]

    try:
        async with kannel(tmp_path, smsc, f"http://{HOST}:{server.port}{kannel_in.PATH}", key):
            assert await telecom.say(said("Alder 9.5 ft")) == 0
            assert "9.5 فٹ" in await answer(telecom, 1)
            assert await telecom.say(said("ب ۱۶٫۵ فٹ")) == 0
            text = await answer(telecom, 2)
            assert text.startswith("مشق: ب: 16.5 فٹ") and text.endswith("بہت اونچے درجے کا سیلاب۔")
            assert await telecom.say(said("what?")) == 0
            assert "یوں لکھیں: الف" in await answer(telecom, 3)
            assert [(one.station, one.value, one.provider) for one in readings()] == [("A", 2.8956, "r1"), ("B", 5.0292, "r1")]
            assert all(abs(one.time_ms - wall_ms()) < 60_000 for one in readings())
            log.away = True
            assert await telecom.say(said("Birch 10 ft")) == 0, "Kannel has it now"
            await asyncio.sleep(2.5)
            assert len(readings()) == 2
            log.away = False
            assert "10 فٹ" in await answer(telecom, 4), "asked again until the log had it"
            assert [one.value for one in readings()][2:] == [3.048]
    finally:
        await telecom.stop()
        await server.stop()
        await memory.close()
        await keys.close()
