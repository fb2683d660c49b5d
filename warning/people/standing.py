"""Which warnings are in force where, of those that people were told: read from the ledger's tables, which the dispatcher owns.

What waits for a person, or was never sent to anybody, is not in any answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sql

from warning.database import Tables
from warning.model import AlertEvent, EventKind

MOST_ZONES = 200
_LONGEST_MS = 2 * 86_400_000  # no revision lives longer

_alerts = sql.table("alerts", *map(sql.column, ("identifier", "chain", "zone", "revision", "kind", "sent_ms", "expires_ms", "value")))
_deliveries = sql.table("deliveries", *map(sql.column, ("alert", "attempts")))


class Standing:
    """``url``: of the ledger. Raises Unavailable when the database is away."""

    def __init__(self, url: str) -> None:
        self._tables = Tables(url, sql.MetaData(), "warnings in force")

    async def close(self) -> None:
        await self._tables.close()

    async def of(self, zones: Sequence[str], now_ms: int) -> list[AlertEvent]:
        """What was last told of each chain of these zones, if it is in force: the highest class first, of one class the newest."""
        if not zones:
            return []
        told = sql.exists().where(_deliveries.c.alert == _alerts.c.identifier, _deliveries.c.attempts > 0).label("told")
        query = sql.select(_alerts.c.chain, _alerts.c.kind, _alerts.c.expires_ms, _alerts.c.value, told)
        query = query.where(_alerts.c.zone.in_(list(zones)[:MOST_ZONES]), _alerts.c.sent_ms > now_ms - _LONGEST_MS)
        newest: dict[str, tuple[str, int]] = {}
        holds: dict[str, bytes] = {}
        for row in await self._tables.run(query.order_by(_alerts.c.chain, _alerts.c.revision)):
            newest[row.chain] = (row.kind, row.expires_ms)
            if row.told:
                holds[row.chain] = bytes(row.value)
        over = (EventKind.CLEAR.value, EventKind.EXPIRE.value)
        found = []
        for chain, value in holds.items():
            kind, expires_ms = newest[chain]
            event = msgspec.json.decode(value, type=AlertEvent)
            if kind not in over and event.alert.kind is not EventKind.CLEAR and expires_ms > now_ms:
                found.append(event)
        return sorted(found, key=lambda event: (-event.alert.level.rank, -event.alert.sent_ms, event.alert.zone))
