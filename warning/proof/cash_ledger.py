"""The ledger of anticipatory cash, as people see it and answer it: the same for the API, the commands and the dispatcher.

Every step is one transaction, which nobody else's runs beside. An order is a row before it is sent; its key follows from case, phase and
part, and these are unique, as is a district in a case and phase: whatever crashes, and however many processes decide at once, nobody is
paid twice. Every change of state stands in ``cash_moves`` and in the audit's hash chain.
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

from warning.config_cash import Cash
from warning.database import Tables
from warning.errors import InputError
from warning.facts import CashMoved, Listener, nobody
from warning.proof import cash_tables as t
from warning.proof import chain
from warning.region import Region

ALL = "*"  # in ``answers``: every case of the deployment
MOST_REASON = 300
Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """What one district gets, and for which alert."""

    amount: int
    alert: str


@dataclass
class Turn:
    """A transaction alone. What moved is written at its end. ``number``: one more with each, whatever clocks say."""

    connection: AsyncConnection
    now_ms: int
    number: int
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


class CashLedger:
    """``url``: ``Deployment.database``. Raises ``Unavailable`` when that is away: then nothing has happened."""

    def __init__(self, url: str, region: Region, listen: Listener = nobody) -> None:
        self.tables, self._region, self._listen = Tables(url, t.metadata, "cash", carry=t.carry), region, listen
        self._chained = False

    async def close(self) -> None:
        await self.tables.close()

    @asynccontextmanager
    async def alone(self, now_ms: int) -> AsyncIterator[Turn]:
        """The row of ``cash_turns`` is locked to the end of the transaction, in SQLite and PostgreSQL alike."""
        async with self.tables.together() as connection:
            first = self.tables.insert(t.turns).values(id=1, n=0)
            again = first.on_conflict_do_update(index_elements=["id"], set_={"n": t.turns.c.n + 1})
            number = 1 + int((await connection.execute(again.returning(t.turns.c.n))).scalar_one())
            if not self._chained:
                await chain.create(connection)
            turn = Turn(connection, now_ms, number)
            yield turn
            for move in turn.moved:
                await connection.execute(sql.insert(t.moves).values(move))
            for move in turn.moved:  # the chain's head stays locked from here on
                said = {name: move[name] for name in ("subject", "state", "why", "by")}
                await chain.enter(connection, "cash", now_ms, **said)
        self._chained = True
        for fact in turn.told:
            self._listen(fact)

    # --- people

    async def answer(self, case: str, by: str, granted: bool, reason: str, now_ms: int, *, key: str = "") -> None:
        """A person's approval or refusal of a case that is open, or of all; ``key``: of the API. Raises ``InputError``."""
        _said(by, reason)
        async with self.alone(now_ms) as turn:
            if case != ALL:
                state = (await self._known(turn, case))["state"]
                if state not in t.OPEN_CASES:
                    words = f"{case} is {state}: nothing is taken back"
                    raise InputError(words, reason="settled", field="case", fix="warning cash show " + case)
            row = {"case": case, "by": by.strip(), "at_ms": now_ms, "granted": granted, "reason": reason, "key": key}
            row["turn"] = turn.number
            await turn.connection.execute(sql.insert(t.answers).values(row))
            turn.move(case, "case", "approved" if granted else "declined", reason, _who(by, key))

    async def stop(self, cash: Cash, case: str, by: str, reason: str, now_ms: int, *, key: str = "") -> tuple[str, ...]:
        """Ends a case: no district more is paid. The districts whose money is on its way. Raises ``InputError`` if there are no others."""
        _said(by, reason)
        async with self.alone(now_ms) as turn:
            known = await self._known(turn, case)
            withdrawn = await self.withdraw(turn, case, "activation", reason)
            query = sql.select(t.lines.c.district).join(t.orders, t.orders.c.key == t.lines.c.key)
            mine = (t.lines.c.case == case) & (t.lines.c.phase == "activation") & t.orders.c.state.in_(t.SPENT)
            gone = tuple(sorted(row["district"] for row in await turn.rows(query.where(mine))))
            every = next((one.amounts.keys() for one in cash.triggers if one.id == known["trigger"]), frozenset[str]())
            late = known["state"] == "activated" and not withdrawn and every <= set(gone)
            if known["over"] or late or known["state"] not in (*t.OPEN_CASES, "activated"):
                raise InputError(
                    f"{case} is {known['state']}: nothing is taken back", reason="settled", field="case", fix="warning cash list"
                )
            await self.moved(turn, case, "stopped", reason, by=_who(by, key))
            await self.stand_down(turn, cash, case, reason)
            return gone

    async def halted(self, turn: Turn | None = None) -> bool:
        """Whether a person stopped everything; ``turn``: as it is while nobody can."""
        query = sql.select(t.answers.c.granted).where(t.answers.c.case == ALL).order_by(t.answers.c.id.desc()).limit(1)
        rows = await (turn.rows(query) if turn else self.rows(query))
        return bool(rows) and not rows[0]["granted"]

    async def _known(self, turn: Turn, case: str) -> Row:
        found = await turn.rows(sql.select(t.cases).where(t.cases.c.id == case))
        if not found:
            raise InputError(f"there is no case {case[:200]!r}", reason="case", field="case", fix="warning cash list")
        return found[0]

    # --- what a step consists of

    async def moved(self, turn: Turn, case: str, state: str, why: str, *, by: str = "", over: bool = False) -> None:
        """The case into a state, told once."""
        values: dict[str, Any] = {"state": state, "why": why, "changed_ms": turn.now_ms} | ({"over": True} if over else {})
        same = (t.cases.c.state == state) & (t.cases.c.why == why) & (t.cases.c.over == over)
        if await turn.changed(sql.update(t.cases).where(t.cases.c.id == case, ~same).values(values)):
            turn.move(case, "case", state, why, by)

    async def stand_down(self, turn: Turn, cash: Cash, case: str, why: str) -> None:
        """The payment system is told of which districts the readiness ends, unless it never heard of it. What was activated stays so."""
        await self.withdraw(turn, case, "readiness", why)
        query = sql.select(t.lines.c.district, t.lines.c.phase, t.lines.c.trigger, t.lines.c.alert, t.orders.c.state)
        rows = await turn.rows(query.join(t.orders, t.orders.c.key == t.lines.c.key).where(t.orders.c.case == case))
        done = {
            row["district"] for row in rows if row["phase"] == "stand_down" or (row["phase"] == "activation" and row["state"] in t.SPENT)
        }
        ready = [row for row in rows if row["phase"] == "readiness" and row["state"] != "withdrawn" and row["district"] not in done]
        if ready:
            shares = {row["district"]: Share(0, row["alert"]) for row in sorted(ready, key=lambda row: str(row["district"]))}
            await self.order(turn, cash, ready[0]["trigger"], case, "stand_down", shares, why)

    async def withdraw(self, turn: Turn, case: str, phase: str, why: str) -> bool:
        """What certainly was not sent yet. Whether there was any."""
        free = (t.orders.c.case == case) & (t.orders.c.phase == phase) & (t.orders.c.state == "waiting") & ~t.orders.c.doubtful
        keys = [row["key"] for row in await turn.rows(sql.select(t.orders.c.key).where(free).order_by(t.orders.c.part))]
        if keys:
            values = {"state": "withdrawn", "why": why, "changed_ms": turn.now_ms}
            await turn.connection.execute(sql.update(t.orders).where(t.orders.c.key.in_(keys)).values(values))
        for key in keys:
            turn.move(key, phase, "withdrawn", why)
        return bool(keys)

    async def order(self, turn: Turn, cash: Cash, trigger: str, case: str, phase: str, shares: Mapping[str, Share], why: str) -> None:
        """A new order and its districts; the database refuses one that was in this phase of this case before."""
        before = await turn.rows(sql.select(t.orders.c.part).where(t.orders.c.case == case, t.orders.c.phase == phase))
        part = 1 + max((row["part"] for row in before), default=0)
        key = key_of(self._region, case, phase, part)
        row = {
            "key": key,
            "case": case,
            "phase": phase,
            "part": part,
            "state": "waiting",
            "why": "",
            "body": body_of(self._region, cash, key, case, phase, shares, why, turn.now_ms),
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
        same = {"key": key, "case": case, "phase": phase, "trigger": trigger, "at_ms": turn.now_ms, "turn": turn.number}
        lines = [{**same, "district": district, "amount": one.amount, "alert": one.alert} for district, one in shares.items()]
        await turn.connection.execute(sql.insert(t.lines), lines)
        turn.move(key, phase, "waiting", why)

    # --- what others ask

    async def rows(self, query: Any) -> list[Row]:
        return [row._mapping for row in await self.tables.run(query)]

    async def cases(self, most: int = 1000) -> list[Row]:
        """The newest first."""
        return await self.rows(sql.select(t.cases).order_by(t.cases.c.opened_ms.desc(), t.cases.c.id).limit(most))

    async def case(self, id: str) -> Row | None:
        found = await self.rows(sql.select(t.cases).where(t.cases.c.id == id))
        return found[0] if found else None

    async def orders(self, *cases: str) -> list[Row]:
        return await self.rows(sql.select(t.orders).where(t.orders.c.case.in_(cases)).order_by(t.orders.c.created_ms, t.orders.c.key))

    async def moves(self, subjects: Sequence[str]) -> list[Row]:
        return await self.rows(sql.select(t.moves).where(t.moves.c.subject.in_(subjects)).order_by(t.moves.c.id))

    async def counts(self) -> tuple[int, int]:
        """(cases that wait for a person, orders whose outcome is not known)."""
        waiting = await self.rows(sql.select(t.cases.c.id).where(t.cases.c.state == "approval"))
        unsettled = await self.rows(sql.select(t.orders.c.key).where(t.orders.c.state.in_(("sending", "unknown"))))
        return len(waiting), len(unsettled)


def key_of(region: Region, case: str, phase: str, part: int = 1) -> str:
    """The idempotency key, for ever the same; no dot, which parts what Standard Webhooks signs."""
    return f"{region.id}:{case}:{phase}{f':{part}' if part > 1 else ''}".replace(".", "~")


def body_of(region: Region, cash: Cash, key: str, case: str, phase: str, shares: Mapping[str, Share], why: str, now_ms: int) -> bytes:
    """``type``, ``timestamp``, ``data`` as Standard Webhooks recommends. Made once: every attempt sends these bytes."""
    paid = {district: one.amount for district, one in shares.items() if one.amount}
    data = {
        "idempotency_key": key,
        "case": case,
        "phase": phase,
        "region": region.id,
        "currency": cash.currency,
        "total": sum(paid.values()),
        "lines": [{"district": one, "geocode": _geocode(region, one), "amount": amount} for one, amount in paid.items()],
        "why": why,
    }
    if phase == "stand_down":  # of these alone: what was activated is not taken back
        data["districts"] = [{"district": one, "geocode": _geocode(region, one)} for one in shares]
    at = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps({"type": f"cash.{phase}", "timestamp": at, "data": data}, ensure_ascii=False).encode()


def _geocode(region: Region, district: str) -> str:
    found = region.district_by_id.get(district)  # one that the region has no more was ready once
    return "" if found is None else found.geocode


def _who(by: str, key: str) -> str:
    return f"{by.strip()} ({key})" if key else by.strip()


def _said(by: str, reason: str) -> None:
    if not by.strip() or len(by) > 200:
        raise InputError("an answer needs a name", reason="by", field="by", fix="1 to 200 characters")
    if len(reason) > MOST_REASON:
        raise InputError("the reason is too long", reason="reason", field="reason", fix=f"at most {MOST_REASON} characters")
