"""Many rows of a table in one statement, past SQLAlchemy's work for each row: SQLite's ``executemany``, PostgreSQL's ``unnest``.

A warning to ninety thousand is half a million rows. For each row of a list of parameters SQLAlchemy builds a dictionary and asks each type
how it is written, which costs more than SQLite's own work. Here a row goes as a plain tuple; what differs between the two databases, the
truth value that SQLite keeps as a number, is put right when rows are read.

The texts are put together from the names in ``tables`` alone; every value is a parameter.
"""

# ruff: noqa: S608

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table
from sqlalchemy.ext.asyncio import AsyncConnection

Row = dict[str, Any]

_ARRAYS: tuple[tuple[type, str], ...] = (
    (BigInteger, "bigint[]"),
    (Integer, "integer[]"),
    (Boolean, "boolean[]"),
    (LargeBinary, "bytea[]"),
    (String, "text[]"),
)


async def insert(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    """All rows have the keys of the first; what a row has beyond the table's columns is left out."""
    if rows:
        names = tuple(column.name for column in table.c if column.name in rows[0])
        await enter(connection, table, names, list(map(itemgetter(*names), rows)))


async def enter(connection: AsyncConnection, table: Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """The same of tuples: the values of the columns ``names``, two at least."""
    if rows:
        await _write(connection, _inserting(_postgresql(connection), table, names), rows)


async def change(connection: AsyncConnection, table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Sets the columns ``names`` of the rows with these ``id``; all rows have them."""
    if rows:
        await _write(connection, _changing(_postgresql(connection), table, names), list(map(itemgetter(*names, "id"), rows)))


async def remove(connection: AsyncConnection, table: Table, column: str, values: Collection[Any], **also: str) -> None:
    """The rows whose ``column`` is one of ``values``, and whose other columns are as ``also`` says."""
    if values:
        await connection.exec_driver_sql(*_among(connection, f"DELETE FROM {table.name}", table.c[column], values, also))


async def found(connection: AsyncConnection, table: Table, column: str, values: Collection[Any], **also: str) -> list[Row]:
    """The whole rows of the same, by their id where the table has one."""
    if not values:
        return []
    names, begin = _reading(table)
    order = " ORDER BY id" if "id" in names else ""
    result = await connection.exec_driver_sql(*_among(connection, begin, table.c[column], values, also, order))
    rows = [dict(zip(names, row, strict=True)) for row in result.all()]
    if not _postgresql(connection):
        for name in _truths(table):
            for row in rows:
                row[name] = bool(row[name])
    return rows


async def numbers(connection: AsyncConnection, table: Table, many: int) -> list[int]:
    """So many new ids for rows to be inserted in this transaction, in order."""
    if not many:
        return []
    if _postgresql(connection):
        query = f"SELECT nextval(pg_get_serial_sequence('{table.name}', 'id')) FROM generate_series(1, $1::integer)"
        return sorted(row[0] for row in (await connection.exec_driver_sql(query, (many,))).all())
    last = (await connection.exec_driver_sql(f"SELECT coalesce(max(id), 0) FROM {table.name}")).scalar_one()
    return list(range(last + 1, last + 1 + many))


def _postgresql(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"


async def _write(connection: AsyncConnection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if _postgresql(connection):
        await connection.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))
    else:
        await connection.exec_driver_sql(statement, list(rows))


def _among(
    connection: AsyncConnection, begin: str, column: Column[Any], values: Collection[Any], also: Mapping[str, str], end: str = ""
) -> tuple[str, tuple[Any, ...]]:
    if _postgresql(connection):
        others = "".join(f" AND {name} = ${number}" for number, name in enumerate(also, 2))
        return f"{begin} WHERE {column.name} = ANY($1::{_array(column)}){others}{end}", (list(values), *also.values())
    others = "".join(f"{name} = ? AND " for name in also)
    some = f"{column.name} IN (SELECT value FROM json_each(?))"
    return f"{begin} WHERE {others}{some}{end}", (*also.values(), json.dumps(list(values), ensure_ascii=False))


def _array(column: Column[Any]) -> str:
    return next(name for kind, name in _ARRAYS if isinstance(column.type, kind))


def _unnested(table: Table, names: tuple[str, ...]) -> str:
    return "unnest(" + ", ".join(f"${number}::{_array(table.c[name])}" for number, name in enumerate(names, 1)) + ")"


@cache
def _inserting(postgresql: bool, table: Table, names: tuple[str, ...]) -> str:
    head = f"INSERT INTO {table.name} ({', '.join(names)})"
    if postgresql:
        return f"{head} SELECT * FROM {_unnested(table, names)}"
    return f"{head} VALUES ({', '.join('?' * len(names))})"


@cache
def _changing(postgresql: bool, table: Table, names: tuple[str, ...]) -> str:
    if postgresql:
        news = ", ".join(f"{name} = news.{name}" for name in names)
        source = f"{_unnested(table, (*names, 'id'))} AS news({', '.join((*names, 'id'))})"
        return f"UPDATE {table.name} SET {news} FROM {source} WHERE {table.name}.id = news.id"
    return f"UPDATE {table.name} SET {', '.join(f'{name} = ?' for name in names)} WHERE id = ?"


@cache
def _reading(table: Table) -> tuple[tuple[str, ...], str]:
    names = tuple(column.name for column in table.c)
    return names, f"SELECT {', '.join(names)} FROM {table.name}"


@cache
def _truths(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c if isinstance(column.type, Boolean))
