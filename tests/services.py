"""Real servers for tests: where they are, how they are started, and that they end. ``make services`` installs what is not in a wheel.

A test that needs a server which is absent is skipped by name; with WARNING_REQUIRE_SERVICES=1 it fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warning.stream.broker import EmbeddedBroker, end_with_parent, free_port

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"


def absent(name: str, how: str) -> None:
    """Skips the test, or fails it where all servers must be there."""
    words = f"{name} is not installed: {how}"
    if os.environ.get("WARNING_REQUIRE_SERVICES") == "1":
        pytest.fail(words)
    pytest.skip(words)


def kafka_home() -> Path | None:
    """Folder with ``libs/*.jar`` of Apache Kafka: WARNING_KAFKA_HOME, else .services/kafka in the checkout."""
    for home in filter(None, (os.environ.get("WARNING_KAFKA_HOME"), ROOT / ".services" / "kafka")):
        if any((Path(home) / "libs").glob("kafka_2.13-*.jar")) and shutil.which("java"):
            return Path(home)
    return None


class ApacheKafka:
    """One KRaft broker on 127.0.0.1, with its own folder; ``kill`` and ``start`` again keep what it holds."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder
        self.port, self.controller = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log4j2.properties").write_text(
            "rootLogger.level=WARN\nrootLogger.appenderRef.a.ref=A\nappender.a.type=Console\nappender.a.name=A\n"
            "appender.a.layout.type=PatternLayout\nappender.a.layout.pattern=%d %p %c{1} %m%n\n"
        )
        self.properties = folder / "server.properties"
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()))
        self._run("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(self.properties))

    def _settings(self) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{HOST}:{self.controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "log.retention.check.interval.ms": 2000,
        }

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _java(self, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [
            "java",
            "-Xmx384m",
            "-Xms128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            logging,
            "-cp",
            f"{self.home}/libs/*",
            *arguments,
        ]

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(self._java(*arguments), capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, within_s: float = 90.0) -> ApacheKafka:
        with (self.folder / "server.log").open("ab") as log:
            command = self._java("kafka.Kafka", str(self.properties))
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, preexec_fn=end_with_parent())
        until = time.monotonic() + within_s
        while not listening(self.port):
            words = (self.folder / "server.log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"Kafka ended: {words}"
            assert time.monotonic() < until, f"Kafka does not answer: {words}"
            time.sleep(0.1)
        return self

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listening(port: int, host: str = HOST) -> bool:
    try:
        with socket.create_connection((host, port), 0.5):
            return True
    except OSError:
        return False


@contextmanager
def embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@contextmanager
def apache_kafka() -> Iterator[ApacheKafka]:
    """Skips (or fails) where it is not installed."""
    home = kafka_home()
    if home is None:
        absent("Apache Kafka", "make services (Java 17 and Maven), or set WARNING_KAFKA_HOME to a folder with libs/*.jar")
        raise AssertionError  # absent() does not return
    folder = Path(tempfile.mkdtemp(prefix="kafka-"))
    kafka = ApacheKafka(home, folder)
    try:
        yield kafka.start()
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)
