"""The rules' steps in the ledger of anticipatory cash: each in one transaction, which nobody else's runs beside.

A flood has one case of a trigger. Districts that come up to readiness or activation later join it: an order of their own, asked for anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from warning.alerts.lifecycle import chain_of
from warning.config_cash import Cash, Trigger
from warning.dispatch.cash_rules import Answer, Budget, Case, Finding, Step, step
from warning.proof import cash_tables as t
from warning.proof.cash_ledger import CashLedger, Row, Share, Turn

Ask = Callable[[Any], Awaitable[list[Row]]]


@dataclass(frozen=True, slots=True)
class _Next:
    case: Case | None
    found: Finding
    step: Step | None


class Book(CashLedger):
    """``url``: ``Deployment.database``. Raises ``Unavailable`` when that is away: then nothing has happened."""

    async def dated(self, now_ms: int) -> None:
        """An answer of the future was given now: the clock of whoever took it is ahead, and a yes would hold for longer than it may. What
        was said when stands in ``moves`` and the chain as it was told."""
        ahead = t.answers.c.at_ms > now_ms
        if await self.rows(sql.select(t.answers.c.id).where(ahead).limit(1)):
            async with self.alone(now_ms) as turn:
                await turn.changed(sql.update(t.answers).where(ahead).values(at_ms=now_ms))

    async def advance(self, cash: Cash, trigger: Trigger, found: Finding, now_ms: int) -> Step | None:
        """The next step of a trigger, if it moved anything; None: all is as it should be. To look costs no transaction of its own."""
        if await self.halted() or (await self._next(self.rows, cash, trigger, found, now_ms)).step is None:
            return None
        async with self.alone(now_ms) as turn:
            following = await self._next(turn.rows, cash, trigger, found, now_ms)
            if following.step is not None and not await self.halted(turn):
                await self._take(turn, cash, trigger, following.case, following.found, following.step)
        return following.step if turn.moved else None

    async def _next(self, ask: Ask, cash: Cash, trigger: Trigger, found: Finding, now_ms: int) -> _Next:
        """Where the trigger stands by what ``ask`` reads, and what follows from it."""
        current = await ask(sql.select(t.cases).where(t.cases.c.trigger == trigger.id, ~t.cases.c.over).order_by(t.cases.c.opened_ms))
        id = current[0]["id"] if current else ""
        if found.touched:
            found = found.without(await _spent(ask, trigger.id, id))
        if not current:
            return _Next(None, found, step(trigger, None, found, (), Budget(0, 0, {}), now_ms))
        lines = await ask(sql.select(t.lines).where(t.lines.c.case == id))
        answers = [_answer(row) for row in await ask(sql.select(t.answers).where(t.answers.c.case == id))]
        case = _case(current[0], lines)
        return _Next(case, found, step(trigger, case, found, answers, await _budget(ask, cash, trigger, id, now_ms), now_ms))

    async def _take(self, turn: Turn, cash: Cash, trigger: Trigger, case: Case | None, found: Finding, step: Step) -> None:
        shares = {district: Share(amount, found.alert_of(district)) for district, amount in step.amounts.items()}
        if case is None:
            id = await self._open(turn, trigger, found, step.why)
            await self.order(turn, cash, trigger.id, id, "readiness", shares, step.why)
        elif step.to == "joined":
            await self._join(turn, trigger, case, step.why)
            await self.order(turn, cash, trigger.id, case.id, "readiness", shares, step.why)
        elif step.to == "over":
            await self._over(turn, cash, case)
        else:
            await self.moved(turn, case.id, step.to, step.why, over=step.to == "cancelled")
            if step.to in t.ENDED_CASES:
                await self.stand_down(turn, cash, case.id, step.why)
            elif shares:
                await self.order(turn, cash, trigger.id, case.id, "activation", shares, step.why)

    async def _open(self, turn: Turn, trigger: Trigger, found: Finding, why: str) -> str:
        """Another case of an alert where the first was cancelled, because people took their word back, has another number."""
        alert = next(iter(found.readiness or found.activation)).alert
        cases = await turn.rows(sql.select(t.cases.c.alert).where(t.cases.c.trigger == trigger.id))
        before = [row for row in cases if chain_of(row["alert"]) == chain_of(alert)]
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
        return str(row["id"])

    async def _join(self, turn: Turn, trigger: Trigger, case: Case, why: str) -> None:
        """The case lasts as long as the readiness of its last districts; one that had run out goes on."""
        until_ms = turn.now_ms + round(trigger.readiness_for_s * 1000)
        await turn.changed(sql.update(t.cases).where(t.cases.c.id == case.id).values(until_ms=until_ms, changed_ms=turn.now_ms))
        if case.state == "approval":  # who is asked is told about whom
            await self.moved(turn, case.id, "approval", f"{case.why}; {why}")
        if case.state == "expired":
            await self.moved(turn, case.id, "activated" if case.ordered else "readiness", why)

    async def _over(self, turn: Turn, cash: Cash, case: Case) -> None:
        """The flood has passed. What was not taken yet is withdrawn; what was is not taken back."""
        withdrawn = await self.withdraw(turn, case.id, "activation", "the alert ended before it was taken")
        mine = (t.orders.c.case == case.id) & (t.orders.c.phase == "activation")
        left = await turn.rows(sql.select(t.orders.c.key).where(mine, t.orders.c.state.in_(t.SPENT)))
        if case.state in t.ENDED_CASES:
            await turn.changed(sql.update(t.cases).where(t.cases.c.id == case.id).values(over=True, changed_ms=turn.now_ms))
            return
        state, why = ("activated", "the alert has ended: nothing is taken back")
        if withdrawn and not left:
            state, why = ("cancelled", "the alert ended before the order was taken")
        await self.moved(turn, case.id, state, why, over=True)
        await self.stand_down(turn, cash, case.id, why)


async def _spent(ask: Ask, trigger: str, case: str) -> set[tuple[str, str]]:
    """What earlier cases had, and no other gets: (chain, district), and (chain, "") of an alert that opened one."""
    earlier = (t.cases.c.trigger == trigger) & (t.cases.c.id != case) & (t.cases.c.state != "cancelled")
    lines = await ask(
        sql.select(t.lines.c.alert, t.lines.c.district).distinct().join(t.cases, t.cases.c.id == t.lines.c.case).where(earlier)
    )
    opened = await ask(sql.select(t.cases.c.alert).where(earlier))
    return {(chain_of(row["alert"]), row["district"]) for row in lines} | {(chain_of(row["alert"]), "") for row in opened}


async def _budget(ask: Ask, cash: Cash, trigger: Trigger, case: str, now_ms: int) -> Budget:
    """What this period leaves. Floods count, not orders: a case that has begun to pay goes on."""
    since_ms = now_ms - round(cash.period_s * 1000)
    spent = (t.orders.c.state.in_(t.SPENT)) & (t.orders.c.phase == "activation") & (t.orders.c.created_ms > since_ms)
    rows = await ask(sql.select(t.lines).join(t.orders, t.orders.c.key == t.lines.c.key).where(spent))
    mine = [row for row in rows if row["trigger"] == trigger.id]
    left = min(cash.cap - sum(row["amount"] for row in rows), trigger.cap - sum(row["amount"] for row in mine))
    floods = {row["case"] for row in mine} - {case}
    used: dict[str, int] = {}
    for row in rows:
        used[row["district"]] = used.get(row["district"], 0) + row["amount"]
    return Budget(0 if len(floods) >= trigger.most else left, cash.cap_per_district, used)


def _case(row: Row, lines: list[Row]) -> Case:
    readied = {line["district"]: line["at_ms"] for line in lines if line["phase"] == "readiness"}
    activated = [line for line in lines if line["phase"] == "activation"]
    joined = {line["district"]: line["turn"] for line in lines if line["phase"] == "readiness"}
    last = max((line["turn"] for line in activated), default=0)
    ordered = frozenset(line["district"] for line in activated)
    return Case(row["id"], row["state"], row["why"], row["until_ms"], readied, ordered, joined, last)


def _answer(row: Row) -> Answer:
    return Answer(row["by"], row["at_ms"], row["granted"], row["key"], row["turn"])
