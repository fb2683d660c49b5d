"""A log and a group in memory that can die at any operation, for the enumeration of every place where a worker can be killed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from warning.errors import ExitCode
from warning.facts import Fact
from warning.region import Region
from warning.stream.owned import Identity, Owned, Ports
from warning.stream.ports import Each, Pipeline, Sent, Stamped
from warning.stream.recovery import load

Record = tuple[bytes | None, bytes | None]


class Killed(BaseException):
    """kill -9: no handler of ours may stop it."""


class FakeBroker:
    """Survives its clients. ``die_at``: the number of the operation that kills the client; ``lost``: what is under way dies with it."""

    def __init__(self) -> None:
        self.topics: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.starts: dict[tuple[str, int], int] = defaultdict(int)
        self.commits: dict[int, tuple[int, str]] = {}
        self.operations = 0
        self.die_at: int | None = None
        self.lost = True
        self.refuse = False
        self.keep_notes = True
        self.slow: dict[str, float] = {}  # topic -> seconds until a record is confirmed; the others are at once
        self._under_way: list[tuple[str, int, Record, asyncio.Future[Sent]]] = []
        self.dead = False

    def new_life(self, die_at: int | None = None, lost: bool = True) -> None:
        if not self.lost:
            for topic, partition, record, _ in self._under_way:
                self.topics[topic, partition].append(record)
        self._under_way.clear()
        self.operations, self.die_at, self.lost, self.dead = 0, die_at, lost, False

    def _operation(self) -> None:
        self.operations += 1
        if self.dead or self.operations == self.die_at:
            self.dead = True
            raise Killed

    # --- Log

    async def send(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> asyncio.Future[Sent]:
        self._operation()
        sent: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        entry = (topic, partition, (key, value), sent)
        self._under_way.append(entry)

        def confirm() -> None:
            if sent.cancelled():
                return
            if self.dead or entry not in self._under_way:
                sent.set_exception(Killed())
                return
            try:
                self._operation()
            except Killed as error:
                sent.set_exception(error)
                return
            self._under_way.remove(entry)
            self.topics[topic, partition].append(entry[2])
            sent.set_result(Sent(len(self.topics[topic, partition]) - 1, None))

        loop = asyncio.get_running_loop()
        if seconds := self.slow.get(topic):
            loop.call_later(seconds, confirm)
        else:
            loop.call_soon(confirm)
        return sent

    async def send_all(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> list[asyncio.Future[Sent]]:
        """As brokers may take them: some, when the client dies in between."""
        return [await self.send(topic, value, key, partition) for key, value in records]

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self.starts[topic, partition], len(self.topics[topic, partition])

    async def read(self, topic: str, partition: int, each: Each, first: int | None = None, until: int | None = None) -> None:
        records = self.topics[topic, partition]
        begin = max(self.starts[topic, partition], first or 0)
        for offset in range(begin, min(len(records), len(records) if until is None else until)):
            each(offset, *records[offset])

    async def read_stamped(self, topic: str, partition: int, each: Stamped, first: int | None = None, until: int | None = None) -> None:
        await self.read(topic, partition, lambda offset, key, value: each(offset, key, value, 1_000_000 + offset), first, until)

    # --- Group

    async def committed(self, partition: int) -> tuple[int | None, str]:
        offset, note = self.commits.get(partition, (None, ""))
        return offset, note if self.keep_notes else ""

    async def commit(self, partition: int, offset: int, metadata: str) -> str:
        self._operation()  # killed before the group has it
        if self.refuse:
            return "CommitFailedError: expelled"
        self.commits[partition] = (offset, metadata)
        self._operation()  # killed after the group has it
        return ""


class Life:
    """One life of a worker that owns partition 0."""

    def __init__(self, broker: FakeBroker, region: Region, pipeline: Pipeline, deployment: Any, writer: str = "w") -> None:
        self.broker, self.region, self.pipeline = broker, region, pipeline
        self.facts: list[Fact] = []
        self.errors: list[BaseException] = []
        self.ports = Ports(broker, broker, deployment, self.facts.append, self.errors.append)
        self.who = Identity(writer, region.digest, pipeline.plan(region, 0).code)
        self.owned: Owned | None = None

    async def start(self, kept: Owned | None = None) -> Owned:
        loaded = await load(self.ports, self.who, self.pipeline, self.region, 0, kept, 0)
        self.owned, self.loaded = loaded.owned, loaded
        return loaded.owned

    async def run(self, cut: int, until: int | None = None, last_save: bool = True) -> None:
        """To the end of the log in runs of ``cut`` records; raises what killed it."""
        owned = self.owned or await self.start()
        log = self.broker.topics[self.ports.deployment.readings, 0]
        end = len(log) if until is None else until
        while owned.beats.position < end:
            first = owned.beats.position
            run = log[first : min(first + cut, end)]
            await owned.take([key for key, _ in run], [value for _, value in run], first)
            for _ in range(3):
                await asyncio.sleep(0)
            self._raise()
        if last_save:
            await owned.last_save(10.0)
        self._raise()

    def _raise(self) -> None:
        if self.errors:
            raise self.errors[0]


def code_of(error: BaseException) -> ExitCode:
    code: ExitCode = error.exit_code  # type: ignore[attr-defined]
    return code
