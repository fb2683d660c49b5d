"""Mutated items through the inbox's judgement, in this process: taken or refused with their bytes, and never anything else."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fuzz import course, seeds
from fuzz.inside import Found
from fuzz.mutate import Mutator
from warning.deployment import Deployment
from warning.facts import Fact
from warning.ingest.fetched import Came, Portion
from warning.ingest.formats import Item, Refusal
from warning.ingest.gateway import Gateway
from warning.ingest.inbox import Inbox
from warning.ingest.log import Place, Record
from warning.model import Reading, Rejected

NOW_MS = seeds.START_MS + 3_600_000
PORTION = 2000
KEPT = 64 << 10
PLACE = Deployment(prefix="fuzz.")


class _Memory:
    """The log, and the group's consumer, in memory."""

    def __init__(self) -> None:
        self.records: dict[Place, list[Record]] = {}

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        for place, those in records.items():
            self.records.setdefault(place, []).extend(those)

    async def commit(self, offsets: object) -> None:
        pass


class Items:
    """``chunk`` raises ``Found``."""

    def __init__(self, seed: int) -> None:
        self._seed, self._region = seed, course.region()
        self._stations = {station.id: self._region.basins[station.basin] for station in self._region.stations}

    def chunk(self, number: int, count: int) -> dict[str, Any]:
        return asyncio.run(self._chunk(number, count))

    async def _chunk(self, number: int, count: int) -> dict[str, Any]:
        mutator = Mutator(seeds.items(list(self._stations)), self._seed * 1_000_003 + number)
        chance = random.Random(number)
        tally: dict[str, Any] = {"records": 0, "taken": 0, "rejected": Counter()}
        offset = 0
        while offset < count:
            values: list[bytes | None] = [*mutator.batch(PORTION - 1), None]
            keys = [chance.choice((None, b"", b"k", b"\xff", b"k" * 70_000)) for _ in values]
            portion = Portion(
                0, [Came(at, key, value, "inbox") for at, (key, value) in enumerate(zip(keys, values, strict=True), offset)], 0
            )
            memory, facts = _Memory(), list[Fact]()
            inbox = Inbox(PLACE, Gateway(self._region, PLACE, memory, lambda: NOW_MS), facts.append)
            await inbox._take(memory, [portion], asyncio.Event())
            self._hold(portion, memory, tally)
            offset += len(values)
            tally["records"] += len(values)
        return tally

    def _hold(self, portion: Portion, memory: _Memory, tally: dict[str, Any]) -> None:
        rejected = [(key, msgspec.json.decode(value, type=Rejected)) for key, value in memory.records.pop((PLACE.rejected, 0), [])]
        refused = {each.offset for _, each in rejected}
        for key, each in rejected:
            came = portion.records[each.offset - portion.records[0].offset]
            text = base64.b64decode(each.record) if each.encoding == "base64" else each.record.encode()
            if text != (came.value or b"")[:KEPT] or (each.stage, each.partition) != ("inbox", 0):
                raise Found(f"{(came.value or b'')[:300]!r} is kept as {each.record[:300]!r}")
            if key != (came.key if came.key is None or len(came.key) <= KEPT else None):
                raise Found(f"key {(came.key or b'')[:100]!r} is kept as {(key or b'')[:100]!r}")
            if each.reason == Refusal.INTERNAL or each.reason not in set(Refusal):
                raise Found(f"{came.value!r} was refused as {each.reason}: {each.detail}")
            tally["rejected"][each.reason] += 1
        taken = [each.value or b"" for each in portion.records if each.offset not in refused]
        written = sorted(
            (value, partition) for (topic, partition), those in memory.records.items() for _, value in those if topic == PLACE.readings
        )
        if len(taken) != len(written):
            raise Found(f"{len(taken)} taken, {len(written)} written")
        for value in taken:
            _plausible(value)
        for value, partition in written:
            reading = msgspec.json.decode(value, type=Reading)
            if self._stations[reading.station] != partition or reading.received_ms != NOW_MS or reading.time_ms > NOW_MS + 300_000:
                raise Found(f"{value!r} in partition {partition}")
        tally["taken"] += len(taken)


def _plausible(value: bytes) -> None:
    """What was taken is one JSON object with the fields of an item and no others, by another road than the gateway's."""
    try:
        fields = msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise Found(f"{value[:300]!r} was taken: {error}") from error
    if not isinstance(fields, dict) or set(fields) - set(Item.__struct_fields__) or not isinstance(fields["station"], str):
        raise Found(f"{value[:300]!r} was taken")
