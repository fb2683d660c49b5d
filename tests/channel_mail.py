"""A mail server on a real socket (aiosmtpd), that misbehaves on request and knows delivery status notifications.

aiosmtpd refuses the parameters of RFC 3461, so they are taken off here before it looks; what was asked for is kept.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

DSN = re.compile(r"\s(?:RET|ENVID|NOTIFY|ORCPT)=(\S+)", re.IGNORECASE)


@dataclass
class Behaviour:
    rcpt: str = ""  # answer to RCPT; "": takes it
    mail: str = ""  # to MAIL
    data: str = ""  # after the mail itself
    silent: bool = False  # no answer after the mail
    reset: bool = False  # drops the connection there
    times: int = -1
    reports: int = 1  # how many notifications
    report_first: bool = False
    action: str = "delivered"


class Server(SMTP):
    """``asked``: parameters of the envelope as they came."""

    asked: list[str]

    @syntax("MAIL FROM: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:
        await super().smtp_MAIL(self._plain(arg))

    @syntax("RCPT TO: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_RCPT(self, arg: str | None) -> None:
        await super().smtp_RCPT(self._plain(arg))

    def _plain(self, arg: str | None) -> str | None:
        if arg is None:
            return None
        self.asked += [found.strip() for found in re.findall(DSN.pattern.replace("(\\S+)", "\\S+"), arg, re.IGNORECASE)]
        return DSN.sub("", arg)


@dataclass
class MailServer:
    """``mails``: what it has taken. ``notify``: where its notifications go."""

    notify: Callable[[bytes], Awaitable[None]] | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    mails: list[Message] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    port: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: set[Server] = set()
        self._later: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        self._server = await asyncio.get_running_loop().create_server(self._made, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for one in self._open:
            if one.transport:
                one.transport.abort()
        self._open.clear()
        for task in self._later:
            task.cancel()

    def _made(self) -> Server:
        made = Server(self, enable_SMTPUTF8=True, loop=asyncio.get_running_loop())
        made.asked = self.asked
        self._open.add(made)
        self.connections += 1
        return made

    def _now(self) -> Behaviour:
        if self.behaviour.times == 0:
            self.behaviour = Behaviour()
        return self.behaviour

    async def handle_EHLO(self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]) -> list[str]:
        session.host_name = hostname
        return [responses[0], "250-DSN", *responses[1:]]

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if answer := self._now().mail:
            self.behaviour.times -= 1
            return answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if answer := self._now().rcpt:
            self.behaviour.times -= 1
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        behaviour = self._now()
        if behaviour.silent:
            await asyncio.sleep(60)
        if behaviour.reset:
            assert server.transport is not None
            server.transport.abort()
            return ""
        if behaviour.data:
            self.behaviour.times -= 1
            return behaviour.data
        mail = BytesParser(policy=default).parsebytes(envelope.original_content or b"")
        self.mails.append(mail)
        if behaviour.report_first:
            await self._report(mail, behaviour)
        else:
            task = asyncio.create_task(self._report(mail, behaviour))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        return "250 OK"

    async def _report(self, mail: Message, behaviour: Behaviour) -> None:
        for _ in range(behaviour.reports):
            if self.notify:
                await self.notify(report(mail, behaviour.action))


def report(mail: Any, action: str, envelope_id: bool = True) -> bytes:
    """A notification as Postfix writes it (RFC 3464)."""
    name = mail["Message-ID"].strip("<>").partition("@")[0]
    code = {"delivered": "2.0.0", "failed": "5.1.1"}.get(action, "4.0.0")
    head = f"Original-Envelope-Id: {name}" if envelope_id else "X-Postfix-Queue-ID: 4A"
    return f"""\
From: MAILER-DAEMON@mail.example.org (Mail Delivery System)
Subject: Delivery Status Notification
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=-="

--=-=
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mail.example.org.

--=-=
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org
{head}

Final-Recipient: rfc822; {mail["To"]}
Action: {action}
Status: {code}

--=-=
Content-Type: text/rfc822-headers

Message-ID: {mail["Message-ID"]}
To: {mail["To"]}

--=-=--
""".encode()
