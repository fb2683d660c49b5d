"""``warning bench dispatch``: one alert to many contacts by an SMS centre that takes so many a second; to webhooks, some of them dead.

The dispatcher is a process of its own with its real ledger, directory and broker; the centre (``rehearsal.telecom_load``) and the receiver
of webhooks are processes, too. Made-up contacts: villages between two gauges, so that the water reaches each at its own time.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from warning import config
from warning.alerts import cap
from warning.deployment import Deployment
from warning.dispatch.deadlines import deadline_ms
from warning.model import Alert, AlertEvent, Certainty, EventKind, Hazard, Level, Status, to_json
from warning.region import Region
from warning.rehearsal.publish import publish
from warning.wiring import clock_ms
from warning.wiring_bench_broker import Broker
from warning.wiring_bench_child import Child, child
from warning.wiring_bench_latency import Progress
from warning.wiring_bench_postgres import database
from warning.wiring_bench_region import Size, write

DISTRICTS = 30
SMALL = 5  # of these districts are villages of ten contacts each
ZONE = "G0000000"
SECRET = "whsec_cmVoZWFyc2FsIG9ubHksIG5vdCBhIHNlY3JldA=="  # noqa: S105 - of a bench
PATIENCE_S = 120.0  # without any progress
SETTLE_S = 3.0
HEADER = "id,name,role,language,districts,level,phone,webhook,secret,live,lat,lon"


@dataclass(frozen=True, slots=True)
class Wanted:
    """``rate``: SMS a second that the centre takes, 0: all; ``ceiling``: what the telecom has agreed to; ``database`` "": SQLite."""

    contacts: int = 90_000
    rate: float = 500.0
    ceiling: float = 0.0
    endpoints: int = 5000
    dead: int = 500
    database: str = ""


def region_folder(folder: Path, rows: Iterable[str]) -> Path:
    """The region of the other benches with these contacts."""
    write(Size(10), folder)  # makes the folders above, too
    names = [f"D{number:02d}" for number in range(DISTRICTS)]
    (folder / "districts.csv").write_text("id,name_en,geocode\n" + "".join(f"{name},District {name},PK-PB\n" for name in names))
    reaches = (folder / "reaches.csv").read_text().replace("PK-PB", "|".join(names))
    (folder / "reaches.csv").write_text(reaches)
    (folder / "contacts.csv").write_text(HEADER + "\n" + "\n".join(rows) + "\n")
    return folder


def phones(many: int) -> Iterable[str]:
    """Large districts share nearly all of them; the order in the file has nothing to do with that of the water."""
    for number in range(many):
        mixed = number * 7919 % many
        small = mixed < 10 * SMALL
        district = mixed % SMALL if small else SMALL + mixed % (DISTRICTS - SMALL)
        lat = 59.8 - 0.2 * (mixed % 10_000) / 10_000
        yield f"c{number:06d},Contact {number},public,en,D{district:02d},LOW,+9992{number:07d},,,false,{lat:.6f},-179.8"


def hooks(many: int) -> Iterable[str]:
    for number in range(many):
        yield f"w{number:05d},Agency {number},official,en,D{number % DISTRICTS:02d},LOW,,rehearsal:h{number},{SECRET},false,,"


def event(region: Region, sent_ms: int) -> AlertEvent:
    """EXCEPTIONAL, an hour before the water."""
    sent_ms = sent_ms // 1000 * 1000
    hazard = Hazard(
        region=region.id,
        zone=ZONE,
        at_ms=sent_ms,
        quantity="discharge",
        value=700.0,
        observed_ms=sent_ms,
        level=Level.EXCEPTIONAL,
        level_confirmed=Level.EXCEPTIONAL,
        level_cleared=Level.EXCEPTIONAL,
        level_expected=Level.NORMAL,
        level_expected_cleared=Level.NORMAL,
        probability=0.9,
        arrival_ms=sent_ms + 3_600_000,
        silent_since_ms=None,
    )
    alert = Alert(
        identifier=f"{region.namespace}.{ZONE}.{sent_ms // 1000}.1",
        region=region.id,
        zone=ZONE,
        revision=1,
        kind=EventKind.RAISE,
        event_ids=(f"{region.namespace}.{ZONE}.{sent_ms // 1000}",),
        status=Status.EXERCISE,
        level=Level.EXCEPTIONAL,
        previous_level=Level.NORMAL,
        certainty=Certainty.LIKELY,
        raised_ms=sent_ms,
        sent_ms=sent_ms,
        expires_ms=sent_ms + 22 * 3_600_000,
        arrival_ms=sent_ms + 3_600_000,
        told_arrival_ms=sent_ms + 3_600_000,
        hazard=hazard,
    )
    return AlertEvent(alert=alert, cap=cap.document(alert, region), config=region.digest, code="bench")


class Watched:
    """Hears a child until it ends; the newest of each thing that it told."""

    def __init__(self, process: Child, told: dict[str, Any] | None = None) -> None:
        self.newest: dict[str, Any] = told or {}
        self.most: dict[str, float] = dict(self.newest)
        self._task = asyncio.create_task(self._hear(process))

    async def _hear(self, process: Child) -> None:
        def note(told: dict[str, Any]) -> bool:
            self.newest |= told
            self.most |= {name: max(value, self.most.get(name, value)) for name, value in told.items() if isinstance(value, int | float)}
            return False

        await process.until(note, 24 * 3600.0)

    async def until(self, name: str, least: float, patience_s: float = PATIENCE_S) -> float:
        """Returns when it has told that much, or makes no progress any more; what it told."""
        moved, last = time.monotonic(), -1.0
        while (now := float(self.newest.get(name, 0))) < least and time.monotonic() - moved < patience_s and not self._task.done():
            if now != last:
                moved, last = time.monotonic(), now
            await asyncio.sleep(0.05)
        if self._task.done():
            self._task.result()
        return float(self.newest.get(name, 0))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def dispatcher(folder: Path, region: Path, where: Deployment, rate: float, **more: Any) -> AsyncIterator[Watched]:
    """While it runs, ready for alerts."""
    settings = {"region": str(region), "deployment": asdict(where), "rate": rate, "endpoints": "", "loopback": [], **more}
    async with child("warning.wiring_bench_dispatcher", settings, folder) as process:
        ready = await process.until(lambda told: bool(told.get("ready")), 600.0)
        watched = Watched(process, ready)
        try:
            yield watched
        finally:
            await watched.close()


def _name(of: str, folder: Path) -> str:
    """Topics of its own for each part and database: all run on one broker, and each dispatcher reads from the beginning."""
    return f"{of}-{folder.parent.name}-{folder.name}"


async def messages(wanted: Wanted, on: Broker, folder: Path, progress: Progress) -> dict[str, Any]:
    """One alert to all contacts by SMS."""
    home = await asyncio.to_thread(region_folder, folder / "region", phones(wanted.contacts))
    record = folder / "sms.txt"
    async with AsyncExitStack() as stack:
        settings = {"rate_per_s": wanted.rate, "record": str(record)}
        centre = await stack.enter_async_context(child("warning.rehearsal.telecom_load", settings, folder))
        port = (await centre.until(lambda told: "listening" in told, 30.0))["listening"]
        where = replace(
            await on.deployment(folder, 1, _name("dispatch", folder)),
            smpp_port=port,
            smpp_user="ews",
            smpp_password="pw",  # noqa: S106 - of a bench
            sms_sender="8080",
            database_url=wanted.database,
        )
        ceiling = wanted.ceiling or wanted.rate or 5000.0
        running = await stack.enter_async_context(dispatcher(folder, home, where, ceiling))
        region = await asyncio.to_thread(config.load, str(home))
        sent = event(region, clock_ms())
        begun = time.time()
        await publish(where, where.alerts, sent.alert.identifier, to_json(sent))
        taken = Watched(centre)
        stack.push_async_callback(taken.close)
        waiting = asyncio.create_task(taken.until("taken", wanted.contacts))
        while not waiting.done():
            progress("SMS", int(taken.newest.get("taken", 0)), wanted.contacts)
            await asyncio.sleep(1.0)
        await asyncio.sleep(SETTLE_S)
        most, throttled = dict(running.most), int(taken.newest.get("throttled", 0))
        await taken.close()
        await centre.stop()
    lines = [line.split() for line in await asyncio.to_thread(lambda: record.read_text().splitlines())]
    arrived = [(float(at), number) for at, number in lines]
    due = {contact.phone[1:]: deadline_ms(sent.alert, contact, region) for contact in region.contacts}
    return figures(arrived, due, wanted, begun) | {
        "throttled": throttled,
        "memory_mb": round(most.get("rss_most", 0) / 1e6, 1),
        "dispatcher_cpu_ms_per_message": round(1000 * (most.get("cpu_s", 0) - most.get("cpu_ready_s", 0)) / max(1, len(arrived)), 3),
        "loop_late_ms_max": most.get("late_ms", 0),
    }


def figures(arrived: list[tuple[float, str]], due: dict[str, int], wanted: Wanted, begun: float) -> dict[str, Any]:
    """Of (arrival, number) as the centre has them."""
    times = sorted(at for at, _ in arrived)
    span_s = max(times[-1] - times[0], 1e-3) if times else 1e-3
    rate = (len(times) - 1) / span_s if times else 0.0
    return {
        "messages": len(arrived),
        "missed": len(set(due) - {number for _, number in arrived}),
        "doubled": len(arrived) - len({number for _, number in arrived}),
        "first_sms_s": round(times[0] - begun, 2) if times else -1.0,
        "span_s": round(span_s, 2),
        "sms_per_second": round(rate, 1),
        "rate_used_fraction": round(rate / wanted.rate, 4) if wanted.rate else None,
        "deadline_inversion_s_max": round(inversion_s(arrived, due), 3),
    }


def inversion_s(arrived: list[tuple[float, str]], due: dict[str, int]) -> float:
    """How long at most a message went after one with a later deadline.

    >>> inversion_s([(1.0, "late"), (3.0, "soon"), (4.0, "later")], {"soon": 10, "late": 20, "later": 30})
    2.0
    """
    worst, earliest, last = 0.0, float("inf"), float("inf")
    waiting: list[float] = []
    for at, number in sorted(arrived, key=lambda one: -due[one[1]]):
        if due[number] != last:
            earliest, last, waiting = min([earliest, *waiting]), due[number], []
        worst = max(worst, at - earliest)
        waiting.append(at)
    return worst


async def webhooks(wanted: Wanted, on: Broker, folder: Path, progress: Progress) -> dict[str, Any]:
    """One alert to many endpoints; a third of the dead ones refuses, a third hangs, a third drops what it took."""
    home = await asyncio.to_thread(region_folder, folder / "region", hooks(wanted.endpoints))
    record, secrets = folder / "hooks.txt", folder / "secrets.json"
    secrets.write_text(json.dumps({f"h{number}": SECRET for number in range(wanted.endpoints)}))
    async with AsyncExitStack() as stack:
        port = await _receiver(stack, folder, secrets, record)
        dead, ports = await _dead(stack)
        urls = {f"h{number}": f"http://127.0.0.1:{port}/hook/h{number}" for number in range(wanted.endpoints)}
        every = max(1, wanted.endpoints // max(1, wanted.dead))
        gone = [f"h{number}" for number in range(0, wanted.endpoints, every)][: wanted.dead]
        urls |= {name: f"{dead[number % len(dead)]}/{name}" for number, name in enumerate(gone)}
        endpoints = folder / "endpoints.json"
        endpoints.write_text(json.dumps(urls))
        where = replace(await on.deployment(folder, 1, _name("hooks", folder)), database_url=wanted.database)
        loopback = [["127.0.0.1", one] for one in (port, *ports)]
        running = await stack.enter_async_context(dispatcher(folder, home, where, 1000.0, endpoints=str(endpoints), loopback=loopback))
        region = await asyncio.to_thread(config.load, str(home))
        begun, live = time.time(), set(urls) - set(gone)
        sent = event(region, clock_ms())
        await publish(where, where.alerts, sent.alert.identifier, to_json(sent))
        until, got = time.monotonic() + PATIENCE_S, dict[str, float]()
        while len(got) < len(live) and time.monotonic() < until:
            await asyncio.sleep(0.5)
            got = await asyncio.to_thread(_arrived, record, live)
            progress("webhooks", len(got), len(live))
        most = dict(running.most)
    return {
        "live": len(live),
        "live_reached": len(got),
        "live_webhooks_done_s": round(max(got.values()) - begun, 2) if len(got) == len(live) and got else -1.0,
        "memory_mb": round(most.get("rss_most", 0) / 1e6, 1),
        "dispatcher_cpu_s": round(most.get("cpu_s", 0), 1),
    }


def _arrived(record: Path, live: set[str]) -> dict[str, float]:
    """name -> when its first good one came (Unix s)."""
    found: dict[str, float] = {}
    for line in record.read_text(encoding="utf-8").splitlines(keepends=True):
        at, _, name = line.partition(" ")
        if name.endswith("\n") and name.rstrip() in live:  # the last line may be half written
            found.setdefault(name.rstrip(), float(at))
    return found


async def _receiver(stack: AsyncExitStack, folder: Path, secrets: Path, record: Path) -> int:
    settings = {"secrets": str(secrets), "record": str(record)}
    process = await stack.enter_async_context(child("warning.wiring_bench_receiver", settings, folder))
    return int((await process.until(lambda told: "listening" in told, 30.0))["listening"])


async def _dead(stack: AsyncExitStack) -> tuple[list[str], list[int]]:
    """URLs of a place that refuses, one that hangs and one that drops what it took; their ports."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    ports = []
    for answer in (hang, drop, drop):
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ports.append(int(server.sockets[0].getsockname()[1]))
        stack.callback(server.close)
        last = server
    last.close()  # its port refuses from now on
    return [f"http://127.0.0.1:{port}" for port in ports], ports


async def dispatch(wanted: Wanted, parts: tuple[str, ...], on: Broker, folder: Path, progress: Progress) -> dict[str, Any]:
    """``parts``: sms, unlimited, webhooks. Raises Unavailable."""
    found: dict[str, Any] = {}
    if "sms" in parts:
        found["sms"] = await messages(wanted, on, folder / "sms", progress)
    if "unlimited" in parts:
        free = replace(wanted, rate=0.0, contacts=min(wanted.contacts, 30_000))
        found["unlimited"] = await messages(free, on, folder / "unlimited", progress)
    if "webhooks" in parts:
        found["webhooks"] = await webhooks(wanted, on, folder / "webhooks", progress)
    return found


PARTS = ("sms", "unlimited", "webhooks")


async def everywhere(
    wanted: Wanted, databases: Sequence[str], parts: tuple[str, ...], on: Broker, folder: Path, progress: Progress
) -> dict[str, dict[str, Any]]:
    """``dispatch`` on each of these databases: its name -> what was measured. Raises Unavailable."""
    found: dict[str, dict[str, Any]] = {}
    for named in databases:
        name = named.partition(":")[0].partition("+")[0]
        found[name] = {}
        for part in parts:  # each in an empty database
            async with database(named) as url:
                found[name] |= await dispatch(replace(wanted, database=url), (part,), on, folder / name, progress)
    return found
