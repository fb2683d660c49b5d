"""``run_worker``: one process that owns its share of a deployment's partitions until it is told to stop or cannot go on."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from warning import access_check
from warning.deployment import Deployment
from warning.errors import ConfigError, ExitCode, Problem, StateError
from warning.facts import Listener, Ready
from warning.model import Status
from warning.region import Region
from warning.stream import memory, quiet
from warning.stream.deadman import Deadman
from warning.stream.decisions import PIPELINE
from warning.stream.engine import engine
from warning.stream.kafka import GIVE_UP_S, KafkaLog
from warning.stream.ports import Pipeline
from warning.stream.topics import ensure_topics
from warning.stream.watch import PATIENCE_S, Watch
from warning.stream.worker import Worker

START_S = 60.0
STOP_S = 45.0
ABANDON_S = 10.0  # after a fatal error, or beyond STOP_S
logger = logging.getLogger("warning.worker")
Close = Callable[[], Awaitable[None]]
OnStarted = Callable[[asyncio.AbstractEventLoop], Awaitable[Close | None]]


def run_worker(
    region: Region,
    deployment: Deployment,
    listen: Listener,
    on_started: OnStarted | None = None,
    pipeline: Pipeline = PIPELINE,
    wall: Callable[[], float] = time.time,
    patience_s: float = PATIENCE_S,
) -> ExitCode:
    """Blocks until SIGTERM or SIGINT (checkpoint, leave the group, OK) or until it cannot go on (one line in the log, and why as exit
    code). ``on_started`` is awaited in the loop before any broker is asked, for a health server; what it returns is awaited at the
    end. The rest is for tests. Call it in the main thread. Never raises for what brokers, logs or data do."""

    async def main() -> ExitCode:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await work(region, deployment, listen, pipeline, stop, on_started, wall, patience_s)

    return asyncio.run(main())


async def work(
    region: Region,
    deployment: Deployment,
    listen: Listener,
    pipeline: Pipeline,
    stop: asyncio.Event,
    on_started: OnStarted | None = None,
    wall: Callable[[], float] = time.time,
    patience_s: float = PATIENCE_S,
) -> ExitCode:
    """``run_worker`` in a loop that is there already; ends when ``stop`` is set."""
    quiet.hush()
    memory.keep()
    log = KafkaLog(deployment)
    worker = Worker(region, deployment, listen, pipeline, log, wall)
    listen(Ready("stream", False, "starting"))
    close = await on_started(asyncio.get_running_loop()) if on_started is not None else None
    try:
        refuse(region, deployment)
        await access_check.check(deployment, "worker")
        await ensure_topics(deployment, region.partitions)
        async with log, Deadman(2 * patience_s):
            await _serve(worker, log, stop, patience_s)
    except Exception as error:
        worker.fatal(error)
    finally:
        if close is not None:
            await close()
    return worker.code


def refuse(region: Region, deployment: Deployment) -> None:
    """A replay and the broker that forgets cannot warn people. Raises ``ConfigError``."""
    if region.status is not Status.ACTUAL:
        return
    where = f"region {region.id}: status"
    problems = []
    if deployment.embedded:
        problems.append(
            Problem(where, "Actual on the embedded broker, which forgets all when it stops", "Apache Kafka, or status Exercise")
        )
    if deployment.replay:
        problems.append(Problem(where, "Actual in a replay", "a replay runs with status Exercise"))
    if problems:
        raise ConfigError(problems)


async def _serve(worker: Worker, log: KafkaLog, stop: asyncio.Event, patience_s: float) -> None:
    """From joining the group to leaving it."""
    worker.engine = app = engine(worker.deployment, worker)
    watch = Watch(worker, log, patience_s, min(GIVE_UP_S, 2 * patience_s))
    tasks = [asyncio.create_task(_until(worker, work)) for work in (worker.ticks(), worker.checkpoints(), watch.run())]
    ends = [asyncio.create_task(event.wait()) for event in (stop, worker.ended)]
    starting = asyncio.create_task(_start(app))
    try:
        done, _ = await asyncio.wait([starting, *ends], return_when=asyncio.FIRST_COMPLETED)
        if starting in done:
            starting.result()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        starting.cancel()
        for task in (*tasks, *ends):
            task.cancel()
        await asyncio.gather(starting, *tasks, *ends, return_exceptions=True)
        await _leave(worker, app)


async def _start(app: Any, within_s: float = START_S) -> None:
    """Joins the group. Faust waits for ever for what does not come."""
    try:
        async with asyncio.timeout(within_s):
            await app.start()
    except TimeoutError as error:
        words = f"the group was not joined within {within_s:.0f} s: is its coordinator there, does another member hang?"
        raise StateError(words, exit_code=ExitCode.NO_PROGRESS, reason="no_progress") from error


async def _until(worker: Worker, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception as error:
        worker.fatal(error)


async def _leave(worker: Worker, app: Any) -> None:
    """Save (unless something broke) and leave the group, in bounded time: nothing is lost if it does not work out."""
    if worker.code is not ExitCode.OK:
        quiet.mute()  # why is told; what Faust says of its own end would bury it
    stopping = asyncio.ensure_future(app.stop())
    if worker.code is ExitCode.OK:
        await asyncio.wait([stopping], timeout=STOP_S)
    if not stopping.done() and app._consumer is not None:
        app.consumer.abandon()
    done, _ = await asyncio.wait([stopping], timeout=ABANDON_S)
    if not done:
        logger.warning("the group was not left in time; the brokers will notice after the session timeout")
    elif (error := stopping.exception()) is not None:
        worker.fatal(error)
