"""Anticipatory cash through the API: its cases, what was sent for them, and an approver's answers. The same ledger as ``warning cash``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from warning.errors import InputError
from warning.operate import schema
from warning.operate.admission import Who
from warning.operate.decisions import Office
from warning.operate.present import utc
from warning.proof.cash_ledger import CashLedger, Row


class Said(BaseModel):
    """Of a case: yes, or no, which ends it. Of ``*``: no stops every case and order, yes lets them go on."""

    model_config = ConfigDict(extra="forbid")
    granted: bool
    reason: Annotated[str, Field(max_length=300)] = ""


class CashOrder(BaseModel):
    """``part``: districts that came later have an order of their own. ``sent``: the body, as it goes out every time."""

    key: str
    phase: str
    part: int
    state: str
    why: str
    attempts: int
    created: str
    sent: dict[str, Any]


class CashCase(BaseModel):
    """``state``: readiness, approval (waits for persons), activated, expired, cancelled, refused, stopped. ``over``: the flood is."""

    id: str
    trigger: str
    state: str
    why: str
    alert: str
    opened: str
    until: str
    changed: str
    over: bool
    orders: list[CashOrder]


class CashMove(BaseModel):
    """``subject``: the case, or the key of an order; ``by``: "" is the system."""

    at: str
    subject: str
    state: str
    why: str
    by: str


class CashCases(BaseModel):
    """``stopped``: a person stopped everything."""

    stopped: bool
    cases: list[CashCase]


class CashHistory(CashCase):
    moves: list[CashMove]


class CashAnswer(BaseModel):
    case: str
    granted: bool
    by: str


def router(office: Office, cash: CashLedger) -> APIRouter:
    """Who reads decisions reads cash; who releases warnings releases money."""
    needs = office.admission.needs
    routes = APIRouter(prefix="/v1", tags=["cash"])

    @routes.get("/cash", summary="Cases of anticipatory cash, the newest first", dependencies=[Depends(needs("viewer"))])
    async def listed(limit: Annotated[int, Query(ge=1, le=500)] = 100) -> CashCases:
        cases = await cash.cases(limit)
        orders = await cash.orders(*(case["id"] for case in cases))
        found = [CashCase(**_case(case, (one for one in orders if one["case"] == case["id"]))) for case in cases]
        return CashCases(stopped=await cash.halted(), cases=found)

    @routes.get("/cash/{case}", summary="A case, with every change", responses=schema.NOT_FOUND, dependencies=[Depends(needs("viewer"))])
    async def show(case: str) -> CashHistory:
        known = await cash.case(case)
        if known is None:
            raise InputError(f"there is no case {case[:200]!r}", reason="case", field="case", fix="an id of /v1/cash")
        orders = await cash.orders(case)
        moves = [_move(one) for one in await cash.moves([case, *(one["key"] for one in orders)])]
        return CashHistory(**_case(known, orders), moves=moves)

    @routes.post(
        "/cash/{case}/answer",
        summary="Approve or refuse a case, or stop all of them (*)",
        responses=schema.NOT_FOUND,
        dependencies=[Depends(needs("approver"))],
    )
    async def answer(case: str, said: Said, person: Who) -> CashAnswer:
        if not said.granted and not said.reason.strip():
            raise InputError("a refusal needs its reason", reason="reason", field="reason", fix="say why; it stands in the ledger")
        await cash.answer(case, person.name, said.granted, said.reason, office.wall_ms(), key=person.id)
        return CashAnswer(case=case, granted=said.granted, by=person.name)

    return routes


def _case(case: Row, orders: Iterable[Row]) -> dict[str, Any]:
    same = {name: case[name] for name in ("id", "trigger", "state", "why", "alert", "over")}
    times = {"opened": utc(case["opened_ms"]), "until": utc(case["until_ms"]), "changed": utc(case["changed_ms"])}
    return {**same, **times, "orders": [_order(one) for one in orders]}


def _order(one: Row) -> CashOrder:
    same = {name: one[name] for name in ("key", "phase", "part", "state", "why", "attempts")}
    return CashOrder(**same, created=utc(one["created_ms"]), sent=json.loads(bytes(one["body"])))


def _move(one: Row) -> CashMove:
    return CashMove(at=utc(one["at_ms"]), **{name: one[name] for name in ("subject", "state", "why", "by")})
