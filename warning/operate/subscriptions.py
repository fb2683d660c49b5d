"""Agencies subscribe themselves: POST, GET, PATCH, DELETE ``/v1/subscriptions``; challenge, test, secrets, deliveries, catching up.

A key of role ``agency`` sees and changes what keys of its name subscribed; one of role ``viewer`` sees all. Secrets are shown once.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from warning.alerts.rules import Decision, audience_level, may_leave
from warning.errors import InputError, Unavailable
from warning.model import AlertEvent, to_json
from warning.operate import schema, subscribed
from warning.operate.admission import Admission, Who
from warning.operate.desk import Desk, ProblemError
from warning.operate.present import utc
from warning.operate.released import PAGE, Released
from warning.people.directory import Directory
from warning.people.interest import places_of
from warning.people.keys import Person
from warning.people.subscriptions import CONTACT, Subscription
from warning.people.tables import address
from warning.proof.guesses import Guesses

PER_MINUTE = 60  # requests of one agency
NOT_THEIRS = frozenset(("live_contact", "exercise_contact", "exercise_number", "dialable_number"))
_TAKEN: dict[int | str, dict[str, Any]] = schema.PROBLEMS | schema.NOT_FOUND


class Counter:
    """What the routes of subscriptions share. ``released`` runs as long as the API does."""

    def __init__(self, desk: Desk, admission: Admission) -> None:
        self.desk, self.admission = desk, admission
        self.places = places_of(desk.region)
        self.directory = Directory(address(desk.deployment), desk.region, lambda: round(desk.clock() * 1000))
        self.store = self.directory.subscriptions
        self.released = Released(desk)
        self._asked = Guesses(time.monotonic, PER_MINUTE, PER_MINUTE)

    async def close(self) -> None:
        await self.directory.close()
        await self.released.close()

    def counted(self, who: Person) -> None:
        """Raises ProblemError (429) for an agency that asks too often."""
        try:
            self._asked.take(who.name)
        except Unavailable as error:
            wait_s = round((error.retry_after_s or 1) + 0.5)
            raise ProblemError(
                429, "Too often", f"{PER_MINUTE} requests a minute; again in {wait_s} s.", None, f"wait {wait_s} s"
            ) from error

    async def own(self, id: str, who: Person) -> Subscription:
        """Raises ProblemError (404) for one that is somebody else's, as for one that is none."""
        self.counted(who)
        found = await self.store.get(id, None if who.may("viewer") and not who.may("agency") else who.name)
        if found is None:
            raise ProblemError(
                404, "No such subscription", f"There is no subscription {id[:60]!r} of yours.", "id", "GET /v1/subscriptions"
            )
        return found


def router(counter: Counter) -> APIRouter:
    """Routes of one counter."""
    routes = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])
    _kept(routes, counter)
    _checked(routes, counter)
    _confirmed(routes, counter)
    _caught_up(routes, counter)
    return routes


def _kept(routes: APIRouter, counter: Counter) -> None:
    region, where = counter.desk.region, counter.desk.deployment
    agency, reader = Depends(counter.admission.needs("agency")), Depends(counter.admission.needs("agency", "viewer"))

    @routes.post("", status_code=201, summary="Subscribe; the secret is shown this once", dependencies=[agency], responses=schema.PROBLEMS)
    async def create(wish: subscribed.Wish, who: Who) -> subscribed.Answer:
        counter.counted(who)
        made = await counter.store.create(who.name, await subscribed.judged(wish, region, where))
        return subscribed.answer(made, region, secret=True)

    @routes.get("", summary="Your subscriptions", dependencies=[reader])
    async def listed(who: Who) -> subscribed.Answers:
        counter.counted(who)
        found = await counter.store.of(None if who.may("viewer") and not who.may("agency") else who.name)
        return subscribed.Answers(subscriptions=[subscribed.answer(one, region) for one in found])

    @routes.get("/{id}", summary="One, with its state", dependencies=[reader], responses=_TAKEN)
    async def one(id: str, who: Who) -> subscribed.Answer:
        return subscribed.answer(await counter.own(id, who), region)

    @routes.patch("/{id}", summary="Change it; another address is challenged first", dependencies=[agency], responses=_TAKEN)
    async def change(id: str, wish: subscribed.Change, who: Who) -> subscribed.Answer:
        found = await counter.own(id, who)
        wanted = await subscribed.judged(subscribed.wish_of(found, wish), region, where)
        return subscribed.answer(await counter.store.change(id, wanted), region)

    @routes.delete("/{id}", status_code=204, summary="End it", dependencies=[agency], responses=_TAKEN)
    async def end(id: str, who: Who) -> Response:
        await counter.own(id, who)
        await counter.store.end(id)
        return Response(status_code=204)

    @routes.post("/{id}/secret", summary="A new secret, shown this once; both sign meanwhile", dependencies=[agency], responses=_TAKEN)
    async def rotate(id: str, rotation: subscribed.Rotation, who: Who) -> subscribed.Answer:
        await counter.own(id, who)
        rotated = await counter.store.rotate(id, round(rotation.overlap_h * 3_600_000))
        return subscribed.answer(rotated, region, secret=True)


def _checked(routes: APIRouter, counter: Counter) -> None:
    agency, reader = Depends(counter.admission.needs("agency")), Depends(counter.admission.needs("agency", "viewer"))

    @routes.post("/{id}/challenge", status_code=202, summary="Challenge its endpoint anew", dependencies=[agency], responses=_TAKEN)
    async def challenge(id: str, who: Who) -> subscribed.Answer:
        await counter.own(id, who)
        await counter.store.challenge(id)
        return subscribed.answer(await counter.own(id, who), counter.desk.region)

    @routes.post("/{id}/pause", summary="Send nothing until it is challenged again", dependencies=[agency], responses=_TAKEN)
    async def pause(id: str, who: Who) -> subscribed.Answer:
        await counter.own(id, who)
        await counter.store.pause(id, f"by {who.name}")
        return subscribed.answer(await counter.own(id, who), counter.desk.region)

    @routes.post("/{id}/test", status_code=202, summary="Send a test event, status Test, within seconds", dependencies=[agency])
    async def test(id: str, who: Who) -> dict[str, str]:
        found = await counter.own(id, who)
        if found.state != "active" or found.channel != "webhook":
            raise ProblemError(409, "Not now", f"It is {found.state}, by {found.channel}.", "state", "only an active webhook is tested")
        await counter.store.test(id)
        return {"sent": "within seconds; see deliveries"}

    @routes.get("/{id}/deliveries", summary="What was sent, and what became of it", dependencies=[reader], responses=_TAKEN)
    async def deliveries(id: str, who: Who, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> subscribed.Deliveries:
        await counter.own(id, who)
        receipts = [one for one in reversed(counter.desk.view.receipts.values()) if one.contact == CONTACT + id][:limit]
        log = await counter.store.log(id)
        return subscribed.Deliveries(alerts=[subscribed.sent(one) for one in receipts], tests=[subscribed.tried(line) for line in log])


def _confirmed(routes: APIRouter, counter: Counter) -> None:
    @routes.post(
        "/{id}/confirm",
        summary="An operator has made sure that an e-mail address is the agency's",
        dependencies=[Depends(counter.admission.needs("operator"))],
        responses=_TAKEN,
    )
    async def confirm(
        id: str, who: Who, email: Annotated[str, Query(max_length=320, description="the address that was made sure of")]
    ) -> subscribed.Answer:
        found = await counter.store.get(id)
        if found is None or found.channel != "email":
            raise ProblemError(404, "No such subscription", "There is none by e-mail of that id.", "id", "GET /v1/subscriptions")
        try:
            return subscribed.answer(await counter.store.confirm(id, email, who.name), counter.desk.region)
        except InputError as error:
            raise ProblemError(409, "Not now", str(error), error.field, error.fix) from error


def _caught_up(routes: APIRouter, counter: Counter) -> None:
    desk = counter.desk

    @routes.get(
        "/{id}/events",
        summary="What it should have got, in the order in which it was let out; cursor: the identifier of the last alert that you have",
        dependencies=[Depends(counter.admission.needs("agency", "viewer"))],
        responses=_TAKEN,
        response_class=Response,
    )
    async def events(
        id: str, who: Who, cursor: Annotated[str, Query(max_length=255)] = "", limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> Response:
        found = await counter.own(id, who)
        place = await counter.released.place(cursor) if cursor else 0
        if place is None:
            raise ProblemError(422, "Wrong parameter", f"{cursor!r} was not let out here.", "cursor", "an alert's identifier, or none")
        decision, bodies, last, more = await desk.gate.decision(), list[bytes](), cursor, False
        for _, identifier in (some := await counter.released.after(place, PAGE)):
            if len(bodies) >= limit:
                more = True
                break
            last = identifier
            document = await desk.store.get(identifier)
            if document is not None and _theirs(counter, found, document.event, decision):
                cap = await desk.signed.document(identifier, document.cap)
                bodies.append(_body(document.event, cap.decode()))
        more = more or len(some) == PAGE
        head = b'{"next":' + to_json(last) + b',"more":' + (b"true" if more else b"false") + b',"events":['
        return Response(head + b",".join(bodies) + b"]}", media_type="application/json")


def _theirs(counter: Counter, one: Subscription, event: AlertEvent, decision: Decision) -> bool:
    """Would it be sent to them? As the dispatcher asks; an alert that has run out since is part of what happened."""
    desk, alert = counter.desk, event.alert
    zone = desk.region.zone_by_id.get(alert.zone)
    if zone is None or not one.interest.includes(zone, counter.places) or audience_level(alert) < one.level:
        return False
    if desk.gate.withheld(event, decision, desk.now_ms):
        return False
    verdict = may_leave(event, one.contact(), desk.region, decision, min(desk.now_ms, alert.expires_ms - 1))
    return verdict.reason not in NOT_THEIRS


def _body(event: AlertEvent, cap: str) -> bytes:
    """As a webhook has it."""
    alert = event.alert
    head = to_json({"id": alert.identifier, "type": f"alert.{alert.kind.value}", "timestamp": utc(alert.sent_ms)})
    return head[:-1] + b',"data":' + to_json(msgspec.structs.replace(event, cap=cap)) + b"}"
