"""Who asked by SMS to be told: a contact of role public, with consent recorded. Only its own number can enter, move or end it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.config_readers import of_countries
from warning.people import acts, consent
from warning.people import tables as t
from warning.people.consent import Said, history, say
from warning.people.directory import Directory
from warning.people.rows import contact_of, contact_row, district_rows
from warning.region import Contact, Region

ORIGIN = "sms"
MOST_DISTRICTS = 5  # of one number
_MOST_VILLAGES = 20


class Enrolment:
    """``directory``: whose contacts they become. ``clock``: ms since 1970 UTC. Raises Unavailable when the database is away."""

    def __init__(self, directory: Directory, region: Region, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._directory, self._region, self._clock = directory, region, clock

    async def known(self, phone: str) -> list[Contact]:
        """The contacts of that number, also those that said stop."""
        return await self._directory.by_phone(phone)

    async def newest(self, phone: str) -> Said | None:
        """Its last word, by whichever way it came."""
        said = await history(self._directory, [phone])
        return said[-1] if said else None

    async def stopped(self, phone: str) -> bool:
        """Whether its last word was stop."""
        newest = await self.newest(phone)
        return newest is not None and not newest.given

    async def stop(self, phone: str, at_ms: int) -> None:
        """No more messages to that number, whoever entered it, and whoever enters it again."""
        await say(self._directory, phone, given=False, at_ms=at_ms, by=phone, how="sms")

    async def resume(self, phone: str, at_ms: int) -> bool:
        """Whether it counts: not where it said stop after ``at_ms``."""
        async with self._directory.writing() as connection:
            if await self._stopped_since(connection, phone, at_ms):
                return False
            await consent.enter(connection, phone, given=True, at_ms=at_ms, by=phone, how="sms")
        return True

    def foreign(self, phone: str) -> bool:
        """Not a number of the region's countries, nor one for exercises."""
        if phone.startswith(self._region.exercise_numbers):
            return False
        return not of_countries(phone, self._region.sms.countries or (self._region.country,))

    @staticmethod
    async def _stopped_since(connection: AsyncConnection, phone: str, at_ms: int) -> bool:
        own = t.consents.c
        newest = sql.select(own.given, own.at_ms).where(own.address == phone).order_by(own.id.desc()).limit(1)
        row = (await connection.execute(newest)).first()
        return row is not None and not row.given and row.at_ms > at_ms

    async def _room(self, connection: AsyncConnection) -> bool:
        """For one new number more within this hour, by our clock; it is taken."""
        hour = self._clock() // 3_600_000
        row = (await connection.execute(sql.select(t.joins.c.numbers).where(t.joins.c.hour == hour))).first()
        if row is not None and row.numbers >= self._region.sms.joins_per_hour:
            return False
        insert = self._directory.tables.insert(t.joins).values(hour=hour, numbers=1)
        one_more = {"numbers": t.joins.c.numbers + 1}
        await connection.execute(insert.on_conflict_do_update(index_elements=["hour"], set_=one_more))
        return True

    async def enter(
        self, phone: str, districts: tuple[str, ...], language: str, at_ms: int, village: Contact | None = None
    ) -> Contact | str:
        """Told of these districts from now on, beside those that it had and did not stop; or why not, of ``told.JOINS``.

        ``old``: said stop after ``at_ms``; ``full``: too many districts; ``hour_limit``: too many new numbers within this hour.

        Its word to be told and the contact are one transaction: a stop comes before both or after both.
        """
        async with self._directory.writing() as connection:
            if await self._stopped_since(connection, phone, at_ms):
                return "old"
            before = await self._before(connection, phone)
            if before is not None and not before.consent:  # what was stopped does not begin again with another place
                before = replace(before, districts=(), village="", lat=None, lon=None)
            wanted = tuple(dict.fromkeys((*(before.districts if before else ()), *districts)))
            if not districts or len(wanted) > MOST_DISTRICTS:
                return "full"
            if (before is None or not before.consent) and not await self._room(connection):
                return "hour_limit"
            made = replace(before or self._new(phone, language), districts=wanted, consent=True)
            if village is not None:
                made = replace(made, village=village.village, lat=village.lat, lon=village.lon)
            await consent.enter(connection, phone, given=True, at_ms=at_ms, by=phone, how="sms")
            await self._write(connection, made, at_ms)
            await acts.joined(connection, phone, made.id, made.districts, made.language, at_ms)
        return made

    @staticmethod
    async def _before(connection: AsyncConnection, phone: str) -> Contact | None:
        """What that number entered before."""
        own = t.contacts.c
        query = sql.select(t.contacts).where(own.phone == phone, own.origin == ORIGIN, own.active).order_by(own.id)
        row = (await connection.execute(query)).first()
        return contact_of(row) if row else None

    def _new(self, phone: str, language: str) -> Contact:
        """Its id says nothing of the number: ids stand in logs, receipts and links."""
        id = f"{ORIGIN}:{secrets.token_hex(8)}"
        live = not phone.startswith(self._region.exercise_numbers)
        return Contact(id, id, "public", language, (), self._region.alert.warn_from, phone, live=live)

    async def speak(self, phone: str, language: str, at_ms: int) -> None:
        """The language of all contacts of that number, until their file says another."""
        these = sql.and_(t.contacts.c.phone == phone, t.contacts.c.active)
        async with self._directory.writing() as connection:
            await connection.execute(sql.update(t.contacts).where(these).values(language=language, changed_ms=at_ms))
            await acts.spoke(connection, phone, language, at_ms)

    async def villages(self, name: str) -> list[Contact]:
        """One contact of each village of that name that an office entered with its districts: where the village lies. What phones joined
        says nothing of that: theirs may have districts beside the village's."""
        of_offices = sql.and_(t.contacts.c.active, t.contacts.c.origin != ORIGIN)
        query = sql.select(t.contacts).where(sql.func.lower(t.contacts.c.village) == name.lower(), of_offices)
        rows = await self._directory.tables.run(query.order_by(t.contacts.c.id).limit(_MOST_VILLAGES))
        found: dict[str, Contact] = {}
        for row in rows:
            if row.village and row.districts:
                one = Contact(row.id, row.name, row.role, row.language, tuple(row.districts.split()), self._region.alert.warn_from)
                found.setdefault(row.districts, replace(one, village=row.village, lat=row.lat, lon=row.lon))
        return list(found.values())

    async def _write(self, connection: AsyncConnection, contact: Contact, at_ms: int) -> None:
        row = contact_row(contact, ORIGIN, at_ms) | {"stopped": False}
        insert = self._directory.tables.insert(t.contacts).values(row)
        values = {name: insert.excluded[name] for name in row if name != "id"}
        await connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))
        await connection.execute(sql.delete(t.districts).where(t.districts.c.contact == contact.id))
        await connection.execute(sql.insert(t.districts), district_rows(contact))
