"""A partition that this worker owns: its beats, the outputs that are under way, and its checkpoints."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from warning.deployment import Deployment
from warning.facts import BeatClosed, CheckpointRefused, CheckpointWritten, Fact, Listener, SeriesOutOfService, ZoneObserved
from warning.model import Level, to_json
from warning.stream.beats import Beats, Closed
from warning.stream.ports import Fatal, Group, Log, Sent
from warning.stream.state import Frozen, Generation, Memory, key_of, note_of

EVERY_RECORDS = 1_000_000  # a checkpoint at the latest after so many records
KEPT = 3  # generations
IN_FLIGHT = 8  # chunks handed to the producer and not confirmed


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
    zones: dict[str, Level] = field(default_factory=dict)  # as last told


Output = tuple[str, int, list[tuple[bytes, bytes]]]  # topic, partition, (key, value) of each record


def outputs_of(to: Deployment, closed: Closed) -> list[Output]:
    """What a beat publishes, and where. All alerts of a region stand in one partition, so that they have one order."""
    rejected = [(b"%d" % closed.partition, to_json(each)) for each in closed.rejected]
    hazards = [(each.zone.encode(), to_json(each)) for each in closed.hazards]
    alerts = [(each.alert.identifier.encode(), to_json(each)) for each in closed.alerts]
    outputs = [(to.rejected, 0, rejected), (to.hazards, closed.partition, hazards), (to.alerts, 0, alerts)]
    return [output for output in outputs if output[2]]


class Owned:
    def __init__(self, ports: Ports, identity: Identity, beats: Beats, committed: int, generations: list[Generation]) -> None:
        self.beats, self.committed = beats, committed
        self.whole = True  # all outputs of the last beat are in the outbox; else there must not be a checkpoint
        self.saved_at = time.monotonic()
        self._ports, self._identity, self._generations = ports, identity, generations
        self._saved_position = beats.position
        self._busy = False  # in a run: between two beats, or in the middle of one
        self._memory = Memory()
        self._outbox: deque[Output] = deque()
        self._flushing, self._saving = asyncio.Lock(), asyncio.Lock()
        self._unconfirmed: list[asyncio.Future[Sent]] = []
        self._task: asyncio.Task[str] | None = None

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
        while self._ports.flowing():
            began = time.perf_counter()
            self.whole = False  # until all that the beat decided is in the outbox
            closed = next(beats, None)
            if closed is not None:
                self._put(closed)
            self.whole = True
            if closed is None:
                return
            self._tell(closed, time.perf_counter() - began)
            await self.flush()
            if self._due():
                self.begin_save()
            await asyncio.sleep(0)  # a run of history can be thousands of beats: clocks, checkpoints and probes have their turn

    def _put(self, closed: Closed) -> None:
        self._outbox.extend(outputs_of(self._ports.deployment, closed))

    async def flush(self) -> None:
        """Hands the outbox to the producer, in order; waits where its buffer is full. A cancel leaves the rest in the outbox."""
        async with self._flushing:
            while self._outbox:
                for sent in await self._ports.log.send_all(*self._outbox[0]):
                    sent.add_done_callback(self._sent)
                    self._unconfirmed.append(sent)
                self._outbox.popleft()

    def _sent(self, sent: asyncio.Future[Sent]) -> None:
        if not sent.cancelled() and (error := sent.exception()) is not None:
            self._ports.fatal(error)

    def _tell(self, closed: Closed, seconds: float) -> None:
        outputs, listen = closed.outputs, self._ports.listen
        rejected = Counter((each.stage, each.reason) for each in closed.rejected)
        alerts = Counter(each.alert.kind for each in closed.alerts)
        counts = (closed.readings, outputs.applied, outputs.flags, dict(rejected), dict(alerts))
        listen(BeatClosed(closed.partition, outputs.now_ms, closed.offset, *counts, seconds))
        for (station, parameter), error in outputs.out_of_service.items():
            listen(SeriesOutOfService(station, parameter, error))
        for hazard in closed.hazards:
            previous = self._ports.zones.get(hazard.zone)
            if previous is not hazard.level:
                self._ports.zones[hazard.zone] = hazard.level
                listen(ZoneObserved(hazard.zone, hazard.level, previous, hazard.silent_since_ms))

    # --- checkpoints

    def _due(self) -> bool:
        if self._task is not None and not self._task.done():
            return False
        late = time.monotonic() - self.saved_at > self._ports.deployment.checkpoint_every_s
        return late or self.beats.position - self._saved_position > EVERY_RECORDS

    def save_idle(self) -> None:
        """A checkpoint if it is time and no run is open: where no tick follows, as at the end of a replay, no beat would begin one."""
        if not self._busy and self.whole and self.beats.next > self.committed and self._due():
            self.begin_save()

    def begin_save(self) -> None:
        """Copies the state now and writes it while the work goes on."""
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
        head, arrays = self.beats.state.freeze()
        who = self._identity
        return self._memory.copy(
            head, arrays, next=self.beats.next, writer=who.writer, config=who.config, code=who.code, tick=self.beats.tick
        )

    async def _write(self, frozen: Frozen, began: float, pause: float) -> str:
        """Outputs confirmed, chunks, head, commit, tombstones: in this order, each waited for. Why the group refused, or ""."""
        async with self._saving:
            number = frozen.head.next
            if number <= self.committed:
                return "nothing new"
            await self._confirmed()
            head = await asyncio.to_thread(frozen.sealed)
            pieces = await self._send_chunks(frozen)
            await self._checkpoint(key_of(head.writer, number, "head"), msgspec.json.encode(head))
            generation = Generation(head.writer, number, (*pieces, "head"))
            why = await self._ports.group.commit(self.beats.partition, number, note_of(head))
            self._generations = [each for each in self._generations if (each.writer, each.next) != (head.writer, number)]
            self._generations.append(generation)
            if why:
                self._fact(CheckpointRefused(self.beats.partition, why))
                return why
            self.committed = number
            await self._bury()
        self._fact(CheckpointWritten(self.beats.partition, number, frozen.size, pause, time.monotonic() - began))
        return ""

    def _fact(self, fact: Fact) -> None:
        self._ports.listen(fact)

    async def _confirmed(self) -> None:
        """Waits until the brokers have every output so far."""
        waiting = list(self._unconfirmed)
        for sent in waiting:
            await asyncio.shield(sent)
        self._unconfirmed = [sent for sent in self._unconfirmed if not sent.done()]

    async def _send_chunks(self, frozen: Frozen) -> list[str]:
        window: deque[asyncio.Future[Sent]] = deque()
        count = 0
        for chunk in frozen.chunks():
            window.append(await self._send(key_of(frozen.head.writer, frozen.head.next, count), chunk))
            count += 1
            if len(window) >= IN_FLIGHT:
                await window.popleft()
        for sent in window:
            await sent
        return [str(chunk) for chunk in range(count)]

    async def _send(self, key: bytes, value: bytes | None) -> asyncio.Future[Sent]:
        return await self._ports.log.send(self._ports.deployment.checkpoints, value, key, self.beats.partition)

    async def _checkpoint(self, key: bytes, value: bytes | None) -> None:
        await (await self._send(key, value))

    async def _bury(self) -> None:
        """Tombstones for all generations but the last three, and for what killed workers left unfinished before them."""
        numbers = sorted({each.next for each in self._generations if "head" in each.pieces and each.next <= self.committed})[-KEPT:]
        done = [each for each in self._generations if each.next <= self.committed]
        for old in [each for each in done if each.next < numbers[0] or "head" not in each.pieces]:
            # The head first: a generation must not look whole while its chunks go.
            for piece in sorted(old.pieces, key=lambda name: name != "head"):
                await self._checkpoint(key_of(old.writer, old.next, piece), None)
            self._generations.remove(old)
