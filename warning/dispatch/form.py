"""A gateway over HTTP by its form (``config_gateways``): one request a message; its parts are the gateway's own affair.

Where another route has sent parts before, what is still missing goes as one whole message, and its one id stands for each missing part:
``ID``, ``ID+2`` ... A receipt for ID settles them all.
"""

from __future__ import annotations

import base64
import functools
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx
import jmespath

from warning.config_gateways import NAMED
from warning.dispatch.channel import OnReceipt, Outcome, Part, PartReceipt, Sending
from warning.dispatch.pace import Pace
from warning.dispatch.posted import ByPoster, Poster, refused
from warning.dispatch.sms import LEAST_VALIDITY_S, MOST_VALIDITY_S, SOON, Words, words_of
from warning.errors import Unavailable
from warning.model import DeliveryState
from warning.routes import FormRoute

log = logging.getLogger(__name__)

MOST_KNOWN = 100_000
Picture = Callable[[Sending], Awaitable[bytes]]  # the card as PNG


class FormWay(ByPoster):
    """One gateway. ``channel``: sms or card; ``picture``: only asked where the form has a place for it."""

    def __init__(
        self,
        channel: str,
        route: FormRoute,
        words: Words,
        on_receipt: OnReceipt,
        receipts: str,
        picture: Picture | None = None,
        timeout_s: float = 20.0,
    ) -> None:
        self.name, self.window = route.name, route.window
        self._channel, self._route, self._words, self._receipts, self._picture = channel, route, words, receipts, picture
        self.pace = Pace(route.most_per_s)
        self._parts: OrderedDict[str, int] = OrderedDict()  # message id -> how many parts it stands for
        self._poster = Poster(fill(route.form.url, {**route.values}), timeout_s, route.window)

    async def send(self, sending: Sending) -> Outcome:
        text = words_of(self._words, sending)
        count = 1 if self._channel != "sms" else len(text.parts)
        missing = [number for number in range(1, count + 1) if number not in sending.skip]
        try:
            values = await self._values(sending, "".join(text.parts))
        except Unavailable as error:  # no picture today: the contact's next channel carries it
            return Outcome(DeliveryState.FAILED, "no_picture", detail=str(error)[:200])
        await self.pace.turn()
        answer = await self._poster.ask(self._route.form.method, fill(self._route.form.url, values, quoted=True), **self._body(values))
        outcome = answer if isinstance(answer, Outcome) else self._taken(answer)
        form = self._route.form
        own = str(values["id"]) if form.receipt_id and not form.message_id else ""  # its receipts come by our own number
        if outcome.reason == "throttled":
            self.pace.throttled()
        if outcome.state is not DeliveryState.ACCEPTED:
            if outcome.state is DeliveryState.UNKNOWN and own:
                parts = self._stood_for(own, missing, outcome.state, outcome.reason)
            else:
                parts = tuple(Part(number, outcome.state, reason=outcome.reason) for number in missing)
            return Outcome(outcome.state, outcome.reason, outcome.retry_after_s, parts, soon=outcome.reason in SOON, detail=outcome.detail)
        self.pace.accepted()
        return Outcome(DeliveryState.ACCEPTED, parts=self._stood_for(own or outcome.parts[0].message_id, missing))

    async def receive(self, found: Any) -> list[PartReceipt]:
        """Receipts as the gateway tells them: JSON, or a table of fields. Raises ValueError where there is none."""
        form = self._route.form
        each = _search(form.receipt_each, found) if form.receipt_each else [found]
        if not isinstance(each, list):
            raise ValueError(f"no list at {form.receipt_each!r}")
        receipts: list[PartReceipt] = []
        for one in each:
            message_id, status = _text(_search(form.receipt_id, one)), _text(_search(form.receipt_status, one)).casefold()
            if not message_id or not status:
                raise ValueError(f"nothing at {form.receipt_id!r} or {form.receipt_status!r}")
            if status in form.delivered or status in form.failed:
                good = status in form.delivered
                state, reason = (DeliveryState.DELIVERED, "") if good else (DeliveryState.FAILED, "undeliv")
                receipts += [PartReceipt(self._channel, name, state, reason) for name in self._names(message_id)]
        return receipts

    def _stood_for(
        self, message_id: str, missing: list[int], state: DeliveryState = DeliveryState.ACCEPTED, reason: str = ""
    ) -> tuple[Part, ...]:
        if message_id:
            self._parts[message_id] = len(missing)
            if len(self._parts) > MOST_KNOWN:
                self._parts.popitem(last=False)
        names = [message_id, *(f"{message_id}+{number}" if message_id else "" for number in range(2, len(missing) + 1))]
        return tuple(Part(number, state, name, reason) for number, name in zip(missing, names, strict=True))

    def _names(self, message_id: str) -> list[str]:
        """After a restart nobody remembers how many parts it was: two is the most that our texts have."""
        count = self._parts.get(message_id, 2 if self._channel == "sms" else 1)
        return [message_id, *(f"{message_id}+{number}" for number in range(2, count + 1))]

    def _taken(self, response: httpx.Response) -> Outcome:
        if (wrong := refused(response)) is not None:
            return wrong
        form = self._route.form
        said = _json(response) if form.message_id or form.status else {}
        if said is None:
            return Outcome(DeliveryState.UNKNOWN, "gateway_error", detail=f"{response.status_code} without JSON")
        status = _text(_search(form.status, said)).casefold() if form.status else ""
        if form.status and status not in form.accepted:
            state = DeliveryState.FAILED if status in form.refused else DeliveryState.UNKNOWN
            return Outcome(state, "rejected" if status in form.refused else "gateway_error", detail=f"status {status!r}")
        message_id = _text(_search(form.message_id, said)) if form.message_id else ""
        return Outcome(DeliveryState.ACCEPTED, parts=(Part(1, DeliveryState.ACCEPTED, message_id),))

    async def _values(self, sending: Sending, text: str) -> dict[str, Any]:
        validity_s = min(max(sending.valid_ms // 1000, LEAST_VALIDITY_S), MOST_VALIDITY_S)
        values: dict[str, Any] = {
            **self._route.values,
            "to": sending.contact.phone,
            "to_digits": sending.contact.phone.removeprefix("+"),
            "text": text,
            "sender": self._route.sender,
            "id": f"{sending.delivery}.{sending.attempt}",
            "validity_s": validity_s,
            "validity_min": max(validity_s // 60, 1),
            "receipts": self._receipts,
            "language": sending.language,
        }
        if self._picture is not None:
            values["card"] = await self._picture(sending)
            values["card_base64"] = base64.b64encode(values["card"]).decode()
        return values

    def _body(self, values: Mapping[str, Any]) -> dict[str, Any]:
        form = self._route.form
        request: dict[str, Any] = {"headers": {name: fill(text, values) for name, text in form.headers.items()}}
        if form.json is not None:
            request["content"] = json.dumps(filled(form.json, values), ensure_ascii=False).encode()
            request["headers"].setdefault("content-type", "application/json")
        elif form.form is not None:
            request["data"] = {name: fill(text, values) for name, text in form.form.items()}
        elif form.multipart is not None:
            files = {name: text for name, text in form.multipart.items() if text == "{card}"}
            request["data"] = {name: fill(text, values) for name, text in form.multipart.items() if name not in files}
            request["files"] = dict.fromkeys(files, ("warning.png", values["card"], "image/png"))
        return request


def fill(text: str, values: Mapping[str, Any], *, quoted: bool = False) -> str:
    """``text`` with its placeholders filled in, once: what a value holds is not read again. ``quoted``: as part of a URL."""

    def value(match: Any) -> str:
        found = values.get(match[1], match[0])
        return quote(str(found), safe=":/" if match[1] == "host" else "") if quoted and match[1] in values else str(found)

    return NAMED.sub(value, text)


def filled(body: Any, values: Mapping[str, Any]) -> Any:
    """The same within JSON; a text that is nothing but the placeholder of a number becomes that number."""
    if isinstance(body, dict):
        return {name: filled(one, values) for name, one in body.items()}
    if isinstance(body, list):
        return [filled(one, values) for one in body]
    if not isinstance(body, str):
        return body
    alone = NAMED.fullmatch(body)
    return values[alone[1]] if alone and isinstance(values.get(alone[1]), int) else fill(body, values)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


@functools.cache
def _compiled(path: str) -> Any:
    return jmespath.compile(path)


def _search(path: str, found: Any) -> Any:
    return _compiled(path).search(found)


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)
