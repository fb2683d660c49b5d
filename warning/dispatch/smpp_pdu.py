"""The two PDUs of SMPP 3.4 that there are thousands of a second, as bytes: submit_sm, put together from pieces that are encoded once, and
the plain delivery receipt. Whatever is not just that is read by aiosmpplib (``smpp``), to which ``tests/test_smpp_pdu.py`` holds both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, unpack_from

HEADER = Struct("!IIII")  # command_length, command_id, command_status, sequence_number (3.2)
SUBMIT_SM, DELIVER_SM, SUBMIT_SM_RESP, DELIVER_SM_RESP = 0x04, 0x05, 0x80000004, 0x80000005
UDH_PRESENT = 0x40  # esm_class: the message begins with a user data header
RECEIPT_WANTED = 0x01
RECEIPT = 0x04  # esm_class: an SMSC delivery receipt
GSM, UCS2 = 0x00, 0x08  # data_coding: the centre's alphabet; UTF-16, big-endian
LONGEST_ADDRESS = 20
RECEIPTED_MESSAGE_ID, MESSAGE_STATE, MESSAGE_PAYLOAD = 0x001E, 0x0427, 0x0424
MESSAGE_STATES = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 8: "REJECTD"}  # 5.2.28
RECEIPT_ID = re.compile(r"\bid:\s*([^\s]+)")
RECEIPT_STAT = re.compile(r"\bstat:\s*([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery receipt as it came: ``stat`` is SMPP's word (DELIVRD, UNDELIV ...)."""

    message_id: str
    stat: str


def pdu(command: int, status: int, sequence: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), command, status, sequence) + body


@lru_cache(maxsize=64)
def address(ton: int, npi: int, number: str) -> bytes:
    """Raises ValueError for what is no address of SMPP."""
    if len(number) > LONGEST_ADDRESS or "\0" in number:
        raise ValueError(f"an address has at most {LONGEST_ADDRESS} characters")
    return bytes((ton, npi)) + number.encode("ascii") + b"\0"


def to_number(number: str) -> bytes:
    """The destination: an international number (TON 1, NPI 1), without its plus. Raises ValueError."""
    return address.__wrapped__(1, 1, number)


@lru_cache(maxsize=1024)
def content(octets: bytes, coding: int, validity_s: int, *, header: bool) -> bytes:
    """A submit_sm from esm_class to its end (4.4.1): a receipt is wanted; ``header``: ``octets`` begin with a user data header."""
    if len(octets) > 254:
        raise ValueError("short_message has at most 254 octets")
    esm_class = UDH_PRESENT if header else 0
    return bytes((esm_class, 0, 0, 0)) + relative(validity_s) + b"\0" + bytes((RECEIPT_WANTED, 0, coding, 0, len(octets))) + octets


def submit_sm(source: bytes, number: str, content: bytes) -> bytes:
    """The body. ``source``: of ``address``. Raises ValueError for a number that is none."""
    return b"\0" + source + to_number(number) + content


def relative(seconds: int) -> bytes:
    """A validity period from now on (7.1.1).

    >>> relative(3600), relative(3 * 86400 + 1)
    (b'000000010000000R', b'000003000001000R')
    """
    days, left = divmod(seconds, 86_400)
    if not 0 <= days < 30:
        raise ValueError("a validity period of less than 30 days")
    return f"0000{days:02d}{left // 3600:02d}{left % 3600 // 60:02d}{left % 60:02d}000R".encode()


def message_id(body: bytes) -> str:
    """Of a submit_sm_resp; "" if there is none, as in a refusal."""
    return body.partition(b"\0")[0].decode("latin-1")


def plain_receipt(body: bytes) -> Receipt | None:
    """Of the body of a deliver_sm. None: it is not just a receipt in the usual form, or broken."""
    at = body.find(b"\0") + 3
    if at < 3 or (end := body.find(b"\0", at)) < 0 or (end := body.find(b"\0", end + 3)) < 0:
        return None
    fixed = end + 1  # esm_class, protocol_id, priority_flag, and two times that a receipt does not have
    if len(body) < fixed + 10 or body[fixed] != RECEIPT or body[fixed + 3 : fixed + 5] != b"\0\0" or body[fixed + 7] != GSM:
        return None
    begins, length = fixed + 10, body[fixed + 9]
    text, options = body[begins : begins + length], body[begins + length :]
    if len(text) < length:
        return None
    return _read(text.decode("latin-1"), options)


def _read(text: str, options: bytes) -> Receipt | None:
    given = _options(options) if options else {}
    if given is None or MESSAGE_PAYLOAD in given:
        return None
    name = given.get(RECEIPTED_MESSAGE_ID, b"").decode("latin-1")
    state = given.get(MESSAGE_STATE, b"")
    return receipt_in(text, name, state[0] if len(state) == 1 else 0)


def receipt_in(text: str, name: str, state: int) -> Receipt | None:
    """``name``, ``state``: of the optional parameters, "" and 0 where there are none; else the usual text says it (appendix B)."""
    in_id, in_stat = RECEIPT_ID.search(text), RECEIPT_STAT.search(text)
    name = (name or (in_id.group(1) if in_id else "")).rstrip("\0")
    stat = in_stat.group(1).upper() if in_stat else MESSAGE_STATES.get(state, "")
    return Receipt(name, stat) if name and stat else None


def _options(octets: bytes) -> dict[int, bytes] | None:
    """Tag -> value (3.2.4); None if it breaks off."""
    found, at = dict[int, bytes](), 0
    while at < len(octets):
        if len(octets) - at < 4:
            return None
        tag, length = unpack_from("!HH", octets, at)
        at += 4 + length
        if at > len(octets):
            return None
        found[tag] = octets[at - length : at]
    return found
