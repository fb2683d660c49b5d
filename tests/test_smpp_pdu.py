"""What a centre sends that is no PDU: refused, and not a word of it in the log."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from aiosmpplib import GenericNack, SmppMessage

from warning.dispatch.smpp import Link, Receipt, Session

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
