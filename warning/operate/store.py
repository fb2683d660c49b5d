"""The documents that left the house, by their identifier: the first one wins and is served byte for byte for ever.

An identifier that comes again with the same content is nothing new (a worker repeated a beat); with other content it is a conflict:
the first stays and the caller raises the alarm. SQLAlchemy; SQLite out of the box, PostgreSQL in production.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from lxml import etree
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Select, String, Table, case, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from warning.alerts.manual import CODE
from warning.database import postgresql
from warning.deployment import Deployment
from warning.model import AlertEvent, Level, to_json

log = logging.getLogger(__name__)

_metadata = MetaData()
documents = Table(
    "documents",
    _metadata,
    Column("identifier", String(255), primary_key=True),
    Column("zone", String(255), nullable=False),
    Column("level", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("raised_ms", BigInteger, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("sent_ms", BigInteger, nullable=False),
    Column("event", LargeBinary, nullable=False),  # the AlertEvent without its document
    Column("texts", LargeBinary, nullable=False),  # language -> Text
    Column("cap", LargeBinary, nullable=False),  # the document; empty for EXPIRE
    Column("digest", String(64), nullable=False),
    Index("documents_by_time", "sent_ms", "identifier"),
)
_WITHIN_S = 30.0  # a statement of a PostgreSQL
_CHUNK = 500  # rows an insert: below every database's limit of parameters


class Text(msgspec.Struct, frozen=True):
    """The words of one language's <info>."""

    event: str = ""
    headline: str = ""
    description: str = ""
    instruction: str = ""
    area: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One stored revision. ``cap`` is b"" where the event has no document (EXPIRE) or the caller asked for none."""

    event: AlertEvent
    texts: dict[str, Text]
    digest: str
    cap: bytes = b""


def texts_of(cap: str) -> dict[str, Text]:
    """language -> words of a CAP document; {} if it is none (it is stored and served all the same)."""
    if not cap:
        return {}
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(cap.encode(), parser)
    except etree.XMLSyntaxError as error:
        log.error("a CAP document on the topic cannot be parsed: %s", error)
        return {}
    found = {}
    for info in root.iterfind("{*}info"):
        words = {name: info.findtext(f"{{*}}{name}") or "" for name in ("event", "headline", "description", "instruction")}
        area = ", ".join(filter(None, (area.findtext("{*}areaDesc") for area in info.iterfind("{*}area"))))
        found[(info.findtext("{*}language") or "en-US").split("-")[0]] = Text(**words, area=area)
    return found


def digest_of(event: AlertEvent) -> str:
    """What has to be the same when an identifier comes again: the decision and its document (not which build wrote it)."""
    return hashlib.sha256(to_json(event.alert) + b"\0" + event.cap.encode()).hexdigest()


def address(deployment: Deployment) -> str:
    """SQLAlchemy URL: the deployment's database, or a SQLite file of its own (so that readers never wait for the ledger)."""
    return deployment.database_url or f"sqlite+aiosqlite:///{deployment.directory / (deployment.prefix + 'documents.db')}"


class Store:
    """The stored documents. Methods raise ``sqlalchemy.exc.SQLAlchemyError`` when the database fails."""

    def __init__(self, url: str) -> None:
        self._engine: AsyncEngine = create_async_engine(url) if url.startswith("sqlite") else postgresql(url, _WITHIN_S)
        self._insert: Any = insert_sqlite if self._engine.dialect.name == "sqlite" else insert_postgresql

    async def open(self) -> None:
        """Create the table if it is not there."""
        async with self._engine.begin() as connection:
            if self._engine.dialect.name == "sqlite":
                await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            await connection.run_sync(_metadata.create_all)

    async def close(self) -> None:
        await self._engine.dispose()

    async def add(self, events: Sequence[AlertEvent]) -> list[str]:
        """Store what is new; returns the identifiers that are there already with other content (the stored one stays)."""
        rows = [_row(event) for event in events]
        conflicts: list[str] = []
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            async with self._engine.begin() as connection:
                await connection.execute(self._insert(documents).on_conflict_do_nothing(), chunk)
                found = await connection.execute(
                    select(documents.c.identifier, documents.c.digest).where(
                        documents.c.identifier.in_([row["identifier"] for row in chunk])
                    )
                )
                stored: dict[str, str] = {row.identifier: row.digest for row in found}
            conflicts += [row["identifier"] for row in chunk if stored[row["identifier"]] != row["digest"]]
        return conflicts

    async def get(self, identifier: str) -> Document | None:
        found = await self._select(select(documents).where(documents.c.identifier == identifier))
        return found[0] if found else None

    async def page(
        self,
        *,
        limit: int,
        before: tuple[int, str] | None = None,
        zones: Iterable[str] = (),
        levels: Iterable[Level] = (),
        since_ms: int | None = None,
        with_cap: bool = False,
    ) -> list[Document]:
        """The newest first, at most ``limit``; ``before`` = (sent_ms, identifier) of the last one of the page before."""
        query = select(documents).order_by(documents.c.sent_ms.desc(), documents.c.identifier.desc()).limit(limit)
        if before is not None:
            query = query.where(tuple_(documents.c.sent_ms, documents.c.identifier) < tuple_(*before))
        if zones := tuple(zones):
            query = query.where(documents.c.zone.in_(zones))
        if levels := tuple(levels):
            query = query.where(documents.c.level.in_([level.value for level in levels]))
        if since_ms is not None:
            query = query.where(documents.c.sent_ms >= since_ms)
        if with_cap:
            query = query.where(documents.c.cap != b"")
        return await self._select(query)

    async def newest(self) -> list[AlertEvent]:
        """The newest revision of the newest chain of each zone, and of each chain that a person raised."""
        order = (documents.c.raised_ms.desc(), documents.c.revision.desc())
        own = case((documents.c.identifier.contains(f".{CODE}."), documents.c.raised_ms), else_=0)
        place = func.row_number().over(partition_by=(documents.c.zone, own), order_by=order).label("place")
        ranked = select(documents.c.event, place).subquery()
        async with self._engine.connect() as connection:
            found = await connection.execute(select(ranked.c.event).where(ranked.c.place == 1))
            return [msgspec.json.decode(row.event, type=AlertEvent) for row in found]

    async def _select(self, query: Select[Any]) -> list[Document]:
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).all()
        return [
            Document(
                msgspec.json.decode(row.event, type=AlertEvent), msgspec.json.decode(row.texts, type=dict[str, Text]), row.digest, row.cap
            )
            for row in found
        ]


def _row(event: AlertEvent) -> dict[str, Any]:
    alert = event.alert
    return {
        "identifier": alert.identifier,
        "zone": alert.zone,
        "level": alert.level.value,
        "kind": alert.kind.value,
        "raised_ms": alert.raised_ms,
        "revision": alert.revision,
        "sent_ms": alert.sent_ms,
        "event": to_json(msgspec.structs.replace(event, cap="")),
        "texts": msgspec.json.encode(texts_of(event.cap)),
        "cap": event.cap.encode(),
        "digest": digest_of(event),
    }
