"""The alerts: as JSON, as the agencies' feed, and as the stored CAP documents."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from warning.model import Level
from warning.operate import feed, present, schema
from warning.operate.desk import Desk, Instant, ProblemError, to_ms
from warning.operate.store import Document

_FEED_PAGE = 200  # documents looked at for one page of the feed; its bytes decide
_ATOM: dict[int | str, dict[str, Any]] = {200: {"content": {feed.ATOM_TYPE: {}}}}
_CAP: dict[int | str, dict[str, Any]] = {
    200: {"content": {feed.CAP_TYPE: {}}},
    304: {"description": "You have it"},
    403: {"description": "Not released", "model": schema.Problem},
}
_Before = Annotated[str | None, Query(max_length=300, description="`next` of the page before")]


def router(desk: Desk) -> APIRouter:
    """Routes of one desk."""
    routes = APIRouter(prefix="/v1", tags=["alerts"])
    _listed(routes, desk)
    _feed(routes, desk)
    _document(routes, desk)
    return routes


def _cursor(before: str | None) -> tuple[int, str] | None:
    try:
        return None if before is None else feed.from_cursor(before)
    except ValueError:
        raise ProblemError(422, "Wrong parameter", f"{before!r} is no page.", "before", "`next` of the page before") from None


def _listed(routes: APIRouter, desk: Desk) -> None:
    @routes.get("/alerts", summary="Alerts, newest first, with their reasons", responses=schema.PROBLEMS)
    async def alerts(
        zone: Annotated[list[str] | None, Query()] = None,
        level: Annotated[list[Level] | None, Query()] = None,
        current: Annotated[bool, Query(description="only what holds for its zone now")] = False,
        since: Instant | None = None,
        before: _Before = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> schema.Alerts:
        if current:
            identifiers = [event.alert.identifier for event in (await desk.gate.active(desk.view, desk.now_ms)).values()]
            found = [document for each in identifiers if (document := await desk.store.get(each)) is not None]
            found = [each for each in found if _wanted(each.event.alert.zone, each.event.alert.level, zone, level)]
            found.sort(key=lambda each: (each.event.alert.level.rank, each.event.alert.sent_ms), reverse=True)
            return schema.Alerts(alerts=await _shown(desk, found), next=None)
        page = await desk.store.page(
            limit=limit + 1, before=_cursor(before), zones=zone or (), levels=level or (), since_ms=to_ms(since) if since else None
        )
        shown = page[:limit]
        following = None
        if len(page) > limit:
            last = shown[-1].event.alert
            following = feed.cursor((last.sent_ms, last.identifier))
        return schema.Alerts(alerts=await _shown(desk, shown), next=following)


async def _shown(desk: Desk, found: list[Document]) -> list[schema.AlertAnswer]:
    decision, now_ms = await desk.gate.decision(), desk.now_ms
    active = await desk.gate.active(desk.view, now_ms)
    return [present.alert(desk.region, active, each, desk.gate.withheld(each.event, decision, now_ms)) for each in found]


def _wanted(zone: str, level: Level, zones: list[str] | None, levels: list[Level] | None) -> bool:
    return (not zones or zone in zones) and (not levels or level in levels)


def _feed(routes: APIRouter, desk: Desk) -> None:
    @routes.get(
        "/alerts.atom",
        summary="The agencies' feed: Atom with links to the CAP documents",
        response_class=Response,
        responses=_ATOM | schema.PROBLEMS,
    )
    async def atom(request: Request, before: _Before = None) -> Response:
        documents = await desk.store.page(limit=_FEED_PAGE + 1, before=_cursor(before), with_cap=True)
        own = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        base = str(request.base_url).rstrip("/")
        decision = await desk.gate.decision()
        free = [each for each in documents[:_FEED_PAGE] if not desk.gate.withheld(each.event, decision, desk.now_ms)]
        older = documents[_FEED_PAGE - 1].event.alert if len(documents) > _FEED_PAGE else None
        last = (older.sent_ms, older.identifier) if older else None
        page = feed.page(desk.region, free, base, own, last, lengths=not desk.signed.configured)
        return Response(page.body, media_type=feed.ATOM_TYPE, headers={"Cache-Control": "public, max-age=10"})


def _document(routes: APIRouter, desk: Desk) -> None:
    @routes.get(
        "/alerts/{identifier}.cap",
        summary="The stored CAP 1.2 document, byte for byte; signed where the deployment has keys",
        response_class=Response,
        responses=_CAP | schema.NOT_FOUND | schema.PROBLEMS,
    )
    async def cap(identifier: str, request: Request) -> Response:
        document = await desk.store.get(identifier)
        if document is None:
            raise ProblemError(404, "No such alert", f"There is no alert {identifier!r}.", "identifier", "an identifier of /v1/alerts")
        if not document.cap:
            raise ProblemError(404, "No document", f"{identifier} expired in silence: nothing in force was left to refer to.", "identifier")
        if why := desk.gate.withheld(document.event, await desk.gate.decision(), desk.now_ms):
            raise ProblemError(403, "Not released", f"{identifier}: {why}.", "identifier")
        sealed = await desk.signed.document(identifier, document.cap)
        tag = f'"{document.digest if sealed is document.cap else hashlib.sha256(sealed).hexdigest()}"'
        settled = sealed is not document.cap or not desk.signed.configured  # else its signature is still to come
        headers = {"ETag": tag, "Cache-Control": "public, max-age=31536000, immutable" if settled else "no-cache"}
        if tag in (part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
        return Response(sealed, media_type=feed.CAP_TYPE, headers=headers)
