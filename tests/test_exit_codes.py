"""Every exit code has a test that makes it happen. Here: no memory, a loop that stands, a state that the brokers do not take, a broker that
freezes. The others are where their reason is tested; the last test holds that none is without one."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import services
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from stream_worker import WorkerProcess

from warning.deployment import Deployment
from warning.errors import ExitCode
from warning.model import Parameter, Reading, to_json
from warning.stream.feed import committed
from warning.stream.kafka import KafkaLog
from warning.stream.topics import ensure_topics
from warning.wiring_supervisor import asked

REGION = {"stations": 4, "partitions": 2}


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    with services.embedded() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="module")
def apache() -> Iterator[services.ApacheKafka]:
    with services.apache_kafka() as kafka:
        yield kafka


def place(bootstrap: str, name: str, **more: object) -> Deployment:
    fields: dict[str, object] = {"bootstrap": bootstrap, "prefix": f"{name}{time.time_ns()}.", "session_timeout_s": 4.0}
    return Deployment(**(fields | {"checkpoint_every_s": 1.0} | more))  # type: ignore[arg-type]


async def put(deployment: Deployment, value: float) -> int:
    """Offset of one reading."""
    one = Reading(station="s000", parameter=Parameter.STAGE, time_ms=1, value=value, received_ms=1, provider="t")
    async with KafkaLog(deployment) as log:
        return (await (await log.send(deployment.readings, to_json(one), b"b0", 0))).offset


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("hungry", ExitCode.OUT_OF_MEMORY, "(OUT_OF_MEMORY)"),
        ("blocked", ExitCode.NO_PROGRESS, "its event loop has stood still for"),
    ],
)
async def test_a_beat_that_cannot_be_computed_ends_and_is_not_committed(embedded: str, what: str, code: ExitCode, words: str) -> None:
    deployment = place(embedded, what, embedded=True)
    with WorkerProcess(deployment=asdict(deployment), region=REGION, patience_s=3.0, **{what: 0.123}) as worker:
        worker.wait_for("CheckpointWritten", count=2)
        offset = await put(deployment, 0.123)
        assert worker.ends() == code, worker.words
    assert words in worker.words and worker.words.count("the worker ends with code") == 1
    assert (await committed(deployment, 2))[0] <= offset


async def test_livez_fails_while_records_wait_and_none_is_applied(embedded: str) -> None:
    """A real worker whose work stands still in a call while its loop goes on answering; it would end itself only later."""
    deployment, port = place(embedded, "waits", embedded=True), services.free_port()
    live = f"http://127.0.0.1:{port}/livez"
    with WorkerProcess(deployment=asdict(deployment), region=REGION, stuck=0.123, probes=port, stall_s=2.0) as worker:
        worker.wait_for("Ready", ready=True)
        time.sleep(2.5)
        assert asked(live)[0] == 200, "an idle worker lives"
        await put(deployment, 0.123)
        until = time.monotonic() + 180
        while (answer := asked(live))[0] == 200:
            assert time.monotonic() < until, worker.words
            time.sleep(0.2)
        assert answer[0] == 503 and "partition 0" in answer[1] and "records wait and no beat was closed" in answer[1]
        assert worker.process.poll() is None


async def test_a_state_that_the_brokers_do_not_take_ends(apache: services.ApacheKafka) -> None:
    deployment = place(apache.bootstrap, "large")
    await ensure_topics(deployment, 2)
    admin = AIOKafkaAdminClient(bootstrap_servers=apache.bootstrap)
    await admin.start()
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, deployment.checkpoints, {"max.message.bytes": "200"})])
    await admin.close()
    with WorkerProcess(deployment=asdict(deployment), region=REGION) as worker:
        assert worker.ends() == ExitCode.CHECKPOINT_WRITE, worker.words
    assert "the brokers do not take the state" in worker.words and "max.message.bytes" in worker.words
    assert "Traceback" not in worker.words


async def test_a_broker_that_freezes_ends_a_worker(apache: services.ApacheKafka) -> None:
    """It takes connections and never answers: what looks least like an outage. (At a start: ``test_secured``.)"""
    deployment = place(apache.bootstrap, "frozen")
    settings = {"deployment": asdict(deployment), "region": REGION, "patience_s": 4.0}
    assert apache.pid is not None
    with WorkerProcess(**settings) as running:
        running.wait_for("CheckpointWritten")
        os.kill(apache.pid, signal.SIGSTOP)
        try:
            assert running.ends(90.0) == ExitCode.BROKER, running.words
        finally:
            os.kill(apache.pid, signal.SIGCONT)
    assert "no broker for" in running.words


def test_every_code_is_made_to_happen_by_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    for code in ExitCode:
        assert re.search(rf"(==|is|,) ExitCode\.{code.name}\b", tests), f"no test ends with {code.name}"
