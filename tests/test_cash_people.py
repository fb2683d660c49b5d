"""Anticipatory cash: what people say while money is about to move counts to the last moment."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from alert_region import H
from cash_world import alert, deployment, enter, rules, trigger
from test_api_roles import keys_of
from test_cash import world

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import CallOff, Decision
from warning.dispatch import cash_payer
from warning.dispatch.cash import LEASE_MS, CashDesk
from warning.dispatch.cash_payer import Payer
from warning.model import Level
from warning.operate import api
from warning.proof.cash_ledger import ALL


async def test_an_alert_that_was_called_off_after_it_was_sent_pays_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1))) as w:
        await enter(w.where, alert())
        await w.beats(2)
        case = await w.case()
        assert case["state"] == "approval"
        await w.book.answer(case["id"], "Amna", True, "seen the gauge", w.now_ms)
        w.decision = Decision(call_offs=(CallOff(chain_of(alert().identifier), Level.HIGH, "Bilal", w.now_ms),))
        await w.beats(5)
        assert (await w.case())["state"] == "cancelled" and w.payments.phases() == ["readiness", "stand_down"]
        w.now_ms += H
        await w.beats(2)
        assert w.payments.paid() == [] and len(await w.book.cases()) == 1


async def test_a_word_that_was_taken_back_opens_a_new_case_and_what_was_paid_stays_paid_once(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1, most=5))) as w:
        await enter(w.where, alert())
        await w.beats(2)
        off = Decision(call_offs=(CallOff(chain_of(alert().identifier), Level.HIGH, "Bilal", w.now_ms),))
        for number in (1, 2):
            w.decision = off
            await w.beats(3)
            assert {row["state"] for row in await w.book.cases()} == {"cancelled"}
            w.decision = Decision()
            await w.beats(3)
            assert len(await w.book.cases()) == number + 1 and (await w.case())["state"] == "approval"
        await w.book.answer((await w.case())["id"], "Amna", True, "", w.now_ms)
        await w.beats(3)
        assert w.payments.paid() == [12_000]
        w.decision = off
        await w.beats(3)
        w.decision = Decision()
        await w.beats(3)
        assert w.payments.paid() == [12_000] and len(await w.book.cases()) == 3


async def test_what_does_not_fit_under_a_cap_is_said_once_and_not_every_second(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0), cap=4_000)) as w:
        await enter(w.where, alert())
        await w.beats(10)
        assert (await w.case())["state"] == "approval" and w.payments.paid() == []
        assert caplog.text.count("cash chenab-high: approval (capped, not paid: gujrat, sialkot)") == 1


async def test_whoever_stops_everything_while_an_order_is_under_way_stops_the_next_one(tmp_path: Path) -> None:
    """Two orders are due in one beat; the stop comes while the payment system has the first."""
    two = (trigger(approvals=0), trigger(id="chenab-second", approvals=0))
    async with world(tmp_path, cash=lambda port: rules(port, *two)) as w:
        w.payments.script = ["hold"]
        await enter(w.where, alert())
        beat = asyncio.create_task(w.desk.beat())
        await w.payments.held.wait()
        assert len(w.payments.posts) == 1
        await w.book.answer(ALL, "Amna", False, "the gauge is broken", w.now_ms)
        w.payments.released.set()
        await beat
        assert len(w.payments.posts) == 1
        await w.beats(2)
        assert len(w.payments.posts) == 1
        await w.book.answer(ALL, "Amna", True, "it is not", w.now_ms)
        await w.beats(3)
        assert w.payments.phases() == ["activation", "activation", "readiness", "readiness"]


async def test_a_payment_system_that_answers_byte_by_byte_is_left_before_the_lease_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cash_payer.WHOLE_S * 1000 < LEASE_MS
    monkeypatch.setattr(cash_payer, "WHOLE_S", 0.5)
    closed = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 100000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while not closed.is_set():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    payer = Payer(rules(server.sockets[0].getsockname()[1]), deployment(tmp_path))
    try:
        async with asyncio.timeout(10):  # ten times as long as it is given: it is not left after its 40 s
            assert (await payer.send("key", b"{}")).state == "unknown"
            assert (await payer.ask("key")).state == "unknown"
    finally:
        closed.set()
        await payer.close()
        server.close()


async def test_operators_are_asked_once_for_each_time_that_a_case_waits(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1))) as w:
        asked: list[tuple[str, str, Mapping[str, object]]] = []

        async def announce(once: str, kind: str, data: Mapping[str, object]) -> None:
            asked.append((once, kind, data))

        await w.desk.close()
        waits: list[list[str]] = []

        async def waiting(cases: Mapping[str, Mapping[str, object]]) -> None:
            waits.append(list(cases))

        w.desk = CashDesk(w.cash, w.region, w.where, lambda: w.decision, lambda: w.now_ms, w.facts.append, announce, waiting)
        await enter(w.where, alert())
        await w.beats(6)
        [(_, kind, data)] = asked
        case = (await w.case())["id"]
        assert (kind, data["case"]) == ("cash.waiting", case) and case in str(data["answer"])
        w.now_ms += H
        await w.beats(3)
        assert [data["case"] for _, _, data in asked] == [case] * 2 and len({once for once, _, _ in asked}) == 2
        await w.book.answer(case, "Amna", True, "", w.now_ms)
        await w.beats(4)
        assert w.payments.paid() == [12_000] and len(asked) == 2
        assert waits[-1] == [] and [case] in waits, "all that wait, at each look: whoever listens tells of the end"


@pytest.mark.parametrize("approvals", [0, 1])
async def test_operators_are_not_asked_for_what_goes_on_by_itself(tmp_path: Path, approvals: int) -> None:
    """Where no approval is asked for, or one was given ahead."""
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=approvals))) as w:
        asked: list[str] = []

        async def announce(once: str, kind: str, data: Mapping[str, object]) -> None:
            asked.append(once)

        await w.desk.close()
        w.desk = CashDesk(w.cash, w.region, w.where, lambda: w.decision, lambda: w.now_ms, w.facts.append, announce)
        await enter(w.where, alert())
        await w.beats(1)
        if approvals:
            await w.book.answer((await w.case())["id"], "Amna", True, "", w.now_ms)
        await w.beats(6)
        assert w.payments.paid() == [12_000] and not asked


async def test_the_api_shows_cases_and_takes_an_approvers_answer(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1))) as w:
        await enter(w.where, alert())
        await w.beats(3)
        where = dataclasses.replace(w.where, bootstrap="127.0.0.1:1")
        texts = await keys_of(where)
        app = api.create_app(w.region, where, clock=lambda: w.now_ms / 1000)
        transport = httpx.ASGITransport(app=app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            by = {role: {"authorization": f"Bearer {texts[role]}"} for role in ("viewer", "approver")}
            [case] = (await client.get("/v1/cash", headers=by["viewer"])).json()["cases"]
            assert (case["state"], [order["state"] for order in case["orders"]]) == ("approval", ["confirmed"])
            assert case["orders"][0]["sent"]["data"]["total"] == 12_000
            place = f"/v1/cash/{case['id']}"
            assert (await client.post(f"{place}/answer", json={"granted": True}, headers=by["viewer"])).status_code == 403
            silent = await client.post(f"{place}/answer", json={"granted": False}, headers=by["approver"])
            assert (silent.status_code, silent.json()["field"]) == (422, "reason")
            assert (await client.post("/v1/cash/none/answer", json={"granted": True}, headers=by["approver"])).status_code == 404
            said = await client.post(f"{place}/answer", json={"granted": True}, headers=by["approver"])
            assert said.json() == {"case": case["id"], "granted": True, "by": "The approver"}
            await w.beats(3)
            shown = (await client.get(place, headers=by["viewer"])).json()
            assert shown["state"] == "activated" and any(move["by"].startswith("The approver (") for move in shown["moves"])
            late = await client.post(f"{place}/answer", json={"granted": False, "reason": "x"}, headers=by["approver"])
            assert late.status_code == 409 and "nothing is taken back" in late.json()["detail"]
            halt = await client.post("/v1/cash/*/answer", json={"granted": False, "reason": "drill"}, headers=by["approver"])
            assert halt.status_code == 200 and (await client.get("/v1/cash", headers=by["viewer"])).json()["stopped"] is True
        assert w.payments.paid() == [12_000]
