"""What the public may see: ``alerts.rules`` is the only gate to the outside, and feeds and documents are outside.

People's answers stand in the deployment's database (``proof.decisions``; those of before 0.7 in the ledger's table ``approvals``); they
are only read here. Without a database nothing is released that needs a person, and what was known to be called off stays so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Table, select

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import HELD, Approval, CallOff, Decision, called_off, may_leave
from warning.database import Tables
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.model import Alert, AlertEvent, Level
from warning.operate.view import View, highest
from warning.proof.decisions import Decisions
from warning.region import Region

# A document that ran out may be read for ever, if it was ever allowed to be.
WITHHELD = frozenset((*HELD, "called_off", "declined", "other_region", "replay_actual", "embedded_actual", "status_mismatch"))
SOON_S = 1.0
_approvals = Table(
    "approvals",
    MetaData(),
    Column("chain", String),
    Column("level", String),
    Column("by", String),
    Column("at_ms", BigInteger),
    Column("granted", Boolean),
)

log = logging.getLogger(__name__)


class Gate:
    """Asks the rules for the public. ``decision`` reads what people answered, once for each answer of the API."""

    def __init__(self, region: Region, deployment: Deployment) -> None:
        self._region, self._deployment = region, deployment
        self._decisions = Decisions(deployment.database, replay=deployment.replay)
        self._older = Tables(deployment.database, MetaData(), "approvals")
        self._call_offs: tuple[CallOff, ...] = ()
        self._newest = Decision(replay=deployment.replay, embedded=deployment.embedded)

    async def decision(self) -> Decision:
        approvals: tuple[Approval, ...] = ()
        asked: Mapping[str, tuple[tuple[Level, int], ...]] = {}
        try:
            standing = await self._decisions.standing(time.time_ns() // 1_000_000)
            approvals, self._call_offs = (*standing.approvals, *await self._answers_of_before()), standing.call_offs
            asked = standing.asked
        except Unavailable as error:
            log.error("decisions cannot be read, so nothing that needs one is released: %s", error)
        where = self._deployment
        return Decision(approvals=approvals, replay=where.replay, embedded=where.embedded, call_offs=self._call_offs, asked=asked)

    async def _answers_of_before(self) -> tuple[Approval, ...]:
        if self._region.alert.approve_from is None:
            return ()
        try:
            found = await self._older.run(select(_approvals))
        except Unavailable as error:
            log.debug("no answers of before 0.7: %s", error)  # the dispatcher makes that table; a database that is away said so above
            return ()
        return tuple(Approval(row.chain, Level(row.level), row.by, row.at_ms, row.granted) for row in found)

    def withheld(self, event: AlertEvent, decision: Decision, now_ms: int) -> str:
        """Why the public may not see this revision, in words; "" if it may."""
        verdict = may_leave(event, None, self._region, decision, min(now_ms, event.alert.expires_ms - 1))
        return verdict.words if verdict.reason in WITHHELD else ""

    def holding(self, view: View, decision: Decision, now_ms: int) -> list[AlertEvent]:
        """What holds now; not an automatic chain in whose place a person speaks, if people let that out."""
        return [event for event in view.holding(now_ms) if not self._replaced(view, event.alert, decision, now_ms)]

    async def active(self, view: View, now_ms: int) -> dict[str, AlertEvent]:
        """zone -> the alert that holds there now; what waits for a release only where nothing else holds."""
        try:
            async with asyncio.timeout(SOON_S):  # the page is there in a flood, whatever the database does
                self._newest = await self.decision()
        except TimeoutError:
            log.error("the database of decisions is slow: what holds is shown by what was decided before")
        decision = self._newest
        found = self.holding(view, decision, now_ms)
        waits = highest(found)
        return waits | highest(event for event in found if not self.withheld(event, decision, now_ms))

    def _replaced(self, view: View, alert: Alert, decision: Decision, now_ms: int) -> bool:
        chain = chain_of(alert.identifier)
        if not any(off.chain == chain for off in decision.call_offs):  # nobody decided it here: an imported log, a database that is away
            return view.replaced(alert, now_ms)
        return called_off(alert, self._region.alert, decision, now_ms) is not None

    async def close(self) -> None:
        await self._decisions.close()
        await self._older.close()
