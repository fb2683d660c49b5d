"""Sends again what a person wished: whom it may still go to, and what has to wait for the end of quiet hours. In SQL: ``resent``.

The gate is asked as for anything (``planner.may``), now and once more right before the send. A replay sends nothing again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from warning.alerts.lifecycle import chain_of
from warning.alerts.quiet import quiet_until
from warning.dispatch.audience import MACHINES
from warning.dispatch.courier import Courier
from warning.dispatch.planner import DECODER
from warning.dispatch.resent import ENDS, SOME
from warning.dispatch.trail import Row
from warning.errors import Unavailable
from warning.model import AlertEvent
from warning.people.acknowledged import Acknowledgements
from warning.proof.decisions import Resend
from warning.region import Contact

log = logging.getLogger(__name__)

EVERY_S = 0.5


@dataclass
class Resends:
    """Does what ``wished`` names (``Standing.resends``). ``contacts``: as they are now; ``lost`` hears of a commit that nobody answered."""

    courier: Courier
    answers: Acknowledgements
    contacts: Callable[[Collection[str]], Awaitable[dict[str, Contact]]]
    now_ms: Callable[[], int]
    lost: Callable[[], None]
    wished: Callable[[], Sequence[Resend]] = tuple
    _done: set[int] | None = field(default=None, init=False)

    async def run(self) -> None:
        """Until it is cancelled. What does not answer is asked again."""
        while True:
            await self.courier.gate.wait()  # before the log is read to its end nobody knows which revision is the newest
            try:
                await self.look()
            except (DBAPIError, OSError) as error:
                log.error("what is to be sent again waits, the ledger does not answer: %s", error)
                self.lost()
            except Unavailable as error:
                if error.reason != "database":
                    raise
                log.error("what is to be sent again waits: %s", error)
            await asyncio.sleep(EVERY_S)

    async def look(self) -> int:
        """Does what is not done yet; how many deliveries go again. Raises Unavailable, DBAPIError."""
        number, wished = 0, self.wished()
        if wished and self._done is None:
            self._done = await self.courier.ledger.resends_done()
        for wish in wished:
            if self._done is not None and wish.id not in self._done:
                number += await self._do(wish)
        return number

    async def _do(self, wish: Resend) -> int:
        ledger, planner, number = self.courier.ledger, self.courier.planner, 0
        at = await ledger.resend_stage(wish, self.now_ms())
        while not (at.done or at.busy or planner.plans(chain_of(wish.alert))):  # what is planned would pass over what waits only since
            rows = await ledger.resend_meant(wish, at)
            contacts, chosen = await self._chosen(wish, DECODER.decode(await ledger.alert(wish.alert)), rows) if rows else ({}, {})
            after = rows[-1]["id"] if len(rows) == SOME else None
            opened, at = await ledger.resend(wish, at, chosen, after, self.now_ms())
            for item in opened:
                self.courier.route(item, contacts[item.contact])
            number += len(opened)
        if at.done and self._done is not None:
            self._done.add(wish.id)
            words = f": {ENDS[at.why]}" if at.why else ""
            log.warning("decision %d by %s: %s goes again in %d deliveries%s", wish.id, wish.by, wish.alert, at.again, words)
        return number

    async def _chosen(self, wish: Resend, event: AlertEvent, rows: Sequence[Row]) -> tuple[dict[str, Contact], dict[int, int]]:
        """Whom it may still go to, and not before when (ms; 0: at once)."""
        planner, now_ms = self.courier.planner, self.now_ms()
        contacts = await self.contacts({row["contact"] for row in rows})
        off = await self.courier.ledger.endpoints_off()
        answered: set[str] = set()
        if wish.undelivered:
            answered = await self.answers.answered(rows[0]["chain"], await self.courier.ledger.out_since(wish.alert))
        chosen: dict[int, int] = {}
        for row in rows:
            contact, machine = contacts.get(row["contact"]), row["channel"] in MACHINES
            if contact is None or not contact.consent or (wish.district and wish.district not in contact.districts):
                continue
            address = dict(planner.ways(contact)).get(row["channel"], "")
            if not address or (contact.id, address) in off or (not machine and contact.id in answered):
                continue
            if planner.may(event, contact, now_ms, knows=True, stands_in=True).allowed:
                chosen[row["id"]] = 0 if machine else quiet_until(contact, event.alert, planner.region, now_ms) or 0
        return contacts, chosen
