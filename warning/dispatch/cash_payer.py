"""The way to the payment system: one signed POST an order, and a question where its outcome is not known.

Protocol: Standard Webhooks with an ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header), both the order's key. 2xx: it has it.
400, 413, 422: it will not. Other 3xx and 4xx: not taken, tried again. 5xx, a timeout, a broken connection: nobody knows; then
``status_url`` is asked until it answers: 404, it never came, else ``{"state": "accepted" | "settled" | "refused"}``. Only after a 404 it
is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
from standardwebhooks import Webhook

from warning.config_cash import Cash
from warning.deployment import Deployment
from warning.errors import ConfigError, Problem

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0  # of each step
WHOLE_S = 40.0  # of an exchange, byte by byte though it may come: less than the lease of who sends
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
WILL_NOT = (400, 413, 422)
TAKEN = ("accepted", "pending", "settled")


@dataclass(frozen=True, slots=True)
class Result:
    """``state``: confirmed, refused, waiting (certainly not taken) or unknown."""

    state: str
    why: str
    retry_after_s: float = 0.0


class Payer:
    """``now``: the wall clock, for the signature's time."""

    def __init__(self, cash: Cash, deployment: Deployment, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._cash, self._deployment, self._now = cash, deployment, now
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def send(self, key: str, body: bytes) -> Result:
        """One attempt. Never raises for what the other side does."""
        try:
            client, headers = self._opened(), self._signed(key, body.decode())
        except (ConfigError, OSError, ValueError) as error:
            return Result("waiting", f"not sent: {error}")
        try:
            async with asyncio.timeout(WHOLE_S):
                response = await client.post(self._cash.url, content=body, headers=headers)
        except NOT_SENT as error:
            return Result("waiting", f"not reached: {type(error).__name__}")
        except (httpx.HTTPError, TimeoutError) as error:
            return Result("unknown", f"no answer: {type(error).__name__}")
        return outcome_of(response)

    async def ask(self, key: str) -> Result:
        """What became of an order whose outcome nobody knows; unknown still if it does not say."""
        try:
            client, headers = self._opened(), self._signed(key, "")
            async with asyncio.timeout(WHOLE_S):
                response = await client.get(self._cash.status_url.replace("{key}", quote(key, safe="")), headers=headers)
        except (ConfigError, OSError, ValueError, httpx.HTTPError) as error:
            return Result("unknown", f"asked in vain: {error!r}"[:200])
        if response.status_code == 404:
            return Result("waiting", "asked: it never arrived")
        try:
            state = msgspec.json.decode(response.content).get("state") if response.status_code == 200 else None
        except (msgspec.DecodeError, AttributeError):
            state = None
        if state in TAKEN:
            return Result("confirmed", f"asked: {state}")
        if state == "refused":
            return Result("refused", "asked: refused")
        return Result("unknown", f"asked: {response.status_code} says nothing that we know")

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, verify=context(self._deployment))
        return self._client

    def _signed(self, key: str, body: str) -> dict[str, str]:
        now = self._now()
        return {
            "content-type": "application/json",
            "user-agent": "flood-warning",
            "idempotency-key": f'"{key}"',
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret(self._deployment)).sign(key, now, body),
        }


def secret(deployment: Deployment) -> str:
    """Raises ``ConfigError`` where there is none."""
    text = deployment.cash_secret
    if deployment.cash_secret_file:
        text = Path(deployment.cash_secret_file).read_text(encoding="utf-8").strip()
    if not text.startswith("whsec_"):
        raise ConfigError([Problem("cash_secret", "is no whsec_ and base64 of 24 to 64 bytes", "set WARNING_CASH_SECRET or _FILE")])
    return text


def context(deployment: Deployment) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=deployment.cash_ca_file or None)
    if deployment.cash_certificate_file:
        found.load_cert_chain(deployment.cash_certificate_file, deployment.cash_key_file or None)
    return found


def outcome_of(response: httpx.Response) -> Result:
    """What a status means."""
    status = response.status_code
    if 200 <= status < 300:
        return Result("confirmed", str(status))
    if status in WILL_NOT:
        return Result("refused", str(status))
    if status >= 500 or status == 409:
        return Result("unknown", str(status))
    given = response.headers.get("retry-after", "")
    return Result("waiting", str(status), min(float(given), 3600.0) if given.isascii() and given.isdigit() else 0.0)
