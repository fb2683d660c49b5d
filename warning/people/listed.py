"""The directory as people read it: who is in it, from where, and whether they want to hear. And as the CSV that it came from."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TextIO

import sqlalchemy as sql

from warning.config_schema import ContactRow
from warning.people import tables as t
from warning.people.directory import CHUNK, Directory
from warning.people.rows import contact_of
from warning.region import Contact

COLUMNS = tuple(ContactRow.model_fields)


@dataclass(frozen=True, slots=True)
class Entry:
    """``stopped``: it said so itself. ``active`` False: it left its file, or was removed."""

    contact: Contact
    origin: str
    stopped: bool
    active: bool
    changed_ms: int


@dataclass(frozen=True, slots=True)
class Wish:
    """Which entries; empty: all that are active."""

    district: str = ""
    village: str = ""
    origin: str = ""
    stopped: bool = False  # only those
    inactive: bool = False  # these, too
    id: str = ""


async def entries(directory: Directory, wish: Wish) -> AsyncIterator[list[Entry]]:
    """By id, at most ``CHUNK`` at once."""
    own = t.contacts.c
    query = sql.select(t.contacts).order_by(own.id).limit(CHUNK)
    for name in ("village", "origin", "id"):
        if wanted := getattr(wish, name):
            query = query.where(own[name] == wanted)
    if wish.district:
        near = t.districts.c.contact == own.id, t.districts.c.district.in_((wish.district, t.EVERYWHERE))
        query = query.where(sql.exists().where(*near).correlate(t.contacts))
    if wish.stopped:
        query = query.where(own.stopped)
    if not wish.inactive:
        query = query.where(own.active)
    last = ""
    while rows := await directory.tables.run(query.where(own.id > last)):
        yield [Entry(contact_of(row), row.origin, bool(row.stopped), bool(row.active), row.changed_ms) for row in rows]
        last = rows[-1].id


async def counts(directory: Directory) -> dict[str, int]:
    """origin -> contacts that are active."""
    own = t.contacts.c
    rows = await directory.tables.run(sql.select(own.origin, sql.func.count()).where(own.active).group_by(own.origin).order_by(own.origin))
    return {row[0]: int(row[1]) for row in rows}


def write_csv(file: TextIO, some: list[Entry], *, header: bool, secrets: bool) -> None:
    """Rows that ``warning contacts import`` takes. Without ``secrets`` the keys of webhooks are left out."""
    writer = csv.writer(file, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(entry.contact, name, secrets=secrets) for name in COLUMNS] for entry in some)


def _cell(contact: Contact, name: str, *, secrets: bool) -> str:
    value: Any = getattr(contact, name)
    if name == "secret" and not secrets:
        return ""
    if name == "districts":
        return "|".join(value) or "*"
    if name == "quiet":
        return "" if value is None else "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in value)
    if isinstance(value, tuple):
        return "|".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(getattr(value, "value", value))
