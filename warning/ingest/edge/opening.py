"""An outbox that a power cut or a dying card has damaged is moved aside, what can be read of it is taken over, and the work goes on."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from warning.ingest.edge.outbox import WAITING, Entry, NotTaken, Outbox

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT)
_MOST_ASIDE = 3  # damaged files that stay for somebody to look at
_AT_A_TIME = 500

_log = logging.getLogger(__name__)


def open_outbox(path: Path, boot: str, most_bytes: int, now_ms: int) -> Outbox:
    """The outbox at ``path``, made anew if what is there cannot be read. Raises OSError, sqlite3.Error: the disk itself is to blame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        outbox = Outbox(path, boot, most_bytes)
        if (damage := damage_of(outbox)) == "":
            return outbox
        outbox.close()
    except sqlite3.DatabaseError as error:
        if not broken(error):
            raise
        damage = str(error)
    aside = _aside(path, now_ms)
    _log.error("the outbox is damaged (%s): moved aside as %s, a new one is made", damage, aside)
    fresh = Outbox(path, boot, most_bytes)
    took = _take_over(aside, fresh, now_ms)
    _log.warning("%d waiting readings of the damaged outbox are taken over", took)
    return fresh


def broken(error: sqlite3.Error) -> bool:
    """Whether it is the file's content, and not the disk, that SQLite complains of."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _BROKEN


def damage_of(outbox: Outbox) -> str:
    """What SQLite finds wrong with the file; "": nothing."""
    try:
        return outbox.damage()
    except sqlite3.DatabaseError as error:
        if not broken(error):
            raise
        return str(error)


def _aside(path: Path, now_ms: int) -> Path:
    aside = path.with_name(f"{path.name}.broken-{now_ms}")
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.replace(aside.with_name(aside.name + ending))
    older = sorted(one for one in path.parent.glob(f"{path.name}.broken-*") if not one.name.endswith(("-wal", "-shm")))
    for old in older[:-_MOST_ASIDE]:
        for ending in ("", "-wal", "-shm"):
            old.with_name(old.name + ending).unlink(missing_ok=True)
    return aside


def _take_over(aside: Path, fresh: Outbox, now_ms: int) -> int:
    """Whatever can still be read: from the beginning up to the damage, and from the end back to it."""
    found: dict[int, Entry] = {}
    for order in ("", " DESC"):
        found |= dict(_readable(aside, order))
    entries = [found[id] for id in sorted(found)]
    for first in range(0, len(entries), _AT_A_TIME):
        fresh.put(entries[first : first + _AT_A_TIME], (), now_ms)
    note = NotTaken("outbox_damaged", "", f"the outbox was damaged; it is kept as {aside.name}", "look at the card", b"", "edge")
    fresh.put((), (note,), now_ms)
    return len(entries)


def _readable(aside: Path, order: str) -> Iterator[tuple[int, Entry]]:
    columns = "SELECT r.id, s.name, s.kept_last, r.time_ms, r.value, r.unit, r.datum, r.above FROM readings r"
    sql = f"{columns} JOIN series s ON s.id = r.series WHERE +r.state = {WAITING} AND r.boot IS NULL ORDER BY r.id{order}"
    database = sqlite3.connect(aside)
    try:
        for id, name, last, *rest in database.execute(sql):
            station, _, parameter = str(name).rpartition(" ")
            time_ms, value, unit, datum, above = rest
            if isinstance(time_ms, int) and (value is None or isinstance(value, float)) and isinstance(above, int):
                yield id, Entry(station, parameter, time_ms, value, str(unit), str(datum), above, last=bool(last))
    except (sqlite3.Error, OverflowError) as error:
        _log.warning("of the damaged outbox no more can be read: %s", error)
    finally:
        database.close()
