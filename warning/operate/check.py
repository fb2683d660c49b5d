"""Is this warning real? The public page and the API that confirm a message's code, and the certificates that documents are signed with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from warning import facts
from warning.alerts import cap, message
from warning.errors import InputError, Unavailable
from warning.operate import check_page, schema
from warning.operate.desk import Desk, ProblemError
from warning.operate.present import utc
from warning.operate.store import texts_of
from warning.proof import codes
from warning.proof.guesses import Guesses
from warning.proof.register import Answer, Register
from warning.proof.signing import Signed
from warning.region import Region

_CSP = "default-src 'none'; style-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Counter:
    """Where codes are asked about. ``guesses`` is asked first, and knows nothing of the code."""

    desk: Desk
    register: Register
    guesses: Guesses
    listen: facts.Listener

    async def answer(self, typed: str, address: str) -> schema.CheckAnswer:
        """Raises ``InputError`` (no code), ``Unavailable`` (``rate_limited``, ``database``)."""
        try:
            self.guesses.take(address)
            found = await self.register.verify(typed, self.desk.now_ms)
        except InputError as error:
            self.listen(facts.CodeAsked(error.reason))
            raise
        except Unavailable as error:
            self.listen(facts.CodeAsked("rate_limited" if error.reason == "rate_limited" else "unavailable"))
            raise
        self.listen(facts.CodeAsked(found.state))
        return shown(found, codes.normal(typed), self.desk.region)


def shown(found: Answer, code: str, region: Region) -> schema.CheckAnswer:
    """In all languages of the region that have texts."""
    if found.event is None:
        return schema.CheckAnswer(code=code, state="unknown")
    alert = found.event.alert
    zone = region.zone_by_id.get(alert.zone)
    newest = found.by if found.by is not None and found.by.alert.identifier != alert.identifier else None
    return schema.CheckAnswer.model_validate(
        {
            "code": code,
            "state": found.state,
            "status": alert.status.value,
            "zone": alert.zone,
            "zone_names": dict(zone.names) if zone else {"en": alert.zone},
            "level": alert.level.value,
            "headline": _headlines(found.event.cap),
            "messages": {language: message.sms(alert, region, language, "", code).text for language in cap.languages(region)},
            "sent": utc(alert.sent_ms),
            "until": utc(found.until_ms),
            "newest": _headlines(newest.cap) if newest else {},
        }
    )


def _headlines(document: str) -> dict[str, str]:
    return {language: text.headline for language, text in texts_of(document).items()}


def router(counter: Counter, signed: Signed) -> APIRouter:
    """Routes of one deployment."""
    routes = APIRouter()
    _page(routes, counter)
    _api(routes, counter)
    _certificates(routes, signed)
    return routes


def _address(request: Request) -> str:
    """Behind a proxy on this machine the client's own (uvicorn reads X-Forwarded-For from there only; FORWARDED_ALLOW_IPS names others)."""
    return request.client.host if request.client else ""


def _page(routes: APIRouter, counter: Counter) -> None:
    @routes.get("/check", include_in_schema=False)
    async def page(
        request: Request, code: Annotated[str, Query(max_length=200)] = "", language: Annotated[str, Query(max_length=10)] = ""
    ) -> Response:
        region, spoken = counter.desk.region, check_page.language_of(language, request.headers.get("accept-language", ""))
        status, state, found, headers = 200, "", None, {"Content-Security-Policy": _CSP}
        if code.strip():
            try:
                found = await counter.answer(code, _address(request))
                state = found.state
            except InputError as error:
                state = error.reason
            except Unavailable as error:
                limited = error.reason == "rate_limited"
                status, state = (429, "rate_limited") if limited else (503, "unavailable")
                headers["Retry-After"] = str(round(error.retry_after_s or 1) or 1)
        return HTMLResponse(check_page.page(region, spoken, code[:40], state, found), status, headers)


def _api(routes: APIRouter, counter: Counter) -> None:
    @routes.get("/v1/check/{code}", tags=["trust"], summary="Whose code is this?", responses=schema.PROBLEMS)
    async def check(code: str, request: Request) -> schema.CheckAnswer:
        try:
            return await counter.answer(code, _address(request))
        except InputError as error:
            raise ProblemError(
                422, "A document's mark" if error.reason == "document_mark" else "No code", str(error), error.field, error.fix
            ) from None
        except Unavailable as error:
            limited = error.reason == "rate_limited"
            detail = str(error) if limited else "Codes cannot be checked now; that says nothing about yours."
            title = "Too often" if limited else "Away"
            raise ProblemError(429 if limited else 503, title, detail, retry_after_s=max(1, round(error.retry_after_s or 1))) from None


def _certificates(routes: APIRouter, signed: Signed) -> None:
    now: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731 - dates of certificates are of this world, also in a replay

    @routes.get("/v1/certificates", tags=["trust"], summary="The certificates that CAP documents are and were signed with")
    async def certificates() -> schema.Certificates:
        at, current = now(), signed.current()
        return schema.Certificates(
            certificates=[
                schema.CertificateAnswer.model_validate(
                    {
                        "name": key.name,
                        "state": "current" if current is not None and key.name == current.name else key.state(at),
                        "begins": utc(round(key.certificate.not_valid_before_utc.timestamp() * 1000)),
                        "ends": utc(round(key.certificate.not_valid_after_utc.timestamp() * 1000)),
                        "sha256": key.fingerprint,
                        "pem": key.pem,
                    }
                )
                for key in signed.pairs()
            ]
        )
