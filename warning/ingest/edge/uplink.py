"""The way to the gateway: the most urgent readings first, a request at a time, again until it has said what became of each.

A request whose answer was lost is sent again: the gateway may get a reading twice, and knows it by its identity.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

from warning.errors import Unavailable
from warning.ingest.edge.clock import Clock
from warning.ingest.edge.link import Answer, Link, Response
from warning.ingest.edge.node import SURE
from warning.ingest.edge.outbox import NotTaken, Waiting
from warning.ingest.edge.pace import Pace
from warning.ingest.edge.store import Store
from warning.site import Gateway

REPORT = "Edge-Report"  # header: what a node says of itself, JSON
_IDLE_S = 30.0
_AT_LEAST_S = 2.0  # between two attempts, however urgent
_MOST_RETRY_AFTER_S = 300.0
_WITHOUT_KEY_S = 60.0
# Of a request that one reading may be to blame for. What else is said of a whole one (not_json, not_gzip, media_type) is the fault of
# what lies between: all would be refused one by one.
_WHOLE = frozenset({"too_large", "too_many"})
_DATE_ACCURATE_MS = 1000

_log = logging.getLogger(__name__)


class Uplink:
    """``report``: what the node says of itself, for the header. ``settle``: dates what waits for the time (``Node.settle``)."""

    def __init__(
        self,
        gateway: Gateway,
        link: Link,
        store: Store,
        clock: Clock,
        *,
        report: Callable[[], bytes],
        settle: Callable[[], object],
        chance: random.Random | None = None,
    ) -> None:
        self._link, self._store, self._clock, self._report, self._settle = link, store, clock, report, settle
        self.pace = Pace(gateway.most_items, gateway.timeout_s, chance or random.Random())  # noqa: S311 - jitter
        self._news, self._idle = asyncio.Event(), False
        self.requests = self.failed = self.sent = 0
        self.heard_ms: int | None = None  # the gateway's newest answer, by the even clock
        self.why = ""  # the newest attempt failed; "": it did not

    def news(self, urgent: bool) -> None:
        """Something was put into the outbox. What is not urgent waits while the link is being left alone."""
        if urgent or self._idle:
            self._news.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._news.clear()
            wait_s = await self.attempt()
            self._idle = wait_s >= _IDLE_S and not self.why
            if wait_s > _AT_LEAST_S and not self._idle:
                await asyncio.sleep(_AT_LEAST_S)
                wait_s -= _AT_LEAST_S
            if wait_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._news.wait()

    async def attempt(self) -> float:
        """One request, if there is anything to say; how long to wait before the next, in s."""
        try:
            await self._dated()
            batch = await self._next()
        except Unavailable as error:
            self.why = str(error)
            return error.retry_after_s or _IDLE_S
        try:
            if not batch:
                return await self._nothing_to_send()
            return await self._send(batch)
        except Unavailable as error:
            self.failed += 1
            self._said(str(error))
            return max(self.pace.bad(timed_out=error.reason == "timeout"), error.retry_after_s or 0.0)

    async def _dated(self) -> None:
        done = self._settle()
        if asyncio.iscoroutine(done):
            await done

    async def _next(self) -> list[Waiting]:
        """What goes next. What a dying card has made unreadable is set aside: else everything would wait behind it."""
        batch = await self._store.run(lambda outbox: outbox.next(self.pace.items))
        faults = {one.id: fault for one in batch if (fault := _fault(one))}
        if faults:
            aside = [(one, faults[one.id]) for one in batch if one.id in faults]
            _log.error("%d readings of the outbox cannot be read and are set aside; the first: %s", len(aside), aside[0][1])
            kept = [(one.id, NotTaken("unreadable", "", fault, "look at the card", repr(one).encode(), "edge")) for one, fault in aside]
            now_ms = self._clock.now().ms
            await self._store.run(lambda outbox: outbox.sent((), kept, now_ms))
        return [one for one in batch if one.id not in faults]

    async def _nothing_to_send(self) -> float:
        if self._clock.offset_ms is not None:
            return _IDLE_S
        asked = self._clock.even_ms()
        self.requests += 1
        response = await self._link.ask(self.pace.timeout_s)
        if response.answer is None or response.date_ms is None:  # a portal's clock is nobody's
            raise Unavailable(f"the answer to what time it is ({response.status}) is not the gateway's", reason="portal")
        # The header's second has begun up to 1 s ago: its middle is meant.
        self._clock.told(response.date_ms + _DATE_ACCURATE_MS // 2, asked, accurate_ms=_DATE_ACCURATE_MS // 2)
        self.pace.good()
        return 0.0

    async def _send(self, batch: Sequence[Waiting]) -> float:
        asked = self._clock.even_ms()
        headers = {
            "Authorization": f"Bearer {self._link.key()}",
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Date": format_datetime(datetime.fromtimestamp(self._clock.now().ms / 1000, UTC), usegmt=True),
            REPORT: self._report().decode("ascii"),
        }
        self.requests += 1
        response = await self._link.post(gzip.compress(body_of(batch), 6), headers, self.pace.timeout_s)
        answer = response.answer
        if answer is None:
            raise Unavailable(f"the answer ({response.status}) is not the gateway's", reason="portal")
        self.heard_ms = self._clock.even_ms()
        if _of_each(answer, len(batch)) and response.status in (202, 403, 422):
            if answer.received_ms is not None:
                self._clock.told(answer.received_ms, asked)
            return await self._told(batch, answer)
        return await self._whole(batch, response, answer)

    async def _told(self, batch: Sequence[Waiting], answer: Answer) -> float:
        """The gateway has said of each reading what became of it."""
        refused = [
            (batch[one.index].id, NotTaken(one.reason, one.field, one.detail, one.fix, item_of(batch[one.index]), "gateway", upstream=True))
            for one in answer.refused
        ]
        lost = {id for id, _ in refused}
        now = self._clock.now()
        kept = {SURE: str(now.ms)} if now.sure else {}
        taken = [one.id for one in batch if one.id not in lost]
        await self._store.run(lambda outbox: outbox.sent(taken, refused, now.ms, kept))
        if refused:
            first = refused[0][1]
            _log.error("the gateway refused %d readings, kept here; the first: %s (%s)", len(refused), first.detail, first.fix)
        self.sent += len(taken)
        self._said("")
        self.pace.good()
        return 0.0

    async def _whole(self, batch: Sequence[Waiting], response: Response, answer: Answer) -> float:
        """The whole request was turned down."""
        what = f"{response.status} {answer.reason}: {answer.detail}"
        if response.status == 413 and answer.reason in _WHOLE:
            if len(batch) == 1:  # the smallest there is: it alone is to blame
                one = batch[0]
                kept = NotTaken(answer.reason, "", answer.detail, "", item_of(one), "gateway", upstream=True)
                now = self._clock.now()
                await self._store.run(lambda outbox: outbox.sent((), [(one.id, kept)], now.ms))
                return 0.0
            self._said(what)
            self.pace.items = max(1, len(batch) // 2)
            return 1.0
        self._said(what)
        self.failed += 1
        wait_s = self.pace.bad(timed_out=False)
        if response.status in (401, 403):
            return max(wait_s, _WITHOUT_KEY_S)
        return max(wait_s, min(response.retry_after_s or 0.0, _MOST_RETRY_AFTER_S))

    def _said(self, why: str) -> None:
        if why and not self.why:
            _log.warning("the gateway: %s; %s", why, "readings wait")
        if self.why and not why:
            _log.info("the gateway takes readings again")
        self.why = why


def body_of(batch: Sequence[Waiting]) -> bytes:
    """The body of a request: a JSON array of readings as POST /v1/readings takes them."""
    return b"[" + b",".join(item_of(one) for one in batch) + b"]"


def item_of(one: Waiting) -> bytes:
    """One reading as its sensor sent it; the time in UTC, to 1 ms."""
    fields: dict[str, object] = {
        "station": one.station,
        "parameter": one.parameter,
        "time": datetime.fromtimestamp(one.time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "value": one.value,
        "unit": one.unit,
    }
    return msgspec.json.encode(fields | ({"datum": one.datum} if one.datum else {}))


def _fault(one: Waiting) -> str:
    """Why this can be no reading; "": it can."""
    try:
        item_of(one)
    except (ValueError, TypeError, ArithmeticError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _of_each(answer: Answer, sent: int) -> bool:
    """Whether the answer accounts for every reading that was sent."""
    indices = {one.index for one in answer.refused}
    return answer.accepted + len(indices) == sent and len(indices) == len(answer.refused) and indices <= set(range(sent))
