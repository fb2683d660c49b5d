"""What the node has taken and not yet handed on: SQLite, WAL, synchronous=FULL; one transaction before a sensor is acknowledged.

What was the last word for its series and time already is a duplicate, also after it was sent, as long as there is room to remember it.
Rows of one series and time are sent in the order in which they came, so the last word stays the last.
Used by one thread at a time; it blocks, so the node calls it in a thread of its own.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from warning.errors import Unavailable
from warning.ingest.edge.thinning import thin

WAITING, SENT, UNDATED = 0, 1, 2
_BALLAST_BYTES = 2 << 20  # given up when the disk is full, so that rows can still be deleted
_ROOM_BYTES = 2 << 20  # beside the ballast, or the disk is nearly full whatever the outbox may have
_MOST_REFUSED = 10_000
_AGAIN_S = 10.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kept_last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS readings(
  id INTEGER PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL, time_ms INTEGER NOT NULL, value REAL, unit TEXT NOT NULL,
  datum TEXT NOT NULL, state INTEGER NOT NULL, above INTEGER NOT NULL, boot INTEGER, boot_ms INTEGER);
CREATE INDEX IF NOT EXISTS identity ON readings(series, time_ms, id);
CREATE INDEX IF NOT EXISTS newest ON readings(series, time_ms DESC, id) WHERE state = 0;
CREATE INDEX IF NOT EXISTS flood ON readings(time_ms DESC, id) WHERE state = 0 AND above > 0;
CREATE INDEX IF NOT EXISTS history ON readings(time_ms DESC, id) WHERE state = 0;
CREATE INDEX IF NOT EXISTS remembered ON readings(id) WHERE state = 1;
CREATE INDEX IF NOT EXISTS unsure ON readings(boot) WHERE boot IS NOT NULL;
CREATE TABLE IF NOT EXISTS boots(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS refused(
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, sender TEXT NOT NULL, upstream INTEGER NOT NULL,
  reason TEXT NOT NULL, field TEXT NOT NULL, detail TEXT NOT NULL, fix TEXT NOT NULL, source BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS thinned(
  series INTEGER NOT NULL, rule TEXT NOT NULL, count INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
  PRIMARY KEY(series, rule));
CREATE TABLE IF NOT EXISTS kept(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_INSERT = """
INSERT INTO readings(series, time_ms, value, unit, datum, state, above, boot, boot_ms) VALUES (?,?,?,?,?,?,?,?,?)
"""
_NEWEST = "SELECT value, unit, datum, boot_ms FROM readings WHERE series = ? AND time_ms = ? ORDER BY id DESC LIMIT 1"
_REFUSED = "SELECT at_ms, sender, upstream, reason, field, detail, fix, source FROM refused ORDER BY id DESC LIMIT ?"
_THINNED = """
SELECT ifnull(s.name, ''), t.rule, t.count, t.first_ms, t.last_ms FROM thinned t LEFT JOIN series s ON s.id = t.series ORDER BY 1, 2
"""
_ROW = """
SELECT r.id, s.name, r.time_ms, r.value, r.unit, r.datum FROM readings r INDEXED BY {index} JOIN series s ON s.id = r.series
WHERE r.state = 0 AND r.boot IS NULL
"""  # named, or SQLite looks through all that wait for the few above a limit


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading to be kept, as its sensor sent it. ``boot_ms`` None: its time is sure; else when it came, by CLOCK_BOOTTIME."""

    station: str
    parameter: str
    time_ms: int
    value: float | None
    unit: str
    datum: str
    above: int = 0  # rank of the class that it reaches
    boot_ms: int | None = None
    last: bool = False  # goes last when room runs short: sums of rain cannot be thinned


@dataclass(frozen=True, slots=True)
class Waiting:
    """One reading to be sent."""

    id: int
    station: str
    parameter: str
    time_ms: int
    value: float | None
    unit: str
    datum: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """One item that was refused: here, or by the gateway (``upstream``)."""

    reason: str
    field: str
    detail: str
    fix: str
    source: bytes
    sender: str
    upstream: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """``oldest_ms``: of the waiting ones."""

    waiting: int
    oldest_ms: int | None
    unsure: int  # wait for the time
    undated: int  # of a boot that ended before anybody said what time it was
    refused: int
    thinned: int
    used_bytes: int


class Outbox:
    """Opens or makes ``path``. Raises sqlite3.Error where it cannot be used (``opening.open_outbox`` knows what to do then)."""

    def __init__(self, path: Path, boot: str, most_bytes: int) -> None:
        self.path, self._most_bytes = path, most_bytes
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._database.text_factory = readable
        try:
            self._prepare(boot)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, boot: str) -> None:
        database = self._database
        for setting in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-1024", "temp_store=FILE", "journal_size_limit=1048576"):
            database.execute(f"PRAGMA {setting}").fetchall()
        database.execute("PRAGMA wal_autocheckpoint=250")
        database.executescript(_SCHEMA)
        [(self._page_bytes,)] = database.execute("PRAGMA page_size")
        # A tenth more than wished for, so that thinning has room to work in; beyond that SQLite itself says that it is full.
        self._most_pages(max(256, self._most_bytes * 11 // 10 // self._page_bytes))
        with database:
            database.execute("INSERT OR IGNORE INTO boots(name) VALUES (?)", (boot,))
            [(self._boot,)] = database.execute("SELECT id FROM boots WHERE name = ?", (boot,))
            # Of a boot that is over nobody can say any more when it was.
            database.execute("UPDATE readings SET state = 2 WHERE boot IS NOT NULL AND boot <> ? AND state = 0", (self._boot,))
        self._series = dict(database.execute("SELECT name, id FROM series"))
        self._ballast()

    def close(self) -> None:
        self._database.close()

    # --- in

    def put(self, entries: Sequence[Entry], refused: Sequence[NotTaken], now_ms: int, kept: dict[str, str] | None = None) -> int:
        """Keeps them all or none; how many of ``entries`` are new. ``kept``: what is to be remembered with them. Raises Unavailable."""
        try:
            return self._put(entries, refused, now_ms, kept or {})
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise unavailable(error) from error
        try:
            self._ballast_path.unlink(missing_ok=True)
            self._checkpoint()
            # What is taken in from now on must fit the file as it is: else the log holds pages for which the disk has no room.
            self._most_pages(int(self._database.execute("PRAGMA page_count").fetchone()[0]))
            thin(self._database, lambda: _ROOM_BYTES - self._free_bytes, step=100)  # in the file itself: nobody else can take that room
            self._checkpoint()
            return self._put(entries, refused, now_ms, kept or {})
        except (sqlite3.OperationalError, OSError) as error:
            raise unavailable(error) from error

    def _most_pages(self, pages: int) -> None:
        self._database.execute(f"PRAGMA max_page_count={pages}").fetchall()

    def _checkpoint(self) -> None:
        """What the log of the database holds goes into the file; its room on the disk stays its own."""
        self._database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _put(self, entries: Sequence[Entry], refused: Sequence[NotTaken], now_ms: int, kept: dict[str, str]) -> int:
        database, new = self._database, 0
        database.execute("BEGIN IMMEDIATE")
        try:
            for entry in entries:
                new += self._insert(entry)
            for one in refused:
                self._refuse(one, now_ms)
            for name, value in kept.items():
                self._keep(name, value)
            database.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return new

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):  # SQLite may have done so by itself; then what was raised says why
            self._database.execute("ROLLBACK")

    def _insert(self, entry: Entry) -> int:
        series = self._series_id(f"{entry.station} {entry.parameter}", entry.last)
        boot = None if entry.boot_ms is None else self._boot
        values = (series, entry.time_ms, entry.value, entry.unit, entry.datum, WAITING, entry.above, boot, entry.boot_ms)
        said = (entry.value, entry.unit, entry.datum, entry.boot_ms)  # two that wait for the time may show the same one meanwhile
        if self._database.execute(_NEWEST, (series, entry.time_ms)).fetchone() == said:
            return 0
        self._database.execute(_INSERT, values)
        if entry.above:  # else a revision that reaches a limit would overtake what it revises
            self._database.execute(
                "UPDATE readings SET above = max(above, ?) WHERE series = ? AND time_ms = ? AND state = 0",
                (entry.above, series, entry.time_ms),
            )
        return 1

    def _series_id(self, name: str, last: bool) -> int:
        found = self._series.get(name)
        if found is None:
            self._database.execute("INSERT OR IGNORE INTO series(name, kept_last) VALUES (?, ?)", (name, int(last)))
            [(found,)] = self._database.execute("SELECT id FROM series WHERE name = ?", (name,))
        return int(found)

    def _refuse(self, one: NotTaken, now_ms: int) -> None:
        values = (now_ms, one.sender, int(one.upstream), one.reason, one.field, one.detail, one.fix, one.source)
        self._database.execute(
            "INSERT INTO refused(at_ms, sender, upstream, reason, field, detail, fix, source) VALUES (?,?,?,?,?,?,?,?)", values
        )
        dropped = self._database.execute("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?", (_MOST_REFUSED,)).rowcount
        if dropped > 0:
            self._database.execute(
                "INSERT INTO thinned VALUES (0, 'refused', ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + ?, last_ms = ?",
                (dropped, now_ms, now_ms, dropped, now_ms),
            )

    # --- out

    def next(self, most: int) -> list[Waiting]:
        """The most urgent ones that wait: the newest of each series, then those above a limit, then the rest; each newest first."""
        newest: list[Waiting] = []
        for (series,) in self._database.execute("SELECT id FROM series").fetchall():
            newest += self._rows("newest", "AND r.series = ? ORDER BY r.time_ms DESC, r.id LIMIT 1", series)
        newest.sort(key=lambda one: -one.time_ms)  # a request that holds but one must not leave the other series waiting
        picked = {one.id: one for one in newest[:most]}
        for index, where in (("flood", "AND r.above > 0"), ("history", "")):
            if len(picked) < most:
                picked |= {one.id: one for one in self._rows(index, f"{where} ORDER BY r.time_ms DESC, r.id LIMIT ?", most)}
        return list(picked.values())[:most]

    def _rows(self, index: str, where: str, value: int) -> list[Waiting]:
        found = self._database.execute(_ROW.format(index=index) + where, (value,))
        return [Waiting(id, *name.rpartition(" ")[::2], *rest) for id, name, *rest in found]

    def sent(self, sent: Iterable[int], refused: Iterable[tuple[int, NotTaken]], now_ms: int, kept: dict[str, str] | None = None) -> None:
        """The gateway has them, or has refused them: those are kept apart, with its reasons. Raises Unavailable."""
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("UPDATE readings SET state = 1 WHERE id = ?", [(id,) for id in sent])
            for id, one in refused:
                self._refuse(one, now_ms)
                database.execute("DELETE FROM readings WHERE id = ?", (id,))
            for name, value in (kept or {}).items():
                self._keep(name, value)
            database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._roll_back()
            raise unavailable(error) from error

    def settle(self, offset_ms: int) -> int:
        """The time is sure: dates what came in this boot before it was. How many. Raises Unavailable."""
        try:
            return self._database.execute(
                "UPDATE readings SET time_ms = boot_ms + ?, boot = NULL, boot_ms = NULL WHERE boot = ?", (offset_ms, self._boot)
            ).rowcount
        except sqlite3.OperationalError as error:
            raise unavailable(error) from error

    def again(self, reading: Callable[[bytes], Entry | None]) -> int:
        """Puts back what the gateway refused, as ``reading`` reads it, to be offered anew. How many."""
        rows = self._database.execute("SELECT id, source FROM refused WHERE upstream = 1").fetchall()
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            back = [(id, entry) for id, source in rows if (entry := reading(source)) is not None]
            for id, entry in back:
                self._insert(entry)
                self._database.execute("DELETE FROM refused WHERE id = ?", (id,))
        return len(back)

    # --- what else is kept

    def remembered(self, name: str) -> str | None:
        """What ``put`` or ``sent`` were given to keep under this name."""
        found = self._database.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def _keep(self, name: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (name, value))

    def damage(self) -> str:
        """What SQLite finds wrong with the file, "" if nothing. Reads all of it. Raises sqlite3.DatabaseError."""
        found = [str(word) for (word,) in self._database.execute("PRAGMA quick_check(1)")]
        return "" if found == ["ok"] else "; ".join(found)

    def tidy(self) -> int:
        """Thins where there is more than there may be; how many readings that were not yet sent it cost. Raises Unavailable."""
        try:
            lost = thin(self._database, self._over)
            if self._disk_bytes > 2 * _ROOM_BYTES + _BALLAST_BYTES:
                self._most_pages(max(256, self._most_bytes * 11 // 10 // self._page_bytes))
                self._ballast()
        except (sqlite3.OperationalError, OSError) as error:
            raise unavailable(error) from error
        self._series = dict(self._database.execute("SELECT name, id FROM series"))
        return lost

    @property
    def used_bytes(self) -> int:
        [(pages,)], [(free,)] = self._database.execute("PRAGMA page_count"), self._database.execute("PRAGMA freelist_count")
        return int(pages - free) * int(self._page_bytes)

    def _over(self) -> int:
        """Bytes above its share, or below the room that the disk must still have, free pages of the file included."""
        return max(self.used_bytes - self._most_bytes, _ROOM_BYTES - self._disk_bytes - self._free_bytes)

    @property
    def _disk_bytes(self) -> int:
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize

    @property
    def _free_bytes(self) -> int:
        [(free,)] = self._database.execute("PRAGMA freelist_count")
        return int(free) * int(self._page_bytes)

    def counts(self) -> Counts:
        one = self._database.execute
        [(waiting, oldest)] = one("SELECT count(*), min(time_ms) FROM readings WHERE state = 0")
        [(unsure,)] = one("SELECT count(*) FROM readings WHERE boot = ? AND state = 0", (self._boot,))
        [(undated,)] = one("SELECT count(*) FROM readings WHERE boot IS NOT NULL AND state = 2")
        [(refused,)], [(thinned,)] = one("SELECT count(*) FROM refused"), one("SELECT ifnull(sum(count), 0) FROM thinned")
        return Counts(waiting, oldest, unsure, undated, refused, thinned, self.used_bytes)

    def newest_refused(self, most: int) -> list[tuple[int, str, int, str, str, str, str, bytes]]:
        """(at_ms, sender, upstream, reason, field, detail, fix, source), newest first."""
        return self._database.execute(_REFUSED, (most,)).fetchall()

    def thinned(self) -> list[tuple[str, str, int, int, int]]:
        """(series, rule, readings, first_ms, last_ms): what went unsent for want of room, ever."""
        return self._database.execute(_THINNED).fetchall()

    @property
    def _ballast_path(self) -> Path:
        return self.path.with_suffix(".ballast")

    def _ballast(self) -> None:
        """A file that holds room on the disk; a disk that has none left goes without."""
        path = self._ballast_path
        if path.exists() and path.stat().st_size == _BALLAST_BYTES:
            return
        try:
            path.write_bytes(bytes(_BALLAST_BYTES))
        except OSError:
            path.unlink(missing_ok=True)


def readable(text: bytes) -> str:
    """Text of a card that has lost bits must not stop what stands behind it: the gateway says what is wrong with it."""
    return text.decode("utf-8", "replace")


def unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the outbox cannot be written: {error}", reason="outbox", retry_after_s=_AGAIN_S)
