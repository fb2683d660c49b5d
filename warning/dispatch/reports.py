"""The SMS centres' own reports, taken by themselves from where ``routes.yaml`` says, and held against the ledger: each of them once.

A report is known by its bytes (SHA-256) and route; one without a line, of a quiet night, by its name, too. Its row stands before its first
line is held; how far it got, what was found and what was corrected move in one transaction, 500 lines at a time, so that a crash goes on
where it stopped and nothing is counted twice. What differs is told: to operators by webhook, as a fact, and by ``warning deliveries
reports``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from warning.dispatch import tables as t
from warning.dispatch.lasting import Lasting, State
from warning.dispatch.ledger import Ledger
from warning.dispatch.reconcile import CHUNK, Difference, Found, Said, hold
from warning.dispatch.report_file import said_in
from warning.errors import ConfigError, Unavailable
from warning.facts import Listener
from warning.model import Status
from warning.people.told import Reconciled
from warning.region import Contact, Region
from warning.routes import Report

log = logging.getLogger(__name__)

EVERY_S = 60.0
PAUSE_S = 0.1  # between two chunks: warnings go first
STILL_S = 60.0  # a file that was written to so lately may not be whole
MOST_BYTES = 32 * 1024 * 1024
MOST_KEPT = 1000  # differences of one report
MOST_TOLD = 50  # in a notice
YOUNGEST_MS, OLDEST_MS = 86_400_000, 8 * 86_400_000  # age of parts of which somebody should have said something
FETCH_S = 120.0
AGAIN_MS = 15 * 60_000  # after a place that did not give one
KEPT_DAYS = 30  # files of a folder that are older are not looked at

Tell = Callable[[Contact, str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Taken:
    """One report as it was found. ``mark``: what it is remembered by, so that it is not read again."""

    name: str
    mark: str
    content: bytes = b""
    path: Path | None = None  # where the content still stands


class Reports:
    """``run`` beside the dispatcher's loops. ``now_ms``: wall clock."""

    def __init__(
        self,
        region: Region,
        reports: Sequence[Report],
        ledger: Ledger,
        listen: Listener,
        now_ms: Callable[[], int],
        operators: Callable[[], Awaitable[list[Contact]]],
        tell: Tell,
        lasting: Lasting | None = None,
    ) -> None:
        self._region, self._reports, self._ledger, self._listen, self._now_ms = region, reports, ledger, listen, now_ms
        self._operators, self._tell, self._lasting = operators, tell, lasting
        self._seen: set[str] = set()
        self._again_ms: dict[str, int] = {}  # route -> not asked before

    async def run(self) -> None:
        """Until it is cancelled."""
        if not self._reports:
            await asyncio.Event().wait()
        await self._tell_newest()
        while True:
            await self.round()
            await asyncio.sleep(EVERY_S)

    async def round(self) -> None:
        """Looks at each place, but for those that gave none a moment ago."""
        for report in self._reports:
            if self._now_ms() >= self._again_ms.get(report.route, 0):
                await self.look(report)
        await self._remind()

    async def _remind(self) -> None:
        """While a route's newest report differs operators hear so again, and when one does not."""
        if self._lasting is None:
            return
        try:
            async with self._ledger.reading() as connection:
                rows = [dict(row) for row in (await connection.execute(newest())).mappings()]
            routes = {report.route for report in self._reports}
            rows = [row for row in rows if row["route"] in routes and _differs(row["counts"])]
            states = {row["route"] or "own": State(data_of(self._region.id, row), self._may) for row in rows}
            await self._lasting.look("report.differs", states, begun=True)
        except (DBAPIError, OSError, Unavailable) as error:
            log.error("the ledger does not answer, operators are not reminded of reports: %s", error)

    def _may(self, contact: Contact) -> bool:
        """An exercise wakes nobody who works on floods."""
        return contact.live is (self._region.status is Status.ACTUAL)

    async def _tell_newest(self) -> None:
        """What is known of the newest report of each route; where there was none, it is waited for from now on."""
        nothing: dict[str, Any] = {"at_ms": self._now_ms(), "counts": {}}
        known = {report.route: nothing for report in self._reports}
        with suppress(DBAPIError, OSError, Unavailable):
            async with self._ledger.writing() as connection:
                known |= {row["route"]: dict(row) for row in (await connection.execute(newest())).mappings() if row["route"] in known}
        for route, row in known.items():
            self._listen(_fact(route, row))

    # --- from where

    async def look(self, report: Report) -> None:
        """Takes what is new of one route. What is wrong with one report keeps no other back."""
        try:
            found = await asyncio.to_thread(self._in_folder, report) if report.folder else await self._fetched(report)
        except (DBAPIError, Unavailable) as error:
            log.error("the ledger does not answer, reports wait: %s", error)
            return
        except (OSError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._failed(report, error)
            self._again_ms[report.route] = self._now_ms() + AGAIN_MS
            return
        for taken in found:
            try:
                await self._hold(report, taken)
            except (DBAPIError, Unavailable) as error:
                log.error("the ledger does not answer, reports wait: %s", error)
                return
            except OSError as error:  # of its file, or of a PostgreSQL that refuses connections: it is still to be taken
                self._failed(report, error)
                self._again_ms[report.route] = self._now_ms() + AGAIN_MS
                continue
            except (ConfigError, ValueError) as error:
                self._failed(report, error)
            except Exception as error:  # what nobody foresaw in a stranger's file must not end the dispatcher, at each start anew
                log.exception("a report of %s", report.route or "the SMS centre")
                self._failed(report, error)
            self._seen.add(taken.mark)

    def _failed(self, report: Report, error: Exception) -> None:
        log.error("the report of %s is not taken: %s", report.route or "the SMS centre", error)
        self._listen(Reconciled(report.route, self._now_ms(), error=type(error).__name__))

    def _in_folder(self, report: Report) -> list[Taken]:
        """New files, the oldest first. Raises OSError for a folder that is not there."""
        found, now_s = list[tuple[int, Taken]](), self._now_ms() / 1000
        for path in Path(report.folder).iterdir():
            about = path.stat()
            mark = f"{path}|{about.st_size}|{about.st_mtime_ns}"
            age_s = now_s - about.st_mtime
            if path.suffix.lower() != ".csv" or mark in self._seen or not path.is_file() or not STILL_S <= age_s <= KEPT_DAYS * 86_400:
                continue
            found.append((about.st_mtime_ns, Taken(path.name, mark, path=path)))
        return [taken for _, taken in sorted(found, key=lambda one: one[0])]

    async def _fetched(self, report: Report) -> list[Taken]:
        """Yesterday's, once the hour has come. One that is not there yet is asked for again."""
        local = datetime.fromtimestamp(self._now_ms() / 1000, UTC) + timedelta(seconds=self._region.utc_offset_s)
        name = report.url.replace("{date}", (local - timedelta(days=1)).strftime("%Y-%m-%d"))
        mark = f"{name}|{local:%Y-%m-%d}"
        if local.hour * 60 + local.minute < report.after_minute or mark in self._seen or await self._taken(report.route, mark):
            return []
        headers = {"Authorization": report.authorization} if report.authorization else {}
        content = bytearray()
        async with (
            asyncio.timeout(FETCH_S),
            httpx.AsyncClient(timeout=30.0, follow_redirects=False) as client,
            client.stream("GET", name, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"{name.partition('?')[0]} answers {answer.status_code}")
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MOST_BYTES:
                    raise ValueError(f"{name.partition('?')[0]} is longer than {MOST_BYTES} bytes")
        return [Taken(mark, mark, bytes(content))]

    async def _taken(self, route: str, name: str) -> bool:
        done = sql.and_(t.reports.c.route == route, t.reports.c.name == name, t.reports.c.state == "done")
        async with self._ledger.writing() as connection:
            return (await connection.execute(sql.select(t.reports.c.id).where(done))).first() is not None

    # --- against the ledger

    async def _hold(self, report: Report, taken: Taken) -> None:
        """Raises ConfigError for what is no report, DBAPIError: then it is gone on with in the next round."""
        content = await asyncio.to_thread(_content, taken)
        own = b"" if b"\n" in content.strip() else taken.mark.encode(errors="surrogateescape")  # quiet nights' are all the same bytes
        digest = hashlib.sha256(content + own).hexdigest()
        async with self._ledger.writing() as connection:
            row = await entered(connection, report.route, digest, taken.name, self._now_ms())
        if row["state"] == "done":
            return
        name = taken.name.partition("?")[0]
        try:
            said = await asyncio.to_thread(_said, content, name, report)
        except (ConfigError, ValueError):
            await self._refused(row["id"])
            raise
        found = Found(Counter(row["counts"]), [Difference(**each) for each in row["differences"]])
        for first in range(row["held"], len(said), CHUNK):
            await self._chunk(row["id"], said[first : first + CHUNK], first, found)
            await asyncio.sleep(PAUSE_S)
        row = await self._done(row["id"], report.route, found)
        log.info("the report %s of %s: %s", name, report.route or "the SMS centre", dict(found.counts))
        self._listen(_fact(report.route, row))
        await self._tell_operators(row)

    async def _refused(self, number: int) -> None:
        """Nobody can read it as ``routes.yaml`` says; the next start tries again, for what is wrong may be that."""
        async with self._ledger.writing() as connection:
            await connection.execute(sql.update(t.reports).where(t.reports.c.id == number).values(state="refused", at_ms=self._now_ms()))

    async def _chunk(self, number: int, chunk: list[Said], first: int, found: Found) -> None:
        async with self._ledger.writing() as connection:
            await hold(connection, self._region.id, chunk, self._now_ms(), found)
            del found.differences[MOST_KEPT:]
            values = {"held": first + len(chunk), "counts": dict(found.counts), "differences": [asdict(each) for each in found.differences]}
            await connection.execute(sql.update(t.reports).where(t.reports.c.id == number).values(**values))

    async def _done(self, number: int, route: str, found: Found) -> dict[str, Any]:
        async with self._ledger.writing() as connection:
            counts = dict(found.counts) | {"unsettled": await _unsettled(connection, route, self._now_ms())}
            values = {"state": "done", "at_ms": self._now_ms(), "counts": counts}
            await connection.execute(sql.update(t.reports).where(t.reports.c.id == number).values(**values))
            return dict((await connection.execute(sql.select(t.reports).where(t.reports.c.id == number))).mappings().one())

    async def _tell_operators(self, row: dict[str, Any]) -> None:
        """At once, best as it can: the ledger, the metric and its alarm have it, too."""
        if not _differs(row["counts"]):
            return
        try:
            told = await self._operators()
        except Unavailable as error:
            log.error("operators are not told of the report: %s", error)
            return
        body = body_of(self._region.id, row)
        for contact in filter(self._may, told):
            await self._tell(contact, f"report:{row['route']}:{row['digest'][:16]}:{contact.id}".replace(".", "~"), body)


def newest() -> sql.Select[Any]:
    """The newest report of each route that is done."""
    last = sql.select(sql.func.max(t.reports.c.id)).where(t.reports.c.state == "done").group_by(t.reports.c.route)
    return sql.select(t.reports).where(t.reports.c.id.in_(last)).order_by(t.reports.c.route)


async def entered(connection: AsyncConnection, route: str, digest: str, name: str, now_ms: int) -> dict[str, Any]:
    """The row of a report, made if it is new."""
    this = sql.and_(t.reports.c.route == route, t.reports.c.digest == digest)
    row = (await connection.execute(sql.select(t.reports).where(this))).mappings().first()
    if row is not None:
        return dict(row)
    values = {"route": route, "digest": digest, "name": name, "state": "begun", "at_ms": now_ms, "held": 0, "counts": {}, "differences": []}
    await connection.execute(sql.insert(t.reports).values(**values))
    return dict((await connection.execute(sql.select(t.reports).where(this))).mappings().one())


async def _unsettled(connection: AsyncConnection, route: str, now_ms: int) -> int:
    count = 0
    for parts, sms in ((t.parts.c, t.parts.c.channel == "sms"), (t.operator_parts.c, sql.true())):
        old = parts.changed_ms.between(now_ms - OLDEST_MS, now_ms - YOUNGEST_MS)
        query = sql.select(sql.func.count()).where(sms, parts.route == route, parts.state.in_(("accepted", "unknown")), old)
        count += int((await connection.execute(query)).scalar_one())
    return count


def _content(taken: Taken) -> bytes:
    if taken.path is None:
        return taken.content
    if (size := taken.path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{taken.path} has {size} bytes; at most {MOST_BYTES}")
    return taken.path.read_bytes()


def _said(content: bytes, name: str, report: Report) -> list[Said]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8: {error}") from error
    return said_in(text, name, report.columns, report.states, report.route)


def _fact(route: str, row: dict[str, Any]) -> Reconciled:
    lines, corrected, unknown, unsettled = (int(row["counts"].get(name, 0)) for name in ("lines", "corrected", "unknown", "unsettled"))
    return Reconciled(route, row["at_ms"], lines, corrected, unknown, unsettled)


def _differs(counts: dict[str, Any]) -> bool:
    return bool(counts.get("corrected") or counts.get("unknown") or counts.get("unsettled"))


def body_of(region: str, row: dict[str, Any]) -> str:
    """The webhook's body."""
    at = datetime.fromtimestamp(row["at_ms"] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": "report.differs", "timestamp": at, "data": data_of(region, row)})


def data_of(region: str, row: dict[str, Any]) -> dict[str, object]:
    """How much differs, and the first of it. No numbers of phones stand in a report's differences."""
    data = {"region": region, "route": row["route"], "report": row["name"].partition("?")[0], "counts": row["counts"]}
    return data | {"differences": row["differences"][:MOST_TOLD]}
