"""Notices of what lasts: told when it begins, again and again while it does, and once when it ended, to all who had heard of it.

What was told stands in the ledger (``notices``), with what is to be posted of it (``operator_posts``): both in one transaction, before the
first is posted. So a restart tells nothing twice, goes on with what a crash cut off, and forgets no end; where the ledger is away it is
posted all the same. What comes back within ``QUIET_MS`` had not ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql

from warning.dispatch import tables as t
from warning.dispatch.ledger import Ledger
from warning.dispatch.operator_book import ENDED, Post, entered
from warning.region import Contact

log = logging.getLogger(__name__)

QUIET_MS = 60_000
SELDOM_MS = {"report.differs": 12 * 3_600_000, "cash.waiting": 1 << 60}  # a report is of a day; who waits for cash says so himself
SLOWER = ("zones.observed",)  # a gauge that is broken for weeks: each time after twice as long, at last once ...
DAY_MS = 86_400_000  # ... a day
Tell = Callable[[Contact, str, str], Awaitable[None]]  # operator, identifier, body


@dataclass(frozen=True, slots=True)
class State:
    """Something that lasts now. ``data``: of the notice's body. ``may``: does the gate let this operator hear of it?"""

    data: Mapping[str, object]
    may: Callable[[Contact], bool]


@dataclass(frozen=True, slots=True)
class Said:
    """What operators know of it. ``times`` that it was told, last at ``told_ms``; ``operators``: ids of who heard."""

    since_ms: int
    told_ms: int
    times: int
    operators: frozenset[str]
    data: Mapping[str, object]


@dataclass
class Lasting:
    """``operators``: all there are; never raises. ``tell`` takes no time. ``repeat_ms`` 0: nothing is told again."""

    ledger: Ledger
    operators: Callable[[], Awaitable[list[Contact]]]
    tell: Tell
    now_ms: Callable[[], int]
    repeat_ms: int
    _said: dict[tuple[str, str], Said] | None = None
    _gone: dict[tuple[str, str], int] = field(default_factory=dict)
    _owed: set[tuple[str, str]] = field(default_factory=set)  # what the ledger does not have yet
    _posts: list[tuple[Contact, Post]] = field(default_factory=list)  # of this look
    _unentered: list[Post] = field(default_factory=list)  # likewise
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(
        self,
        kind: str,
        states: Mapping[str, State],
        *,
        begun: bool = False,
        ends: bool = True,
        of: Callable[[str], str] = str,
    ) -> None:
        """``states``: all of this kind that last now, by name. ``begun``: that they began was told by who calls; not ``ends``: so will be
        that they ended. ``of``: name -> what it is a stage of; one that another follows has not ended.

        Raises DBAPIError, OSError, Unavailable: then it is looked at again.
        """
        async with self._turn:
            said = await self._known()
            for name, state in states.items():
                await self._lasts(said, (kind, name), state, begun=begun)
            stages = {of(name) for name in states}
            for key in [key for key in said if key[0] == kind and key[1] not in states]:
                await self._over(said, key, ends=ends and of(key[1]) not in stages)
            try:
                await self._enter(said)
            finally:
                posts, self._posts = self._posts, []
                for contact, post in posts:
                    await self.tell(contact, post.identifier, post.body)

    async def _lasts(self, said: dict[tuple[str, str], Said], key: tuple[str, str], state: State, *, begun: bool) -> None:
        now_ms, old = self.now_ms(), said.get(key)
        self._gone.pop(key, None)
        if old is None:
            new = Said(now_ms, now_ms, 1, frozenset(), dict(state.data))
        elif self.repeat_ms and abs(now_ms - old.told_ms) >= self._pause_ms(key[0], old.times):  # also by a clock that was set back
            new = replace(old, told_ms=now_ms, times=old.times + 1, data=dict(state.data))
        else:
            return
        heard = [contact for contact in await self.operators() if state.may(contact)]
        if old is not None or not begun:
            self._tell(key, key[0], heard, new)
        said[key] = replace(new, operators=new.operators | {contact.id for contact in heard})
        self._owed.add(key)

    def _pause_ms(self, kind: str, times: int) -> int:
        if kind in SLOWER:
            return max(self.repeat_ms, min(self.repeat_ms << min(times - 1, 12), DAY_MS))
        return SELDOM_MS.get(kind, self.repeat_ms)

    async def _over(self, said: dict[tuple[str, str], Said], key: tuple[str, str], *, ends: bool) -> None:
        now_ms = self.now_ms()
        if ends and now_ms - self._gone.setdefault(key, now_ms) < QUIET_MS:
            return
        old, ended_ms = said[key], self._gone.pop(key, now_ms)
        if ends:
            data = {**old.data, "ended": _utc(ended_ms), "lasted_s": max(0, ended_ms - old.since_ms) // 1000}
            heard = [contact for contact in await self.operators() if contact.id in old.operators]
            self._tell(key, key[0] + ENDED, heard, replace(old, data=data))
        del said[key]
        self._owed.add(key)

    def _tell(self, key: tuple[str, str], kind: str, operators: Sequence[Contact], said: Said) -> None:
        again = {"since": _utc(said.since_ms), "times": said.times}
        log.warning("%s: %s, since %s, told for the %d. time", kind, key[1], again["since"], said.times)
        body = json.dumps({"type": kind, "timestamp": _utc(self.now_ms()), "data": {**said.data, **again}})
        for contact in operators:
            identifier = f"{kind}:{key[1]}:{said.since_ms}~{said.times}:{contact.id}".replace(".", "~")
            self._posts.append((contact, Post(identifier, contact.id, body, kind)))
        self._unentered += [post for _, post in self._posts if post not in self._unentered]

    async def _known(self) -> dict[tuple[str, str], Said]:
        if self._said is None:
            async with self.ledger.reading() as connection:
                rows = (await connection.execute(sql.select(t.notices))).all()
            self._said = {
                (row.kind, row.name): Said(row.since_ms, row.told_ms, row.times, frozenset(row.operators), row.data) for row in rows
            }
        return self._said

    async def _enter(self, said: Mapping[tuple[str, str], Said]) -> None:
        """What the ledger owes: as it stands now, also after it was away for a while."""
        if not (owed := sorted(self._owed)):
            return
        rows: list[dict[str, Any]] = []
        for kind, name in owed:
            if (one := said.get((kind, name))) is not None:
                counts = {"since_ms": one.since_ms, "told_ms": one.told_ms, "times": one.times}
                rows.append({"kind": kind, "name": name, **counts, "operators": sorted(one.operators), "data": dict(one.data)})
        c = t.notices.c
        async with self.ledger.writing() as connection:
            for kind, name in owed:
                await connection.execute(sql.delete(t.notices).where(c.kind == kind, c.name == name))
            if rows:
                await connection.execute(sql.insert(t.notices), rows)
            await entered(connection, self._unentered, self.now_ms())
        self._owed.difference_update(owed)
        self._unentered.clear()


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
