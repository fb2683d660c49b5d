"""How far each series of each source is in the log: in the deployment's database, moved only after the brokers have the readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sql

from warning.database import Tables

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
        self._tables, self._clock = Tables(database, _METADATA, "watermarks", within_s), clock

    async def close(self) -> None:
        await self._tables.close()

    async def load(self, source: str) -> dict[tuple[str, str], int]:
        """(station, parameter) -> time in ms. Raises Unavailable."""
        rows = await self._tables.run(sql.select(_MARKS).where(_MARKS.c.source == source))
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
        statement = self._tables.insert(_MARKS)
        newer = {name: statement.excluded[name] for name in ("time_ms", "at_ms")}
        key = ("source", "station", "parameter")
        statement = statement.on_conflict_do_update(index_elements=key, set_=newer, where=_MARKS.c.time_ms < statement.excluded.time_ms)
        await self._tables.run(statement, rows)
