"""From ``alerts`` to people over several channels and routes, with receipts by HTTP, in the ledger (a real broker and real servers)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import channel_world as world
import httpx
import pytest
import services
from channel_asterisk import Asterisk
from channel_gateway import DIALECTS, Gateway
from channel_mail import MailServer
from test_gateways import form_route

from warning.dispatch.dispatcher import Dispatcher
from warning.dispatch.ledger import Ledger
from warning.facts import Fact
from warning.rehearsal.telecom import Telecom
from warning.routes import MailRoute, Routes, SmppRoute, VoiceRoute

TOKEN = "d" * 24


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with services.embedded() as broker:
        yield broker.bootstrap


@asynccontextmanager
async def gateways(spool: Path) -> AsyncIterator[tuple[Routes, Telecom, MailServer, Asterisk, Gateway]]:
    """Two SMS centres of which the first is dead, a mail server that reports, a spool that is worked off, and Signal."""
    dead, telecom, mail, signal = Telecom(), Telecom(), MailServer(), Gateway(DIALECTS["signal"])
    dead_port = await dead.start()
    await dead.stop()
    asterisk, listening = Asterisk(spool), services.free_port()
    folders = (str(spool / name) for name in ("outgoing", "outgoing_done", "warning", "warning/sounds"))
    centres = (("first", dead_port), ("second", await telecom.start()))
    routes = Routes(
        sms=tuple(SmppRoute(name, "127.0.0.1", "ews", "pw", port) for name, port in centres),
        email=(MailRoute("relay", "127.0.0.1", "Flood <warning@ews.example>", await mail.start(), "none"),),
        voice=(VoiceRoute("pbx", *folders, "PJSIP/{number}@trunk"),),
        card=(form_route("signal", await signal.start()),),
        receipts_port=listening,
        receipts_token=TOKEN,
        receipts_url=f"http://127.0.0.1:{listening}",
    )

    async def notify(report: bytes) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(routes.receipts("relay"), content=report, headers={"content-type": "message/rfc822"})
            assert answer.status_code == 200, answer.text

    mail.notify = notify
    works = asyncio.create_task(asterisk.run())
    try:
        yield routes, telecom, mail, asterisk, signal
    finally:
        works.cancel()
        for server in (telecom, mail, signal):
            await server.stop()


async def test_each_contact_by_his_own_channel_and_a_dead_centre_costs_nobody_his_sms(bootstrap: str, tmp_path: Path) -> None:
    if shutil.which("espeak-ng") is None:
        services.absent("espeak-ng", "make services (Debian package espeak-ng)")
    by_sms = world.contact(1, language="ur")
    by_mail = replace(world.contact(2, phone=False), email="officer@district.example")
    by_voice = replace(world.contact(3), voice=True, channels=("voice",))
    by_card = replace(world.contact(4, language="ur"), channels=("card",))
    region = world.region(tmp_path, (by_sms, by_mail, by_voice, by_card))
    where = await world.deployment(bootstrap, tmp_path, "routes")
    async with gateways(tmp_path / "spool") as (routes, telecom, mail, asterisk, signal):
        stop, facts = asyncio.Event(), list[Fact]()
        dispatcher = asyncio.create_task(Dispatcher(region, where, facts.append, routes=routes).run(stop))
        ledger = await Ledger.open(where.database, region.id)
        try:
            await world.publish(where, [world.event(region, "A", sent_ms=world.now_ms())])
            expected = {("sms", "delivered"), ("email", "delivered"), ("voice", "delivered"), ("card", "accepted")}

            async def receipted() -> bool:
                return set(await ledger.counts()) == expected

            await world.until(receipted, what="all four have it, with their receipts")
        finally:
            stop.set()
            await dispatcher
            await ledger.close()
    told = {receipt.contact: receipt for receipt in await world.receipts(where)}
    assert {receipt.contact: receipt.route for receipt in told.values()} == {"c1": "second", "c2": "relay", "c3": "pbx", "c4": "gate"}
    assert [message["destination"] for message in telecom.messages] == ["9992000001"]
    assert asterisk.heard[0]["Channel"] == "PJSIP/+9992000003@trunk" and mail.mails[0]["To"] == "officer@district.example"
    assert signal.taken[0]["to"] == "+9992000004" and len(signal.taken[0]["picture"]) > 20_000
