"""Warnings that nobody at all is told of: a zone without contacts, or all who should hear cannot be reached. Operators hear of it at once.

Told is who has a message on its way or got one; an agency that subscribed to everything does not count, or one far away would hide that no
village hears. What people meant to keep quiet (a silence, a call-off, an exercise that reaches no live contact) is no fault, nor is a class
below what every contact of the zone asked for. Looked at every few seconds, in the ledger (``untold``), so the API shows the same.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from sqlalchemy import Select, delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import tables as t
from warning.dispatch.escalated import OVER, UNTOLD
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import DECODER, Planner
from warning.facts import AlertsUntold, Listener
from warning.model import AlertEvent, DeliveryState
from warning.people.directory import Directory
from warning.people.subscriptions import CONTACT as SUBSCRIBED

log = logging.getLogger(__name__)

GIVEN_UP = (DeliveryState.REFUSED.value, DeliveryState.FAILED.value, DeliveryState.OVERTAKEN.value)
MEANT = ("silenced", "called_off", "overtaken", "declined", "live_contact", "dialable_number", "routable_address", "exercise_broadcast")


@dataclass
class Untold:
    """``tell``: operators, of all that nobody is told of, at each look; it takes no time."""

    planner: Planner
    ledger: Ledger
    directory: Directory
    listen: Listener
    tell: Callable[[Collection[AlertEvent]], Awaitable[None]] | None = None
    _said: set[str] = field(default_factory=set)

    async def look(self, now_ms: int) -> frozenset[str]:
        """Identifiers of what nobody is told of now. Raises Unavailable, DBAPIError."""
        found: dict[str, AlertEvent] = {}
        async with self.ledger.reading() as connection:
            rows = (await connection.execute(_candidates(now_ms, self.planner.withheld()))).all()
        for row in rows:
            event = DECODER.decode(row.value)
            if self._public(event, now_ms) and (row.tried or not await self._wanted(event)):
                found[event.alert.identifier] = event
        async with self.ledger.writing() as connection:
            await _enter(connection, frozenset(found), now_ms)
        for identifier, event in found.items():
            if identifier not in self._said:
                log.critical("%s (%s): NOBODY is told of it", identifier, event.alert.level.value)
        self._said = set(found)
        self.listen(AlertsUntold(len(found)))
        if self.tell is not None:
            await self.tell(list(found.values()))
        return frozenset(found)

    def _public(self, event: AlertEvent, now_ms: int) -> bool:
        """What renews it may hold it in force beyond its end."""
        at_ms = min(now_ms, event.alert.expires_ms - 1)
        return self.planner.may(event, None, at_ms, knows=True, stands_in=True).allowed

    async def _wanted(self, event: AlertEvent) -> bool:
        """Whether there is anybody who chose to hear of higher classes alone."""
        zone = self.planner.region.zone_by_id.get(event.alert.zone)
        return zone is not None and await self.directory.anybody(zone)


def _candidates(now_ms: int, withheld: frozenset[str]) -> Select[tuple[bytes, bool]]:
    """Of each chain the newest that contacts hear of, if it is planned and nothing is on its way to anybody. ``tried``: something was."""
    a, d, newer = t.alerts.c, t.deliveries.c, t.alerts.alias("newer")
    later = exists().where(newer.c.chain == a.chain, newer.c.revision > a.revision, newer.c.kind.notin_(UNTOLD))
    its = exists().where(d.chain == a.chain, d.revision >= a.revision, ~d.contact.startswith(SUBSCRIBED, autoescape=True))
    query = select(a.value, its.correlate(t.alerts).label("tried"))
    chain = newer.c.chain.concat("")  # else SQLite goes through all chains, in the order of their index, to group them
    alive = (
        select(chain.label("chain"), func.max(newer.c.revision).label("upto")).where(newer.c.expires_ms > now_ms).group_by(chain).subquery()
    )
    query = query.join(alive, (alive.c.chain == a.chain) & (a.revision <= alive.c.upto))  # it, or what renews it, holds
    over = exists().where(newer.c.chain == a.chain, newer.c.revision > a.revision, newer.c.kind.in_(OVER))
    query = query.where(~over, a.kind.notin_((*UNTOLD, *OVER)), a.identifier.notin_(withheld))
    query = query.where(~later.where(newer.c.identifier.notin_(withheld)), ~exists().where(t.plans.c.chain == a.chain))
    query = query.where(~its.where(d.state.notin_(GIVEN_UP)).correlate(t.alerts))
    refused = d.state.in_((DeliveryState.REFUSED.value, ""))  # by its chain: for one state SQLite goes through all refusals there ever were
    return query.where(~its.where(refused, d.reason.in_(MEANT)).correlate(t.alerts))


async def _enter(connection: AsyncConnection, found: frozenset[str], now_ms: int) -> None:
    known = set((await connection.execute(select(t.untold.c.alert))).scalars())
    if gone := known - found:
        await connection.execute(delete(t.untold).where(t.untold.c.alert.in_(gone)))
    if news := found - known:
        await connection.execute(insert(t.untold), [{"alert": one, "since_ms": now_ms} for one in sorted(news)])
