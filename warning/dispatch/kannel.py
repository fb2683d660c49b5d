"""SMS through Kannel's sendsms: a request a part, because receipts come a part; the receipt's URL carries our own name for it.

Kannel gives no message id. So that the same attempt never has two, the name is made of delivery, attempt and part.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from warning.dispatch.channel import OnReceipt, Outcome, Part, PartReceipt, Sending, worst
from warning.dispatch.letter import message_id
from warning.dispatch.pace import Pace
from warning.dispatch.posted import ByPoster, Poster, refused
from warning.dispatch.sms import LEAST_VALIDITY_S, MOST_VALIDITY_S, SOON, Text, Words, reference, words_of
from warning.model import DeliveryState
from warning.routes import KannelRoute

log = logging.getLogger(__name__)

DELIVERED, NOT_DELIVERED, REFUSED_BY_CENTRE = 1, 2, 16  # dlr-mask; 4 and 8 are only stations on the way
FINAL = DELIVERED | NOT_DELIVERED | REFUSED_BY_CENTRE
STATES = {1: (DeliveryState.DELIVERED, ""), 2: (DeliveryState.FAILED, "undeliv"), 16: (DeliveryState.FAILED, "rejectd")}
TAKEN = 202


class KannelWay(ByPoster):
    """One smsbox. ``receipts``: URL of our listener for this route."""

    def __init__(self, route: KannelRoute, words: Words, on_receipt: OnReceipt, receipts: str, timeout_s: float = 20.0) -> None:
        self.name, self.window = route.name, route.window
        self._route, self._words, self._on_receipt, self._receipts = route, words, on_receipt, receipts
        self.pace = Pace(route.most_per_s)
        self._poster = Poster(route.url, timeout_s, route.window)

    async def send(self, sending: Sending) -> Outcome:
        text = words_of(self._words, sending)
        numbers = [number for number in range(1, len(text.parts) + 1) if number not in sending.skip]
        answers = await asyncio.gather(*(self._part(sending, text, number) for number in numbers))
        parts = tuple(part for part, _ in answers)
        state = worst([part.state for part in parts])
        why = next((outcome for part, outcome in answers if part.state is state and outcome), Outcome(state))
        soon = why.soon or why.reason in SOON
        return Outcome(state, why.reason, why.retry_after_s, parts, soon=soon, detail=why.detail)

    async def receive(self, query: Any) -> list[PartReceipt]:
        """A receipt as Kannel calls with it. Raises ValueError where it is none."""
        name, kind = (str(query.get(key, "")) if isinstance(query, dict) else "" for key in ("id", "type"))
        if not name or not re.fullmatch("[0-9]{1,3}", kind):
            raise ValueError("id or type is missing: the dlr-url that was given with the message has both")
        state = STATES.get(int(kind) & 0x1F)
        return [PartReceipt("sms", name, *state)] if state else []

    async def _part(self, sending: Sending, text: Text, number: int) -> tuple[Part, Outcome | None]:
        name = f"{message_id(sending)}.{sending.attempt}.{number}"
        await self.pace.turn()
        answer = await self._poster.ask("GET", f"{self._route.url}?{self._query(sending, text, number, name)}")
        outcome = answer if isinstance(answer, Outcome) else taken(answer)
        if outcome is None:
            self.pace.accepted()
            return Part(number, DeliveryState.ACCEPTED, name), None
        if outcome.reason == "throttled":
            self.pace.throttled()
        told = name if outcome.state is DeliveryState.UNKNOWN else ""  # a receipt by our own name says that it has it
        return Part(number, outcome.state, told, outcome.reason), outcome

    def _query(self, sending: Sending, text: Text, number: int, name: str) -> str:
        route, count = self._route, len(text.parts)
        validity_s = min(max(sending.valid_ms // 1000, LEAST_VALIDITY_S), MOST_VALIDITY_S)
        given: dict[str, str] = {
            "username": route.user,
            "password": route.password,
            "to": sending.contact.phone,
            "coding": "2" if text.unicode else "0",
            "charset": "UTF-8",
            "text": text.parts[number - 1],
            "validity": str(max(validity_s // 60, 1)),
            "dlr-mask": str(FINAL),
            "dlr-url": f"{self._receipts}?id={name}&type=%d",
        }
        given |= {key: value for key, value in (("from", route.sender), ("smsc", route.smsc)) if value}
        udh = f"&udh={quote(bytes((5, 0, 3, reference(sending), count, number)), safe='')}" if count > 1 else ""
        return urlencode(given) + udh


def taken(response: httpx.Response) -> Outcome | None:
    """None: Kannel has it. Its 5xx say that it has not (userguide, "SMS Push reply codes")."""
    if response.status_code == TAKEN:
        return None
    if response.status_code >= 500:
        return Outcome(DeliveryState.WAITING, "gateway_error", soon=True, detail=f"{response.status_code} {response.text[:100]!r}")
    return refused(response) or Outcome(DeliveryState.UNKNOWN, "gateway_error", detail=f"{response.status_code} {response.text[:100]!r}")
