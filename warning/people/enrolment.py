"""Who asked by SMS to be told: a contact of role public, with consent recorded. Only its own number can enter, move or end it."""

from __future__ import annotations

import secrets
from dataclasses import replace

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.people import acts, consent
from warning.people import tables as t
from warning.people.consent import history, say
from warning.people.directory import Directory
from warning.people.rows import contact_of, contact_row, district_rows
from warning.region import Contact, Region

ORIGIN = "sms"
MOST_DISTRICTS = 5  # of one number
_MOST_VILLAGES = 20


class Enrolment:
    """``directory``: whose contacts they become. Raises Unavailable when the database is away."""

    def __init__(self, directory: Directory, region: Region) -> None:
        self._directory, self._region = directory, region

    async def known(self, phone: str) -> list[Contact]:
        """The contacts of that number, also those that said stop."""
        return await self._directory.by_phone(phone)

    async def stopped(self, phone: str) -> bool:
        """Whether its last word was stop."""
        said = await history(self._directory, [phone])
        return bool(said) and not said[-1].given

    async def stop(self, phone: str, at_ms: int) -> None:
        """No more messages to that number, whoever entered it, and whoever enters it again."""
        await say(self._directory, phone, given=False, at_ms=at_ms, by=phone, how="sms")

    async def resume(self, phone: str, at_ms: int) -> None:
        await say(self._directory, phone, given=True, at_ms=at_ms, by=phone, how="sms")

    async def enter(
        self, phone: str, districts: tuple[str, ...], language: str, at_ms: int, village: Contact | None = None
    ) -> Contact | None:
        """Told of these districts from now on, beside those that it had and did not stop; None: that would be too many.

        Its word to be told and the contact are one transaction: a stop comes before both or after both.
        """
        async with self._directory.writing() as connection:
            before = await self._before(connection, phone)
            if before is not None and not before.consent:  # what was stopped does not begin again with another place
                before = replace(before, districts=(), village="", lat=None, lon=None)
            wanted = tuple(dict.fromkeys((*(before.districts if before else ()), *districts)))
            if not districts or len(wanted) > MOST_DISTRICTS:
                return None
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
