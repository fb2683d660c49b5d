"""Agencies that subscribed through the API: what they want to hear of, and whether their endpoint has shown that it is theirs.

A subscription begins ``pending``: the dispatcher posts a challenge, or mails a code (``mailed``); only what gives it back is ``active``
and served as a contact of role ``agency``, id ``agency-ID``. ``paused``: by its owner, or its endpoint answered 410. ``refused``: it did
not give the challenge back in time. Nothing is deleted: ``ended``. A rotated secret and its successor both sign until the overlap is over.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sql

from warning.database import NUMBER, Tables
from warning.errors import InputError
from warning.model import AlertEvent, Level
from warning.people import acts
from warning.people.interest import Interest
from warning.people.tables import AT_ONCE
from warning.proof import chain
from warning.region import Contact, Zone

CONTACT = "agency-"
STATES = ("pending", "active", "paused", "refused", "ended")
MOST_OF_ONE = 100  # subscriptions of one owner that have not ended
LONGEST_OVERLAP_MS = 30 * 86_400_000
LOG_KEPT = 200  # newest lines of one subscription's log that are shown
METADATA = sql.MetaData()
SUBSCRIPTIONS = sql.Table(
    "people_subscriptions",
    METADATA,
    sql.Column("id", sql.String(20), primary_key=True),
    sql.Column("owner", sql.String(255), nullable=False),
    sql.Column("name", sql.String(200), nullable=False),
    sql.Column("state", sql.String(20), nullable=False),
    sql.Column("reason", sql.String(300), nullable=False),
    sql.Column("channel", sql.String(20), nullable=False),
    sql.Column("address", sql.Text, nullable=False),  # URL or e-mail address
    sql.Column("language", sql.String(20), nullable=False),
    sql.Column("role", sql.String(20), nullable=False),
    sql.Column("level", sql.String(20), nullable=False),
    sql.Column("level_rank", sql.Integer, nullable=False),
    sql.Column("live", sql.Boolean, nullable=False),
    sql.Column("interest", sql.Text, nullable=False),  # JSON
    sql.Column("secret", sql.String(200), nullable=False),
    sql.Column("former_secret", sql.String(200), nullable=False),
    sql.Column("former_until_ms", sql.BigInteger, nullable=False),
    sql.Column("token", sql.String(100), nullable=False),  # of the challenge
    sql.Column("errand", sql.String(20), nullable=False),  # what the dispatcher is to send: challenge, test; "": nothing
    sql.Column("errand_ms", sql.BigInteger, nullable=False),  # not before
    sql.Column("errand_tries", sql.Integer, nullable=False),
    sql.Column("created_ms", sql.BigInteger, nullable=False),
    sql.Column("changed_ms", sql.BigInteger, nullable=False),
    sql.Index("people_subscriptions_owner", "owner"),
    sql.Index("people_subscriptions_errand", "errand", "errand_ms"),
    sql.Index("people_subscriptions_state", "state"),
)
LOG = sql.Table(  # challenges and tests that were sent; alerts stand in the ledger
    "people_subscription_log",
    METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("subscription", sql.String(20), nullable=False),
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("what", sql.String(30), nullable=False),
    sql.Column("outcome", sql.String(30), nullable=False),
    sql.Column("detail", sql.String(300), nullable=False),
    sql.Index("people_subscription_log_of", "subscription", "id"),
)
_COLUMNS = SUBSCRIPTIONS.c


@dataclass(frozen=True, slots=True)
class Subscription:
    """One, as it is now. ``former_secret`` "": there is none, or its overlap is over."""

    id: str
    owner: str
    name: str
    state: str
    reason: str
    channel: str  # webhook | email
    address: str
    language: str
    role: str
    level: Level
    live: bool
    interest: Interest
    secret: str
    former_secret: str
    former_until_ms: int
    token: str
    errand: str
    errand_ms: int
    errand_tries: int
    created_ms: int
    changed_ms: int

    def contact(self) -> Contact:
        """As the dispatcher knows it."""
        webhook = self.channel == "webhook"
        return Contact(
            id=CONTACT + self.id,
            name=self.name,
            role=self.role,
            language=self.language,
            districts=(),
            level=self.level,
            webhook=self.address if webhook else "",
            email="" if webhook else self.address,
            secret=self.secret,
            former_secret=self.former_secret,
            live=self.live,
            channels=(self.channel,),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an owner asks for, judged already."""

    name: str
    channel: str
    address: str
    language: str
    level: Level
    live: bool
    interest: Interest
    role: str = "agency"


@dataclass(frozen=True, slots=True)
class Line:
    """One challenge or test in the log."""

    at_ms: int
    what: str
    outcome: str
    detail: str


def new_secret() -> str:
    """A key of Standard Webhooks: ``whsec_`` and 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Subscriptions:
    """All access to them. Raises Unavailable when the database is away. ``clock``: ms since 1970 UTC."""

    def __init__(self, url: str, clock: Callable[[], int], places: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._tables, self._clock, self._places = Tables(url, METADATA, "subscriptions"), clock, places or {}

    async def close(self) -> None:
        await self._tables.close()

    # --- the owner's side

    async def create(self, owner: str, wanted: Wanted) -> Subscription:
        """Pending, with a new secret. Raises InputError for one too many."""
        mine = sql.select(sql.func.count()).where(_COLUMNS.owner == owner, _COLUMNS.state != "ended")
        rows = await self._tables.run(mine)
        if rows and rows[0][0] >= MOST_OF_ONE:
            words = f"{owner} has {MOST_OF_ONE} subscriptions"
            raise InputError(words, reason="too_many", field="owner", fix="end one that is not needed, or make one of several")
        id, now_ms = secrets.token_hex(6), self._clock()
        row = _wanted_row(wanted) | {
            "id": id,
            "owner": owner,
            "state": "pending",
            "reason": "",
            "secret": new_secret(),
            "former_secret": "",
            "former_until_ms": 0,
            "created_ms": now_ms,
            "changed_ms": now_ms,
        }
        await self._tables.run(sql.insert(SUBSCRIPTIONS), [row | _challenge(now_ms)])
        return await self._present(id)

    async def of(self, owner: str | None = None) -> list[Subscription]:
        """One owner's, or everyone's; without those that ended, oldest first."""
        query = sql.select(SUBSCRIPTIONS).where(_COLUMNS.state != "ended").order_by(_COLUMNS.created_ms, _COLUMNS.id)
        return await self._read(query if owner is None else query.where(_COLUMNS.owner == owner))

    async def get(self, id: str, owner: str | None = None) -> Subscription | None:
        """None: there is none, or it is somebody else's."""
        query = sql.select(SUBSCRIPTIONS).where(_COLUMNS.id == id, _COLUMNS.state != "ended")
        found = await self._read(query if owner is None else query.where(_COLUMNS.owner == owner))
        return found[0] if found else None

    async def change(self, id: str, wanted: Wanted) -> Subscription:
        """Another address is pending until it has answered its challenge; all else counts at once."""
        old = await self._present(id)
        values: dict[str, Any] = _wanted_row(wanted) | {"changed_ms": self._clock()}
        if (old.channel, old.address) != (wanted.channel, wanted.address):
            values |= {"state": "pending", "reason": ""} | _challenge(self._clock())
        await self._set(id, values)
        return await self._present(id)

    async def pause(self, id: str, reason: str) -> None:
        """Nothing more is sent until it is challenged again: no challenge that was under way either."""
        await self._set(id, self._paused(reason))

    def _paused(self, reason: str) -> dict[str, Any]:
        return {"state": "paused", "reason": reason[:300], "errand": "", "changed_ms": self._clock()}

    async def stop(self, address: str, reason: str) -> list[str]:
        """Who has this e-mail address, or is this contact, wants nothing any more: paused. The contacts that they were."""
        if not ("@" in address or address.startswith(CONTACT)):
            return []
        mine = sql.func.lower(_COLUMNS.address) == address.lower() if "@" in address else _COLUMNS.id == address.removeprefix(CONTACT)
        these = sql.and_(mine, _COLUMNS.state.in_(("pending", "active")))
        query = sql.update(SUBSCRIPTIONS).where(these).values(**self._paused(reason)).returning(_COLUMNS.id)
        return sorted(CONTACT + row.id for row in await self._tables.run(query))

    async def challenge(self, id: str) -> None:
        """Anew, with another token."""
        await self._set(id, {"state": "pending", "reason": "", "changed_ms": self._clock()} | _challenge(self._clock()))

    async def confirm(self, id: str, address: str, by: str) -> Subscription:
        """A person has made sure that this e-mail address is the owner's. Raises InputError where nothing waits for that."""
        found = await self._present(id)
        if found.channel != "email" or found.state not in ("pending", "paused"):
            raise InputError(
                f"{id} is {found.state}, by {found.channel}", reason="state", field="state", fix="only a pending one by e-mail"
            )
        values = {"state": "active", "reason": f"confirmed by {by}"[:300], "errand": "", "changed_ms": self._clock()}
        same = sql.and_(_COLUMNS.id == id, _COLUMNS.address == address, _COLUMNS.state == found.state)
        await chain.made(self._tables)
        async with self._tables.together() as connection:
            if (await connection.execute(sql.update(SUBSCRIPTIONS).where(same).values(**values))).rowcount:
                await acts.confirmed(connection, id, address, self._clock(), by=by)
        now = await self._present(id)
        if (now.address, now.state) != (address, "active"):  # its owner may have changed it since the person looked
            raise InputError(f"{id} has another address", reason="address", field="email", fix="look at it again: GET /v1/subscriptions/ID")
        return now

    async def test(self, id: str) -> None:
        """The dispatcher sends a test event within seconds."""
        await self._set(id, {"errand": "test", "errand_ms": self._clock(), "errand_tries": 0})

    async def end(self, id: str) -> None:
        await self._set(id, {"state": "ended", "errand": "", "changed_ms": self._clock(), "secret": "", "former_secret": ""})

    async def rotate(self, id: str, overlap_ms: int) -> Subscription:
        """With a new secret; the old one signs beside it for ``overlap_ms``. One that was still overlapping ends now."""
        old, now_ms = await self._present(id), self._clock()
        overlap_ms = min(overlap_ms, LONGEST_OVERLAP_MS)
        former = {"former_secret": old.secret if overlap_ms > 0 else "", "former_until_ms": now_ms + overlap_ms}
        still = sql.and_(_COLUMNS.id == id, _COLUMNS.secret == old.secret)  # two rotations at once: the second finds another secret
        await self._tables.run(sql.update(SUBSCRIPTIONS).where(still).values(secret=new_secret(), changed_ms=now_ms, **former))
        return await self._present(id)

    async def log(self, id: str) -> list[Line]:
        """Challenges and tests, newest first."""
        rows = await self._tables.run(sql.select(LOG).where(LOG.c.subscription == id).order_by(LOG.c.id.desc()).limit(LOG_KEPT))
        return [Line(row.at_ms, row.what, row.outcome, row.detail) for row in rows]

    # --- the dispatcher's side

    async def concerned(self, event: AlertEvent, zone: Zone) -> list[Contact]:
        """Active ones that want to hear of this."""
        query = sql.select(SUBSCRIPTIONS).where(_COLUMNS.state == "active", _COLUMNS.level_rank <= event.alert.level.rank)
        found = await self._read(query.order_by(_COLUMNS.id))
        return [one.contact() for one in found if one.interest.includes(zone, self._places)]

    async def contacts(self, ids: Iterable[str]) -> list[Contact]:
        """Those of these ids of contacts that are active subscriptions."""
        own = [id.removeprefix(CONTACT) for id in ids if id.startswith(CONTACT)]
        found: list[Subscription] = []
        for first in range(0, len(own), AT_ONCE):
            query = sql.select(SUBSCRIPTIONS).where(_COLUMNS.id.in_(own[first : first + AT_ONCE]), _COLUMNS.state == "active")
            found += await self._read(query.order_by(_COLUMNS.id))
        return [one.contact() for one in found]

    async def errands(self, most: int = 50, *, mail: bool = False) -> list[Subscription]:
        """Whom a challenge or a test is due to be sent; with ``mail`` also the codes of e-mail addresses, which else wait for a person."""
        ways = ("webhook", "email") if mail else ("webhook",)
        due = sql.and_(_COLUMNS.errand != "", _COLUMNS.channel.in_(ways), _COLUMNS.errand_ms <= self._clock(), _COLUMNS.state != "ended")
        return await self._read(sql.select(SUBSCRIPTIONS).where(due).order_by(_COLUMNS.errand_ms).limit(most))

    async def ran(
        self, one: Subscription, outcome: str, detail: str, *, what: str = "", state: str = "", again_ms: int | None = None
    ) -> None:
        """What became of an errand: done, or to be tried again at ``again_ms``. What was changed meanwhile stays as it is.

        ``what``: as it stands in the log; the errand. ``state`` pending: it waits for its answer from now on.
        """
        still = sql.and_(_COLUMNS.id == one.id, _COLUMNS.token == one.token, _COLUMNS.errand == one.errand, _COLUMNS.state == one.state)
        values: dict[str, Any] = {"errand": "", "errand_tries": 0}
        if again_ms is not None:
            values = {"errand_ms": again_ms, "errand_tries": one.errand_tries + 1}
        elif state:
            reason = {"active": "", "pending": "waits for the code that was mailed"}.get(state, detail)[:300]
            values |= {"state": state, "reason": reason, "errand_ms": self._clock(), "changed_ms": self._clock()}
        line = {"subscription": one.id, "at_ms": self._clock(), "what": what or one.errand, "outcome": outcome[:30], "detail": detail[:300]}
        async with self._tables.together() as connection:
            await connection.execute(sql.insert(LOG), [line])
            await connection.execute(sql.update(SUBSCRIPTIONS).where(still).values(**values))

    # ---

    async def _set(self, id: str, values: dict[str, Any]) -> None:
        await self._tables.run(sql.update(SUBSCRIPTIONS).where(_COLUMNS.id == id, _COLUMNS.state != "ended").values(**values))

    async def _present(self, id: str) -> Subscription:
        found = await self.get(id)
        if found is None:
            raise InputError(f"there is no subscription {id}", reason="subscription", field="id", fix="one of GET /v1/subscriptions")
        return found

    async def _read(self, query: Any) -> list[Subscription]:
        return [self._subscription(row) for row in await self._tables.run(query)]

    def _subscription(self, row: Any) -> Subscription:
        names = set(Subscription.__slots__) - {"level", "interest", "former_secret"}
        over = self._clock() >= row.former_until_ms
        return Subscription(
            **{name: getattr(row, name) for name in names},
            level=Level(row.level),
            interest=msgspec.json.decode(row.interest, type=Interest),
            former_secret="" if over else row.former_secret,
        )


def _wanted_row(wanted: Wanted) -> dict[str, Any]:
    row = {name: getattr(wanted, name) for name in ("name", "channel", "address", "language", "role", "live")}
    interest = msgspec.json.encode(wanted.interest).decode()
    return row | {"level": wanted.level.value, "level_rank": wanted.level.rank, "interest": interest}


def _challenge(now_ms: int) -> dict[str, Any]:
    return {"token": secrets.token_urlsafe(24), "errand": "challenge", "errand_ms": now_ms, "errand_tries": 0}
