"""Webhooks: signed as Standard Webhooks says, never to an address inside the house, one endpoint never delaying another."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import urlsplit

import httpx
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from warning.dispatch.channel import Outcome, Part, Sending
from warning.dispatch.slots import Slots
from warning.model import AlertEvent, DeliveryState, to_json
from warning.region import Contact

log = logging.getLogger(__name__)

REHEARSAL = "rehearsal:"  # rehearsal:NAME instead of a URL: the demo's receiver, for exercise contacts only
BODY_TYPE = "application/json"
LONGEST_RETRY_AFTER_S = 86_400.0
CLIENTS, KEPT = 32, 8  # each endpoint has its client: one with hundreds of connections looks at all of them for each request
DNS_CACHE, NAMES_AT_ONCE = 1000, 128
MOST_ANSWER = 64 << 10  # bytes: what a receiver says beyond that is not read
_COMPATIBLE = IPv6Network("::/96")
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)  # nothing was written to the other side


def wall_clock() -> datetime:
    """The time of signing; a receiver refuses what is older than five minutes, also in a replay."""
    return datetime.now(UTC)


@dataclass
class WebhookChannel:
    """Posts to contacts' URLs. Two kinds of client: the strict one refuses every address that is not public, after name resolution.

    ``endpoints``: NAME -> URL for contacts whose URL is ``rehearsal:NAME``; ``allow_loopback``: the (host, port) pairs, in numbers,
    that such a URL may lead to. Only contacts that are not ``live`` may have one, and only a loopback address is let through: a live
    contact's URL always goes by the strict client, whatever is configured.
    """

    endpoints: Mapping[str, str] = field(default_factory=dict)
    allow_loopback: frozenset[tuple[str, int]] = frozenset()
    timeout_s: float = 20.0
    whole_s: float = 30.0  # from the first byte to the last
    per_endpoint: int = 4
    now: Callable[[], datetime] = wall_clock
    name: str = field(default="webhook", init=False)

    def __post_init__(self) -> None:
        self._slots = Slots()
        self._data: tuple[AlertEvent | None, str] = None, ""

    async def start(self) -> None:
        names = ThreadPoolExecutor(NAMES_AT_ONCE, "names")  # asyncio's own few would all wait for the dead endpoints' name servers
        asyncio.get_running_loop().set_default_executor(names)
        trusted = httpx.create_ssl_context(trust_env=False)  # to read the authorities takes longer than all else here
        self._strict = [self._client(trusted, custom_validator=_is_one_of_the_world, dns_cache_ttl=60) for _ in range(CLIENTS)]
        own = {"check_globally_reachable": False, "custom_validator": self._is_rehearsal}
        self._rehearsal = [self._client(trusted, **own) for _ in range(CLIENTS if self.endpoints else 1)]

    def _client(self, trusted: ssl.SSLContext, **policy: Any) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=KEPT)
        timeout = httpx.Timeout(self.timeout_s)
        client = httpx.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False, trust_env=False, verify=trusted)
        protected: httpx.AsyncClient = httpx_ssrf_protection(client, dns_cache_size=DNS_CACHE, **policy)
        return protected

    async def stop(self) -> None:
        for client in (*self._strict, *self._rehearsal):
            await client.aclose()

    def address(self, contact: Contact) -> str:
        return contact.webhook

    def lane(self, contact: Contact) -> str:
        """One lane per endpoint, however many contacts share it; one that is dead holds up nobody else."""
        url = urlsplit(self._url(contact) or contact.webhook)
        return f"webhook {url.netloc}{url.path}"

    def width(self, lane: str) -> int:
        return self.per_endpoint

    async def ready(self) -> None:
        return

    async def send(self, sending: Sending) -> Outcome:
        event, first = sending.event, message_id(sending.event, sending.contact)
        if self._data[0] is not event:  # the same for thousands of endpoints
            self._data = event, to_json(event).decode()
        if not sending.resent:
            return await self.post(sending.contact, first, body_of(event, sending.acknowledge, data=self._data[1]))
        body = body_of(event, sending.acknowledge, first, data=self._data[1])
        return await self.post(sending.contact, f"{first}:again:{sending.resent}", body)

    async def post(self, contact: Contact, identifier: str, body: str) -> Outcome:
        """One signed POST; ``identifier`` is the webhook-id, the same on every retry."""
        answer = await self.exchange(contact, identifier, body)
        outcome = answer if isinstance(answer, Outcome) else outcome_of(answer, self.now())
        return replace(outcome, address=contact.webhook) if outcome.switch_off else outcome

    async def exchange(self, contact: Contact, identifier: str, body: str) -> httpx.Response | Outcome:
        """The same, for who reads the answer (its first ``MOST_ANSWER`` bytes). An Outcome where there is none."""
        url = self._url(contact)
        if not url:
            return Outcome(DeliveryState.FAILED, "endpoint", detail=f"{contact.id}: no endpoint is configured for {contact.webhook!r}")
        try:
            headers = self._signed(contact, identifier, body)
        except (ValueError, EmptyWebhookSecretError) as error:
            return Outcome(DeliveryState.FAILED, "secret", detail=f"{contact.id}: secret: {error} (whsec_ and base64 of 24 to 64 bytes)")
        clients = self._rehearsal if contact.webhook.startswith(REHEARSAL) else self._strict
        client = clients[zlib.crc32(url.encode()) % len(clients)]
        try:
            async with (
                self._slots.one(),
                asyncio.timeout(self.whole_s),
            ):  # the client's own is per read: one byte a second would keep us for hours
                return await _asked(client, url, body.encode(), headers)
        except SSRFProtectionError as error:
            return Outcome(DeliveryState.FAILED, "forbidden_address", detail=str(error))
        except (httpx.TimeoutException, TimeoutError) as error:
            state = DeliveryState.WAITING if isinstance(error, NOT_SENT) else DeliveryState.UNKNOWN
            return Outcome(state, "timeout", detail=repr(error))
        except NOT_SENT as error:
            return Outcome(DeliveryState.WAITING, "connect", detail=repr(error))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            return Outcome(DeliveryState.FAILED, "endpoint", detail=repr(error))
        except httpx.HTTPError as error:
            return Outcome(DeliveryState.UNKNOWN, "reset", detail=repr(error))

    def _signed(self, contact: Contact, identifier: str, body: str) -> dict[str, str]:
        now = self.now()
        if not contact.secret:
            raise ValueError("empty")
        secrets = filter(None, (contact.secret, contact.former_secret))  # while one is rotated its receiver may know either
        return {
            "content-type": BODY_TYPE,
            "user-agent": "flood-warning",
            "webhook-id": identifier,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(Webhook(each).sign(identifier, now, body) for each in secrets),
        }

    def _url(self, contact: Contact) -> str:
        if not contact.webhook.startswith(REHEARSAL):
            return contact.webhook
        return "" if contact.live else self.endpoints.get(contact.webhook.removeprefix(REHEARSAL), "")

    def _is_rehearsal(self, hostname: str, address: IPv4Address | IPv6Address, port: int) -> bool:
        return address.is_loopback and (str(address), port) in self.allow_loopback


def _is_one_of_the_world(hostname: str, address: IPv4Address | IPv6Address, port: int) -> bool:
    """No spelling of an IPv4 address in IPv6 (6to4, Teredo, ``::a.b.c.d``), which may lead inside where such tunnels are; no multicast."""
    if isinstance(address, IPv6Address) and (address.sixtofour or address.teredo or address in _COMPATIBLE):
        return False
    return not address.is_multicast


async def _asked(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """The answer, with as much of its body as may be read: an endpoint must not fill our memory."""
    async with client.stream("POST", url, content=body, headers=headers) as response:
        read = bytearray()
        async for some in response.aiter_raw(MOST_ANSWER):
            read += some
            if len(read) >= MOST_ANSWER:
                break
        said = {name: value for name, value in response.headers.items() if name in ("retry-after", "location")}  # nothing to unpack
        return httpx.Response(response.status_code, headers=said, content=bytes(read[:MOST_ANSWER]))


def message_id(event: AlertEvent, contact: Contact) -> str:
    """Alert and contact, the same on every retry; without the dot, which separates the parts of what is signed."""
    return f"{event.alert.identifier}:{contact.id}".replace(".", "~")


def body_of(event: AlertEvent, acknowledge: str = "", again: str = "", *, data: str = "") -> str:
    """``type``, ``timestamp``, ``data`` as the specification recommends; ``data`` is the event with its CAP document.
    ``acknowledge``: where a person of the receiver's answers; ``again``: the webhook-id of the first one, where an operator had it sent
    again; ``data``: the event as JSON, if that is there already."""
    alert = event.alert
    sent = datetime.fromtimestamp(alert.sent_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    more = {name: value for name, value in (("acknowledge", acknowledge), ("again", again)) if value}
    head = json.dumps({"type": f"alert.{alert.kind.value}", "timestamp": sent} | more)
    return f'{head[:-1]}, "data": {data or to_json(event).decode()}}}'


def outcome_of(response: httpx.Response, now: datetime) -> Outcome:
    """What a status means. A redirect is not followed: the owner must give the new URL."""
    status = response.status_code
    if 200 <= status < 300:
        return Outcome(DeliveryState.DELIVERED, parts=(Part(1, DeliveryState.DELIVERED),))
    if status == 410:
        return Outcome(DeliveryState.FAILED, "gone", switch_off=True)
    if 300 <= status < 400:
        return Outcome(DeliveryState.WAITING, "redirect", detail=f"{status} to {response.headers.get('location', '')!r}")
    retry_after_s = retry_after(response.headers.get("retry-after", ""), now)
    reason = "throttled" if status == 429 else "server_error" if status >= 500 else "client_error"
    return Outcome(DeliveryState.WAITING, reason, retry_after_s, detail=str(status))


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3); None if absent or unreadable. At most a day."""
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else (parsedate_to_datetime(value) - now).total_seconds()
    except (ValueError, TypeError):
        log.warning("webhook: unreadable Retry-After %r", value)
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)
