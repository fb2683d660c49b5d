"""``warning up``: everything at once, each process an OS process of its own, on the embedded broker unless there is a Kafka."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from warning import config_sources
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics
from warning.wiring_environment import to_environment
from warning.wiring_signals import first_of
from warning.wiring_supervisor import Command, Supervisor

log = logging.getLogger(__name__)

# In the order of their start; stopped in reverse, so that nobody is told of what the worker did not finish.
PROCESSES = ("dispatch", "worker", "api", "ingest")


def commands(region: Region, deployment: Deployment, logs: Path | None = None) -> list[Command]:
    """The processes of a deployment. ``logs``: folder for their output, one file each; None: our own standard error."""
    ports = {
        "ingest": deployment.ingest_port,
        "api": deployment.api_port,
        "worker": deployment.worker_metrics_port,
        "dispatch": deployment.dispatch_metrics_port,
        "pull": deployment.pull_metrics_port,
    }
    pulls = ("pull",) if config_sources.load(Path(region.folder), region) else ()
    return [
        Command(
            name,
            ("warning", name, *(() if name == "pull" else ("--region",)), str(Path(region.folder).resolve())),
            to_environment(deployment.as_process(name)),
            ready=f"http://{deployment.host}:{ports[name]}/readyz",
            log=logs / f"{name}.log" if logs else None,
        )
        for name in (*PROCESSES, *pulls)
    ]


def page_url(deployment: Deployment) -> str:
    return f"http://{deployment.host}:{deployment.api_port}/"


async def up(region: Region, deployment: Deployment, stop: asyncio.Event) -> None:
    """Starts all, restarts what dies, stops all in reverse when ``stop`` is set. Raises StateError, Unavailable."""
    await first_of(stop, _up(region, deployment))


async def _up(region: Region, deployment: Deployment) -> None:
    async with AsyncExitStack() as stack:
        deployment, broker = await with_broker(stack, deployment)
        await ensure_topics(deployment.as_process("worker"), region.partitions)
        supervisor = await stack.enter_async_context(Supervisor())
        await supervisor.start(*commands(region, deployment))
        readings = f"http://{deployment.host}:{deployment.ingest_port}/v1/readings"
        print(f"page: {page_url(deployment)}   readings: {readings}   broker: {deployment.bootstrap}", flush=True)
        await asyncio.gather(supervisor.watch(), _watch(broker))  # both wait for what must not happen


async def _watch(broker: EmbeddedBroker | None) -> None:
    while broker is None or broker.running:  # noqa: ASYNC110 - a process of the system sets no event
        await asyncio.sleep(1.0)
    raise Unavailable("the embedded broker ended, and with it all that it held; start again")


async def with_broker(stack: AsyncExitStack, deployment: Deployment) -> tuple[Deployment, EmbeddedBroker | None]:
    """The deployment on a broker that runs: the embedded one, started here and stopped by ``stack``, or the one it names."""
    if not deployment.embedded:
        return deployment, None
    broker = EmbeddedBroker()
    stack.callback(broker.stop)
    broker.start()
    log.warning("the embedded broker at %s keeps everything in memory and forgets it when it stops", broker.bootstrap)
    return replace(deployment, bootstrap=broker.bootstrap), broker
