"""What must hold after a run, whatever broke: everything is compared with the single-threaded replay of that run's own log.

*Lost*: readings that the gateway acknowledged and that are not in the log; readings in the log that a series' windows in the last
checkpoint do not count; rejected records, alerts and deliveries that the log implies and that are not there.
*Doubled*: readings that a window counts twice (a reading is its station and its time, however often the log has it); messages that
arrived more often than the ledger's receipts admit (``doubled``: what was in flight at a kill goes again, marked).
*Changed*: documents on ``alerts`` and values on ``hazards`` that are not byte for byte the replay's; a checkpoint that is not its state.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from warning.deployment import Deployment
from warning.model import AlertEvent, Hazard, Receipt, Rejected, to_json
from warning.region import Region
from warning.science import windows
from warning.stream.beats import Beats, Closed
from warning.stream.codec import Decoder
from warning.stream.decisions import PIPELINE
from warning.stream.kafka import KafkaLog
from warning.stream.state import Book, choose, unpack

from .delivery import deliveries
from .world import World

RUN = 50_000
DAY_RING = len(windows.RINGS) - 1  # the widest one: six hours, three days back


@dataclass
class Verdict:
    """``figures`` are counts, ``words`` say what was wrong, the first of each kind."""

    figures: Counter[str] = field(default_factory=Counter)
    words: list[str] = field(default_factory=list)

    def wrong(self, figure: str, count: int, words: str) -> None:
        self.figures[figure] += count
        if count and len(self.words) < 40:
            self.words.append(f"{figure} {count}: {words}")

    @property
    def passed(self) -> bool:
        return not any(self.figures[name] for name in ("lost", "doubled", "alerts_changed"))


@dataclass(frozen=True, slots=True)
class Logged:
    """One partition of ``readings``, whole, and what the group has committed of it."""

    keys: list[bytes | None]
    values: list[bytes | None]
    committed: int
    note: str
    book: Book


@dataclass
class Implied:
    """What the replay makes of one partition."""

    alerts: list[AlertEvent] = field(default_factory=list)
    must: set[str] = field(default_factory=set)  # identifiers decided within what was committed
    hazards: dict[tuple[str, int], bytes] = field(default_factory=dict)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    applied: int = 0
    differing: list[str] = field(default_factory=list)  # arrays of the last checkpoint
    counted: tuple[int, int] = (0, 0)  # readings that its windows miss, and count twice
    identities: Counter[tuple[str, int]] = field(default_factory=Counter)


async def judge(world: World, acknowledged: dict[str, set[int]]) -> Verdict:
    """Reads every topic of a run whose processes have stopped (the brokers have not), and compares."""
    verdict, deployment = Verdict(), world.deployment
    async with KafkaLog(deployment) as log:
        parts = [await _logged(log, deployment, partition) for partition in range(world.region.partitions)]
        alerts = await _decoded(log, deployment.alerts, [0], AlertEvent)
        hazards = await _decoded(log, deployment.hazards, range(world.region.partitions), Hazard)
        rejected = [each for each, _ in await _decoded(log, deployment.rejected, [0], Rejected)]
        receipts = [each for each, _ in await _decoded(log, deployment.receipts, [0], Receipt)]
    implied = [await asyncio.to_thread(replayed, world.region, number, part) for number, part in enumerate(parts)]
    _readings(verdict, implied, acknowledged)
    for number, (part, one) in enumerate(zip(parts, implied, strict=True)):
        lost, twice = one.counted
        verdict.wrong("lost", lost, f"readings of partition {number} are not in the windows of its checkpoint at {part.committed}")
        verdict.wrong("doubled", twice, f"readings of partition {number} are in its windows twice")
        verdict.wrong("alerts_changed", len(one.differing), f"arrays of the checkpoint of partition {number}: {one.differing[:5]}")
    _alerts(verdict, implied, alerts)
    wanted = {key: value for one in implied for key, value in one.hazards.items()}
    wrong = [hazard.zone for hazard, content in hazards if wanted.get((hazard.zone, hazard.n)) != content]
    verdict.wrong("alerts_changed", len(wrong), f"values on hazards that the log does not imply: {wrong[:5]}")
    there = Counter((each.stage, each.reason, each.record) for each in rejected)
    missing = Counter(each for one in implied for each in one.rejected) - there
    verdict.wrong("lost", sum(missing.values()), f"rejected records: {list(missing)[:2]}")
    first = {event.alert.identifier: event for event, _ in reversed(alerts)}
    _delivered(verdict, world, list(first.values()), receipts)
    verdict.figures.update(log_records=sum(len(part.keys) for part in parts), alerts=len(first), rejected=len(rejected))
    return verdict


def _readings(verdict: Verdict, implied: list[Implied], acknowledged: dict[str, set[int]]) -> None:
    found = Counter[tuple[str, int]]()
    for one in implied:
        found.update(one.identities)
    missing = [(station, time) for station, times in acknowledged.items() for time in times if (station, time) not in found]
    verdict.wrong("lost", len(missing), f"readings that were acknowledged and are not in the log: {missing[:3]}")
    verdict.figures.update(
        acknowledged=sum(map(len, acknowledged.values())),
        readings_in_log=len(found),
        written_twice=sum(found.values()) - len(found),
        applied=sum(one.applied for one in implied),
    )


def _alerts(verdict: Verdict, implied: list[Implied], published: list[tuple[AlertEvent, bytes]]) -> None:
    wanted = {event.alert.identifier: to_json(event) for one in implied for event in one.alerts}
    must = {identifier for one in implied for identifier in one.must}
    missing = sorted(must - {event.alert.identifier for event, _ in published})
    verdict.wrong("lost", len(missing), f"alerts: {missing[:5]}")
    verdict.figures["alerts_lost"] += len(missing)
    changed = sorted({event.alert.identifier for event, content in published if wanted.get(event.alert.identifier) != content})
    verdict.wrong("alerts_changed", len(changed), f"alerts that are not what the log implies: {changed[:5]}")
    verdict.figures["published_again"] += len(published) - len({event.alert.identifier for event, _ in published})


def _delivered(verdict: Verdict, world: World, events: list[AlertEvent], receipts: list[Receipt]) -> None:
    found = deliveries(world.region, events, receipts, world.phones, world.hooks)
    verdict.wrong("lost", len(found.lost), f"deliveries: {found.lost[:5]}")
    verdict.wrong("doubled", len(found.doubled), f"messages twice and not marked: {found.doubled[:5]}")
    verdict.figures.update(deliveries=found.due, in_flight_again=found.again, overtaken=found.overtaken)


# --- reading


async def _logged(log: KafkaLog, deployment: Deployment, partition: int) -> Logged:
    keys: list[bytes | None] = []
    values: list[bytes | None] = []

    def take(offset: int, key: bytes | None, value: bytes | None) -> None:
        assert offset == len(keys), f"partition {partition} of the log has a hole before {offset}"
        keys.append(key)
        values.append(value)

    await log.read(deployment.readings, partition, take)
    book = Book()
    await log.read(deployment.checkpoints, partition, book.take)
    committed, note = await group_offset(deployment, partition)
    return Logged(keys, values, committed, note, book)


async def group_offset(deployment: Deployment, partition: int) -> tuple[int, str]:
    """(next record, note) as the group has committed it; (0, "") without a commit."""
    admin = AIOKafkaAdminClient(bootstrap_servers=deployment.bootstrap)
    await admin.start()
    try:
        tp = TopicPartition(deployment.readings, partition)
        found = (await admin.list_consumer_group_offsets(deployment.group, partitions=[tp])).get(tp)
        return (found.offset, found.metadata or "") if found and found.offset >= 0 else (0, "")
    finally:
        await admin.close()


async def _decoded(log: KafkaLog, topic: str, partitions: Any, kind: type[Any]) -> list[tuple[Any, bytes]]:
    """Each record as a noun and as its bytes."""
    decoder, found = msgspec.json.Decoder(kind), list[tuple[Any, bytes]]()

    def take(offset: int, key: bytes | None, value: bytes | None) -> None:
        if value is not None:
            found.append((decoder.decode(value), value))

    for partition in partitions:
        await log.read(topic, partition, take)
    return found


# --- the replay


def replayed(region: Region, partition: int, part: Logged) -> Implied:
    """One thread, one partition's records in their order; at the committed record the state is held against the checkpoint."""
    plan, one = PIPELINE.plan(region, partition), Implied()
    beats = Beats(partition, PIPELINE, plan, PIPELINE.empty(plan), 0)
    for first in range(0, part.committed, RUN):
        stop = min(first + RUN, part.committed)
        for closed in beats.take(part.keys[first:stop], part.values[first:stop], first):
            _noted(one, closed)
            one.must.update(event.alert.identifier for event in closed.alerts)
    if part.committed:
        _same_state(one, beats, part)
    _identities(one, plan, part, beats if part.committed else None)
    for first in range(part.committed, len(part.keys), RUN):
        for closed in beats.take(part.keys[first : first + RUN], part.values[first : first + RUN], first):
            _noted(one, closed)
    return one


def _noted(one: Implied, closed: Closed) -> None:
    one.alerts += closed.alerts
    one.applied += closed.outputs.applied
    one.hazards.update({(zone.decode(), closed.offset): content for zone, content in closed.hazards.records()})
    one.rejected += [(each.stage, each.reason, each.record) for each in closed.rejected]


def _same_state(one: Implied, beats: Beats, part: Logged) -> None:
    found = choose(part.book, part.committed, part.note, 0)
    if found is None or found[2] != "committed":
        one.differing.append(f"no generation for the committed record {part.committed}")
        return
    head, blob, _ = found
    their_head, theirs = unpack(head, blob)
    my_head, mine = beats.state.freeze()
    my_head = msgspec.json.decode(msgspec.json.encode(my_head))
    one.differing += [name for name in mine if mine[name].tobytes() != theirs[name].tobytes()]
    one.differing += [name for name in my_head if my_head[name] != their_head[name]]
    one.counted = _counted(beats.plan, part, PIPELINE.thaw(beats.plan, their_head, theirs).s)


def _counted(plan: Any, part: Logged, series: dict[str, Any]) -> tuple[int, int]:
    """(missing, twice): what the widest windows of the checkpoint count, against the distinct readings in the log before it.

    Counted here by itself, without the decisions' own code: a reading is a row and a second, once.
    """
    width, buckets = windows.RINGS[DAY_RING]
    seen: set[tuple[int, int]] = set()
    decoder = Decoder(plan)
    for first in range(0, part.committed, RUN):
        stop = min(first + RUN, part.committed)
        for segment in decoder.run(part.keys[first:stop], part.values[first:stop], first):
            readings = segment.readings
            seen.update(zip(readings.row.tolist(), (readings.time_ms // 1000).tolist(), strict=True))
    wanted: Counter[tuple[int, int]] = Counter((row, time // width) for row, time in seen)
    begin = windows.OFFSETS[DAY_RING]
    last_s, counts = series["w_last_t"][:, begin : begin + buckets], series["w_count"][:, begin : begin + buckets]
    rows, slots = np.nonzero(counts)
    found = {(int(row), int(last_s[row, slot]) // width): int(counts[row, slot]) for row, slot in zip(rows, slots, strict=True)}
    keys = wanted.keys() | found.keys()
    missing = sum(max(0, wanted[key] - found.get(key, 0)) for key in keys)
    return missing, sum(max(0, found.get(key, 0) - wanted[key]) for key in keys)


def _identities(one: Implied, plan: Any, part: Logged, beats: Beats | None) -> None:
    names = {row: station for (station, _), row in plan.row.items()}
    decoder = Decoder(plan)
    for first in range(0, len(part.keys), RUN):
        for segment in decoder.run(part.keys[first : first + RUN], part.values[first : first + RUN], first):
            readings = segment.readings
            times = (readings.time_ms // 1000).tolist()
            one.identities.update((names[row], time) for row, time in zip(readings.row.tolist(), times, strict=True))
