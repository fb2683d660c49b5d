"""A partition that this worker owns: its beats, the outputs that are under way, and its checkpoints."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import msgspec

from warning.deployment import Deployment
from warning.errors import ExitCode, StateError, Unavailable
from warning.facts import BeatClosed, CheckpointRefused, CheckpointWritten, Fact, Listener, SeriesOutOfService, ZoneObserved
from warning.model import Level, Switch, to_json
from warning.pipeline.beat import Hazards
from warning.stream import memory
from warning.stream.beats import Beats, Closed
from warning.stream.ports import Fatal, Group, Log, Sent
from warning.stream.state import Frozen, Generation, key_of, note_of

EVERY_RECORDS = 1_000_000  # a checkpoint at the latest after so many records
RESTS = 3  # times as long as the last checkpoint took (or the interval, if that is less) until the next: a quarter of the time
KEPT = 3  # generations
AT_ONCE = 4096  # hazards that stand as bytes
TURN_S = 0.002  # of beats, then whoever else waits for the event loop has a turn
IN_FLIGHT = 8  # chunks handed to the producer and not confirmed
ALERTS_FROM = "alerts_from"  # in a checkpoint's own head: no alert decided after N stands on ``alerts`` before this offset


@dataclass(frozen=True, slots=True)
class Identity:
    """Who writes: unique in each process life (a pid is not, in containers), and what decides there."""

    writer: str
    config: str
    code: str


@dataclass(slots=True)
class Ports:
    """What an owned partition works with."""

    log: Log
    group: Group
    deployment: Deployment
    listen: Listener
    fatal: Fatal  # a send or a checkpoint failed: the process has to end
    flowing: Callable[[], bool] = lambda: True  # False: the group waits for us
    zones: dict[str, str] = field(default_factory=dict)  # zone -> name of the level that was told last


Records = Sequence[tuple[bytes, bytes]]  # (key, value) of each
Output = tuple[str, int, Records]  # topic, partition


class InTurn(Records):
    """The records of a part of a beat's hazards, put into JSON when it is their turn: a beat after an outage tells of every zone, and all
    that as bytes would be as large as the state."""

    __slots__ = ("_hazards",)

    def __init__(self, hazards: Hazards) -> None:
        self._hazards = hazards

    def __len__(self) -> int:
        return len(self._hazards)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._hazards.records())

    @overload
    def __getitem__(self, place: int) -> tuple[bytes, bytes]: ...
    @overload
    def __getitem__(self, place: slice) -> Records: ...
    def __getitem__(self, place: int | slice) -> tuple[bytes, bytes] | Records:
        return self._hazards.records()[place]


def outputs_of(to: Deployment, closed: Closed) -> list[Output]:
    """What a beat publishes, and where. All alerts of a region stand in one partition, so that they have one order."""
    origin, encode = b"%d" % closed.partition, msgspec.json.Encoder().encode
    rejected = [(origin, encode(each)) for each in closed.rejected]
    alerts = [(each.alert.identifier.encode(), to_json(each)) for each in closed.alerts]
    parts = [InTurn(closed.hazards[first : first + AT_ONCE]) for first in range(0, len(closed.hazards), AT_ONCE)]
    outputs = [(to.rejected, 0, rejected), *((to.hazards, closed.partition, part) for part in parts), (to.alerts, 0, alerts)]
    return [output for output in outputs if output[2]]


class Owned:
    def __init__(self, ports: Ports, identity: Identity, beats: Beats, committed: int, generations: list[Generation]) -> None:
        self.beats, self.committed = beats, committed
        self.whole = True  # all outputs of the last beat are in the outbox; else there must not be a checkpoint
        self.saved_at = time.monotonic()
        self._rests_until = 0.0
        self._ports, self._identity, self._generations = ports, identity, generations
        self._saved_position = beats.position
        self._busy = False  # in a run: between two beats, or in the middle of one
        self._outbox: deque[Output] = deque()
        self._flushing, self._saving = asyncio.Lock(), asyncio.Lock()
        self._unconfirmed: list[asyncio.Future[Sent]] = []
        self._task: asyncio.Task[str] | None = None
        # Since when no reading went through and some raised: no checkpoint is made of it, so that a mended version decides it all again.
        self.failing_since: float | None = None
        self.alerts_from = 0
        self.unread: Callable[[], Awaitable[list[Generation]]] | None = None  # gives all generations, where the load did not read them all
        self.told_until_ms = -1  # log time of what had been published after the state when it was loaded
        self._alert_ends: tuple[int, int] = (0, 0)  # of ``alerts``, after the last but one and after the last checkpoint
        self._since, self._switch = 0, False  # of the load: where the log ended, and whether it wrote a switch
        self._next = beats.next
        self._answer = False
        beats.met = self._met

    def begin(self, log_end: int, switch: Switch | None) -> None:
        """Loaded: what stands in the log from ``log_end`` on was written while the partition was ours."""
        self._since, self._switch, self._next = log_end, switch is not None, self.beats.next

    # --- others in the log

    def _met(self, offset: int, switch: Switch) -> None:
        """Somebody has taken the partition over with another configuration or code: after us, or before us without going on.

        Raises ``StateError`` (TAKEN_OVER) in the first case: we have been stopped for so long that the group gave it away, and what we
        would decide from here on would not be what the other decides.
        """
        who = self._identity
        if (switch.config, switch.code) == (who.config, who.code):
            return
        if offset >= self._since:
            where = f"record {offset} of {self._ports.deployment.readings}-{self.beats.partition}"
            raise StateError(
                f"{where}: configuration {switch.config[:12]} and code {switch.code} decide from here on, not ours "
                f"({who.config[:12]}, {who.code}); are two versions running? A restart joins anew",
                exit_code=ExitCode.TAKEN_OVER,
                reason="taken_over",
            )
        self._answer = self._answer or not self._switch

    async def _say_who_decides(self) -> None:
        """The log names another, who went away again without a word: it has to name us, from where we began."""
        self._answer, who = False, self._identity
        now_ms = self.beats.state.now_ms
        switch = Switch(switch_ms=now_ms, writer=who.writer, config=who.config, code=who.code, next=self._next)
        self._unconfirmed.append(await self._ports.log.send(self._ports.deployment.readings, to_json(switch), None, self.beats.partition))
        self._switch = True

    # --- beats

    async def take(self, keys: Sequence[bytes | None], values: Sequence[bytes | None], first: int) -> None:
        """One run: every beat that ends in it is decided and handed to the producer; a checkpoint is begun when it is time.

        Left early, at the end of a beat, when the partition is about to go: then it has to be loaded before the next run.
        """
        self._busy = True
        try:
            await self._take(self.beats.take(keys, values, first))
        finally:
            self._busy = False

    async def _take(self, beats: Iterator[Closed]) -> None:
        turn = ended = time.perf_counter()
        while self._ports.flowing():
            began = ended
            self.whole = False  # until all that the beat decided is in the outbox
            closed = next(beats, None)
            if closed is not None:
                self._put(closed)
            self.whole = True
            if self._answer:
                await self._say_who_decides()
            if closed is None:
                return
            ended = time.perf_counter()
            self._tell(closed, ended - began)
            if self._outbox:
                await self.flush()
                ended = time.perf_counter()
            if self._due():
                self.begin_save()
            if ended - turn > TURN_S:  # a run of history can be thousands of beats: clocks, checkpoints and probes have their turn
                await asyncio.sleep(0)
                turn = ended = time.perf_counter()

    def _put(self, closed: Closed) -> None:
        if closed.outputs.applied:
            self.failing_since = None
        elif closed.outputs.out_of_service and self.failing_since is None:
            self.failing_since = time.monotonic()
        if closed.hazards or closed.rejected or closed.alerts:
            self._outbox.extend(outputs_of(self._ports.deployment, closed))

    async def flush(self) -> None:
        """Hands the outbox to the producer, in order; waits where its buffer is full. A cancel leaves the rest in the outbox."""
        async with self._flushing:
            while self._outbox:
                topic, partition, records = self._outbox[0]
                for sent in await self._ports.log.send_all(topic, partition, list(records)):
                    sent.add_done_callback(self._sent)
                    self._unconfirmed.append(sent)
                self._outbox.popleft()

    def _sent(self, sent: asyncio.Future[Sent]) -> None:
        if not sent.cancelled() and (error := sent.exception()) is not None:
            self._ports.fatal(error)

    def _tell(self, closed: Closed, seconds: float) -> None:
        outputs, listen = closed.outputs, self._ports.listen
        rejected = dict(Counter((each.stage, each.reason) for each in closed.rejected)) if closed.rejected else {}
        alerts = dict(Counter(each.alert.kind for each in closed.alerts)) if closed.alerts else {}
        counts = (closed.readings, outputs.applied, outputs.flags, rejected, alerts)
        listen(BeatClosed(closed.partition, outputs.now_ms, closed.offset, *counts, seconds))
        for (station, parameter), error in outputs.out_of_service.items():
            listen(SeriesOutOfService(station, parameter, error))
        told = self._ports.zones
        for zone, level, silent_since_ms in closed.hazards.other_than(told) if closed.hazards else ():
            previous = told.get(zone)
            told[zone] = level
            listen(ZoneObserved(zone, Level(level), None if previous is None else Level(previous), silent_since_ms))

    # --- checkpoints

    def _due(self) -> bool:
        if (self._task is not None and not self._task.done()) or self.beats.taking is not None or self.failing_since is not None:
            return False
        if (now := time.monotonic()) < self._rests_until:
            return False
        late = now - self.saved_at > self._ports.deployment.checkpoint_every_s
        return late or self.beats.position - self._saved_position > EVERY_RECORDS

    def save_idle(self) -> None:
        """A checkpoint if it is time and no run is open: where no tick follows, as at the end of a replay, no beat would begin one."""
        if not self._busy and self.whole and self.beats.next > self.committed and self._due():
            self.begin_save()

    def begin_save(self) -> None:
        """Writes the state as it is now, while the work goes on."""
        began = time.monotonic()
        frozen = self._copy()
        self._task = asyncio.ensure_future(self._write(frozen, began, time.monotonic() - began))
        self._task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[str]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ports.fatal(error)

    async def last_save(self, within_s: float) -> str:
        """The same once more when the partition goes to another or we stop; the agent is idle. "" or why it was not done.

        What does not fit into ``within_s`` is left undone: the whole group waits for us, and to do the log again is cheap.
        """
        if not self.whole:
            return "cut off in a beat"
        if self.beats.taking is not None:
            return "in the middle of a take-over"
        if self.failing_since is not None:
            return "every reading raises"
        try:
            async with asyncio.timeout(within_s):
                if self._task is not None and not self._task.done():
                    await self._task
                await self.flush()
                began = time.monotonic()
                frozen = self._copy()
                return await self._write(frozen, began, time.monotonic() - began)
        except TimeoutError:
            if self._task is not None:
                self._task.cancel()
            return f"did not fit into {within_s:.1f} s"

    def _copy(self) -> Frozen:
        self.saved_at, self._saved_position = time.monotonic(), self.beats.position
        if self.beats.state.now_ms > self.told_until_ms:
            self.alerts_from = max(self.alerts_from, self._alert_ends[0])
        who = self._identity
        return Frozen.of(
            self.beats.state,
            {ALERTS_FROM: self.alerts_from},
            next=self.beats.next,
            writer=who.writer,
            config=who.config,
            code=who.code,
            tick=self.beats.tick,
        )

    async def _write(self, frozen: Frozen, began: float, pause: float) -> str:
        """Outputs confirmed, chunks, head, commit, tombstones: in this order, each waited for. Why the group refused, or ""."""
        try:
            return await self._written_out(frozen, began, pause)
        finally:
            frozen.close()

    async def _written_out(self, frozen: Frozen, began: float, pause: float) -> str:
        async with self._saving:
            number = frozen.next
            if number <= self.committed:
                return "nothing new"
            await self._confirmed()
            pieces, first = await self._send_chunks(frozen)
            head = frozen.sealed()
            last = await self._checkpoint(key_of(head.writer, number, "head"), msgspec.json.encode(head))
            generation = Generation(head.writer, number, (*pieces, "head"))
            why = await self._ports.group.commit(self.beats.partition, number, note_of(head, first, last.offset))
            self._generations = [each for each in self._generations if (each.writer, each.next) != (head.writer, number)]
            self._generations.append(generation)
            if why:
                self._fact(CheckpointRefused(self.beats.partition, why))
                return why
            self.committed = number
            await self._bury()
            await self._look_at_alerts()
        taken = (ended := time.monotonic()) - began
        self._rests_until = ended + min(RESTS * taken, RESTS * self._ports.deployment.checkpoint_every_s)
        memory.give_back()
        self._fact(CheckpointWritten(self.beats.partition, number, frozen.size, pause, taken))
        return ""

    def _fact(self, fact: Fact) -> None:
        self._ports.listen(fact)

    async def _look_at_alerts(self) -> None:
        try:
            _, end = await self._ports.log.bounds(self._ports.deployment.alerts, 0)
        except Unavailable:
            return  # then more of the topic is read the next time
        self._alert_ends = self._alert_ends[1], end

    async def _confirmed(self) -> None:
        """Waits until the brokers have every output so far."""
        waiting = list(self._unconfirmed)
        for sent in waiting:
            await asyncio.shield(sent)
        self._unconfirmed = [sent for sent in self._unconfirmed if not sent.done()]

    async def _send_chunks(self, frozen: Frozen) -> tuple[list[str], int | None]:
        """The chunks, and the offset of the first."""
        window: deque[asyncio.Future[Sent]] = deque()
        count, first = 0, None
        for _ in frozen.prepared():
            await asyncio.sleep(0)
        for chunk in frozen.chunks():
            window.append(await self._send(key_of(frozen.writer, frozen.next, count), chunk))
            count += 1
            if len(window) >= IN_FLIGHT:
                sent = await window.popleft()
                first = sent.offset if first is None else first
            await asyncio.sleep(0)  # beats have their turn
        for waiting in window:
            sent = await waiting
            first = sent.offset if first is None else first
        return [str(chunk) for chunk in range(count)], first

    async def _send(self, key: bytes, value: bytes | None) -> asyncio.Future[Sent]:
        return await self._ports.log.send(self._ports.deployment.checkpoints, value, key, self.beats.partition)

    async def _checkpoint(self, key: bytes, value: bytes | None) -> Sent:
        return await (await self._send(key, value))

    async def _bury(self) -> None:
        """Tombstones for all generations but the last three, and for what killed workers left unfinished before them."""
        if self.unread is not None:
            try:
                found = await self.unread()
            except Unavailable:
                return  # then the next time
            known = {(each.writer, each.next) for each in found}
            self._generations = found + [each for each in self._generations if (each.writer, each.next) not in known]
            self.unread = None
        numbers = sorted({each.next for each in self._generations if "head" in each.pieces and each.next <= self.committed})[-KEPT:]
        done = [each for each in self._generations if each.next <= self.committed]
        for old in [each for each in done if each.next < numbers[0] or "head" not in each.pieces]:
            # The head first: a generation must not look whole while its chunks go.
            for piece in sorted(old.pieces, key=lambda name: name != "head"):
                await self._checkpoint(key_of(old.writer, old.next, piece), None)
            self._generations.remove(old)
