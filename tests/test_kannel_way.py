"""Out through a real Kannel to an SMS centre: parts that a phone joins, receipts by its dlr-url, refusals, and Kannel going away."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import channel_world as world
from channel_conformance import Side
from kannel_box import kannel

from warning.alerts import message
from warning.dispatch.channel import PartReceipt
from warning.dispatch.kannel import KannelWay
from warning.dispatch.receipts_in import ReceiptsIn
from warning.dispatch.routed import Routed, receipts_of
from warning.dispatch.sms import text_of
from warning.facts import nobody
from warning.model import DeliveryState as State
from warning.rehearsal.telecom import Behaviour, Telecom
from warning.routes import KannelRoute, Routes

TOKEN = "k" * 24


async def test_through_a_real_kannel(tmp_path: Path) -> None:
    region, receipts, telecom, readers = world.region(tmp_path), list[PartReceipt](), Telecom(), {}
    listener = ReceiptsIn("127.0.0.1", 0, TOKEN, readers)
    tell = Routes(receipts_token=TOKEN, receipts_url=f"http://127.0.0.1:{await listener.start()}").receipts("kannel")

    async def keep(one: PartReceipt) -> None:
        receipts.append(one)

    def words(event, language, role):
        return text_of(message.sms(event.alert, region, language, role).text)

    named = receipts_of("sms", "kannel", keep)
    centre = await telecom.start()
    async with kannel(tmp_path, centre, "http://127.0.0.1:9/", "no-key") as box:
        route = KannelRoute("kannel", f"http://127.0.0.1:{box.send}/cgi-bin/sendsms", "ews", "pw", "8080")
        way = KannelWay(route, words, named, tell, 5.0)
        readers["kannel"] = way.receive, named
        channel = Routed("sms", [way], lambda contact: contact.phone, lambda up: None, nobody, well_s=0.0, look_s=0.05)
        await channel.start()
        side = Side(channel, region, world.contact(1, language="ur"), *(lambda: None,) * 8)  # type: ignore[arg-type]
        try:
            await reaches_the_phone_in_two_parts(side, telecom, receipts)
            await english_in_one(side, telecom, receipts)
            await refused_by_the_centre(side, telecom, receipts)
            wrong = KannelWay(replace(route, password="other"), words, named, tell, 5.0)
            await wrong.start()
            side.channel = replace(channel, ways=[wrong])
            outcome = await side.send(9)
            await wrong.stop()
            assert (outcome.state, outcome.reason) == (State.WAITING, "refused_us")
        finally:
            await channel.stop()
            await listener.stop()
            await telecom.stop()
    side.channel = channel
    await channel.start()
    gone = await side.send(10)
    await channel.stop()
    assert (gone.state, gone.reason) == (State.WAITING, "connect")


async def reaches_the_phone_in_two_parts(side: Side, telecom: Telecom, receipts: list[PartReceipt]) -> None:
    outcome = await side.send()
    assert outcome.state is State.ACCEPTED and [part.message_id[-4:] for part in outcome.parts] == [".1.1", ".1.2"]
    await world.until(lambda: telecom.messages, what="the phone's message")
    (taken,) = telecom.messages
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    expected = message.sms(event.alert, side.region, "ur").text.replace(message.check_code(event.alert.identifier), taken["text"][-5:])
    assert (taken["text"], taken["coding"], taken["parts"], taken["destination"].lstrip("+")) == (expected, "ucs2", 2, "9992000001")
    assert taken["source"] == "8080"
    await world.until(lambda: len(receipts) == 2, what="a receipt a part")
    assert {(one.message_id, one.state) for one in receipts} == {(part.message_id, State.DELIVERED) for part in outcome.parts}


async def english_in_one(side: Side, telecom: Telecom, receipts: list[PartReceipt]) -> None:
    side.contact = world.contact(2)
    assert (await side.send(2)).state is State.ACCEPTED
    await world.until(lambda: len(telecom.messages) == 2, what="the second message")
    taken = telecom.messages[1]
    assert (taken["coding"], taken["parts"]) == ("gsm7", 1) and taken["text"].startswith("EXERCISE.")
    await world.until(lambda: len(receipts) == 3, what="its receipt")


async def refused_by_the_centre(side: Side, telecom: Telecom, receipts: list[PartReceipt]) -> None:
    """Kannel has taken it; what the centre says comes as a receipt."""
    telecom.behaviour = Behaviour(reject=0x0B)
    outcome = await side.send(3)
    assert outcome.state is State.ACCEPTED
    await world.until(lambda: len(receipts) == 4, what="the refusal")
    (part,) = outcome.parts
    assert (receipts[-1].message_id, receipts[-1].state, receipts[-1].reason) == (part.message_id, State.FAILED, "rejectd")
    telecom.behaviour = Behaviour()
    await asyncio.sleep(0)
