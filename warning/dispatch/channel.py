"""What a channel is: it takes one message to one contact and says honestly what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from warning.model import AlertEvent, DeliveryState
from warning.region import Contact


@dataclass(frozen=True, slots=True)
class Sending:
    """One attempt to make; ``event.cap`` is the document as it is served. ``skip``: parts (from 1) that a gateway has taken already."""

    delivery: int  # the ledger's number
    event: AlertEvent
    contact: Contact
    language: str
    attempt: int
    valid_ms: int  # how long the message is worth delivering, from now
    skip: tuple[int, ...] = ()
    acknowledge: str = ""  # URL where this contact answers this chain; "": the region names no such page
    resent: int = 0  # attempts before an operator had it sent again: a message of its own, and it says so; 0: nobody did
    text: str = ""  # of an SMS that is no alert's, but a notice to those who run the system


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one part: ACCEPTED (has a message id), WAITING (certainly not sent), UNKNOWN (may have been), FAILED."""

    number: int
    state: DeliveryState
    message_id: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt.

    ``state``: ACCEPTED, the gateway has it and a receipt will follow; DELIVERED, the receiver has it; WAITING, certainly not
    sent, try again; UNKNOWN, may have been sent, try again and mark it; FAILED, for good. ``reason`` is a bounded word.
    """

    state: DeliveryState
    reason: str = ""
    retry_after_s: float | None = None
    parts: tuple[Part, ...] = ()
    switch_off: bool = False  # the receiver wants nothing any more (410) ...
    address: str = ""  # ... at this address
    soon: bool = False  # the way was closed, not the receiver: try again in seconds, as often as it takes
    detail: str = ""
    route: str = ""  # by which of the channel's routes; "": it has one


@dataclass(frozen=True, slots=True)
class PartReceipt:
    """The gateway's word on one part. ``state``: DELIVERED or FAILED."""

    channel: str
    message_id: str
    state: DeliveryState
    reason: str = ""


OnReceipt = Callable[[PartReceipt], Awaitable[None]]  # returns when the receipt is durable; only then is it acknowledged
OnState = Callable[[bool], None]


class Channel(Protocol):
    """One way to reach contacts. ``send`` never raises for what the other side does; it may be cancelled."""

    name: str

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def address(self, contact: Contact) -> str:
        """Where the contact is reached over this channel; "" if it is not."""
        ...

    def lane(self, contact: Contact) -> str:
        """Deliveries of one lane share a queue: one slow endpoint is one lane, and delays no other."""
        ...

    def width(self, lane: str) -> int:
        """How many attempts of that lane may be under way at once."""
        ...

    async def ready(self) -> None:
        """Returns when a send makes sense; a closed way is waited for, not tried."""
        ...

    async def send(self, sending: Sending) -> Outcome: ...


def worst(states: list[DeliveryState]) -> DeliveryState:
    """State of a message from those of its parts: what is least settled decides, a part refused for good last of all."""
    for state in (DeliveryState.UNKNOWN, DeliveryState.WAITING, DeliveryState.FAILED):
        if state in states:
            return state
    return DeliveryState.ACCEPTED
