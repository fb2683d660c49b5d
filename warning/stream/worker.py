"""The worker: owns partitions, closes their beats, keeps their checkpoints, and ends with a reason when it cannot go on."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import cast

from aiokafka.errors import KafkaError
from faust.types import TP

from warning import access
from warning.deployment import Deployment
from warning.errors import ExitCode, Unavailable, WarningSystemError
from warning.facts import Listener, PartitionsOwned, Ready
from warning.region import Region
from warning.stream import transport
from warning.stream.clock import Clock
from warning.stream.engine import Engine, Run, rebalance_s
from warning.stream.owned import Identity, Owned, Ports
from warning.stream.ports import Log, Pipeline
from warning.stream.recovery import Loaded, load

logger = logging.getLogger("warning.worker")


class Worker:
    """Implements ``engine.Partitions`` and ``ports.Group``. ``ended`` is set when the process has to end, ``why`` says why."""

    def __init__(
        self,
        region: Region,
        deployment: Deployment,
        listen: Listener,
        pipeline: Pipeline,
        log: Log,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.region, self.deployment, self.listen, self.pipeline = region, deployment, listen, pipeline
        self.writer = uuid.uuid4().hex
        self.owned: dict[int, Owned] = {}
        self.ended, self.why = asyncio.Event(), ""
        self.code = ExitCode.OK
        self.loading = True  # partitions may be ours whose state is not there
        self._kept: dict[int, Owned] = {}  # lost partitions: still true if nobody went further
        self._epoch = 0  # revocations seen
        self._log = log
        self._ports = Ports(log, self, deployment, listen, self.fatal, self._flowing)
        self._identity = Identity(self.writer, region.digest, pipeline.code_of(region))
        self.clock = Clock(log, deployment, self.writer, listen, self.fatal, wall)
        self.engine: Engine | None = None

    # --- the end

    def fatal(self, error: BaseException) -> None:
        """The first reason counts. From here on nothing is saved."""
        if self.ended.is_set():
            return
        error = access.in_words(error, self.deployment) if isinstance(error, KafkaError) else error
        self.code, self.why = exit_code_of(error), str(error) or repr(error)
        self.ended.set()
        trace = None if isinstance(error, (WarningSystemError, KafkaError)) else error
        logger.critical("the worker ends with code %d (%s): %s", self.code, self.code.name, self.why, exc_info=trace)
        self.listen(Ready("stream", False, self.why))

    # --- ports.Group

    async def committed(self, partition: int) -> tuple[int | None, str]:
        found: tuple[int | None, str] = await self._consumer().committed_at(self._tp(partition))
        return found

    async def commit(self, partition: int, offset: int, metadata: str) -> str:
        return str(await self._consumer().commit_at(self._tp(partition), offset, metadata))

    def _consumer(self) -> transport.Consumer:
        if self.engine is None:
            raise Unavailable("the worker has not joined its group")
        return cast(transport.Consumer, self.engine.consumer)

    def _flowing(self) -> bool:
        """False from the moment in which the group, or we, want to share out anew; the agent has to be idle for it."""
        return self.engine is not None and bool(self._consumer().flow_active) and not self.ended.is_set()

    def _tp(self, partition: int) -> TP:
        return TP(self.deployment.readings, partition)

    # --- engine.Partitions

    async def assigned(self, partitions: set[int]) -> None:
        epoch = self._epoch
        if not self.deployment.replay:
            for partition in sorted(partitions)[:1]:
                await self.clock.check(partition)
        found = await asyncio.gather(*(self._load(partition) for partition in sorted(partitions)))
        if epoch != self._epoch:  # revoked while we were reading: what was read is void, the next assignment decides
            return
        for partition, loaded in zip(sorted(partitions), found, strict=True):
            self._begin(partition, loaded)
        self.loading = False
        self.listen(PartitionsOwned(tuple(sorted(self.owned))))
        self.listen(Ready("stream", True))

    async def _load(self, partition: int) -> Loaded:
        return await load(
            self._ports, self._identity, self.pipeline, self.region, partition, self._kept.get(partition), self.clock.now_ms()
        )

    def _begin(self, partition: int, loaded: Loaded) -> None:
        self._kept.pop(partition, None)
        self.owned[partition] = loaded.owned
        self._consumer().begin(self._tp(partition), loaded.owned.beats.next)
        logger.info("partition %d from record %d: %s", partition, loaded.owned.beats.next, loaded.how)

    async def revoked(self, partitions: set[int], stopping: bool) -> None:
        self._epoch += 1
        self.loading = True
        self.listen(Ready("stream", False, "stopping" if stopping else "the group shares its partitions out anew"))
        mine = {partition: self.owned.pop(partition) for partition in sorted(partitions) if partition in self.owned}  # no more ticks
        for partition in partitions:
            self._consumer().end(self._tp(partition))
        self.listen(PartitionsOwned(tuple(sorted(self.owned))))
        if self.ended.is_set() and self.code is not ExitCode.OK:
            return
        within_s = rebalance_s(self.deployment) / 4 if not stopping else 20.0
        saved = await asyncio.gather(*(owned.last_save(within_s) for owned in mine.values()))
        for (partition, owned), why in zip(mine.items(), saved, strict=True):
            logger.info("partition %d left at record %d: %s", partition, owned.beats.next, why or "saved")
            if owned.whole:
                self._kept[partition] = owned

    async def take(self, partition: int, run: Run, last: int) -> None:
        owned = self.owned.get(partition)
        if owned is not None and not self.ended.is_set():
            keys, values = run
            await owned.take(keys, values, last - len(values) + 1)

    # --- the clock

    async def ticks(self) -> None:
        """Four a second for each partition that is ours; none in a replay, which brings its own."""
        while not self.deployment.replay:
            await asyncio.sleep(self.deployment.tick_every_s)
            await self.clock.tick(list(self.owned))

    async def checkpoints(self) -> None:
        """For partitions whose log stands still; where it moves, beats begin them."""
        while True:
            await asyncio.sleep(min(1.0, self.deployment.checkpoint_every_s))
            for owned in self.owned.values():
                owned.save_idle()


def exit_code_of(error: BaseException) -> ExitCode:
    if isinstance(error, WarningSystemError):
        return error.exit_code
    if isinstance(error, MemoryError):
        return ExitCode.OUT_OF_MEMORY
    if isinstance(error, KafkaError):
        return ExitCode.BROKER
    return ExitCode.INVARIANT
