"""Frozen nouns: the ways out of one deployment, in order of preference within each channel. Read by ``config_routes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SmppRoute:
    """An SMS centre that speaks SMPP 3.4."""

    name: str
    host: str
    user: str
    password: str = field(repr=False)
    port: int = 2775
    sender: str = ""
    most_per_s: float = 1000.0
    window: int = 128  # submits under way at once


@dataclass(frozen=True, slots=True)
class KannelRoute:
    """A Kannel smsbox. ``url``: of its sendsms; ``smsc``: which of its SMS centres, "" as it likes."""

    name: str
    url: str
    user: str
    password: str = field(repr=False)
    sender: str = ""
    smsc: str = ""
    most_per_s: float = 100.0
    window: int = 32


@dataclass(frozen=True, slots=True)
class Form:
    """How a gateway wants to be asked over HTTP and what it answers: a file of ``config/gateways``. Texts may hold ``{placeholders}``.

    One of ``json``, ``form``, ``multipart`` is the body. ``message_id``, ``status`` and the receipt's are JMESPaths; of a receipt
    that is no JSON, of its form and query fields. Without ``status`` every 2xx is accepted.
    """

    name: str
    method: str
    url: str
    headers: Mapping[str, str]
    json: Any = None
    form: Mapping[str, str] | None = None
    multipart: Mapping[str, str] | None = None
    message_id: str = ""
    status: str = ""
    accepted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    receipt_each: str = ""  # where the list of receipts stands; "": there is one
    receipt_id: str = ""
    receipt_status: str = ""
    delivered: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FormRoute:
    """A gateway over HTTP by its form. ``values``: the form's own placeholders, secrets among them."""

    name: str
    form: Form
    values: Mapping[str, str] = field(repr=False)
    sender: str = ""
    most_per_s: float = 20.0
    window: int = 16


@dataclass(frozen=True, slots=True)
class MailRoute:
    """A mail relay. ``tls``: starttls (needed), tls (from the first byte), none. ``sender``: From; ``bounces``: envelope sender."""

    name: str
    host: str
    sender: str
    port: int = 587
    tls: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    bounces: str = ""
    unsubscribe: str = ""  # mailto: or https: of List-Unsubscribe
    most_per_s: float = 20.0
    window: int = 4  # connections


@dataclass(frozen=True, slots=True)
class VoiceRoute:
    """An Asterisk that takes call files. ``dial``: its channel, ``{number}`` in it; ``sounds``: folder that it reads audio from."""

    name: str
    spool: str  # .../outgoing
    done: str  # .../outgoing_done
    staging: str  # on the same file system as the spool, not inside it
    sounds: str
    dial: str
    caller: str = ""
    wait_s: int = 45
    retries: int = 2
    retry_s: int = 60
    most_calls: int = 30  # files in the spool at once: lines that the trunk has
    context: str = ""  # dialplan that plays ${WARNING_SOUND}; "": the application Playback


@dataclass(frozen=True, slots=True)
class PushRoute:
    """A cell-broadcast entity that takes CAP over HTTPS from whoever holds the certificate."""

    name: str
    url: str
    certificate_file: str
    key_file: str
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Where the SMS centre of a route ("": the deployment's own) leaves its report: a folder of CSV files, or a URL, ``{date}`` in it.

    ``after_minute``: of the local day, from when yesterday's is there. ``columns``, ``states``: as the report calls them.
    """

    route: str = ""
    folder: str = ""
    url: str = ""
    authorization: str = field(default="", repr=False)  # value of that header
    after_minute: int = 180
    columns: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)


SmsRoute = SmppRoute | KannelRoute | FormRoute
Route = SmsRoute | MailRoute | VoiceRoute | PushRoute


@dataclass(frozen=True, slots=True)
class Routes:
    """All of them. ``receipts_url``: where gateways reach our listener at ``receipts_host``:``receipts_port`` (by a proxy, as a rule)."""

    sms: tuple[SmsRoute, ...] = ()
    email: tuple[MailRoute, ...] = ()
    voice: tuple[VoiceRoute, ...] = ()
    broadcast: tuple[PushRoute, ...] = ()
    card: tuple[FormRoute, ...] = ()
    reports: tuple[Report, ...] = ()
    receipts_host: str = "127.0.0.1"
    receipts_port: int = 0  # 0 and no URL: no listener
    receipts_token: str = field(default="", repr=False)
    receipts_url: str = ""
    well_s: float = 60.0  # so long a route must have been well before it is first again
    repeat_s: float = 1800.0  # operators are told again of what lasts
    operator_sms_per_hour: int = 0  # to each of them; 0: none

    def receipts(self, route: str) -> str:
        """Where a gateway tells us what became of a message; "" if it cannot."""
        return f"{self.receipts_url.rstrip('/')}/receipts/{route}/{self.receipts_token}" if self.receipts_token else ""
