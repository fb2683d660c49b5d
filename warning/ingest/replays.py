"""Who had which rejected letters mended and sent again, when and why: in the deployment's database.

An order is a fix that was kept, or a replay. A letter is entered as replayed after the brokers have all its items; killed in between, it is
sent again, and its readings are duplicates by their identity. A letter is known by its place and its digest: at the same place of
another log there stands another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql

from warning.database import NUMBER, Tables
from warning.errors import InputError
from warning.ingest.dead_letters import Letter

_METADATA = sql.MetaData()
_ORDERS = sql.Table(
    "rejected_orders",
    _METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("topic", sql.String(249), nullable=False),
    sql.Column("kind", sql.String(10), nullable=False),  # fix | replay
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("who", sql.String(200), nullable=False),
    sql.Column("why", sql.String(1000), nullable=False),
    sql.Column("selection", sql.Text, nullable=False),  # JSON
    sql.Column("edits", sql.Text, nullable=False),  # JSON
    sql.Column("of", sql.BigInteger),  # the fix that a replay carries out
    sql.Column("sent", sql.BigInteger, nullable=False),  # letters
    sql.Column("ended_ms", sql.BigInteger),  # None: under way, or it was killed
)
_REPLAYED = sql.Table(
    "rejected_replayed",
    _METADATA,
    sql.Column("topic", sql.String(249), primary_key=True),
    sql.Column("partition", sql.Integer, primary_key=True),
    sql.Column("offset", sql.BigInteger, primary_key=True),
    sql.Column("digest", sql.String(32), nullable=False),
    sql.Column("order", sql.BigInteger, nullable=False),
)
_MOST_ROWS = 500  # of one statement


@dataclass(frozen=True, slots=True)
class Order:
    """``selection``, ``edits``: JSON as it was given. ``sent``: letters so far."""

    id: int
    kind: str
    at_ms: int
    who: str
    why: str
    selection: str
    edits: str
    of: int | None
    sent: int
    ended_ms: int | None


class Replays:
    """Orders of one topic and what became of them. ``clock``: ms since 1970 UTC. Methods raise Unavailable when the database is away."""

    def __init__(self, database: str, topic: str, clock: Callable[[], int], within_s: float = 30.0) -> None:
        self._tables, self._topic, self._clock = Tables(database, _METADATA, "replays", within_s), topic, clock

    async def close(self) -> None:
        await self._tables.close()

    async def order(self, kind: str, who: str, why: str, selection: str, edits: str, of: int | None = None) -> int:
        """Enters an order; its number."""
        row = {"topic": self._topic, "kind": kind, "at_ms": self._clock(), "who": who[:200], "why": why[:1000]}
        row |= {"selection": selection, "edits": edits, "of": of, "sent": 0}
        (found,) = await self._tables.run(sql.insert(_ORDERS).values(**row).returning(_ORDERS.c.id))
        return int(found.id)

    async def end(self, order: int, sent: int) -> None:
        await self._tables.run(sql.update(_ORDERS).where(_ORDERS.c.id == order).values(sent=sent, ended_ms=self._clock()))

    async def orders(self, most: int = 1000) -> tuple[Order, ...]:
        """The newest first."""
        return tuple(map(_order, await self._tables.run(self._select().order_by(_ORDERS.c.id.desc()).limit(most))))

    async def fix(self, number: int) -> Order:
        """Raises InputError if there is no fix of that number."""
        rows = await self._tables.run(self._select().where(_ORDERS.c.id == number, _ORDERS.c.kind == "fix"))
        if not rows:
            fix = "see `warning rejected audit`"
            raise InputError(f"no fix {number} was kept", reason="fix", field="--fix", fix=fix)
        return _order(rows[0])

    def _select(self) -> Any:
        names = [_ORDERS.c[name] for name in Order.__dataclass_fields__]
        return sql.select(*names).where(_ORDERS.c.topic == self._topic)

    async def replayed(self, letters: Sequence[Letter]) -> dict[str, int]:
        """name -> the order that sent it, of those letters that were."""
        found: dict[str, int] = {}
        for start in range(0, len(letters), _MOST_ROWS):
            some = {(each.partition, each.offset): each for each in letters[start : start + _MOST_ROWS]}
            columns = sql.tuple_(_REPLAYED.c.partition, _REPLAYED.c.offset)
            query = sql.select(_REPLAYED).where(_REPLAYED.c.topic == self._topic, columns.in_(list(some)))
            for row in await self._tables.run(query):
                letter = some[row.partition, row.offset]
                if letter.digest == row.digest:
                    found[letter.name] = int(row.order)
        return found

    async def enter(self, order: int, letters: Iterable[Letter]) -> None:
        """The brokers have them. At most ``_MOST_ROWS`` at a time."""
        rows = [
            {"topic": self._topic, "partition": each.partition, "offset": each.offset, "digest": each.digest, "order": order}
            for each in letters
        ]
        if not rows:
            return
        statement = self._tables.insert(_REPLAYED)
        news = {"digest": statement.excluded.digest, "order": statement.excluded.order}
        for start in range(0, len(rows), _MOST_ROWS):
            some = rows[start : start + _MOST_ROWS]
            await self._tables.run(statement.on_conflict_do_update(index_elements=["topic", "partition", "offset"], set_=news), some)


def _order(row: Any) -> Order:
    return Order(*(getattr(row, name) for name in Order.__dataclass_fields__))
