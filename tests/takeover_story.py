"""A flood, a worker that is killed in the middle of it, and what stands on the topics then."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import msgspec
from regions import edit, write_region
from stream_fake import FakeBroker, Life
from test_stream_worker import floods

from warning import config
from warning.deployment import Deployment
from warning.model import Alert, AlertEvent, EventKind
from warning.pipeline.plan import Plan
from warning.region import Region
from warning.stream.decisions import PIPELINE
from warning.stream.replay import log_with_ticks, once

OFTEN = Deployment(prefix="t.", checkpoint_every_s=-1.0)
NEVER = Deployment(prefix="t.", checkpoint_every_s=1e9)
OTHER_CODE = replace(PIPELINE, plan=lambda region, partition: replace(Plan.of(region, partition), code="another-code"))
Records = list[tuple[bytes | None, bytes]]


def old(folder: Path) -> Region:
    return config.load(write_region(folder))


def lowered(folder: Path) -> Region:
    """The same region; gauge A warns from 1.6 m on, B from 2.6 m."""
    there = edit(write_region(folder), "limits", "A,stage,m,2,", "A,stage,m,1.6,")
    return config.load(edit(there, "limits", "B,stage,m,2,", "B,stage,m,2.6,"))


def log_of(region: Region) -> Records:
    """Partition 0 of five days of flood, a tick an hour."""
    return [(key, value) for partition, key, value in log_with_ticks(region, floods(days=5), 3600) if partition == 0]


def published(broker: FakeBroker) -> list[AlertEvent]:
    """In the order of the topic; the same identifier with other content fails."""
    values = [value for _, value in broker.topics[OFTEN.alerts, 0] if value is not None]
    events = [msgspec.json.decode(value, type=AlertEvent) for value in values]
    once((event.alert.identifier, value) for event, value in zip(events, values, strict=True))
    return events


def chains(events: list[AlertEvent]) -> dict[str, list[Alert]]:
    """Identifier of the chain -> its revisions; each once, none left out, in the order of time, nothing after its end."""
    found: dict[str, dict[int, Alert]] = defaultdict(dict)
    for event in events:
        found[event.alert.identifier.rpartition(".")[0]][event.alert.revision] = event.alert
    for name, revisions in found.items():
        assert sorted(revisions) == list(range(len(revisions))), f"{name}: {sorted(revisions)}"
        ordered = [revisions[number] for number in range(len(revisions))]
        assert all(one.sent_ms <= two.sent_ms for one, two in pairwise(ordered)), name
        assert all(alert.active for alert in ordered[:-1]), name
        assert ordered[0].kind is EventKind.RAISE
    for zone in {revisions[0].zone for revisions in found.values()}:  # one chain at a time
        mine = sorted((revisions[0].raised_ms, revisions[max(revisions)]) for revisions in found.values() if revisions[0].zone == zone)
        assert all(not last.active and last.sent_ms < raised for (_, last), (raised, _) in pairwise(mine)), zone
    return {name: [revisions[number] for number in sorted(revisions)] for name, revisions in found.items()}


def broker_of(log: Records) -> FakeBroker:
    broker = FakeBroker()
    broker.topics[OFTEN.readings, 0] = list(log)
    return broker


def copy_of(base: FakeBroker) -> FakeBroker:
    broker = FakeBroker()
    for place, held in base.topics.items():
        broker.topics[place] = list(held)
    broker.commits = dict(base.commits)
    return broker


async def dead() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)


async def base_of(oak: Region, log: Records, saved: int) -> FakeBroker:
    base = broker_of(log)
    await Life(base, oak, PIPELINE, OFTEN, "w0").run(50, saved)
    return base


async def crash(base: FakeBroker, oak: Region, until: int, arrives: bool = True, writer: str = "w1") -> FakeBroker:
    """The brokers after a worker went on from the checkpoint of ``base`` and was killed after ``until`` records.

    ``arrives``: what it had handed to its producer still comes through, or is lost.
    """
    broker = copy_of(base)
    broker.new_life(lost=not arrives)
    await Life(broker, oak, PIPELINE, NEVER, writer).run(7, until, last_save=False)
    await dead()
    broker.new_life()
    return broker


async def before_the_flood(oak: Region, log: Records) -> FakeBroker:
    """A worker's last checkpoint, before the flood."""
    return await base_of(oak, log, len(log) * 9 // 20)
