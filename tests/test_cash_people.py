"""Anticipatory cash: what people say while money is about to move counts to the last moment."""

from __future__ import annotations

from pathlib import Path

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
