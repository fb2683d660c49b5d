"""What people decided, and what a rule decided in their place: one row each, never changed, and a line of the audit's chain with it.

The API and the commands write; the dispatcher and the feeds read it again every second (``standing``). ``once`` names what may be said
only once: two clerks cannot raise the same alert, and a reminder is not sent again after a restart.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Approval, CallOff, Silence
from warning.database import NUMBER, Tables
from warning.errors import Unavailable
from warning.model import Alert, AlertEvent, Level
from warning.proof import chain

log = logging.getLogger(__name__)

KINDS: Mapping[str, str] = {
    "approve": "released a chain up to a class",
    "refuse": "refused a chain up to a class",
    "silence": "silenced a zone",
    "silence_end": "ended a silence early",
    "raise": "raised an alert by hand",
    "correct": "corrected an alert",
    "cancel": "cancelled an alert",
    "resend": "had an alert sent again",
    "key": "made, changed or revoked a key of the API",
    "asked": "operators were told that an alert waits",
    "unanswered": "nobody answered in time: the region's rule decided",
    "resumed": "a chain that was called off rose above its class",
    "call_off_over": "what was said by hand in a chain's place ran out",
    "released": "what had been declined and was released after all is told by what holds now",
}
MANUAL = ("raise", "correct", "cancel")
SETTLED_S = 60.0  # a row that was seen so long ago has no unseen neighbour: a transaction that took its number before may commit after it
MOST = 500

_EVENT = msgspec.json.Decoder(AlertEvent)
_METADATA = sql.MetaData()
_ACTS = sql.Table(
    "decisions",
    _METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("kind", sql.String(20), nullable=False),
    sql.Column("by", sql.String(200), nullable=False),
    sql.Column("key", sql.String(20), nullable=False),  # id of the API key; "": by command
    sql.Column("at_ms", sql.BigInteger, nullable=False),
    sql.Column("subject", sql.String(255), nullable=False),  # chain, zone, identifier, id of a silence
    sql.Column("what", sql.Text, nullable=False),  # JSON
    sql.Column("once", sql.String(300), unique=True),
    sql.Index("decisions_subject", "subject"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Act:
    """One row. ``by``: a person's name, or ``rule:NAME``."""

    id: int
    kind: str
    by: str
    key: str
    at_ms: int
    subject: str
    what: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resend:
    """A person's wish that a revision is sent again; ``id`` of its row. All that is named must be met, "" is anybody.

    ``district``: contacts that name it; ``undelivered``: contacts that neither a receipt nor an answer came from; ``refused``: only
    what was refused for that reason.
    """

    id: int
    alert: str  # identifier of the revision
    by: str
    contact: str = ""
    district: str = ""
    channel: str = ""
    undelivered: bool = False
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds, for ``alerts.rules``; ``manual``: identifier -> the ``AlertEvent``, as JSON, that a person made."""

    approvals: tuple[Approval, ...] = ()
    silences: Mapping[int, Silence] = field(default_factory=dict)  # by the id of its row
    call_offs: tuple[CallOff, ...] = ()
    manual: Mapping[str, bytes] = field(default_factory=dict)
    asked: Mapping[str, tuple[tuple[Level, int], ...]] = field(default_factory=dict)  # as in ``alerts.rules.Decision``
    once: frozenset[str] = frozenset()  # what operators were told of, and which rules were entered
    resends: tuple[Resend, ...] = ()  # all that were ever wished: who does them knows which are done


class _Unseen(Exception):
    """Somebody else has decided meanwhile."""


class Decisions:
    """``url``: ``Deployment.database``. ``replay``: now is history's, people's is today's. Methods raise Unavailable when it is away."""

    def __init__(self, url: str, within_s: float = 10.0, *, replay: bool = False) -> None:
        self._tables = Tables(url, _METADATA, "decisions", within_s)
        self._chained = False
        self._acts: dict[int, Act] = {}
        self._standing, self._replay = Standing(), replay
        self._seen_s: dict[int, float] = {}  # the newest rows -> when we saw them first
        self._after = 0  # rows up to here will never change nor get a neighbour

    async def close(self) -> None:
        await self._tables.close()

    async def by_hand(self, zone: str) -> frozenset[int]:
        """The ids of what was raised, corrected and cancelled in a zone. Raises Unavailable."""
        return frozenset(row.id for row in await self._tables.run(_of_zone(zone)))

    async def decide(
        self,
        kind: str,
        by: str,
        at_ms: int,
        subject: str,
        what: Mapping[str, Any],
        *,
        key: str = "",
        once: str | None = None,
        seen: tuple[str, Collection[int]] | None = None,
    ) -> int | None:
        """Enters it, with its line in the chain. Its id; None if ``once`` was said before, or if something was decided by hand about a zone
        that is not among those that were ``seen``: nothing is entered then.

        Raises ValueError without a name.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of decision")
        if not by.strip():
            raise ValueError("a decision needs the name of who decided")
        row = {"kind": kind, "by": by.strip()[:200], "key": key, "at_ms": at_ms, "subject": subject, "once": once}
        insert = self._tables.insert(_ACTS).values(**row, what=json.dumps(what)).on_conflict_do_nothing().returning(_ACTS.c.id)
        if not self._chained:
            await self._chain()
        try:
            async with self._tables.together() as connection:
                number: int | None = (await connection.execute(insert)).scalar_one_or_none()
                if number is not None:
                    said = {name: value for name, value in what.items() if name != "event"}
                    await chain.enter(
                        connection, f"decision.{kind}", at_ms, by=row["by"], key=key, subject=subject, number=number, what=said
                    )
                    if seen is not None:  # the chain's head is ours by now: nobody decides beside us
                        there = set((await connection.execute(_of_zone(seen[0]))).scalars())
                        if there - {number} - set(seen[1]):
                            raise _Unseen
        except _Unseen:
            return None
        return number

    async def acts(
        self, *, kinds: Collection[str] = (), subject: str | None = None, before: int | None = None, most: int = MOST
    ) -> list[Act]:
        """The newest first."""
        query = sql.select(_ACTS).order_by(_ACTS.c.id.desc()).limit(most)
        if kinds:
            query = query.where(_ACTS.c.kind.in_(kinds))
        if subject is not None:
            query = query.where(_ACTS.c.subject == subject)
        if before is not None:
            query = query.where(_ACTS.c.id < before)
        return [_act(row) for row in await self._tables.run(query)]

    async def standing(self, now_ms: int) -> Standing:
        """What holds now. Reads only what is new since the last call. What we see is decided, also by a clock that is ahead of ours."""
        rows = await self._tables.run(sql.select(_ACTS).where(_ACTS.c.id > self._after).order_by(_ACTS.c.id))
        new, seen_s = {row.id: _act(row) for row in rows if row.id not in self._acts}, time.monotonic()
        self._seen_s |= dict.fromkeys(new, seen_s)
        for number in [number for number, at_s in self._seen_s.items() if at_s < seen_s - SETTLED_S]:
            self._after = max(self._after, number)
            del self._seen_s[number]
        if new:
            self._acts |= new if self._replay else {number: _by_our_clock(act, now_ms) for number, act in new.items()}
            self._standing = fold(self._acts[number] for number in sorted(self._acts))
        return self._standing

    async def _chain(self) -> None:
        for left in (2, 1, 0):  # processes that start together: who loses a race finds one table more
            try:
                async with self._tables.together() as connection:
                    await chain.create(connection)
            except (Unavailable, SQLAlchemyError):
                if not left:
                    raise
            else:
                self._chained = True
                return


def _by_our_clock(act: Act, now_ms: int) -> Act:
    """What we see was decided, also by a clock that is ahead; a silence lasts as long as it was wished for."""
    if (ahead_ms := act.at_ms - now_ms) <= 0:
        return act
    times = {name: act.what[name] - ahead_ms for name in ("from_ms", "until_ms") if isinstance(act.what.get(name), int)}
    return replace(act, at_ms=now_ms, what={**act.what, **times})


def fold(acts: Iterable[Act]) -> Standing:
    """What rows, in their order, amount to; of answers about a chain a later row is a later answer, whatever its clock said. What cannot be
    understood (of a newer version) counts for nothing, and the log says so."""
    approvals: list[Approval] = []
    silences: dict[int, Silence] = {}
    offs: list[tuple[CallOff, str]] = []  # and the chain by hand in its place; one that nobody releases leaves the one before as it was
    answered: dict[str, int] = {}  # chain -> when, as it counts
    manual: dict[str, bytes] = {}
    said: dict[str, list[Alert]] = {}  # chain by hand -> its revisions
    asked: dict[str, list[tuple[Level, int]]] = {}
    once: set[str] = set()
    resends: list[Resend] = []
    for act in acts:
        what = act.what
        try:
            if act.kind in ("approve", "refuse"):
                level, after_ms = Level(what["level"]), answered.get(act.subject, -1) + 1  # several may be of when we saw them
                at_ms = answered[act.subject] = max(act.at_ms, after_ms)
                approvals.append(Approval(act.subject, level, act.by, at_ms, act.kind == "approve", act.key))
            elif act.kind == "silence":
                silences[act.id] = silence_of(act)
            elif act.kind == "silence_end":
                silences.pop(int(act.subject), None)
            elif act.kind in MANUAL:
                alert = _EVENT.decode(what["event"]).alert
                manual[alert.identifier] = what["event"].encode()
                said.setdefault(chain_of(alert.identifier), []).append(alert)
                if what.get("calls_off"):
                    after = (one.sent_ms for one in alert.references if one.identifier == what.get("replaces"))
                    off = CallOff(act.subject, Level(what["calls_off"]), act.by, max([act.at_ms, *after]))
                    offs.append((off, chain_of(alert.identifier)))
            elif act.kind == "resend":
                resends.append(resend_of(act))
            elif act.kind == "resumed":
                offs = [(_resumed(off, act.subject, int(what["sent_ms"]), Level(what["level"])), hand) for off, hand in offs]
            elif act.kind in ("asked", "unanswered", "call_off_over", "released"):
                once.add(what["once"])
                if act.kind == "asked" and "sent_ms" in what:
                    asked.setdefault(act.subject, []).append((Level(what["level"]), int(what["sent_ms"])))
        except (KeyError, ValueError, TypeError, AttributeError, msgspec.MsgspecError) as error:
            log.error("decision %d (%s by %s) cannot be understood and counts for nothing: %r", act.id, act.kind, act.by, error)
    standing = tuple(replace(off, instead=tuple(said[hand])) for off, hand in offs)
    about = {chain: tuple(some) for chain, some in asked.items()}
    return Standing(tuple(approvals), silences, standing, manual, about, frozenset(once), tuple(resends))


def _of_zone(zone: str) -> sql.Select[Any]:
    named = _ACTS.c.what.contains(f'"zone": {json.dumps(zone)}', autoescape=True)
    return sql.select(_ACTS.c.id).where(_ACTS.c.kind.in_(MANUAL), named)


def silence_of(act: Act) -> Silence:
    what = act.what
    return Silence(act.subject, Level(what["up_to"]), what["from_ms"], what["until_ms"], act.by, what["reason"], what.get("contact", ""))


def resend_of(act: Act) -> Resend:
    what = act.what
    wanted = {name: str(what.get(name, "")) for name in ("contact", "district", "channel", "refused")}
    return Resend(act.id, str(what["identifier"]), act.by, **wanted, undelivered=bool(what.get("undelivered")))


def approval(identifier: str, level: Level, granted: bool) -> tuple[str, str, dict[str, Any]]:
    """(kind, subject, what) of an answer about an alert's chain."""
    return ("approve" if granted else "refuse"), chain_of(identifier), {"level": level.value, "identifier": identifier}


def _resumed(off: CallOff, chain: str, sent_ms: int, level: Level) -> CallOff:
    if off.chain != chain or level <= off.up_to:
        return off
    if sent_ms < off.at_ms // 1000 * 1000 or (off.resumed_ms is not None and off.resumed_ms <= sent_ms):
        return off
    return replace(off, resumed_ms=sent_ms, rose=level)


def _act(row: Any) -> Act:
    return Act(row.id, row.kind, row.by, row.key, row.at_ms, row.subject, json.loads(row.what))
