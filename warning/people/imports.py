"""Contacts into the directory: one transaction, the same again changes nothing, and nobody who said stop is brought back.

Only what differs is written. A contact belongs to the file (``origin``) that brought it; another's is refused, not taken over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.people import acts
from warning.people import tables as t
from warning.people.consent import stopped_addresses
from warning.people.directory import Directory
from warning.people.rows import Row, contact_row, digest_of, district_rows
from warning.region import Contact

CONFIG = "config"  # contacts.csv
WITHIN_S = 300.0
AT_ONCE = 5000  # rows in memory beside the contacts themselves


@dataclass
class Merged:
    """What became of each contact. ``missing``: of this origin, and not among those given; ``gone``: those that left for it (``whole``)."""

    accepted: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    foreign: dict[str, str] = field(default_factory=dict)  # id -> the origin that it belongs to
    stopped: list[str] = field(default_factory=list)  # among those accepted, changed or the same: said stop, and stay stopped
    phones: dict[str, list[str]] = field(default_factory=dict)  # number -> who has it, where several have

    def counts(self) -> dict[str, int]:
        return {name: len(getattr(self, name)) for name in ("accepted", "changed", "same", "gone", "foreign", "stopped")}


async def merge(
    directory: Directory, given: Sequence[Contact], origin: str, at_ms: int, *, by: str, whole: bool = False, dry_run: bool = False
) -> Merged:
    """Enters contacts, each id once. ``whole``: those of this origin that are not among them leave. Raises Unavailable.

    ``dry_run``: what would be done. In one transaction: a reader sees all of it or nothing.
    """
    async with directory.writing(WITHIN_S) as connection:
        known = await _known(connection)
        stops = await stopped_addresses(connection)
        merged, writing = _compared(given, known, origin)
        there = {contact.id for contact in given}
        merged.missing = [id for id, row in known.items() if row.origin == origin and row.active and id not in there]
        merged.gone = merged.missing if whole else []
        stopping = {one.id for one in writing if not stops.isdisjoint((one.id, one.phone, one.email.lower()))}
        merged.stopped = _stopped(merged, stopping, known)
        if not dry_run and (writing or merged.gone):
            if len(writing) > AT_ONCE and directory.tables.dialect == "postgresql":  # without statistics each delete would read all rows
                await connection.execute(sql.text("ANALYZE people_districts"))
            for first in range(0, len(writing), AT_ONCE):
                some = writing[first : first + AT_ONCE]
                rows = [contact_row(one, origin, at_ms) | {"stopped": one.id in stopping} for one in some]
                await _write(directory, connection, rows, some, [one.id for one in some if one.id in known])
            await _leave(connection, merged.gone, at_ms)
            counts = {"origin": origin, "at_ms": at_ms, "by": by, "counts": merged.counts()}
            await connection.execute(sql.insert(t.imports).values(counts))
            await acts.imported(connection, origin, merged.counts(), at_ms, by=by)
    return merged


async def leave(directory: Directory, ids: Iterable[str], at_ms: int, *, by: str) -> int:
    """These are told no more, until a file brings them again. How many there were."""
    wanted, left = list(ids), 0
    async with directory.writing() as connection:
        for first in range(0, len(wanted), t.AT_ONCE):
            some = sql.and_(t.contacts.c.id.in_(wanted[first : first + t.AT_ONCE]), t.contacts.c.active)
            left += (await connection.execute(sql.update(t.contacts).where(some).values(active=False, changed_ms=at_ms))).rowcount
        said = {"origin": "removed", "at_ms": at_ms, "by": by, "counts": {"gone": left, "ids": wanted[: t.AT_ONCE]}}
        await connection.execute(sql.insert(t.imports).values(said))
        await acts.removed(connection, wanted, left, at_ms, by=by)
    return left


async def _known(connection: AsyncConnection) -> Mapping[str, Any]:
    own = t.contacts.c
    rows = await connection.execute(sql.select(own.id, own.origin, own.phone, own.digest, own.active, own.stopped))
    return {row.id: row for row in rows}


def _compared(given: Sequence[Contact], known: Mapping[str, Any], origin: str) -> tuple[Merged, list[Contact]]:
    """What differs, and what is to be written."""
    merged, writing = Merged(), list[Contact]()
    phones: dict[str, list[str]] = {}
    for contact in given:
        row = known.get(contact.id)
        if row is not None and row.origin != origin and row.active:
            merged.foreign[contact.id] = row.origin
            continue
        if contact.phone:
            phones.setdefault(contact.phone, []).append(contact.id)
        if row is None:
            merged.accepted.append(contact.id)
        elif row.active and row.digest == digest_of(contact):
            merged.same.append(contact.id)
            continue
        else:
            (merged.changed if row.active else merged.accepted).append(contact.id)
        writing.append(contact)
    there = {contact.id for contact in given}
    for id, row in known.items():
        if row.phone in phones and row.active and (id not in there or id in merged.foreign):
            phones[row.phone].append(id)
    merged.phones = {phone: ids for phone, ids in phones.items() if len(ids) > 1}
    return merged, writing


def _stopped(merged: Merged, stopping: set[str], known: Mapping[str, Any]) -> list[str]:
    return sorted(stopping | {id for id in (*merged.accepted, *merged.changed, *merged.same) if id in known and known[id].stopped})


async def _write(directory: Directory, connection: AsyncConnection, rows: list[Row], writing: list[Contact], before: list[str]) -> None:
    """``before``: who of them was there; of the others there is nothing to delete."""
    insert = directory.tables.insert(t.contacts)
    values = {column.name: insert.excluded[column.name] for column in t.contacts.c if column.name not in ("id", "stopped")}
    values["stopped"] = sql.or_(t.contacts.c.stopped, insert.excluded.stopped)  # no file takes back what the person said
    await connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values), rows)
    for first in range(0, len(before), t.AT_ONCE):
        await connection.execute(sql.delete(t.districts).where(t.districts.c.contact.in_(before[first : first + t.AT_ONCE])))
    await connection.execute(sql.insert(t.districts), [row for contact in writing for row in district_rows(contact)])


async def _leave(connection: AsyncConnection, gone: list[str], at_ms: int) -> None:
    for first in range(0, len(gone), t.AT_ONCE):
        some = t.contacts.c.id.in_(gone[first : first + t.AT_ONCE])
        await connection.execute(sql.update(t.contacts).where(some).values(active=False, changed_ms=at_ms))
