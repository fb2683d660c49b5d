"""The whole way on a real Apache Kafka that trusts nobody: TLS, a SCRAM user with least rights for each process. Both regions at
once, four partitions of which one is idle, worker and dispatcher killed with -9.

A story: two floods are fed; while the workers are at it, each is killed twice; while the messages go out, each dispatcher is
killed. Then every document is byte for byte what the file replay says, nothing is lost, and what a phone or a receiver got twice is marked
as such in the receipts.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from services import SecuredKafka, secured_kafka

from warning import config, wiring_replay
from warning.deployment import Deployment
from warning.ingest import rows
from warning.model import Receipt, to_json
from warning.region import Region
from warning.rehearsal.evidence import Evidence, collect
from warning.rehearsal.reckoning import Decided, Offered, Reckoning, reckon
from warning.stream.broker import free_port
from warning.stream.feed import Fed
from warning.stream.replay import LogRecord, log_with_ticks
from warning.stream.topics import ensure_topics
from warning.wiring_supervisor import Supervisor
from warning.wiring_up import commands

TICK_S = 1800  # coarser than the demo's: a third of the beats, the same floods
FEED_S = 30.0
REGIONS = ("indus", "sri-lanka")


@dataclass
class Flood:
    """One region's replay on its way."""

    region: Region
    deployment: Deployment
    supervisor: Supervisor
    folder: Path
    records: list[LogRecord]
    offered: Offered
    kills: Counter[str]


@dataclass
class Result:
    flood: Flood
    fed: Fed
    evidence: Evidence
    decided: Decided
    reckoning: Reckoning


def history(region: Region) -> tuple[rows.Rows, list[LogRecord], Offered]:
    read = rows.read(wiring_replay.first_replay(region), region)
    refused = Counter(row.error.reason for row in read.refused)
    return read, list(log_with_ticks(region, read.readings, TICK_S)), Offered(read.sent, len(read.readings), dict(refused))


async def begun(stack: AsyncExitStack, name: str, kafka: SecuredKafka, folder: Path) -> Flood:
    region = config.load(name)
    folder.mkdir()
    deployment = Deployment(
        bootstrap=kafka.bootstrap,
        kafka_security="SASL_SSL",
        kafka_user="{process}",
        kafka_password_file=str(kafka.folder / "{process}.password"),
        kafka_ca_file=str(kafka.certificates.ca_file),
        prefix=f"replay-acceptance-{name}-{secrets.token_hex(3)}.",
        directory=folder,
        replay=True,
        session_timeout_s=6.0,
        checkpoint_every_s=2.0,
        smpp_user="ews",
        smpp_password="pw",
        sms_sender="FLOOD",
        ingest_port=free_port(),
        api_port=free_port(),
        worker_metrics_port=free_port(),
        dispatch_metrics_port=free_port(),
    )
    await kafka.give(deployment, "worker", "dispatch", "export")
    await ensure_topics(deployment.as_process("worker"), region.partitions)
    supervisor = await stack.enter_async_context(Supervisor())
    deployment = await wiring_replay.outside_world(supervisor, region, deployment, folder)
    own = [command for command in commands(region, deployment, folder) if command.name in ("worker", "dispatch")]
    await supervisor.start(*own, within_s=120.0)
    _, records, offered = history(region)
    return Flood(region, deployment, supervisor, folder, records, offered, Counter())


def kill(flood: Flood, name: str) -> None:
    """-9, and its supervisor starts it again."""
    pid = flood.supervisor.pid(name)
    assert pid is not None, f"{name} of {flood.region.id} is not running"
    os.kill(pid, signal.SIGKILL)
    flood.kills[name] += 1


async def flooded(flood: Flood) -> Result:
    """Feeds the flood in half a minute; kills the worker at a third and two thirds of it, the dispatcher after its first messages."""
    read = rows.read(wiring_replay.first_replay(flood.region), flood.region)
    speed = (read.readings[-1].time_ms - read.readings[0].time_ms) / 1000 / FEED_S
    deciding = asyncio.create_task(asyncio.to_thread(wiring_replay.decide, flood.region, flood.records))
    killing = asyncio.create_task(killer(flood))

    def progress(what: str, done: int, total: int) -> None:
        if flood.kills["worker"] < 2 and done >= total * (flood.kills["worker"] + 1) / 3 and flood.supervisor.pid("worker"):
            kill(flood, "worker")

    feeder = flood.deployment.as_process("replay")
    fed = await wiring_replay.play(flood.region, feeder, read, flood.records, speed, progress)
    await wiring_replay.worked_through(flood.supervisor, feeder, fed, lambda *_: None)
    await killing
    await wiring_replay.delivered(flood.supervisor, flood.region, feeder, lambda *_: None)
    reader = flood.deployment.as_process("export")
    evidence = await collect(reader, flood.region.partitions, flood.folder / "sms.jsonl", flood.folder / "webhooks.jsonl")
    decided = await deciding
    return Result(flood, fed, evidence, decided, reckon(flood.region, flood.offered, evidence, decided, fed.seconds))


async def killer(flood: Flood) -> None:
    """Kills the dispatcher as soon as phones have got something, twice."""
    until = time.monotonic() + 300
    sms = flood.folder / "sms.jsonl"
    for parts in (10, 60):
        while not sms.exists() or sms.read_bytes().count(b"\n") < parts or flood.supervisor.pid("dispatch") is None:
            assert time.monotonic() < until, f"{flood.region.id}: not {parts} SMS after five minutes"
            await asyncio.sleep(0.05)
        kill(flood, "dispatch")


async def both(kafka: SecuredKafka, folder: Path) -> list[Result]:
    for user, password in kafka.users.items():
        (kafka.folder / f"{user}.password").write_text(f"{password}\n", encoding="utf-8")
    async with AsyncExitStack() as stack:
        await kafka.give(Deployment(), "replay")
        floods = [await begun(stack, name, kafka, folder / name) for name in REGIONS]
        return list(await asyncio.gather(*map(flooded, floods)))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    with secured_kafka({user: secrets.token_hex(8) for user in ("worker", "dispatch", "export", "replay")}) as kafka:
        return asyncio.run(both(kafka, tmp_path_factory.mktemp("acceptance")))


pytestmark = pytest.mark.timeout(900)


def test_four_partitions_and_an_idle_one(results: list[Result]) -> None:
    for result in results:
        used = {one.partition for one in result.evidence.readings}
        assert len(result.fed.ends) == 4
        assert len(used) < 4, f"{result.flood.region.id}: readings in all of {used}"


def test_worker_and_dispatcher_were_killed(results: list[Result]) -> None:
    for result in results:
        assert result.flood.kills["dispatch"] == 2
        assert result.flood.kills["worker"] == 2
        assert result.flood.supervisor.restarts["worker"] >= 2
        assert result.flood.supervisor.restarts["dispatch"] >= 2


def test_every_document_is_byte_for_byte_the_file_replays(results: list[Result]) -> None:
    for result in results:
        implied = {event.alert.identifier: to_json(event) for event in result.decided.alerts}
        published = {event.alert.identifier: to_json(event) for event in result.evidence.alerts}
        assert len(implied) > 100
        assert published == implied
        for event in result.evidence.alerts:  # also what was published again after a kill
            assert to_json(event) == implied[event.alert.identifier]


def test_nothing_is_lost(results: list[Result]) -> None:
    for result in results:
        lost = [line for line in result.reckoning.losses if "times" not in line]
        assert not lost
        assert result.reckoning.figures["lost"] == 0
        assert result.reckoning.figures["differing"] == 0
        assert not result.evidence.unreadable


def test_what_went_twice_is_marked(results: list[Result]) -> None:
    """Only what was in flight at a kill goes again; the ledger's receipts say so, delivery by delivery."""
    for result in results:
        contacts = {contact.phone.lstrip("+"): contact.id for contact in result.flood.region.contacts if contact.phone}
        marked = Counter(
            (receipt.contact, receipt.channel)
            for receipt in {unique(each): each for each in result.evidence.receipts if each.doubled}.values()
        )
        messages = Counter((message["destination"].lstrip("+"), message["text"]) for message in result.evidence.messages)
        webhooks = Counter((hook["name"], hook["webhook_id"]) for hook in result.evidence.webhooks if hook["verified"])
        twice = Counter((contacts[number], "sms") for (number, _), count in messages.items() if count > 1)
        assert not twice - marked, f"{result.flood.region.id}: sent twice and not marked: {twice - marked}"
        assert max([*messages.values(), *webhooks.values()]) <= 1 + result.flood.kills["dispatch"]
        assert sum(count > 1 for count in webhooks.values()) <= sum(count for (_, channel), count in marked.items() if channel == "webhook")


def unique(receipt: Receipt) -> tuple[str, str, str]:
    return receipt.alert, receipt.contact, receipt.channel


def test_every_high_flood_was_warned_of_in_time(results: list[Result]) -> None:
    for result in results:
        assert result.reckoning.figures["crossings_high"] > 20
        assert not result.reckoning.late
