"""PDUs as bytes: ours are those that aiosmpplib would make and read; what is none is refused, and not a word of it stands in the log."""

from __future__ import annotations

import random
import struct
from datetime import timedelta
from typing import Any

import pytest
from aiosmpplib import NPI, TON, DeliverSm, GenericNack, PhoneNumber, SmppMessage, SubmitSm
from hypothesis import given
from hypothesis import strategies as st

from warning.dispatch import smpp_pdu
from warning.dispatch.smpp import BROKEN, Link, Session, read_receipt
from warning.dispatch.smpp_pdu import Receipt
from warning.dispatch.sms import _encoded, sender_address

BODY = b"\0\x01\x01923001234567\0\0\x008080\0\x04\0\0\0\0\0\0\0\0\x15my house is in danger"


async def test_a_deliver_sm_that_breaks_off_ends_no_session_and_leaves_no_number_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Any] = []

    async def send(self: Session, message: Any) -> None:
        sent.append(message)

    async def keep(receipt: Receipt) -> None:
        raise AssertionError(receipt)

    monkeypatch.setattr(Session, "_send_data", send)
    session, chance = Session(Link("127.0.0.1", 1, "ews", "pw", keep, lambda up: None)), random.Random(1)
    for _ in range(400):
        body = BODY[: chance.randrange(len(BODY))] + chance.randbytes(chance.randrange(12))
        pdu = struct.pack("!IIII", 16 + len(body), 5, 0, 7) + body
        await session._handle_request(pdu, SmppMessage.parse_header(pdu[:16]))
    assert len(sent) > 50 and all(isinstance(message, GenericNack) for message in sent)
    assert "cannot read deliver_sm" in caplog.text
    assert "923001234567" not in caplog.text and b"923001234567".hex() not in caplog.text and b"house".hex() not in caplog.text


@given(
    st.sampled_from(["8080", "+92300123", "Floods", ""]),
    st.from_regex(r"[0-9]{1,20}", fullmatch=True),
    st.booleans(),
    st.booleans(),
    st.integers(60, 48 * 3600),
    st.integers(1, 2**31 - 1),
)
def test_a_submit_is_byte_for_byte_what_the_library_makes(
    sender: str, number: str, several: bool, unicode: bool, validity_s: int, sequence: int
) -> None:
    words = "\u067e\u0627\u0646\u06cc" if unicode else "Water {rises} at 3 \u20ac"
    octets = (b"\5\0\3\x2a\2\1" if several else b"") + _encoded(words, unicode)
    theirs = SubmitSm(
        short_message=words,
        source=sender_address(sender),
        destination=PhoneNumber(number, TON.INTERNATIONAL, NPI.ISDN),
        esm_class=smpp_pdu.UDH_PRESENT if several else 0,
        encoding="ucs2" if unicode else "gsm0338",
        registered_delivery=1,
        validity_period=timedelta(seconds=validity_s),
        sequence_num=sequence,
    )
    theirs.set_encoded_message(octets)
    source = sender_address(sender)
    content = smpp_pdu.content(octets, smpp_pdu.UCS2 if unicode else smpp_pdu.GSM, validity_s, header=several)
    body = smpp_pdu.submit_sm(smpp_pdu.address(source.ton, source.npi, source.number), number, content)
    assert smpp_pdu.pdu(smpp_pdu.SUBMIT_SM, 0, sequence, body) == theirs.pdu()


@pytest.mark.parametrize("number", ["9" * 21, "92\u0660", "92\x0017"])
def test_a_number_that_no_centre_takes_is_refused_before_it_is_written(number: str) -> None:
    with pytest.raises(ValueError):
        smpp_pdu.submit_sm(b"\0\0\0", number, b"")


def deliver(text: bytes, options: bytes = b"", esm_class: int = 4, coding: int = 0) -> bytes:
    head = b"\0\1\x01923001234567\0\0\x008080\0" + bytes((esm_class, 0, 0)) + b"\0\0\0\0" + bytes((coding, 0, len(text)))
    return head + text + options


TEXT = b"id:0a4f sub:001 dlvrd:001 submit date:2511220810 done date:2511220811 stat:UNDELIV err:0A7 text:Flood"
NAMED = struct.pack("!HH", smpp_pdu.RECEIPTED_MESSAGE_ID, 5) + b"77ab\0" + struct.pack("!HHB", smpp_pdu.MESSAGE_STATE, 1, 2)


def theirs(body: bytes) -> Receipt | str | None:
    """By the library; None: not a receipt. It takes none without a text, which some centres send."""
    raw = struct.pack("!IIII", 16 + len(body), 5, 0, 7) + body
    try:
        message = DeliverSm.from_pdu(raw, SmppMessage.parse_header(raw[:16]), "latin_1", None)
    except BROKEN:
        return "broken"
    return read_receipt(message) if message.is_receipt() else None


def test_receipts_are_read_as_the_library_reads_them() -> None:
    read = {
        deliver(TEXT): Receipt("0a4f", "UNDELIV"),
        deliver(TEXT, NAMED): Receipt("77ab", "UNDELIV"),
        deliver(b" ", NAMED): Receipt("77ab", "DELIVRD"),
        deliver(b"id:9 stat:delivrd"): Receipt("9", "DELIVRD"),
        deliver(b"stat:DELIVRD"): None,
        deliver(TEXT, esm_class=0): None,  # somebody writes to us
    }
    for body, receipt in read.items():
        assert smpp_pdu.plain_receipt(body) == theirs(body) == receipt
    assert smpp_pdu.plain_receipt(deliver(b"", NAMED)) == Receipt("77ab", "DELIVRD") and theirs(deliver(b"", NAMED)) == "broken"
    assert smpp_pdu.plain_receipt(deliver(TEXT, coding=8)) is None, "left to the library"


@given(st.sampled_from([deliver(TEXT), deliver(TEXT, NAMED), deliver(b"", NAMED)]), st.data())
def test_what_is_damaged_is_never_read_as_another_receipt_than_the_library_would(whole: bytes, data: st.DataObject) -> None:
    body = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 2)) if body else 0):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    ours = smpp_pdu.plain_receipt(bytes(body))
    assert ours is None or theirs(bytes(body)) in (ours, "broken")
