"""Composition root: one straight-line function per process. Each opens what it needs in order, and closes it in reverse.

A function gets its Region, its Deployment and ``stop``, an event that SIGTERM and SIGINT set. ``run`` is how a command calls it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from warning import access, access_check, wiring_logging
from warning.deployment import Deployment
from warning.errors import ConfigError, ExitCode, Problem, Unavailable
from warning.facts import Fact, Listener, Ready, nobody
from warning.model import Status
from warning.region import Region
from warning.wiring_signals import on_signals

if TYPE_CHECKING:
    from warning.ingest.log import KafkaLog

Process = Callable[[Region, Deployment, asyncio.Event], Awaitable[ExitCode | None]]

log = logging.getLogger(__name__)


def run(name: str, process: Process, region: Region, deployment: Deployment) -> ExitCode:
    """Runs a process until it ends or a signal stops it; returns why. Raises what it raised."""
    wiring_logging.configure(name)
    allowed(region, deployment)
    mine = deployment if name == "up" else deployment.as_process(name)  # up hands it on
    return asyncio.run(_until_signalled(process, region, mine)) or ExitCode.OK


def allowed(region: Region, deployment: Deployment) -> None:
    """Raises ConfigError where status and deployment do not go together: nothing of a rehearsal may look like the real thing."""
    problems = []
    if region.status is Status.ACTUAL and deployment.embedded:
        fix = "name an Apache Kafka with --kafka host:port"
        problems.append(Problem(f"region {region.id}", "status Actual on the embedded broker, which forgets all when it stops", fix))
    if region.status is Status.ACTUAL and deployment.replay:
        problems.append(Problem(f"region {region.id}", "a replay with status Actual", "a replay is an Exercise: set status in region.yaml"))
    if deployment.replay != deployment.prefix.startswith("replay-"):
        problems.append(
            Problem(
                "prefix",
                f"{deployment.prefix!r} of {'a replay' if deployment.replay else 'a live deployment'}",
                "a replay's prefix begins with replay-, no other does",
            )
        )
    if deployment.rehearsal_url and not deployment.replay:
        problems.append(Problem("rehearsal_url", "the webhook receiver of a rehearsal in a live deployment", "leave it empty"))
    if problems:
        raise ConfigError(problems)


async def _until_signalled(process: Process, region: Region, deployment: Deployment) -> ExitCode | None:
    return await process(region, deployment, on_signals())


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


async def admitted(deployment: Deployment, process: str) -> None:
    """Raises what the brokers have against us (``AccessError``, ``ConfigError``, unknown host). They may be away."""
    if (told := await access_check.refusal(deployment, process)) is not None:
        raise told


def readings_log(
    region: Region, deployment: Deployment, process: str, listen: Listener = nobody, topics: Mapping[str, int] | None = None
) -> KafkaLog:
    """The log that a way in appends to, not started, with the rights of ``process``. ``topics``: other ones than the gateway's."""
    from warning.ingest.gateway import Gateway
    from warning.ingest.log import KafkaLog

    return KafkaLog(
        deployment.bootstrap,
        Gateway.topics(region, deployment) if topics is None else topics,
        idempotent=not deployment.embedded,
        listen=listen,
        security=partial(access.security, deployment),
        check=partial(access_check.check, deployment, process),
    )


def settled() -> None:
    """For a process that is set up and takes many small things from now on: what is there is not looked through again for garbage, and
    memory that a request has freed stays. A quarter less CPU a reading."""
    from warning.stream import memory

    memory.keep()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def settled_when_ready(listen: Listener, process: str) -> Listener:
    """The same as soon as ``process`` tells that it works: an alert to thousands is rows by the hundred thousand, each looked through for
    garbage again and again, which was a quarter of the dispatcher's CPU."""

    def heard(fact: Fact) -> None:
        listen(fact)
        if isinstance(fact, Ready) and fact.part == process and fact.ready:
            settled()

    return heard


async def ingest(region: Region, deployment: Deployment, stop: asyncio.Event) -> None:
    """``warning ingest``: HTTP and the inbox in, the log out."""
    from warning import wiring_devices, wiring_readers
    from warning.ingest import edge_report, http, pushed, serving
    from warning.ingest.gateway import Gateway
    from warning.ingest.inbox import Inbox
    from warning.ingest.keys import KeyStore
    from warning.ingest.rate import Limits
    from warning.operate import health
    from warning.operate.devices import Devices
    from warning.operate.observed import observe
    from warning.operate.registry import Registry, address

    await admitted(deployment, "ingest")
    devices = Devices(Registry(address(deployment)))
    observed = observe(region, "ingest", ("broker",), devices)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(devices.kept())
        keys = KeyStore(deployment.database, clock_ms)
        stack.push_async_callback(keys.close)
        readings = readings_log(region, deployment, "ingest", observed)
        await readings.start()
        stack.push_async_callback(readings.stop)
        gateway = Gateway(region, deployment, readings, clock_ms)
        limits = Limits(time.monotonic)  # of a key, whichever way it sends
        app = http.create_app(gateway, keys, observed, limits=limits, formats=pushed.shipped())
        app.middlewares.append(edge_report.middleware(observed))
        app.add_routes(health.routes(observed.health, observed.registry))
        sensors = wiring_devices.sensors(app.add_routes, region, deployment, gateway, keys, clock_ms, observed, limits)
        await wiring_readers.readers(stack, app.add_routes, region, deployment, gateway, keys, clock_ms, observed, limits)
        try:
            server = await serving.serve(app, deployment.host, deployment.ingest_port)
        except OSError as error:
            raise Unavailable(
                f"{deployment.host}:{deployment.ingest_port} for readings: {error.strerror or error}", reason="address"
            ) from error
        stack.push_async_callback(server.stop)
        settled()
        log.info("readings in at http://%s:%d%s", deployment.host, server.port, http.PATH)
        if deployment.replay:  # what is sent meanwhile is of today
            await stop.wait()
        else:
            inbox = Inbox(deployment, gateway, observed, partial(access.security, deployment))
            await asyncio.gather(inbox.run(stop), *(reader.run(stop) for reader in sensors))


async def worker(region: Region, deployment: Deployment, stop: asyncio.Event) -> ExitCode:
    """``warning worker``: its share of the partitions, until it is stopped or cannot go on; why is in its log and its exit code."""
    from warning.operate import health
    from warning.operate.observed import observe
    from warning.stream.app import work
    from warning.stream.decisions import PIPELINE

    observed = observe(region, "worker", ("stream",))
    async with health.serve(observed.health, observed.registry, deployment.host, deployment.worker_metrics_port):
        return await work(region, deployment, observed, PIPELINE, stop)


async def dispatch(region: Region, deployment: Deployment, stop: asyncio.Event) -> None:
    """``warning dispatch``: alerts in, SMS and webhooks out, receipts."""
    from warning import config_cash, config_routes
    from warning.dispatch.dispatcher import Dispatcher
    from warning.operate import health
    from warning.operate.observed import observe

    routes = config_routes.load("" if deployment.replay else deployment.routes_file)  # a replay reaches nobody's gateway
    cash = None if deployment.replay else config_cash.load(region)
    await admitted(deployment, "dispatch")
    observed = observe(region, "dispatch", ("dispatch",))
    endpoints, loopback = rehearsal_endpoints(region, deployment)
    async with health.serve(observed.health, observed.registry, deployment.host, deployment.dispatch_metrics_port):
        listen = settled_when_ready(observed, "dispatch")
        await Dispatcher(region, deployment, listen, endpoints=endpoints, allow_loopback=loopback, routes=routes, cash=cash).run(stop)


def rehearsal_endpoints(region: Region, deployment: Deployment) -> tuple[dict[str, str], frozenset[tuple[str, int]]]:
    """(NAME -> URL of contacts at rehearsal:NAME, the loopback addresses that these may lead to); both empty without a receiver."""
    if not deployment.rehearsal_url:
        return {}, frozenset()
    place = urlsplit(deployment.rehearsal_url)
    names = [contact.webhook.removeprefix("rehearsal:") for contact in region.contacts if contact.webhook.startswith("rehearsal:")]
    return {name: f"{deployment.rehearsal_url}/{name}" for name in names}, frozenset({(place.hostname or "", place.port or 80)})


async def api(region: Region, deployment: Deployment, stop: asyncio.Event) -> None:
    """``warning api``: the topics in, resources, feed and page out."""
    from warning.operate.api import create_app, serve
    from warning.operate.observed import observe

    await admitted(deployment, "api")
    observed = observe(region, "api", ("broker", "log"))
    app = create_app(region, deployment, observed, health=observed.health, registry=observed.registry)
    async with serve(app, deployment.host, deployment.api_port) as port:
        log.info("page at http://%s:%d/", deployment.host, port)
        await stop.wait()
