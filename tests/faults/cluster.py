"""Three Apache Kafka brokers on 127.0.0.1: every topic three times, two of them for each write; and what faults ask of them."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import services
from aiokafka.admin import AIOKafkaAdminClient

from warning.stream.broker import free_port

from .keeper import Keeper, Program

BROKERS = 3
HEAP = "256m"
HOST = services.HOST


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


HOSTNAME = "kafka.faults.test"


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
