"""One whole deployment as real processes: three brokers, gateway, workers, dispatcher, SMS centre, webhook receiver; kept by a keeper."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import channel_postgres

from warning.deployment import Deployment
from warning.ingest.keys import KeyStore
from warning.region import Region
from warning.stream.broker import free_port
from warning.stream.topics import ensure_topics
from warning.wiring import clock_ms
from warning.wiring_environment import to_environment
from warning.wiring_supervisor import asked

from .cluster import BROKERS, HOSTNAME, Cluster, command, mount
from .keeper import Ended, Program
from .load import Size, write_region

TESTS = Path(__file__).parent.parent
SESSION_TIMEOUT_S = 6.0  # the least that brokers take
CHECKPOINT_EVERY_S = 3.0
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@dataclass(frozen=True, slots=True)
class Setup:
    """What a fault needs to be there from the beginning. The names are those of processes."""

    fake_clock: tuple[str, ...] = ()  # run under libfaketime, at the true time until the fault
    by_name: tuple[str, ...] = ()  # reach the brokers by a host name, in a mount namespace with its own /etc/hosts
    small_disk: str = ""  # "broker3" or "ledger": its folder is a tmpfs
    postgres: bool = False  # the ledger is in PostgreSQL


@dataclass
class World:
    folder: Path
    region: Region
    deployment: Deployment
    size: Size
    setup: Setup
    cluster: Cluster
    key: str = ""  # of the gateway
    killed: dict[str, int] = field(default_factory=dict)  # process -> kill -9

    def __post_init__(self) -> None:
        self.keeper = self.cluster.keeper
        self._before = len(self.keeper.ends)

    @property
    def workers(self) -> list[str]:
        return [name for name in self.keeper.names if name.startswith("worker")]

    @property
    def ends(self) -> list[Ended]:
        """Every end of a process in this run."""
        return self.keeper.ends[self._before :]

    @property
    def gateway_url(self) -> str:
        return f"http://{self.deployment.host}:{self.deployment.ingest_port}/v1/readings"

    @property
    def phones(self) -> Path:
        return self.folder / "sms.jsonl"

    @property
    def hooks(self) -> Path:
        return self.folder / "webhooks.jsonl"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    def clock_file(self, name: str) -> Path:
        return self.folder / f"{name}.clock"

    def kill(self, name: str) -> bool:
        """kill -9, counted."""
        done = self.keeper.kill(name)
        self.killed[name] = self.killed.get(name, 0) + done
        return done

    def add_gateway(self) -> None:
        """As the deployment is now; one that was there goes by it from its next start on."""
        self.keeper.add(self._ours("gateway", "ingest", self.deployment.ingest_port))

    def add_worker(self, name: str) -> None:
        self.keeper.add(self._ours(name, "worker", free_port()))

    def add_pull(self) -> None:
        """``warning pull`` of the region's ``sources.yaml``."""
        port = free_port()
        self.keeper.add(self._program("pull", ("-m", "warning", "pull", self.region.folder, "--port", str(port)), port))

    async def well(self, within_s: float = 180.0) -> None:
        """Waits until everything that should run does its work. Raises TimeoutError."""
        await self.keeper.ready(*self.keeper.names, within_s=within_s)

    async def end(self) -> None:
        """Everything of this run, by kill -9 what still lives; the brokers stay and forget its topics."""
        others = [name for name in reversed(self.keeper.names) if name not in self.cluster.names]
        await asyncio.gather(*(self.keeper.stop(name, kill=True) for name in others))

    # --- programs

    def _ours(self, name: str, command: str, port: int) -> Program:
        words = ("-m", "warning", command, "--region", self.region.folder, "--port", str(port))
        return self._program(name, words, port)

    def _program(self, name: str, words: tuple[str, ...], port: int = 0) -> Program:
        deployment, environment = self.deployment, dict[str, str]()
        if name != "dispatch":
            deployment = replace(deployment, rehearsal_url="")  # the commands refuse it in a live deployment, rightly
        arguments = (sys.executable, *words)
        if name in self.setup.by_name:
            deployment = replace(deployment, bootstrap=self.cluster.named_bootstrap)
            self.hosts.write_text(f"127.0.0.1 localhost {HOSTNAME}\n")
            inside = 'mount --bind "$0" /etc/hosts && exec "$@"'
            arguments = ("unshare", "--mount", "sh", "-c", inside, str(self.hosts), *arguments)
        if name in self.setup.fake_clock:
            self.clock_file(name).write_text("+0\n")
            environment |= {
                "LD_PRELOAD": FAKETIME,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock_file(name)),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1",
            }
        environment |= to_environment(deployment) | {"PYTHONPATH": str(TESTS)}
        ready = _ready(f"http://{deployment.host}:{port}/readyz") if port else None
        return Program(name, arguments, self.folder / f"{name}.log", environment, ready)

    def add_ours(self) -> None:
        deployment = self.deployment
        self.add_gateway()
        self.add_worker("worker1")
        self.add_worker("worker2")
        words = ("-m", "faults.dispatcher", self.region.folder)
        self.keeper.add(self._program("dispatch", words, deployment.dispatch_metrics_port))

    def add_outside(self) -> None:
        """The SMS centre and the webhook receiver."""
        secrets = {each.webhook.partition(":")[2]: each.secret for each in self.region.contacts if each.webhook}
        (self.folder / "secrets.json").write_text(json.dumps(secrets))
        deployment = self.deployment
        user = ("--user", deployment.smpp_user, "--password", deployment.smpp_password)
        sms = ("-m", "warning.rehearsal.telecom", "--port", str(deployment.smpp_port), *user, "--record", str(self.phones))
        port = deployment.rehearsal_url.split(":")[2].split("/")[0]
        secrets_file = str(self.folder / "secrets.json")
        hook = ("-m", "warning.rehearsal.receiver", "--port", port, "--secrets", secrets_file, "--record", str(self.hooks))
        self.keeper.add(self._program("sms", sms))
        self.keeper.add(self._program("hooks", hook))


def _ready(url: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return (await asyncio.to_thread(asked, url))[0] == 200

    return ready


@asynccontextmanager
async def everything(folder: Path, size: Size, setup: Setup, cluster: Cluster, prefix: str) -> AsyncIterator[World]:
    """A deployment that works, from brokers to phones, in ``folder``; all of it but the brokers ends with the context."""
    async with AsyncExitStack() as stack:
        region = await asyncio.to_thread(write_region, folder, size)
        database = stack.enter_context(channel_postgres.postgres()) if setup.postgres else ""
        if setup.small_disk == "ledger":
            await mount(folder / "disk", "6m")
            stack.push_async_callback(command, "umount", "-l", str(folder / "disk"))
            database = f"sqlite+aiosqlite:///{folder}/disk/warning.db"
        world = World(folder, region, deployed(folder, database, cluster, prefix), size, setup, cluster)
        stack.push_async_callback(world.end)
        await ensure_topics(world.deployment, region.partitions)
        keys = KeyStore(world.deployment.database, clock_ms)
        world.key = (await keys.create("load"))[1]
        await keys.close()
        world.add_outside()
        world.add_ours()
        await world.well(90.0)
        yield world


def deployed(folder: Path, database_url: str, cluster: Cluster, prefix: str) -> Deployment:
    return Deployment(
        bootstrap=cluster.bootstrap,
        prefix=prefix,
        directory=folder,
        database_url=database_url,
        replication=BROKERS,
        ingest_port=free_port(),
        worker_metrics_port=free_port(),
        dispatch_metrics_port=free_port(),
        session_timeout_s=SESSION_TIMEOUT_S,
        checkpoint_every_s=CHECKPOINT_EVERY_S,
        smpp_port=free_port(),
        smpp_user="ews",
        smpp_password="pw",
        sms_sender="FLOOD",
        rehearsal_url=f"http://127.0.0.1:{free_port()}/hook",
    )


def is_root() -> bool:
    return os.geteuid() == 0
