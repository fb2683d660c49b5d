"""Who may do what through the API: every route of the application against every role, from the routes themselves.

A route that stands in no line here fails: whoever adds one says whose it is.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from alert_region import REGION
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from warning.deployment import Deployment
from warning.errors import InputError
from warning.operate import api
from warning.people.keys import ROLES, ApiKeys
from warning.proof.decisions import Decisions

EVERYBODY = frozenset((*ROLES, "nobody", "device", "revoked"))
READERS = frozenset({"viewer", "operator", "approver", "admin"})
OPERATORS, APPROVERS, ADMINS, AGENCIES = (
    frozenset({"operator"}),
    frozenset({"approver"}),
    frozenset({"admin"}),
    frozenset({"agency"}),
)

# (method, path) -> who is let in
WHOSE: dict[tuple[str, str], frozenset[str]] = {
    ("GET", "/"): EVERYBODY,
    ("GET", "/openapi.json"): EVERYBODY,
    ("GET", "/metrics"): EVERYBODY,
    ("GET", "/livez"): EVERYBODY,
    ("GET", "/readyz"): EVERYBODY,
    ("GET", "/v1/region"): EVERYBODY,
    ("GET", "/v1/areas"): EVERYBODY,
    ("GET", "/v1/map/{layer}"): EVERYBODY,
    ("GET", "/v1/zones"): EVERYBODY,
    ("GET", "/v1/zones/{zone}"): EVERYBODY,
    ("GET", "/v1/alerts"): EVERYBODY,
    ("GET", "/v1/alerts.atom"): EVERYBODY,
    ("GET", "/v1/alerts/{identifier}.cap"): EVERYBODY,
    ("GET", "/v1/check/{code}"): EVERYBODY,
    ("GET", "/check"): EVERYBODY,
    ("GET", "/v1/certificates"): EVERYBODY,
    ("GET", "/v1/deliveries"): READERS,  # of a closed deployment
    ("GET", "/v1/sensors"): READERS,
    ("GET", "/v1/sensors/{station}"): READERS,
    ("GET", "/v1/approvals"): READERS,
    ("GET", "/v1/decisions"): READERS,
    ("GET", "/v1/silences"): READERS,
    ("POST", "/v1/silences"): OPERATORS,
    ("DELETE", "/v1/silences/{number}"): OPERATORS,
    ("POST", "/v1/alerts"): OPERATORS,
    ("POST", "/v1/alerts/{identifier}/correction"): OPERATORS,
    ("POST", "/v1/alerts/{identifier}/cancellation"): OPERATORS,
    ("POST", "/v1/alerts/{identifier}/resending"): OPERATORS,
    ("POST", "/v1/alerts/{identifier}/approval"): APPROVERS,
    ("GET", "/v1/alerts/{identifier}/unreached"): READERS,
    ("GET", "/v1/reach"): READERS,  # of a closed deployment
    ("POST", "/v1/alerts/{identifier}/acknowledgement"): OPERATORS,
    ("GET", "/acknowledge/{chain}/{contact}/{token}"): EVERYBODY,  # who has the link
    ("POST", "/acknowledge/{chain}/{contact}/{token}"): EVERYBODY,
    ("GET", "/confirm/{id}/{code}"): EVERYBODY,  # who has the link
    ("POST", "/confirm/{id}/{code}"): EVERYBODY,
    ("POST", "/v1/subscriptions/{id}/code"): AGENCIES,
    ("POST", "/v1/subscriptions"): AGENCIES,
    ("GET", "/v1/subscriptions"): AGENCIES | READERS,
    ("GET", "/v1/subscriptions/{id}"): AGENCIES | READERS,
    ("PATCH", "/v1/subscriptions/{id}"): AGENCIES,
    ("DELETE", "/v1/subscriptions/{id}"): AGENCIES,
    ("POST", "/v1/subscriptions/{id}/secret"): AGENCIES,
    ("POST", "/v1/subscriptions/{id}/challenge"): AGENCIES,
    ("POST", "/v1/subscriptions/{id}/pause"): AGENCIES,
    ("POST", "/v1/subscriptions/{id}/test"): AGENCIES,
    ("GET", "/v1/subscriptions/{id}/deliveries"): AGENCIES | READERS,
    ("POST", "/v1/subscriptions/{id}/confirm"): OPERATORS,
    ("GET", "/v1/subscriptions/{id}/events"): AGENCIES | READERS,
    ("GET", "/v1/cash"): READERS,
    ("GET", "/v1/cash/{case}"): READERS,
    ("POST", "/v1/cash/{case}/answer"): APPROVERS,
    ("GET", "/v1/keys"): ADMINS,
    ("POST", "/v1/keys"): ADMINS,
    ("PUT", "/v1/keys/{number}/roles"): ADMINS,
    ("DELETE", "/v1/keys/{number}"): ADMINS,
}


def deployment(folder: Path, **changes: object) -> Deployment:
    return dataclasses.replace(Deployment(bootstrap="127.0.0.1:1", prefix="roles.", directory=folder), **changes)


def routes(of) -> list[tuple[str, str]]:
    """(method, path) of every route; a mounted folder of files is of the page, and everybody's."""
    found = []
    for route in of.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            found += routes(inner)
            continue
        if isinstance(route, Mount):
            assert route.path == "/page"
            continue
        assert isinstance(route, Route | APIRoute), route
        found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


@asynccontextmanager
async def running(where: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    app = api.create_app(REGION, where)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            client.app = app  # type: ignore[attr-defined]
            yield client


async def keys_of(where: Deployment) -> dict[str, str]:
    """role -> a key of that role alone; and three that open nothing."""
    keys = ApiKeys(where.database, lambda: 1_756_260_000_000)
    made = {role: (await keys.create(f"The {role}", [role]))[1] for role in ROLES}
    person, gone = await keys.create("Gone", ["admin", "operator", "approver"])
    await keys.revoke(person.id)
    await keys.close()
    return {**made, "nobody": "", "device": f"fw_{'a' * 12}_{'b' * 43}", "revoked": gone}


def filled(path: str) -> str:
    for name in (
        "layer",
        "zone",
        "identifier",
        "station",
        "number",
        "contact",
        "token",
        "code",
        "chain",
        "subscription",
        "name",
        "serial",
        "case",
        "id",
    ):
        path = path.replace("{" + name + "}", "7")
    return path


async def test_every_route_against_every_role(tmp_path: Path) -> None:
    """A refusal says 401 without a good key, and 403 with one of another role, before anything of the request is looked at."""
    where = deployment(tmp_path, api_closed=True)
    texts = await keys_of(where)
    async with running(where) as client:
        there = routes(client.app)  # type: ignore[attr-defined]
        unknown = [route for route in there if route not in WHOSE]
        assert not unknown, f"whose are these? {unknown}"
        assert not set(WHOSE) - set(there), "these are no more"
        for (method, path), role in itertools.product(there, texts):
            headers = {"authorization": f"Bearer {texts[role]}"} if texts[role] else {}
            answer = await client.request(method, filled(path), headers=headers, json={} if method in ("POST", "PUT", "PATCH") else None)
            refused = answer.status_code in (401, 403)
            assert refused is (role not in WHOSE[method, path]), (method, path, role, answer.status_code, answer.text)
            if refused:
                assert answer.status_code == (401 if role in ("nobody", "device", "revoked") else 403), (method, path, role)
                assert answer.headers["content-type"] == "application/problem+json"
        decisions = Decisions(where.database)
        assert await decisions.acts() == [], "nobody decided anything"
        await decisions.close()


async def test_what_operators_read_is_open_unless_the_deployment_is_closed(tmp_path: Path) -> None:
    async with running(deployment(tmp_path)) as client:
        assert (await client.get("/v1/deliveries")).status_code == 200
        assert (await client.get("/v1/decisions")).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Basic wk_x", "Bearer wk_x", "bearer  ", "Bearer wk_aaaaaaaaaaaa_" + "a" * 43, "Bearer ' OR 1=1 --", "Bearer é"],
)
async def test_what_is_no_key_opens_nothing(tmp_path: Path, header: str) -> None:
    where = deployment(tmp_path)
    await keys_of(where)
    async with running(where) as client:
        assert (await client.get("/v1/keys", headers={"authorization": header.encode()})).status_code == 401


async def test_a_key_that_was_revoked_or_has_other_roles_now_is_so_within_two_seconds(tmp_path: Path) -> None:
    where = deployment(tmp_path)
    keys = ApiKeys(where.database, lambda: 1)
    person, text = await keys.create("A. Khan", ["operator"])
    async with running(where) as client:
        given = {"authorization": f"Bearer {text}"}
        assert (await client.get("/v1/silences", headers=given)).status_code == 200
        await keys.grant(person.id, ["agency"])
        for _ in range(100):
            if (await client.get("/v1/silences", headers=given)).status_code == 403:
                break
            await asyncio.sleep(0.2)
        else:
            pytest.fail("it still opens what it opened")
        await keys.revoke(person.id)
        with pytest.raises(InputError, match="is revoked"):
            await keys.grant(person.id, ["admin"])
    await keys.close()


async def test_who_decided_stands_with_name_and_key(tmp_path: Path) -> None:
    """Whatever the body says: the name is the key's."""
    where = deployment(tmp_path)
    texts = await keys_of(where)
    async with running(where) as client:

        def by(role: str) -> dict[str, str]:
            return {"authorization": f"Bearer {texts[role]}"}

        wish = {"zone": "CHE-MARALA", "level": "LOW", "hours": 2, "reason": "x"}
        assert (await client.post("/v1/silences", json=wish | {"by": "Somebody"}, headers=by("operator"))).status_code == 422
        made = await client.post("/v1/silences", json=wish, headers=by("operator"))
        assert (made.status_code, made.json()["by"]) == (201, "The operator")
        number = made.json()["id"]
        assert [one["id"] for one in (await client.get("/v1/silences", headers=by("viewer"))).json()["silences"]] == [number]
        assert (await client.delete(f"/v1/silences/{number}", headers=by("operator"))).status_code == 200
        assert (await client.delete(f"/v1/silences/{number}", headers=by("operator"))).status_code == 404
        word = {"zone": "CHE-MARALA", "level": "HIGH", "reason": "Breach", "expires_h": 6}
        raised = await client.post("/v1/alerts", json=word, headers=by("operator"))
        assert raised.status_code == 201, raised.text
        alert = raised.json()["identifier"]
        ended = await client.post(f"/v1/alerts/{alert}/cancellation", json={"reason": "No"}, headers=by("operator"))
        again = await client.post(f"/v1/alerts/{alert}/cancellation", json={"reason": "No"}, headers=by("operator"))
        assert (ended.status_code, again.status_code) == (201, 409)
        yes = await client.post(f"/v1/alerts/{alert}/approval", json={"level": "HIGH"}, headers=by("approver"))
        assert yes.json() == {"identifier": alert.rpartition(".")[0], "by": "The approver"}
        new = await client.post("/v1/keys", json={"name": "B. Shah", "roles": ["viewer"]}, headers=by("admin"))
        assert (await client.get("/v1/silences", headers={"authorization": f"Bearer {new.json()['key']}"})).status_code == 200
        listed = (await client.get("/v1/decisions", headers=by("viewer"), params={"limit": 3})).json()
        assert [(one["kind"], one["by"]) for one in listed["decisions"]] == [
            ("key", "The admin"),
            ("approve", "The approver"),
            ("cancel", "The operator"),
        ]
        assert all(one["key"] for one in listed["decisions"])
        rest = (await client.get("/v1/decisions", headers=by("viewer"), params={"before": listed["next"]})).json()
        assert [one["kind"] for one in rest["decisions"]] == ["raise", "silence_end", "silence"]
        assert new.json()["key"] not in (await client.get("/v1/decisions", headers=by("viewer"))).text


async def test_what_an_approver_releases_only_an_approver_takes_back(tmp_path: Path) -> None:
    where = deployment(tmp_path)
    texts = await keys_of(where)
    strict = dataclasses.replace(REGION, alert=dataclasses.replace(REGION.alert, approve_from=REGION.alert.at_once[0]))
    keys = ApiKeys(where.database, lambda: 1)
    _, both = await keys.create("Both", ["operator", "approver"])
    await keys.close()
    app = api.create_app(strict, where)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client,
    ):
        word = {"zone": "CHE-MARALA", "level": "VERY_HIGH", "reason": "Breach", "expires_h": 6}
        alert = (await client.post("/v1/alerts", json=word, headers={"authorization": f"Bearer {texts['operator']}"})).json()["identifier"]
        for text, status in ((texts["operator"], 403), (both, 201)):
            given = {"authorization": f"Bearer {text}"}
            assert (await client.post(f"/v1/alerts/{alert}/cancellation", json={"reason": "x"}, headers=given)).status_code == status


async def test_the_database_of_keys_is_away(tmp_path: Path) -> None:
    where = deployment(tmp_path)
    texts = await keys_of(where)
    async with running(where) as client:
        database = next(tmp_path.glob("*warning.db"))
        for file in tmp_path.glob("*warning.db*"):
            file.unlink()
        database.mkdir()
        answer = await client.get("/v1/silences", headers={"authorization": f"Bearer {texts['admin']}"})
        assert answer.status_code == 503
