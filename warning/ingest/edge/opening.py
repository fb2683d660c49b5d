"""An outbox that a power cut or a dying card has damaged is moved aside, what can be read of it is taken over, and the work goes on."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from warning.ingest.edge.outbox import WAITING, Entry, NotTaken, Outbox, readable

_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT)
_MOST_ASIDE = 3  # damaged files that stay for somebody to look at
_AT_A_TIME = 500
_PARTS = ("-wal", "-shm", "")  # in the order in which they are moved: a log beside another database would be played into it
_MAKING, _MADE = ".making", ".made"  # the new one, until it has all that could be read of the old one; and from then on

_ROWS = f"""
SELECT r.id, s.name, s.kept_last, r.time_ms, r.value, r.unit, r.datum, r.above, r.boot_ms FROM readings r CROSS JOIN series s
ON s.id = r.series WHERE r.id >= ? AND +r.state = {WAITING} AND (r.boot IS NULL OR r.boot = ?) ORDER BY r.id
"""  # noqa: S608 - our own constant

_log = logging.getLogger(__name__)


def open_outbox(path: Path, boot: str, most_bytes: int, now_ms: int) -> Outbox:
    """The outbox at ``path``, made anew if what is there cannot be read. Raises OSError, sqlite3.Error, Unavailable: the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if _beside(path, _MADE).exists():  # the power went while they changed places
        _exchange(path, now_ms)
    try:
        outbox = Outbox(path, boot, most_bytes)
        if (damage := damage_of(outbox)) == "":
            return outbox
        outbox.close()
    except sqlite3.DatabaseError as error:
        if not broken(error):
            raise
        damage = str(error)
    _log.error("the outbox is damaged (%s): it is moved aside, a new one is made", damage)
    took = _made_anew(path, boot, most_bytes, now_ms)
    aside = _exchange(path, now_ms)
    _log.warning("%d waiting readings of the damaged outbox are taken over; it is %s", took, aside)
    return Outbox(path, boot, most_bytes)


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


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _made_anew(path: Path, boot: str, most_bytes: int, now_ms: int) -> int:
    """A new outbox, beside the damaged one until it has all that can be read of that. How many readings."""
    making = _beside(path, _MAKING)
    older = sorted(one for one in path.parent.glob(f"{path.name}.broken-*") if not one.name.endswith(("-wal", "-shm")))
    for old in (making, *older[: 1 - _MOST_ASIDE]):
        for part in _PARTS:
            _beside(old, part).unlink(missing_ok=True)
    path.with_suffix(".ballast").unlink(missing_ok=True)  # room for the copy
    fresh = Outbox(making, boot, most_bytes)
    try:
        took = _take_over(path, fresh, boot, now_ms)
    finally:
        fresh.close()  # its log goes into it
        making.with_suffix(".ballast").unlink(missing_ok=True)
    if _beside(making, "-wal").exists():
        raise OSError(f"{making} cannot be finished")
    making.replace(_beside(path, _MADE))
    return took


def _exchange(path: Path, now_ms: int) -> Path:
    """The new outbox takes its place, the damaged one is moved aside and stays a while. Killed anywhere in it, it is done again."""
    aside = _beside(path, f".broken-{now_ms}")
    for part in _PARTS:
        if _beside(path, part).exists():
            _beside(path, part).replace(_beside(aside, part))
    _beside(path, _MADE).replace(path)
    return aside


def _take_over(damaged: Path, fresh: Outbox, boot: str, now_ms: int) -> int:
    """Whatever can still be read: from the beginning up to the damage, and from the end back to it; so many readings."""
    database = sqlite3.connect(damaged)
    database.text_factory = readable
    try:
        boots = [int(str(id)) for (id,) in _readable(database, "SELECT id FROM boots WHERE name = ?", boot)] or [-1]
        took, last = _copied(database, fresh, 0, boots[0], now_ms)
        behind = _first_behind(database, last)
        if behind is not None:
            took += _copied(database, fresh, behind, boots[0], now_ms)[0]
        kept = {str(name): str(value) for name, value in _readable(database, "SELECT name, value FROM kept")}
    finally:
        database.close()
    what = "the outbox was damaged; it is kept as outbox.db.broken-*"
    note = NotTaken("outbox_damaged", "", what, "look at the card", b"", "edge")
    fresh.put((), (note,), now_ms, kept)
    return took


def _copied(database: sqlite3.Connection, fresh: Outbox, first: int, boot: int, now_ms: int) -> tuple[int, int]:
    """Puts what is readable from row ``first`` on, a few at a time; how many, and the last row."""
    took, last, some = 0, first, list[Entry]()
    for id, name, kept_last, *rest in _readable(database, _ROWS, first, boot):
        station, _, parameter = str(name).rpartition(" ")
        time_ms, value, unit, datum, above, boot_ms = rest
        last = int(str(id))
        if isinstance(time_ms, int) and (value is None or isinstance(value, float)) and isinstance(above, int):
            since = boot_ms if isinstance(boot_ms, int) else None
            some.append(Entry(station, parameter, time_ms, value, str(unit), str(datum), above, since, bool(kept_last)))
        if len(some) >= _AT_A_TIME:
            took += fresh.put(some, (), now_ms)
            some = []
    return took + fresh.put(some, (), now_ms), last


def _first_behind(database: sqlite3.Connection, last: int) -> int | None:
    """The first row behind the damage, as far as the way from the end goes; None: there is none after ``last``."""
    found = None
    for (id,) in _readable(database, "SELECT id FROM readings WHERE id > ? ORDER BY id DESC", last):
        found = int(str(id))
    return found


def _readable(database: sqlite3.Connection, sql: str, *values: int | str) -> Iterator[tuple[object, ...]]:
    """Rows until one cannot be read."""
    try:
        yield from database.execute(sql, values)
    except (sqlite3.Error, OverflowError) as error:
        _log.warning("of the damaged outbox no more can be read: %s", error)
