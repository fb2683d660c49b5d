"""No contact missed, none messaged twice unless the ledger says so: what phones and endpoints got, against the ledger in PostgreSQL."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from warning.alerts.lifecycle import chain_of
from warning.model import AlertEvent
from warning.region import Region


@dataclass
class Verdict:
    missed: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    deliveries: int = 0
    marked: int = 0
    counts: dict[str, int] = field(default_factory=dict)


async def judge(engine: AsyncEngine, region: Region, events: Sequence[AlertEvent], phones: Path, hooks: Path) -> Verdict:
    async with engine.connect() as connection:
        rows = [dict(row) for row in (await connection.execute(text("SELECT * FROM deliveries ORDER BY id"))).mappings()]
        parts = [dict(row) for row in (await connection.execute(text("SELECT * FROM parts ORDER BY id"))).mappings()]
        lost = "SELECT delivery, count(*) AS n FROM transitions WHERE part = 0 AND was = 'sending' AND became = 'unknown' GROUP BY delivery"
        unknown = Counter({row.delivery: int(row.n) for row in await connection.execute(text(lost))})
    verdict = Verdict(deliveries=len(rows), marked=sum(row["doubled"] for row in rows), counts=dict(Counter(row["state"] for row in rows)))
    got = [line for line in _lines(phones) if line["kind"] == "part"]
    copies, strangers = _attributed(rows, parts, got)
    arrived = {row["id"]: _whole(row, copies[row["id"]]) for row in rows if row["channel"] == "sms"}
    requests = Counter(hook["webhook_id"] for hook in _lines(hooks) if hook["verified"] and hook["status"] == 204)
    for row in rows:
        if row["channel"] == "webhook":
            arrived[row["id"]] = requests[_webhook_id(row)]
    _missed(verdict, region, events, rows, arrived)
    _doubled(verdict, region, rows, copies, arrived, unknown, strangers)
    return verdict


def _webhook_id(row: dict[str, Any]) -> str:
    return f"{row['alert']}:{row['contact']}".replace(".", "~")


def _attributed(rows: Iterable[dict[str, Any]], parts: Iterable[dict[str, Any]], got: Iterable[dict[str, Any]]) -> Any:
    """(delivery -> part number -> copies, number -> parts that nobody's response came back for)"""
    whose = {part["message_id"]: part for part in parts if part["message_id"]}
    copies: dict[int, Counter[int]] = defaultdict(Counter)
    strangers: Counter[str] = Counter()
    for line in got:
        part = whose.get(line["message_id"])
        if part is None:
            strangers["+" + line["destination"].lstrip("+")] += 1
        else:
            copies[part["delivery"]][part["number"]] += 1
    return copies, strangers


def _whole(row: dict[str, Any], copies: Counter[int]) -> int:
    """How many whole messages came of those parts."""
    return min((copies[number] for number in range(1, row["parts"] + 1)), default=0)


def _missed(
    verdict: Verdict, region: Region, events: Sequence[AlertEvent], rows: Sequence[dict[str, Any]], arrived: dict[int, int]
) -> None:
    """Every contact has a row for every alert; its message arrived, or a newer one of that chain did."""
    there = {(row["alert"], row["contact"]) for row in rows}
    for event in events:
        for contact in region.contacts:
            if (event.alert.identifier, contact.id) not in there:
                verdict.missed.append(f"{event.alert.identifier} to {contact.id}: never planned")
    reached: dict[tuple[str, str], int] = {}
    for row in rows:
        if arrived[row["id"]]:
            key = chain_of(row["alert"]), row["contact"]
            reached[key] = max(reached.get(key, 0), row["revision"])
    for row in rows:
        got = reached.get((chain_of(row["alert"]), row["contact"]), 0)
        if row["state"] == "overtaken" and got > row["revision"]:
            continue
        if row["state"] in ("delivered", "accepted") and not arrived[row["id"]]:
            verdict.missed.append(f"{row['alert']} to {row['contact']}: {row['state']} in the ledger, and nothing came")
        elif got < row["revision"]:
            verdict.missed.append(f"{row['alert']} to {row['contact']}: {row['state']} ({row['reason']})")


def _doubled(
    verdict: Verdict,
    region: Region,
    rows: Sequence[dict[str, Any]],
    copies: dict[int, Counter[int]],
    arrived: dict[int, int],
    unknown: Counter[int],
    strangers: Counter[str],
) -> None:
    """More copies than one only where the row is marked; parts that no response names only where an outcome is unknown."""
    phone = {contact.id: contact.phone for contact in region.contacts}
    open_attempts: Counter[str] = Counter()
    for row in rows:
        most = max(copies[row["id"]].values(), default=0) if row["channel"] == "sms" else arrived[row["id"]]
        if most > 1 and not row["doubled"]:
            verdict.doubled.append(f"{row['alert']} to {row['contact']} by {row['channel']}: {most} times and not marked")
        if row["channel"] == "sms":
            open_attempts[phone[row["contact"]]] += unknown[row["id"]] * max(2, row["parts"])
    for number, count in strangers.items():
        if count > open_attempts[number]:
            verdict.doubled.append(f"{number}: {count} parts of nobody's, {open_attempts[number]} unknown outcomes of parts")


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """Whole lines; a kill can cut the last one of a life short."""
    for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue
