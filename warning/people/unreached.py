"""Who has not been reached by a warning: no receipt of any message, and no answer. Read from the ledger, for commands and the API.

Of a chain, the newest revision that contacts heard of counts. Machines (webhook, broadcast) are not people, but who has nothing else and
whom they did not reach is here. So is who has no way at all: NO_WAY stands for a channel there. The tables are the dispatcher's
(``dispatch.tables``); here they are only read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from warning.database import open_engine
from warning.errors import Unavailable
from warning.model import DeliveryState, EventKind
from warning.people.acknowledged import Acknowledgements

MACHINES = ("webhook", "broadcast")
NO_WAY = "none"  # the channel of who has none
NO_ADDRESS, NO_ROUTE, NO_CONSENT, ENDPOINT_OFF = "no_address", "no_route", "no_consent", "endpoint_off"
UNREACHABLE = (NO_ADDRESS, NO_ROUTE, NO_CONSENT, ENDPOINT_OFF, "exercise_number")  # reasons of REFUSED after which somebody else must hear
STEPS = ("channel", "office", "control_room", "nobody_left", "answered", "own_channels", "unsubscribed")  # of an escalation
NO_WORRY = ("own_channels", "unsubscribed")  # steps of an escalation that had nothing to do
MOST = 500
WITHIN_S = 10.0
_METADATA = sql.MetaData()
_ALERTS = sql.Table(
    "alerts",
    _METADATA,
    *(sql.Column(name, sql.String) for name in ("identifier", "chain", "kind")),
    *(sql.Column(name, sql.BigInteger) for name in ("revision", "expires_ms", "sent_ms")),
)
_DELIVERIES = sql.Table(
    "deliveries",
    _METADATA,
    sql.Column("id", sql.BigInteger),
    *(sql.Column(name, sql.String) for name in ("alert", "chain", "contact", "channel", "state", "reason")),
    sql.Column("created_ms", sql.BigInteger),
)
_ESCALATIONS = sql.Table(
    "escalations",
    _METADATA,
    sql.Column("delivery", sql.BigInteger),
    *(sql.Column(name, sql.String) for name in ("alert", "contact", "step", "why", "to_contact", "to_channel")),
    sql.Column("at_ms", sql.BigInteger),
)
_UNTOLD_ALERTS = sql.Table("untold", _METADATA, sql.Column("alert", sql.String), sql.Column("since_ms", sql.BigInteger))
_TOLD = tuple(kind.value for kind in EventKind if kind.told and kind is not EventKind.CLEAR)
_UNTOLD = tuple(kind.value for kind in EventKind if not kind.told)
_NEVER = (DeliveryState.REFUSED.value, DeliveryState.OVERTAKEN.value)  # nobody tried


def _missed() -> sql.ColumnElement[bool]:
    """Deliveries that were to reach a person; by a machine only where something had to be done about it."""
    d, e = _DELIVERIES.c, _ESCALATIONS.c
    done = sql.exists().where(e.delivery == d.id, e.step.notin_(NO_WORRY)).correlate(_DELIVERIES)
    tried = sql.and_(d.channel.notin_(MACHINES), d.state.notin_(_NEVER))
    nowhere = sql.and_(d.state == DeliveryState.REFUSED.value, d.reason.in_(UNREACHABLE), sql.or_(d.channel == NO_WAY, done))
    machine = sql.and_(d.channel.in_(MACHINES), d.state != DeliveryState.DELIVERED.value, done)
    return sql.or_(tried, nowhere, machine)


@dataclass(frozen=True, slots=True)
class Tried:
    """One message. ``step``, ``why``, ``to``: what was done because it brought no receipt; "": nothing yet."""

    channel: str
    state: str
    reason: str
    step: str = ""
    why: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Missed:
    """A contact that a warning has not reached so far, and since when it is tried (ms)."""

    alert: str
    contact: str
    since_ms: int
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a warning in force gets. ``untold_since_ms``: since when nobody at all is told of it; None: somebody is. ``without_way``:
    contacts that should hear and cannot be reached; ``nobody_left``: steps at whose end nobody was left to be told instead."""

    alert: str
    untold_since_ms: int | None
    without_way: int
    nobody_left: int


class Unreached:
    """``url``: of the ledger's database. Raises Unavailable when it is away, or no dispatcher has made its tables yet."""

    def __init__(self, url: str, answers: Acknowledgements) -> None:
        self._engine, self._answers = open_engine(url, WITHIN_S), answers

    async def close(self) -> None:
        await self._engine.dispose()

    async def alerts(self, now_ms: int) -> list[str]:
        """Identifiers of what contacts were told and holds now, a chain once, the newest first."""
        newer, a = _ALERTS.alias("newer"), _ALERTS.c
        own, after = newer.c.chain == a.chain, newer.c.revision > a.revision
        later = sql.exists().where(own, after, newer.c.kind.notin_(_UNTOLD))
        holds = sql.exists().where(own, newer.c.revision >= a.revision, newer.c.expires_ms > now_ms)  # it, or what renews it
        over = sql.exists().where(own, after, newer.c.kind == EventKind.EXPIRE.value)
        query = sql.select(a.identifier).where(a.kind.in_(_TOLD), holds, ~over, ~later).order_by(a.sent_ms.desc())
        return [str(row.identifier) for row in await self._read(query)]

    async def reach(self, now_ms: int) -> list[Reach]:
        """Warnings in force that do not get to all whom they should, the newest first."""
        alerts, d, e, u = await self.alerts(now_ms), _DELIVERIES.c, _ESCALATIONS.c, _UNTOLD_ALERTS.c
        found: list[Reach] = []
        for first in range(0, len(alerts), MOST):
            some, count = alerts[first : first + MOST], sql.func.count()
            untold = await self._read(sql.select(u.alert, u.since_ms).where(u.alert.in_(some)))
            ways = sql.select(d.alert, count.label("n")).where(d.alert.in_(some), d.channel == NO_WAY)
            ends = sql.select(e.alert, count.label("n")).where(e.alert.in_(some), e.step == "nobody_left")
            since = {row.alert: row.since_ms for row in untold}
            without = {row.alert: row.n for row in await self._read(ways.group_by(d.alert))}
            left = {row.alert: row.n for row in await self._read(ends.group_by(e.alert))}
            made = (Reach(one, since.get(one), without.get(one, 0), left.get(one, 0)) for one in some)
            found += [one for one in made if one.untold_since_ms is not None or one.without_way or one.nobody_left]
        return found

    async def of(self, alert: str, after: str = "", most: int = MOST) -> list[Missed]:
        """Of one alert, by contact, those behind ``after``; fewer than ``most``: there are no more."""
        d, done = _DELIVERIES.c, _DELIVERIES.alias("done")
        reached = sql.exists().where(
            done.c.alert == alert,
            done.c.contact == d.contact,
            done.c.state == DeliveryState.DELIVERED.value,
            sql.or_(done.c.channel.notin_(MACHINES), d.channel.in_(MACHINES)),
        )
        found: list[Missed] = []
        while len(found) < most:
            query = sql.select(d.contact, sql.func.min(d.created_ms).label("since"), sql.func.min(d.chain).label("chain"))
            query = query.where(d.alert == alert, _missed(), d.contact > after, ~reached)
            rows = await self._read(query.group_by(d.contact).order_by(d.contact).limit(most))
            if not rows:
                break
            answered = await self._answers.answered(rows[0].chain, min(row.since for row in rows))
            tried = await self._tried(alert, [row.contact for row in rows])
            found += [Missed(alert, row.contact, row.since, tuple(tried[row.contact])) for row in rows if row.contact not in answered]
            after = rows[-1].contact
            if len(rows) < most:
                break
        return found[:most]

    async def _tried(self, alert: str, contacts: Sequence[str]) -> dict[str, list[Tried]]:
        d, e = _DELIVERIES.c, _ESCALATIONS.c
        query = sql.select(d.contact, d.channel, d.state, d.reason, e.step, e.why, e.to_contact).outerjoin(_ESCALATIONS, e.delivery == d.id)
        query = query.where(d.alert == alert, d.contact.in_(contacts)).order_by(d.id)
        tried: dict[str, list[Tried]] = defaultdict(list)
        for row in await self._read(query):
            tried[row.contact].append(Tried(row.channel, row.state, row.reason, row.step or "", row.why or "", row.to_contact or ""))
        return tried

    async def _read(self, query: sql.Select[tuple[object, ...]]) -> Sequence[sql.Row[tuple[object, ...]]]:
        try:
            async with self._engine.connect() as connection:
                return (await connection.execute(query)).all()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            words = f"the ledger is away, or no dispatcher has run yet: {getattr(error, 'orig', None) or error}"
            raise Unavailable(words, reason="database") from error
