"""What a person's word kept from going goes when that word holds no longer: others released what he declined, or his silence has ended.
What waits for a release at that moment goes with that, or when the rule for no answer lets it out.

It goes to whom it was refused for that, if it holds still and they were told nothing newer (``resent``, once for each such word); where it
has run out while a renewal holds, which nobody hears of else, they are told by that.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from warning.alerts.lifecycle import chain_of
from warning.alerts.rules import Approval, Silence, Verdict, audience_level
from warning.dispatch import resent
from warning.dispatch.ledger import Ledger
from warning.dispatch.planner import DECODER, People, Planner
from warning.model import AlertEvent, EventKind
from warning.proof.decisions import Decisions, Standing

log = logging.getLogger(__name__)

DECLINED, SILENCED = "declined", "silenced"  # ``rules.REASONS``
RULES: Mapping[str, str] = {DECLINED: "rule:released_after_all", SILENCED: "rule:silence_over"}
LOOK_MS, LATELY_MS = 60_000, 7 * 86_400_000
WORDS: Mapping[str, str] = {DECLINED: "released after it had been declined", SILENCED: "the silence has ended"}


@dataclass
class Kept:
    """``look`` once a second, when the log is read to its end."""

    people: People
    decisions: Decisions
    ledger: Ledger
    planner: Planner
    _answers: tuple[Approval, ...] | None = field(default=None, init=False)  # those that were looked at
    _quiet: frozenset[Silence] | None = field(default=None, init=False)
    _renewed: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)  # what is to be entered when it is planned
    _waits: bool = field(default=False, init=False)  # something is being planned of what is to be told by a renewal
    _looked_ms: int = field(default=0, init=False)
    _ended_ms: int = field(default=0, init=False)  # when the last silence was ended early, which no silence tells of any more
    _held: dict[str, AlertEvent] = field(default_factory=dict, init=False)  # identifier -> what waited for a release when it was looked at

    async def look(self, standing: Standing, now_ms: int) -> None:
        """When people answered something, a silence has ended, or the rule lets out what waited then; at start, and each minute, for what
        goes again may run out before it went, and be renewed later. Raises Unavailable, DBAPIError: it is done again."""
        for once, (reason, identifier) in list(self._renewed.items()):
            if not self.planner.plans(chain := chain_of(identifier)):
                await self.decisions.decide("released", RULES[reason], now_ms, chain, {"once": once, "identifier": identifier}, once=once)
                del self._renewed[once]
        answers, quiet = self.people.approvals, self._silent(now_ms)
        if self._quiet is None:
            ended = await self.decisions.acts(kinds=("silence_end",), most=1)
            self._ended_ms = ended[0].at_ms if ended else 0
        elif self._quiet - quiet:
            self._ended_ms = now_ms
        ruled = any(not self._verdict(event, now_ms).held for event in self._held.values())
        late = now_ms - self._looked_ms >= LOOK_MS and self._lately(now_ms)
        if answers != self._answers or self._quiet is None or self._quiet - quiet or ruled or self._waits or late:
            self._waits = True  # until all is looked at
            # what was silenced may have been declined since, and the other way round
            self._waits = any([await self._again(reason, quiet, standing, now_ms) for reason in RULES])
            self._held = {name: event for name, event in self._held.items() if self._verdict(event, now_ms).held}
            self._looked_ms = now_ms
        self._answers, self._quiet = answers, quiet

    async def _again(self, reason: str, quiet: frozenset[Silence], standing: Standing, now_ms: int) -> bool:
        """Whether there is something that cannot be told yet, for its chain is being planned."""
        async with self.ledger.reading() as connection:
            refused = await resent.kept(connection, reason, now_ms)
            before = dict(await resent.kept_before(connection, reason, now_ms, self.planner.withheld()))
        for identifier in refused:
            event, chain = DECODER.decode(await self.ledger.alert(identifier)), chain_of(identifier)
            if self.free(event, now_ms):
                what = {"identifier": identifier, "reason": WORDS[reason], "refused": reason}
                once = f"resend:{reason}:{await self._word(event, quiet)}:{identifier}"
                await self.decisions.decide("resend", RULES[reason], now_ms, chain, what, once=once)
        newest, waits = dict[str, AlertEvent](), False
        for event in map(DECODER.decode, await self.ledger.in_force(now_ms) if before else ()):
            if chain_of(event.alert.identifier) in before and event.alert.identifier not in self.planner.withheld():
                newest[chain_of(event.alert.identifier)] = event
        for chain, revision in before.items():
            last = newest.get(chain)
            if last is None or last.alert.kind.told or not last.alert.active or not self.free(last, now_ms):
                continue
            once = f"released:{reason}:{await self._word(last, quiet)}:{chain}.{revision}"
            if once in standing.once or once in self._renewed:
                continue
            if not await self.planner.comes_again(last, since=revision):
                waits = True
            else:
                self._renewed[once] = reason, last.alert.identifier
                log.warning("%s: %s, and whoever did not hear of it is told", last.alert.identifier, WORDS[reason])
        return waits

    def free(self, event: AlertEvent, now_ms: int) -> bool:
        """Whether nobody's word keeps it from all any more. ``resending`` asks for each contact."""
        verdict, alert = self._verdict(event, now_ms), event.alert
        if verdict.held:
            self._held[alert.identifier] = event
        at_once = alert.level in self.planner.region.alert.at_once and alert.kind is not EventKind.DOWNGRADE  # no silence holds that back
        mine = (one for one in self._silent(now_ms) if not one.contact and one.zone == alert.zone)
        return verdict.allowed and (at_once or not any(audience_level(alert) <= one.up_to for one in mine))

    def _lately(self, now_ms: int) -> bool:
        """Whether there was a word that may have kept something which holds still; else the ledger is not asked each minute."""
        said = [one.until_ms for one in self.people.silences] + [one.at_ms for one in self.people.approvals if not one.granted]
        return max(*said, self._ended_ms, 0) > now_ms - LATELY_MS

    def _silent(self, now_ms: int) -> frozenset[Silence]:
        return frozenset(one for one in self.people.silences if one.valid and one.from_ms <= now_ms < one.until_ms)

    def _verdict(self, event: AlertEvent, now_ms: int) -> Verdict:
        return self.planner.may(event, None, now_ms, knows=True, stands_in=True)

    async def _word(self, event: AlertEvent, quiet: frozenset[Silence]) -> str:
        """Names the words that let it go, the same after a restart."""
        zone, chain = event.alert.zone, chain_of(event.alert.identifier)
        released_ms = max((one.at_ms for one in self.people.approvals if one.chain == chain and one.granted), default=0)
        last = await self.decisions.acts(kinds=("silence",), subject=zone, most=1)
        left = sorted((one.contact, one.up_to.value, one.from_ms, one.until_ms) for one in quiet if one.zone == zone)
        return f"{released_ms}:{last[0].id if last else 0}:{hashlib.sha256(repr(left).encode()).hexdigest()[:8]}"
