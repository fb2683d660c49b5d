"""The ledger of anticipatory cash: every step of a case in one transaction, which nobody else's runs beside.

An order is a row before it is sent. Its key follows from case and phase, and (case, phase) is unique: whatever crashes, and however many
processes decide at once, there is one order. Every change of state stands in ``cash_moves`` and in the audit's hash chain.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.alerts.lifecycle import chain_of
from warning.config_cash import Cash, Trigger
from warning.database import Tables
from warning.dispatch import cash_tables as t
from warning.dispatch.cash_rules import Answer, Case, Finding, Step, affordable, step
from warning.errors import InputError
from warning.facts import CashMoved, Listener, nobody
from warning.proof import chain
from warning.region import Region

ALL = "*"  # in ``answers``: every case of the deployment
Row = Mapping[Any, Any]


@dataclass
class Turn:
    """A transaction alone. What moved is written at its end."""

    connection: AsyncConnection
    now_ms: int
    moved: list[dict[str, Any]] = field(default_factory=list)
    told: list[CashMoved] = field(default_factory=list)

    def move(self, subject: str, phase: str, state: str, why: str, by: str = "") -> None:
        self.moved.append({"subject": subject, "state": state, "why": why, "by": by, "at_ms": self.now_ms})
        self.told.append(CashMoved(phase, state))

    async def rows(self, query: Any) -> list[Row]:
        return list((await self.connection.execute(query)).mappings().all())

    async def changed(self, statement: Any) -> bool:
        """Whether it changed a row."""
        return bool((await self.connection.execute(statement)).rowcount)


class Book:
    """``url``: ``Deployment.database``. Raises ``Unavailable`` when that is away: then nothing has happened."""

    def __init__(self, url: str, region: Region, listen: Listener = nobody) -> None:
        self._tables, self._region, self._listen = Tables(url, t.metadata, "cash"), region, listen
        self._chained = False

    async def close(self) -> None:
        await self._tables.close()

    @asynccontextmanager
    async def alone(self, now_ms: int) -> AsyncIterator[Turn]:
        """The row of ``cash_turns`` is locked to the end of the transaction, in SQLite and PostgreSQL alike."""
        async with self._tables.together() as connection:
            first = self._tables.insert(t.turns).values(id=1, n=0)
            await connection.execute(first.on_conflict_do_update(index_elements=["id"], set_={"n": t.turns.c.n + 1}))
            if not self._chained:
                await chain.create(connection)
            turn = Turn(connection, now_ms)
            yield turn
            for move in turn.moved:
                await connection.execute(sql.insert(t.moves).values(move))
            for move in turn.moved:  # the chain's head stays locked from here on
                said = {name: move[name] for name in ("subject", "state", "why", "by")}
                await chain.enter(connection, "cash", now_ms, **said)
        self._chained = True
        for fact in turn.told:
            self._listen(fact)

    # --- the rules' steps

    async def advance(self, cash: Cash, trigger: Trigger, found: Finding, now_ms: int) -> Step | None:
        """The next step of a trigger, if it moved anything; None: all is as it should be. To look costs no transaction of its own."""
        current = await self._tables.run(_current(trigger.id))
        case = _case(current[0]._mapping) if current else None
        answers = [_answer(row._mapping) for row in await self._tables.run(_answers(case.id))] if case else []
        if (await self.halted()) or step(trigger, case, found, answers, now_ms) is None:
            return None
        async with self.alone(now_ms) as turn:
            rows = await turn.rows(_current(trigger.id))
            case = _case(rows[0]) if rows else None
            answers = [_answer(row) for row in await turn.rows(_answers(case.id))] if case else []
            following = step(trigger, case, found, answers, now_ms)
            if following is not None:
                await self._take(turn, cash, trigger, case, found, following)
        return following if turn.moved else None

    async def _take(self, turn: Turn, cash: Cash, trigger: Trigger, case: Case | None, found: Finding, step: Step) -> None:
        if case is None:
            await self._open(turn, cash, trigger, found, step.why)
        elif step.to == "activated":
            await self._activate(turn, cash, trigger, case, found, step.why)
        elif step.to == "over":
            await self._over(turn, case)
        else:
            await self._case(turn, case.id, step.to, step.why, over=step.to == "cancelled")
            if step.to in t.ENDED_CASES:
                await self._stand_down(turn, cash, case.id, step.why)

    async def _open(self, turn: Turn, cash: Cash, trigger: Trigger, found: Finding, why: str) -> None:
        """A chain gets a case once; another where that one was cancelled, because people took their word back."""
        alert = next(iter(found.readiness or found.activation)).alert
        cases = await turn.rows(sql.select(t.cases.c.alert, t.cases.c.state).where(t.cases.c.trigger == trigger.id))
        before = [row["state"] for row in cases if chain_of(row["alert"]) == chain_of(alert)]
        if set(before) - {"cancelled"}:
            return
        row: dict[str, Any] = {
            "id": f"{trigger.id}:{alert}" + (f":{len(before) + 1}" if before else ""),
            "trigger": trigger.id,
            "state": "readiness",
            "why": why,
            "alert": alert,
            "opened_ms": turn.now_ms,
            "until_ms": turn.now_ms + round(trigger.readiness_for_s * 1000),
            "over": False,
            "changed_ms": turn.now_ms,
        }
        await turn.connection.execute(sql.insert(t.cases).values(row))
        turn.move(row["id"], "case", "readiness", why)
        districts = sorted({district for ground in (*found.readiness, *found.activation) for district in ground.districts})
        amounts = {district: trigger.amounts[district] for district in districts}
        await self._order(turn, cash, trigger.id, row["id"], "readiness", amounts, why)

    async def _activate(self, turn: Turn, cash: Cash, trigger: Trigger, case: Case, found: Finding, why: str) -> None:
        """Reserves what fits under the caps and makes the order; if nothing fits the case waits, and says so once."""
        since_ms = turn.now_ms - round(cash.period_s * 1000)
        spent = (t.orders.c.state.in_(t.SPENT)) & (t.orders.c.phase == "activation") & (t.orders.c.created_ms > since_ms)
        query = sql.select(t.lines).join(t.orders, t.orders.c.key == t.lines.c.key).where(spent)
        used = await turn.rows(query)
        mine = [row for row in used if row["trigger"] == trigger.id]
        left = min(cash.cap - sum(row["amount"] for row in used), trigger.cap - sum(row["amount"] for row in mine))
        left_of = {
            district: cash.cap_per_district - sum(row["amount"] for row in used if row["district"] == district)
            for district in found.districts
        }
        if len({row["key"] for row in mine}) >= trigger.most:
            left = 0
        paid, out = affordable(trigger.amounts, found.districts, left, left_of)
        capped = f"capped, not paid: {', '.join(out)}" if out else ""
        if not paid:
            await self._case(turn, case.id, "approval", capped)
            return
        told = "; ".join(filter(None, (why, capped)))
        await self._case(turn, case.id, "activated", told)
        await self._order(turn, cash, trigger.id, case.id, "activation", paid, told)

    async def _over(self, turn: Turn, case: Case) -> None:
        """The flood has passed. What was not taken yet is withdrawn; what was is not taken back."""
        withdrawn = case.state == "activated" and await self._withdraw(turn, case.id, "activation", "the alert ended before it was taken")
        if withdrawn:
            await self._case(turn, case.id, "cancelled", "the alert ended before the order was taken", over=True)
            return
        await turn.changed(sql.update(t.cases).where(t.cases.c.id == case.id).values(over=True, changed_ms=turn.now_ms))
        if case.state == "activated":
            turn.move(case.id, "case", "activated", "the alert has ended: nothing is taken back")

    async def _case(self, turn: Turn, case: str, state: str, why: str, *, by: str = "", over: bool = False) -> None:
        values: dict[str, Any] = {"state": state, "why": why, "changed_ms": turn.now_ms} | ({"over": True} if over else {})
        same = (t.cases.c.state == state) & (t.cases.c.why == why)
        if await turn.changed(sql.update(t.cases).where(t.cases.c.id == case, ~same).values(values)):
            turn.move(case, "case", state, why, by)

    async def _stand_down(self, turn: Turn, cash: Cash, case: str, why: str) -> None:
        """The payment system is told, unless it never heard of the readiness."""
        if not await self._withdraw(turn, case, "readiness", why):
            await self._order(turn, cash, "", case, "stand_down", {}, why)

    async def _withdraw(self, turn: Turn, case: str, phase: str, why: str) -> bool:
        mine = (t.orders.c.case == case) & (t.orders.c.phase == phase)
        free = (t.orders.c.state == "waiting") & ~t.orders.c.doubtful
        values = {"state": "withdrawn", "why": why, "changed_ms": turn.now_ms}
        if await turn.changed(sql.update(t.orders).where(mine, free).values(values)):
            turn.move(key_of(self._region, case, phase), phase, "withdrawn", why)
            return True
        return False

    async def _order(self, turn: Turn, cash: Cash, trigger: str, case: str, phase: str, amounts: Mapping[str, int], why: str) -> None:
        key = key_of(self._region, case, phase)
        row = {
            "key": key,
            "case": case,
            "phase": phase,
            "state": "waiting",
            "why": "",
            "body": body_of(self._region, cash, key, case, phase, amounts, why, turn.now_ms),
            "attempts": 0,
            "doubtful": False,
            "next_ms": turn.now_ms,
            "until_ms": turn.now_ms + round(cash.valid_s * 1000),
            "owner": "",
            "lease_ms": 0,
            "created_ms": turn.now_ms,
            "changed_ms": turn.now_ms,
        }
        await turn.connection.execute(sql.insert(t.orders).values(row))
        if phase == "activation":
            reserved = [
                {"key": key, "district": district, "trigger": trigger, "amount": amount, "at_ms": turn.now_ms}
                for district, amount in amounts.items()
            ]
            await turn.connection.execute(sql.insert(t.lines), reserved)
        turn.move(key, phase, "waiting", why)

    # --- people

    async def answer(self, case: str, by: str, granted: bool, reason: str, now_ms: int) -> None:
        """A person's approval or refusal of a case, before it is activated. Raises ``InputError``."""
        if not by.strip():
            raise InputError("an answer needs a name", reason="by", field="by", fix="--by NAME")
        async with self.alone(now_ms) as turn:
            known = await turn.rows(sql.select(t.cases).where(t.cases.c.id == case))
            if case != ALL and not known:
                raise InputError(f"there is no case {case!r}", reason="case", field="case", fix="warning cash list")
            if case != ALL and known[0]["state"] not in t.OPEN_CASES:
                words = f"{case} is {known[0]['state']}: nothing is taken back"
                raise InputError(words, reason="settled", field="case", fix="warning cash show " + case)
            row = {"case": case, "by": by.strip(), "at_ms": now_ms, "granted": granted, "reason": reason}
            await turn.connection.execute(sql.insert(t.answers).values(row))
            turn.move(case, "case", "approved" if granted else "declined", reason, by.strip())

    async def stop(self, cash: Cash, case: str, by: str, reason: str, now_ms: int) -> None:
        """Ends a case. Raises ``InputError`` where its money is on its way: nothing is taken back."""
        async with self.alone(now_ms) as turn:
            known = await turn.rows(sql.select(t.cases).where(t.cases.c.id == case))
            state = known[0]["state"] if known else ""
            if state == "activated" and await self._withdraw(turn, case, "activation", reason):
                state = "approval"
            if state not in t.OPEN_CASES:
                words = f"{case} is {state}: nothing is taken back" if known else f"there is no case {case!r}"
                raise InputError(words, reason="settled", field="case", fix="warning cash list")
            await self._case(turn, case, "stopped", reason, by=by)
            await self._stand_down(turn, cash, case, reason)

    async def halted(self, turn: Turn | None = None) -> bool:
        """Whether a person stopped everything; ``turn``: as it is while nobody can."""
        rows = await turn.rows(_halt()) if turn else [row._mapping for row in await self._tables.run(_halt())]
        return bool(rows) and not rows[0]["granted"]

    # --- what others ask

    async def cases(self) -> list[Row]:
        return [row._mapping for row in await self._tables.run(sql.select(t.cases).order_by(t.cases.c.opened_ms.desc()))]

    async def orders(self, case: str) -> list[Row]:
        return [row._mapping for row in await self._tables.run(sql.select(t.orders).where(t.orders.c.case == case).order_by("created_ms"))]

    async def moves(self, subjects: Sequence[str]) -> list[Row]:
        query = sql.select(t.moves).where(t.moves.c.subject.in_(subjects)).order_by(t.moves.c.id)
        return [row._mapping for row in await self._tables.run(query)]

    async def counts(self) -> tuple[int, int]:
        """(cases that wait for a person, orders whose outcome is not known)."""
        waiting = await self._tables.run(sql.select(t.cases.c.id).where(t.cases.c.state == "approval"))
        unsettled = await self._tables.run(sql.select(t.orders.c.key).where(t.orders.c.state.in_(("sending", "unknown"))))
        return len(waiting), len(unsettled)

    @property
    def tables(self) -> Tables:
        return self._tables


def key_of(region: Region, case: str, phase: str) -> str:
    """The idempotency key, for ever the same; no dot, which parts what Standard Webhooks signs."""
    return f"{region.id}:{case}:{phase}".replace(".", "~")


def body_of(region: Region, cash: Cash, key: str, case: str, phase: str, amounts: Mapping[str, int], why: str, now_ms: int) -> bytes:
    """``type``, ``timestamp``, ``data`` as Standard Webhooks recommends. Made once: every attempt sends these bytes."""
    geocodes = {district: region.district_by_id[district].geocode for district in amounts}
    data = {
        "idempotency_key": key,
        "case": case,
        "phase": phase,
        "region": region.id,
        "currency": cash.currency,
        "total": sum(amounts.values()),
        "lines": [{"district": one, "geocode": geocodes[one], "amount": amount} for one, amount in amounts.items()],
        "why": why,
    }
    at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps({"type": f"cash.{phase}", "timestamp": at, "data": data}, ensure_ascii=False).encode()


def _current(trigger: str) -> Any:
    return sql.select(t.cases).where(t.cases.c.trigger == trigger, ~t.cases.c.over).order_by(t.cases.c.opened_ms)


def _answers(case: str) -> Any:
    return sql.select(t.answers).where(t.answers.c.case == case)


def _halt() -> Any:
    return sql.select(t.answers.c.granted).where(t.answers.c.case == ALL).order_by(t.answers.c.id.desc()).limit(1)


def _case(row: Row) -> Case:
    return Case(row["id"], row["state"], row["until_ms"], row["over"])


def _answer(row: Row) -> Answer:
    return Answer(row["by"], row["at_ms"], row["granted"])
