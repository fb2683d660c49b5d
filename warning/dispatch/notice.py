"""The operators' notice: a zone fell silent (UNKNOWN), or speaks again.

Changes are collected over a time span of the log and told together, so that an outage of a whole network is one message. Told at least
once: what operators know stands in the ledger, and is entered when they were told; until then the position in the log stays.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from sqlalchemy.exc import DBAPIError

from warning.alerts.rules import Decision, may_leave
from warning.deployment import Deployment
from warning.dispatch.dressed import dressed
from warning.dispatch.lasting import Lasting, State
from warning.dispatch.ledger import Ledger
from warning.dispatch.operators import Posts, told
from warning.dispatch.rows import Position
from warning.dispatch.source import Source
from warning.errors import Unavailable
from warning.facts import Listener, OperatorNotice
from warning.model import Level, Status
from warning.region import Contact, Region

log = logging.getLogger(__name__)

SPAN_MS = 60_000
REPLAY_SPAN_MS = 3_600_000
QUIET_S = 5.0  # so long nothing new in the log: what was collected is told
MOST_SHOWN = 200  # zones in a notice that is told again
MOST_UNDER_WAY = 2_000  # a bound of the memory alone: how many go at once, and that none that hangs counts, is the channel's affair


class Observed(msgspec.Struct):
    """The part of a ``Hazard`` that counts here."""

    zone: str
    at_ms: int
    level: Level
    silent_since_ms: int | None = None
    n: int = -1


@dataclass
class Collection:
    """Changes within a span of the log's time. Pure."""

    span_ms: int
    told: dict[str, tuple[bool, int]]  # zone -> (UNKNOWN, n) as operators know it
    pending: dict[str, Observed] = field(default_factory=dict)
    span: int | None = None

    def see(self, observed: Observed) -> list[Observed]:
        """Takes one observation. Returns what is to be told before it, because its span begins a new one."""
        span = observed.at_ms // self.span_ms
        ready = self.take() if self.span is not None and span > self.span else []
        self.span = max(span, self.span or 0)
        unknown, newest = self.told.get(observed.zone, (False, -1))
        last = self.pending.get(observed.zone)
        if observed.n >= max(newest, last.n if last else -1):
            if (observed.level is Level.UNKNOWN) != unknown:
                self.pending[observed.zone] = observed
            else:
                self.pending.pop(observed.zone, None)
        return ready

    def take(self) -> list[Observed]:
        """What is to be told now."""
        ready = sorted(self.pending.values(), key=lambda observed: observed.zone)
        self.pending = {}
        self.told |= {observed.zone: (observed.level is Level.UNKNOWN, observed.n) for observed in ready}
        return ready


Operators = Callable[[], Awaitable[list[Contact]]]  # those whom a way reaches; raises Unavailable


class Notices:
    """Reads ``hazards`` and tells contacts with role operator, by log line, fact, and each way that they have. ``lasting``: again while
    zones are silent."""

    def __init__(
        self,
        region: Region,
        deployment: Deployment,
        ledger: Ledger,
        channel: Posts,
        listen: Listener,
        operators: Operators,
        lasting: Lasting | None = None,
    ) -> None:
        self._operators, self._lasting = operators, lasting
        self._silent: dict[str, Observed | None] = {}  # as operators know it; None: from before the start
        self._fell = False  # a zone fell silent since operators were reminded
        self._region, self._deployment, self._ledger, self._channel, self._listen = region, deployment, ledger, channel, listen
        self._span_ms = REPLAY_SPAN_MS if deployment.replay else SPAN_MS
        self._under_way: set[asyncio.Task[None]] = set()
        self._entered: dict[str, int] = {}  # zone -> n
        self._read_at = self._reminded_at = 0.0
        self.newest_ms: dict[int, int] = {}  # partition -> the newest hazard's time, by the log

    async def run(self) -> None:
        """Until it is cancelled."""
        source = Source(self._deployment, self._deployment.hazards, self._listen, compacted=True)
        known = await self._ledger.observed()
        self._silent = {zone: None for zone, (unknown, _) in known.items() if unknown}
        try:
            place = self._deployment
            await source.start(await self._ledger.positions(place.hazards, place.cluster, forgets=place.embedded))
            collections: dict[int, Collection] = {}
            read: dict[int, Position] = {}
            async for batch in source.batches():
                await self._remind()
                if batch is None:
                    await self._idle(collections, read)
                    continue
                number = batch.position.partition
                collection = collections.setdefault(number, Collection(self._span_ms, dict(known)))
                for record in batch.records:
                    await self._see(collection, record)
                read[number] = batch.position
                self._read_at = time.monotonic()
        finally:
            for task in self._under_way:
                task.cancel()
            await source.stop()

    async def _remind(self) -> None:
        """While zones are silent operators hear so again."""
        if self._lasting is None or time.monotonic() - self._reminded_at < QUIET_S:
            return
        self._reminded_at = time.monotonic()
        silent = [zone for zone in sorted(self._silent) if zone in self._region.zone_by_id]
        zones = [_row(zone, self._silent[zone]) for zone in silent[:MOST_SHOWN]]
        newest = Observed(silent[0] if silent else "", max([0, *self.newest_ms.values()]), Level.UNKNOWN)
        state = State({"region": self._region.id, "zones": zones, "silent": len(silent)}, lambda contact: self._may(contact, newest))
        try:
            if self._fell:  # told of seldom is what has been silent for long: from now on half an hour counts again
                await self._lasting.look("zones.observed", {}, ends=False)
                self._fell = False
            await self._lasting.look("zones.observed", {self._region.id: state} if silent else {}, begun=True, ends=False)
        except (DBAPIError, OSError, Unavailable) as error:
            log.error("the ledger does not answer, operators are not reminded of silent zones: %s", error)

    async def _idle(self, collections: dict[int, Collection], read: dict[int, Position]) -> None:
        """Nothing more to read: what was collected is told after a while; the position moves when nothing is left to tell."""
        if time.monotonic() - self._read_at < QUIET_S:
            return
        for collection in collections.values():
            await self._tell(collection.take())
        if read and not self._under_way and await self._enter({}, list(read.values())):
            read.clear()

    async def _see(self, collection: Collection, record: ConsumerRecord) -> None:
        try:
            observed = DECODER.decode(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("%s/%d offset %d cannot be read: %s", record.topic, record.partition, record.offset, error)
            return
        self.newest_ms[record.partition] = max(observed.at_ms, self.newest_ms.get(record.partition, 0))
        await self._tell(collection.see(observed))

    async def _tell(self, changed: list[Observed]) -> None:
        if not changed:
            return
        silent = tuple(observed.zone for observed in changed if observed.level is Level.UNKNOWN)
        back = tuple(observed.zone for observed in changed if observed.level is not Level.UNKNOWN)
        log.warning("zones without observation: %s; observed again: %s", ", ".join(silent) or "none", ", ".join(back) or "none")
        self._listen(OperatorNotice(silent, back))
        self._silent |= {one.zone: one for one in changed}
        self._fell |= bool(silent)
        for zone in back:
            del self._silent[zone]
        body = body_of(self._region.id, changed)
        name = f"notice:{self._region.id}:{changed[0].zone}:{max(observed.n for observed in changed)}"
        posts = [(contact, f"{name}:{contact.id}".replace(".", "~")) for contact in await self._told() if self._may(contact, changed[0])]
        if (room := max(0, MOST_UNDER_WAY - len(self._under_way))) < len(posts):
            log.error("notice %s is not sent to %d operators: %d are under way; the log has it", name, len(posts) - room, MOST_UNDER_WAY)
        self._beside(self._tell_all(changed, [self._beside(told(self._channel, *post, body)) for post in posts[:room]]))

    async def _tell_all(self, changed: list[Observed], posts: list[asyncio.Task[None]]) -> None:
        """What operators know is entered when each was told, or could not be: a crash before tells them again."""
        await asyncio.gather(*posts, return_exceptions=True)
        news = [one for one in changed if one.n >= self._entered.get(one.zone, -1)]
        self._entered |= {one.zone: one.n for one in news}
        await self._enter({one.zone: (one.level is Level.UNKNOWN, one.n) for one in news}, [])

    async def _enter(self, zones: Mapping[str, tuple[bool, int]], positions: list[Position]) -> bool:
        """Whether the ledger has it; if not, it is told again after the next start."""
        try:
            await self._ledger.observe(zones, positions)
        except (DBAPIError, OSError, Unavailable) as error:
            log.error("the ledger does not answer, what operators were told is not entered: %s", error)
            return False
        return True

    def _beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _told(self) -> list[Contact]:
        """Operators; where the directory is away those of contacts.csv, for this is not sent again."""
        try:
            return await self._operators()
        except Unavailable as error:
            log.error("the directory does not answer, the operators of contacts.csv are told: %s", error)
            return [one for one in self._region.contacts if one.role == "operator" and (one.webhook or one.email or one.phone)]

    def _may(self, contact: Contact, observed: Observed) -> bool:
        """Asks the one gate, with the notice dressed as an alert: an exercise does not wake a live operator either."""
        replay, embedded = self._deployment.replay, self._deployment.embedded
        status = Status.EXERCISE if replay and self._region.status is Status.ACTUAL else self._region.status
        alert = dressed(self._region, observed.zone, str(observed.n), observed.at_ms, status)
        return may_leave(alert, contact, self._region, Decision((), (), replay, embedded), observed.at_ms).allowed


DECODER = msgspec.json.Decoder(Observed)


def _row(zone: str, one: Observed | None) -> dict[str, object]:
    if one is None:
        return {"zone": zone, "level": Level.UNKNOWN.value}
    return {"zone": zone, "level": one.level.value, "at_ms": one.at_ms, "silent_since_ms": one.silent_since_ms}


def body_of(region: str, changed: list[Observed]) -> str:
    """The webhook's body; ``zones`` sorted by id, ``level`` UNKNOWN where the gauge is silent."""
    at = datetime.fromtimestamp(max(observed.at_ms for observed in changed) / 1000, UTC).isoformat().replace("+00:00", "Z")
    zones = [_row(one.zone, one) for one in changed]
    return json.dumps({"type": "zones.observed", "timestamp": at, "data": {"region": region, "zones": zones}})
