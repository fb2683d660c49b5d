"""``routes.yaml`` of a deployment: the ways out, several a channel, the best first. Secrets stand elsewhere: ``env:NAME``, ``file:PATH``.

::

    receipts: {port: 8086, url: https://ews.example.org, token: "file:/run/secrets/receipts"}
    sms:
      - smpp: {name: jazz, host: smsc.example.net, user: ews, password: "file:/run/secrets/jazz", sender: "8080"}
      - kannel: {name: spare, url: http://127.0.0.1:13013/cgi-bin/sendsms, user: ews, password: env:KANNEL}
      - http: {name: twilio, gateway: twilio, sender: "+15005550006", values: {account: AC0}, secrets: {basic: env:TWILIO}}
    email:
      - smtp: {name: relay, host: mail.example.org, sender: "Flood warning <warning@example.org>"}
    voice:
      - asterisk: {name: pbx, spool: /var/spool/asterisk/outgoing, dial: "PJSIP/{number}@trunk"}
    broadcast:
      - cap: {name: cbe, url: https://cbe.example.net/cap, certificate_file: ews.pem, key_file: ews.key}
    card:
      - http: {name: pictures, gateway: signal, sender: "+92300...", values: {host: 127.0.0.1:8090}}
    operators: {repeat_minutes: 30, sms_per_hour: 6}     # the default; sms_per_hour: 0 is no SMS to those who run it
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from warning import config_gateways
from warning.config_agency import Strict
from warning.config_reports import ReportModel, reports
from warning.config_sources import Reference
from warning.config_yaml import read_yaml
from warning.errors import ConfigError, Problem
from warning.routes import FormRoute, KannelRoute, MailRoute, PushRoute, Route, Routes, SmppRoute, VoiceRoute


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", text):
        raise ValueError(f"{text!r} is no name of a route; small letters, digits and -, such as jazz-2")
    return text


def _dial(text: str) -> str:
    if "{number}" not in text or re.search(r"[;#\s]", text):
        raise ValueError(f"{text!r} is no channel to dial; write one such as PJSIP/{{number}}@trunk")
    return text


Name = Annotated[str, AfterValidator(_name)]
Rate = Annotated[float | int, Field(gt=0, le=100_000)]
Window = Annotated[int, Field(ge=1, le=1000)]
Port = Annotated[int, Field(ge=1, le=65535)]
Url = Annotated[str, AfterValidator(config_gateways._url)]


class SmppModel(Strict):
    name: Name
    host: str
    user: str
    password: Reference
    port: Port = 2775
    sender: str = ""
    most_per_s: Rate = 1000.0
    window: Window = 128


class KannelModel(Strict):
    name: Name
    url: Url
    user: str
    password: Reference
    sender: str = ""
    smsc: str = ""
    most_per_s: Rate = 100.0
    window: Window = 32


class HttpModel(Strict):
    name: Name
    gateway: str
    sender: str = ""
    values: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, Reference] = Field(default_factory=dict)
    most_per_s: Rate = 20.0
    window: Window = 16


class SmtpModel(Strict):
    name: Name
    host: str
    sender: str
    port: Port = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Reference | None = None
    ca_file: str = ""
    bounces: str = ""
    unsubscribe: str = ""
    most_per_s: Rate = 20.0
    window: Window = 4


class AsteriskModel(Strict):
    name: Name
    spool: str
    dial: Annotated[str, AfterValidator(_dial)]
    done: str = ""
    staging: str = ""
    sounds: str = ""
    caller: str = ""
    wait_s: Annotated[int, Field(ge=5, le=180)] = 45
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retry_s: Annotated[int, Field(ge=5, le=3600)] = 60
    most_calls: Window = 30
    context: str = ""


class CapModel(Strict):
    name: Name
    url: Url
    certificate_file: str
    key_file: str
    ca_file: str = ""


class _One(Strict):
    """A route is a table with one key: its kind."""

    @model_validator(mode="after")
    def _exactly_one(self) -> _One:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"a route has one kind: {', '.join(type(self).model_fields)}")
        return self

    @property
    def route(self) -> Any:
        return getattr(self, next(iter(self.model_fields_set)))


class SmsOne(_One):
    smpp: SmppModel | None = None
    kannel: KannelModel | None = None
    http: HttpModel | None = None


class EmailOne(_One):
    smtp: SmtpModel | None = None


class VoiceOne(_One):
    asterisk: AsteriskModel | None = None


class BroadcastOne(_One):
    cap: CapModel | None = None


class CardOne(_One):
    http: HttpModel | None = None


class ReceiptsModel(Strict):
    token: Reference
    url: Url
    port: Port
    host: Literal["127.0.0.1", "::1"] = "127.0.0.1"


class OperatorsModel(Strict):
    repeat_minutes: Annotated[float | int, Field(ge=1, le=1440)] = 30
    sms_per_hour: Annotated[int, Field(ge=0, le=60)] = 6


class RoutesModel(Strict):
    receipts: ReceiptsModel | None = None
    sms: list[SmsOne] = Field(default_factory=list)
    email: list[EmailOne] = Field(default_factory=list)
    voice: list[VoiceOne] = Field(default_factory=list)
    broadcast: list[BroadcastOne] = Field(default_factory=list)
    card: list[CardOne] = Field(default_factory=list)
    reports: list[ReportModel] = Field(default_factory=list)
    operators: OperatorsModel = OperatorsModel()
    well_s: Annotated[float | int, Field(ge=0, le=86_400)] = 60.0


CHANNELS = ("sms", "email", "voice", "broadcast", "card")
KINDS: Mapping[type[BaseModel], Callable[..., Route]] = {
    SmppModel: SmppRoute,
    KannelModel: KannelRoute,
    SmtpModel: MailRoute,
    CapModel: PushRoute,
}
Secret = Callable[[str | None], str]


def load(path: str | os.PathLike[str], environment: Mapping[str, str] = os.environ) -> Routes:
    """The routes of a file; none for "". Raises ConfigError with all that is wrong."""
    if not str(path):
        return Routes()
    _, routes, problems = read(Path(path), environment)
    if problems:
        raise ConfigError(problems)
    return routes


def read(file: Path, environment: Mapping[str, str]) -> tuple[RoutesModel | None, Routes, list[Problem]]:
    """As it is written, what it amounts to, and all that is wrong."""
    problems = list[Problem]()
    model = read_yaml(file, RoutesModel, problems)
    return model, _routes(model, file, environment, problems) if model else Routes(), problems


def secret_of(reference: str, environment: Mapping[str, str]) -> str | None:
    """What stands where it says; None where it cannot be read."""
    problems = list[Problem]()
    found = _secret(reference, environment=environment, where="", problems=problems)
    return None if problems else found


def _routes(model: RoutesModel, file: Path, environment: Mapping[str, str], problems: list[Problem]) -> Routes:
    seen: set[str] = set()
    made: dict[str, list[Any]] = {}
    for channel in CHANNELS:
        made[channel] = []
        for route in (one.route for one in getattr(model, channel)):
            where = f"{file} ({channel}.{route.name})"
            if route.name in seen:
                problems.append(Problem(where, "two routes have this name", "a name of its own for each"))
            seen.add(route.name)
            noun = _noun(route, file, partial(_secret, environment=environment, where=where, problems=problems), problems)
            made[channel] += [noun] if noun is not None else []
    problems += _unheard(model, file)
    sms, email, voice, broadcast, card = (tuple(made[channel]) for channel in CHANNELS)
    told = reports(
        model.reports,
        [route.name for route in sms],
        str(file),
        lambda reference, where: _secret(reference, environment=environment, where=where, problems=problems),
        problems,
    )
    found = Routes(sms, email, voice, broadcast, card, told, well_s=float(model.well_s))
    found = replace(found, repeat_s=60.0 * model.operators.repeat_minutes, operator_sms_per_hour=model.operators.sms_per_hour)
    return _heard(found, model.receipts, file, environment, problems) if model.receipts else found


def _heard(routes: Routes, receipts: ReceiptsModel, file: Path, environment: Mapping[str, str], problems: list[Problem]) -> Routes:
    where = f"{file} (receipts.token)"
    token = _secret(receipts.token, environment=environment, where=where, problems=problems)
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", token):
        problems.append(Problem(where, "is no token", "16 to 128 letters, digits, - and _, by chance: openssl rand -hex 24"))
    return replace(routes, receipts_host=receipts.host, receipts_port=receipts.port, receipts_token=token, receipts_url=receipts.url)


def _unheard(model: RoutesModel, file: Path) -> Iterator[Problem]:
    """Routes whose receipts would have nowhere to come."""
    if model.receipts is None and any(one.kannel for one in model.sms):
        yield Problem(f"{file} (sms.kannel)", "its receipts have nowhere to come", "add receipts: with port, url and token")


def _noun(model: BaseModel, file: Path, secret: Secret, problems: list[Problem]) -> Route | None:
    data = model.model_dump()
    if isinstance(model, HttpModel):
        return _form_route(model, file, secret, problems)
    if isinstance(model, AsteriskModel):
        return _voice_route(data)
    if "password" in data:
        data["password"] = secret(data["password"])
    for name in ("certificate_file", "key_file", "ca_file"):
        if data.get(name):
            data[name] = str(file.parent / data[name])
            if not Path(data[name]).is_file():
                problems.append(Problem(f"{file} ({data['name']}.{name})", f"{data[name]} is not there", "the path of a PEM file"))
    if "most_per_s" in data:
        data["most_per_s"] = float(data["most_per_s"])
    return KINDS[type(model)](**data)


def _form_route(model: HttpModel, file: Path, secret: Secret, problems: list[Problem]) -> FormRoute | None:
    where = f"{file} ({model.name})"
    form = config_gateways.load(model.gateway, file.parent, where, problems)
    values = {**model.values, **{key: secret(reference) for key, reference in model.secrets.items()}}
    if form is None:
        return None
    unknown = config_gateways.placeholders(form) - values.keys() - config_gateways.PLACEHOLDERS.keys()
    problems += [
        Problem(where, f"gateway {form.name} wants {{{name}}}", f"give {name} under values: or secrets:") for name in sorted(unknown)
    ]
    return FormRoute(model.name, form, values, model.sender, float(model.most_per_s), model.window)


def _voice_route(data: dict[str, Any]) -> VoiceRoute:
    """Asterisk's own places, where the file names none: all beside the spool, on its file system."""
    around = Path(data["spool"]).parent
    data["done"] = data["done"] or str(around / "outgoing_done")
    data["staging"] = data["staging"] or str(around / "warning")
    data["sounds"] = data["sounds"] or str(around / "warning" / "sounds")
    return VoiceRoute(**data)


def _secret(reference: str | None, *, environment: Mapping[str, str], where: str, problems: list[Problem]) -> str:
    if reference is None:
        return ""
    kind, _, place = reference.partition(":")
    try:
        value = environment[place] if kind == "env" else Path(place).read_text("utf-8").strip()
    except (KeyError, OSError, UnicodeDecodeError) as error:
        problems.append(Problem(where, f"{reference} cannot be read: {type(error).__name__}", "set the variable, or write the file"))
        return ""
    if not value:
        problems.append(Problem(where, f"{reference} is empty", "put the secret there"))
    return value
