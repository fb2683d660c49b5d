"""``warning replay`` and ``warning demo``: a flood of the past through everything, and the reckoning."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from warning import access
from warning.deployment import Deployment
from warning.dispatch.ledger import Ledger
from warning.errors import ConfigError, Problem, Unavailable
from warning.ingest import rows
from warning.ingest.gateway import Gateway
from warning.ingest.log import KafkaLog
from warning.model import AlertEvent, DeliveryState, to_json
from warning.proof import keys
from warning.region import Region
from warning.rehearsal.evidence import collect, published
from warning.rehearsal.reckoning import Decided, Offered, Reckoning, reckon
from warning.stream.broker import free_port
from warning.stream.feed import Fed, committed, feed
from warning.stream.replay import LogRecord, log_with_ticks, replay_file
from warning.stream.topics import ensure_topics
from warning.wiring import allowed
from warning.wiring_environment import security_of
from warning.wiring_signals import on_signals
from warning.wiring_supervisor import Command, Supervisor, asked
from warning.wiring_up import commands, page_url, with_broker

log = logging.getLogger(__name__)

_OFFSET = re.compile(r'^warning_log_offset\{partition="(\d+)"\} (\S+)$', re.MULTILINE)
QUIET_S = 5.0  # the worker's metrics say nothing new for so long: ask the group
STALLED_S = 60.0  # no progress for so long: something is broken
Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True, slots=True)
class Demo:
    """What a demo is made of. ``file``: one of the region's replays; ``speed``: seconds of log time per second, None: all at once."""

    region: Region
    file: Path
    speed: float | None = None
    kafka: str = ""  # "": the embedded broker
    directory: Path | None = None  # logs, databases and records stay here; None: in a temporary folder, which goes at the end


def replays(region: Region) -> list[Path]:
    """The replay files that a region carries, the newest flood first (they are named after their year)."""
    return sorted((Path(region.folder) / "replays").glob("*.csv"), key=lambda path: (path.stem[-4:], path.stem), reverse=True)


def first_replay(region: Region) -> Path:
    found = replays(region)
    if not found:
        raise ConfigError([Problem(f"{region.folder}/replays", "the region has no replay", "name a file with --file")])
    return found[0]


def history(region: Region, file: Path) -> tuple[rows.Rows, list[LogRecord], Offered]:
    """(rows of the file, the log that they make with its ticks, what was offered). Raises InputError for a file that is none."""
    read = rows.read(file, region)
    refused = Counter(row.error.reason for row in read.refused)
    return read, list(log_with_ticks(region, read.readings)), Offered(read.sent, len(read.readings), dict(refused))


async def play(
    region: Region, deployment: Deployment, read: rows.Rows, records: list[LogRecord], speed: float | None, progress: Progress
) -> Fed:
    """Feeds a history into ``readings`` with its ticks, and what was refused into ``readings.rejected``."""

    def told(fed: Fed) -> None:
        progress("readings fed", fed.readings, len(read.readings))

    fed = await feed(deployment, region, records, speed, told)
    progress("readings fed", fed.readings, len(read.readings))
    if read.refused:
        rejects = KafkaLog(
            deployment.bootstrap,
            Gateway.topics(region, deployment),
            idempotent=not deployment.embedded,
            security=partial(access.security, deployment),
        )
        await rejects.start()
        try:
            if not await rejects.until_up(20.0):
                raise Unavailable(f"broker {deployment.bootstrap}: {rejects.why}")
            await rejects.append({(deployment.rejected, 0): [(None, to_json(row.rejected)) for row in read.refused]})
        finally:
            await rejects.stop()
    return fed


async def demo(plan: Demo, progress: Progress, say: Callable[[str], None], *, keep_open: bool = False) -> Reckoning:
    """Everything up, a flood through it, and the reckoning. ``keep_open``: the page stays until SIGINT or SIGTERM."""
    began = time.monotonic()
    region = plan.region
    async with AsyncExitStack() as stack:
        folder = plan.directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flood-demo-")))
        deployment = Deployment(
            bootstrap=plan.kafka,
            prefix=f"replay-{region.id}-{secrets.token_hex(4)}.",
            directory=folder,
            embedded=not plan.kafka,
            replay=True,
            session_timeout_s=6.0,
            smpp_user="ews",
            smpp_password=secrets.token_hex(4),  # eight characters at most, says SMPP
            sms_sender="FLOOD",
            **(security_of(os.environ) if plan.kafka else {}),
            ingest_port=free_port(),
            api_port=free_port(),
            worker_metrics_port=free_port(),
            dispatch_metrics_port=free_port(),
            signing_keys=str(signing_key(folder / "signing")),
        )
        allowed(region, deployment)
        deployment, _ = await with_broker(stack, deployment)
        await ensure_topics(deployment.as_process("replay"), region.partitions)
        supervisor = await stack.enter_async_context(Supervisor())
        deployment = await outside_world(supervisor, region, deployment, folder)
        await supervisor.start(*commands(region, deployment, folder))
        say(f"page: {page_url(deployment)}")
        ours = deployment.as_process("replay")
        read, records, offered = history(region, plan.file)
        fed = await play(region, ours, read, records, plan.speed, progress)
        decided = await stack.enter_async_context(deciding(region, records))
        await worked_through(supervisor, ours, fed, progress)
        await delivered(supervisor, region, ours, progress)
        evidence = await collect(ours, region.partitions, folder / "sms.jsonl", folder / "webhooks.jsonl")
        reckoning = reckon(region, offered, evidence, await decided, time.monotonic() - began)
        if keep_open:
            say(f"the page stays open at {page_url(deployment)} until Ctrl-C")
            await on_signals().wait()
        return reckoning


def signing_key(folder: Path) -> Path:
    """A key of the demo's own, worth nothing to anybody: its certificate says so."""
    now = keys.today()
    keys.make(folder, "demo", "DEMO of a flood warning system: worth nothing", now - timedelta(hours=1), now + timedelta(days=7))
    return folder


async def outside_world(supervisor: Supervisor, region: Region, deployment: Deployment, folder: Path) -> Deployment:
    """The SMS centre and the webhook receiver, as processes of their own; the deployment that knows where they are."""
    names = {
        contact.webhook.removeprefix("rehearsal:"): contact.secret
        for contact in region.contacts
        if contact.webhook.startswith("rehearsal:")
    }
    keys = folder / "secrets.json"
    keys.write_text(json.dumps(names), encoding="utf-8")
    sms, hooks = free_port(), free_port()
    telecom = (
        "--port",
        str(sms),
        "--user",
        deployment.smpp_user,
        "--password",
        deployment.smpp_password,
        "--record",
        str(folder / "sms.jsonl"),
    )
    receiver = ("--port", str(hooks), "--secrets", str(keys), "--record", str(folder / "webhooks.jsonl"))
    await supervisor.start(
        Command("telecom", ("warning.rehearsal.telecom", *telecom), log=folder / "telecom.log"),
        Command("receiver", ("warning.rehearsal.receiver", *receiver), log=folder / "receiver.log"),
    )
    return replace(deployment, smpp_port=sms, rehearsal_url=f"http://127.0.0.1:{hooks}/hook")


async def worked_through(supervisor: Supervisor, deployment: Deployment, fed: Fed, progress: Progress) -> None:
    """Until the worker has closed the last beat of every partition. Raises Unavailable after ``STALLED_S`` without progress.

    A worker that was started again after its last beat has no beat to tell of; then the group's commit says how far it is.
    """
    total, moved = sum(fed.ends.values()), time.monotonic()
    done = dict.fromkeys(fed.ends, 0)
    while sum(done.values()) < total:
        if supervisor.failed.done():
            supervisor.failed.result()
        still_s = time.monotonic() - moved
        found = await asyncio.to_thread(_closed, deployment) if still_s < QUIET_S else await committed(deployment, len(done))
        now = {partition: max(before, found.get(partition, 0)) for partition, before in done.items()}
        progress("records worked through", sum(now.values()), total)
        if now != done:
            done, moved = now, time.monotonic()
        elif still_s > STALLED_S:
            words = (
                f"the worker stands still: {sum(done.values())} of {total} records done, restarted {supervisor.restarts['worker']} times"
            )
            raise Unavailable(words + supervisor.tail("worker"))
        await asyncio.sleep(0.3)


def _closed(deployment: Deployment) -> dict[int, int]:
    """partition -> next record after its last closed beat, as the worker's metrics say."""
    _, text = asked(f"http://{deployment.host}:{deployment.worker_metrics_port}/metrics")
    return {int(partition): int(float(offset)) + 1 for partition, offset in _OFFSET.findall(text)}


async def delivered(supervisor: Supervisor, region: Region, deployment: Deployment, progress: Progress) -> None:
    """Until the dispatcher has read every alert and every delivery has its last word. One that never gets it does not hold us up for
    longer than ``STALLED_S``: the reckoning calls it lost."""
    alerts = sorted(await published(deployment))
    ledger = await Ledger.open(deployment.database, region.id)
    try:
        before, moved = None, time.monotonic()
        while time.monotonic() - moved < STALLED_S:
            if supervisor.failed.done():
                supervisor.failed.result()
            read = len(await ledger.known_digests(alerts))
            counts, unsettled = await ledger.counts(), await ledger.unsettled()
            waiting = sum(count for (_, state), count in counts.items() if state == DeliveryState.ACCEPTED.value)
            progress("deliveries closed", sum(counts.values()) - waiting - unsettled, sum(counts.values()))
            if read == len(alerts) and not unsettled and not waiting:
                return
            now = (read, unsettled, waiting)
            if now != before:
                before, moved = now, time.monotonic()
            await asyncio.sleep(0.5)
        log.error("the dispatcher stands still: %d of %d alerts read, %d open, %d without a receipt", read, len(alerts), unsettled, waiting)
    finally:
        await ledger.close()


@asynccontextmanager
async def deciding(region: Region, records: Iterable[LogRecord]) -> AsyncIterator[asyncio.Task[Decided]]:
    """Decides beside everything else. Whoever leaves before it is done stops it: Python waits for a thread before it ends."""
    over = threading.Event()
    task = asyncio.create_task(asyncio.to_thread(decide, region, records, over))
    try:
        yield task
    finally:
        over.set()
        await asyncio.gather(task, return_exceptions=True)


def decide(region: Region, records: Iterable[LogRecord], over: threading.Event | None = None) -> Decided:
    """What the log implies, without any broker: the same step over the same records. Raises InterruptedError once ``over`` is set."""
    flags: Counter[tuple[str, str]] = Counter()
    rejected: Counter[tuple[str, str]] = Counter()
    applied = 0
    alerts: list[AlertEvent] = []
    for closed in replay_file(region, records):
        if over is not None and over.is_set():
            raise InterruptedError("nobody waits for what would be decided")
        flags.update(closed.outputs.flags)
        rejected.update((each.stage, each.reason) for each in closed.rejected)
        applied += closed.outputs.applied
        alerts += closed.alerts
    return Decided(flags, rejected, applied, tuple(alerts))
