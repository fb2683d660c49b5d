"""SMS over SMPP against a real SMS centre on a socket: the conformance suite, and what is SMPP's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import channel_world as world
import pytest
from channel_centre import Centre
from channel_conformance import *  # noqa: F403 - the suite
from channel_conformance import Side

from warning.alerts import message
from warning.deployment import Deployment
from warning.dispatch.pace import Pace
from warning.dispatch.sms import SmsChannel, Text, sender_address, text_of
from warning.errors import ConfigError
from warning.model import DeliveryState as State
from warning.rehearsal.telecom import Telecom


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Side]:
    centre = Centre(world.region(tmp_path))
    telecom = centre.telecom
    where = Deployment(smpp_port=await telecom.start(), smpp_user="ews", smpp_password="pw", sms_sender="8080")
    channel = SmsChannel(where, centre.words, centre.keep, lambda up: None, answer_within_s=2.0)
    await channel.start()
    await asyncio.wait_for(channel.ready(), 60)
    made = centre.side(channel)
    made.telecom = telecom
    yield made
    await channel.stop()
    await telecom.stop()


async def test_the_phone_gets_the_text_that_was_made_whole_and_in_its_coding(side: Side) -> None:
    event = world.event(side.region, "A", sent_ms=side.raised_ms)
    await side.send()
    side.contact = world.contact(2)
    await side.send()
    urdu, english = side.telecom.messages
    assert urdu["text"] == message.sms(event.alert, side.region, "ur").text.replace(
        message.check_code(event.alert.identifier), urdu["text"][-5:]
    )
    assert (urdu["coding"], urdu["parts"], urdu["destination"], urdu["source"]) == ("ucs2", 2, "9992000001", "8080")
    assert (english["coding"], english["destination"]) == ("gsm7", "9992000002")
    assert all(part["octets"] <= 140 for part in side.telecom.parts if part["coding"] == "ucs2")
    assert urdu["validity"] == "000000010000000R", "an hour: it is worth nothing later"


async def test_only_the_parts_that_did_not_go_are_sent_again_and_make_one_message_with_the_others(side: Side) -> None:
    side.telecom.behaviour.reset_after = 2  # takes the second part, and breaks off before it answers
    outcome = await side.send()
    states = {part.number: part.state for part in outcome.parts}
    assert State.UNKNOWN in states.values()
    await asyncio.wait_for(side.channel.ready(), 60)
    gone = tuple(number for number, state in states.items() if state is State.ACCEPTED)
    again = await side.send(2, skip=gone)
    assert again.state is State.ACCEPTED and {part.number for part in again.parts} == {1, 2} - set(gone)
    assert {(message["parts"], message["reference"]) for message in side.telecom.messages} == {(2, side.telecom.parts[0]["reference"])}, (
        "the same reference: a phone joins parts of both attempts"
    )


@pytest.mark.parametrize(
    "text",
    [
        "id:{id} sub:001 dlvrd:001 submit date:{date}00 done date:{date}59 stat:DELIVRD err:0A7 text:",
        "id:{id} sub:1 dlvrd:1 submit date:{date} done date:{date} stat:delivrd err:000 Text:abc",
        "id:{id} stat:DELIVRD",
    ],
    ids=["12-digit dates and letters in err", "lower case", "bare"],
)
async def test_receipts_as_real_centres_write_them_do_not_break_the_link(side: Side, text: str) -> None:
    side.telecom.behaviour.receipt_format = text
    await side.send()
    await world.until(lambda: len(side.receipts) == 2, what="both receipts")
    await world.until(lambda: side.telecom.owed == 0, what="both acknowledged")
    assert side.channel.link.up


async def test_a_vendors_own_status_is_passing_trouble_not_the_end_of_the_link(side: Side) -> None:
    side.telecom.behaviour.reject = 0x400
    outcome = await side.send()
    assert (outcome.state, outcome.reason) == (State.WAITING, "gateway_error")
    assert side.channel.link.up


async def test_a_receipt_that_is_not_durable_is_not_acknowledged_and_comes_again(side: Side) -> None:
    kept = asyncio.Event()

    async def slow(receipt: object) -> None:
        await kept.wait()

    side.channel.on_receipt = slow
    await side.send()
    await asyncio.sleep(0.5)
    assert side.telecom.owed == 2
    kept.set()
    await world.until(lambda: side.telecom.owed == 0, what="acknowledged once durable")


async def test_more_than_256_long_messages_at_once_keep_their_receipts_apart(side: Side) -> None:
    outcomes = await asyncio.gather(*(side.send(number) for number in range(300)))
    ids = {part.message_id for outcome in outcomes for part in outcome.parts}
    await world.until(lambda: len(side.receipts) == 600, what="600 receipts")
    assert {outcome.state for outcome in outcomes} == {State.ACCEPTED}
    assert len(ids) == 600 and {receipt.message_id for receipt in side.receipts} == ids


async def test_throttling_halves_the_pace_and_acceptance_raises_it() -> None:
    now = [0.0]
    pace = Pace(100.0, lambda: now[0])
    pace.throttled()
    pace.throttled()
    assert pace.rate == 50.0, "once a second, not once an answer"
    now[0] = 1.0
    pace.throttled()
    assert pace.rate == 25.0
    for _ in range(25):
        pace.accepted()
    assert 25.0 < pace.rate < 25.3, "slowly near where it was cut"
    now[0] = 31.0
    for _ in range(25):
        pace.accepted()
    assert pace.rate > 50.0, "and ever faster when that is long ago"


async def test_a_wrong_password_is_said_and_nothing_is_sent(tmp_path: Path) -> None:
    telecom = Telecom(password="other")
    states: list[bool] = []
    where = Deployment(smpp_port=await telecom.start(), smpp_user="ews", smpp_password="pw")
    channel = SmsChannel(where, lambda event, language, role: Text(("x",), False), None, states.append)
    await channel.start()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(channel.ready(), 1.0)
    await channel.stop()
    await telecom.stop()
    assert states == [] and telecom.parts == []
    with pytest.raises(ConfigError, match=r"smpp_password: has 9 characters, SMPP 3\.4 allows 8"):
        SmsChannel(replace(where, smpp_password="123456789"), lambda event, language, role: Text(("x",), False), None, states.append)


def test_a_text_is_cut_where_phones_expect_it() -> None:
    assert text_of("a" * 160) == Text(("a" * 160,), False)
    assert [len(part) for part in text_of("a" * 161).parts] == [153, 8]
    assert [len(part.encode("utf-16-be")) // 2 for part in text_of("ا" * 66 + "😀" + "ب").parts] == [69] or text_of("ا" * 71).parts
    cut = text_of("ا" * 66 + "😀" + "ب" * 10).parts
    assert cut[0] == "ا" * 66 and cut[1].startswith("😀"), "a surrogate pair is never cut"
    assert all(len(part.encode("gsm0338")) <= 153 for part in text_of("€" * 100).parts)


def test_a_sender_is_a_short_code_a_number_or_a_name() -> None:
    assert (sender_address("8080").number, sender_address("+92300").number, sender_address("Flood Centre X").number) == (
        "8080",
        "92300",
        "Flood Centr",
    )
