"""Many rows of a table in one statement, past SQLAlchemy's work for each row: SQLite's ``executemany``, PostgreSQL's ``unnest``.

A warning to ninety thousand is half a million rows. For each row of a list of parameters SQLAlchemy builds a dictionary and asks each type
how it is written, which costs more than SQLite's own work. Here a row goes as a plain tuple; what differs between the two databases, the
truth value that SQLite keeps as a number, is put right when rows are read.

A column in which all have the same goes to PostgreSQL once: of a list the driver asks each value whether it is a list in its turn, which
was a tenth of the dispatcher's CPU, and in a batch most of a row is what the others have.

The texts are put together from the names in ``tables`` alone; every value is a parameter.
"""

# ruff: noqa: S608

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, String, Table
from sqlalchemy.ext.asyncio import AsyncConnection

Row = dict[str, Any]
MANY = 32  # rows from which that is worth a statement of its own

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
        await _write(connection, _inserting, table, names, rows)


async def change(connection: AsyncConnection, table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Sets the columns ``names`` of the rows with these ``id``; all rows have them."""
    if rows:
        await _write(connection, _changing, table, (*names, "id"), list(map(itemgetter(*names, "id"), rows)))


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
    if _postgresql(connection):
        each = _each(table, column, tuple(also)) + order, (list(dict.fromkeys(values)), *also.values())
        return [dict(zip(names, row, strict=True)) for row in (await connection.exec_driver_sql(*each)).all()]
    result = await connection.exec_driver_sql(*_among(connection, begin, table.c[column], values, also, order))
    rows = [dict(zip(names, row, strict=True)) for row in result.all()]
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


async def _write(
    connection: AsyncConnection,
    put_together: Callable[[Table, tuple[str, ...], tuple[bool, ...] | None], str],
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    if _postgresql(connection):
        columns, many = list(zip(*rows, strict=True)), len(rows)
        alike = tuple(many >= MANY and column.count(column[0]) == many for column in columns[:-1])  # one is left to count by
        values = [column[0] if same else list(column) for column, same in zip(columns, (*alike, False), strict=True)]
        await connection.exec_driver_sql(put_together(table, names, (*alike, False)), tuple(values))
    else:
        await connection.exec_driver_sql(put_together(table, names, None), list(rows))


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


def _news(table: Table, names: tuple[str, ...], alike: tuple[bool, ...]) -> tuple[tuple[str, ...], str]:
    """Of rows whose columns are parameters, in the order of ``names``: a list, or what all have in common. What stands for each column, and
    what they are selected from."""
    lists = [(number, name) for number, (name, same) in enumerate(zip(names, alike, strict=True), 1) if not same]
    arrays = ", ".join(f"${number}::{_array(table.c[name])}" for number, name in lists)
    kinds = [_array(table.c[name]).removesuffix("[]") for name in names]
    each = tuple(f"${number}::{kinds[number - 1]}" if same else f"news.{names[number - 1]}" for number, same in enumerate(alike, 1))
    return each, f"unnest({arrays}) AS news({', '.join(name for _, name in lists)})"


@cache
def _inserting(table: Table, names: tuple[str, ...], alike: tuple[bool, ...] | None) -> str:
    """``alike`` None: for SQLite, as below."""
    head = f"INSERT INTO {table.name} ({', '.join(names)})"
    if alike is None:
        return f"{head} VALUES ({', '.join('?' * len(names))})"
    each, source = _news(table, names, alike)
    return f"{head} SELECT {', '.join(each)} FROM {source}"


@cache
def _changing(table: Table, names: tuple[str, ...], alike: tuple[bool, ...] | None) -> str:
    """The last name is "id"."""
    if alike is None:
        return f"UPDATE {table.name} SET {', '.join(f'{name} = ?' for name in names[:-1])} WHERE id = ?"
    each, source = _news(table, names, alike)
    news = ", ".join(f"{name} = {new}" for name, new in zip(names[:-1], each, strict=False))
    return f"UPDATE {table.name} SET {news} FROM {source} WHERE {table.name}.id = news.id"


@cache
def _reading(table: Table) -> tuple[tuple[str, ...], str]:
    names = tuple(column.name for column in table.c)
    return names, f"SELECT {', '.join(names)} FROM {table.name}"


@cache
def _each(table: Table, column: str, also: tuple[str, ...]) -> str:
    """For PostgreSQL: an index is asked for each value (OFFSET keeps that a loop). Of "= ANY" it thinks that it finds a great part of a
    table which was never analyzed, and reads the whole: for each batch of receipts the parts of all messages of an alert."""
    wanted = " AND ".join([f"{column} = wanted.value", *(f"{name} = ${number}" for number, name in enumerate(also, 2))])
    loop = f"LATERAL ({_reading(table)[1]} WHERE {wanted} OFFSET 0) AS found"
    return f"SELECT found.* FROM unnest($1::{_array(table.c[column])}) AS wanted(value) CROSS JOIN {loop}"


@cache
def _truths(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c if isinstance(column.type, Boolean))
