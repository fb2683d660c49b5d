"""What people decided, as the dispatcher follows it: read every second, with what a rule decides where nobody does.

A chain that was called off and rises above its class speaks again: that is noticed with its revision, in memory at once, and entered. Who
was killed in between finds the revision in the ledger as he starts, expired or not: its step down is still to be told.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import sqlalchemy as sql

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Approval, CallOff, Silence, said_level
from warning.dispatch import tables as t
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import DECODER, People
from warning.model import AlertEvent, Level
from warning.proof.decisions import Decisions, Standing

log = logging.getLogger(__name__)

RESUMED = "rule:higher_class"
Older = Callable[[], Awaitable[tuple[tuple[Approval, ...], tuple[Silence, ...]]]]


@dataclass
class Decided:
    """Keeps ``people`` true. ``older``: what stands in the tables of before 0.7."""

    decisions: Decisions
    people: People
    older: Older
    now_ms: Callable[[], int]

    def __post_init__(self) -> None:
        self.standing = Standing()
        self._resumed: dict[tuple[str, int], tuple[CallOff, AlertEvent]] = {}  # chain, when called off -> what is to be entered
        self._old: tuple[tuple[Approval, ...], tuple[Silence, ...]] = (), ()

    def see(self, event: AlertEvent) -> None:
        """A revision is being planned."""
        alert, chain = event.alert, chain_of(event.alert.identifier)
        for off in self.people.call_offs:
            rises = off.chain == chain and alert.active and said_level(alert) > off.up_to and alert.sent_ms >= off.at_ms // 1000 * 1000
            if rises and (off.resumed_ms is None or alert.sent_ms < off.resumed_ms):
                log.warning("%s was called off up to %s by %s, and is above that now: it speaks again", chain, off.up_to.value, off.by)
                self._resumed[chain, off.at_ms] = (off, event)
                self._apply()

    async def catch_up(self, ledger: Ledger) -> None:
        """At the start: what the ledger has of chains that are called off and had risen. Raises DBAPIError."""
        async with ledger.reading() as connection:
            for off in self.people.call_offs:
                if off.resumed_ms is not None:
                    continue
                c, above = t.alerts.c, [level.value for level in Level if level > off.up_to]
                rose = (c.chain == off.chain) & c.level.in_(above) & (c.sent_ms >= off.at_ms // 1000 * 1000)
                for value in (await connection.execute(sql.select(c.value).where(rose).order_by(c.sent_ms).limit(1))).scalars():
                    self.see(DECODER.decode(value))

    async def refresh(self) -> None:
        """Raises Unavailable: what was known stays."""
        self._old = await self.older()
        for (chain, at_ms), (_, event) in list(self._resumed.items()):
            what = {"identifier": event.alert.identifier, "level": event.alert.level.value, "sent_ms": event.alert.sent_ms}
            await self.decisions.decide("resumed", RESUMED, self.now_ms(), chain, what, once=f"resumed:{chain}:{at_ms}")
            self.standing = await self.decisions.standing(self.now_ms())
            del self._resumed[chain, at_ms]
        self.standing = await self.decisions.standing(self.now_ms())
        self._apply()

    def _apply(self) -> None:
        approvals, silences = self._old
        self.people.approvals = (*approvals, *self.standing.approvals)
        self.people.silences = (*silences, *self.standing.silences.values())
        self.people.asked = self.standing.asked
        self.people.call_offs = tuple(map(self._with_resumed, self.standing.call_offs))

    def _with_resumed(self, off: CallOff) -> CallOff:
        known = self._resumed.get((off.chain, off.at_ms))
        if known is None:
            return off
        alert = known[1].alert
        if off.resumed_ms is not None and off.resumed_ms <= alert.sent_ms:
            return off
        return replace(off, resumed_ms=alert.sent_ms, rose=alert.level)
