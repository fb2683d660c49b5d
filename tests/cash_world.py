"""A payment system that books, and alerts in a ledger: for the tests of anticipatory cash."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from alert_region import REGION, T0, H, actual, hazard
from sqlalchemy import insert

from warning.alerts import cap
from warning.alerts.lifecycle import transition
from warning.config_cash import Cash, Condition, Trigger
from warning.deployment import Deployment
from warning.dispatch import tables
from warning.dispatch.ledger import Ledger
from warning.dispatch.rows import Record, alert_row
from warning.model import Alert, AlertEvent, Level, to_json
from warning.region import Region

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBwYXltZW50IHN5c3RlbSE="
ACTUAL: Region = actual(REGION)
AMOUNTS = {"gujrat": 5_000, "sialkot": 7_000}


class Payments:
    """Books each idempotency key once, whatever is sent how often, and counts what came in. ``script``: how the next POSTs are answered
    (ok, lose: booked and the connection broken, drop: broken before it is booked, hold: booked and no answer, or a status); then ``ok``."""

    def __init__(self) -> None:
        self.booked: dict[str, dict[str, Any]] = {}
        self.posts: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}
        self.heads: list[dict[str, str]] = []
        self.script: list[str] = []
        self.asked: list[str] = []
        self.status: int | None = None  # how questions are answered; None: honestly
        self.held, self.released = asyncio.Event(), asyncio.Event()  # a POST with "hold" was booked; it is answered now
        self.port = 0

    async def __aenter__(self) -> Payments:
        app = web.Application()
        app.add_routes([web.post("/orders", self._post), web.get("/orders/{key}", self._get)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.released.set()
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        body, key = await request.read(), request.headers["idempotency-key"].strip('"')
        self.posts[key] += 1
        self.bodies.setdefault(key, set()).add(body)
        self.heads.append(dict(request.headers) | {"body": body.decode()})
        how = self.script.pop(0) if self.script else "ok"
        if how == "drop":
            return self._break(request)
        if how not in ("ok", "lose", "hold"):
            return web.Response(status=int(how))
        self.booked.setdefault(key, json.loads(body)["data"])
        if how == "lose":
            return self._break(request)
        if how == "hold":
            self.held.set()
            await self.released.wait()
        return web.json_response({"state": "accepted"}, status=202)

    def _break(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=500)

    async def _get(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        self.asked.append(key)
        if self.status is not None:
            return web.Response(status=self.status)
        return web.json_response({"state": "settled"}) if key in self.booked else web.Response(status=404)

    def paid(self) -> list[int]:
        """What each activation that was booked comes to."""
        return [order["total"] for order in self.booked.values() if order["phase"] == "activation"]

    def phases(self) -> list[str]:
        return sorted(order["phase"] for order in self.booked.values())


def trigger(**changed: Any) -> Trigger:
    """Ready at HIGH with 50 %, pays at HIGH with 70 % and at least two hours of lead; one person."""
    made = Trigger(
        id="chenab-high",
        amounts=AMOUNTS,
        readiness=Condition(Level.HIGH, 0.5, 0.0, None),
        activation=Condition(Level.HIGH, 0.7, 2 * 3600.0, None),
        readiness_for_s=72 * 3600.0,
        approvals=1,
        approval_for_s=12 * 3600.0,
        most=1,
        cap=100_000,
    )
    return replace(made, **changed)


def rules(port: int, *triggers: Trigger, **changed: Any) -> Cash:
    url = f"http://127.0.0.1:{port}/orders"
    made = Cash(url, url + "/{key}", "PKR", 90 * 86_400.0, 1_000_000, 50_000, 24 * 3600.0, triggers or (trigger(),))
    return replace(made, **changed)


def deployment(folder: Path, url: str = "") -> Deployment:
    return Deployment(directory=folder, prefix="chenab.", database_url=url, cash_secret=SECRET)


def alert(probability: float = 0.8, lead_h: float = 10.0, region: Region = ACTUAL, before: Alert | None = None, at_ms: int = T0) -> Alert:
    """HIGH is expected at Marala (districts sialkot and gujrat)."""
    zone = region.zones[0]
    found = transition(
        before, hazard(at_ms, zone, expected=Level.HIGH, probability=probability, arrival_ms=at_ms + round(lead_h * H)), zone, region, at_ms
    ).event
    assert found is not None
    return found


def follows(before: Alert, **fields: Any) -> Alert:
    """A next revision with other fields."""
    head = before.identifier.rpartition(".")[0]
    return msgspec.structs.replace(before, identifier=f"{head}.{before.revision + 1}", revision=before.revision + 1, **fields)


def event_of(told: Alert, region: Region = ACTUAL) -> AlertEvent:
    document = "" if told.kind.value == "expire" else cap.document(told, region)
    return AlertEvent(alert=told, cap=document, config=region.digest, code="test")


async def enter(where: Deployment, *told: Alert, region: Region = ACTUAL) -> None:
    """As the dispatcher writes them into its ledger, before anything is sent."""
    ledger = await Ledger.open(where.database, region.id)
    try:
        async with ledger._engine.begin() as connection:
            for one in told:
                event = event_of(one, region)
                await connection.execute(insert(tables.alerts).values(alert_row(Record(event, to_json(event), (), ()))))
    finally:
        await ledger.close()
