"""Whose code is this? ``Register`` answers for everybody who asks: the public page, the API, the keyword CHECK by SMS.

It reads the ledger's tables ``alerts`` and ``deliveries``, which the dispatcher owns: a code is ours once an attempt was made to tell
somebody. Codes are held in memory and read again at most once a second, so a right guess and a wrong one cost the same, and what waits
for a person is as unknown as what never was.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import sqlalchemy as sql

from warning.alerts.lifecycle import chain_of
from warning.alerts.manual import CODE, chains_meant
from warning.database import Tables
from warning.deployment import Deployment
from warning.model import AlertEvent, EventKind
from warning.proof import codes
from warning.region import Region

KEPT_MS = 30 * 86_400_000  # so long after it was sent a code is still known as ours
FRESH_S = 1.0
STATES = ("in_force", "replaced", "ended", "expired", "unknown")

_metadata = sql.MetaData()
_secrets = sql.Table("code_secrets", _metadata, sql.Column("name", sql.String, primary_key=True), sql.Column("value", sql.String))
_alerts = sql.table("alerts", *map(sql.column, ("identifier", "chain", "revision", "kind", "sent_ms", "expires_ms", "value")))
_deliveries = sql.table("deliveries", *map(sql.column, ("alert", "attempts")))


def address(deployment: Deployment) -> str:
    """SQLAlchemy URL: the deployment's database, or a SQLite file of its own (so that nobody waits for the ledger)."""
    return deployment.database_url or f"sqlite+aiosqlite:///{deployment.directory / (deployment.prefix + 'proof.db')}"


@dataclass(frozen=True, slots=True)
class Answer:
    """``state``: in_force; replaced (``by`` is what holds now); ended (the all-clear was told); expired; unknown (we sent no such code).

    ``event``: the alert that the message was about, None if unknown; ``until_ms``: when what holds now runs out.
    """

    state: str
    event: AlertEvent | None = None
    by: AlertEvent | None = None
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Said:
    identifier: str
    chain: str
    revision: int
    kind: str
    sent_ms: int
    expires_ms: int
    told: bool


class Register:
    """The codes of one deployment. ``verify`` and ``secret`` raise ``Unavailable`` when the database is away. ``clock_s``: monotonic."""

    def __init__(self, region: Region, deployment: Deployment, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._secrets = codes.secrets_of(region, deployment)
        self._by_hand = f"{region.namespace}.{CODE}."  # how the identifier of what a person said begins
        self._kept = Tables(address(deployment), _metadata, "codes")
        self._ledger = Tables(deployment.database, sql.MetaData(), "alerts")
        self._clock_s, self._read_s = clock_s, float("-inf")
        self._turn = asyncio.Lock()
        self._by_code: dict[str, _Said] = {}
        self._chains: dict[str, list[_Said]] = {}

    async def close(self) -> None:
        await self._kept.close()
        await self._ledger.close()

    async def secret(self) -> bytes:
        """What makes codes. Where an Actual deployment names none, one that was made by chance: of processes that start together the
        first one's is everybody's."""
        return (await self._known())[0]

    async def _known(self) -> tuple[bytes, ...]:
        if not self._secrets:
            await self._kept.run(self._kept.insert(_secrets).values(name="codes", value=secrets.token_hex(32)).on_conflict_do_nothing())
            found = await self._kept.run(sql.select(_secrets.c.value).where(_secrets.c.name == "codes"))
            self._secrets = (found[0].value.encode(),)
        return self._secrets

    async def verify(self, typed: str, now_ms: int) -> Answer:
        """What became of the message with this code. Raises ``InputError`` for what cannot be a code."""
        code = codes.normal(typed)
        await self._refresh(now_ms)
        said = self._by_code.get(code)
        if said is None:
            return Answer("unknown")
        chain = self._chains[said.chain]
        newest, holds = chain[-1], next(one for one in reversed(chain) if one.told)
        if EventKind.CLEAR.value in (said.kind, holds.kind):
            state = "ended"
        elif newest.kind == EventKind.EXPIRE.value or newest.expires_ms <= now_ms:
            state = "expired"
        else:
            state = "in_force" if holds is said else "replaced"
        event = await self._event(said)
        return Answer(state, event, event if holds is said else await self._event(holds), newest.expires_ms)

    async def _event(self, said: _Said) -> AlertEvent:
        found = await self._ledger.run(sql.select(_alerts.c.value).where(_alerts.c.identifier == said.identifier))
        return msgspec.json.decode(bytes(found[0].value), type=AlertEvent)

    async def _refresh(self, now_ms: int) -> None:
        async with self._turn:
            if self._clock_s() - self._read_s < FRESH_S:
                return
            known = await self._known()
            told = sql.exists().where(_deliveries.c.alert == _alerts.c.identifier, _deliveries.c.attempts > 0).label("told")
            names = ("identifier", "chain", "revision", "kind", "sent_ms", "expires_ms")
            query = sql.select(*(_alerts.c[name] for name in names), told).where(_alerts.c.sent_ms > now_ms - KEPT_MS)
            rows = await self._ledger.run(query.order_by(_alerts.c.chain, _alerts.c.revision))
            said = [_Said(row.identifier, row.chain, row.revision, row.kind, row.sent_ms, row.expires_ms, bool(row.told)) for row in rows]
            self._chains = {}
            for one in said:
                self._chains.setdefault(one.chain, []).append(one)
            await self._put_right(now_ms)
            ours = sorted((one for one in said if one.told), key=lambda one: one.sent_ms)  # of two with one code the newer
            self._by_code = {codes.code_of(secret, one.identifier): one for secret in reversed(known) for one in ours}
            self._read_s = self._clock_s()

    async def _put_right(self, now_ms: int) -> None:
        """What a person cancelled or corrected holds no more, though its own chain does not say so."""
        own = _alerts.c
        first = sql.select(own.value).where(own.revision == 0, own.identifier.startswith(self._by_hand, autoescape=True))
        for row in await self._ledger.run(first.where(own.sent_ms > now_ms - KEPT_MS).order_by(own.sent_ms)):
            alert = msgspec.json.decode(bytes(row.value), type=AlertEvent).alert
            chain = chain_of(alert.identifier)
            for other in chains_meant(alert) - {chain}:
                self._chains[other] = _continued(self._chains.get(other, []), self._chains.get(chain, []))


def _continued(chain: list[_Said], by_hand: list[_Said]) -> list[_Said]:
    """A chain as people were told it: from the first word of a person's on that one's, until it was told of again itself."""
    if not any(one.told for one in by_hand):
        return chain
    since_ms = by_hand[0].sent_ms
    again_ms = next((one.sent_ms for one in chain if one.told and one.sent_ms >= since_ms), None)
    kept = [one for one in chain if one.sent_ms < since_ms or (again_ms is not None and one.sent_ms >= again_ms)]
    return sorted((*kept, *by_hand), key=lambda one: one.sent_ms)
