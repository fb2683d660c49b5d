"""A webhook receiver for demo and tests: checks Standard Webhooks signatures, records, and misbehaves on request.

Runs as a process of its own::

    python -m warning.rehearsal.receiver --port 0 --secrets secrets.json --record webhooks.jsonl

``secrets.json``: name -> ``whsec_...``. ``POST /hook/NAME`` takes a webhook; ``POST /behaviour/NAME`` with JSON fields of
``Behaviour`` says how that name answers from now on. Prints ``listening PORT`` when it does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


@dataclass
class Behaviour:
    """How one name answers."""

    status: int = 204
    retry_after: str = ""  # header, as it is
    after_s: float = 0.0  # waits before it answers
    location: str = ""  # header, for redirects
    reset: bool = False  # drops the connection after it took the request
    times: int = -1  # so many answers like this, then 204 at once; -1: always


@dataclass
class Receiver:
    """``records`` has every request that came, in order; ``taken`` the verified ones that were answered with 2xx."""

    secrets: Mapping[str, str]
    host: str = "127.0.0.1"
    port: int = 0
    record: Path | None = None
    challenges: bool = True  # gives a subscription's challenge back, as its owner must
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._file: TextIO | None = None
        self._runner: web.AppRunner | None = None

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [line for line in self.records if line["verified"] and 200 <= line["status"] < 300]

    def url(self, name: str) -> str:
        return f"http://{self.host}:{self.port}/hook/{name}"

    async def start(self) -> int:
        """Listens; returns the port."""
        if self.record:
            self._file = self.record.open("a", encoding="utf-8")
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/hook/{name}", self._hook)
        app.router.add_post("/behaviour/{name}", self._behave)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = int(self._runner.addresses[0][1])
        return self.port

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
        if self._file:
            self._file.close()
            self._file = None

    async def _behave(self, request: web.Request) -> web.Response:
        wanted = json.loads(await request.text())
        unknown = set(wanted) - {field.name for field in fields(Behaviour)}
        if unknown:
            return web.json_response({"unknown": sorted(unknown)}, status=422)
        self.behaviours[request.match_info["name"]] = Behaviour(**wanted)
        return web.Response(status=204)

    async def _hook(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.text()
        behaviour = self.behaviours.get(name, Behaviour())
        if behaviour.times == 0:
            behaviour = Behaviour()
        behaviour.times = max(behaviour.times - 1, -1)
        verified = self._verified(name, body, request)
        status = behaviour.status if verified else 401
        self._note(name, request, body, verified=verified, status=0 if behaviour.reset else status)
        if behaviour.after_s:
            await asyncio.sleep(behaviour.after_s)
        if behaviour.reset and request.transport:
            request.transport.close()
        headers = {"Retry-After": behaviour.retry_after} if behaviour.retry_after else {}
        if behaviour.location:
            headers["Location"] = behaviour.location
        if self.challenges and status < 300 and (challenge := _challenge(body)):
            return web.json_response({"challenge": challenge}, headers=headers)
        return web.Response(status=status, headers=headers)

    def _verified(self, name: str, body: str, request: web.Request) -> bool:
        if name not in self.secrets:
            return False
        try:
            Webhook(self.secrets[name]).verify(body, dict(request.headers), json_parse=False)
        except WebhookVerificationError:
            return False
        return True

    def _note(self, name: str, request: web.Request, body: str, *, verified: bool, status: int) -> None:
        try:
            content = json.loads(body)
        except ValueError:
            content = {}
        line = {
            "at_ms": time.time_ns() // 1_000_000,
            "name": name,
            "webhook_id": request.headers.get("webhook-id", ""),
            "type": content.get("type", ""),
            "alert": content.get("data", {}).get("alert", {}).get("identifier", ""),
            "cap_bytes": len(content.get("data", {}).get("cap", "").encode()),
            "verified": verified,
            "status": status,
        }
        self.records.append(line)
        if self._file:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def _challenge(body: str) -> str:
    """Of a subscription that begins; "" in every other webhook."""
    try:
        content = json.loads(body)
    except ValueError:
        return ""
    return str(content["data"]["challenge"]) if content.get("type") == "subscription.challenge" else ""


async def serve(receiver: Receiver) -> None:
    """Listens until it is ended."""
    print(f"listening {await receiver.start()}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await receiver.stop()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="webhook receiver for rehearsals")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secrets", type=Path, required=True, help="JSON: name -> whsec_...")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args(arguments)
    secrets = json.loads(options.secrets.read_text(encoding="utf-8"))
    with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
        asyncio.run(serve(Receiver(secrets, port=options.port, record=options.record)))


if __name__ == "__main__":
    main()
