"""Anticipatory cash: what people say while money is about to move counts to the last moment."""

from __future__ import annotations

from pathlib import Path

import pytest
from alert_region import H
from cash_world import alert, enter, rules, trigger
from test_cash import world

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import CallOff, Decision
from warning.model import Level


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
        assert caplog.text.count("cash chenab-high: activated") == 1
