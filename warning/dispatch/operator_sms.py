"""How those who run the system are told by SMS: over the routes of the warnings, past their queue, a few an hour for each.

What goes by SMS is short, says what to do, and names no contact. Each stands in the ledger (``texted``); where that is away it goes all the
same, and is entered afterwards. A closed way is not waited for: mail and webhooks do not hang on it. So
that a storm of notices fills neither a night nor a route, each operator gets ``per_hour`` at most, half of them for what is not about
warnings that wait or reach nobody, and all together one a second; the next one says how many were kept back.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.exc import DBAPIError

from warning.alerts.display import local_time
from warning.dispatch.channel import Channel, Outcome, Sending
from warning.dispatch.dressed import dressed
from warning.dispatch.operator_book import ENDED, Book
from warning.dispatch.pace import Pace
from warning.dispatch.texted import Claimed, Notice
from warning.errors import Unavailable
from warning.facts import Listener
from warning.model import AlertEvent, DeliveryState, Status
from warning.people.told import OperatorTexted
from warning.region import Contact, Region, named

log = logging.getLogger(__name__)

URGENT = ("alert.untold", "approval.waiting", "approval.unanswered")
BY_MAIL = ("report.differs",)  # of the night: nobody is woken for it
HOUR_S, OPEN_S, VALID_MS = 3600.0, 2.0, 3_600_000
CLOSED_S = 2.0  # so long the other ways wait for a ledger that is to hear what became of one
ALL_PER_S = 1.0
MOST_CHARACTERS = 300  # two parts
SHOWN = 4
WORDS = {
    "alert.untold": "NOBODY is told of this warning",
    "approval.waiting": "waits for your release",
    "approval.unanswered": "nobody released this in time",
    "zones.observed": "gauges",
    "cash.waiting": "a payment waits for your approval",
}


@dataclass
class OperatorTexts:
    """``channel``: of SMS. ``clock``: monotonic, s; ``wall_ms``: what makes an id of a message that the ledger cannot number now.
    ``book``: the ledger, from the start on."""

    channel: Channel
    region: Region
    per_hour: int
    listen: Listener
    wall_ms: Callable[[], int]
    clock: Callable[[], float] = time.monotonic
    book: Book | None = field(default=None, init=False)
    _closing: set[asyncio.Task[None]] = field(default_factory=set)
    _sent: defaultdict[str, deque[tuple[float, bool]]] = field(default_factory=lambda: defaultdict(deque))
    _kept_back: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _number: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._pace = Pace(ALL_PER_S)

    def reaches(self, contact: Contact) -> bool:
        """An operator alone; in an exercise, and of an exercise, none who works on floods."""
        return contact.role == "operator" and bool(contact.phone) and contact.live is (self.region.status is Status.ACTUAL)

    def takes(self, said: Mapping[str, Any]) -> bool:
        """Of what is not urgent only that it began."""
        kind = said["type"].removesuffix(ENDED)
        return kind in URGENT or (kind not in BY_MAIL and int(said["data"].get("times", 1)) == 1)

    async def start(self, book: Book) -> None:
        """What went lately counts for the hour. Raises DBAPIError, OSError, Unavailable."""
        self.book, now, now_ms = book, self.clock(), self.wall_ms()
        for contact, kind, at_ms in await book.lately(now_ms - round(HOUR_S * 1000)):
            self._sent[contact].append((now - max(0, now_ms - at_ms) / 1000, _urgent(kind)))

    async def close(self) -> None:
        """What the ledger does not have by now it finds under way at the next start."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSED_S)
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        """WAITING if the way is closed now, or the ledger another dispatcher's; FAILED ``limit`` if he had enough of them."""
        said = json.loads(body)
        urgent, notice = _urgent(said["type"]), Notice(identifier, contact.id, said["type"])
        if not self.reaches(contact):
            return self._keep_back(contact)
        try:
            async with asyncio.timeout(OPEN_S):
                await self.channel.ready()
        except TimeoutError:
            return Outcome(DeliveryState.WAITING, "no_route", detail="no route for SMS is open")
        if not self._room(contact.id, urgent=urgent):  # asked last: all that waited for the way go on at once when it opens
            return self._keep_back(contact)
        entry = self.clock(), urgent
        self._sent[contact.id].append(entry)
        kept_back = self._kept_back.pop(contact.id, 0)
        await self._pace.turn()
        claimed = await self._claimed(notice)
        if isinstance(claimed, Outcome):
            outcome = claimed
        else:
            outcome = await self.channel.send(self._sending(contact, notice, text_of(self.region, said, kept_back), claimed))
            await self._close(notice, outcome)
        taken = outcome.state in (DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
        if claimed is outcome or outcome.state in (DeliveryState.WAITING, DeliveryState.FAILED):  # certainly not sent now
            self._sent[contact.id].remove(entry)
            self._kept_back[contact.id] += kept_back
        if claimed is not outcome:
            self.listen(OperatorTexted("sent" if taken else "failed"))
        return Outcome(DeliveryState.DELIVERED, "") if taken else outcome

    async def _claimed(self, notice: Notice) -> Claimed | Outcome | None:
        """An outcome: do not send. None: the ledger is away, which keeps nobody from being woken."""
        try:
            claimed = await self.book.claim(notice) if self.book else None
        except Unavailable as error:
            return Outcome(DeliveryState.WAITING, "lease", detail=str(error))
        except (DBAPIError, OSError) as error:
            log.error("the ledger does not answer, operator %s is told of %s all the same: %s", notice.contact, notice.identifier, error)
            return None
        return claimed if claimed is None or claimed.attempt else Outcome(DeliveryState(claimed.state), "before")

    async def _close(self, notice: Notice, outcome: Outcome) -> None:
        """Waits a little for the ledger; a longer one beside."""
        if self.book is not None:
            task = asyncio.create_task(self.book.close(notice, outcome))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            await asyncio.wait({task}, timeout=CLOSED_S)

    def _keep_back(self, contact: Contact) -> Outcome:
        self._kept_back[contact.id] += 1
        self.listen(OperatorTexted("kept_back"))
        return Outcome(DeliveryState.FAILED, "limit", detail=f"{self.per_hour} SMS an hour")

    def _room(self, contact: str, *, urgent: bool) -> bool:
        sent, now = self._sent[contact], self.clock()
        while sent and sent[0][0] <= now - HOUR_S:
            sent.popleft()
        return len(sent) < (self.per_hour if urgent else max(1, self.per_hour // 2))

    def _sending(self, contact: Contact, notice: Notice, text: str, claimed: Claimed | None) -> Sending:
        """A number that no delivery of the ledger has: it stands in gateways' receipts."""
        now_ms = self.wall_ms()
        claimed = claimed or Claimed(now_ms * 1000 + next(self._number) % 1000, 1)
        name = hashlib.blake2b(notice.identifier.encode(), digest_size=8).hexdigest()
        alert = dressed(self.region, name, "sms", now_ms, self.region.status)  # the zone's name is what tells parts of two messages apart
        event = AlertEvent(alert=alert, cap="", config="", code="")
        return Sending(-claimed.number, event, contact, contact.language, claimed.attempt, VALID_MS, claimed.skip, text=text)


def _urgent(kind: str) -> bool:
    return kind.removesuffix(ENDED) in URGENT


def text_of(region: Region, said: Mapping[str, Any], kept_back: int = 0) -> str:
    """The SMS of a notice: of which region, what, where, since when; two parts at most."""
    kind, data = said["type"], said["data"]
    about = WORDS.get(kind.removesuffix(ENDED), kind)
    pieces = [f"OPERATOR {named(region.names, 'en')}: "]
    if kind.endswith(ENDED):
        pieces.append(f"over after {int(data.get('lasted_s', 0)) // 60} min: ")
    elif int(data.get("times", 1)) > 1:
        pieces.append(f"still, since {_hour(data['since'], region)}: ")
    pieces.append(about)
    pieces += [f", {word}" for word in _details(region, kind.removesuffix(ENDED), data)]
    tail = f" (+{kept_back} notices by mail or log)" if kept_back else ""
    return "".join(pieces)[: MOST_CHARACTERS - len(tail)] + tail


def _details(region: Region, kind: str, data: Mapping[str, Any]) -> list[str]:
    if kind == "zones.observed":
        silent, back = ([one["zone"] for one in data["zones"] if (one["level"] == "UNKNOWN") is unknown] for unknown in (True, False))
        counts = ((int(data.get("silent", len(silent))), "silent", silent), (len(back), "speaks again", back))
        return [f"{number} {word}: {_zones(region, zones)}" for number, word, zones in counts if number]
    if kind == "cash.waiting":
        return [str(data.get("case", ""))]
    left = [f"{int(data['left_s']) // 60} min left, then: {data['unanswered']}"] if data.get("left_s") and "ended" not in data else []
    return [f"{data.get('level', '')} {_zones(region, [data.get('zone', '')])}", *left, str(data.get("identifier", ""))]


def _zones(region: Region, ids: list[str]) -> str:
    known = [region.zone_by_id.get(one) for one in ids[:SHOWN]]
    names = [named(zone.names, "en") if zone else one for zone, one in zip(known, ids[:SHOWN], strict=True)]
    return ", ".join(names) + (" ..." if len(ids) > SHOWN else "")


def _hour(utc: str, region: Region) -> str:
    return local_time(round(datetime.fromisoformat(utc).timestamp() * 1000), region, "en")
