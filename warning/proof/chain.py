"""A hash chain over what happened: each line carries the SHA-256 of the one before it, so what is changed, removed, inserted or cut shows.

A line is a JSON object; its canonical form is UTF-8 with sorted keys and no spaces, and its digest is
SHA-256(digest of the line before, in hex, a newline, the canonical form). The first line follows 64 zeros. ``seq`` counts from 1 without
gaps. One chain a deployment: whoever writes locks its head first, so lines of several processes stand in one order.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sql
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.database import Tables
from warning.errors import Unavailable

FIRST = "0" * 64  # the digest before the first line
HEAD = "ledger"
Line = Mapping[str, Any]

metadata = sql.MetaData()

heads = sql.Table(
    "chain_heads",
    metadata,
    sql.Column("name", sql.String, primary_key=True),
    sql.Column("seq", sql.BigInteger, nullable=False),
    sql.Column("digest", sql.String(64), nullable=False),
    sql.Column("salt", sql.String(64), nullable=False),  # what names contacts in the lines: see ``tag``
)

acts = sql.Table(  # what people did; what became of messages stands in the ledger's ``transitions``, in the same count
    "chain_acts",
    metadata,
    sql.Column("seq", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("kind", sql.String, nullable=False),
    sql.Column("body", sql.Text, nullable=False),  # the line's other fields, canonical
    sql.Column("digest", sql.String(64), nullable=False),
)


def canonical(line: Line) -> bytes:
    """The bytes that are hashed.

    >>> canonical({"b": 1, "a": "ä"}).decode()
    '{"a":"ä","b":1}'
    """
    return msgspec.json.encode(line, order="sorted")


def link(before: str, line: Line) -> str:
    """The digest of a line that stands after one with the digest ``before``."""
    return _linked(before, canonical(line))


def _linked(before: str, octets: bytes) -> str:
    return hashlib.sha256(before.encode("ascii") + b"\n" + octets).hexdigest()


class Ordered(Protocol):
    """A line of which there are very many: a ``msgspec.Struct`` whose fields stand in the order of their names, so none is sorted."""

    seq: int


def tag(salt: str, name: str) -> str:
    """What stands for a person in a line: nobody can tell who it is without the salt, and one who has it can check.

    >>> tag("salt", "c1") == tag("salt", "c1") != tag("other", "c1")
    True
    """
    return hashlib.sha256(f"{salt}\n{name}".encode()).hexdigest()[:32]


async def create(connection: AsyncConnection) -> None:
    """The tables and the head, if they are not there. The caller sees to it that two do not create at once."""
    await connection.run_sync(metadata.create_all)
    insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    first = {"name": HEAD, "seq": 0, "digest": FIRST, "salt": secrets.token_hex(32)}
    await connection.execute(insert(heads).values(first).on_conflict_do_nothing())


async def head(connection: AsyncConnection) -> tuple[int, str]:
    """(seq, digest) of the newest line; (0, ``FIRST``) before there is one."""
    row = (await connection.execute(sql.select(heads.c.seq, heads.c.digest).where(heads.c.name == HEAD))).one()
    return row.seq, row.digest


async def salt(connection: AsyncConnection) -> str:
    return str((await connection.execute(sql.select(heads.c.salt).where(heads.c.name == HEAD))).scalar_one())


async def extend(connection: AsyncConnection, lines: Sequence[Line | Ordered]) -> list[tuple[int, str]]:
    """Moves the head over these lines, in the caller's transaction, and returns (seq, digest) of each; the caller stores them.

    The head stays locked until that transaction ends, so it comes last in it. ``seq`` is added to each line before it is hashed.
    """
    count = len(lines)
    move = sql.update(heads).where(heads.c.name == HEAD).values(seq=heads.c.seq + count).returning(heads.c.seq, heads.c.digest)
    row = (await connection.execute(move)).one()
    digest, places = row.digest, []
    for seq, line in enumerate(lines, row.seq - count + 1):
        digest = _linked(digest, _placed(line, seq))
        places.append((seq, digest))
    await connection.execute(sql.update(heads).where(heads.c.name == HEAD).values(digest=digest))
    return places


def _placed(line: Line | Ordered, seq: int) -> bytes:
    """The bytes of a line that stands there."""
    if isinstance(line, Mapping):
        return canonical({**line, "seq": seq})
    line.seq = seq
    return msgspec.json.encode(line)


async def enter(connection: AsyncConnection, kind: str, at_ms: int, **body: Any) -> None:
    """One act of a person, in the caller's transaction: ``kind`` is approval, silence, acknowledgement, command or the like.

    ``body``: who, what, why; JSON values, no telephone number (``tag`` it).
    """
    await enter_all(connection, [{**body, "kind": kind, "at_ms": at_ms}])


async def enter_all(connection: AsyncConnection, lines: Sequence[Line]) -> None:
    """Several acts, in their order; each with ``kind`` and ``at_ms``."""
    rows = []
    for (seq, digest), line in zip(await extend(connection, lines), lines, strict=True):
        body = {name: value for name, value in line.items() if name not in ("kind", "at_ms")}
        rows.append({"seq": seq, "at_ms": line["at_ms"], "kind": line["kind"], "body": canonical(body).decode(), "digest": digest})
    await connection.execute(sql.insert(acts), rows)


async def made(tables: Tables) -> None:
    """Creates what is not there, for whoever enters acts beside tables of his own. Raises Unavailable."""
    for left in (2, 1, 0):  # processes that start together: who loses a race finds one table more
        try:
            async with tables.together() as connection:
                await create(connection)
        except Unavailable:
            if not left:
                raise
        else:
            return


async def heal(connection: AsyncConnection, newest: tuple[int, str]) -> bool:
    """Goes on after the newest line that is stored, where the head stands before it: somebody put it back. Whether that was so.

    What was done to it shows in every verification; it must not stop warnings.
    """
    seq, _ = await head(connection)
    if seq >= newest[0]:
        return False
    await connection.execute(sql.update(heads).where(heads.c.name == HEAD).values(seq=newest[0], digest=newest[1]))
    return True
