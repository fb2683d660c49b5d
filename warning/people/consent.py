"""Who said stop, and who said start again: when, how, and by whom it was entered. Rows are added, never changed.

A stop is about an address (phone or e-mail, in capitals or not) or about one contact; a subscription by that address is paused. It
outlives imports: a contact that a file brings anew, under whatever id, with an address that said stop, stays stopped. The newest word
counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.people import acts
from warning.people import tables as t
from warning.people.directory import CHUNK, Directory

HOW = ("sms", "link", "api", "voice", "person")


@dataclass(frozen=True, slots=True)
class Said:
    """One word: ``given`` False is stop. ``by``: who entered it."""

    address: str
    given: bool
    at_ms: int
    by: str
    how: str


async def say(directory: Directory, address: str, *, given: bool, at_ms: int, by: str, how: str) -> list[str]:
    """Enters a word of a phone (E.164), an e-mail address or a contact's id. The contacts that it is about; also if there are none.

    Raises ValueError for a word without who or how, Unavailable.
    """
    if not address or not by.strip() or how not in HOW:
        raise ValueError(f"consent needs an address, who says so, and how: one of {', '.join(HOW)}")
    paused = [] if given else await directory.subscriptions.stop(address, f"said stop, entered by {by}")
    async with directory.writing() as connection:
        found = await enter(connection, address, given=given, at_ms=at_ms, by=by, how=how)
    return found + paused


async def enter(connection: AsyncConnection, address: str, *, given: bool, at_ms: int, by: str, how: str) -> list[str]:
    """The same within a transaction of ``Directory.writing``."""
    own, said = t.contacts.c, _said(address)
    these = sql.func.lower(own.email) == said if "@" in said else sql.or_(own.id == said, own.phone == said)
    await connection.execute(sql.insert(t.consents).values(_row(said, given, at_ms, by, how)))
    found = (await connection.execute(sql.select(own.id, own.phone, own.email).where(these).order_by(own.id))).all()
    others = {name for row in found for name in ((row.id, row.phone, _said(row.email)) if given else (row.id,)) if name} - {said}
    if others:
        await connection.execute(sql.insert(t.consents), [_row(name, given, at_ms, by, how) for name in sorted(others)])
    if found:
        await connection.execute(sql.update(t.contacts).where(these).values(stopped=not given, changed_ms=at_ms))
    await acts.consented(connection, said, given=given, at_ms=at_ms, by=by, how=how)
    return [row.id for row in found]


async def enter_address(connection: AsyncConnection, address: str, *, at_ms: int, by: str, how: str) -> None:
    """Warnings to this address alone are wanted, by who reads its mail: whose phone said stop stays stopped, under whatever contact."""
    await connection.execute(sql.insert(t.consents).values(_row(_said(address), True, at_ms, by, how)))
    await acts.consented(connection, _said(address), given=True, at_ms=at_ms, by=by, how=how)


async def history(directory: Directory, addresses: Sequence[str]) -> list[Said]:
    """All that was said of these, oldest first."""
    query = sql.select(t.consents).where(t.consents.c.address.in_([_said(one) for one in addresses if one])).order_by(t.consents.c.id)
    return [Said(row.address, row.given, row.at_ms, row.by, row.how) for row in await directory.tables.run(query)]


async def addresses(directory: Directory) -> AsyncIterator[str]:
    """Everyone who ever said something, once."""
    last, own = "", t.consents.c.address
    query = sql.select(own).distinct().order_by(own).limit(CHUNK)
    while rows := await directory.tables.run(query.where(own > last)):
        for row in rows:
            yield row.address
        last = rows[-1].address


async def stopped_addresses(connection: AsyncConnection) -> set[str]:
    """Whose newest word is stop."""
    newest = sql.select(sql.func.max(t.consents.c.id)).group_by(t.consents.c.address)
    rows = await connection.execute(sql.select(t.consents.c.address).where(t.consents.c.id.in_(newest), ~t.consents.c.given))
    return {row.address for row in rows}


def _said(address: str) -> str:
    """As it is entered: e-mail addresses in small letters, for they lead to the same person."""
    return address.lower() if "@" in address else address


def _row(address: str, given: bool, at_ms: int, by: str, how: str) -> dict[str, Any]:
    return {"address": address, "given": given, "at_ms": at_ms, "by": by[:255], "how": how}
