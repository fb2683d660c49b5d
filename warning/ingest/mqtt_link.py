"""Where the MQTT broker is and who we are to it: the fields ``mqtt_*`` of a deployment as the arguments of an aiomqtt client.

The session at the broker outlives us: what comes for ``SESSION_S`` while we are away waits there. Its name is ``mqtt_id``. Gateways with
one name take turns: the one that connected last has the session and all that waits in it, the other is there when it falls. Gateways with
a name each share what comes, but what a broker deals to one that is away waits for it, so a name must be there again after a restart.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from warning.deployment import Deployment
from warning.errors import ConfigError, Problem

SESSION_S = 7 * 86_400
RECEIVE_MAXIMUM = 500  # messages that the broker sends ahead of our acknowledgements
_KEEPALIVE_S = 20
_WITHIN_S = 10.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}
URL, PASSWORD = "WARNING_MQTT_URL", "WARNING_MQTT_PASSWORD_FILE"
_LOCAL = ("127.0.0.1", "::1", "localhost")


def arguments(deployment: Deployment, queue: Callable[[int], Any] | None = None) -> dict[str, Any]:
    """Keyword arguments of ``aiomqtt.Client``. Files are read now: a renewed password counts from the next connection on.

    Raises ConfigError with every field or file that does not do.
    """
    try:
        url = urlsplit(deployment.mqtt_url)
    except ValueError:  # whose words may hold a password
        raise ConfigError([Problem(URL, "no address of an MQTT broker", "write mqtts://user@host:8883")]) from None
    problems = list(_problems(deployment, url))
    password = _password(deployment, problems)
    context = _context(deployment, problems) if url.scheme == "mqtts" else None
    if problems:
        raise ConfigError(problems)
    connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    connect.SessionExpiryInterval = SESSION_S
    connect.ReceiveMaximum = RECEIVE_MAXIMUM
    found: dict[str, Any] = {
        "hostname": url.hostname,
        "port": url.port or _PORTS[url.scheme],
        "username": url.username,
        "password": password or None,
        "identifier": deployment.mqtt_session,
        "protocol": ProtocolVersion.V5,
        "clean_start": False,
        "properties": connect,
        "keepalive": _KEEPALIVE_S,
        "timeout": _WITHIN_S,
        "tls_context": context,
    }
    return found | ({"queue_type": queue} if queue is not None else {})


def _problems(deployment: Deployment, url: SplitResult) -> Iterator[Problem]:
    shown = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
    if url.scheme not in _PORTS or not url.hostname or url.path.strip("/") or url.query or not _port_is_right(url):
        yield Problem(URL, f"{shown!r} is no address of an MQTT broker", "write mqtts://user@host:8883")
    if url.password is not None:
        yield Problem(URL, "a password in the address, which stands in lists of processes", f"put it into a file and name it in {PASSWORD}")
    if url.scheme == "mqtt" and url.hostname not in _LOCAL:
        yield Problem(URL, f"{shown!r} without TLS, and not on this machine", "write mqtts://, and the broker's CA in WARNING_MQTT_CA_FILE")
    if bool(deployment.mqtt_certificate_file) != bool(deployment.mqtt_key_file):
        yield Problem("WARNING_MQTT_KEY_FILE", "a certificate needs its key, and a key its certificate", "name both files, or none")


def _port_is_right(url: SplitResult) -> bool:
    try:
        return url.port is None or 0 < url.port < 65_536
    except ValueError:
        return False


def _password(deployment: Deployment, problems: list[Problem]) -> str:
    if not deployment.mqtt_password_file:
        return deployment.mqtt_password
    try:
        return Path(deployment.mqtt_password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(PASSWORD, f"{deployment.mqtt_password_file} cannot be read: {error}", "name a file with the password"))
        return ""


def _context(deployment: Deployment, problems: list[Problem]) -> ssl.SSLContext | None:
    try:
        context = ssl.create_default_context(cafile=deployment.mqtt_ca_file or None)
        if deployment.mqtt_certificate_file:
            context.load_cert_chain(deployment.mqtt_certificate_file, deployment.mqtt_key_file)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(filter(None, (deployment.mqtt_ca_file, deployment.mqtt_certificate_file, deployment.mqtt_key_file)))
        problems.append(Problem("WARNING_MQTT_CA_FILE", f"{names or 'certificates'}: {error}", "name PEM files that this process may read"))
        return None
    return context
