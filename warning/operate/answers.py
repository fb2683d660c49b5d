"""Answers to warnings through the API: by the link that stands in a message, by a key; and who has not been reached.

A link is of one contact and chain (``people.acknowledged``). To GET it shows a page with a button, and only POST answers: programs that
look at every link of a mail press no buttons. ``urls: {acknowledge: https://.../acknowledge}`` in region.yaml says where it is reached.
"""

from __future__ import annotations

import logging
import time
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from warning.alerts.lifecycle import chain_of
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.operate import schema
from warning.operate.admission import Admission, Who
from warning.operate.desk import Desk, ProblemError
from warning.operate.present import utc
from warning.people.acknowledged import Acknowledgements
from warning.people.tables import address
from warning.people.unreached import Missed, Reach, Unreached
from warning.region import named

PATH = "/acknowledge"
REACH_S = 5.0
log = logging.getLogger(__name__)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>{title}</title>
<style>body{{font:20px/1.5 sans-serif;max-width:32em;margin:2em auto;padding:0 1em}}button{{font:inherit;padding:.6em 2em}}</style></head>
<body><h1>{title}</h1><p>{words}</p>{button}</body></html>"""
_BUTTON = '<form method="post"><button type="submit">I have this warning</button></form>'


class Answers:
    """What the routes share."""

    def __init__(self, deployment: Deployment, desk: Desk, admission: Admission) -> None:
        self.desk, self.admission = desk, admission
        self.kept = Acknowledgements(address(deployment))
        self.unreached = Unreached(deployment.database, self.kept)
        self.reach, self.reach_at = ReachOfAlerts(known=False, alerts=[]), float("-inf")

    def wall_ms(self) -> int:
        return round(self.desk.clock() * 1000)

    async def close(self) -> None:
        await self.kept.close()
        await self.unreached.close()


class Answered(BaseModel):
    """Whose answer it is."""

    contact: Annotated[str, Field(min_length=1, max_length=255, description="its id")]


class Tries(BaseModel):
    """One message to a contact."""

    channel: str
    state: str
    reason: str
    step: Annotated[str, Field(description="what was done because it brought no receipt: channel, office, control_room, nobody_left")]
    why: str
    to: Annotated[str, Field(description="who was told instead")]


class MissedContact(BaseModel):
    """A contact without a receipt or an answer."""

    contact: str
    since: str
    tried: list[Tries]


class MissedContacts(BaseModel):
    """By contact; ``next``: what to ask for as ``after``, None: there are no more."""

    alert: str
    unreached: list[MissedContact]
    next: str | None


class ReachOfAlert(BaseModel):
    """How far a warning in force gets."""

    identifier: str
    untold_since: Annotated[str | None, Field(description="since when NOBODY at all is told of it; null: somebody is")]
    without_way: Annotated[int, Field(description="contacts that should hear and cannot be reached; others are told in their place")]
    nobody_left: Annotated[int, Field(description="contacts not reached in whose place nobody was left to be told")]


class ReachOfAlerts(BaseModel):
    """``known`` false: the ledger does not answer, or no dispatcher has run yet."""

    known: bool
    alerts: list[ReachOfAlert]


def router(answers: Answers) -> APIRouter:
    """Routes of answers."""
    routes = APIRouter(tags=["answers"])
    _links(routes, answers)
    _by_key(routes, answers)
    _reach(routes, answers)
    return routes


def _links(routes: APIRouter, answers: Answers) -> None:
    @routes.get(PATH + "/{chain}/{contact}/{token}", include_in_schema=False)
    async def asked(chain: str, contact: str, token: str) -> Response:
        await _genuine(answers, chain, contact, token)
        answered = contact in await answers.kept.answered(chain)
        words = "You have confirmed this warning. Thank you." if answered else "Please confirm that you have received this warning."
        return _page(answers, chain, words, "" if answered else _BUTTON)

    @routes.post(PATH + "/{chain}/{contact}/{token}", include_in_schema=False)
    async def confirmed(chain: str, contact: str, token: str) -> Response:
        await _genuine(answers, chain, contact, token)
        await answers.kept.acknowledge(contact=contact, chain=chain, by=contact, how="link", at_ms=answers.wall_ms())
        return _page(answers, chain, "You have confirmed this warning. Thank you.", "")


async def _genuine(answers: Answers, chain: str, contact: str, token: str) -> None:
    if not await answers.kept.genuine(chain, contact, token):
        raise ProblemError(404, "No such link", "This link is not one of ours, or it is not whole.", "token")


def _page(answers: Answers, chain: str, words: str, button: str) -> Response:
    zone = answers.desk.region.zone_by_id.get(chain.rpartition(".")[0].rpartition(".")[2])
    title = f"Flood warning: {named(zone.names, 'en')}" if zone else "Flood warning"
    body = PAGE.format(title=escape(title), words=escape(words), button=button)
    return Response(body, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


def _by_key(routes: APIRouter, answers: Answers) -> None:
    needs = answers.admission.needs

    @routes.post(
        "/v1/alerts/{identifier}/acknowledgement",
        summary="A contact has this warning: whoever operates heard it from him",
        responses=schema.PROBLEMS,
        dependencies=[Depends(needs("operator"))],
        status_code=204,
        response_class=Response,
    )
    async def acknowledge(identifier: str, said: Answered, person: Who) -> Response:
        if await answers.desk.store.get(identifier) is None:
            raise ProblemError(404, "No such alert", f"There is no alert {identifier!r}.", "identifier", "an identifier of /v1/alerts")
        at_ms = answers.wall_ms()
        await answers.kept.acknowledge(contact=said.contact, chain=chain_of(identifier), by=person.name, how="api", at_ms=at_ms)
        return Response(status_code=204)

    @routes.get(
        "/v1/alerts/{identifier}/unreached",
        summary="Contacts without a receipt or an answer, and what was done",
        responses=schema.PROBLEMS,
        dependencies=[Depends(needs("viewer"))],
    )
    async def unreached(
        identifier: str,
        after: Annotated[str, Query(max_length=255, description="`next` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> MissedContacts:
        found = await answers.unreached.of(identifier, after, limit)
        shown = [_shown(one) for one in found]
        return MissedContacts(alert=identifier, unreached=shown, next=found[-1].contact if len(found) == limit else None)


def _reach(routes: APIRouter, answers: Answers) -> None:
    @routes.get(
        "/v1/reach", summary="Warnings in force that do not get to all whom they should", dependencies=[Depends(answers.admission.reads())]
    )
    async def reach() -> ReachOfAlerts:
        """The same for all who ask within ``REACH_S``."""
        if time.monotonic() - answers.reach_at >= REACH_S:
            answers.reach_at = time.monotonic()
            try:
                found = await answers.unreached.reach(answers.desk.now_ms)
                answers.reach = ReachOfAlerts(known=True, alerts=[_reached(one) for one in found])
            except Unavailable as error:
                log.debug("how far warnings get is not known: %s", error)  # without a dispatcher there is no ledger
                answers.reach = ReachOfAlerts(known=False, alerts=[])
        return answers.reach


def _reached(one: Reach) -> ReachOfAlert:
    since = None if one.untold_since_ms is None else utc(one.untold_since_ms)
    return ReachOfAlert(identifier=one.alert, untold_since=since, without_way=one.without_way, nobody_left=one.nobody_left)


def _shown(one: Missed) -> MissedContact:
    tried = [Tries(channel=t.channel, state=t.state, reason=t.reason, step=t.step, why=t.why, to=t.to) for t in one.tried]
    return MissedContact(contact=one.contact, since=utc(one.since_ms), tried=tried)
