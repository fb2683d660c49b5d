"""Gateways over HTTP on a real socket, that speak as their owners' documentation says, and misbehave on request."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiohttp import web

Said = dict[str, str]  # to, text, callback, id


@dataclass
class Behaviour:
    status: int = 0  # instead of taking it; 0: takes it
    body: str = ""  # of that answer
    retry_after: str = ""
    times: int = -1  # so many answers like this, then well; -1: always
    after_s: float = 0.0
    reset: bool = False
    receipts: int = 1
    receipt_first: bool = False
    good: bool = True  # what the receipts say


@dataclass
class Dialect:
    """``understand``: request -> what was said; ``accept``: id -> answer; ``receipt``: callback, id, good -> the request that tells it."""

    path: str
    understand: Callable[[web.Request, bytes], Said]
    accept: Callable[[Said], web.Response]
    receipt: Callable[[Said, bool], httpx.Request] | None = None


@dataclass
class Gateway:
    """``taken``: what it has, in order. ``requests``: everything that came, as (headers, body)."""

    dialect: Dialect
    context: ssl.SSLContext | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)
    taken: list[Said] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)  # of our listener to its receipts
    port: int = 0

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._later: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        self._client = httpx.AsyncClient(trust_env=False, verify=False, limits=httpx.Limits(max_connections=20))
        app = web.Application()
        app.router.add_route("*", self.dialect.path, self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.context, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]
        return self.port

    async def stop(self) -> None:
        for task in self._later:
            task.cancel()
        await self._client.aclose()
        with contextlib.suppress(TimeoutError):  # an aborted TLS connection is never reported as closed (Python 3.11)
            await asyncio.wait_for(self._runner.cleanup(), 2.0)

    async def _serve(self, request: web.Request) -> web.Response:
        body, behaviour = await request.read(), self.behaviour
        self.requests.append((dict(request.headers), body))
        if behaviour.times == 0:
            behaviour = Behaviour()
        behaviour.times -= 1
        await asyncio.sleep(behaviour.after_s)
        if behaviour.reset:
            assert request.transport is not None
            request.transport.abort()
        if behaviour.status:
            headers = {"Retry-After": behaviour.retry_after} if behaviour.retry_after else {}
            return web.Response(status=behaviour.status, text=behaviour.body, headers=headers)
        said = self.dialect.understand(request, body)
        said.setdefault("id", f"m{next(self._ids)}")
        self.taken.append(said)
        if behaviour.receipt_first:
            await self.tell(said, behaviour)
        else:
            task = asyncio.create_task(self.tell(said, behaviour))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        return self.dialect.accept(said)

    async def tell(self, said: Said, behaviour: Behaviour | None = None) -> None:
        """The receipts of one message, by HTTP to our listener."""
        behaviour = behaviour or self.behaviour
        if self.dialect.receipt is None or not said.get("callback"):
            return
        for _ in range(behaviour.receipts):
            answer = await self._client.send(self.dialect.receipt(said, behaviour.good))
            self.answers.append(answer.status_code)


def _twilio(request: web.Request, body: bytes) -> Said:
    fields = dict(httpx.QueryParams(body.decode()))
    assert request.headers["authorization"] == "Basic c2VjcmV0", "the key, as the form says"
    assert set(fields) == {"To", "From", "Body", "StatusCallback"}
    return {"to": fields["To"], "text": fields["Body"], "callback": fields["StatusCallback"]}


def _infobip(request: web.Request, body: bytes) -> Said:
    assert request.headers["authorization"] == "App secret" and request.content_type == "application/json"
    one = json.loads(body)["messages"][0]
    assert isinstance(one["validityPeriod"], int)
    return {"to": one["destinations"][0]["to"], "text": one["text"], "callback": one["notifyUrl"]}


def _signal(request: web.Request, body: bytes) -> Said:
    said: dict[str, Any] = json.loads(body)
    return {"to": said["recipients"][0], "text": said["message"], "callback": "", "picture": said["base64_attachments"][0]}


def _kannel(request: web.Request, body: bytes) -> Said:
    query = request.query
    assert (query["username"], query["password"]) == ("ews", "pw")
    callback = query["dlr-url"]
    return {"to": query["to"], "text": query["text"], "callback": callback, "id": dict(httpx.URL(callback).params)["id"]}


def _kannel_receipt(said: Said, good: bool) -> httpx.Request:
    return httpx.Request("GET", said["callback"].replace("%d", "1" if good else "2"))


def _twilio_receipt(said: Said, good: bool) -> httpx.Request:
    fields = {"MessageSid": said["id"], "MessageStatus": "delivered" if good else "undelivered", "To": said["to"]}
    return httpx.Request("POST", said["callback"], data=fields)


def _infobip_receipt(said: Said, good: bool) -> httpx.Request:
    status = {"groupName": "DELIVERED" if good else "UNDELIVERABLE"}
    return httpx.Request("POST", said["callback"], json={"results": [{"messageId": said["id"], "status": status}]})


def _cap(request: web.Request, body: bytes) -> Said:
    assert request.content_type == "application/cap+xml"
    return {"to": "", "text": body.decode(), "callback": ""}


DIALECTS = {
    "twilio": Dialect(
        "/2010-04-01/Accounts/AC1/Messages.json",
        _twilio,
        lambda said: web.json_response({"sid": said["id"], "status": "queued"}, status=201),
        _twilio_receipt,
    ),
    "infobip": Dialect(
        "/sms/2/text/advanced",
        _infobip,
        lambda said: web.json_response({"messages": [{"messageId": said["id"], "status": {"groupName": "PENDING"}}]}),
        _infobip_receipt,
    ),
    "signal": Dialect("/v2/send", _signal, lambda said: web.json_response({"timestamp": "17"}, status=201)),
    "kannel": Dialect("/cgi-bin/sendsms", _kannel, lambda said: web.Response(status=202, text="0: Accepted for delivery"), _kannel_receipt),
    "cap": Dialect("/cap", _cap, lambda said: web.Response(status=200)),
}
