"""How far each series of each source is in the log: in the deployment's database, moved only after the brokers have the readings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from warning.errors import Unavailable
from warning.ingest.keys import open_engine

_METADATA = sql.MetaData()
_MARKS = sql.Table(
    "ingest_watermarks",
    _METADATA,
    sql.Column("source", sql.String(50), primary_key=True),
    sql.Column("station", sql.String(100), primary_key=True),
    sql.Column("parameter", sql.String(30), primary_key=True),
    sql.Column("time_ms", sql.BigInteger, nullable=False),  # of the newest reading in the log
    sql.Column("at_ms", sql.BigInteger, nullable=False),  # when that was written here
)


class Watermarks:
    """``clock``: ms since 1970, for people who look when it was."""

    def __init__(self, database: str, clock: Callable[[], int], within_s: float = 10.0) -> None:
        self._engine, self._clock, self._within_s = open_engine(database, within_s), clock, within_s
        self._made = False

    async def close(self) -> None:
        await self._engine.dispose()

    async def load(self, source: str) -> dict[tuple[str, str], int]:
        """(station, parameter) -> time in ms. Raises Unavailable."""
        rows = await self._run(sql.select(_MARKS).where(_MARKS.c.source == source), ())
        return {(row.station, row.parameter): row.time_ms for row in rows}

    async def move(self, source: str, marks: Mapping[tuple[str, str], int]) -> None:
        """Forward only; all or nothing. Raises Unavailable."""
        if not marks:
            return
        now_ms = self._clock()
        rows = [
            {"source": source, "station": station, "parameter": parameter, "time_ms": time_ms, "at_ms": now_ms}
            for (station, parameter), time_ms in sorted(marks.items())
        ]
        insert: Any = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement = insert(_MARKS)
        newer = {name: statement.excluded[name] for name in ("time_ms", "at_ms")}
        key = ("source", "station", "parameter")
        statement = statement.on_conflict_do_update(index_elements=key, set_=newer, where=_MARKS.c.time_ms < statement.excluded.time_ms)
        await self._run(statement, rows)

    async def _run(self, statement: Any, rows: Any) -> Any:
        """Rows of a select."""
        try:
            async with asyncio.timeout(self._within_s):
                if not self._made:
                    await self._make_table()
                async with self._engine.begin() as connection:
                    result = await (connection.execute(statement, rows) if rows else connection.execute(statement))
                    return result.all() if result.returns_rows else ()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            words = f"the database of watermarks is away: {type(error).__name__} {getattr(error, 'orig', None) or error}"
            raise Unavailable(words, reason="database", retry_after_s=5.0) from error

    async def _make_table(self) -> None:
        for last in (False, True):  # two processes that start together: one of them loses the race, and then it is there
            try:
                async with self._engine.begin() as connection:
                    await connection.run_sync(_METADATA.create_all)
            except (SQLAlchemyError, IntegrityError):
                if last:
                    raise
            else:
                self._made = True
                return
