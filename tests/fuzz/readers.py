"""Mutated SMS of gauge readers, and PDUs of an SMS centre, up to the log: each is a reading, a refusal, a part that waits, or a receipt.

``sms``: words through ``SmsIn``. ``pdu``: octets through the session's framing and ``SmppIn``; the framing may end the session (the centre
keeps what was not answered) and nothing else. SQL is not here: what is remembered lies in a table of this process, for 10^6 messages.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import smpp34

from fuzz.agencies import mutated
from fuzz.inside import found_by
from warning import config
from warning.config_readers import Reader
from warning.deployment import Deployment
from warning.ingest.gateway import Gateway
from warning.ingest.smpp_in import SmppIn
from warning.ingest.smpp_session import DELIVER_SM, OK, Session
from warning.ingest.smpp_text import piece_of
from warning.ingest.sms_in import SmsIn
from warning.model import Parameter, Reading, Rejected

FORMATS = ("sms", "pdu")
ROOT = Path(__file__).parent.parent.parent
NOW_MS = 1_790_000_000_000
PHONE, STRANGER = "+99910000101", "+99910000199"
STATIONS = ("IND-SUKKUR", "IND-GUDDU", "RAV-JASSAR")
SAID = (
    *(
        "sukkur",
        "guddu",
        "سکھر",
        "گدو",
        "jassar",
        "kotri",
        "ind-sukkur",
        "54.2",
        "۵۴٫۲",
        "٥٤٫٢",
        "5,54,000",
        "-0.3",
        "−0.3",
        "06:30",
        "۰۶:۳۰",
    ),
    *("yesterday", "کل", "inflow", "outflow", "آمد", "اخراج", "cusec", "کیوسک", "ft", "فٹ", "m", "lakh", "لاکھ", "ok", "ہاں", "2025-09-02"),
    *("-999", "1e9", "9" * 30, "٫", "۔", ".", ",", "-", ":", "/", "\u200f", "\ufeff", "\u0660", "²", "Ⅷ", "𝟗", "0", "nan", "inf", "²", "½"),
    *("stop", "status", "بند", "help", "join", "1", "\x00", "\n", "\ud800".encode("utf-8", "replace").decode(), "😀", "ﷺ", "x" * 300),
)
EXAMPLES = (
    *("Sukkur inflow 554,000 outflow 5,40,000 06:30", "سکھر آمد ۵۵۴۰۰۰ اخراج ۵۴۰۰۰۰ کیوسک", "SUKKUR 54.2 ft", "sukkur 5.54 lakh cusecs"),
    *(
        "guddu 61 ft yesterday 18:30",
        "سکھر ۳ فٹ کل ۱۸:۳۰",
        "YES",
        "jassar 3 m 2025-09-02 06:30",
        "Sukkur inflow 554000, Guddu inflow 61000 cusec",
    ),
    *("sukkur 554,000", "Sukkur outflow 250000 cusec 06:30", "گدو آمد ۳۰۰۰۰۰"),
)


class _Kept:
    """The port ``Log``, and what one message brought."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes]] = []

    async def append(self, records: Mapping[tuple[str, int], Sequence[tuple[bytes | None, bytes]]]) -> None:
        self.records += [(place[0], value) for place, some in records.items() for _, value in some]


class _Remembered:
    """``reader_memory.Memory`` without SQL: the newest 20,000 of each kind."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {}

    async def get(self, kind: str, name: str, *, durable: bool = False) -> tuple[int, dict[str, Any]] | None:
        return self.rows.get(kind, {}).get(name[:200])

    async def put(self, kind: str, name: str, at_ms: int, content: dict[str, Any], *, durable: bool = False) -> None:
        rows = self.rows.setdefault(kind, {})
        rows[name[:200]] = at_ms, msgspec.json.decode(msgspec.json.encode(content))
        if len(rows) > 20_000:
            for old in list(rows)[:5000]:
                del rows[old]

    async def forget(self, kind: str, name: str) -> None:
        self.rows.get(kind, {}).pop(name[:200], None)


class Readers:
    """``chunk`` runs so many mutated messages; the same seed gives the same."""

    def __init__(self, seed: int) -> None:
        self._seed, self._region = seed, config.load(ROOT / "config" / "indus")

    def chunk(self, name: str, count: int, number: int = 0) -> dict[str, Any]:
        logging.getLogger("warning.ingest").setLevel(logging.CRITICAL)  # an answer cannot be sent: there is no centre
        return asyncio.run(self._run(name, count, random.Random(f"{self._seed} {name} {number}")))

    async def _run(self, name: str, count: int, chance: random.Random) -> dict[str, Any]:
        self._log, self._memory, self._ends, self._now_ms = _Kept(), _Remembered(), Counter[str](), NOW_MS
        gateway = Gateway(self._region, Deployment(), self._log, self._clock)  # type: ignore[arg-type]
        clerk = Reader("clerk", "Clerk", "en", STATIONS, PHONE, Parameter.INFLOW, "cusec")
        self._sms = SmsIn(self._region, (clerk,), gateway, self._memory, self._clock)  # type: ignore[arg-type]
        self._centre = SmppIn(("127.0.0.1", 9, "u", "p"), self._sms, gateway, self._memory, self._clock)  # type: ignore[arg-type]
        self._session = self._centre._session = Session("127.0.0.1", 9, "u", "p", self._centre._deliver)
        one = self._words if name == "sms" else self._octets
        for turn in range(count):
            self._now_ms = NOW_MS + turn * 250
            await one(chance)
            if turn % 500 == 0:
                await asyncio.gather(*self._centre._later)
        await asyncio.gather(*self._centre._later)
        return {"records": count, "ends": dict(self._ends)}

    def _clock(self) -> int:
        return self._now_ms

    # --- words

    async def _words(self, chance: random.Random) -> None:
        phone, text = (STRANGER if chance.random() < 0.02 else PHONE), _text(chance)
        sent_ms = chance.choice((None, None, NOW_MS, 0, 10**15))
        try:
            answer = await self._sms.take(phone, text, sent_ms)
        except Exception as error:
            raise AssertionError(f"{error!r} of {text!r}") from error
        assert isinstance(answer, str) and answer.isprintable(), (answer, text)
        self._held(text, least=1, registered=phone == PHONE)

    def _held(self, source: object, least: int, registered: bool) -> None:
        """What it brought is what the model allows; nothing that was acknowledged is nowhere."""
        readings = [msgspec.json.decode(value, type=Reading) for topic, value in self._log.records if topic == "readings"]
        kept = [msgspec.json.decode(value, type=Rejected) for topic, value in self._log.records if topic == "readings.rejected"]
        assert len(readings) + len(kept) >= least, f"nothing is left of {source!r}"
        assert registered or not readings, f"a number that nobody registered: {source!r}"
        for reading in readings:
            assert reading.station in STATIONS and reading.provider == "clerk", (reading, source)
            assert reading.time_ms <= self._now_ms + 300_000, (reading, source)
            assert reading.value is None or abs(reading.value) < 1e21, (reading, source)
        assert all(one.reason and one.detail for one in kept), (kept, source)
        self._ends["accepted"] += len(readings)
        self._ends["refused"] += len(kept)
        self._log.records.clear()

    # --- octets

    async def _octets(self, chance: random.Random) -> None:
        raw = _pdu(chance)
        stream = asyncio.StreamReader()
        stream.feed_data(raw)
        stream.feed_eof()
        while True:  # cut by its own length fields, as from a socket
            try:
                command, _, _, pdu = await self._session._pdu(stream)
            except (asyncio.IncompleteReadError, ConnectionError):
                self._ends["session_ended"] += 1
                return
            except Exception as error:
                raise AssertionError(f"{error!r} of {raw!r}") from error
            if command == DELIVER_SM:
                await self._delivered(pdu)
            if stream.at_eof():
                return

    async def _delivered(self, pdu: bytes) -> None:
        before = self._waiting()
        try:
            status = await self._centre._deliver(pdu)
        except Exception as error:
            raise AssertionError(f"{error!r} of {pdu!r}") from error
        assert status == OK, (status, pdu)
        kind = _kind(pdu)
        waits = self._waiting() != before or kind == "part"
        self._ends["receipt" if kind == "receipt" else "part" if waits and not self._log.records else "message"] += 1
        self._held(pdu, least=0 if kind == "receipt" or waits else 1, registered=True)
        if kind == "part" and not self._log.records:
            piece = piece_of(pdu)
            name = f"{piece.sender[:40]} {piece.reference} {piece.parts} "
            parts = self._memory.rows.get("parts", {})
            whole = not any(f"{name}{number}" in parts for number in range(1, piece.parts + 1))
            there = f"{name}{piece.part}" in parts
            assert there or whole, f"a part that is nowhere: {pdu!r}"

    def _waiting(self) -> int:
        return len(self._memory.rows.get("parts", {}))


def _kind(pdu: bytes) -> str:
    from warning.errors import InputError

    try:
        piece = piece_of(pdu)
    except InputError:
        return "broken"
    return "receipt" if piece.receipt else "part" if piece.parts > 1 else "whole"


def _text(chance: random.Random) -> str:
    how = chance.random()
    if how < 0.25:
        return chance.choice((" ", " ", "", "\n")).join(chance.choice(SAID) for _ in range(chance.randrange(12)))
    words = list(chance.choice(EXAMPLES))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3, 6))):
        at, kind = chance.randrange(len(words) + 1), chance.randrange(5)
        if kind == 0 and at < len(words):
            words[at] = chr(chance.choice((chance.randrange(32, 127), chance.randrange(0x600, 0x700), chance.randrange(0x20, 0xD800))))
        elif kind == 1:
            words[at:at] = chance.choice(SAID)
        elif kind == 2:
            del words[at : at + chance.randrange(1, 8)]
        elif kind == 3:
            words[at:at] = words[at : at + chance.randrange(1, 30)]
        else:
            words[at:at] = f" {chance.choice(SAID)} "
    text = "".join(words)
    return text * 60 if how > 0.999 else text


def _pdu(chance: random.Random) -> bytes:
    """One or two deliver_sm, mutated in none, in some or in all of their octets."""
    found = b"".join(_deliver(chance).encode() for _ in range(chance.choice((1, 1, 1, 2))))
    how = chance.random()
    if how < 0.35:
        return found
    if how < 0.7:  # the length stays true: what lies inside is met
        broken = bytearray(mutated(chance, (found,)))
        if len(broken) >= 16:
            broken[:8] = len(broken).to_bytes(4, "big") + DELIVER_SM.to_bytes(4, "big")
        return bytes(broken)
    return mutated(chance, (found,))


def _deliver(chance: random.Random) -> smpp34.DeliverSm:
    text, tlvs = _text(chance), []
    coding = 8 if chance.random() < 0.6 else chance.choice((0, 0, 1, 3, 4, 0x10, 0xF0, 0xF1, 0xF5, 0x18, chance.randrange(256)))
    content = text.encode("utf-16-be", "replace") if coding in (8, 0x18) else text.encode("latin-1", "replace")
    esm_class = chance.choice((0, 0, 0, 0, 0, 0x04, 0x40, 0x40, chance.randrange(256)))
    if esm_class & 0x40:
        parts = chance.choice((1, 2, 2, 3, 16, 17, 0, 255))
        header = bytes((chance.randrange(3), parts, chance.choice((0, 1, 2, 3, 255))))
        content = (
            chance.choice((b"\x05\x00\x03", b"\x06\x08\x04\x00", b"\x05\x00\x04", b"\x0b\x05\x04\x01\x02\x03\x04\x00\x03"))
            + header
            + content
        )
    elif chance.random() < 0.2:
        values = (chance.randrange(3), chance.choice((0, 1, 2, 3, 300)), chance.choice((0, 1, 2, 3)))
        sizes = (2, chance.choice((1, 2)), chance.choice((1, 0)))
        tags = (0x020C, 0x020E, 0x020F)
        tlvs = [smpp34.Tlv(tag, value.to_bytes(2, "big")[2 - size :]) for tag, value, size in zip(tags, values, sizes, strict=True)]
    if chance.random() < 0.1 or len(content) > 254:
        tlvs, content = [*tlvs, smpp34.Tlv(smpp34.TLV_MESSAGE_PAYLOAD, content)], b""
    sender = chance.choice((*(PHONE[1:],) * 8, STRANGER[1:], PHONE, "VODAFONE", "", "0" * 20))
    return smpp34.DeliverSm(
        sender,
        "8333",
        content,
        source_addr_ton=chance.choice((1, 1, 1, 1, 0, 5)),
        source_addr_npi=1,
        data_coding=coding,
        esm_class=esm_class,
        tlvs=tlvs,
    )


def run_readers(name: str, seed: int) -> Any:
    """(chunk, messages) -> its tally, for the command. What it finds is raised as Found."""
    fuzz = Readers(seed)
    return found_by(name, lambda number, count: fuzz.chunk(name, count, number))
