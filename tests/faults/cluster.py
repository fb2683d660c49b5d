"""Three Apache Kafka brokers on 127.0.0.1: every topic three times, two of them for each write; and what faults ask of them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import services
from aiokafka.admin import AIOKafkaAdminClient

from warning.stream.broker import free_port

from .keeper import Keeper, Program

BROKERS = 3
HEAP = "256m"
HOST = services.HOST
HOSTNAME = "kafka.faults.test"
SMALL = "96m"


class Broker(services.ApacheKafka):
    """One of three. ``name_port`` is a second listener that is advertised under a host name, for faults of name resolution."""

    def __init__(self, home: Path, folder: Path, node: int, controllers: tuple[int, ...], data: Path | None) -> None:
        self.node, self._controllers, self.name_port = node, controllers, free_port()
        self.data = data or folder / "data"
        super().__init__(home, folder)

    def _settings(self) -> dict[str, object]:
        self.controller = self._controllers[self.node - 1]
        clients = f"PLAINTEXT://{HOST}:{self.port}"
        return super()._settings() | {
            "node.id": self.node,
            "controller.quorum.voters": ",".join(f"{node}@{HOST}:{port}" for node, port in enumerate(self._controllers, 1)),
            "listeners": f"{clients},NAMED://{HOST}:{self.name_port},CONTROLLER://{HOST}:{self.controller}",
            "advertised.listeners": f"{clients},NAMED://{HOSTNAME}:{self.name_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,NAMED:PLAINTEXT",
            "log.dirs": self.data,
            "offsets.topic.replication.factor": BROKERS,
            "transaction.state.log.replication.factor": BROKERS,
            "transaction.state.log.min.isr": 2,
            "default.replication.factor": BROKERS,
            "min.insync.replicas": 2,
            "group.initial.rebalance.delay.ms": 500,
            "replica.lag.time.max.ms": 10_000,
            "broker.session.timeout.ms": 4000,
            "controller.quorum.election.timeout.ms": 800,
            "controller.quorum.fetch.timeout.ms": 1500,
            "leader.imbalance.check.interval.seconds": 20,
            "log.flush.offset.checkpoint.interval.ms": 5000,
        }

    def java(self, *arguments: str) -> list[str]:
        return ["-Xmx" + HEAP if word.startswith("-Xmx") else word for word in self._java(*arguments)]

    async def listens(self) -> bool:
        return services.listening(self.port)

    def program(self) -> Program:
        command = self.java("kafka.Kafka", str(self.properties))
        return Program(f"broker{self.node}", tuple(command), self.folder / "server.log", ready=self.listens)


class Cluster:
    """``data``: node -> its log folder, where it is not to be below ``folder`` (a small tmpfs)."""

    def __init__(self, home: Path, folder: Path, keeper: Keeper, data: dict[int, Path]) -> None:
        controllers = tuple(free_port() for _ in range(BROKERS))
        self.keeper = keeper
        self.brokers = [Broker(home, folder / f"broker{node}", node, controllers, data.get(node)) for node in range(1, BROKERS + 1)]

    @property
    def names(self) -> list[str]:
        return [f"broker{broker.node}" for broker in self.brokers]

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.bootstrap for broker in self.brokers)

    @property
    def named_bootstrap(self) -> str:
        return ",".join(f"{HOSTNAME}:{broker.name_port}" for broker in self.brokers)

    async def start(self) -> None:
        for broker in self.brokers:
            self.keeper.add(broker.program())
        await self.keeper.ready(*self.names)

    async def delete(self, topics: list[str]) -> None:
        """What a run left behind, so that the next one has fresh brokers in all but name."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics(topics, timeout_ms=20_000)
        finally:
            await admin.close()

    async def leader(self, topic: str, partition: int) -> int:
        """Node that leads it now; 0: nobody."""
        return (await self._partition(topic, partition))[0]

    async def in_sync(self, topic: str, partition: int) -> list[int]:
        return (await self._partition(topic, partition))[1]

    async def _partition(self, topic: str, partition: int) -> tuple[int, list[int]]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            for entry in await admin.describe_topics([topic]):
                for each in entry["partitions"]:
                    if each["partition"] == partition:
                        return max(0, each["leader"]), list(each["isr"])
        finally:
            await admin.close()
        return 0, []

    async def configure(self, topic: str, setting: str, value: str | None) -> None:
        """Sets one setting of a topic, or takes it away. Through Kafka's own command, which leaves the others as they are."""
        change = ("--delete-config", setting) if value is None else ("--add-config", f"{setting}={value}")
        where = ("--bootstrap-server", self.bootstrap, "--entity-type", "topics", "--entity-name", topic)
        await self.command("kafka.admin.ConfigCommand", *where, "--alter", *change)

    async def command(self, *arguments: str) -> None:
        command = self.brokers[0].java(*arguments)
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, timeout=90)
        assert done.returncode == 0, done.stdout + done.stderr


class Brokers:
    """Brokers that serve one run after the other: to start them takes longer than most faults. ``drop`` after a run that went wrong."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stack: AsyncExitStack | None = None
        self._disk, self._cluster = "", None

    async def __aenter__(self) -> Brokers:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drop()

    async def get(self, small_disk: str) -> Cluster:
        """Three that are well. ``small_disk``: name of one whose data are on a tmpfs of ``SMALL``, or ""."""
        if self._cluster is not None and self._disk == small_disk:
            await self._cluster.keeper.ready(*self._cluster.names)
            return self._cluster
        await self.drop()
        self._disk, self._stack = small_disk, AsyncExitStack()
        folder = Path(tempfile.mkdtemp(prefix="faults-brokers-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        data = {}
        if small_disk:
            data[int(small_disk[-1])] = folder / "disk"
            await mount(folder / "disk", SMALL)
            self._stack.push_async_callback(command, "umount", "-l", str(folder / "disk"))
        keeper = await self._stack.enter_async_context(Keeper())
        cluster = await asyncio.to_thread(Cluster, self._home, folder, keeper, data)
        await cluster.start()
        self._cluster = cluster
        return cluster

    async def drop(self) -> None:
        stack, self._stack, self._cluster = self._stack, None, None
        if stack is not None:
            await stack.aclose()


async def mount(path: Path, size: str) -> None:
    """A small disk. Needs root."""
    path.mkdir(parents=True, exist_ok=True)
    await command("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "faults", str(path))


async def command(*words: str) -> None:
    """A command of the system. Raises OSError with its words."""
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    if process.returncode:
        raise OSError(f"{' '.join(words)}: {output.decode(errors='replace').strip()}")
