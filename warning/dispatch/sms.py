"""SMS over SMPP: parts, pace, and what the centre's answers mean."""

from __future__ import annotations

import asyncio
import logging
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

import smsutil
from aiosmpplib import NPI, TON, GSM7BitCodec, PhoneNumber, SmppCommandStatus

from warning.deployment import Deployment
from warning.dispatch import smpp_pdu
from warning.dispatch.channel import OnReceipt, OnState, Outcome, Part, PartReceipt, Sending, worst
from warning.dispatch.pace import Pace
from warning.dispatch.slots import Window
from warning.dispatch.smpp import Answer, Link
from warning.dispatch.smpp_pdu import Receipt
from warning.errors import ConfigError, Problem
from warning.model import AlertEvent, DeliveryState
from warning.region import Contact

log = logging.getLogger(__name__)

SOON = {"unavailable", "reset", "stopped", "throttled"}  # the link's fault, not the phone's
AHEAD_S, LEAST_AHEAD, MOST_AHEAD = 1.5, 16, 1500  # messages that are claimed at once
LEAST_VALIDITY_S, MOST_VALIDITY_S = 60, 48 * 3600
TOO_FAST = {SmppCommandStatus.ESME_RTHROTTLED, SmppCommandStatus.ESME_RMSGQFUL}
PASSING = {  # the same message may be taken later
    SmppCommandStatus.ESME_RSYSERR,
    SmppCommandStatus.ESME_RUNKNOWNERR,
    SmppCommandStatus.ESME_RSUBMITFAIL,
    SmppCommandStatus.ESME_RINVBNDSTS,
    SmppCommandStatus.ESME_RX_T_APPN,
}
RECEIPT_STATES = {
    "DELIVRD": DeliveryState.DELIVERED,
    "EXPIRED": DeliveryState.FAILED,
    "DELETED": DeliveryState.FAILED,
    "UNDELIV": DeliveryState.FAILED,
    "REJECTD": DeliveryState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Text:
    """A message cut into parts that fit: 160 or 153 septets each of the GSM alphabet, 70 or 67 UTF-16 units each otherwise."""

    parts: tuple[str, ...]
    unicode: bool


class Words(Protocol):
    """What an SMS says; ``again``: that an operator had it sent again, too."""

    def __call__(self, event: AlertEvent, language: str, role: str, again: bool = False) -> Text: ...


def words_of(words: Words, sending: Sending) -> Text:
    """The words of one delivery, or of a notice."""
    if sending.text:
        return text_of(sending.text)
    of = sending.event, sending.language, sending.contact.role
    return words(*of, again=True) if sending.resent else words(*of)


@dataclass
class SmsChannel:
    """The SMS centre of one deployment. Deliveries share one lane.

    ``submits`` are under way at once. So many messages are claimed as go in AHEAD_S at the pace that the centre allows, for the ledger
    writes of the next ones while these are answered; not more, for what is claimed no newer revision and no more urgent one overtakes.
    """

    deployment: Deployment
    words: Words
    on_receipt: OnReceipt
    on_state: OnState
    submits: int = 128
    most_per_s: float = 1000.0
    answer_within_s: float = 20.0
    carry_on_s: float = 60.0  # how long one message is offered to a centre that says "too fast"
    name: str = field(default="sms", init=False)

    def __post_init__(self) -> None:
        self.pace = Pace(self.most_per_s)
        self._submits = Window(self.submits)
        where = self.deployment
        check(where)
        self.link = Link(
            where.smpp_host, where.smpp_port, where.smpp_user, where.smpp_password, self._receipt, self.on_state, self.answer_within_s
        )
        sender = sender_address(where.sms_sender)
        self._source = smpp_pdu.address(sender.ton, sender.npi, sender.number)

    async def start(self) -> None:
        await self.link.start()

    async def stop(self) -> None:
        await self.link.stop()

    def address(self, contact: Contact) -> str:
        return contact.phone

    def lane(self, contact: Contact) -> str:
        return "sms"

    def width(self, lane: str) -> int:
        return self.window

    @property
    def window(self) -> int:
        """Messages that are claimed at once."""
        return min(max(round(AHEAD_S * self.pace.rate), LEAST_AHEAD), MOST_AHEAD)

    async def ready(self) -> None:
        await self.link.bound()

    @property
    def up(self) -> bool:
        return self.link.up

    async def well(self) -> bool:
        """As one route of several: is there a session?"""
        return self.link.up

    async def send(self, sending: Sending) -> Outcome:
        text = words_of(self.words, sending)
        numbers = [number for number in range(1, len(text.parts) + 1) if number not in sending.skip]
        if len(numbers) == 1:  # as nearly all: no tasks beside this one
            parts = [await self._part(sending, text, numbers[0])]
        else:
            parts = await asyncio.gather(*(self._part(sending, text, number) for number in numbers))
        state = worst([part.state for part in parts])
        reason = next((part.reason for part in parts if part.state is state), "")
        return Outcome(state, reason, parts=tuple(parts), soon=reason in SOON)

    async def _part(self, sending: Sending, text: Text, number: int) -> Part:
        try:
            body = self._submit(sending, text, number)
        except ValueError:  # what no centre would take
            return part_of(number, Answer(None, sent=False, why="malformed"))
        return part_of(number, await self._offer(body))

    async def _offer(self, body: bytes) -> Answer:
        """One part, again and again while the centre says "too fast"."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.carry_on_s
        while True:
            await self.pace.turn()
            async with self._submits:
                answer = await self.link.submit(body, wait_s=1.0)
            if answer.status not in TOO_FAST or loop.time() > until:
                break
            self.pace.throttled()
            await asyncio.sleep(1.0 / self.pace.rate)
        if answer.status is SmppCommandStatus.ESME_ROK:
            self.pace.accepted()
        return answer

    def _submit(self, sending: Sending, text: Text, number: int) -> bytes:
        """Of a text that goes to thousands only the address is another (and the reference of several parts). Raises ValueError."""
        parts, octets = len(text.parts), _encoded(text.parts[number - 1], text.unicode)
        if parts > 1:
            octets = bytes((5, 0, 3, reference(sending), parts, number)) + octets
        validity_s = min(max(sending.valid_ms // 1000, LEAST_VALIDITY_S), MOST_VALIDITY_S)
        coding = smpp_pdu.UCS2 if text.unicode else smpp_pdu.GSM
        content = smpp_pdu.content(octets, coding, validity_s, header=parts > 1)
        return smpp_pdu.submit_sm(self._source, sending.contact.phone.removeprefix("+"), content)

    async def _receipt(self, receipt: Receipt) -> None:
        state = RECEIPT_STATES.get(receipt.stat)
        if state is None:
            return  # ENROUTE, ACCEPTD: on its way still
        reason = "" if state is DeliveryState.DELIVERED else receipt.stat.lower()
        await self.on_receipt(PartReceipt(self.name, receipt.message_id, state, reason))


@lru_cache(maxsize=256)
def _encoded(content: str, unicode: bool) -> bytes:
    """The same text goes to thousands, and the codec looks at every letter."""
    encoded: bytes = content.encode("utf-16-be") if unicode else GSM7BitCodec.get_codec_info().encode(content)[0]
    return encoded


def check(where: Deployment) -> None:
    """Raises ``ConfigError`` for what SMPP 3.4 has no room for."""
    problems = [
        Problem(name, f"has {len(value)} characters, SMPP 3.4 allows {most}", "ask the SMS centre for a shorter one")
        for name, value, most in (("smpp_user", where.smpp_user, 15), ("smpp_password", where.smpp_password, 8))
        if len(value) > most
    ]
    if problems:
        raise ConfigError(problems)


def text_of(words: str) -> Text:
    """Cuts as phones expect it; never inside a surrogate pair or an escape of the GSM alphabet."""
    split = smsutil.split(words)
    return Text(tuple(part.content for part in split.parts), split.encoding != "gsm0338")


def part_of(number: int, answer: Answer) -> Part:
    """What an answer means for its part."""
    if answer.status is SmppCommandStatus.ESME_ROK:
        return Part(number, DeliveryState.ACCEPTED, answer.message_id)
    if answer.status in TOO_FAST:
        return Part(number, DeliveryState.WAITING, reason="throttled")
    if answer.status in PASSING:
        return Part(number, DeliveryState.WAITING, reason="gateway_error")
    if answer.status is not None:
        log.error("SMS refused by the centre: %s", answer.status.name)
        return Part(number, DeliveryState.FAILED, reason="rejected")
    if answer.why == "malformed":
        return Part(number, DeliveryState.FAILED, reason="malformed")
    return Part(number, DeliveryState.UNKNOWN if answer.sent else DeliveryState.WAITING, reason=answer.why)


def reference(sending: Sending) -> int:
    """Reference number that joins the parts on the phone (8 bits).

    The same for every attempt, so that parts of two attempts make one message; another for the next revision, and for what an operator
    had sent again: it says other words.
    """
    alert, again = sending.event.alert, f" {sending.resent}" if sending.resent else ""
    return (zlib.crc32(f"{alert.zone} {sending.contact.id}{again}".encode()) + alert.revision) & 0xFF


def sender_address(sender: str) -> PhoneNumber:
    """A short code, an international number (+...) or a name of at most 11 characters."""
    if sender.startswith("+"):
        return PhoneNumber(sender[1:], TON.INTERNATIONAL, NPI.ISDN)
    if sender.isdigit() or not sender:
        return PhoneNumber(sender, TON.NETWORK_SPECIFIC if sender else TON.UNKNOWN, NPI.UNKNOWN)
    return PhoneNumber(sender[:11], TON.ALPHANUMERIC, NPI.UNKNOWN)
