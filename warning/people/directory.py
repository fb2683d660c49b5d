"""Who is told, found by place: 90,000 contacts are at home here, and none of the questions reads them all.

Contacts come from ``contacts.csv`` (origin ``config``), from imports, and by SMS; agencies that subscribed (``subscriptions``) are contacts
of role ``agency``. A contact is told of its districts, and of a zone whose polygon its own position lies in, whatever district it was
entered under. Who said stop, or left its file, is in no answer.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import shapely
import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.database import Tables
from warning.model import AlertEvent, EventKind
from warning.people.duty import ON_DUTY
from warning.people.interest import places_of
from warning.people.rows import contact_of
from warning.people.subscriptions import Subscriptions
from warning.people.tables import AT_ONCE, EVERYWHERE, METADATA, contacts, districts, in_turn
from warning.proof import chain
from warning.region import Contact, Region, Zone

CHUNK = 1000  # contacts in memory at once
REMEMBERED_S = 2.0  # a contact looked up is not asked for again so long: a stop counts within it
MOST_REMEMBERED = 10_000

_HEARS = sql.and_(contacts.c.active, contacts.c.consent, ~contacts.c.stopped)
_CONCERNED = sql.and_(contacts.c.active, sql.or_(sql.and_(contacts.c.consent, ~contacts.c.stopped), ON_DUTY))


class Directory:
    """The contacts of one deployment. Raises Unavailable when the database is away.

    ``region``: where its stations stand, for areas of agencies. ``clock``: ms since 1970 UTC, for what ends (a rotated secret).
    """

    def __init__(self, url: str, region: Region | None = None, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self.tables = Tables(url, METADATA, "contacts")
        self.subscriptions = Subscriptions(url, clock, places_of(region) if region else {})
        self._remembered: OrderedDict[str, tuple[float, Contact | None]] = OrderedDict()
        self._chained = False

    @staticmethod
    async def open(url: str, region: Region | None = None) -> Directory:
        """Raises Unavailable unless it can be written to."""
        directory = Directory(url, region)
        await directory.tables.run(sql.update(contacts).where(sql.false()).values(name=""))
        return directory

    async def close(self) -> None:
        await self.tables.close()
        await self.subscriptions.close()

    @asynccontextmanager
    async def writing(self, within_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction in turn with all others that write here, beside the audit's chain. Raises Unavailable."""
        if not self._chained:
            await chain.made(self.tables)
            self._chained = True
        async with self.tables.together(within_s) as connection:
            await in_turn(connection)
            yield connection
        self.forget()

    def forget(self) -> None:
        """What was looked up is asked for again: something changed."""
        self._remembered.clear()

    # --- an alert's audience

    async def concerned(self, event: AlertEvent, zone: Zone | None, also: Collection[str] = ()) -> AsyncIterator[list[Contact]]:
        """Each contact that may have to hear of this revision, once, in lists of at most ``CHUNK``; ``also`` in any case.

        Of its place and from its class on; ``also``: who is in the chain's history. ``zone`` None: unknown, only ``also``. An end and what
        contacts do not hear of concern ``also`` alone. Who is entered meanwhile is told from the next revision on. Who said stop and has
        others to warn (``duty``) is among them, without ``consent``: nothing goes to him, and somebody has to know.
        """
        left = set(also)
        if zone is not None and event.alert.kind.told and event.alert.kind is not EventKind.CLEAR:
            async for chunk in self._around(zone, event.alert.level.rank):
                left.difference_update(contact.id for contact in chunk)
                yield chunk
            agencies = await self.subscriptions.concerned(event, zone)
            left.difference_update(agency.id for agency in agencies)
            for first in range(0, len(agencies), CHUNK):
                yield agencies[first : first + CHUNK]
        async for chunk in self.heard(left):
            yield chunk

    async def heard(self, ids: Iterable[str]) -> AsyncIterator[list[Contact]]:
        """Those of these contacts that still want to hear."""
        ordered = sorted(ids)
        for first in range(0, len(ordered), AT_ONCE):
            some = ordered[first : first + AT_ONCE]
            rows = await self.tables.run(sql.select(contacts).where(contacts.c.id.in_(some), _HEARS).order_by(contacts.c.id))
            found = [*map(contact_of, rows), *await self.subscriptions.contacts(some)]
            if found:
                yield found

    async def _around(self, zone: Zone, rank: int) -> AsyncIterator[list[Contact]]:
        """District after district by the key's order: each row is read once, and no question sorts."""
        wanted = (EVERYWHERE, *zone.districts)
        own = districts.c
        for number, district in enumerate(wanted):
            query = sql.select(contacts).join(districts, own.contact == contacts.c.id)
            query = query.where(own.district == district, contacts.c.level_rank <= rank, _CONCERNED, ~_in_any(wanted[:number]))
            async for chunk in self._pages(query, own.contact):
                yield chunk
        if zone.polygon is not None:
            lats, lons = zip(*zone.polygon, strict=True)
            place = sql.and_(contacts.c.lat.between(min(lats), max(lats)), contacts.c.lon.between(min(lons), max(lons)))
            query = sql.select(contacts).where(place, contacts.c.level_rank <= rank, _CONCERNED, ~_in_any(wanted))
            polygon = shapely.Polygon(zone.polygon)
            shapely.prepare(polygon)
            async for chunk in self._pages(query, contacts.c.id):
                if inside := [one for one in chunk if shapely.intersects_xy(polygon, one.lat, one.lon)]:
                    yield inside

    async def _pages(self, query: Any, key: Any) -> AsyncIterator[list[Contact]]:
        """The contacts of a query, a page at a time, by a column that is a contact's id."""
        last = ""
        while True:
            rows = await self.tables.run(query.where(key > last).order_by(key).limit(CHUNK))
            if rows:
                yield [contact_of(row) for row in rows]
            if len(rows) < CHUNK:
                return
            last = rows[-1].id

    # --- one

    async def contact(self, id: str) -> Contact | None:
        """As it is now, at most ``REMEMBERED_S`` old, also one that said stop (``consent`` False); None: there is none, or it left."""
        remembered = self._remembered.get(id)
        if remembered is not None and time.monotonic() - remembered[0] < REMEMBERED_S:
            return remembered[1]
        rows = await self.tables.run(sql.select(contacts).where(contacts.c.id == id, contacts.c.active))
        agency = [] if rows else await self.subscriptions.contacts([id])
        found = contact_of(rows[0]) if rows else next(iter(agency), None)
        self._remembered[id] = time.monotonic(), found
        self._remembered.move_to_end(id)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    async def by_phone(self, phone: str) -> list[Contact]:
        """Who has that number (E.164), also who said stop."""
        rows = await self.tables.run(sql.select(contacts).where(contacts.c.phone == phone, contacts.c.active).order_by(contacts.c.id))
        return [contact_of(row) for row in rows]

    async def many(self, ids: Collection[str]) -> dict[str, Contact]:
        """Those of these that there are, as they are now, also who said stop (without ``consent``). A question for each ``AT_ONCE``."""
        wanted, found = sorted(set(ids)), dict[str, Contact]()
        for first in range(0, len(wanted), AT_ONCE):
            some = wanted[first : first + AT_ONCE]
            rows = await self.tables.run(sql.select(contacts).where(contacts.c.id.in_(some), contacts.c.active))
            found |= {row.id: contact_of(row) for row in rows}
            found |= {one.id: one for one in await self.subscriptions.contacts([id for id in some if id not in found])}
        return found

    async def offices(self, names: Collection[str]) -> dict[str, list[Contact]]:
        """Who of these offices hears, in the order of the office. A question for each ``AT_ONCE``."""
        wanted, found = sorted(set(names) - {""}), dict[str, list[Contact]]()
        for first in range(0, len(wanted), AT_ONCE):
            query = sql.select(contacts).where(contacts.c.office.in_(wanted[first : first + AT_ONCE]), _HEARS)
            for row in await self.tables.run(query.order_by(contacts.c.office, contacts.c.rank, contacts.c.id)):
                found.setdefault(row.office, []).append(contact_of(row))
        return found

    async def office(self, contact: Contact) -> list[Contact]:
        """Who stands in for it; see ``stand_ins``."""
        return stand_ins(contact, (await self.offices([contact.office])).get(contact.office, []))

    async def control_rooms(self, of: Sequence[str] = ()) -> list[Contact]:
        """The control rooms of these districts; without a district (a contact of all) every one."""
        query = sql.select(contacts).where(contacts.c.control_room, _HEARS)
        if of:
            query = query.where(_in_any((EVERYWHERE, *of)))
        return [contact_of(row) for row in await self.tables.run(query.order_by(contacts.c.rank, contacts.c.id))]

    async def anybody(self, zone: Zone) -> bool:
        """Whether somebody of its districts hears of any class at all."""
        query = sql.select(contacts.c.id).where(_HEARS, _in_any((EVERYWHERE, *zone.districts))).limit(1)
        return bool(await self.tables.run(query))

    async def operators(self, by_phone: bool = False) -> list[Contact]:
        """Who runs the system, with a webhook or an e-mail address (``by_phone``: or a phone): told of what goes wrong and of what waits,
        whatever their districts.

        No agency that subscribed: its role is its own word, and what is not released yet is not for it.
        """
        way = (contacts.c.webhook != "") | (contacts.c.email != "") | ((contacts.c.phone != "") if by_phone else sql.false())
        query = sql.select(contacts).where(contacts.c.role == "operator", way, _HEARS).order_by(contacts.c.id)
        return [contact_of(row) for row in await self.tables.run(query)]

    async def count(self) -> int:
        """Contacts that would hear."""
        rows = await self.tables.run(sql.select(sql.func.count()).select_from(contacts).where(_HEARS))
        return int(rows[0][0]) if rows else 0


def stand_ins(contact: Contact, office: Iterable[Contact]) -> list[Contact]:
    """In the order of the office: those after it first, then those before; without itself."""
    mine = contact.rank, contact.id
    return sorted((one for one in office if one.id != contact.id), key=lambda one: ((one.rank, one.id) < mine, one.rank, one.id))


def _in_any(wanted: Collection[str]) -> Any:
    """The contact is one of one of these districts."""
    if not wanted:
        return sql.false()
    return sql.exists().where(districts.c.contact == contacts.c.id, districts.c.district.in_(wanted)).correlate(contacts)
