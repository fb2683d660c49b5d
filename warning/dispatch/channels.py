"""From the deployment's routes to the dispatcher's channels. Without ``routes.yaml``: SMS by the one SMS centre of the deployment, if any.

Who is reached: e-mail who has an address, voice who says that his phone may be called, a card who asks for it by name and has a phone,
broadcast an operator or official who asks for it by name. Webhooks are made by the dispatcher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.message import EmailMessage

from warning.alerts import hand_words, message
from warning.alerts.display import phrases
from warning.deployment import Deployment
from warning.dispatch import speech
from warning.dispatch.card import Cards
from warning.dispatch.channel import Channel, OnReceipt, OnState, Sending
from warning.dispatch.form import FormWay
from warning.dispatch.kannel import KannelWay
from warning.dispatch.letter import letter
from warning.dispatch.mail import MailWay
from warning.dispatch.push import PushWay
from warning.dispatch.receipts_in import Reader, ReceiptsIn
from warning.dispatch.routed import Routed, Way, receipts_of
from warning.dispatch.sms import SmsChannel, Words
from warning.dispatch.voice import VoiceWay
from warning.facts import Listener
from warning.region import Contact, Region
from warning.routes import FormRoute, KannelRoute, MailRoute, Routes, SmppRoute

PUSHED_TO = ("operator", "official")
HEARD = ("sms", "card", "email")  # channels whose gateways may tell receipts over HTTP


@dataclass(frozen=True, slots=True)
class Asks:
    """What the channels need of the dispatcher.

    ``on_state``: channel -> what to call when it comes up or goes down; ``code``: identifier of an alert -> the code that confirms it.
    """

    words: Words
    on_receipt: OnReceipt
    on_state: Callable[[str], OnState]
    listen: Listener
    code: Callable[[str], str] = message.check_code


@dataclass(frozen=True, slots=True)
class Built:
    """``receipts``: to be started before the channels and stopped after them; None: no gateway tells any over HTTP."""

    channels: tuple[Channel, ...]
    receipts: ReceiptsIn | None


def build(region: Region, deployment: Deployment, routes: Routes, asks: Asks, sms_per_s: float = 1000.0) -> Built:
    """The channels, and the listener for receipts. Raises ConfigError for what SMPP 3.4 has no room for."""
    alone: tuple[Channel, ...]
    ways: dict[str, list[Way]] = {name: [] for name in ("sms", "voice", "email", "card", "broadcast")}
    readers: dict[str, tuple[Reader, OnReceipt]] = {}
    cards = Cards(region)
    if deployment.smpp_user and not routes.sms:
        alone = (SmsChannel(deployment, asks.words, asks.on_receipt, asks.on_state("sms"), most_per_s=sms_per_s),)
    else:
        alone = ()
        ways["sms"] += [_own_centre(deployment, asks, sms_per_s)] if deployment.smpp_user else []

    def heard(channel: str, route: str, way: FormWay | KannelWay | MailWay) -> Way:
        readers[route] = way.receive, receipts_of(channel, route, asks.on_receipt)
        return way

    for route in routes.sms:
        keep, tell = receipts_of("sms", route.name, asks.on_receipt), routes.receipts(route.name)
        if isinstance(route, SmppRoute):
            ways["sms"].append(_centre(deployment, route, asks.words, keep))
        elif isinstance(route, KannelRoute):
            ways["sms"].append(heard("sms", route.name, KannelWay(route, asks.words, keep, tell)))
        else:
            ways["sms"].append(heard("sms", route.name, FormWay("sms", route, asks.words, keep, tell)))
    for pictured in routes.card:
        ways["card"].append(heard("card", pictured.name, _pictures(pictured, routes, asks, cards)))
    for relay in routes.email:
        ways["email"].append(heard("email", relay.name, _relay(relay, region, asks.code)))
    for pbx in routes.voice:
        keep = receipts_of("voice", pbx.name, asks.on_receipt)
        ways["voice"].append(VoiceWay(pbx, lambda sending: said(sending, region), keep))
    ways["broadcast"] += [PushWay(entity) for entity in routes.broadcast]

    listener = ReceiptsIn(routes.receipts_host, routes.receipts_port, routes.receipts_token, readers) if routes.receipts_token else None
    several = (Routed(name, found, REACH[name], asks.on_state(name), asks.listen, routes.well_s) for name, found in ways.items() if found)
    return Built((*alone, *several), listener if readers else None)


def said(sending: Sending, region: Region) -> tuple[str, str]:
    """(words, language) of a call: what happens and what to do; in English where there is no voice for the language."""
    language = speech.spoken(phrases(sending.language).language)
    alert = sending.event.alert
    stop = phrases(language).words["stop"]
    again = f" {hand_words.again(language)}" if sending.resent else ""
    return f"{message.headline(alert, region, language)}{stop} {message.instruction(alert, region, language)}{again}", language


def _own_centre(deployment: Deployment, asks: Asks, sms_per_s: float) -> SmsChannel:
    """The SMS centre of the deployment's own keys as the first route of several; its ids stand as they are."""
    keep = receipts_of("sms", "", asks.on_receipt)
    made = SmsChannel(deployment, asks.words, keep, lambda up: None, most_per_s=sms_per_s)
    made.name = ""
    return made


def _centre(deployment: Deployment, route: SmppRoute, words: Words, keep: OnReceipt) -> SmsChannel:
    where = replace(
        deployment,
        smpp_host=route.host,
        smpp_port=route.port,
        smpp_user=route.user,
        smpp_password=route.password,
        sms_sender=route.sender or deployment.sms_sender,
    )
    made = SmsChannel(where, words, keep, lambda up: None, route.window, route.most_per_s)
    made.name = route.name
    return made


def _relay(relay: MailRoute, region: Region, code: Callable[[str], str]) -> MailWay:
    def written(sending: Sending, route: MailRoute, address: str) -> EmailMessage:
        return letter(sending, region, route, address, code(sending.event.alert.identifier))

    return MailWay(relay, written)


def _pictures(route: FormRoute, routes: Routes, asks: Asks, cards: Cards) -> FormWay:
    async def picture(sending: Sending) -> bytes:
        alert = sending.event.alert
        return await asyncio.to_thread(cards.of, alert, sending.language, asks.code(alert.identifier))

    return FormWay("card", route, asks.words, receipts_of("card", route.name, asks.on_receipt), routes.receipts(route.name), picture)


def _phone(contact: Contact) -> str:
    return contact.phone


def _email(contact: Contact) -> str:
    return contact.email


def _voice(contact: Contact) -> str:
    return contact.phone if contact.voice else ""


def _card(contact: Contact) -> str:
    return contact.phone if "card" in contact.channels else ""


def _broadcast(contact: Contact) -> str:
    return "cbe" if "broadcast" in contact.channels and contact.role in PUSHED_TO else ""


REACH: dict[str, Callable[[Contact], str]] = {
    "sms": _phone,
    "email": _email,
    "voice": _voice,
    "card": _card,
    "broadcast": _broadcast,
}
