"""Anticipatory cash in a flood that grows: each district is paid once, whenever it comes up to it, and whatever dies or is doubled."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sql
from alert_region import H, hazard
from cash_world import ACTUAL, alert, enter, follows, rules, trigger
from channel_postgres import postgres
from test_cash import World, world

from warning.alerts.lifecycle import chain_of, transition
from warning.alerts.rules import CallOff, Decision
from warning.database import open_engine
from warning.dispatch.cash import LEASE_MS, CashDesk
from warning.errors import InputError
from warning.model import Alert, EventKind, Level
from warning.region import Region, Zone

RUNS = int(os.environ.get("WARNING_CASH_RUNS", "2"))
FIRST, SECOND = (replace(zone, districts=(district,)) for zone, district in zip(ACTUAL.zones, ("sialkot", "gujrat"), strict=False))
REGION: Region = replace(ACTUAL, zones=(FIRST, SECOND, *ACTUAL.zones[2:]))


def second(probability: float, at_ms: int) -> Alert:
    """HIGH is expected in the other zone, which is gujrat."""
    return expected(SECOND, probability, at_ms)


def expected(zone: Zone, probability: float, at_ms: int) -> Alert:
    said = hazard(at_ms, zone, expected=Level.HIGH, probability=probability, arrival_ms=at_ms + 10 * H)
    found = transition(None, said, zone, REGION, at_ms).event
    assert found is not None
    return found


def surer(told: Alert, probability: float, **fields: Any) -> Alert:
    return follows(told, hazard=msgspec.structs.replace(told.hazard, probability=probability), **fields)


async def test_a_district_that_comes_later_gets_its_own_readiness_is_asked_for_and_paid_once(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=1)), region=REGION) as w:
        await enter(w.where, alert(region=REGION), region=REGION)
        await w.beats(2)
        case = (await w.case())["id"]
        await w.book.answer(case, "Amna", True, "seen the gauge", w.now_ms)
        await w.beats(4)
        assert w.payments.paid() == [7_000]
        later = second(0.6, w.now_ms)
        await enter(w.where, later, region=REGION)
        await w.beats(4)
        assert (await w.case())["state"] == "activated" and w.payments.phases() == ["activation", "readiness", "readiness"]
        await enter(w.where, surer(later, 0.8), region=REGION)
        await w.beats(4)
        assert (await w.case())["state"] == "approval" and w.payments.paid() == [7_000], "what was approved before was not this"
        assert (await w.case())["why"].startswith("gujrat too: ")
        await w.book.answer(case, "Bilal", True, "", w.now_ms)
        await w.beats(20)
        assert w.payments.paid() == [7_000, 5_000] and len(await w.book.cases()) == 1 and max(w.payments.posts.values()) == 1
        assert [order["key"].rpartition("~0:")[2] for order in await w.book.orders(case)] == [
            "readiness",
            "activation",
            "readiness:2",
            "activation:2",
        ]
        with pytest.raises(InputError, match="nothing is taken back"):
            await w.book.stop(w.cash, case, "Amna", "too late", w.now_ms)


@pytest.mark.parametrize("waits", [False, True])
async def test_who_approved_before_a_district_joined_did_not_approve_that(tmp_path: Path, waits: bool) -> None:
    """``waits``: the case waits for its second yes as the district joins; else it was approved ahead, in readiness."""
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=2)), region=REGION) as w:
        first = surer(alert(region=REGION), 0.8 if waits else 0.6)
        await enter(w.where, first, region=REGION)
        await w.beats(2)
        case = await w.case()
        assert case["state"] == ("approval" if waits else "readiness")
        for name in ("Amna",) if waits else ("Amna", "Bilal"):
            await w.book.answer(case["id"], name, True, "seen the gauge", w.now_ms)
        await w.beats(2)
        later = second(0.6 if waits else 0.8, w.now_ms)
        await enter(w.where, later, *([] if waits else [surer(first, 0.8)]), region=REGION)
        await w.beats(1)
        if waits:
            assert "gujrat: " in (await w.case())["why"], "who is asked reads what joined"
            await enter(w.where, surer(later, 0.8), region=REGION)
            await w.book.answer(case["id"], "Bilal", True, "", w.now_ms)
        await w.beats(6)
        assert w.payments.paid() == [7_000], "of gujrat two people have not said yes"
        assert (await w.case())["state"] == "approval" and (await w.case())["why"].startswith("gujrat too: ")
        for name in ("Amna", "Bilal"):
            await w.book.answer(case["id"], name, True, "", w.now_ms)
        await w.beats(6)
        assert w.payments.paid() == [7_000, 5_000]


async def test_what_is_refused_or_stopped_after_the_first_district_leaves_that_one_alone(tmp_path: Path) -> None:
    for name, ends in (("refused", "answer"), ("stopped", "stop")):
        (tmp_path / name).mkdir()
        async with world(tmp_path / name, cash=lambda port: rules(port, trigger(approvals=1)), region=REGION) as w:
            await enter(w.where, alert(region=REGION), second(0.6, w.now_ms), region=REGION)
            await w.beats(2)
            case = (await w.case())["id"]
            await w.book.answer(case, "Amna", True, "", w.now_ms)
            await w.beats(4)
            assert w.payments.paid() == [7_000]
            await enter(w.where, surer(second(0.6, w.now_ms - 6000), 0.8), region=REGION)
            await w.beats(2)
            if ends == "answer":
                assert (await w.case())["state"] == "approval"
                await w.book.answer(case, "Bilal", False, "its gauge is broken", w.now_ms)
            else:
                assert await w.book.stop(w.cash, case, "Bilal", "its gauge is broken", w.now_ms) == ("sialkot",)
            await w.beats(5)
            assert (await w.case())["state"] == name and w.payments.paid() == [7_000]
            [down] = [order for order in w.payments.booked.values() if order["phase"] == "stand_down"]
            assert down["districts"] == [{"district": "gujrat", "geocode": "PK-PB"}] and down["lines"] == []


async def test_what_has_expired_goes_on_for_a_district_that_comes_after_that_and_for_no_other(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0, readiness_for_s=3600.0)), region=REGION) as w:
        first = surer(alert(region=REGION), 0.6, expires_ms=w.now_ms + 20 * H)
        await enter(w.where, first, region=REGION)
        await w.beats(2)
        w.now_ms += 2 * H
        await w.beats(2)
        assert (await w.case())["state"] == "expired"
        await enter(w.where, surer(first, 0.9, arrival_ms=w.now_ms + 10 * H), second(0.8, w.now_ms), region=REGION)
        await w.beats(6)
        assert w.payments.paid() == [5_000] and w.payments.phases() == ["activation", "readiness", "readiness", "stand_down"]


async def test_the_second_district_keeps_to_the_caps(tmp_path: Path) -> None:
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0, cap=11_999)), region=REGION) as w:
        await enter(w.where, alert(region=REGION), region=REGION)
        await w.beats(4)
        await enter(w.where, second(0.8, w.now_ms), region=REGION)
        await w.beats(5)
        assert w.payments.paid() == [7_000] and (await w.case())["state"] == "activated", "nobody is asked for what cannot be paid"


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """Counts the steps of a desk (around each transaction and each request) and ends it at one of them."""

    def __init__(self, desk: CashDesk, dies_at: int) -> None:
        self.steps, self.dies_at = 0, dies_at
        alone, payer = desk.book.alone, desk._payer
        send, ask = payer.send, payer.ask

        @asynccontextmanager
        async def transaction(now_ms: int) -> AsyncIterator[Any]:
            self.step()
            async with alone(now_ms) as turn:
                yield turn
                self.step()  # before it is committed: all of it is lost
            self.step()

        async def sends(key: str, body: bytes) -> Any:
            self.step()
            result = await send(key, body)
            self.step()  # the payment system has it, nobody here knows
            return result

        async def asks(key: str) -> Any:
            self.step()
            result = await ask(key)
            self.step()
            return result

        desk.book.alone, payer.send, payer.ask = transaction, sends, asks  # type: ignore[method-assign]

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.dies_at:
            raise Killed


async def lives(w: World, dies_at: int) -> bool:
    """One life after the other until both districts are paid; whether the first one died."""
    Mortal(w.desk, dies_at)
    died, grown = False, False
    for _ in range(20):
        try:
            await w.beats(1)
        except Killed:
            died = True
            await w.desk.close()
            w.desk = w.new()
            w.now_ms += LEASE_MS + 1000  # its lease has to run out
        if w.payments.paid() and not grown:
            await enter(w.where, second(0.8, w.now_ms), region=REGION)
            grown = True
        if len(w.payments.paid()) == 2 and {order["state"] for order in await w.book.orders((await w.case())["id"])} == {"confirmed"}:
            await w.beats(2)  # and nothing more comes
            break
    return died


async def test_killed_at_every_step_it_pays_each_district_once(tmp_path: Path) -> None:
    at, died = 0, True
    while died:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        async with world(folder, cash=lambda port: rules(port, trigger(approvals=0)), region=REGION) as w:
            await enter(w.where, alert(region=REGION), region=REGION)
            died = await lives(w, at)
            assert w.payments.paid() == [7_000, 5_000], f"killed at step {at}"
            assert {order["state"] for order in await w.book.orders((await w.case())["id"])} == {"confirmed"}, f"killed at step {at}"
            assert w.payments.phases() == ["activation"] * 2 + ["readiness"] * 2, f"killed at step {at}"
            assert max(w.payments.posts.values()) == 1, f"killed at step {at}: it asks before it sends again"
    assert at > 40  # it has that many places to die


@pytest.mark.parametrize("seed", range(RUNS))
async def test_whatever_comes_no_alert_pays_a_district_twice_and_no_cap_is_passed(tmp_path: Path, seed: int) -> None:
    """Alerts that come, rise, fall, are called off and end; answers; a network that lies; death at any step."""
    by = random.Random(seed)
    amounts = rules(1, trigger(approvals=1, most=3, cap=30_000), cap=30_000, cap_per_district=20_000)
    async with world(
        tmp_path,
        cash=lambda port: replace(amounts, url=f"http://127.0.0.1:{port}/orders", status_url=f"http://127.0.0.1:{port}/orders/{{key}}"),
        region=REGION,
    ) as w:
        standing: dict[str, Alert] = {}
        for _ in range(60):
            await _happens(w, by, standing)
            Mortal(w.desk, by.choice((0, 0, by.randrange(1, 9))))
            try:
                await w.beats(1, seconds=by.choice((1, 1, 60, 3600)))
            except Killed:
                await w.desk.close()
                w.desk = w.new()
                w.now_ms += by.choice((1000, LEASE_MS + 1000))
        lines = await w.book.rows(sql.text("SELECT l.*, o.state FROM cash_lines l JOIN cash_orders o ON o.key = l.key"))
        mine = [one for one in lines if one["phase"] == "activation" and one["state"] in ("waiting", "sending", "unknown", "confirmed")]
        assert all(count == 1 for count in Counter((chain_of(one["alert"]), one["district"]) for one in mine).values())
        assert all(count == 1 for count in Counter((one["case"], one["phase"], one["district"]) for one in lines).values())
        booked = [order for order in w.payments.booked.values() if order["phase"] == "activation"]
        assert {(order["case"], line["district"]) for order in booked for line in order["lines"]} <= {
            (one["case"], one["district"]) for one in mine
        }
        assert sum(order["total"] for order in booked) <= 30_000 and all(len(bodies) == 1 for bodies in w.payments.bodies.values())


async def _happens(w: World, by: random.Random, standing: dict[str, Alert]) -> None:
    """One thing of all that can happen."""
    what = by.choice(("alert", "alert", "surer", "surer", "less sure", "end", "call off", "answer", "answer", "network", "nothing"))
    zone = by.choice((FIRST, SECOND))
    told = standing.get(zone.id)
    if what == "alert" and (told is None or not told.active or told.expires_ms <= w.now_ms):
        found = expected(zone, by.choice((0.4, 0.6, 0.8)), w.now_ms)
        if found.identifier not in {one.identifier for one in standing.values()}:
            standing[zone.id] = found
            await enter(w.where, found, region=REGION)
    elif told is not None and told.active and what in ("surer", "less sure", "end"):
        probability = {"surer": 0.9, "less sure": 0.3}.get(what, 0.9)
        ended = {"kind": EventKind.CLEAR, "level": Level.NORMAL} if what == "end" else {}
        standing[zone.id] = surer(
            told,
            probability,
            sent_ms=max(w.now_ms, told.sent_ms + 1000),
            expires_ms=w.now_ms + 12 * H,
            arrival_ms=w.now_ms + 10 * H,
            **ended,
        )
        await enter(w.where, standing[zone.id], region=REGION)
    elif what == "call off" and told is not None:
        off = CallOff(chain_of(told.identifier), Level.HIGH, "Bilal", w.now_ms)
        w.decision = by.choice((Decision(), Decision(call_offs=(off,))))
    elif what == "answer":
        for case in await w.book.cases():
            if case["state"] in ("readiness", "approval"):
                await w.book.answer(case["id"], "Amna", by.random() > 0.1, "", w.now_ms)
    elif what == "network":
        w.payments.script = by.choices(("ok", "lose", "drop", "500", "429", "422"), k=3)


OLD = """
CREATE TABLE cash_turns (id INTEGER PRIMARY KEY, n BIGINT NOT NULL);
CREATE TABLE cash_cases (id VARCHAR PRIMARY KEY, trigger VARCHAR NOT NULL, state VARCHAR NOT NULL, why TEXT NOT NULL,
  alert VARCHAR NOT NULL, opened_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL, over BOOLEAN NOT NULL, changed_ms BIGINT NOT NULL);
CREATE TABLE cash_orders (key VARCHAR PRIMARY KEY, "case" VARCHAR NOT NULL REFERENCES cash_cases (id), phase VARCHAR NOT NULL,
  state VARCHAR NOT NULL, why TEXT NOT NULL, body BLOB NOT NULL, attempts INTEGER NOT NULL, doubtful BOOLEAN NOT NULL,
  next_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL, owner VARCHAR NOT NULL, lease_ms BIGINT NOT NULL, created_ms BIGINT NOT NULL,
  changed_ms BIGINT NOT NULL, CONSTRAINT cash_orders_once UNIQUE ("case", phase));
CREATE TABLE cash_lines (key VARCHAR NOT NULL REFERENCES cash_orders (key), district VARCHAR NOT NULL, trigger VARCHAR NOT NULL,
  amount BIGINT NOT NULL, at_ms BIGINT NOT NULL, PRIMARY KEY (key, district));
CREATE TABLE cash_answers (id INTEGER PRIMARY KEY, "case" VARCHAR NOT NULL, "by" VARCHAR NOT NULL, at_ms BIGINT NOT NULL,
  granted BOOLEAN NOT NULL, reason TEXT NOT NULL);
"""


@pytest.fixture(scope="module")
def server() -> Any:
    with postgres() as url:
        yield url


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_a_ledger_from_before_an_order_had_a_part_goes_on(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    """The first district was readied and paid by the old code; the new one pays the second, and the first not again."""
    url = request.getfixturevalue("server") if database == "postgresql" else ""
    async with world(tmp_path, cash=lambda port: rules(port, trigger(approvals=0)), region=REGION, url=url) as w:
        first = alert(region=REGION)
        case, same = f"chenab-high:{first.identifier}", {"s": w.now_ms, "u": w.now_ms + H}
        engine = open_engine(w.where.database, 10)
        async with engine.begin() as connection:
            for statement in OLD.replace("BLOB", "BYTEA" if url else "BLOB").split(";")[:-1]:
                await connection.execute(sql.text(statement))
            await connection.execute(
                sql.text("INSERT INTO cash_cases VALUES (:c, 'chenab-high', 'activated', 'x', :a, :s, :u, FALSE, :s)"),
                {"c": case, "a": first.identifier, **same},
            )
            for phase in ("readiness", "activation"):
                key = f"chenab:{case}:{phase}".replace(".", "~")
                body = json.dumps({"data": {"lines": [{"district": "sialkot", "amount": 7_000}]}}).encode()
                await connection.execute(
                    sql.text("INSERT INTO cash_orders VALUES (:k, :c, :p, 'confirmed', '', :b, 1, FALSE, 0, :u, '', 0, :s, :s)"),
                    {"k": key, "c": case, "p": phase, "b": body, **same},
                )
            await connection.execute(
                sql.text("INSERT INTO cash_lines VALUES (:k, 'sialkot', 'chenab-high', 7000, :s)"), {"k": key, "s": w.now_ms}
            )
        await engine.dispose()
        await enter(w.where, first, second(0.8, w.now_ms), region=REGION)
        other = w.new()
        await asyncio.gather(w.desk.beat(), other.beat())  # both carry it over
        await other.close()
        await w.beats(5)
        assert w.payments.paid() == [5_000] and w.payments.phases() == ["activation", "readiness"]
        orders = sorted((order["part"], order["state"]) for order in await w.book.orders(case))
        assert orders == [(1, "confirmed")] * 2 + [(2, "confirmed")] * 2
