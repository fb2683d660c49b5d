"""Anticipatory cash beside clocks that disagree: what came first is told by the ledger's turns, and no yes holds for longer than it may."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sql
from alert_region import H, M
from cash_world import alert, enter, rules, trigger
from test_cash import server, world  # noqa: F401 - a fixture among them
from test_cash_districts import REGION, second, surer

from warning.database import open_engine
from warning.proof import cash_tables as t
from warning.proof.cash_ledger import CashLedger

OFF = pytest.mark.parametrize("off_ms", [-10 * M, 10 * M], ids=["behind", "ahead"])


@OFF
async def test_a_yes_counts_from_when_it_was_given_whatever_its_clock_said(tmp_path: Path, off_ms: int) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1)), region=REGION) as w:
        await enter(w.where, alert(region=REGION), region=REGION)
        await w.beats(2)
        await w.book.answer((await w.case())["id"], "Amna", True, "seen the gauge", w.now_ms + off_ms)
        await w.beats(4)
        assert w.payments.paid() == [7_000]
        later = second(0.8, w.now_ms)
        await enter(w.where, later, region=REGION)
        await w.beats(6)
        assert w.payments.paid() == [7_000], "of gujrat nobody was asked then, also if that yes is of the future"
        await w.book.answer((await w.case())["id"], "Amna", True, "and gujrat", w.now_ms + off_ms)
        await w.beats(6)
        assert w.payments.paid() == [7_000, 5_000] and max(w.payments.posts.values()) == 1


@OFF
@pytest.mark.parametrize("refuses_last", [False, True])
async def test_of_a_persons_two_answers_the_later_counts_though_it_has_the_earlier_time(
    tmp_path: Path, off_ms: int, refuses_last: bool
) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1)), region=REGION) as w:
        first = surer(alert(region=REGION), 0.6)
        await enter(w.where, first, region=REGION)
        await w.beats(2)
        case = (await w.case())["id"]
        await w.book.answer(case, "Amna", refuses_last, "by one process", w.now_ms + (off_ms if off_ms > 0 else 0))
        await w.book.answer(case, "Amna", not refuses_last, "by another", w.now_ms + (off_ms if off_ms < 0 else 1))
        await enter(w.where, surer(first, 0.8), region=REGION)
        await w.beats(6)
        assert w.payments.paid() == ([] if refuses_last else [7_000])
        assert ((await w.case())["state"] == "refused") is refuses_last


async def test_a_yes_by_a_clock_that_is_ahead_holds_no_longer_than_another(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approval_for_s=3600.0)), region=REGION) as w:
        first = surer(alert(region=REGION), 0.6)
        await enter(w.where, first, region=REGION)
        await w.beats(2)
        case = (await w.case())["id"]
        await w.book.answer(case, "Amna", True, "", w.now_ms + 3 * H)
        await w.beats(1)
        w.now_ms += 2 * H
        await w.desk.close()
        w.desk = w.new()
        await enter(w.where, surer(first, 0.8), region=REGION)
        await w.beats(3)
        assert (await w.case())["state"] == "approval" and w.payments.paid() == []
        said = [row["at_ms"] for row in await w.book.moves([case]) if row["state"] == "approved"]
        assert said == [w.now_ms - 2 * H - 4 * 1000 + 3 * H], "what its clock said stays said"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_answers_of_a_ledger_that_counted_no_turns_keep_their_order(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("server") if database == "postgresql" else ""
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=2)), region=REGION, url=url) as w:
        first = surer(alert(region=REGION), 0.6)
        await enter(w.where, first, region=REGION)
        await w.beats(2)
        case = (await w.case())["id"]
        await w.book.answer(case, "Amna", True, "", w.now_ms)
        w.now_ms += M
        engine = open_engine(w.where.database, 10)
        async with engine.begin() as connection:
            for table in (t.answers, t.lines):
                await connection.execute(sql.text(f"ALTER TABLE {table.name} DROP COLUMN turn"))
        await engine.dispose()
        old, desk = w.desk, w.new()
        await old.close()
        w.desk = desk
        await asyncio.gather(*(_turned(w, url) for _ in "ab"))
        later = second(0.8, w.now_ms)
        await enter(w.where, later, surer(first, 0.8), region=REGION)
        await w.beats(2)
        await w.book.answer(case, "Bilal", True, "", w.now_ms)
        await w.beats(6)
        assert w.payments.paid() == [7_000], "both said yes to the first, one alone to the second"


async def test_a_no_that_a_process_of_before_took_counts_beside_this_one(tmp_path: Path) -> None:
    """An API that was not started anew with the dispatcher gives its answers no turn."""
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1)), region=REGION) as w:
        first = surer(alert(region=REGION), 0.6)
        await enter(w.where, first, region=REGION)
        await w.beats(2)
        case = (await w.case())["id"]
        engine = open_engine(w.where.database, 10)
        async with engine.begin() as connection:
            row = {"case": case, "at_ms": w.now_ms, "reason": "the gauge hangs"}
            for by, granted in (("Bilal", True), ("Amna", False)):
                await connection.execute(sql.insert(t.answers).values(**row, by=by, granted=granted))
        await engine.dispose()
        await w.book.answer(case, "Chanda", True, "", w.now_ms)
        await enter(w.where, surer(first, 0.8), region=REGION)
        await w.beats(6)
        assert (await w.case())["state"] == "refused" and w.payments.paid() == []


async def _turned(w: Any, url: str) -> None:
    other = CashLedger(w.where.database, replace(REGION))
    try:
        assert await other.counts() == (0, 0)
    finally:
        await other.close()
