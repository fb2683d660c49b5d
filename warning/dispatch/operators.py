"""How those who run the system are told of what waits for them: by webhook and by e-mail, whichever they have, each until it took it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from typing import Any, Protocol

from warning.dispatch.channel import Outcome
from warning.dispatch.mail import Relay
from warning.model import DeliveryState
from warning.region import Contact, Region, named
from warning.routes import MailRoute

log = logging.getLogger(__name__)

RETRIES_S = (0.0, 5.0, 60.0)
MOST_KEPT = 10_000  # (identifier, way) that took it: a retry for the other way is no second mail
SUBJECTS = {
    "approval.waiting": "A warning waits for your release",
    "approval.unanswered": "Nobody released a warning in time",
    "zones.observed": "Gauges fell silent, or speak again",
    "report.differs": "An SMS centre's report differs from the ledger",
    "cash.waiting": "A payment waits for your approval",
}


class Posts(Protocol):
    """``WebhookChannel``, or what stands in for it."""

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome: ...


class OperatorPosts:
    """``relays``: routes of e-mail, the best first; without one an operator's e-mail address is no way."""

    def __init__(self, webhooks: Posts, relays: Sequence[MailRoute], region: Region) -> None:
        self._webhooks, self._region, self._relays = webhooks, region, [Relay(route) for route in relays]
        self._took: dict[tuple[str, str], None] = {}
        self._started = False

    def reaches(self, contact: Contact) -> bool:
        return bool(contact.webhook or (contact.email and self._relays))

    async def close(self) -> None:
        for relay in self._relays:
            await relay.stop()

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        """By each way that has not taken it; WAITING if one may still, else DELIVERED if one has, else why not."""
        outcomes = []
        for way in ("webhook",) * bool(contact.webhook) + ("email",) * bool(contact.email and self._relays):
            if (identifier, way) in self._took:
                outcomes.append(Outcome(DeliveryState.DELIVERED, ""))
                continue
            outcomes.append(await (self._webhooks.post if way == "webhook" else self._mail)(contact, identifier, body))
            if outcomes[-1].state in (DeliveryState.DELIVERED, DeliveryState.ACCEPTED):
                self._keep(identifier, way)
        order = (DeliveryState.WAITING, DeliveryState.UNKNOWN, DeliveryState.DELIVERED)
        ranked = sorted(outcomes, key=lambda one: order.index(one.state) if one.state in order else len(order))
        return ranked[0] if ranked else Outcome(DeliveryState.FAILED, "endpoint", detail="neither a webhook nor a mail relay")

    def _keep(self, identifier: str, way: str) -> None:
        self._took[identifier, way] = None
        if len(self._took) > MOST_KEPT:
            del self._took[next(iter(self._took))]

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


async def told(posts: Posts, contact: Contact, identifier: str, body: str) -> None:
    """One operator, with three attempts; the log says if he was not."""
    for delay_s in RETRIES_S:
        await asyncio.sleep(delay_s)
        outcome = await posts.post(contact, identifier, body)
        if outcome.state in (DeliveryState.DELIVERED, DeliveryState.FAILED):
            break
    if outcome.state is not DeliveryState.DELIVERED:
        log.error("operator %s was not told of %s: %s %s", contact.id, identifier, outcome.reason, outcome.detail)


def letter(contact: Contact, identifier: str, body: str, region: Region, route: MailRoute) -> EmailMessage:
    """What the webhook says, as lines. Message-ID by ``identifier``: mailboxes know what another dispatcher, or a retry, sends again."""
    said = json.loads(body)
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = route.sender, contact.email
    mail["Subject"] = f"{named(region.names, 'en')}: {SUBJECTS.get(said['type'], said['type'])}"
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
