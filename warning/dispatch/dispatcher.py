"""The dispatcher: reads ``alerts``, decides who is told, sends, and keeps the ledger and the topic ``receipts`` true.

**Time.** Live, ``now`` is the wall clock as far as the brokers agree (``clock``); when the log is more than a minute ahead of us, it is
read to its end before anything is sent, so that each chain's newest revision goes and the older ones are recorded as overtaken. In a
replay each revision is judged and sent at its own sent time, whenever we come to read it: five weeks do not collapse into their
last day, and the outcome does not depend on how fast anything ran. Waits between attempts are then shortened
(``courier.REPLAY_WAIT_MS``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote

from sqlalchemy.exc import DBAPIError

from warning.alerts import message
from warning.alerts.rules import Decision
from warning.config_cash import Cash
from warning.deployment import Deployment
from warning.dispatch import pulse
from warning.dispatch.attempts import Answer, Arrived, Entry
from warning.dispatch.cash import CashDesk
from warning.dispatch.channel import Channel, PartReceipt
from warning.dispatch.channels import Asks, build
from warning.dispatch.clock import Clock
from warning.dispatch.closures import Closures
from warning.dispatch.codes_out import CodesOut
from warning.dispatch.courier import Courier
from warning.dispatch.errands import Errands
from warning.dispatch.escalation import Escalation
from warning.dispatch.following import Following
from warning.dispatch.journal import Journal
from warning.dispatch.ledger import Ledger
from warning.dispatch.lookup import Lookup
from warning.dispatch.notice import Notices
from warning.dispatch.operators import ways
from warning.dispatch.outlet import drain, publish
from warning.dispatch.planner import People, Planner
from warning.dispatch.resending import Resends
from warning.dispatch.rows import Open
from warning.dispatch.sms import Text, text_of
from warning.dispatch.source import Batch, Source
from warning.dispatch.webhook import WebhookChannel
from warning.errors import Unavailable
from warning.facts import ChannelState, Fact, Listener, Ready, Undelivered
from warning.model import AlertEvent
from warning.people.acknowledged import Acknowledgements
from warning.people.directory import Directory
from warning.people.imports import CONFIG, merge
from warning.people.mailed import Mailed
from warning.people.tables import address
from warning.proof.codes import code_of
from warning.proof.register import Register
from warning.proof.signing import Signed
from warning.region import Contact, Region
from warning.routes import Routes
from warning.tasks import ended

log = logging.getLogger(__name__)

BEHIND_MS = 60_000
FINISH_S = 20.0  # how long a stop waits for what is under way
MOST_TEXTS = 1000
NO_ROUTES = Routes()
RECHECK_S = 1.0  # how often people's decisions are read, and what is held is asked again


def wall_clock_ms() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


class Dispatcher:
    """Everything between the topic ``alerts`` and the phones. One works per deployment: the ledger's lease sees to that.

    ``endpoints``, ``allow_loopback``: see ``webhook.WebhookChannel``; both empty except in a rehearsal. Without
    ``deployment.smpp_user`` and ``routes.sms`` there is no SMS, and a contact with nothing but a phone is nobody's.
    """

    def __init__(
        self,
        region: Region,
        deployment: Deployment,
        listen: Listener,
        *,
        endpoints: Mapping[str, str] | None = None,
        allow_loopback: frozenset[tuple[str, int]] = frozenset(),
        clock: Callable[[], int] = wall_clock_ms,
        sms_per_s: float = 1000.0,
        routes: Routes = NO_ROUTES,
        cash: Cash | None = None,
    ) -> None:
        self._region, self._deployment, self._told = region, deployment, listen
        self._closures = Closures()
        self._clock = Clock(deployment, listen, clock)
        self._wall_ms = self._clock.now_ms
        self._newest_ms = 0
        self._people = People()
        self._answers = Acknowledgements(address(deployment))
        self._directory, self._resync = Directory(address(deployment), region), False
        self._beating: asyncio.Task[None] | None = None
        self._source = Source(deployment, deployment.alerts, listen)
        self._texts: dict[tuple[str, str, str, bool], Text] = {}
        self._signed, self._register = Signed(deployment, listen), Register(region, deployment)
        self._webhooks = WebhookChannel(endpoints or {}, allow_loopback, now=lambda: datetime.fromtimestamp(self._wall_ms() / 1000, UTC))
        asks = Asks(self._words, self._receipt, lambda name: partial(self._channel_state, name), listen, self._code)
        built = build(region, deployment, routes, asks, sms_per_s)
        self._receipts_in = built.receipts
        self._codes = CodesOut(region, Mailed(self._directory), routes.email) if routes.email else None
        if (sms := next((channel for channel in built.channels if channel.name == "sms"), None)) is None:
            log.warning("there is no SMS: neither smpp_user nor a route for it is set")
        self._posts = ways(self._webhooks, sms, region, deployment, routes, listen, self._wall_ms)
        self._following = Following(region, deployment, self._people, self._posts, listen, self.now_ms, self._directory, routes)
        tell = self._following.announce, self._following.cash_waits
        self._cash = CashDesk(cash, region, deployment, self._decision, self._wall_ms, listen, *tell) if cash else None
        self._channels: dict[str, Channel] = {channel.name: channel for channel in (*built.channels, self._webhooks)}

    def _listen(self, fact: Fact) -> None:
        if isinstance(fact, ChannelState):
            self._closures.note(fact.channel, fact.up, self._wall_ms())
        self._told(fact)

    def now_ms(self) -> int:
        """The time that decides: the wall clock live, the newest sent time seen in a replay."""
        return self._newest_ms if self._deployment.replay else self._wall_ms()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop`` is set, then finishes what is under way.

        Stands by while another dispatcher has the ledger's lease, and takes over when that one has died or hangs.
        Raises ``StateError`` (this log is not the ledger's; our clock is off the brokers'), ``Unavailable`` (no database, or another
        dispatcher has taken the ledger over because this one hung).
        """
        ledger = await Ledger.open(self._deployment.database, self._region.id)
        try:
            if not await ledger.lease.take(stop, self._standing_by):
                return
            self._beating = asyncio.create_task(self._beat(ledger), name="lease")
            if not self._deployment.replay:
                await self._clock.start()
            await self._start(ledger)
            await self._work(ledger, stop)
        finally:
            await ended([self._beating] if self._beating else [])
            self._listen(Ready("dispatch", False, "stopped"))
            await self._signed.close()
            await self._register.close()
            if self._cash:
                await self._cash.close()
            await self._following.close()
            await self._directory.close()
            await self._answers.close()
            await ledger.close()

    def _standing_by(self) -> None:
        log.warning("another dispatcher has the ledger: this one stands by")
        self._listen(Ready("dispatch", False, "stands by: another dispatcher has the ledger"))

    async def _start(self, ledger: Ledger) -> None:
        self._newest_ms = await ledger.newest_ms(self._deployment.alerts)
        self._code_secret = await self._register.secret()
        self._journal: Journal[Entry, Answer] = Journal(ledger.write, self._ledger_state)
        channels = tuple(self._channels.values())
        await merge(self._directory, self._region.contacts, CONFIG, self._wall_ms(), by=CONFIG, whole=True)
        self._planner = Planner(
            self._region,
            self._deployment,
            ledger,
            self._directory,
            channels,
            self._people,
            self._listen,
            self._routed,
            lambda ids: self._courier.drop(ids),
            lambda: self._courier.resync(),
            self._wall_ms,
        )
        self._planner.see = self._following.see
        ledger.withheld = self._planner.withheld
        contacts, replay = Lookup(self._contacts), self._deployment.replay
        self._courier = Courier(
            ledger, self._journal, self._planner, self._channels, contacts, replay, self.now_ms, self._wall_ms, self._listen
        )
        self._courier.seal, self._courier.link = self._signed.seal, self._link
        self._following.resends = Resends(self._courier, self._answers, self._contacts, self.now_ms, self._lost)
        await ledger.import_contacts(self._region.contacts)
        await self._following.start(ledger)
        crashed = await ledger.recover(self.now_ms())
        if crashed:
            log.warning("%d deliveries were under way when the last dispatcher ended: they go again, marked as doubled", crashed)

    async def _work(self, ledger: Ledger, stop: asyncio.Event) -> None:
        """All loops at once; the first one that ends ends all, and what is under way is waited for."""
        deployment = self._deployment
        if self._receipts_in:
            await self._receipts_in.start()
        for channel in self._channels.values():
            await channel.start()
        last = [
            asyncio.create_task(self._journal.run(), name="journal"),
            asyncio.create_task(publish(ledger, deployment, self._listen), name="outlet"),
        ]
        assert self._beating is not None
        zones = Notices(self._region, deployment, ledger, self._posts, self._listen, self._following.operators, self._following.lasting)
        loops = [
            asyncio.create_task(stop.wait(), name="stop"),
            asyncio.create_task(self._consume(ledger), name="alerts"),
            asyncio.create_task(self._planner.run(), name="planner"),
            asyncio.create_task(stop.wait() if deployment.replay else self._escalation(ledger).run(), name="escalation"),
            asyncio.create_task(zones.run(), name="hazards"),
            asyncio.create_task(self._recheck(ledger), name="people"),
            asyncio.create_task(pulse.run(ledger, self._source.read_up_to_ms, zones.newest_ms), name="pulse"),
            asyncio.create_task(
                Errands(self._directory.subscriptions, self._webhooks, ledger, self._wall_ms, self._codes).run(), name="errands"
            ),
            asyncio.create_task(self._following.publish(), name="by hand"),
            asyncio.create_task(self._following.send_again(), name="resends"),
            asyncio.create_task(self._cash.run() if self._cash else stop.wait(), name="cash"),
            asyncio.create_task(self._clock.run(), name="clock"),
        ]
        try:
            done, _ = await asyncio.wait([*loops, *last, self._beating], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await ended(loops)
            cut_off = await self._courier.finish(0.0 if last[0].done() else FINISH_S)  # without a journal nothing can be closed
            if cut_off:
                log.warning("%d attempts were cut off; the ledger calls them unknown and they go again", cut_off)
            for channel in self._channels.values():
                await channel.stop()
            if self._receipts_in:
                await self._receipts_in.stop()
            await drain(ledger)
            await ended(last)
        for task in done:
            task.result()  # raises what ended us

    def _decision(self) -> Decision:
        """What people said of alerts, for whoever asks for the public."""
        people, where = self._people, self._deployment
        return Decision(people.approvals, people.silences, where.replay, where.embedded, call_offs=people.call_offs, asked=people.asked)

    # --- in

    async def _consume(self, ledger: Ledger) -> None:
        deployment, gate = self._deployment, self._courier.gate
        source = self._source
        try:
            await source.start(await ledger.positions(deployment.alerts, deployment.cluster, forgets=deployment.embedded))
            await self._courier.resync()
            await self._planner.start()
            if deployment.replay:
                gate.set()
            self._listen(Ready("dispatch", True))
            async for batch in source.batches():
                if batch is not None:
                    self._mind_the_gate(batch, await self._take(batch))
                elif not gate.is_set() and source.caught_up():
                    gate.set()
        finally:
            await source.stop()

    async def _take(self, batch: Batch) -> int:
        """Enters a batch, to be planned; returns the newest sent time in it."""
        failed = False
        while True:
            try:
                newest_ms = await self._planner.take(batch, self._wall_ms())
                if failed:
                    await self._planner.start()  # what was committed and not answered
            except (DBAPIError, OSError) as error:  # what was entered before the failure is known by its id, and in the ledger
                log.error("the ledger does not answer, the log waits: %s", error)
                self._listen(Ready("ledger", False, "the ledger does not answer"))
                failed = True
                await asyncio.sleep(1.0)
                continue
            if failed:
                log.warning("the ledger answers again")
                self._listen(Ready("ledger", True))
            self._newest_ms = max(self._newest_ms, newest_ms)
            return newest_ms

    def _routed(self, opened: Sequence[tuple[Open, Contact]]) -> None:
        for item, contact in opened:
            self._courier.route(item, contact)

    async def _link(self, chain: str, contact: str) -> str:
        """Where a contact answers; no page, no link. A database that is away holds up no message."""
        base = self._region.urls.get("acknowledge", "").rstrip("/")
        if not base:
            return ""
        try:
            token = await self._answers.token(chain, contact)
        except Unavailable as error:
            log.error("a message goes without its link: %s", error)
            return ""
        return f"{base}/{quote(chain, safe='')}/{quote(contact, safe='')}/{token}"

    def _escalation(self, ledger: Ledger) -> Escalation:
        made = Escalation(
            self._planner,
            ledger,
            self._directory,
            self._answers,
            self._contacts,
            self._routed,
            self._code,
            self.now_ms,
            self._listen,
            self._closures,
            self._lost,
        )
        self._planner.unreachable, made.untold.tell = made.wake, self._following.untold
        return made

    def _lost(self) -> None:
        """A commit may have come through whose answer did not: the ledger may have what nobody was handed."""
        self._resync = True

    def _ledger_state(self, up: bool, why: str) -> None:
        self._listen(Ready("ledger", up, why))
        if up:
            self._lost()

    async def _contacts(self, ids: Collection[str]) -> dict[str, Contact]:
        """As they are now, also who said stop. Raises Unavailable."""
        return await self._directory.many(ids)

    def _mind_the_gate(self, batch: Batch, newest_ms: int) -> None:
        """Live and more than a minute behind: read to the end before sending."""
        behind = batch.more and newest_ms < self._wall_ms() - BEHIND_MS
        if self._deployment.replay or not behind:
            self._courier.gate.set()
        else:
            self._courier.gate.clear()

    # --- what the channels ask

    def _words(self, event: AlertEvent, language: str, role: str, again: bool = False) -> Text:
        """The same for every contact of a language and role; made once."""
        key = event.alert.identifier, language, role, again
        if key not in self._texts:
            if len(self._texts) >= MOST_TEXTS:
                self._texts.clear()
            code = code_of(self._code_secret, event.alert.identifier)
            self._texts[key] = text_of(message.sms(event.alert, self._region, language, role, code, again=again).text)
        return self._texts[key]

    def _code(self, identifier: str) -> str:
        return code_of(self._code_secret, identifier)

    async def _receipt(self, receipt: PartReceipt) -> None:
        again = await self._journal.put(Arrived(receipt, self.now_ms()))
        try:
            await self._courier.take_up(again if isinstance(again, tuple) else ())
        except Unavailable as error:
            log.error("a retry waits for its contact: %s", error)
            self._resync = True

    def _channel_state(self, name: str, up: bool) -> None:
        self._listen(ChannelState(name, up))
        if name == "sms":  # without the others people are still warned
            self._listen(Ready(name, up, "" if up else "no session with an SMS centre"))

    # --- people

    async def _beat(self, ledger: Ledger) -> None:
        """From the lease to the last receipt: neither the start with ninety thousand contacts nor a stop may look like one who hangs."""
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                await ledger.beat()
            except (DBAPIError, OSError) as error:
                log.error("the ledger does not answer: %s", error)

    async def _recheck(self, ledger: Ledger) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            self._listen(Undelivered(self._courier.waiting))
            self._signed.watch()
            try:
                await self._following.recheck()
                self._planner.look_again()  # before what is held is let go: what it overtakes must not go first
                await self._courier.recheck()
                if self._resync:
                    self._resync = False
                    await self._courier.resync()
            except (DBAPIError, OSError, Unavailable) as error:
                log.error("what is held waits, ledger or contacts do not answer: %s", error)
                self._lost()
