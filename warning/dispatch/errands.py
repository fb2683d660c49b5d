"""What subscriptions ask of the dispatcher: a challenge that shows whose an endpoint is, a test event; and what a 410 means for them.

The API only writes down what is to be sent (``people.subscriptions``); one process alone reaches out, by the way that alerts take. A
challenge is a signed POST of a random token; an endpoint that gives it back, as ``{"challenge": "..."}`` or as plain text, is its owner's.
An e-mail address gets the token in a mail (``codes_out``), where there is a relay; else it waits for a person.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import httpx
from sqlalchemy.exc import DBAPIError

from warning.dispatch.channel import Outcome
from warning.dispatch.codes_out import CodesOut
from warning.dispatch.webhook import WebhookChannel, outcome_of
from warning.errors import Unavailable
from warning.model import DeliveryState
from warning.people.mailed import CODE
from warning.people.subscriptions import CONTACT, Subscription, Subscriptions

log = logging.getLogger(__name__)

EVERY_S = 1.0
AT_ONCE = 20  # requests under way
PAUSES_S = (2.0, 5.0, 20.0, 60.0, 300.0)  # between challenges; after the last one the endpoint is refused
GONE_EVERY = 5  # rounds


class Endpoints(Protocol):
    """Of the ledger: endpoints that answered 410."""

    async def endpoints_off(self) -> set[tuple[str, str]]: ...

    async def endpoint_on(self, contact: str) -> None: ...


@dataclass
class Errands:
    """``now_ms``: by the wall clock."""

    subscriptions: Subscriptions
    channel: WebhookChannel
    ledger: Endpoints
    now_ms: Callable[[], int]
    codes: CodesOut | None = None
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self) -> None:
        """Until it is cancelled."""
        rounds = 0
        if self.codes is not None:
            await self.codes.start()
        try:
            while True:
                try:
                    await self._look(gone=rounds % GONE_EVERY == 0)
                except (Unavailable, DBAPIError, OSError) as error:
                    log.error("subscriptions wait, their database does not answer: %s", error)
                rounds += 1
                await asyncio.sleep(EVERY_S)
        finally:
            for task in self._under_way.values():
                task.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)
            if self.codes is not None:
                await self.codes.stop()

    async def _look(self, *, gone: bool) -> None:
        free = AT_ONCE - len(self._under_way)
        for one in await self._due(AT_ONCE + len(self._under_way)) if free > 0 else ():
            if one.id not in self._under_way and len(self._under_way) < AT_ONCE:
                task = self._under_way[one.id] = asyncio.create_task(self._go(one), name=f"errand {one.id}")
                task.add_done_callback(lambda _, id=one.id: self._under_way.pop(id, None))  # type: ignore[misc]
        if gone:
            await self._pause_gone()

    async def _due(self, most: int) -> list[Subscription]:
        return await self.subscriptions.errands(most, mail=self.codes is not None)

    async def _pause_gone(self) -> None:
        """Who answered 410 wants nothing any more; its owner sees that, and may have it challenged again."""
        off = {(contact, address) for contact, address in await self.ledger.endpoints_off() if contact.startswith(CONTACT)}
        if off:
            for one in await self.subscriptions.of():
                if one.state == "active" and (CONTACT + one.id, one.address) in off:
                    await self.subscriptions.pause(one.id, "its endpoint answered 410 Gone; have it challenged again when it is back")

    async def _go(self, one: Subscription) -> None:
        errand: Callable[[Subscription], Awaitable[None]] = self._challenge if one.errand == "challenge" else self._test
        if one.channel == "email":
            errand = self._code
        try:
            await errand(one)
        except (Unavailable, DBAPIError, OSError) as error:  # it stands in the database and is due again
            log.error("subscription %s: %s waits: %s", one.id, one.errand, error)

    async def _challenge(self, one: Subscription) -> None:
        data = {"subscription": one.id, "challenge": one.token}
        answer = await self.channel.exchange(
            one.contact(), f"challenge:{one.id}:{one.token[:12]}", body_of("challenge", data, self.now_ms())
        )
        outcome = answer if isinstance(answer, Outcome) else outcome_of(answer, datetime.now(UTC))
        if isinstance(answer, httpx.Response) and outcome.state is DeliveryState.DELIVERED:
            if returned(answer.content, one.token):
                await self.ledger.endpoint_on(CONTACT + one.id)
                await self.subscriptions.ran(one, "verified", "", state="active")
                log.info("subscription %s of %s is verified: %s", one.id, one.owner, one.address)
                return
            outcome = Outcome(DeliveryState.WAITING, "not_returned", detail="answered without giving the challenge back")
        final = outcome.state is DeliveryState.FAILED or one.errand_tries >= len(PAUSES_S)
        again_ms = None if final else self.now_ms() + round(PAUSES_S[one.errand_tries] * 1000)
        await self.subscriptions.ran(one, outcome.reason, outcome.detail, state="refused" if final else "", again_ms=again_ms)

    async def _code(self, one: Subscription) -> None:
        assert self.codes is not None  # else it is not due
        async with self.codes.mailed.turn(one, self.now_ms()) as why:
            if why:
                await self.subscriptions.ran(one, "refused", why, state="refused")
            else:
                await self._mailed(one, await self.codes.send(one))

    async def _mailed(self, one: Subscription, outcome: Outcome) -> None:
        if outcome.state in (DeliveryState.ACCEPTED, DeliveryState.UNKNOWN):  # it may have come
            await self.subscriptions.ran(one, outcome.state.value, one.address, what=CODE, state="pending")
            return
        final = outcome.state is DeliveryState.FAILED or one.errand_tries >= len(PAUSES_S)
        again_ms = None if final else self.now_ms() + round(PAUSES_S[one.errand_tries] * 1000)
        await self.subscriptions.ran(one, outcome.reason, outcome.detail, state="refused" if final else "", again_ms=again_ms)

    async def _test(self, one: Subscription) -> None:
        """Once: whoever asks wants to see what comes."""
        words = "This is a test of the connection. It is no warning."
        body = body_of("test", {"subscription": one.id, "status": "Test", "words": words}, self.now_ms())
        outcome = await self.channel.post(one.contact(), f"test:{one.id}:{self.now_ms()}", body)
        done = outcome.state is DeliveryState.DELIVERED
        await self.subscriptions.ran(one, "delivered" if done else outcome.reason, outcome.detail)


def body_of(what: str, data: dict[str, str], at_ms: int) -> str:
    """``type`` begins with ``subscription.``, which no alert's does."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"type": f"subscription.{what}", "timestamp": at, "data": data})


def returned(content: bytes, token: str) -> bool:
    """Is that the token, as JSON or as plain text?"""
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):  # its receiver wrote it: brackets within brackets, too
        said = content.decode(errors="replace").strip()
    if isinstance(said, dict):
        said = said.get("challenge")
    return isinstance(said, str) and hmac.compare_digest(said.encode(errors="replace"), token.encode())
