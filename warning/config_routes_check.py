"""What would be wrong with ``routes.yaml`` in use: shapes of hosts, addresses and credentials, certificates, channels without a way.

``config_routes`` refuses what cannot be read; here stands what can be read and would not work, or says a secret aloud on the wire.
"""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warning import config_routes
from warning.config_cash import LOOPBACK
from warning.config_routes import CHANNELS, AsteriskModel, CapModel, KannelModel, ReceiptsModel, RoutesModel, SmppModel, SmtpModel
from warning.errors import Problem
from warning.region import Region

HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?|\[?[0-9A-Fa-f:.]+\]?")
MOST_USER, MOST_PASSWORD = 15, 8  # SMPP 3.4, 4.1.1: octets before the NUL
ENDS_SOON_DAYS = 30
Found = tuple[str, str, str, bool]  # key, what, fix, fatal
Ends = Callable[[bytes], datetime]  # of a certificate, PEM; raises ValueError


def check(path: str | Path, region: Region | None, environment: Mapping[str, str], ends: Ends) -> list[Problem]:
    """Every problem of the file, by file and key. ``region``: whose contacts want channels; None: nobody's are looked at."""
    file = Path(path)
    model, _, problems = config_routes.read(file, environment)
    if model is None:
        return problems
    for channel in CHANNELS:
        for route in (one.route for one in getattr(model, channel)):
            where = f"{file} ({channel}.{route.name}"
            problems += [
                Problem(f"{where}.{key})", what, fix, fatal) for key, what, fix, fatal in _wrong(route, file.parent, environment, ends)
            ]
    if model.receipts is not None:
        problems += [Problem(f"{file} (receipts.{key})", what, fix, fatal) for key, what, fix, fatal in _receipts(model.receipts)]
    return problems + (list(_without_way(model, region, file)) if region is not None else [])


def _wrong(route: Any, folder: Path, environment: Mapping[str, str], ends: Ends) -> Iterator[Found]:
    if isinstance(route, SmppModel | SmtpModel) and not HOST.fullmatch(route.host):
        yield "host", f"{route.host!r} is no host", "a name or address alone: no scheme, no port, no path", True
    if isinstance(route, SmppModel):
        yield from _smpp(route, environment)
    elif isinstance(route, KannelModel):
        yield from _plain("url", route.url, "the password would be read on its way: a smsbox on this machine, or https://")
    elif isinstance(route, SmtpModel):
        yield from _mail(route)
    elif isinstance(route, CapModel):
        yield from _push(route, folder, ends)
    elif isinstance(route, AsteriskModel) and not Path(route.spool).is_dir():
        yield "spool", f"{route.spool} is no folder here", "Asterisk's spool, on the machine of the dispatcher", False
    if getattr(route, "sender", "") and not isinstance(route, SmtpModel) and not _sender(route.sender):
        yield "sender", f"{route.sender!r} is no sender of an SMS", "a number (+923001234567, 8080), or 1 to 11 letters and digits", True


def _smpp(route: SmppModel, environment: Mapping[str, str]) -> Iterator[Found]:
    if not 0 < len(route.user.encode()) <= MOST_USER:
        yield "user", f"SMPP knows system ids of 1 to {MOST_USER} octets", "the one that the operator gave", True
    password = config_routes.secret_of(route.password, environment)
    if password is not None and len(password.encode()) > MOST_PASSWORD:
        yield "password", f"is longer than the {MOST_PASSWORD} octets of SMPP 3.4", "many centres refuse it: ask the operator", False


def _mail(route: SmtpModel) -> Iterator[Found]:
    for key, text in (("sender", route.sender), ("bounces", route.bounces)):
        if text and not re.fullmatch(r"[^@\s]+@[A-Za-z0-9.-]+", parseaddr(text)[1]):
            yield key, f"{text!r} is no e-mail address", "Name <name@example.org>", True
    if route.unsubscribe and not route.unsubscribe.startswith(("mailto:", "https://")):
        yield "unsubscribe", "mail programs follow mailto: and https: only", "mailto:stop@example.org", True
    if bool(route.user) != bool(route.password):
        yield ("password" if route.user else "user"), "a user and a password belong together", "give both, or neither", True
    if route.tls == "none" and route.user and route.host not in LOOPBACK:
        yield "tls", "the password would be read on its way", "starttls or tls", True


def _push(route: CapModel, folder: Path, ends: Ends) -> Iterator[Found]:
    yield from _plain("url", route.url, "an entity that rings every phone is asked over https://")
    certificate, key = folder / route.certificate_file, folder / route.key_file
    if not (certificate.is_file() and key.is_file()):
        return  # said where the file was read
    try:
        ssl.create_default_context().load_cert_chain(certificate, key, password=lambda: b"")
        end = ends(certificate.read_bytes())
    except (ssl.SSLError, OSError, ValueError) as error:
        yield "certificate_file", f"cannot be used with its key: {error}", "a PEM certificate and the key that it was made for", True
        return
    left = (end - datetime.now(UTC)).total_seconds() / 86_400
    if left < ENDS_SOON_DAYS:
        yield "certificate_file", f"ends {end:%Y-%m-%d}" if left > 0 else f"ended {end:%Y-%m-%d}", "have it renewed", left <= 0


def _receipts(one: ReceiptsModel) -> Iterator[Found]:
    yield from _plain("url", one.url, "its token would be read on its way: https://")
    place = urlsplit(one.url)
    if place.query or place.fragment:
        yield "url", "what stands after ? or # is lost", "https://host/path; /receipts/ROUTE/TOKEN is added to it", True


def _plain(key: str, url: str, fix: str) -> Iterator[Found]:
    place = urlsplit(url)
    if not place.hostname:
        yield key, f"{url!r} names no host", "https://host/path", True
    elif place.username or place.password:
        yield key, "has a name or a password in it, and addresses stand in logs", "user: and password: of their own", True
    elif place.scheme == "http" and place.hostname not in LOOPBACK:
        yield key, "is not encrypted", fix, False


def _sender(text: str) -> bool:
    """E.164, a short code, or a name of GSM 03.38 as operators take it."""
    return re.fullmatch(r"\+?[0-9]{3,15}|[A-Za-z0-9][A-Za-z0-9 ._-]{0,10}", text) is not None


def _without_way(model: RoutesModel, region: Region, file: Path) -> Iterator[Problem]:
    """Channels that contacts chose and that no route carries. SMS may go by the deployment's own centre, webhooks need no route."""
    wanted = Counter(channel for contact in region.contacts for channel in contact.channels)
    for channel in ("email", "voice", "broadcast", "card"):
        if wanted[channel] and not getattr(model, channel):
            words = f"{wanted[channel]} contacts of {region.id} list {channel}, and no route carries it"
            yield Problem(f"{file} ({channel})", words, f"a route under {channel}:, or other channels for them", False)
