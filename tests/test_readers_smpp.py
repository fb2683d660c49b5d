"""Messages of phones by SMPP: parts, alphabets, what is broken; a centre that stops or says no; the account that must be another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import smpp34
from hypothesis import given, settings
from hypothesis import strategies as st
from readers_desk import PHONE, Desk, clerk

from warning import config
from warning.deployment import Deployment
from warning.errors import ConfigError, InputError, Unavailable
from warning.facts import ReadersSmsState, Received
from warning.ingest import smpp_in
from warning.ingest.smpp_in import SmppIn
from warning.ingest.smpp_session import OK, TRY_AGAIN, submits
from warning.ingest.smpp_text import SAR_PART, SAR_REFERENCE, SAR_TOTAL, piece_of, words_of
from warning.rehearsal.telecom import Telecom, decoded
from warning.wiring_readers import allowed

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"


def said(content: bytes | str, coding: int = 0, **changes: object) -> smpp34.DeliverSm:
    content = content.encode("utf-16-be" if coding == 8 else "ascii") if isinstance(content, str) else content
    return smpp34.DeliverSm(PHONE[1:], "8333", content, source_addr_ton=1, source_addr_npi=1, data_coding=coding, **changes)


def part(reference: int, parts: int, number: int, text: str, wide: bool = False) -> smpp34.DeliverSm:
    header = (
        bytes((6, 8, 4)) + reference.to_bytes(2, "big") + bytes((parts, number)) if wide else bytes((5, 0, 3, reference, parts, number))
    )
    return said(header + text.encode("utf-16-be"), 8, esm_class=0x40)


def sar(reference: int, parts: int, number: int, text: str) -> smpp34.DeliverSm:
    tags = ((SAR_REFERENCE, reference.to_bytes(2, "big")), (SAR_TOTAL, bytes((parts,))), (SAR_PART, bytes((number,))))
    return said(text, tlvs=[smpp34.Tlv(tag, value) for tag, value in tags])


@asynccontextmanager
async def bound(folder: Path, place: Deployment | None = None) -> AsyncIterator[tuple[Telecom, Desk, Callable[[], SmppIn]]]:
    """A centre, and a session with it on a fake log and real SQL."""
    telecom, desk = Telecom(), Desk(config.load(ROOT / "config" / "indus"), (clerk(),), folder, place)
    port, stop = await telecom.start(), asyncio.Event()
    running = SmppIn((HOST, port, "ews", "pw"), desk.sms, desk.gateway, desk.memory, lambda: desk.now_ms, desk.facts.append)
    task = asyncio.create_task(running.run(stop))
    try:
        yield telecom, desk, lambda: running
    finally:
        stop.set()
        await task
        await telecom.stop()
        await desk.memory.close()


async def until(what: Callable[[], bool]) -> None:
    for _ in range(600):
        if what():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it does not come")


async def until_forgotten(desk: Desk) -> None:
    """SQL may say so a moment after the log has them."""
    for _ in range(600):
        if await desk.memory.all("parts") == []:
            return
        await asyncio.sleep(0.05)
    pytest.fail("parts are left")


async def test_parts_in_any_order_and_twice_are_one_message(tmp_path: Path) -> None:
    text = "سکھر آمد ۵۵۴۰۰۰ اخراج ۵۴۰۰۰۰ کیوسک " + "جناب " * 12
    for make in (part, lambda *given: part(*given, wide=True)):
        async with bound(tmp_path) as (telecom, desk, _):
            assert await telecom.say(make(7, 3, 3, text[60:])) == OK
            assert await telecom.say(make(7, 3, 1, text[:30])) == OK
            assert await telecom.say(make(7, 3, 1, text[:30])) == OK
            assert desk.readings == []
            assert await telecom.say(make(7, 3, 2, text[30:60])) == OK
            assert [one.parameter.value for one in desk.readings] == ["inflow", "outflow"]
            await until(lambda: len(telecom.messages) == 1)
            assert telecom.messages[0]["destination"] == PHONE[1:] and telecom.messages[0]["source"] == "8333"
            assert await desk.memory.all("parts") == []


async def test_parts_that_come_at_once_are_one_message_and_get_one_answer(tmp_path: Path) -> None:
    text = "سکھر آمد ۵۵۴۰۰۰ اخراج ۵۴۰۰۰۰ کیوسک " + "جناب " * 12
    async with bound(tmp_path) as (telecom, desk, _):
        for reference in range(6):
            assert set(await asyncio.gather(*(telecom.say(part(reference, 3, n, text[30 * n - 30 : 30 * n])) for n in (1, 2, 3)))) == {OK}
        assert len([one for one in desk.facts if isinstance(one, Received)]) == 6
        await until(lambda: len(telecom.messages) == 6)
        assert await desk.memory.all("parts") == []


async def test_parts_by_optional_parameters_and_a_part_before_a_crash(tmp_path: Path) -> None:
    async with bound(tmp_path) as (telecom, desk, _):
        assert await telecom.say(sar(300, 2, 1, "Sukkur inflow ")) == OK
    async with bound(tmp_path, desk.place) as (telecom, again, _):
        assert await telecom.say(sar(300, 2, 2, "554000 cusec")) == OK
        await until(lambda: len(telecom.messages) == 1)
        assert "554,000 cusec" in telecom.messages[0]["text"] and len(again.readings) == 1


async def test_an_acknowledged_part_is_never_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_in, "_SWEEP_S", 0.05)
    async with bound(tmp_path) as (telecom, desk, _):
        assert await telecom.say(part(9, 2, 1, "سکھر ")) == OK
        desk.now_ms += 7 * 3_600_000
        await until(lambda: bool(desk.rejected))
        assert [one.reason for one in desk.rejected] == ["part_missing"]
        assert [one.refused for one in desk.facts if isinstance(one, Received)] == [{"part_missing": 1}], "counted"
        await until_forgotten(desk)


async def test_nothing_is_acknowledged_without_log_or_sql(tmp_path: Path) -> None:
    async with bound(tmp_path) as (telecom, desk, _):
        desk.log.away = True
        assert await telecom.say(said("Sukkur inflow 300000")) == TRY_AGAIN
        assert await telecom.say(said(b"\xff\xff\xff", 1)) == TRY_AGAIN, "also not what cannot be read"
        desk.log.away = False
        assert await telecom.say(said("Sukkur inflow 300000")) == OK

        async def away(*_: object, **__: object) -> None:
            raise Unavailable("away")

        desk.memory.put = away  # type: ignore[method-assign]
        assert await telecom.say(part(9, 2, 1, "سکھر ")) == TRY_AGAIN
        assert len(desk.readings) == 1


async def test_what_is_no_message_is_acknowledged_and_kept_or_passed_over(tmp_path: Path) -> None:
    async with bound(tmp_path) as (telecom, desk, _):
        assert await telecom.say(said("id:1 stat:DELIVRD", esm_class=0x04)) == OK
        assert desk.log.records == [], "a receipt"
        for broken in (said(b"\x80abc", 0, esm_class=0x40), said(b"\x05\x00\x03\x01\x02\x05x", 0, esm_class=0x40), said(b"abc", 4)):
            assert await telecom.say(broken) == OK
        assert [one.reason for one in desk.rejected] == ["malformed"] * 3
        assert [one.refused for one in desk.facts if isinstance(one, Received)] == [{"malformed": 1}] * 3, "counted"
        assert await telecom.say(said(b"Sukkur inflow 300000", 0xF1)) == OK, "a message class is the GSM alphabet"
        assert len(desk.readings) == 1


async def test_a_centre_that_stops_and_comes_back(tmp_path: Path) -> None:
    async with bound(tmp_path) as (telecom, desk, running):
        await until(lambda: running().up)
        await telecom.stop()
        await until(lambda: not running().up)
        await telecom.start()
        assert await telecom.say(said("Sukkur inflow 300000")) == OK
        ready = [one.up for one in desk.facts if isinstance(one, ReadersSmsState)]
        assert ready[0] and False in ready and ready[-1]


async def test_a_centre_that_refuses_us_is_told_and_does_not_end_the_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with bound(tmp_path) as (telecom, _, running):
        await until(lambda: running().up)
        telecom.password = "other"
        await telecom.stop()
        await telecom.start()
        await until(lambda: "refuses ews" in caplog.text)
        assert "pw" not in caplog.text


async def test_many_phones_at_once(tmp_path: Path) -> None:
    async with bound(tmp_path) as (telecom, desk, _):
        await telecom.say(said("Sukkur inflow 300000"))
        texts = [f"Sukkur inflow {300_000 + n} 2025-09-01 {n // 60:02}:{n % 60:02}" for n in range(120)]
        assert await asyncio.gather(*(telecom.say(said(text)) for text in texts)) == [OK] * 120
        assert len({one.time_ms for one in desk.readings}) == 121


def test_answers_in_parts_are_whole_again() -> None:
    for text in ("short", "x" * 300, "سکھر " * 25, "with { brackets } " * 12):
        pieces = [decoded(smpp34.decode(pdu)) for pdu in submits(text, "8333", PHONE, 77)]
        assert "".join(piece["text"] for piece in pieces) == text
        assert [piece["part"] for piece in pieces] == list(range(1, len(pieces) + 1))
        assert {piece["destination"] for piece in pieces} == {PHONE[1:]}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 255), st.integers(0, 255), st.integers(0, 40))
def test_any_octets_are_a_piece_or_a_refusal(content: bytes, coding: int, esm_class: int, cut: int) -> None:
    pdu = said(content, coding, esm_class=esm_class).encode()
    damaged = pdu[: len(pdu) - cut]
    for each in (pdu, damaged, content):
        try:
            piece = piece_of(each)
            assert 1 <= piece.part <= piece.parts
            words_of(piece.content, piece.coding)
        except InputError as error:
            assert error.reason == "malformed"


def test_the_account_is_not_that_of_the_warnings() -> None:
    place = Deployment(smpp_user="ews", readers_smpp_host="127.0.0.1", readers_smpp_user="ews")
    with pytest.raises(ConfigError, match="is the account that warnings are sent by"):
        allowed(place)
    allowed(replace(place, readers_smpp_user="mo"))
    allowed(Deployment())
    with pytest.raises(ConfigError, match="has 20 characters"):
        allowed(replace(place, readers_smpp_user="x" * 20))
    assert "hunter2" not in repr(Deployment(readers_smpp_password="hunter2"))
