"""One GET of an agency's answer: bounded in time, size and redirects, never to an address that its source does not allow.

Redirects are followed by hand: no further than three, never from https to http, and to another host only where no key goes along.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import httpx
from httpx_secure import SSRFProtectionError, httpx_ssrf_protection

from warning import __version__
from warning.config_sources import Source
from warning.errors import InputError, Unavailable
from warning.ingest.pull_window import Ask, url

MOST_REDIRECTS = 3
LONGEST_RETRY_AFTER_S = 3600.0
_REMEMBERED = 2000
_NAT64 = IPv6Network("64:ff9b::/96")
_AUTO = 32 + zlib.MAX_WBITS  # gzip or zlib, as its first bytes say


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. ``body`` None: not changed since the last one. ``cut``: it was larger than the source allows; this is its beginning."""

    body: bytes | None
    key: str  # what ``Fetch.remember`` wants back once all of it is in the log
    etag: str = ""
    modified: str = ""
    clock_ahead_s: float | None = None  # its clock less ours, to the second; None: it does not say
    cut: bool = False


class Fetch:
    """The requests of one source. ``start`` before, ``stop`` after."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tags: OrderedDict[str, tuple[str, str]] = OrderedDict()

    async def start(self) -> None:
        timeout = httpx.Timeout(self._source.timeout_s)
        agent = {"User-Agent": f"flood-warning/{__version__}", "Accept-Encoding": "gzip"}
        client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False, headers=agent)
        validator = {"private": _private, "loopback": _loopback}.get(self._source.reach)
        if validator is None:
            self._client = httpx_ssrf_protection(client, dns_cache_ttl=60)
        else:
            self._client = httpx_ssrf_protection(client, check_globally_reachable=False, custom_validator=validator, dns_cache_ttl=60)

    async def stop(self) -> None:
        await self._client.aclose()

    async def get(self, ask: Ask) -> Answer:
        """The answer, or Unavailable with a bounded reason; retry_after_s where the agency says when. Never names a key."""
        address = url(self._source, ask, _resolved(self._source.secrets))
        headers = _resolved({name: text for name, text in self._source.headers.items() if _is_reference(text)})
        headers |= {name: text for name, text in self._source.headers.items() if not _is_reference(text)}
        etag, modified = self._tags.get(address, ("", ""))
        conditions = {"If-None-Match": etag, "If-Modified-Since": modified}
        try:
            async with asyncio.timeout(self._source.timeout_s):
                return await self._followed(address, {**headers, **{name: text for name, text in conditions.items() if text}})
        except (TimeoutError, httpx.TimeoutException):
            raise Unavailable(f"no whole answer within {self._source.timeout_s:g} s", reason="timeout") from None
        except SSRFProtectionError:
            words = f"its address is not one that reach: {self._source.reach} allows"
            raise Unavailable(words, reason="forbidden_address") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, zlib.error) as error:
            raise Unavailable(f"{type(error).__name__}: {_unnamed(str(error), address)}", reason="connect") from None

    def remember(self, answer: Answer) -> None:
        """Everything of it is in the log: the next request asks only for what is newer."""
        if answer.etag or answer.modified:
            self._tags[answer.key] = (answer.etag, answer.modified)
            self._tags.move_to_end(answer.key)
            if len(self._tags) > _REMEMBERED:
                self._tags.popitem(last=False)

    def forget(self) -> None:
        """The next requests ask for everything."""
        self._tags.clear()

    async def _followed(self, address: str, headers: Mapping[str, str]) -> Answer:
        place = httpx.URL(address)
        for _ in range(MOST_REDIRECTS + 1):
            async with self._client.stream("GET", place, headers=dict(headers)) as response:
                if response.status_code not in (301, 302, 303, 307, 308):
                    return await self._answer(response, address)
                place = self._redirected(place, response.headers.get("location", ""))
        raise Unavailable(f"more than {MOST_REDIRECTS} redirects", reason="redirect")

    def _redirected(self, place: httpx.URL, location: str) -> httpx.URL:
        to = place.join(location)
        if not location or to.scheme not in ("http", "https") or (place.scheme == "https" and to.scheme == "http"):
            raise Unavailable("a redirect that leads nowhere safe", reason="redirect")
        if to.host != place.host and (self._source.secrets or any(map(_is_reference, self._source.headers.values()))):
            raise Unavailable(f"a redirect to {to.host}, which must not get the key", reason="redirect")
        return to

    async def _answer(self, response: httpx.Response, key: str) -> Answer:
        now = datetime.now(UTC)
        ahead_s = _ahead(response.headers.get("date", ""), now)
        if response.status_code == 304:
            return Answer(None, key, clock_ahead_s=ahead_s)
        if response.status_code != 200:
            raise _refused(response, now)
        body, cut = await self._body(response)
        etag, modified = response.headers.get("etag", ""), response.headers.get("last-modified", "")
        return Answer(body, key, "" if cut else etag, "" if cut else modified, ahead_s, cut)

    async def _body(self, response: httpx.Response) -> tuple[bytes, bool]:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", "deflate", ""):
            raise Unavailable(f"an answer in {encoding[:20]!r}, which was not asked for", reason="encoding")
        most, found = self._source.most_bytes, bytearray()
        inflating = zlib.decompressobj(_AUTO) if encoding not in ("identity", "") else None
        whole = True
        async for raw in response.aiter_raw():
            if inflating is None:
                found += raw
            else:
                while raw:
                    found += inflating.decompress(raw, most + 1 - len(found))
                    if len(found) > most:
                        break
                    whole = inflating.eof
                    raw, inflating = (inflating.unused_data, zlib.decompressobj(_AUTO)) if whole else (b"", inflating)
            if len(found) > most:
                return bytes(found[:most]), True
        if not whole:  # of a CSV the last number may be cut in two
            raise Unavailable("the packed answer ends in the middle", reason="connect")
        return bytes(found), False


def _refused(response: httpx.Response, now: datetime) -> Unavailable:
    status = response.status_code
    after_s = retry_after(response.headers.get("retry-after", ""), now)
    if status in (401, 403):
        return Unavailable(f"it answers {status}: mend the key", reason="unauthenticated", retry_after_s=after_s)
    reason = "throttled" if status == 429 else "server_error" if status >= 500 else "client_error"
    return Unavailable(f"it answers {status}", reason=reason, retry_after_s=after_s)


def retry_after(text: str, now: datetime) -> float | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3); None if absent or unreadable. At most an hour."""
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER_S)
    ahead_s = _ahead(text, now)
    return None if ahead_s is None else min(max(ahead_s, 0.0), LONGEST_RETRY_AFTER_S)


def _ahead(date: str, now: datetime) -> float | None:
    try:
        found = parsedate_to_datetime(date)
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() - now.timestamp(), 1)
    except (ValueError, TypeError, OverflowError):
        return None


def _is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:"))


def _resolved(references: Mapping[str, str]) -> dict[str, str]:
    """The keys themselves, read anew each time: a rotated one counts from the next request on. Raises Unavailable ``secret``."""
    found = {}
    for name, reference in references.items():
        kind, _, place = reference.partition(":")
        try:
            text = os.environ.get(place, "") if kind == "env" else Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"{name}: {reference} cannot be read: {type(error).__name__}", reason="secret") from None
        if not text or not text.isascii() or not text.isprintable():
            raise Unavailable(f"{name}: {reference} holds no key", reason="secret")
        found[name] = text
    return found


def _unnamed(words: str, address: str) -> str:
    """An error's words without the URL, which may hold a key."""
    return words.replace(address, "URL")[:200]


def _private(hostname: str, address: IPv4Address | IPv6Address, port: int) -> bool:
    """A ministry's own network: all but this machine, and the addresses where clouds give away their keys."""
    plain = _plain(address)
    return not (plain.is_loopback or plain.is_link_local or plain.is_multicast or plain.is_unspecified)


def _loopback(hostname: str, address: IPv4Address | IPv6Address, port: int) -> bool:
    return _plain(address).is_loopback


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address that is written as one of IPv6 (RFC 4291, 2.5.5.2; RFC 6052) as what it leads to."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address


def too_large(source: Source) -> InputError:
    """The refusal of an answer that was cut."""
    words = f"the answer is larger than {source.most_bytes} bytes (kept: its beginning)"
    return InputError(words, reason="too_large", field="", fix="a smaller at_once or chunk, or a larger most_mb")
