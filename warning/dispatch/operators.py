"""How those who run the system are told of what waits for them: by webhook, e-mail and SMS, whichever they have, each until it took it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Any, Protocol

from sqlalchemy.exc import DBAPIError

from warning.deployment import Deployment
from warning.dispatch.channel import Channel, Outcome
from warning.dispatch.mail import Relay
from warning.dispatch.operator_book import ENDED, Book, Post
from warning.dispatch.operator_sms import OperatorTexts
from warning.errors import Unavailable
from warning.facts import Listener
from warning.model import DeliveryState
from warning.region import Contact, Region, named
from warning.routes import MailRoute, Routes

log = logging.getLogger(__name__)

RETRIES_S = (0.0, 5.0, 60.0)
MOST_KEPT = 10_000  # (identifier, way) that took it, or never will: a retry for the other way is no second mail
SUBJECTS = {
    "approval.waiting": "A warning waits for your release",
    "approval.unanswered": "Nobody released a warning in time",
    "alert.untold": "Nobody at all is told of a warning",
    "zones.observed": "Gauges fell silent, or speak again",
    "report.differs": "An SMS centre's report differs from the ledger",
    "cash.waiting": "A payment waits for your approval",
}


Way = Callable[[Contact, str, str], Awaitable[Outcome]]


class Posts(Protocol):
    """``WebhookChannel``, or what stands in for it."""

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome: ...


class OperatorPosts:
    """``relays``: routes of e-mail, the best first; without one an operator's e-mail address is no way, nor his phone without ``texts``."""

    def __init__(self, webhooks: Posts, relays: Sequence[MailRoute], region: Region, texts: OperatorTexts | None = None) -> None:
        self._webhooks, self._region, self._relays = webhooks, region, [Relay(route) for route in relays]
        self._texts, self.by_phone = texts, texts is not None
        self._book: Book | None = None
        self._done: dict[tuple[str, str], Outcome] = {}
        self._started = False

    def reaches(self, contact: Contact) -> bool:
        return bool(contact.webhook or (contact.email and self._relays) or (self._texts and self._texts.reaches(contact)))

    async def start(self, book: Book) -> list[Post]:
        """From here on SMS stand in the ledger. Returns what was under way when the last dispatcher ended. Raises DBAPIError, OSError,
        Unavailable."""
        self._book, left = book, await book.start()
        if self._texts:
            await self._texts.start(book)
        return left

    async def close(self) -> None:
        if self._texts:
            await self._texts.close()
        for relay in self._relays:
            await relay.stop()

    async def settled(self, identifier: str) -> None:
        """No attempt follows. A ledger that is away lets the next dispatcher try again, under the same name."""
        try:
            if self._book:
                await self._book.settled(identifier)
        except (DBAPIError, OSError, Unavailable) as error:
            log.warning("that %s came to its end is not entered: %s", identifier, error)

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        """By each way that has not taken it, at once; WAITING if one may still, else DELIVERED if one has, else why not."""
        outcomes = await asyncio.gather(
            *(self._by(way, post, contact, identifier, body) for way, post in self._ways(contact, body).items())
        )
        order = (DeliveryState.WAITING, DeliveryState.UNKNOWN, DeliveryState.DELIVERED)
        ranked = sorted(outcomes, key=lambda one: order.index(one.state) if one.state in order else len(order))
        return ranked[0] if ranked else Outcome(DeliveryState.FAILED, "endpoint", detail="neither a webhook nor a mail relay")

    def _ways(self, contact: Contact, body: str) -> dict[str, Way]:
        ways: dict[str, Way] = {"webhook": self._webhooks.post} if contact.webhook else {}
        if contact.email and self._relays:
            ways["email"] = self._mail
        if self._texts and self._texts.reaches(contact) and self._texts.takes(json.loads(body)):
            ways["sms"] = self._texts.post
        return ways

    async def _by(self, way: str, post: Way, contact: Contact, identifier: str, body: str) -> Outcome:
        if (done := self._done.get((identifier, way))) is not None:
            return done
        outcome = await post(contact, identifier, body)
        if outcome.state in (DeliveryState.DELIVERED, DeliveryState.ACCEPTED, DeliveryState.FAILED):
            self._keep(identifier, way, outcome if outcome.state is DeliveryState.FAILED else Outcome(DeliveryState.DELIVERED, ""))
        return outcome

    def _keep(self, identifier: str, way: str, outcome: Outcome) -> None:
        self._done[identifier, way] = outcome
        if len(self._done) > MOST_KEPT:
            del self._done[next(iter(self._done))]

    async def _mail(self, contact: Contact, identifier: str, body: str) -> Outcome:
        if not self._started:
            for relay in self._relays:
                await relay.start()
            self._started = True
        outcome = Outcome(DeliveryState.WAITING, "no_route")
        for relay in self._relays:
            outcome = await relay.post(lambda route: letter(contact, identifier, body, self._region, route), "notice", contact.email)
            if outcome.state is not DeliveryState.WAITING:
                break
        taken = outcome.state in (DeliveryState.ACCEPTED, DeliveryState.DELIVERED)
        return Outcome(DeliveryState.DELIVERED, "") if taken else outcome


def ways(
    webhooks: Posts,
    sms: Channel | None,
    region: Region,
    deployment: Deployment,
    routes: Routes,
    listen: Listener,
    wall_ms: Callable[[], int],
) -> OperatorPosts:
    """Those of a deployment. ``sms``: its channel, if it has one. A replay wakes nobody by phone."""
    if sms is None or deployment.replay or not routes.operator_sms_per_hour:
        return OperatorPosts(webhooks, routes.email, region)
    return OperatorPosts(webhooks, routes.email, region, OperatorTexts(sms, region, routes.operator_sms_per_hour, listen, wall_ms))


async def told(posts: Posts, contact: Contact, identifier: str, body: str) -> None:
    """One operator, with three attempts; the log says if he was not."""
    for delay_s in RETRIES_S:
        await asyncio.sleep(delay_s)
        outcome = await posts.post(contact, identifier, body)
        if outcome.state in (DeliveryState.DELIVERED, DeliveryState.FAILED):
            break
    if isinstance(posts, OperatorPosts):
        await posts.settled(identifier)
    if outcome.state is not DeliveryState.DELIVERED:
        log.error("operator %s was not told of %s: %s %s", contact.id, identifier, outcome.reason, outcome.detail)


def letter(contact: Contact, identifier: str, body: str, region: Region, route: MailRoute) -> EmailMessage:
    """What the webhook says, as lines. Message-ID by ``identifier``: mailboxes know what another dispatcher, or a retry, sends again."""
    said = json.loads(body)
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = route.sender, contact.email
    over, kind = "Over: " if said["type"].endswith(ENDED) else "", said["type"].removesuffix(ENDED)
    mail["Subject"] = f"{named(region.names, 'en')}: {over}{SUBJECTS.get(kind, kind)}"
    mail["Date"] = localtime()
    name = hashlib.blake2b(identifier.encode(), digest_size=16).hexdigest()
    mail["Message-ID"] = f"<{name}@{route.sender.rpartition('@')[2].rstrip('> ') or 'localhost'}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(_lines(said["data"])) + "\n", cte="base64")
    return mail


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    for name, value in data.items():
        if isinstance(value, list):
            yield f"{name}:"
            yield from ("  " + (", ".join(f"{key} {one[key]}" for key in one) if isinstance(one, Mapping) else str(one)) for one in value)
        else:
            yield f"{name}: {value}"
