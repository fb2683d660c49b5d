"""The chain's lines as the database has them now, in their order and in bounded memory: for the audit's export and for a trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import tables as t
from warning.dispatch.trail import line_of
from warning.proof import chain

PAGE = 1000
_COLUMNS = ("seq", "delivery", "part", "was", "became", "at_ms", "why", "route", "attempt")
_WHOSE = (t.deliveries.c.alert, t.deliveries.c.contact, t.deliveries.c.channel)


async def lines(connection: AsyncConnection, salt: str, upto: int) -> AsyncIterator[tuple[dict[str, Any], str]]:
    """(line, digest) of each link up to ``upto``. Nothing is checked here: what does not fit is for the verification to name."""
    after = 0
    while after < upto:
        page = {**await _transitions(connection, salt, after, upto), **await _acts(connection, after, upto)}
        for seq in sorted(page):
            yield page[seq]
        after += PAGE


async def _transitions(connection: AsyncConnection, salt: str, after: int, upto: int) -> dict[int, tuple[dict[str, Any], str]]:
    query = (
        select(t.transitions, *_WHOSE)
        .join(t.deliveries, t.deliveries.c.id == t.transitions.c.delivery)
        .where(t.transitions.c.seq > after, t.transitions.c.seq <= min(after + PAGE, upto))
    )
    found = {}
    for row in (await connection.execute(query)).mappings():
        moved = {name: row[name] for name in (*_COLUMNS, "alert", "contact", "channel")}
        found[row["seq"]] = (line_of(salt, moved), row["digest"])
    return found


async def _acts(connection: AsyncConnection, after: int, upto: int) -> dict[int, tuple[dict[str, Any], str]]:
    query = select(chain.acts).where(chain.acts.c.seq > after, chain.acts.c.seq <= min(after + PAGE, upto))
    found = {}
    for row in (await connection.execute(query)).mappings():
        body = msgspec.json.decode(row["body"])
        found[row["seq"]] = ({**body, "kind": row["kind"], "at_ms": row["at_ms"], "seq": row["seq"]}, row["digest"])
    return found


async def contacts(connection: AsyncConnection) -> AsyncIterator[str]:
    """Ids of all whom a delivery was ever planned for, and of operators who ever got an SMS."""
    for whose in (t.deliveries.c.contact, t.operator_texts.c.contact):
        after = ""
        while found := list(
            (await connection.execute(select(whose).where(whose > after).distinct().order_by(whose).limit(PAGE))).scalars()
        ):
            for each in found:
                yield each
            after = found[-1]
