"""What was said by hand in a chain's place runs out: if the water is still above, the alert comes again, to whom it went and to who is new.

What people were told by its newest revision goes again (``resent``); where contacts do not hear of revisions of that kind it is planned for
them as if they did. Done when both are entered: killed in between, it is done again, and nobody hears twice. What other words of people
kept from going: ``kept``.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import CallOff, Decision, called_off, said_instead
from warning.dispatch.courier import Courier
from warning.dispatch.kept import Kept
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import DECODER, People
from warning.model import Alert, AlertEvent
from warning.proof.decisions import Decisions, Standing
from warning.region import Region

log = logging.getLogger(__name__)

RULE = "rule:call_off_over"


@dataclass
class Returned:
    """Looks once a second. Never in a replay: its people decided later."""

    region: Region
    people: People
    decisions: Decisions
    ledger: Ledger
    courier: Courier

    def __post_init__(self) -> None:
        self.planner = self.courier.planner
        self._coming: dict[str, str] = {}  # what runs out -> what comes again
        self._kept = Kept(self.people, self.decisions, self.ledger, self.planner)

    async def look(self, standing: Standing, now_ms: int) -> None:
        """Raises Unavailable, DBAPIError: it is done again. Before the log is read to its end nobody knows which revision is the newest."""
        if not self.courier.gate.is_set():
            return
        await self._over(standing, now_ms)
        await self._kept.look(standing, now_ms)  # after it: what comes again to all is not to go a second time

    async def _over(self, standing: Standing, now_ms: int) -> None:
        last = {off.chain: (off, said) for off in standing.call_offs if (said := self._said(off, now_ms)) is not None}
        over = [(off, said) for off, said in last.values() if said.expires_ms <= now_ms and _once(said) not in standing.once]
        if not over:
            return
        chains: dict[str, list[AlertEvent]] = defaultdict(list)
        for event in map(DECODER.decode, await self.ledger.in_force(now_ms)):
            chains[chain_of(event.alert.identifier)].append(event)
        for off, said in over:
            await self._ended(off, said, chains[off.chain], standing, now_ms)

    async def _ended(self, off: CallOff, said: Alert, events: Sequence[AlertEvent], standing: Standing, now_ms: int) -> None:
        """``events``: the revisions of its chain that have not expired. The newest that waits for nobody comes again now; what waits above
        it when that is let out, or when a silence ends."""
        once, until_ms, waits = _once(said), said.expires_ms, 0
        while waits < len(events) and self.planner.waits(events[-1 - waits], now_ms):
            waits += 1
        free, later = events[: len(events) - waits], events[len(events) - waits :]
        if free and self._coming.get(once) != free[-1].alert.identifier and self._held_back(off, until_ms, free[-1]):
            if not self._kept.free(free[-1], now_ms):
                return
            told = next((event.alert.identifier for event in reversed(free) if event.alert.kind.told), "")
            since_ms = await self.ledger.out_since(told)  # planned since that ran out: it went by itself
            if since_ms < until_ms and not await self._again(off, said, free[-1], standing, now_ms):
                return
        if not self.planner.plans(off.chain) and not any(self._held_back(off, until_ms, event) for event in later):
            what = {"once": once, "identifier": self._coming.get(once, "")}
            await self.decisions.decide("call_off_over", RULE, now_ms, off.chain, what, once=once)

    def _said(self, off: CallOff, now_ms: int) -> Alert | None:
        """What holds in its place, or did to its end: a later correction that nobody released is none."""
        return said_instead(off, self.region.alert, Decision(self.people.approvals, asked=self.people.asked), now_ms)

    def _held_back(self, off: CallOff, until_ms: int, event: AlertEvent) -> bool:
        """Whether it is silent because of this alone: not where it rose above it, where nobody had let the correction out, or where
        something newer has gone since."""
        alert = event.alert
        if not alert.active or (alert.kind.told and alert.sent_ms >= until_ms):
            return False
        same = (one for one in self.people.call_offs if (one.chain, one.at_ms) == (off.chain, off.at_ms))
        known = next(same, off)  # with what was seen and is not entered yet
        decision = Decision(self.people.approvals, call_offs=(known,), asked=self.people.asked)
        return called_off(alert, self.region.alert, decision, until_ms, until_ms - 1) is not None

    async def _again(self, off: CallOff, said: Alert, event: AlertEvent, standing: Standing, now_ms: int) -> bool:
        """To whom it went goes again, and only then to whoever is new: what is planned now must not go a second time. False: not yet."""
        alert, once = event.alert, _once(said)
        if 0 < await self.ledger.out_since(alert.identifier) < said.expires_ms:
            what = {"identifier": alert.identifier, "reason": f"what {off.by} said in its place has run out"}
            new = await self.decisions.decide("resend", RULE, now_ms, off.chain, what, once=f"resend:{once}:{alert.identifier}")
            wished = {wish.id for wish in standing.resends if wish.alert == alert.identifier and wish.by == RULE}
            if new is not None or wished - await self.ledger.resends_done():
                return False
        if not await self.planner.comes_again(event):
            return False
        self._coming[once] = alert.identifier
        log.warning("%s comes again: what %s said in its place has run out", alert.identifier, off.by)
        return True


def _once(said: Alert) -> str:
    return f"call_off_over:{said.identifier}"
