"""The broker of a bench: the Apache Kafka that was named, else one of its own if installed, else the embedded one; and which it is."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.stream.broker import EmbeddedBroker, end_with_parent, free_port
from warning.stream.topics import ensure_topics
from warning.wiring_environment import from_environment

START_S = 90.0
STOP_S = 30.0
HOW = "make services (Java 17 and Maven), or WARNING_KAFKA_HOME=folder with libs/*.jar"
HOST = "127.0.0.1"
EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Broker:
    """``words``: what a figure has to say about where it was measured."""

    bootstrap: str
    embedded: bool
    words: str
    folder: Path | None = None  # of its data, if it is ours: what a topic weighs on disk can be seen

    async def deployment(self, folder: Path, partitions: int, name: str) -> Deployment:
        """A live deployment of its own on this broker, with its topics; ports are free ones."""
        made = replace(
            from_environment(os.environ),  # how to get in
            bootstrap=self.bootstrap,
            prefix=f"{name}-{os.getpid()}.",
            directory=folder,
            embedded=self.embedded,
            ingest_port=free_port(),
            worker_metrics_port=free_port(),
        )
        await ensure_topics(made, partitions)
        return made

    def bytes_of(self, topic: str) -> int | None:
        """On disk, all partitions; None where that cannot be seen."""
        if self.folder is None:
            return None
        segments = [path for folder in (self.folder / "data").glob(f"{topic}-[0-9]*") for path in folder.glob("*.log")]
        return sum(path.stat().st_size for path in segments if path.exists())


def installed() -> Path | None:
    """Folder with ``libs/*.jar`` of Apache Kafka: WARNING_KAFKA_HOME, else .services/kafka in the checkout."""
    here = (os.environ.get("WARNING_KAFKA_HOME"), str(Path(__file__).parent.parent / ".services" / "kafka"))
    for home in filter(None, here):
        if any((Path(home) / "libs").glob("kafka_2.13-*.jar")) and shutil.which("java"):
            return Path(home)
    return None


@asynccontextmanager
async def broker(kafka: str = "") -> AsyncIterator[Broker]:
    """Yields it, and ends what it started. Raises Unavailable."""
    home = installed() if not kafka else None
    if kafka and kafka != EMBEDDED:
        yield Broker(kafka, False, f"Apache Kafka at {kafka}")
    elif home is not None:
        with tempfile.TemporaryDirectory(prefix="bench-kafka-", ignore_cleanup_errors=True) as folder:
            async with _apache(home, Path(folder)) as bootstrap:
                yield Broker(bootstrap, False, "Apache Kafka, one broker of its own on this machine", Path(folder))
    else:
        with EmbeddedBroker() as embedded:
            why = "asked for" if kafka else f"Apache Kafka is not installed ({HOW})"
            yield Broker(embedded.bootstrap, True, f"the embedded broker, in memory: {why}")


def one_broker(folder: Path, port: int, controller: int) -> dict[str, object]:
    """The properties of a broker that is alone and keeps its log in ``folder``."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
    }


def written(folder: Path, settings: Mapping[str, object]) -> None:
    """``server.properties``, and what its log is to be."""
    (folder / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    (folder / "log4j2.properties").write_text(
        "rootLogger.level=WARN\nrootLogger.appenderRef.a.ref=A\nappender.a.type=Console\nappender.a.name=A\n"
        "appender.a.layout.type=PatternLayout\nappender.a.layout.pattern=%d %p %c{1} %m%n\n"
    )


@asynccontextmanager
async def _apache(home: Path, folder: Path) -> AsyncIterator[str]:
    port, controller = free_port(), free_port()
    written(folder, one_broker(folder, port, controller))
    java = ["java", "-Xmx1g", "-Xms256m", f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}", "-cp", f"{home}/libs/*"]
    formatting = [*java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", str(folder / "server.properties")]
    with (folder / "server.log").open("ab") as log:
        await _start(formatting, log, folder, wait=True)
        server = await _start([*java, "kafka.Kafka", str(folder / "server.properties")], log, folder)
        try:
            await _answers(server, port)
            yield f"{HOST}:{port}"
        finally:
            await _stop(server)


async def _start(command: list[str], log: object, folder: Path, *, wait: bool = False) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stdout=log,  # type: ignore[arg-type]
        stderr=log,  # type: ignore[arg-type]
        cwd=folder,
        start_new_session=True,  # Ctrl-C is ours to hand on
        preexec_fn=end_with_parent(),
    )
    if wait and await process.wait():
        raise Unavailable(f"Apache Kafka cannot be started: {(folder / 'server.log').read_text(errors='replace')[-1000:]}")
    return process


async def _answers(server: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(START_S):
        while server.returncode is None:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return
    raise Unavailable(f"Apache Kafka ended as it started, with exit code {server.returncode}")


async def _stop(server: asyncio.subprocess.Process) -> None:
    if server.returncode is not None:
        return
    server.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await server.wait()
    except TimeoutError:
        server.kill()
        await server.wait()
