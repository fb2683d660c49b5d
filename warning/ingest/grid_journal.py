"""Which files of grids are done with, and how: in the deployment's database, so that a watch that starts again knows.

A file is its path, size and time of change: one that is written anew is another. It is entered after the brokers have its readings; killed
in between, the file is read again, and its readings are duplicates by their identity.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from warning.database import open_engine
from warning.errors import Unavailable

_METADATA = sql.MetaData()
_FILES = sql.Table(
    "ingest_grids",
    _METADATA,
    sql.Column("path", sql.String(1000), primary_key=True),
    sql.Column("size", sql.BigInteger, nullable=False),
    sql.Column("changed_ns", sql.BigInteger, nullable=False),
    sql.Column("readings", sql.Integer, nullable=False),
    sql.Column("reason", sql.String(1000), nullable=False),  # "": taken; else why not
    sql.Column("at_ms", sql.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is now."""

    path: Path
    size: int
    changed_ns: int

    @staticmethod
    def of(path: Path) -> File:
        """Raises OSError where it is not there."""
        found = path.stat()
        return File(path.absolute(), found.st_size, found.st_mtime_ns)


class Journal:
    """``clock``: ms since 1970, for people who look when it was."""

    def __init__(self, database: str, clock: Callable[[], int], within_s: float = 10.0) -> None:
        self._engine, self._clock, self._within_s = open_engine(database, within_s), clock, within_s
        self._made = False

    async def close(self) -> None:
        await self._engine.dispose()

    async def done(self, file: File) -> str | None:
        """None: not yet; "": taken; else why it was not. Raises Unavailable."""
        this = (_FILES.c.path == str(file.path)) & (_FILES.c.size == file.size) & (_FILES.c.changed_ns == file.changed_ns)
        rows = await self._run(sql.select(_FILES.c.reason).where(this))
        return rows[0].reason if rows else None

    async def enter(self, file: File, readings: int, reason: str = "") -> None:
        """The file is done with: ``readings`` of it are in the log, or it is rejected for ``reason``. Raises Unavailable."""
        row = {"size": file.size, "changed_ns": file.changed_ns, "readings": readings, "reason": reason[:1000], "at_ms": self._clock()}
        this = _FILES.c.path == str(file.path)
        if not await self._run(sql.update(_FILES).where(this).values(**row)):
            try:
                await self._run(sql.insert(_FILES).values(path=str(file.path), **row))
            except IntegrityError:  # another process did the same file meanwhile, and wrote the same
                await self._run(sql.update(_FILES).where(this).values(**row))

    async def _run(self, statement: Any) -> Any:
        """Rows of a select, else how many it changed."""
        try:
            async with asyncio.timeout(self._within_s):
                if not self._made:
                    async with self._engine.begin() as connection:
                        await connection.run_sync(_METADATA.create_all)
                    self._made = True
                async with self._engine.begin() as connection:
                    result = await connection.execute(statement)
                    return result.all() if result.returns_rows else result.rowcount
        except IntegrityError:
            raise
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            words = f"the database of grids is away: {type(error).__name__} {getattr(error, 'orig', None) or error}"
            raise Unavailable(words, reason="database", retry_after_s=5.0) from error
