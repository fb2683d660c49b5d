"""A channel over several routes: the first that is well carries it, the next stands in, and the first comes back when it stayed well.

What a route certainly did not take goes over the next one at once. What it may have taken is UNKNOWN, as ever: it goes again soon, over
another route, and the ledger marks it as doubled.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from warning.dispatch.channel import OnReceipt, OnState, Outcome, Part, PartReceipt, Sending
from warning.facts import Listener, RouteState
from warning.model import DeliveryState
from warning.region import Contact
from warning.tasks import ended

log = logging.getLogger(__name__)

CLOSED = {"unavailable", "connect", "stopped", "refused_us", "timeout", "reset", "server_error", "gateway_error"}  # the route's fault
GONE = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.UNKNOWN)  # a part in one of these may not go by another route
LOOK_S = 1.0
BIND_S = 10.0  # so long after the start a route that was never up is not in trouble: it is binding


class Way(Protocol):
    """One route. ``name`` "": the ids of its messages stand as the gateway gave them."""

    name: str

    @property
    def window(self) -> int:
        """How many messages may be claimed for it at once, now."""
        ...

    @property
    def up(self) -> bool:
        """Would a send make sense now, as far as is known without asking?"""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def well(self) -> bool:
        """Asks the other side whether it is there; sends nothing to anybody."""
        ...

    async def send(self, sending: Sending) -> Outcome: ...


@dataclass
class Health:
    """What is known of a route. ``trouble_at``: of the last fault, by the monotonic clock."""

    up: bool = True
    trouble_at: float = float("-inf")
    was_up: bool = False


@dataclass
class Routed:
    """``Channel`` over ``ways``, the best first. ``reach``: the contact's address over this channel."""

    name: str
    ways: Sequence[Way]
    reach: Callable[[Contact], str]
    on_state: OnState
    listen: Listener
    well_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    look_s: float = LOOK_S
    bind_s: float = BIND_S
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._health = {way.name: Health() for way in self.ways}
        self._told: dict[str, bool] = {}
        self._up: bool | None = None

    async def start(self) -> None:
        for way in self.ways:
            await way.start()
        self._task = asyncio.create_task(self._watch(), name=f"routes of {self.name}")

    async def stop(self) -> None:
        if self._task:
            await ended([self._task])
        for way in self.ways:
            await way.stop()

    def address(self, contact: Contact) -> str:
        return self.reach(contact)

    def lane(self, contact: Contact) -> str:
        return self.name

    def width(self, lane: str) -> int:
        return max(way.window for way in self.ways)

    async def ready(self) -> None:
        while not any(self._open(way) for way in self.ways):  # noqa: ASYNC110 - ways have no common event
            await asyncio.sleep(0.05)

    async def send(self, sending: Sending) -> Outcome:
        left = list(self.ways)
        while True:
            way = self.choose(left)
            left.remove(way)
            outcome = self._named(way, await way.send(sending), sending.contact)
            if outcome.reason in CLOSED:
                self._trouble(way, outcome)
            elsewhere = outcome.state is DeliveryState.WAITING and outcome.reason in CLOSED | {"throttled"}
            if not elsewhere or any(part.state in GONE for part in outcome.parts) or not any(self._open(each) for each in left):
                return replace(outcome, soon=outcome.soon or (len(self.ways) > 1 and outcome.reason in CLOSED))

    def choose(self, among: Sequence[Way]) -> Way:
        """The first that is open and has been well for ``well_s``; else the open one that has been well longest; else the first."""
        now = self.clock()
        open_now = [way for way in among if self._open(way)]
        steady = [way for way in open_now if now - self._health[way.name].trouble_at >= self.well_s]
        if open_now and not steady:
            return min(open_now, key=lambda way: self._health[way.name].trouble_at)
        return (steady or list(among))[0]

    def _open(self, way: Way) -> bool:
        return way.up and self._health[way.name].up

    def _trouble(self, way: Way, outcome: Outcome) -> None:
        health = self._health[way.name]
        health.trouble_at, health.up = self.clock(), False
        log.warning("%s: route %s: %s %s", self.name, way.name or "first", outcome.reason, outcome.detail)
        self._tell()

    def _named(self, way: Way, outcome: Outcome, contact: Contact) -> Outcome:
        parts = tuple(_part(way.name, part) for part in outcome.parts)
        return replace(outcome, route=way.name, parts=parts, detail=without_addresses(outcome.detail, contact))

    async def _watch(self) -> None:
        began = self.clock()
        while True:
            self._tell()
            for way in self.ways:
                try:
                    await self._look(way, began)
                except Exception:  # one that cannot be asked stays down; the others are looked at, and it is asked again
                    log.exception("%s: route %s cannot be looked at", self.name, way.name or "first")
            await asyncio.sleep(self.look_s)

    async def _look(self, way: Way, began: float) -> None:
        health = self._health[way.name]
        if not health.up:
            health.up = await way.well()
        elif not way.up and (self.clock() - began > self.bind_s or health.was_up):
            health.trouble_at = self.clock()
        health.was_up = health.was_up or way.up

    def _tell(self) -> None:
        for way in self.ways:
            up = self._open(way)
            if self._told.get(way.name) != up:
                self._told[way.name] = up
                self.listen(RouteState(self.name, way.name or "first", up))
        up = any(self._told.values())
        if self._up != up:
            self._up = up
            self.on_state(up)


def without_addresses(detail: str, contact: Contact) -> str:
    """What a gateway says often repeats whom it was for; logs name contacts by their ids alone."""
    for address in filter(None, (contact.email, contact.phone, contact.phone.removeprefix("+"))):
        detail = detail.replace(address, "(address)")
    return detail


def qualified(route: str, message_id: str) -> str:
    """The id of a message in the ledger: two gateways may both call one 17."""
    return f"{route}/{message_id}" if route and message_id else message_id


def receipts_of(channel: str, route: str, on_receipt: OnReceipt) -> OnReceipt:
    """Receipts of one route, under the names that the ledger has."""

    async def receive(receipt: PartReceipt) -> None:
        await on_receipt(replace(receipt, channel=channel, message_id=qualified(route, receipt.message_id)))

    return receive


def _part(route: str, part: Part) -> Part:
    return replace(part, message_id=qualified(route, part.message_id))
