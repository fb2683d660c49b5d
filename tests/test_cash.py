"""Anticipatory cash: who is paid, when, and that nobody is ever paid twice: killed at each step, by two at once, on a network that lies."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alert_region import REGION, T0, H, M
from cash_world import ACTUAL, AMOUNTS, SECRET, Payments, alert, deployment, enter, follows, rules, trigger
from channel_postgres import postgres
from standardwebhooks import Webhook

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Approval, CallOff, Decision
from warning.config_cash import Cash
from warning.deployment import Deployment
from warning.dispatch.cash import LEASE_MS, CashDesk
from warning.dispatch.cash_book import Book
from warning.errors import InputError
from warning.facts import CashMoved, CashWaiting
from warning.model import EventKind, Level, Status
from warning.proof.cash_ledger import ALL
from warning.region import Region


class World:
    """One deployment with its payment system; ``now_ms`` is moved by hand."""

    def __init__(self, where: Deployment, payments: Payments, cash: Cash, region: Region = ACTUAL) -> None:
        self.where, self.payments, self.cash, self.region = where, payments, cash, region
        self.now_ms = T0 + M
        self.decision = Decision()
        self.facts: list[Any] = []
        self.desk = self.new()

    def new(self) -> CashDesk:
        return CashDesk(self.cash, self.region, self.where, lambda: self.decision, lambda: self.now_ms, self.facts.append)

    async def beats(self, count: int = 3, *, seconds: float = 1.0) -> None:
        for _ in range(count):
            await self.desk.beat()
            self.now_ms += round(seconds * 1000)

    @property
    def book(self) -> Book:
        return self.desk.book

    async def case(self) -> Any:
        return (await self.book.cases())[0]

    async def orders(self) -> dict[str, str]:
        return {order["phase"]: order["state"] for order in await self.book.orders((await self.case())["id"])}


@asynccontextmanager
async def world(folder: Path, *, cash: Callable[[int], Cash] = rules, region: Region = ACTUAL, url: str = "") -> AsyncIterator[World]:
    async with Payments() as payments:
        made = World(deployment(folder, url), payments, cash(payments.port), region)
        try:
            yield made
        finally:
            await made.desk.close()


async def test_readiness_then_approval_then_activation_each_signed_and_booked_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.beats(1)
        assert await w.book.cases() == []
        first = alert()
        await enter(w.where, first)
        await w.beats(3)
        case = await w.case()
        assert (case["state"], case["alert"]) == ("approval", first.identifier)
        assert w.payments.phases() == ["readiness"]
        assert w.facts[-1] == CashWaiting(1, 0)
        await w.book.answer(case["id"], "Amna", True, "seen the gauge", w.now_ms)
        await w.beats(4)
        assert w.payments.phases() == ["activation", "readiness"]
        assert w.payments.paid() == [sum(AMOUNTS.values())]
        assert (await w.case())["state"] == "activated" and await w.orders() == {"readiness": "confirmed", "activation": "confirmed"}
        await w.beats(20)
        assert sum(w.payments.posts.values()) == 2
    for head in w.payments.heads:
        lower = {name.lower(): value for name, value in head.items()}
        Webhook(SECRET).verify(head["body"], lower)
        data = json.loads(head["body"])["data"]
        assert lower["idempotency-key"] == f'"{data["idempotency_key"]}"' and lower["webhook-id"] == data["idempotency_key"]
    paid = w.payments.booked[f"chenab:{case['id']}:activation".replace(".", "~")]
    assert paid["currency"] == "PKR"
    assert paid["lines"] == [
        {"district": "gujrat", "geocode": "PK-PB", "amount": 5_000},
        {"district": "sialkot", "geocode": "PK-PB", "amount": 7_000},
    ]
    assert "Amna" in paid["why"]
    moved = [(fact.phase, fact.state) for fact in w.facts if isinstance(fact, CashMoved)]
    assert ("case", "activated") in moved and moved.count(("activation", "sending")) == 1


@pytest.mark.parametrize(
    ("probability", "lead_h", "cases", "activates"), [(0.45, 10, 0, False), (0.6, 10, 1, False), (0.8, 1, 1, False), (0.8, 2.5, 1, True)]
)
async def test_class_probability_and_lead_decide(tmp_path: Path, probability: float, lead_h: float, cases: int, activates: bool) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        told = msgspec.structs.replace(alert(lead_h=lead_h), hazard=msgspec.structs.replace(alert().hazard, probability=probability))
        await enter(w.where, told)
        await w.beats(4)
        assert len(await w.book.cases()) == cases
        assert bool(w.payments.paid()) is activates


@pytest.mark.parametrize("which", ["exercise", "test", "region", "replay", "embedded", "by hand", "declined", "called off", "expired"])
async def test_what_must_not_pay_does_not(tmp_path: Path, which: str) -> None:
    """From the wrong side: everything else is as in the case that pays."""
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        told, chain = alert(), chain_of(alert().identifier)
        if which in ("exercise", "test"):
            told = msgspec.structs.replace(told, status=Status(which.capitalize()))
        elif which == "region":
            w.region = REGION
        elif which in ("replay", "embedded"):
            w.where = replace(w.where, **{which: True})
        elif which == "by hand":
            told = msgspec.structs.replace(told, identifier=told.identifier.replace(f".{told.zone}.", f".manual.{told.zone}."))
        elif which == "declined":
            w.region = replace(ACTUAL, alert=replace(ACTUAL.alert, approve_from=Level.HIGH))
            w.decision = Decision(approvals=(Approval(chain, Level.HIGH, "Amna", T0, False),))
        elif which == "called off":
            w.decision = Decision(call_offs=(CallOff(chain, Level.HIGH, "Amna", T0),))
        elif which == "expired":
            w.now_ms = told.expires_ms
        await w.desk.close()
        w.desk = w.new()
        await enter(w.where, told, region=w.region)
        await w.beats(5)
        assert not w.payments.posts and await w.book.cases() == []


async def test_an_alert_that_waits_for_a_person_moves_nothing_until_it_is_released(tmp_path: Path) -> None:
    region = replace(ACTUAL, alert=replace(ACTUAL.alert, approve_from=Level.HIGH))
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0)), region=region) as w:
        await enter(w.where, alert(), region=region)
        await w.beats(3)
        assert not w.payments.posts
        w.decision = Decision(approvals=(Approval(chain_of(alert().identifier), Level.HIGH, "Amna", T0),))
        await w.beats(5)
        assert w.payments.paid() == [12_000]


async def test_two_persons_are_two_however_they_spell_themselves_and_one_refusal_ends_it(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=2))) as w:
        await enter(w.where, alert())
        await w.beats(3)
        case = (await w.case())["id"]
        for name in ("Amna", " amna ", "AMNA"):
            await w.book.answer(case, name, True, "", w.now_ms)
        await w.beats(3)
        assert w.payments.paid() == []
        await w.book.answer(case, "Bilal", True, "", w.now_ms)
        await w.beats(3)
        assert w.payments.paid() == [12_000]
        with pytest.raises(InputError, match="nothing is taken back"):
            await w.book.answer(case, "Bilal", False, "too late", w.now_ms)


async def test_a_refusal_stands_down_and_the_same_flood_does_not_ask_again(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = alert()
        await enter(w.where, first)
        await w.beats(3)
        case = (await w.case())["id"]
        await w.book.answer(case, "Amna", True, "", w.now_ms)
        await w.book.answer(case, "Bilal", False, "gauge is broken", w.now_ms)
        await w.beats(3)
        await enter(w.where, follows(first, sent_ms=w.now_ms))
        await w.beats(3)
        assert w.payments.phases() == ["readiness", "stand_down"]
        assert [row["state"] for row in await w.book.cases()] == ["refused"]


async def test_an_approval_that_is_old_does_not_count(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approval_for_s=3600.0))) as w:
        first = msgspec.structs.replace(alert(), hazard=msgspec.structs.replace(alert().hazard, probability=0.6))
        await enter(w.where, first)
        await w.beats(2)
        await w.book.answer((await w.case())["id"], "Amna", True, "", w.now_ms)
        w.now_ms += 2 * H
        await enter(w.where, follows(first, hazard=alert().hazard))
        await w.beats(3)
        assert (await w.case())["state"] == "approval" and w.payments.paid() == []


async def test_readiness_that_is_not_followed_expires_and_a_cancel_before_activation_stops_it(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(readiness_for_s=3600.0))) as w:
        first = msgspec.structs.replace(alert(), hazard=msgspec.structs.replace(alert().hazard, probability=0.6))
        await enter(w.where, first)
        await w.beats(2)
        w.now_ms += 2 * H
        await w.beats(3)
        assert (await w.case())["state"] == "expired" and w.payments.phases() == ["readiness", "stand_down"]
    async with world(tmp_path / "b") as w:
        w.where.directory.mkdir()
        await enter(w.where, alert())
        await w.beats(3)
        await enter(w.where, follows(alert(), kind=EventKind.CLEAR, level=Level.NORMAL))
        await w.beats(3)
        await w.beats(3)
        assert (await w.case())["state"] == "cancelled" and w.payments.phases() == ["readiness", "stand_down"]


async def test_after_activation_nothing_is_taken_back_but_what_never_left_is(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        await enter(w.where, alert())
        await w.beats(5)
        await enter(w.where, follows(alert(), kind=EventKind.CLEAR, level=Level.NORMAL))
        await w.beats(3)
        moves = await w.book.moves([(await w.case())["id"]])
        assert w.payments.paid() == [12_000] and (await w.case())["state"] == "activated"
        assert moves[-1]["why"] == "the alert has ended: nothing is taken back"
        with pytest.raises(InputError, match="nothing is taken back"):
            await w.book.stop(w.cash, (await w.case())["id"], "Amna", "why", w.now_ms)
    (tmp_path / "b").mkdir()
    async with world(tmp_path / "b", cash=lambda port: rules(port, trigger(approvals=0))) as w:
        w.payments.script = ["ok"] + ["429"] * 9
        await enter(w.where, alert())
        await w.beats(5)
        assert (await w.orders())["activation"] == "waiting"
        await enter(w.where, follows(alert(), kind=EventKind.CLEAR, level=Level.NORMAL))
        await w.beats(3, seconds=1000)
        assert (await w.case())["state"] == "cancelled" and (await w.orders())["activation"] == "withdrawn" and w.payments.paid() == []


async def test_caps_hold_for_trigger_district_and_all(tmp_path: Path) -> None:
    """A district's line is whole or not at all; what does not fit is named; when nothing fits the case waits."""
    other = trigger(id="other", amounts={"gujrat": 6_000}, approvals=0)

    def capped(port: int) -> Cash:
        return rules(port, trigger(approvals=0), other, cap_per_district=8_000)

    async with world(tmp_path, cash=capped) as w:
        await enter(w.where, alert())
        await w.beats(8)
        assert w.payments.paid() == [12_000]
        states = {row["trigger"]: (row["state"], row["why"]) for row in await w.book.cases()}
        assert states["other"] == ("approval", "capped, not paid: gujrat")
        w.now_ms += round(w.cash.period_s * 1000)
        await enter(w.where, follows(alert(), sent_ms=w.now_ms, expires_ms=w.now_ms + H, arrival_ms=w.now_ms + 5 * H))
        await w.beats(8)
        assert w.payments.paid() == [12_000]  # its readiness is long over: nobody pays for a flood of last season


async def test_a_trigger_pays_so_often_a_period_and_no_more(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        for number in range(3):
            at_ms = w.now_ms
            first = alert(at_ms=at_ms)
            await enter(w.where, first)
            await w.beats(5)
            await enter(w.where, follows(first, kind=EventKind.CLEAR, level=Level.NORMAL))
            await w.beats(2)
            w.now_ms += H
            assert w.payments.paid() == [12_000], number
        assert len(await w.book.cases()) == 3


async def test_stop_everything_and_go_on(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        await w.book.answer(ALL, "Amna", False, "drill next door", w.now_ms)
        await enter(w.where, alert())
        await w.beats(5)
        assert not w.payments.posts
        await w.book.answer(ALL, "Amna", True, "over", w.now_ms)
        await w.beats(5)
        assert w.payments.paid() == [12_000]


@pytest.mark.parametrize(
    ("script", "asked"),
    [(["ok", "lose"], True), (["ok", "drop"], True), (["ok", "500", "500"], True), (["ok", "429", "401", "404"], False), (["lose"], True)],
)
async def test_a_network_that_lies_never_pays_twice(tmp_path: Path, script: list[str], asked: bool) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        w.payments.script = script
        await enter(w.where, alert())
        await w.beats(14, seconds=300)
        assert w.payments.paid() == [12_000] and all(len(bodies) == 1 for bodies in w.payments.bodies.values())
        assert bool(w.payments.asked) is asked
        assert set((await w.orders()).values()) == {"confirmed"}


async def test_what_is_not_known_is_asked_for_and_not_sent_until_there_is_an_answer(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        w.payments.script, w.payments.status = ["ok", "lose"], 503
        await enter(w.where, alert())
        await w.beats(36, seconds=3600)  # a day and a half: also after it would have been given up
        assert (await w.orders())["activation"] == "unknown" and sum(w.payments.posts.values()) == 2
        assert w.facts[-1] == CashWaiting(0, 1)
        w.payments.status = None
        await w.beats(3, seconds=600)
        assert (await w.orders())["activation"] == "confirmed" and w.payments.paid() == [12_000]


async def test_an_order_that_is_refused_or_never_got_through_frees_its_cap(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        w.payments.script = ["ok", "422"]
        await enter(w.where, alert())
        await w.beats(6)
        assert (await w.orders())["activation"] == "refused" and w.payments.paid() == []
    (tmp_path / "b").mkdir()
    async with world(tmp_path / "b", cash=lambda port: rules(port, trigger(approvals=0))) as w:
        w.payments.script = ["ok"] + ["403"] * 500
        await enter(w.where, follows(alert(), expires_ms=T0 + 100 * H))
        await w.beats(30, seconds=3600)
        assert (await w.orders())["activation"] == "lapsed" and w.payments.paid() == []


@pytest.fixture(scope="module")
def server() -> Any:
    with postgres() as url:
        yield url


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_two_dispatchers_at_once_pay_once(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("server") if database == "postgresql" else ""
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0)), url=url) as w:
        await enter(w.where, alert())
        others = [w.new() for _ in range(3)]
        try:
            for _ in range(6):
                await asyncio.gather(w.desk.beat(), *(other.beat() for other in others))
                w.now_ms += 1000
        finally:
            for other in others:
                await other.close()
        assert w.payments.paid() == [12_000] and w.payments.phases() == ["activation", "readiness"]
        assert max(w.payments.posts.values()) == 1
        assert len(await w.book.cases()) == 1


async def test_kill_9_between_the_booking_and_its_answer_pays_once(tmp_path: Path) -> None:
    """A real process: the payment system has booked the activation, the answer never comes, the process is gone; the next one asks."""
    running: list[asyncio.subprocess.Process] = []

    async def start(later_ms: int) -> asyncio.subprocess.Process:
        program = (sys.executable, str(Path(__file__).parent / "cash_process.py"), str(tmp_path), str(w.payments.port), str(later_ms))
        made = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.DEVNULL)
        running.append(made)
        return made

    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0))) as w:
        w.payments.script = ["ok", "hold"]
        await enter(w.where, alert())
        try:
            first = await start(0)
            await asyncio.wait_for(w.payments.held.wait(), 180)
            first.kill()
            await first.wait()
            assert await w.orders() == {"readiness": "confirmed", "activation": "sending"}
            await start(LEASE_MS + 10_000)
            async with asyncio.timeout(180):
                while (await w.orders())["activation"] != "confirmed":
                    await asyncio.sleep(0.2)
        finally:
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        assert w.payments.paid() == [12_000] and w.payments.asked and max(w.payments.posts.values()) == 1
