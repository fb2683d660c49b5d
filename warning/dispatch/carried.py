"""The version of the ledger's tables: made anew, carried over from the version before, or refused. All in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, delete, insert, inspect, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateColumn

from warning.dispatch import tables as t
from warning.dispatch.trail import CARRIED, Trail
from warning.errors import ExitCode, StateError
from warning.proof import chain

log = logging.getLogger(__name__)

VERSION = 3
NEW_IN_2 = (t.deliveries.c.route, t.deliveries.c.deadline_ms, t.deliveries.c.step, t.parts.c.route)
NEW_IN_3 = (t.deliveries.c.resent, t.deliveries.c.resent_ms)
MOST = 1000


async def create(connection: AsyncConnection) -> None:
    """All tables, in the version of this code. Raises StateError for a version that it does not know."""
    version = await connection.run_sync(_version)
    if version not in (0, 1, 2, VERSION):
        raise StateError(
            f"the ledger is of version {version}, this code reads up to {VERSION}: start the code that wrote it, or a newer one",
            exit_code=ExitCode.CHECKPOINT_VERSION,
            reason="ledger_version",
        )
    if version in (1, 2):
        await connection.run_sync(_columns, (*NEW_IN_2, *NEW_IN_3) if version == 1 else NEW_IN_3)
    await connection.run_sync(t.metadata.create_all)
    await connection.run_sync(_index)
    await connection.run_sync(_loosen)
    await chain.create(connection)
    if version == 1:
        await _first_transitions(connection)
    newest = await _newest(connection)
    if await chain.heal(connection, newest):
        log.critical(
            "the head of the audit's chain was put back; it goes on after seq %d, and every verification names the place", newest[0]
        )
    if version != VERSION:
        await connection.execute(delete(t.versions))
        await connection.execute(insert(t.versions).values(version=VERSION))


async def _newest(connection: AsyncConnection) -> tuple[int, str]:
    """(seq, digest) of the newest line that is stored, of either kind."""
    found = [(0, chain.FIRST)]
    for table in (t.transitions, chain.acts):
        row = (await connection.execute(select(table.c.seq, table.c.digest).order_by(table.c.seq.desc()).limit(1))).first()
        if row is not None:
            found.append((row.seq, row.digest))
    return max(found)


def _version(connection: Connection) -> int:
    """0: there is none yet; 1: from before there was a number."""
    there = inspect(connection)
    if there.has_table(t.versions.name):
        return int(connection.execute(select(t.versions.c.version)).scalar_one_or_none() or 0)
    return 1 if there.has_table(t.deliveries.name) else 0


def _index(connection: Connection) -> None:
    """Those that are missing, or name other columns: the one by chain named no contact once, and what is asked for each contact of a chain
    would read all of them."""
    for table in (t.alerts, t.deliveries):
        there = {str(one["name"]): one["column_names"] for one in inspect(connection).get_indexes(table.name)}
        for wanted in table.indexes:
            if there.get(str(wanted.name)) != wanted.columns.keys():
                wanted.drop(connection, checkfirst=True)
                wanted.create(connection)


def _loosen(connection: Connection) -> None:
    """The chain's lines had a foreign key to their deliveries, a third of what PostgreSQL did for a message. SQLite drops none.

    Where somebody has the tables now it stays, until the ledger is opened the next time: who waited to have them alone, as for a report
    that is being read, would hold up this start and all that goes.
    """
    table = t.transitions.name
    keys = [] if connection.dialect.name == "sqlite" else inspect(connection).get_foreign_keys(table)
    if not keys:
        return
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(f"LOCK TABLE {t.deliveries.name}, {table} IN ACCESS EXCLUSIVE MODE NOWAIT")
            for key in keys:
                connection.exec_driver_sql(f'ALTER TABLE {table} DROP CONSTRAINT "{key["name"]}"')
    except DBAPIError as error:
        log.warning("the ledger is slower than it could be until it is opened with nobody at it: a foreign key stays: %s", error.orig)


def _columns(connection: Connection, new: Sequence[Column[Any]]) -> None:
    for column in new:
        words = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {words}")


async def _first_transitions(connection: AsyncConnection) -> None:
    """What was there before the chain began enters it as it stands."""
    salt, last = await chain.salt(connection), 0
    while True:
        query = select(t.deliveries).where(t.deliveries.c.id > last).order_by(t.deliveries.c.id).limit(MOST)
        rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        if not rows:
            return
        trail, last = Trail("", salt), rows[-1]["id"]
        for row in rows:
            trail.moved(row, why=CARRIED)
        await trail.write(connection)
