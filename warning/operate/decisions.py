"""What people decide through the API: release, silence, raise, correct, cancel, send again, and who may. Who decided is the key's name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Silence, asked_ms, may_leave, said_level
from warning.deployment import Deployment
from warning.errors import InputError, Unavailable
from warning.model import AlertEvent
from warning.operate import decided, schema
from warning.operate.admission import Admission, Who
from warning.operate.desk import Desk, ProblemError, to_ms
from warning.operate.present import utc
from warning.people.keys import ApiKeys, Person
from warning.proof.authority import Authority
from warning.proof.decisions import Decisions
from warning.region import Region

_HOUR_MS = 3_600_000
MISSING = frozenset({"alert", "silence", "key", "case"})  # reasons of InputError
LATE = frozenset({"decided", "over", "replay", "settled"})


class Office:
    """What the routes of decisions share. ``desk`` says what time it is."""

    def __init__(self, region: Region, deployment: Deployment, desk: Desk) -> None:
        url = deployment.database
        self.desk = desk
        self.keys = ApiKeys(url, self.wall_ms)
        self.admission = Admission(self.keys, closed=deployment.api_closed)
        self.decisions = Decisions(url)
        self.authority = Authority(region, url, self.decisions, replay=deployment.replay)

    def wall_ms(self) -> int:
        """A person decides now, also about a replay."""
        return round(self.desk.clock() * 1000)

    async def close(self) -> None:
        for each in (self.keys, self.decisions, self.authority):
            await each.close()


def router(office: Office) -> APIRouter:
    """Routes of one office."""
    routes = APIRouter(prefix="/v1", tags=["decisions"])
    _approvals(routes, office)
    _silences(routes, office)
    _by_hand(routes, office)
    _in_place(routes, office)
    _again(routes, office)
    _keys(routes, office)
    return routes


def answers(app: FastAPI) -> None:
    """What our stores raise, as problem documents."""

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> JSONResponse:
        status = 404 if error.reason in MISSING else 409 if error.reason in LATE else 422
        problem = schema.Problem(title="Not so", status=status, detail=str(error), field=error.field, fix=error.fix)
        return JSONResponse(problem.model_dump(exclude_none=True), status, media_type="application/problem+json")

    @app.exception_handler(Unavailable)
    async def away(_: Request, error: Unavailable) -> JSONResponse:
        problem = schema.Problem(title="Away", status=503, detail="The database does not answer: nothing was entered; try again.")
        body = problem.model_dump(exclude_none=True)
        return JSONResponse(body, 503, media_type="application/problem+json", headers={"Retry-After": "5"})


def _approvals(routes: APIRouter, office: Office) -> None:
    needs, desk = office.admission.needs, office.desk

    @routes.get("/approvals", summary="What waits for a person's release, and until when", dependencies=[Depends(needs("viewer"))])
    async def approvals() -> decided.Approvals:
        now_ms, rules, decision = desk.now_ms, desk.region.alert, await desk.gate.decision()
        found = []
        for event in desk.gate.holding(desk.view, decision, now_ms):
            verdict = may_leave(event, None, desk.region, decision, now_ms)
            if verdict.held:
                acts = await office.decisions.acts(subject=chain_of(event.alert.identifier))
                until_ms = asked_ms(event.alert, rules, decision) + rules.approve_within_s * 1000
                found.append(_held(event, verdict.reason, verdict.words, until_ms, [decided.act(one) for one in acts]))
        return decided.Approvals(persons=rules.approve_persons, unanswered=rules.unanswered, waiting=found)

    @routes.post(
        "/alerts/{identifier}/approval",
        summary="Release an alert's chain up to a class, or refuse it",
        responses=schema.PROBLEMS,
        dependencies=[Depends(needs("approver"))],
    )
    async def approve(identifier: str, said: decided.Answer, person: Who) -> decided.Decided:
        level = decided.level(said.level)
        now_ms = office.wall_ms()
        done = await office.authority.approve(identifier, level, person.name, now_ms, granted=said.granted, key=person.id)
        return decided.Decided(identifier=done.chain, by=person.name)

    @routes.get("/decisions", summary="What people and rules decided, the newest first", dependencies=[Depends(needs("viewer"))])
    async def decisions(
        subject: Annotated[str | None, Query(max_length=255)] = None,
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> decided.Acts:
        found = await office.decisions.acts(subject=subject, before=before, most=limit + 1)
        following = found[limit - 1].id if len(found) > limit else None
        return decided.Acts(decisions=[decided.act(one) for one in found[:limit]], next=following)


def _held(event: AlertEvent, reason: str, words: str, until_ms: int, answered: list[decided.ActAnswer]) -> decided.Held:
    alert = event.alert
    return decided.Held(
        identifier=alert.identifier,
        zone=alert.zone,
        level=alert.level.value,
        sent=utc(alert.sent_ms),
        until=utc(until_ms),
        reason=reason,
        words=words,
        answers=answered,
    )


def _silences(routes: APIRouter, office: Office) -> None:
    needs = office.admission.needs

    @routes.get("/silences", summary="Silences in force", dependencies=[Depends(needs("viewer"))])
    async def silences() -> decided.Silences:
        now_ms = office.wall_ms()
        held = (await office.decisions.standing(now_ms)).silences
        return decided.Silences(silences=[_silence(number, one) for number, one in held.items() if one.until_ms > now_ms])

    @routes.post(
        "/silences",
        status_code=201,
        summary="Keep quiet about a zone for some hours",
        responses=schema.PROBLEMS,
        dependencies=[Depends(needs("operator"))],
    )
    async def silence(said: decided.Wish, person: Who) -> decided.SilenceAnswer:
        now_ms = office.wall_ms()
        until_ms = now_ms + round(said.hours * _HOUR_MS)
        wish = Silence(said.zone, decided.level(said.level), now_ms, until_ms, person.name, said.reason, said.contact)
        return _silence(await office.authority.silence(wish, key=person.id), wish)

    @routes.delete("/silences/{number}", summary="End a silence now", responses=schema.NOT_FOUND, dependencies=[Depends(needs("operator"))])
    async def end(number: int, person: Who) -> decided.SilenceAnswer:
        return _silence(number, await office.authority.end_silence(number, person.name, office.wall_ms(), key=person.id))


def _silence(number: int, one: Silence) -> decided.SilenceAnswer:
    return decided.SilenceAnswer(
        id=number,
        zone=one.zone,
        level=one.up_to.value,
        since=utc(one.from_ms),
        until=utc(one.until_ms),
        by=one.by,
        reason=one.reason,
        contact=one.contact,
    )


def _by_hand(routes: APIRouter, office: Office) -> None:
    needs, authority = office.admission.needs, office.authority

    @routes.post(
        "/alerts", status_code=201, summary="Raise an alert by hand", responses=schema.PROBLEMS, dependencies=[Depends(needs("operator"))]
    )
    async def raise_alert(said: decided.NewAlert, person: Who) -> decided.Decided:
        arrival_ms = None if said.arrival is None else to_ms(said.arrival)
        given = (said.zone, decided.level(said.level), said.reason, said.expires_h, person.name, office.wall_ms())
        event = await authority.raise_alert(*given, key=person.id, arrival_ms=arrival_ms, observed=said.observed)
        return decided.Decided(identifier=event.alert.identifier, by=person.name)


def _in_place(routes: APIRouter, office: Office) -> None:
    needs, authority = office.admission.needs, office.authority

    @routes.post(
        "/alerts/{identifier}/correction",
        status_code=201,
        summary="Correct an alert by hand",
        responses=schema.NOT_FOUND,
        dependencies=[Depends(needs("operator"))],
    )
    async def correct(identifier: str, said: decided.Word, person: Who) -> decided.InPlace:
        await _weighty(office, identifier, person)
        arrival_ms = None if said.arrival is None else to_ms(said.arrival)
        given = (identifier, decided.level(said.level), said.reason, said.expires_h, person.name, office.wall_ms())
        event = await authority.correct(*given, key=person.id, arrival_ms=arrival_ms, observed=said.observed)
        return decided.made(event.alert, person.name)

    @routes.post(
        "/alerts/{identifier}/cancellation",
        status_code=201,
        summary="Cancel an alert by hand",
        responses=schema.NOT_FOUND,
        dependencies=[Depends(needs("operator"))],
    )
    async def cancel(identifier: str, said: decided.Ground, person: Who) -> decided.InPlace:
        await _weighty(office, identifier, person)
        event = await authority.cancel(identifier, said.reason, person.name, office.wall_ms(), key=person.id)
        return decided.made(event.alert, person.name)


def _again(routes: APIRouter, office: Office) -> None:
    @routes.post(
        "/alerts/{identifier}/resending",
        status_code=201,
        summary="Send an alert again: what people were told last of its chain",
        responses=schema.NOT_FOUND,
        dependencies=[Depends(office.admission.needs("operator"))],
    )
    async def resend(identifier: str, said: decided.Again, person: Who) -> decided.Resent:
        wanted = said.model_dump(exclude={"reason"})
        wish = await office.authority.resend(identifier, said.reason, person.name, office.wall_ms(), key=person.id, **wanted)
        return decided.Resent(identifier=wish.alert, decision=wish.id, by=wish.by)


async def _weighty(office: Office, identifier: str, person: Person) -> None:
    """Who takes back what only an approver could release must be one."""
    alert, rules = await office.authority.newest(identifier, office.wall_ms()), office.desk.region.alert
    if rules.approve_from is not None and said_level(alert) >= rules.approve_from and not person.may("approver"):
        words = f"{alert.identifier} is {said_level(alert).value}: who changes it by hand needs the role approver, too."
        raise ProblemError(403, "Not yours", words, "role", "ask an approver")


def _keys(routes: APIRouter, office: Office) -> None:
    needs, keys = office.admission.needs, office.keys

    @routes.get("/keys", summary="Keys of the API and their roles", dependencies=[Depends(needs("admin"))])
    async def listed() -> decided.Keys:
        return decided.Keys(keys=[decided.key(one) for one in await keys.list()])

    @routes.post(
        "/keys",
        status_code=201,
        summary="Make a key; it is shown this once",
        responses=schema.PROBLEMS,
        dependencies=[Depends(needs("admin"))],
    )
    async def new(said: decided.NewKey, person: Who) -> decided.MadeKey:
        made, text = await keys.create(said.name, said.roles, said.note)
        await _entered(office, person, made, "new")
        return decided.MadeKey(**decided.key(made).model_dump(), key=text)

    @routes.put(
        "/keys/{number}/roles", summary="Give a key other roles", responses=schema.NOT_FOUND, dependencies=[Depends(needs("admin"))]
    )
    async def roles(number: str, said: decided.Roles, person: Who) -> decided.KeyAnswer:
        changed = await keys.grant(number, said.roles)
        await _entered(office, person, changed, "roles")
        return decided.key(changed)

    @routes.delete(
        "/keys/{number}",
        summary="Revoke a key; it works for two seconds more at most",
        responses=schema.NOT_FOUND,
        dependencies=[Depends(needs("admin"))],
    )
    async def revoke(number: str, person: Who) -> decided.KeyAnswer:
        ended = await keys.revoke(number)
        await _entered(office, person, ended, "revoked")
        return decided.key(ended)


async def _entered(office: Office, by: Person, whose: Person, done: str) -> None:
    what = {"done": done, "name": whose.name, "roles": sorted(whose.roles)}
    await office.decisions.decide("key", by.name, office.wall_ms(), whose.id, what, key=by.id)
