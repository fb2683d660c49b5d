"""Anticipatory cash at work: once a second the rules are asked, then what is due is sent, or asked for.

It runs in the dispatcher, reads the ledger's ``alerts``, and is off without ``cash.yaml``, in a replay, on the embedded broker and where
the region is not Actual. It never holds a warning up: what fails here is told and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec
import sqlalchemy as sql

from warning.alerts.rules import Decision
from warning.config_cash import Cash
from warning.database import Tables
from warning.deployment import Deployment
from warning.dispatch.cash_book import Book
from warning.dispatch.cash_payer import TIMEOUT_S, Payer, Result
from warning.dispatch.cash_rules import finding, in_force
from warning.errors import Unavailable
from warning.facts import CashWaiting, Listener
from warning.model import AlertEvent, Status
from warning.proof import cash_tables as t
from warning.proof.cash_ledger import Row
from warning.region import Region

log = logging.getLogger(__name__)

BEAT_S = 1.0
LEASE_MS = round(3 * TIMEOUT_S * 1000)  # whoever did not answer for so long has died, or may wake up: its outcome is unknown
WAITS_S = (5.0, 30.0, 120.0, 600.0)
Announce = Callable[[str, str, Mapping[str, object]], Awaitable[None]]  # name, kind, data: to the operators
Waits = Callable[[Mapping[str, Mapping[str, object]]], Awaitable[None]]  # case -> what was announced of it, of all that wait now
_EVENT = msgspec.json.Decoder(AlertEvent)
_alerts = sql.table("alerts", *map(sql.column, ("identifier", "chain", "revision", "expires_ms", "value")))


def runs(region: Region, deployment: Deployment) -> bool:
    """An exercise never pays."""
    return region.status is Status.ACTUAL and not deployment.replay and not deployment.embedded


class CashDesk:
    """One at work in each dispatcher; several do no harm. ``decision``: what people said of alerts; ``now_ms``: the wall clock."""

    def __init__(
        self,
        cash: Cash,
        region: Region,
        deployment: Deployment,
        decision: Callable[[], Decision],
        now_ms: Callable[[], int],
        listen: Listener,
        announce: Announce | None = None,
        waits: Waits | None = None,
    ) -> None:
        self._cash, self._region, self._decision, self._now_ms, self._listen = cash, region, decision, now_ms, listen
        self._runs = runs(region, deployment)
        self.book = Book(deployment.database, region, listen)
        self._payer = Payer(cash, deployment)
        self._ledger = Tables(deployment.database, sql.MetaData(), "alerts")
        self._events: dict[str, AlertEvent] = {}
        self._owner = secrets.token_hex(8)
        self._announce, self._waits, self._announced = announce, waits, set[str]()

    async def close(self) -> None:
        await self._payer.close()
        await self.book.close()
        await self._ledger.close()

    async def run(self) -> None:
        """For ever; a failure is told and tried again."""
        if not self._runs:
            log.warning("cash.yaml is there, but this deployment never pays: the region is not Actual, or it is a replay")
            await asyncio.Event().wait()
        while True:
            try:
                await self.beat()
            except Unavailable as error:
                log.error("cash: %s", error)
            except Exception:  # a bug in here must not end the dispatcher: people are told first
                log.exception("cash: a beat failed")
            await asyncio.sleep(BEAT_S)

    async def beat(self) -> None:
        """One look at the alerts, and one at the orders."""
        if not self._runs:
            return
        now_ms = self._now_ms()
        alerts = in_force(await self._newest(now_ms), self._region, self._decision(), now_ms)
        await self.book.dated(now_ms)
        moves = set[str]()
        for trigger in self._cash.triggers:
            taken = await self.book.advance(self._cash, trigger, finding(trigger, alerts, self._region, now_ms), now_ms)
            if taken is not None:
                moves.add(trigger.id)
                log.warning("cash %s: %s (%s)", trigger.id, taken.to, taken.why)
        if not await self.book.halted():
            for order in await self._due(now_ms):
                await self._settle(order, self._now_ms())
        waiting, unsettled = await self.book.counts()
        self._listen(CashWaiting(waiting, unsettled))
        if self._announce is not None and (waiting or self._waits is not None):
            await self._ask_people(self._announce, moves, now_ms)

    async def _ask_people(self, announce: Announce, moves: Collection[str], now_ms: int) -> None:
        """Operators hear of each case that waits, at once and after 1, 2, 4 ... hours (a relay may have been away), and again after a
        restart: under one name, so that webhooks know it. Not of one that ``moves``: approved ahead, or for no approval, it goes on.
        ``waits`` tells of the end."""
        asked = dict[str, Mapping[str, object]]()
        for case in await self.book.rows(sql.select(t.cases).where(t.cases.c.state == "approval", ~t.cases.c.over)):
            times = max(0, (now_ms - case["changed_ms"]) // 3_600_000).bit_length()
            once = f"{case['id']}:{case['changed_ms']}" + (f":{times}" if times else "")
            if case["trigger"] in moves:
                continue
            answer = f"warning cash approve --region {self._region.id} '{case['id']}' --by NAME, or POST /v1/cash/{case['id']}/answer"
            asked[case["id"]] = said = {"case": case["id"], "trigger": case["trigger"], "why": case["why"], "answer": answer}
            if once not in self._announced:
                await announce(once, "cash.waiting", said)
                self._announced.add(once)
        if self._waits is not None:
            await self._waits(asked)

    async def _newest(self, now_ms: int) -> list[AlertEvent]:
        """The newest revision of each chain of which any is unexpired: a Cancel or EXPIRE stands in the place of what it ends."""
        newest = sql.func.max(_alerts.c.revision).over(partition_by=_alerts.c.chain).label("newest")
        alive = sql.select(_alerts.c.chain).where(_alerts.c.expires_ms > now_ms)
        ranked = sql.select(_alerts.c.identifier, _alerts.c.revision, newest).where(_alerts.c.chain.in_(alive)).subquery()
        rows = await self._ledger.run(sql.select(ranked.c.identifier).where(ranked.c.revision == ranked.c.newest))
        wanted = [row.identifier for row in rows]
        for identifier in set(wanted) - self._events.keys():
            found = await self._ledger.run(sql.select(_alerts.c.value).where(_alerts.c.identifier == identifier))
            self._events[identifier] = _EVENT.decode(bytes(found[0].value))
        self._events = {identifier: self._events[identifier] for identifier in wanted}
        return list(self._events.values())

    # --- orders

    async def _due(self, now_ms: int) -> list[Row]:
        """What may be sent or asked for now. An activation waits until the readiness from before it is settled."""
        ready, mine = t.orders.alias("ready"), t.orders.c
        before = (ready.c.case == mine.case) & (ready.c.phase == "readiness") & (ready.c.created_ms <= mine.created_ms)
        first = (mine.phase == "readiness") | ~sql.exists().where(before, ready.c.state.in_(t.UNSETTLED))
        timed = t.orders.c.state.in_(("waiting", "unknown")) & (t.orders.c.next_ms <= now_ms)
        left = (t.orders.c.state == "sending") & (t.orders.c.lease_ms < now_ms)
        query = sql.select(t.orders).where(first, timed | left).order_by(t.orders.c.created_ms)
        return [row._mapping for row in await self.book.tables.run(query)]

    async def _settle(self, order: Row, now_ms: int) -> None:
        if order["state"] == "sending":
            await self._to(order, Result("unknown", "who sent it did not say what became of it"), now_ms, doubtful=True)
        elif order["state"] == "unknown":
            await self._to(order, await self._payer.ask(order["key"]), self._now_ms())
        elif order["until_ms"] <= now_ms and not order["doubtful"]:
            await self._to(order, Result("lapsed", "the payment system could not be reached in time"), now_ms)
        elif (claimed := await self._claim(order, now_ms)) is not None:
            result = await self._payer.send(order["key"], bytes(order["body"]))
            await self._to(claimed, result, self._now_ms(), doubtful=result.state == "unknown")

    async def _claim(self, order: Row, now_ms: int) -> Row | None:
        """The row is SENDING before a byte is sent; None: another was faster, or it was withdrawn, or all was stopped a moment ago."""
        values = {"state": "sending", "owner": self._owner, "lease_ms": now_ms + LEASE_MS, "attempts": order["attempts"] + 1}
        async with self.book.alone(now_ms) as turn:
            if await self.book.halted(turn) or not await turn.changed(
                sql.update(t.orders).where(*_same(order)).values(**values, changed_ms=now_ms)
            ):
                return None
            turn.move(order["key"], order["phase"], "sending", f"attempt {order['attempts'] + 1}")
        return {**order, **values}

    async def _to(self, order: Row, result: Result, now_ms: int, *, doubtful: bool = False) -> None:
        """Closes an attempt or a question, if the order still is as it was when it began."""
        wait_s = max(result.retry_after_s, WAITS_S[min(order["attempts"], len(WAITS_S)) - 1] if order["attempts"] else 0.0)
        asked_now = result.state == "waiting" and order["state"] == "unknown"  # it never arrived: at once
        next_ms = now_ms if asked_now or (order["state"] == "sending" and result.state == "unknown") else now_ms + round(wait_s * 1000)
        values: Mapping[str, object] = {
            "state": result.state,
            "why": result.why,
            "next_ms": next_ms,
            "doubtful": bool(order["doubtful"]) or doubtful,
            "changed_ms": now_ms,
        }
        async with self.book.alone(now_ms) as turn:
            changed = await turn.changed(sql.update(t.orders).where(*_same(order)).values(values))
            if changed and (result.state != order["state"] or result.why != order["why"]):
                turn.move(order["key"], order["phase"], result.state, result.why)
        if result.state != "confirmed":
            log.error("cash order %s: %s (%s)", order["key"], result.state, result.why)


def _same(order: Row) -> tuple[sql.ColumnElement[bool], ...]:
    c = t.orders.c
    return (c.key == order["key"], c.state == order["state"], c.attempts == order["attempts"], c.owner == order["owner"])
