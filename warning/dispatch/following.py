"""What the dispatcher does with what people decide: follows it, publishes what they raised, sends again, and tells operators what waits."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.exc import DBAPIError

from warning.deployment import Deployment
from warning.dispatch.by_hand import ByHand
from warning.dispatch.decided import Decided
from warning.dispatch.lasting import Lasting, State
from warning.dispatch.ledger import Ledger
from warning.dispatch.notice import Operators
from warning.dispatch.operator_book import Book, Post
from warning.dispatch.operators import OperatorPosts, told
from warning.dispatch.planner import DECODER, People
from warning.dispatch.reports import Reports
from warning.dispatch.resending import Resends
from warning.dispatch.returned import Returned
from warning.dispatch.waiting import Waiting, whoever
from warning.errors import Unavailable
from warning.facts import Listener
from warning.model import AlertEvent
from warning.people.directory import Directory
from warning.people.tables import address
from warning.proof.decisions import Decisions
from warning.proof.gathered import Gathering
from warning.region import Contact, Region
from warning.routes import Routes
from warning.tasks import ended

log = logging.getLogger(__name__)

MOST_UNDER_WAY = 2_000  # a bound of the memory alone: how many go at once is the channel's affair


class Following:
    """Keeps ``people`` as they decided. ``start`` before anything else of it."""

    def __init__(
        self,
        region: Region,
        deployment: Deployment,
        people: People,
        posts: OperatorPosts,
        listen: Listener,
        now_ms: Callable[[], int],
        directory: Directory,
        routes: Routes,
    ) -> None:
        self._region, self._deployment, self._people, self._operator_posts = region, deployment, people, posts
        self._now_ms, self._listen, self._reports = now_ms, listen, routes.reports
        self.operators: Operators = partial(directory.operators, posts.by_phone)
        self._repeat_ms = 0 if deployment.replay else round(1000 * routes.repeat_s)
        self._decisions = Decisions(deployment.database, replay=deployment.replay)
        self._gathering = Gathering(address(deployment), deployment.database)
        self._waiting = Waiting(region, deployment, people, self._decisions, self.operators, self._tell, listen)
        self.resends: Resends | None = None
        self._under_way: dict[str, asyncio.Task[None]] = {}  # by the name of the notice to this operator

    async def start(self, ledger: Ledger) -> None:
        """Raises Unavailable: without what people decided nothing may be sent."""
        everyone = partial(whoever, self.operators, self._region)
        self._book = Book(ledger, self._now_ms)
        self._left = await self._operator_posts.start(self._book)
        self.lasting = self._waiting.lasting = Lasting(ledger, everyone, self._post, self._now_ms, self._repeat_ms)
        self._told = Reports(self._region, self._reports, ledger, self._listen, self._now_ms, self.operators, self._tell, self.lasting)
        self._decided = Decided(self._decisions, self._people, ledger.decisions, self._now_ms)
        self._by_hand = ByHand(self._deployment, ledger, lambda: self._decided.standing.manual, self._now_ms)
        self._returned = Returned(self._region, self._people, self._decisions, ledger, self.resends.courier) if self.resends else None
        await self._decided.refresh()
        await self._decided.catch_up(ledger)
        if self._region.alert.approve_from is not None:
            for value in await ledger.in_force(self._now_ms()):
                self._waiting.see(DECODER.decode(value))

    def see(self, event: AlertEvent) -> None:
        """A revision is being planned."""
        self._decided.see(event)
        self._waiting.see(event)

    async def recheck(self) -> None:
        """Once a second. Raises Unavailable: what was known stays."""
        await self._decided.refresh()
        if self._region.alert.approve_from is not None:
            await self._waiting.look(self._now_ms(), self._decided.standing.once)
        if self._returned is not None and not self._deployment.replay:
            await self._returned.look(self._decided.standing, self._now_ms())
        try:
            await self._gathering.gather()
        except Unavailable as error:  # it stands in its own chain, and follows
            log.warning("what people said waits for the audit: %s", error)

    async def untold(self, events: Collection[AlertEvent]) -> None:
        """Operators hear of warnings that nobody is told of."""
        await self._waiting.untold(events)

    async def cash_waits(self, cases: Mapping[str, Mapping[str, object]]) -> None:
        """Payments that wait for an approval; that one waits no more is told. Raises Unavailable."""
        states = {case: State(data, lambda contact: contact.live) for case, data in cases.items()}
        try:
            await self.lasting.look("cash.waiting", states, begun=True)
        except (DBAPIError, OSError) as error:
            raise Unavailable(f"the ledger does not answer: {error}", reason="database") from error

    async def publish(self) -> None:
        """Alerts by hand; and what the SMS centres report, until it is cancelled. First what the last dispatcher did not come to tell."""
        operators = {contact.id: contact for contact in await whoever(self.operators, self._region)} if self._left else {}
        for post in self._left:
            if post.contact in operators:
                await self._post(operators[post.contact], post.identifier, post.body)
            else:
                await self._operator_posts.settled(post.identifier)
        await asyncio.gather(self._by_hand.run(), self._told.run())

    async def send_again(self) -> None:
        """What people wished to be sent again, until it is cancelled. Never in a replay."""
        assert self.resends is not None
        self.resends.wished = lambda: () if self._deployment.replay else self._decided.standing.resends
        await self.resends.run()

    async def close(self) -> None:
        await ended(self._under_way.values())
        await self._operator_posts.close()
        await self._decisions.close()
        await self._gathering.close()

    async def announce(self, once: str, kind: str, data: Mapping[str, object]) -> None:
        """Tells the live operators of what is no alert. ``once``: the same when it is said again. Raises Unavailable."""
        at = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        body = json.dumps({"type": kind, "timestamp": at, "data": dict(data)})
        for contact in await self.operators():
            if contact.live:
                await self._tell(contact, f"{kind}:{once}:{contact.id}".replace(".", "~"), body)

    async def _tell(self, contact: Contact, identifier: str, body: str) -> None:
        """Enters a notice, for a crash, and posts it, also where the ledger is away."""
        if self._operator_posts.reaches(contact):
            try:
                await self._book.enter(Post(identifier, contact.id, body, json.loads(body)["type"]))
            except (DBAPIError, OSError, Unavailable) as error:
                log.error("a crash would cut %s off, for the ledger does not answer: %s", identifier, error)
            await self._post(contact, identifier, body)

    async def _post(self, contact: Contact, identifier: str, body: str) -> None:
        """Beside the loop that asks: an operator's dead endpoint holds nothing up. What is told again while it is under way goes once."""
        if identifier in self._under_way:
            return
        if not self._operator_posts.reaches(contact):
            await self._operator_posts.settled(identifier)
            return
        if len(self._under_way) >= MOST_UNDER_WAY:
            log.error("%s is not told of %s: %d notices are under way; the log has it", contact.id, identifier, MOST_UNDER_WAY)
            return
        task = asyncio.create_task(told(self._operator_posts, contact, identifier, body))
        self._under_way[identifier] = task
        task.add_done_callback(lambda _: self._under_way.pop(identifier, None))
