"""The whole demo under a real Prometheus and Alertmanager: every panel has data, and the dead-man alarm fires when the worker is killed.

The processes are the real ones, on the embedded broker, with the first days of the flood of 2025; one sensor pushes over HTTP meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx
from operate_prometheus import fired, panel_queries, scaled_rules, start_alertmanager, start_prometheus, wait_for
from pytest_httpserver import HTTPServer

from warning import config, wiring_replay
from warning.deployment import Deployment
from warning.ingest import rows
from warning.ingest.keys import KeyStore
from warning.stream.broker import free_port
from warning.stream.replay import log_with_ticks
from warning.stream.topics import ensure_topics
from warning.wiring_supervisor import Command, Supervisor, asked
from warning.wiring_up import commands, with_broker

FIRST = 25  # readings of the flood: three days


@contextmanager
def running(command: Command) -> Iterator[subprocess.Popen[bytes]]:
    """The process without a supervisor, so that it stays dead."""
    assert command.log is not None
    with command.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command.arguments], env=os.environ | dict(command.environment), stdout=log, stderr=log
        )
        try:
            wait_for(f"{command.name} is ready", lambda: asked(command.ready)[0] == 200, 180)
            yield process
        finally:
            process.kill()
            process.wait()


async def sensor(deployment: Deployment) -> list[int]:
    """Answers to a good reading, one with a wrong unit, and one without a key."""
    store = KeyStore(deployment.database, lambda: 0)
    try:
        _, key = await store.create("sensor")
    finally:
        await store.close()
    good = {"station": "IND-TAUNSA", "parameter": "inflow", "time": "2025-08-27T06:00:00+05:00", "value": 210000, "unit": "cusec"}
    url, header = f"http://{deployment.host}:{deployment.ingest_port}/v1/readings", {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(timeout=60) as client:
        answers = [
            await client.post(url, json=good, headers=header),
            await client.post(url, json=good | {"unit": "furlong"}, headers=header),
            await client.post(url, json=good),
        ]
    return [answer.status_code for answer in answers]


def watched(directory: Path) -> Deployment:
    return Deployment(
        bootstrap="",
        prefix=f"replay-watched-{secrets.token_hex(3)}.",
        directory=directory,
        embedded=True,
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


async def test_every_panel_shows_the_demo_and_a_killed_worker_raises_the_dead_man_alarm(httpserver: HTTPServer, tmp_path: Path) -> None:
    posted = fired(httpserver)
    region = config.load("indus")
    async with AsyncExitStack() as stack:
        deployment, _ = await with_broker(stack, watched(tmp_path))
        await ensure_topics(deployment, region.partitions)
        supervisor = await stack.enter_async_context(Supervisor())
        deployment = await wiring_replay.outside_world(supervisor, region, deployment, tmp_path)
        own = {command.name: command for command in commands(region, deployment, tmp_path)}
        worker = stack.enter_context(running(own.pop("worker")))
        await supervisor.start(*own.values(), within_s=120)
        ports = {
            "ingest": deployment.ingest_port,
            "api": deployment.api_port,
            "worker": deployment.worker_metrics_port,
            "dispatch": deployment.dispatch_metrics_port,
        }
        targets = {job: [f"{deployment.host}:{port}"] for job, port in ports.items()}
        alertmanager = stack.enter_context(start_alertmanager(httpserver.url_for("").rstrip("/")))
        prometheus = stack.enter_context(start_prometheus(targets, alertmanager=alertmanager, rules=scaled_rules(tmp_path)))
        read = rows.read(wiring_replay.first_replay(region), region)
        few = rows.Rows(read.readings[:FIRST], ())
        await wiring_replay.play(region, deployment, few, list(log_with_ticks(region, few.readings)), None, lambda *_: None)
        assert await sensor(deployment) == [202, 422, 401]
        await asyncio.to_thread(wait_for, "all four are scraped", lambda: prometheus.scraped() == dict.fromkeys(ports, "up"))

        def empty() -> list[str]:
            return [f"{query.panel}: {query.expr}" for query in panel_queries("10s") if not prometheus.query(query.expr)]

        await asyncio.to_thread(wait_for, f"every panel has data: {empty()}", lambda: not empty(), 90)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        await asyncio.to_thread(wait_for, "operators hear of it", lambda: "WarningWorkerAbsent:" in posted.get("/operators", set()), 90)
