"""What goes first when the outbox is full. Never silently: each reading that goes unsent is counted by series and rule.

The newest of each series never goes, and what is sent or stands again elsewhere goes before anything is lost:

1. ``sent``: what the gateway has, oldest first (it was kept to know duplicates)
2. ``refused``: what was no reading here, oldest first
3. ``superseded``: what a later word for the same time revises
4. ``hourly``: history older than a day, below the limits: the highest of each hour stays
5. ``six_hourly``: the same, below the limits and older than 6 h: the highest of six hours stays
6. ``undated``: of a boot in which nobody said what time it was
7. ``refused``: what the gateway refused, oldest first
8. ``flood_hourly``: above a limit: the highest of each hour stays
9. ``oldest``: the oldest of all but rain, whose sums cannot be thinned
10. ``oldest_rain``
11. ``oldest_unsure``: of this boot, while nobody has said what time it is
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STEP = 2000  # rows at a time: what it needs of memory and of the log stays small
_LOOKED_AT = 20_000  # oldest rows of a series in which hours are looked at: two years of hourly ones

_HOUR_MS = 3_600_000
_BELOW = "above = 0"
_FLOOD = "above > 0"


def _hours(kind: str, span_ms: int, age_ms: int) -> str:
    """Ids of waiting rows of one series that are not the highest of their hours; the newest one is never among them."""
    return f"""
    SELECT id FROM (
      SELECT id, row_number() OVER (PARTITION BY time_ms / {span_ms} ORDER BY value DESC, time_ms DESC) AS place FROM (
        SELECT id, time_ms, value FROM readings WHERE series = :series AND state = 0 AND boot IS NULL AND {kind}
        AND time_ms < (SELECT max(time_ms) FROM readings WHERE series = :series AND state = 0 AND boot IS NULL) - {age_ms}
        ORDER BY time_ms LIMIT {_LOOKED_AT}))
    WHERE place > 1 LIMIT :most
    """  # noqa: S608 - our own constants


_SUPERSEDED = """
SELECT a.id FROM readings a WHERE a.series = :series AND a.state = 0 AND a.boot IS NULL AND EXISTS (
  SELECT 1 FROM readings b WHERE b.series = a.series AND b.time_ms = a.time_ms AND b.state = 0 AND b.id > a.id) LIMIT :most
"""
_OLDEST = """
SELECT id FROM readings WHERE series = :series AND state = 0 AND boot IS NULL
AND time_ms < (SELECT max(time_ms) FROM readings WHERE series = :series AND state = 0 AND boot IS NULL) ORDER BY time_ms LIMIT :some
"""
_UNDATED = "SELECT id FROM readings WHERE series = :series AND boot IS NOT NULL AND state = 2 ORDER BY id LIMIT :most"
_UNSURE = """
SELECT id FROM readings WHERE series = :series AND boot IS NOT NULL AND state = 0
AND id < (SELECT max(id) FROM readings WHERE series = :series AND boot IS NOT NULL AND state = 0) ORDER BY id LIMIT :some
"""

# rule, ids of one series, of which series: kept_last or not
_RULES = (
    ("superseded", _SUPERSEDED, (0, 1)),
    ("hourly", _hours(_BELOW, _HOUR_MS, 24 * _HOUR_MS), (0,)),
    ("six_hourly", _hours(_BELOW, 6 * _HOUR_MS, 6 * _HOUR_MS), (0,)),
    ("undated", _UNDATED, (0, 1)),
    ("flood_hourly", _hours(_FLOOD, _HOUR_MS, 0), (0,)),
    ("oldest", _OLDEST, (0,)),
    ("oldest_rain", _OLDEST, (1,)),
    ("oldest_unsure", _UNSURE, (0, 1)),
)
_COUNT = """
INSERT INTO thinned SELECT series, :rule, count(*), min(time_ms), max(time_ms) FROM readings WHERE id IN (SELECT id FROM going)
GROUP BY series ON CONFLICT DO UPDATE SET count = count + excluded.count,
first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)
"""
_REFUSED = "SELECT id FROM refused WHERE upstream = :upstream ORDER BY id LIMIT :some"
_COUNT_REFUSED = f"""
INSERT INTO thinned SELECT 0, 'refused', count(*), min(at_ms), max(at_ms) FROM refused WHERE id IN ({_REFUSED}) HAVING count(*) > 0
ON CONFLICT DO UPDATE SET count = count + excluded.count,
first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)
"""  # noqa: S608 - our own constants


def thin(database: sqlite3.Connection, over: Callable[[], int], *, step: int = _STEP) -> int:
    """Deletes by the rules until ``over()``, bytes above what may be, is 0 or less, ``step`` rows at a time.

    Returns how many readings are gone that were never sent. Raises sqlite3.OperationalError.
    """
    lost = 0
    database.execute("CREATE TEMP TABLE IF NOT EXISTS going(id INTEGER PRIMARY KEY)")

    while over() > 0:
        done = database.execute(
            "DELETE FROM readings WHERE id IN (SELECT id FROM readings WHERE state = 1 ORDER BY id LIMIT ?)", (step,)
        ).rowcount
        if done <= 0:
            break
    lost += _drop_refused(database, 0, over, step)
    for rule, ids, kinds in _RULES:
        if rule == "flood_hourly":
            lost += _drop_refused(database, 1, over, step)
        every = [(id, name) for id, name, last in database.execute("SELECT id, name, kept_last FROM series ORDER BY id") if last in kinds]
        while over() > 0:
            done = sum(_drop(database, rule, ids, id, step) for id, _ in every)
            lost += done
            if done <= 0:
                break
    return lost


def _drop(database: sqlite3.Connection, rule: str, ids: str, series: int, step: int) -> int:
    """A step of one rule at one series: counted and deleted in one transaction."""
    with _transaction(database):
        database.execute("DELETE FROM going")
        database.execute(f"INSERT INTO going {ids}", {"series": series, "most": step, "some": max(100, step // 8)})
        database.execute(_COUNT, {"rule": rule})
        done = database.execute("DELETE FROM readings WHERE id IN (SELECT id FROM going)").rowcount
    return max(done, 0)


def _drop_refused(database: sqlite3.Connection, upstream: int, over: Callable[[], int], step: int) -> int:
    """What was refused, a few at a time, for each may be of 16 KB; how many."""
    dropped, which = 0, {"upstream": upstream, "some": max(10, step // 20)}
    while over() > 0:
        with _transaction(database):
            database.execute(_COUNT_REFUSED, which)
            done = database.execute(f"DELETE FROM refused WHERE id IN ({_REFUSED})", which).rowcount  # noqa: S608 - likewise
        if done <= 0:
            break
        dropped += done
    return dropped


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
