"""The embedded broker as a child process, and the topics of a deployment on both brokers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import services
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from warning.deployment import Deployment
from warning.errors import ConfigError, ExitCode, StateError, Unavailable
from warning.stream.broker import FIRST_PORT, EmbeddedBroker, free_port
from warning.stream.topics import ensure_topics


@pytest.fixture(scope="module", params=["embedded", "apache"])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    with services.embedded() if request.param == "embedded" else services.apache_kafka() as server:
        yield server.bootstrap


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_it_starts_answers_and_stops() -> None:
    with EmbeddedBroker() as broker:
        pid = broker.pid
        assert broker.running and services.listening(broker.port)
    assert pid is not None and gone(pid) and not services.listening(broker.port)
    broker.stop()  # twice is safe


def test_it_leaves_nothing_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with EmbeddedBroker() as broker:
        assert broker.running
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent death signal is Linux's")
def test_it_ends_with_us_when_we_are_killed() -> None:
    script = "import time\nfrom warning.stream.broker import EmbeddedBroker\nb = EmbeddedBroker().start()\n"
    script += "print(b.pid, flush=True)\ntime.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=services.ROOT)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 10
    while not gone(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert gone(child)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where the ports that the system gives begin is said by Linux only")
def test_a_free_port_is_none_that_the_system_gives_to_another_before_it_is_taken() -> None:
    given_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if given_from < FIRST_PORT + 10_000:
        pytest.skip("this system gives almost any port to anybody: sysctl net.ipv4.ip_local_port_range")
    ports = [free_port() for _ in range(50)]
    assert all(FIRST_PORT <= port < given_from for port in ports) and len(set(ports)) > 40
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with EmbeddedBroker() as first, pytest.raises(Unavailable, match=str(first.port)):
        EmbeddedBroker(first.port).start(3.0)


async def test_topics_are_made_once_and_another_count_is_refused(broker: str) -> None:
    deployment = Deployment(bootstrap=broker, prefix="a.")
    await ensure_topics(deployment, 4)
    await ensure_topics(deployment, 4)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    counts = {entry["topic"]: len(entry["partitions"]) for entry in await admin.describe_topics([t.name for t in deployment.topics])}
    await admin.close()
    assert counts == {t.name: 4 if t.by_partition else 1 for t in deployment.topics}
    with pytest.raises(StateError, match=r"a\.readings has 4 partitions, not 3") as refused:
        await ensure_topics(deployment, 3)
    assert refused.value.exit_code is ExitCode.CONFIG


async def test_kafka_keeps_the_topic_settings() -> None:
    with services.apache_kafka() as kafka:
        deployment = Deployment(bootstrap=kafka.bootstrap, prefix="b.")
        await ensure_topics(deployment, 2)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        got = {}
        for name in ("b.readings", "b.checkpoints", "b.alerts"):
            [response] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            got[name] = {entry[0]: entry[1] for entry in response.resources[0][4]}
        await admin.close()
        assert got["b.readings"]["retention.ms"] == str(7 * 86_400_000)
        assert got["b.readings"]["message.timestamp.type"] == "LogAppendTime"
        assert got["b.checkpoints"]["cleanup.policy"] == "compact"
        assert got["b.checkpoints"]["min.cleanable.dirty.ratio"] == "0.1"
        assert got["b.alerts"]["retention.ms"] == "-1"
        with pytest.raises(ConfigError, match="replication"):
            await ensure_topics(replace(deployment, prefix="c.", replication=3), 2)


async def test_no_broker_is_said_in_one_line() -> None:
    with pytest.raises(Unavailable, match="asked for the topics"):
        await ensure_topics(Deployment(bootstrap=f"127.0.0.1:{free_port()}"), 1)
