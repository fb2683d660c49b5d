"""A deliver_sm as it came -> the words of a phone, or one part of them (SMPP 3.4; user data headers of 3GPP TS 23.040, 9.2.3.24)."""

from __future__ import annotations

from dataclasses import dataclass

import smpp34
from smsutil.codecs import GSM0338Codec

from warning.errors import InputError

UDH_PRESENT = 0x40
RECEIPT, ACKNOWLEDGEMENTS = 0x04, 0x3C  # esm_class: which bits say "this is no message of a person"
MESSAGE_PAYLOAD, SAR_REFERENCE, SAR_TOTAL, SAR_PART = 0x0424, 0x020C, 0x020E, 0x020F  # optional parameters (5.3.2)
MOST_PARTS = 16  # 1,072 characters of Urdu; a reading is one
_CONCATENATED = {0x00: 3, 0x08: 4}  # information element -> its length: reference of 8 or 16 bits
_CODINGS = {0: "gsm", 1: "ascii", 3: "latin-1", 8: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Piece:
    """One deliver_sm. ``parts`` 1: it is the whole message. ``content`` is as sent, in ``coding``."""

    sender: str
    receiver: str
    receipt: bool
    content: bytes
    coding: int
    reference: int = 0
    parts: int = 1
    part: int = 1


def piece_of(pdu: bytes) -> Piece:
    """Reads a whole PDU. Raises InputError (reason ``malformed``) for one that breaks its own rules."""
    try:
        message = smpp34.decode(pdu)
    except (smpp34.SmppError, ValueError) as error:
        raise _malformed(f"no deliver_sm: {error}") from None
    if not isinstance(message, smpp34.DeliverSm):
        raise _malformed("no deliver_sm")
    options = {option.tag: option for option in message.tlvs}
    payload = options.get(MESSAGE_PAYLOAD)
    content = message.short_message or (payload.value if payload else b"")
    sender = ("+" if message.source_addr_ton == 1 and not message.source_addr.startswith("+") else "") + message.source_addr
    receipt = message.esm_class & ACKNOWLEDGEMENTS != 0
    reference, parts, part = 0, 1, 1
    if message.esm_class & UDH_PRESENT and not receipt:
        reference, parts, part, content = _headed(content)
    elif SAR_TOTAL in options and not receipt:
        numbers = [options[tag].as_int() if tag in options else None for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_PART)]
        reference, parts, part = (number or 0 for number in numbers)
    if not 1 <= part <= parts <= MOST_PARTS:
        raise _malformed(f"part {part} of {parts}")
    return Piece(sender, message.destination_addr, receipt, content, message.data_coding, reference, parts, part)


def _headed(content: bytes) -> tuple[int, int, int, bytes]:
    """(reference, parts, part, text) of a content that begins with a user data header."""
    end = 1 + content[0] if content else 0
    if not content or end > len(content):
        raise _malformed("the user data header is longer than the message")
    at = 1
    while at + 2 <= end:
        element, length = content[at], content[at + 1]
        body = content[at + 2 : at + 2 + length]
        if at + 2 + length > end:
            raise _malformed("an element is longer than its header")
        if _CONCATENATED.get(element) == length:
            return int.from_bytes(body[:-2], "big"), body[-2], body[-1], content[end:]
        at += 2 + length
    return 0, 1, 1, content[end:]


def words_of(content: bytes, coding: int) -> str:
    """The text in its alphabet (data_coding; a message class or an unknown one is the GSM alphabet). Raises InputError."""
    alphabet = _CODINGS.get(coding)
    if alphabet is None:
        if coding & 0xF0 in (0x10, 0xF0) and coding & 0x0C != 0x04:  # message classes, not of octets
            alphabet = "utf-16-be" if coding & 0x0C == 0x08 else "gsm"
        else:
            raise _malformed(f"data_coding {coding} is no text")
    if alphabet == "gsm" and any(octet > 0x7F for octet in content):  # the codec dies of them
        raise _malformed("octets above 127 are not of the GSM alphabet")
    try:
        return GSM0338Codec().decode(content)[0] if alphabet == "gsm" else content.decode(alphabet)
    except (UnicodeDecodeError, ValueError, KeyError, IndexError) as error:
        raise _malformed(f"not in its own alphabet: {type(error).__name__}") from None


def _malformed(what: str) -> InputError:
    return InputError(what, reason="malformed", field="", fix="send it again, as text")
