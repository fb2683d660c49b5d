"""An e-mail address confirms that it wants warnings: by the link that was mailed, or by the code in it.

To GET the link shows a page with a button, and only POST confirms: programs that look at every link of a mail press no buttons.
"""

from __future__ import annotations

import time
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from warning.errors import Unavailable
from warning.operate import answers, schema, subscribed
from warning.operate.admission import Who
from warning.operate.desk import ProblemError
from warning.operate.subscriptions import Counter
from warning.people.mailed import Mailed
from warning.people.subscriptions import Subscription
from warning.proof.guesses import Guesses
from warning.region import named

PATH = "/confirm"
_BUTTON = '<form method="post"><button type="submit">Send flood warnings to this address</button></form>'
_THANKS = "Thank you. Flood warnings will be sent to this address."


class Code(BaseModel):
    """As it stands in the mail."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Field(min_length=1, max_length=100)]


def router(counter: Counter) -> APIRouter:
    """Beside the routes of subscriptions."""
    routes, mailed = APIRouter(tags=["subscriptions"]), Mailed(counter.directory)
    _links(routes, counter, mailed, Guesses(time.monotonic))
    _by_key(routes, counter, mailed)
    return routes


def _now_ms(counter: Counter) -> int:
    return round(counter.desk.clock() * 1000)


def _links(routes: APIRouter, counter: Counter, mailed: Mailed, guesses: Guesses) -> None:
    def counted(request: Request) -> None:
        try:
            guesses.take(request.client.host if request.client else "")
        except Unavailable as error:
            wait_s = max(1, round(error.retry_after_s or 1))
            raise ProblemError(429, "Too often", f"Again in {wait_s} s.", retry_after_s=wait_s) from None

    @routes.get(PATH + "/{id}/{code}", include_in_schema=False, dependencies=[Depends(counted)])
    async def asked(id: str, code: str) -> Response:
        found = _there(await mailed.asked(id, code, _now_ms(counter)))
        words = f"{found.owner} asks that flood warnings be sent to {found.address}." if found.state == "pending" else _THANKS
        return _page(counter, words, _BUTTON if found.state == "pending" else "")

    @routes.post(PATH + "/{id}/{code}", include_in_schema=False, dependencies=[Depends(counted)])
    async def confirmed(id: str, code: str) -> Response:
        _there(await mailed.confirm(id, code, _now_ms(counter)))
        return _page(counter, _THANKS, "")


def _there(found: Subscription | None) -> Subscription:
    if found is None:
        raise ProblemError(404, "No such link", "It is not one of ours, not whole, too old (a day), or no longer wanted.", "code")
    return found


def _page(counter: Counter, words: str, button: str) -> Response:
    title = escape(f"Flood warning: {named(counter.desk.region.names, 'en')}")
    body = answers.PAGE.format(title=title, words=escape(words), button=button)
    headers = {"Content-Security-Policy": answers.POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return Response(body, media_type="text/html; charset=utf-8", headers=headers)


def _by_key(routes: APIRouter, counter: Counter, mailed: Mailed) -> None:
    @routes.post(
        "/v1/subscriptions/{id}/code",
        summary="The code that was mailed to its address: the address is used from now on",
        dependencies=[Depends(counter.admission.needs("agency"))],
        responses=schema.PROBLEMS | schema.NOT_FOUND,
    )
    async def code(id: str, given: Code, who: Who) -> subscribed.Answer:
        await counter.own(id, who)
        found = await mailed.confirm(id, given.code, _now_ms(counter))
        if found is None:
            raise ProblemError(
                422, "Wrong code", "It is not the newest that was mailed, or older than a day.", "code", "POST .../challenge"
            )
        return subscribed.answer(found, counter.desk.region)
