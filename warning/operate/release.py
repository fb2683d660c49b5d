"""What the public may see: ``alerts.rules`` is the only gate to the outside, and feeds and documents are outside.

People's answers stand in the deployment's database, in the table ``approvals`` that the dispatcher owns; it is only read here, and only
if the region wants approval at all. Without a database nothing is released that needs a person.
"""

from __future__ import annotations

import logging

from sqlalchemy import BigInteger, Boolean, Column, MetaData, String, Table, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from warning.alerts.rules import HELD, Approval, Decision, may_leave
from warning.deployment import Deployment
from warning.model import AlertEvent, Level
from warning.region import Region

# A document that ran out may be read for ever, if it was ever allowed to be.
WITHHELD = frozenset((*HELD, "called_off", "declined", "other_region", "replay_actual", "embedded_actual", "status_mismatch"))
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
        self._engine = create_async_engine(deployment.database) if region.alert.approve_from is not None else None

    async def decision(self) -> Decision:
        approvals: tuple[Approval, ...] = ()
        if self._engine is not None:
            try:
                async with self._engine.connect() as connection:
                    found = (await connection.execute(select(_approvals))).all()
                approvals = tuple(Approval(row.chain, Level(row.level), row.by, row.at_ms, row.granted) for row in found)
            except SQLAlchemyError as error:
                log.error("approvals cannot be read, so nothing that needs one is released: %s", error)
        return Decision(approvals=approvals, replay=self._deployment.replay, embedded=self._deployment.embedded)

    def withheld(self, event: AlertEvent, decision: Decision, now_ms: int) -> str:
        """Why the public may not see this revision, in words; "" if it may."""
        verdict = may_leave(event, None, self._region, decision, min(now_ms, event.alert.expires_ms - 1))
        return verdict.words if verdict.reason in WITHHELD else ""

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
