"""How a gateway over HTTP is asked and what it answers: ``config/gateways/NAME.yaml``, or the same keys in a file of your own.

::

    request:
      method: POST
      url: https://gateway.example.org/send/{account}
      headers: {authorization: "Bearer {key}"}
      json: {to: "{to}", text: "{text}", callback: "{receipts}"}   # or form:, or multipart: (a value "{card}" is the picture)
    response: {message_id: id, status: state, accepted: [queued], refused: [invalid]}
    receipt: {each: results, message_id: id, status: state, delivered: [delivered], failed: [expired]}

A placeholder stands for one of ``PLACEHOLDERS`` or of the route's own ``values`` and ``secrets``; what they hold is never read again for
placeholders. What would send nothing (no receiver, no text) is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from warning.config_agency import Strict, _path
from warning.config_yaml import read_yaml
from warning.errors import Problem
from warning.routes import Form

PLACEHOLDERS = {  # what each message fills in
    "to": "phone as E.164",
    "to_digits": "phone without the plus",
    "text": "the words",
    "sender": "the route's sender",
    "id": "our number of the delivery and attempt",
    "validity_s": "seconds that it is worth delivering",
    "validity_min": "minutes",
    "receipts": "URL for receipts",
    "language": "of the words",
    "card": "the picture, as a part of multipart",
    "card_base64": "the picture, PNG, base64",
}
NAMED = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def _url(text: str) -> str:
    if not re.match(r"https?://[^\s]+$", text) or not _readable(text):
        raise ValueError(f"{text!r} is no URL; write one such as https://gateway.example.org/send")
    return text


def _readable(url: str) -> bool:
    try:
        urlsplit(url)  # [ without ], letters that become / or @ when a host is made of them
    except ValueError:
        return False
    return True


Place = Annotated[str, BeforeValidator(_path)]
Words = Annotated[list[str | int], Field(min_length=1)]


class RequestModel(Strict):
    url: Annotated[str, AfterValidator(_url)]
    method: Literal["GET", "POST", "PUT"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict)
    # aliased: a field named json would hide BaseModel.json
    body: Any = Field(default=None, alias="json")
    form: dict[str, str] | None = None
    multipart: dict[str, str] | None = None


class ResponseModel(Strict):
    message_id: Place | None = None
    status: Place | None = None
    accepted: Words | None = None
    refused: Words | None = None


class ReceiptModel(Strict):
    message_id: Place
    status: Place
    delivered: Words
    failed: Words
    each: Place | None = None


class FormModel(Strict):
    """The keys of a gateway's file. ``about``: where its owner says how it is asked."""

    request: RequestModel
    about: str = ""
    response: ResponseModel = ResponseModel()
    receipt: ReceiptModel | None = None


def folders(beside: Path) -> tuple[Path, ...]:
    """Where gateways' files are: the deployment's own before those that are shipped."""
    package = Path(__file__).resolve().parent
    places = (beside / "gateways", package.parent / "config" / "gateways", package / "regions" / "gateways")
    return tuple(place for place in places if place.is_dir())


def load(name: str, beside: Path, where: str, problems: list[Problem]) -> Form | None:
    """The form of that name; None with what is wrong in ``problems``."""
    for place in folders(beside):
        path = place / f"{name}.yaml"
        if re.fullmatch(r"[A-Za-z0-9-]+", name) and path.is_file():
            model = read_yaml(path, FormModel, problems)
            if model is None:
                return None
            wrong = [Problem(str(path), what, fix) for what, fix in _wrong(model)]
            problems += wrong
            return None if wrong else noun(name, model)
    known = sorted({path.stem for place in folders(beside) for path in place.glob("*.yaml")})
    problems.append(Problem(where, f"no gateway {name!r}", f"known: {', '.join(known)}; or write gateways/{name}.yaml beside this file"))
    return None


def noun(name: str, model: FormModel) -> Form:
    request, response, receipt = model.request, model.response, model.receipt
    return Form(
        name=name,
        method=request.method,
        url=request.url,
        headers=request.headers,
        json=request.body,
        form=request.form,
        multipart=request.multipart,
        message_id=response.message_id or "",
        status=response.status or "",
        accepted=_strings(response.accepted),
        refused=_strings(response.refused),
        receipt_each=(receipt.each or "") if receipt else "",
        receipt_id=receipt.message_id if receipt else "",
        receipt_status=receipt.status if receipt else "",
        delivered=_strings(receipt.delivered) if receipt else (),
        failed=_strings(receipt.failed) if receipt else (),
    )


def placeholders(form: Form) -> set[str]:
    """The names that it uses."""
    return set(NAMED.findall(json.dumps([form.url, dict(form.headers), form.json, form.form, form.multipart])))


def _wrong(model: FormModel) -> Iterator[tuple[str, str]]:
    request, response = model.request, model.response
    bodies = [body for body in (request.body, request.form, request.multipart) if body is not None]
    if len(bodies) > 1:
        yield "has more than one body", "leave one of json, form, multipart"
    if request.method == "GET" and bodies:
        yield "GET has no body", "put the placeholders into the URL, or write method: POST"
    if response.status and not response.accepted:
        yield "response.status without response.accepted", "list the words that mean: taken"
    used = placeholders(noun("", model))
    if not used & {"to", "to_digits"}:
        yield "says nowhere whom it is for", "put {to} or {to_digits} into the URL or the body"
    if not used & {"text", "card", "card_base64"}:
        yield "says nowhere what to send", "put {text} or {card_base64} into the URL or the body"
    if model.receipt and not response.message_id and "id" not in used:
        yield "a receipt could not be told whose it is", "say response.message_id, or send our {id} and read it back as receipt.message_id"


def _strings(values: list[str | int] | None) -> tuple[str, ...]:
    return tuple(str(value).casefold() for value in values or ())
