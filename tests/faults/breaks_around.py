"""Faults around us: clocks, names, databases, the SMS centre and the webhook receiver."""

from __future__ import annotations

import asyncio
import random
import shlex
import signal
import sqlite3
import subprocess
from pathlib import Path

import asyncpg
import channel_postgres
from sqlalchemy import make_url

from warning.errors import ExitCode

from .breaks_brokers import fill
from .cluster import HOSTNAME
from .fault import Fault
from .feed import Feed
from .world import FAKETIME, Setup, World, is_root


class Clock(Fault):
    """The clock of one process jumps by a day, forwards or back, while it runs."""

    lasts_s = (8.0, 12.0)

    def absent(self) -> str:
        return "" if Path(FAKETIME).exists() else "libfaketime is not installed: make services (Debian: faketime)"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        process = self.setup.fake_clock[0]
        offset = chance.choice(("+1d", "-1d"))
        self.target = f"{process} {offset}"
        world.clock_file(process).write_text(f"{offset}\n")

    async def heal(self, world: World) -> None:
        world.clock_file(self.setup.fake_clock[0]).write_text("+0\n")


class WorkerClock(Clock):
    name = "clock_worker"
    breaks = "the clock of a worker jumps by a day, forwards or back"
    must = "it ends with CLOCK before it writes a tick, and again at each start, until its clock is right"
    setup = Setup(fake_clock=("worker1",))
    exits = frozenset({ExitCode.CLOCK})


class GatewayClock(Clock):
    name = "clock_gateway"
    breaks = "the clock of the gateway jumps by a day, forwards or back"
    must = "what it refuses for that it does not acknowledge; what it acknowledged is in the log"
    setup = Setup(fake_clock=("gateway",))


class DispatcherClock(Clock):
    name = "clock_dispatcher"
    breaks = "the clock of the dispatcher jumps by a day, forwards or back"
    must = "it does not follow: no warning is held for expired or for not yet due"
    setup = Setup(fake_clock=("dispatch",))


class NamesGone(Fault):
    name = "dns_gone"
    breaks = "the brokers' host name is not known any more, and a worker and the gateway are killed, which have to ask for it"
    must = "they end or wait with a reason, and go on when the name is back"
    setup = Setup(by_name=("gateway", "worker1", "worker2", "dispatch"))
    lasts_s = (10.0, 15.0)

    def absent(self) -> str:
        return "" if is_root() else "a name service of one's own needs a mount namespace, and that root"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = f"gateway, {(worker := chance.choice(world.workers))}"
        world.hosts.write_text("127.0.0.1 localhost\n")
        world.kill("gateway")
        world.kill(worker)

    async def heal(self, world: World) -> None:
        world.hosts.write_text(f"127.0.0.1 localhost {HOSTNAME}\n")


class DatabaseLocked(Fault):
    name = "database_locked"
    breaks = "somebody holds an exclusive lock on the SQLite file of keys and ledger"
    must = "messages wait, receipts too; none is lost, and none is sent twice without its mark"
    lasts_s = (12.0, 20.0)  # the ledger waits 10 s by itself
    _connection: sqlite3.Connection | None = None

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = str(make_url(world.deployment.database).database)
        self._connection = sqlite3.connect(self.target, timeout=20, isolation_level=None)
        self._connection.execute("BEGIN EXCLUSIVE")

    async def heal(self, world: World) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class DatabaseAway(Fault):
    name = "database_away"
    breaks = "PostgreSQL with keys and ledger is stopped at once (immediate), and started again"
    must = "gateway and dispatcher wait for it or are started again; nothing is lost"
    setup = Setup(postgres=True)
    lasts_s = (8.0, 15.0)
    _command = ""

    def absent(self) -> str:
        return "" if channel_postgres.programs() else "PostgreSQL is not installed: make services"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = "PostgreSQL"
        connection = await asyncpg.connect(world.deployment.database.replace("+asyncpg", ""))
        data = Path(await connection.fetchval("show data_directory"))
        await connection.close()
        self._command, self._data = (data / "postmaster.opts").read_text(), data
        await asyncio.to_thread(self._control, "-m", "immediate", "-w", "stop")

    def _control(self, *words: str) -> None:
        programs = channel_postgres.programs()
        assert programs is not None
        channel_postgres._run(programs / "pg_ctl", "-D", self._data, *words, user=channel_postgres._user())

    async def heal(self, world: World) -> None:
        if self._command:
            options = subprocess.list2cmdline(shlex.split(self._command)[3:])
            await asyncio.to_thread(self._control, "-l", str(self._data.parent / "log"), "-o", options, "-w", "start")
            self._command = ""


class LedgerDiskFull(Fault):
    name = "disk_full_ledger"
    breaks = "the disk of keys and ledger is full (a tmpfs of 6 MB)"
    must = "messages wait until there is room; none is lost"
    setup = Setup(small_disk="ledger")
    lasts_s = (8.0, 12.0)

    def absent(self) -> str:
        return "" if is_root() else "mounting a small disk needs root"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = "ledger"
        await asyncio.to_thread(fill, world.folder / "disk" / "filler")

    async def heal(self, world: World) -> None:
        (world.folder / "disk" / "filler").unlink(missing_ok=True)


class SmsAway(Fault):
    name = "sms_away"
    breaks = "the SMS centre is gone (kill -9), and back after some seconds"
    must = "messages wait; what was in flight may go twice, marked"
    lasts_s = (10.0, 15.0)
    process = "sms"

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = self.process
        world.keeper.hold(self.target)

    async def heal(self, world: World) -> None:
        world.keeper.release(self.process)


class WebhooksAway(SmsAway):
    name = "webhooks_away"
    breaks = "the webhook receiver is gone (kill -9), and back after two seconds or so"
    must = "webhooks wait and go again"
    lasts_s = (0.5, 1.5)  # and its start: the second attempt is after 5 s, the third one after 5 min
    process = "hooks"


class SmsFrozen(SmsAway):
    name = "sms_silent"
    breaks = "the SMS centre takes connections and answers nothing (SIGSTOP), and goes on after half a minute"
    must = "what it took without an answer may go twice, marked"
    lasts_s = (25.0, 30.0)

    async def inject(self, world: World, chance: random.Random, feed: Feed) -> None:
        self.target = self.process
        world.keeper.send(self.target, signal.SIGSTOP)

    async def heal(self, world: World) -> None:
        world.keeper.send(self.process, signal.SIGCONT)
