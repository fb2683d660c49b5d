"""E-mail over one relay: which step failed says whether it may have been sent, and whose fault it was.

A relay that knows delivery status notifications (RFC 3461) is asked for one, good or bad; ``bounces`` reads them.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import parseaddr
from typing import Any

import aiosmtplib
from aiosmtplib import SMTP

from warning.dispatch import bounces
from warning.dispatch.channel import Outcome, Part, PartReceipt, Sending
from warning.dispatch.letter import message_id
from warning.dispatch.pace import Pace
from warning.dispatch.posted import listens
from warning.model import DeliveryState
from warning.routes import MailRoute

log = logging.getLogger(__name__)

IDLE_S = 20.0  # relays close what is silent for longer
LATER_S = 300.0  # greylisting: never before this
SHUTTING = 421
Letter = Callable[[Sending, MailRoute, str], EmailMessage]
REFUSED_US = (aiosmtplib.SMTPAuthenticationError, aiosmtplib.SMTPNotSupported)  # wrong password, or it offers no STARTTLS
BROKEN = (aiosmtplib.SMTPServerDisconnected, ConnectionError, OSError)


@dataclass
class Idle:
    client: SMTP
    since: float


class Relay:
    """One relay, with ``window`` connections at most."""

    def __init__(self, route: MailRoute, timeout_s: float = 30.0) -> None:
        self.name, self.window = route.name, route.window
        self._route, self._timeout_s = route, timeout_s
        self.pace = Pace(route.most_per_s)
        self._idle: list[Idle] = []
        self._envelope = parseaddr(route.bounces or route.sender)[1]

    @property
    def up(self) -> bool:
        return True

    async def start(self) -> None:
        self._context = ssl.create_default_context(cafile=self._route.ca_file or None)

    async def stop(self) -> None:
        idle, self._idle = self._idle, []
        for one in idle:
            await _quit(one.client)

    async def well(self) -> bool:
        return await listens(self._route.host, self._route.port)

    async def post(self, written: Callable[[MailRoute], EmailMessage], name: str, receiver: str) -> Outcome:
        """``written``: the mail, by whom it goes; ``name``: of its envelope, by which notifications name it."""
        await self.pace.turn()
        client = self._reused()
        try:
            mail = written(self._route)
            if client is None:
                client = await self._connected()
            outcome = await self._hand_over(client, mail, name, receiver)
        except REFUSED_US as error:
            return await self._failed(client, Outcome(DeliveryState.WAITING, "refused_us", detail=repr(error)[:200]))
        except (aiosmtplib.SMTPException, ssl.SSLError, OSError) as error:  # before the mail itself: certainly not sent
            return await self._failed(client, Outcome(DeliveryState.WAITING, "connect", soon=True, detail=repr(error)[:200]))
        except ValueError as error:  # an address or a text that no mail can have: this one's fault, not the relay's
            return await self._failed(client, Outcome(DeliveryState.FAILED, "malformed", detail=repr(error)[:200]))
        if client.is_connected:
            self._idle.append(Idle(client, asyncio.get_running_loop().time()))
        return outcome

    def _reused(self) -> SMTP | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            one = self._idle.pop()
            if one.client.is_connected and now - one.since < IDLE_S:
                return one.client
            one.client.close()
        return None

    async def _connected(self) -> SMTP:
        route = self._route
        client = SMTP(
            hostname=route.host,
            port=route.port,
            timeout=self._timeout_s,
            use_tls=route.tls == "tls",
            start_tls=route.tls == "starttls",  # True: it raises where the relay cannot
            tls_context=None if route.tls == "none" else self._context,
        )
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await _greeted(client)  # before its extensions are asked for
        if route.user:
            if not client.supports_extension("auth"):
                raise aiosmtplib.SMTPNotSupported("no AUTH over this connection")
            await client.login(route.user, route.password)
        return client

    async def _hand_over(self, client: SMTP, mail: EmailMessage, name: str, receiver: str) -> Outcome:
        told = client.supports_extension("dsn")
        try:
            await client.mail(self._envelope, options=["RET=HDRS", f"ENVID={name}"] if told else [])
        except aiosmtplib.SMTPResponseException as error:
            return await self._refused(client, error, ours=True)
        try:
            await client.rcpt(receiver, options=["NOTIFY=SUCCESS,FAILURE"] if told else [])
        except aiosmtplib.SMTPResponseException as error:
            return await self._refused(client, error, ours=False)
        part = Part(1, DeliveryState.UNKNOWN, name)
        try:
            await client.data(mail.as_bytes(policy=WIRE))
        except aiosmtplib.SMTPDataError as error:
            return await self._refused(client, error, ours=error.code >= 500)
        except (aiosmtplib.SMTPTimeoutError, TimeoutError) as error:
            return await self._failed(client, Outcome(DeliveryState.UNKNOWN, "timeout", parts=(part,), detail=repr(error)[:200]))
        except (aiosmtplib.SMTPException, *BROKEN) as error:
            return await self._failed(client, Outcome(DeliveryState.UNKNOWN, "reset", parts=(part,), detail=repr(error)[:200]))
        self.pace.accepted()
        return Outcome(DeliveryState.ACCEPTED, parts=(Part(1, DeliveryState.ACCEPTED, name),))

    async def _refused(self, client: SMTP, error: aiosmtplib.SMTPResponseException, *, ours: bool) -> Outcome:
        """The relay said no: later (4xx), never to this receiver, or never to us (``ours``)."""
        detail = f"{error.code} {error.message[:150]}"
        if error.code == SHUTTING:
            self.pace.throttled()
            return await self._failed(client, Outcome(DeliveryState.WAITING, "throttled", soon=True, detail=detail))
        try:
            await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            client.close()
        if error.code < 500:
            return Outcome(DeliveryState.WAITING, "deferred", LATER_S, detail=detail)
        if ours:
            return Outcome(DeliveryState.WAITING, "refused_us", detail=detail)
        return Outcome(DeliveryState.FAILED, "rejected", detail=detail)

    async def _failed(self, client: SMTP | None, outcome: Outcome) -> Outcome:
        if client is not None:
            client.close()
        return outcome


class MailWay(Relay):
    """Warnings by one relay."""

    def __init__(self, route: MailRoute, letter: Letter, timeout_s: float = 30.0) -> None:
        super().__init__(route, timeout_s)
        self._letter = letter

    async def send(self, sending: Sending) -> Outcome:
        receiver = sending.contact.email
        return await self.post(lambda route: self._letter(sending, route, receiver), message_id(sending), receiver)

    async def receive(self, mail: Any) -> list[PartReceipt]:
        """Receipts in a bounce. Raises ValueError where it is none."""
        if not isinstance(mail, bytes):
            raise ValueError("no mail: hand it over as it came, with content-type: message/rfc822")
        return await asyncio.to_thread(bounces.read, mail)  # a hostile one takes its time


async def _greeted(client: SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


async def _quit(client: SMTP) -> None:
    try:
        async with asyncio.timeout(2.0):
            await client.quit()
    except (aiosmtplib.SMTPException, TimeoutError, OSError):
        client.close()
