"""Where an agency's webhook may lead: never into the house. Asked when it subscribes; the dispatcher asks again at each send."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from warning.config_contacts import is_https

WITHIN_S = 5.0
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")  # ::a.b.c.d
Resolve = Callable[[str, int], Awaitable[list[str]]]  # host, port -> addresses; raises OSError


async def resolve(host: str, port: int) -> list[str]:
    """As the system does it: 127.1, 0x7f000001 and 2130706433 are addresses, too."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


async def refused(url: str, ask: Resolve = resolve) -> str:
    """Why not there; "" if it may."""
    if len(url) > 1000 or not is_https(url):
        return "is not an https:// address without a user in it"
    parts = urlsplit(url)
    try:
        port = parts.port or 443
        async with asyncio.timeout(WITHIN_S):
            addresses = await ask(parts.hostname or "", port)
    except (OSError, TimeoutError, ValueError) as error:  # UnicodeError, of a name that cannot be one, is a ValueError
        return f"{parts.hostname} cannot be resolved: {type(error).__name__}"
    if not addresses:
        return f"{parts.hostname} has no address"
    inside = [address for address in addresses if not _outside(address)]
    return f"{parts.hostname} leads to {inside[0]}, which is not a public address" if inside else ""


def _outside(address: str) -> bool:
    try:
        found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found in _COMPATIBLE:
            return False
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if found in _NAT64:
            inner = IPv4Address(found.packed[-4:])
        if inner is not None:
            return inner.is_global
    return found.is_global and not found.is_multicast
