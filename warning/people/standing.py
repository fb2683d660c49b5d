"""Which warnings are in force where, and up to when that is known: read from the ledger's tables, which the dispatcher owns.

Whoever is told of them: a zone in which nobody has a phone has its warnings, too. What waits for a person's release, was declined, or was
called off is in no answer: ``alerts.rules`` is asked as for a public feed.

**No warning is said only of what is followed.** The dispatcher writes down when it had read the log of alerts to its end, and how new the
newest hazards are that workers published (each zone every ten minutes); beyond the limits here it is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import shapely
import sqlalchemy as sql

from warning.alerts.rules import Approval, Decision, called_off, may_leave
from warning.database import Tables
from warning.deployment import Deployment
from warning.model import AlertEvent, EventKind, Level
from warning.proof.decisions import Decisions
from warning.region import Contact, Region, Zone

MOST_ZONES = 200
BEHIND_MS = 60_000  # the log of alerts was read to its end so long ago: what came since is not known
SILENT_MS = 25 * 60_000  # no hazard of a partition for so long: nobody judges its gauges
_LONGEST_MS = 2 * 86_400_000  # no revision lives longer
_OVER = (EventKind.CLEAR, EventKind.EXPIRE)

_alerts = sql.table("alerts", *map(sql.column, ("identifier", "chain", "zone", "revision", "sent_ms", "value")))
_pulses = sql.table("pulses", *map(sql.column, ("name", "at_ms")))
_approvals = sql.table("approvals", *map(sql.column, ("chain", "level", "by", "at_ms", "granted")))


@dataclass(frozen=True, slots=True)
class InForce:
    """``events``: the highest class first, of one class the newest. ``known``: whether that is all is known; ``since_ms``: until when
    it was, where it is not; None: it never was."""

    events: tuple[AlertEvent, ...]
    known: bool = True
    since_ms: int | None = None


class Standing:
    """Of one deployment. Raises Unavailable when the database is away."""

    def __init__(self, region: Region, deployment: Deployment) -> None:
        self._region, self._deployment = region, deployment
        self._tables = Tables(deployment.database, sql.MetaData(), "warnings in force")
        self._decisions = Decisions(deployment.database, replay=deployment.replay)
        self._there = False

    async def close(self) -> None:
        await self._tables.close()
        await self._decisions.close()

    async def of(self, zones: Sequence[str], now_ms: int) -> InForce:
        """What holds now in these zones, of those that the region has, and whether that is all."""
        some = [zone for zone in dict.fromkeys(zones) if zone in self._region.zone_by_id]
        if len(some) > MOST_ZONES:
            raise ValueError(f"{len(some)} zones at once, at most {MOST_ZONES}")
        if not await self._ledger():
            return InForce((), known=False)
        since_ms = await self._since(some, now_ms)  # before the alerts: what is entered meanwhile may be told and need not be
        events = await self._events(some, now_ms) if some else []
        return InForce(tuple(events), since_ms is None, since_ms or None)

    async def _ledger(self) -> bool:
        """Whether a dispatcher of this version has ever made its tables."""
        if not self._there:
            async with self._tables.together() as connection:
                self._there = await connection.run_sync(lambda plain: sql.inspect(plain).has_table(_pulses.name))
        return self._there

    async def _since(self, zones: Sequence[str], now_ms: int) -> int | None:
        """None: all is followed. 0: it never was."""
        pulses = {row.name: int(row.at_ms) for row in await self._tables.run(sql.select(_pulses))}
        region = self._region
        partitions = {region.partition_of(region.zone_by_id[zone].station) for zone in zones}
        limits = {"alerts": BEHIND_MS, **{f"hazards {number}": SILENT_MS for number in partitions}}
        ages = {name: now_ms - pulses.get(name, 0) for name in limits}
        late = [now_ms - max(0, ages[name]) for name, limit in limits.items() if not -BEHIND_MS <= ages[name] <= limit]  # of one ahead, too
        return min(late, default=None)

    async def _events(self, zones: Sequence[str], now_ms: int) -> list[AlertEvent]:
        decision = await self._decision(now_ms)
        query = sql.select(_alerts.c.chain, _alerts.c.value).where(_alerts.c.zone.in_(zones), _alerts.c.sent_ms > now_ms - _LONGEST_MS)
        rows = await self._tables.run(query.order_by(_alerts.c.chain, _alerts.c.revision.desc()))
        settled, found = set[str](), list[AlertEvent]()
        for row in rows:  # of each chain the newest first
            if row.chain in settled:
                continue
            event = msgspec.json.decode(bytes(row.value), type=AlertEvent)
            says = self._says(event, decision, now_ms)
            if says is not None:
                settled.add(row.chain)
                found += [event] if says else []
        return sorted(found, key=lambda event: (-event.alert.level.rank, -event.alert.sent_ms, event.alert.zone))

    def _says(self, event: AlertEvent, decision: Decision, now_ms: int) -> bool | None:
        """Whether its chain holds by this revision; None: the public may not see it, and what came before it counts."""
        if event.alert.kind in _OVER or now_ms >= event.alert.expires_ms:
            return False
        if called_off(event.alert, self._region.alert, decision, now_ms) is not None:
            return None
        return True if may_leave(event, None, self._region, decision, now_ms).allowed else None

    async def _decision(self, now_ms: int) -> Decision:
        where, standing = self._deployment, await self._decisions.standing(now_ms)
        older: list[Approval] = []
        if self._region.alert.approve_from is not None:
            rows = await self._tables.run(sql.select(_approvals))  # of before 0.7
            older = [Approval(row.chain, Level(row.level), row.by, row.at_ms, row.granted) for row in rows]
        approvals = (*older, *standing.approvals)
        return Decision(approvals, (), where.replay, where.embedded, call_offs=standing.call_offs, asked=standing.asked)


def zones_of(region: Region, contacts: Iterable[Contact]) -> tuple[str, ...]:
    """As ``directory`` finds whom to tell: of their districts, and whose area they live in."""
    people = list(contacts)
    districts = {district for one in people for district in one.districts}
    here = [(one.lat, one.lon) for one in people if one.lat is not None and one.lon is not None]

    def around(zone: Zone) -> bool:
        if zone.polygon is None or not here or not districts.isdisjoint(zone.districts):
            return not districts.isdisjoint(zone.districts)
        area = shapely.Polygon(zone.polygon)
        return any(shapely.intersects_xy(area, *place) for place in here)

    return tuple(zone.id for zone in region.zones if around(zone))
