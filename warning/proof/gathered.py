"""One chain out of two databases: what a SQLite file of contacts has in its own chain enters the ledger's, once, in its order.

Contacts have a file of their own on SQLite, so that an import never holds up the ledger, and no transaction spans two files through a
power cut. So an act stands in the chain of its own file in the transaction that does it, and is carried over within a second: the lines and
how far they go in one transaction of the ledger's, so that whoever is killed in between goes on where it stopped. On PostgreSQL both are
one database, and there is nothing to carry.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import msgspec
import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.database import Tables
from warning.proof import chain

log = logging.getLogger(__name__)

MOST = 500  # lines in one transaction
PUT_BACK = "put_back"  # the source is not what it was: a backup, or somebody changed it; all of it follows once more
_METADATA = sql.MetaData()
_GATHERED = sql.Table(
    "chain_gathered",
    _METADATA,
    sql.Column("source", sql.String(32), primary_key=True),  # names the file by its salt: another file begins anew
    sql.Column("seq", sql.BigInteger, nullable=False),
    sql.Column("digest", sql.String(64), nullable=False),
)


class Gathering:
    """``source``, ``ledger``: SQLAlchemy URLs; the same one: nothing is done."""

    def __init__(self, source: str, ledger: str) -> None:
        self._same = source == ledger
        self._source = Tables(source, chain.metadata, "acts of people")
        self._ledger = Tables(ledger, _METADATA, "the audit's chain")
        self._known: tuple[int, str] | None = None  # head of the source when all of it was carried
        self._made = False

    async def close(self) -> None:
        await self._source.close()
        await self._ledger.close()

    async def gather(self) -> int:
        """Carries over what is new; how many lines. Raises Unavailable: then it goes on with the next call."""
        if self._same:
            return 0
        rows = await self._source.run(sql.select(chain.heads).where(chain.heads.c.name == chain.HEAD))
        if not rows or (head := (rows[0].seq, rows[0].digest)) == self._known:
            return 0
        name, carried = hashlib.sha256(rows[0].salt.encode()).hexdigest()[:32], 0
        if not self._made:
            await chain.made(self._ledger)
            self._made = True
        while count := await self._some(name, head[0]):
            carried += count
        self._known = head
        return carried

    async def _some(self, name: str, newest: int) -> int:
        """One transaction of at most ``MOST`` lines."""
        async with self._ledger.together() as connection:
            await _in_turn(connection)
            row = (await connection.execute(sql.select(_GATHERED).where(_GATHERED.c.source == name))).first()
            seq, digest = (row.seq, row.digest) if row else (0, chain.FIRST)
            lines: list[dict[str, Any]] = []
            if seq and not await self._stands(seq, digest):
                log.critical(
                    "the contacts' file is not the one that was carried up to seq %d: a backup? All of it enters the audit again", seq
                )
                lines.append({"kind": PUT_BACK, "at_ms": 0, "source": name, "source_seq": seq, "source_digest": digest})
                seq = 0
            acts = chain.acts.c
            query = sql.select(chain.acts).where(acts.seq > seq, acts.seq <= newest).order_by(acts.seq).limit(MOST)
            for act in await self._source.run(query):
                place = {"source": name, "source_seq": act.seq, "source_digest": act.digest}
                lines.append({**msgspec.json.decode(act.body), **place, "kind": act.kind, "at_ms": act.at_ms})
                seq, digest = act.seq, act.digest
            if not lines:
                return 0
            await chain.enter_all(connection, lines)
            insert = self._ledger.insert(_GATHERED).values(source=name, seq=seq, digest=digest if seq else chain.FIRST)
            stands = {"seq": insert.excluded.seq, "digest": insert.excluded.digest}
            await connection.execute(insert.on_conflict_do_update(index_elements=["source"], set_=stands))
            return len(lines)

    async def _stands(self, seq: int, digest: str) -> bool:
        rows = await self._source.run(sql.select(chain.acts.c.digest).where(chain.acts.c.seq == seq))
        return bool(rows) and rows[0].digest == digest


async def salt_of(source: Tables) -> str:
    """What names people in the lines that came from there; "": it has no chain yet."""
    rows = await source.run(sql.select(chain.heads.c.salt).where(chain.heads.c.name == chain.HEAD))
    return str(rows[0].salt) if rows else ""


async def _in_turn(connection: AsyncConnection) -> None:
    """Takes the writing lock (SQLite) and the head (PostgreSQL) before anything is read."""
    await connection.execute(sql.update(chain.heads).where(chain.heads.c.name == chain.HEAD).values(seq=chain.heads.c.seq))
