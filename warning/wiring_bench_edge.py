"""``warning bench edge``: weeks of one node on a bad link, in simulated time; HTTP, gateway and broker are real.

Time passes by what is to happen next: a sensor's reading, the node's next request, an outage that begins or ends, a power cut. A request
costs what it takes on such a link (``REQUEST_S``; one that fails, ``FAILED_S``). The gateway's clock is the simulated one too, so that what
it writes says when a reading arrived. Made-up readings: no claim about floods.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from warning import wiring_bench_region
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.ingest.edge.clock import Clock
from warning.ingest.edge.link import Link
from warning.ingest.edge.node import Local, Node
from warning.ingest.edge.siren import Sounder
from warning.ingest.edge.store import Store
from warning.ingest.edge.uplink import Uplink
from warning.ingest.gateway import Gateway
from warning.ingest.http import PATH, create_app
from warning.ingest.keys import KeyStore
from warning.ingest.log import KafkaLog
from warning.ingest.serving import serve
from warning.model import Level, Parameter, Reading
from warning.region import Region
from warning.rehearsal.badlink import BadLink
from warning.rehearsal.evidence import whole
from warning.rehearsal.summary import Table
from warning.site import Gateway as Upstream
from warning.site import Sensor, Siren, Site
from warning.wiring_bench_broker import Broker
from warning.wiring_bench_report import Bar, bars

HOST = "127.0.0.1"
START_MS = 1_754_006_400_000  # 2025-08-01T00:00Z
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
EVERY_MS = 5 * MINUTE_MS
REQUEST_S, FAILED_S = 1.0, 8.0
TIMEOUT_S = 0.25  # real, on this machine
Told = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Month:
    days: int = 30
    sensors: int = 12
    loss: float = 0.4
    outages: int = 20
    cuts: int = 10  # of power: the node is gone at once and comes back
    seed: int = 1


@dataclass
class Seen:
    """What became of it. ``fresh_s``: from its time to its arrival, of each reading that was made while the link was there."""

    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    outages: list[tuple[int, int]] = field(default_factory=list)
    requests: int = 0
    failed: int = 0
    bytes_on_disk: int = 0
    siren: list[tuple[int, str]] = field(default_factory=list)  # (when, state)
    alarmed_ms: int = 0  # the second reading above the limit, in an outage
    passed: Counter[str] = field(default_factory=Counter)


class _Node:
    """The node and its simulated time; ``cut`` ends it as a power cut does, and starts it again."""

    def __init__(self, site: Site, seen: Seen) -> None:
        self.site, self.seen, self.now_ms, self.boots = site, seen, START_MS, 0
        self.link = Link(site.gateway)
        self._start()

    def _start(self) -> None:
        self.boots += 1
        clock = Clock(system=lambda: self.now_ms, even=lambda: self.now_ms - START_MS + 1, synchronised=lambda: True)
        self.store = Store(Path(self.site.directory) / "outbox.db", f"boot-{self.boots}", self.site.most_bytes, lambda: self.now_ms)

        async def tell(state: str, _: Level) -> None:
            self.seen.siren.append((self.now_ms, state))

        self.sounder = Sounder(self.site.sirens[0], tell, lambda: self.now_ms / 1000)
        self.uplink = Uplink(
            self.site.gateway,
            self.link,
            self.store,
            clock,
            report=lambda: b'{"node": "bench"}',
            settle=lambda: None,
            chance=random.Random(1),  # noqa: S311 - jitter
        )
        self.node = Node(self.site, self.store, clock, [self.sounder], self.uplink.news)

    async def cut(self) -> None:
        await self.store.close()
        self.seen.requests, self.seen.failed = self.seen.requests + self.uplink.requests, self.seen.failed + self.uplink.failed
        self._start()
        await self.node.restore()

    async def read(self, index: int) -> None:
        """Every sensor reads. The first one rises above its limit in the middle of the first outage, for two hours."""
        begin, end = self.seen.outages[0]
        flood = begin + (end - begin) // 4 <= self.now_ms < begin + (end - begin) // 4 + 2 * HOUR_MS
        texts = []
        for number, sensor in enumerate(self.site.sensors):
            value = 700.0 if flood and number == 0 else round(100 + number + index % 1000 / 10, 1)
            self.seen.sent[(sensor.station, self.now_ms)] = value
            texts.append(_text(sensor.station, self.now_ms, value))
        await self.node.take(texts, Local("bench"))
        if flood and not self.seen.alarmed_ms and self.node.levels[self.site.sensors[0].name] >= self.site.sirens[0].at:
            self.seen.alarmed_ms = self.now_ms
        await self.sounder.once()


async def month(plan: Month, on: Broker, folder: Path, told: Told) -> dict[str, Any]:
    """The document of ``--json``. Raises Unavailable where the broker is not to be had."""
    region = wiring_bench_region.made_up(wiring_bench_region.Size(plan.sensors))
    deployment = await on.deployment(folder, region.partitions, "edge")
    seen, chance, cpu_s = Seen(), random.Random(plan.seed), 0.0  # noqa: S311 - made-up weather
    seen.outages = _outages(plan, chance)
    async with AsyncExitStack() as stack:
        times: list[_Node] = []
        link = await _gateway(region, deployment, stack, lambda: times[0].now_ms if times else START_MS, plan, chance)
        node = _Node(_site(region, folder, link.port), seen)
        times.append(node)
        stack.push_async_callback(node.link.close)
        began = time.process_time()
        await _live(plan, node, link, chance, told)
        cpu_s = time.process_time() - began
        await node.store.close()
        seen.requests, seen.failed = seen.requests + node.uplink.requests, seen.failed + node.uplink.failed
        seen.passed = link.passed
        seen.bytes_on_disk = _bytes_in(Path(node.site.directory))
    records = await whole(deployment, deployment.readings, region.partitions)
    readings = [msgspec.json.decode(record.value, type=Reading) for record in records]
    return _document(plan, seen, readings, cpu_s, on)


def _outages(plan: Month, chance: random.Random) -> list[tuple[int, int]]:
    """(begin, end), in order, apart: from minutes to 30 h, one of at least eight hours first."""
    part = plan.days * DAY_MS // plan.outages
    found = []
    for number in range(plan.outages):
        length = min(part * 3 // 4, int(10 ** chance.uniform(0.5, 3.25)) * MINUTE_MS)  # 3 min ... 30 h
        if number == 0:
            length = min(part * 3 // 4, max(length, 8 * HOUR_MS))
        begin = START_MS + number * part + chance.randrange(max(1, part - length))
        found.append((begin, begin + length))
    return found


async def _gateway(
    region: Region, deployment: Deployment, stack: AsyncExitStack, now: Callable[[], int], plan: Month, chance: random.Random
) -> BadLink:
    """A real gateway behind a bad link; its key in ``gateway.key``."""
    keys = KeyStore(deployment.database, now)
    stack.push_async_callback(keys.close)
    log = KafkaLog(deployment.bootstrap, Gateway.topics(region, deployment), idempotent=not deployment.embedded)
    await log.start()
    stack.push_async_callback(log.stop)
    if not await log.until_up(30):
        raise Unavailable(f"the broker: {log.why}")
    _, key = await keys.create("bench")
    (deployment.directory / "gateway.key").write_text(key, encoding="ascii")
    server = await serve(create_app(Gateway(region, deployment, log, now), keys), HOST, 0)
    stack.push_async_callback(server.stop)
    link = BadLink(HOST, server.port, loss=plan.loss, chance=chance, hang_s=2 * TIMEOUT_S)
    await link.start()
    stack.push_async_callback(link.stop)
    return link


def _site(region: Region, folder: Path, port: int) -> Site:
    limits = tuple(wiring_bench_region.LIMITS.items())
    sensors = tuple(
        Sensor(station=one.id, parameter=Parameter.DISCHARGE, unit="m3/s", datum="", every_s=EVERY_MS // 1000, limits=limits, margin=10.0)
        for one in region.stations
    )
    gateway = Upstream(url=f"http://{HOST}:{port}{PATH}", key_file=str(folder / "gateway.key"), timeout_s=TIMEOUT_S)
    siren = Siren(name="bench", at=Level.HIGH, command=("/bin/true", "{state}"))
    return Site(node="bench", directory=str(folder / "edge"), gateway=gateway, sensors=sensors, sirens=(siren,))


async def _live(plan: Month, node: _Node, link: BadLink, chance: random.Random, told: Told) -> None:
    """All of the days, and then until nothing waits any more."""
    end_ms = START_MS + plan.days * DAY_MS
    cuts = sorted(START_MS + chance.randrange(plan.days * DAY_MS) for _ in range(plan.cuts))
    read_ms, ask_ms, index = START_MS, START_MS, 0
    while read_ms < end_ms or ask_ms < end_ms + 2 * DAY_MS:
        node.now_ms = min(read_ms, ask_ms) if read_ms < end_ms else ask_ms
        if any(begin <= node.now_ms < end for begin, end in node.seen.outages) == link.up:
            link.back() if not link.up else link.away()
        if cuts and node.now_ms >= cuts[0]:
            cuts.pop(0)
            await node.cut()
        if read_ms < end_ms and node.now_ms == read_ms:
            waits_s = (ask_ms - node.now_ms) / 1000
            await node.read(index)
            index, read_ms = index + 1, read_ms + EVERY_MS
            if node.uplink.why == "" and waits_s > 0:  # idle: a reading wakes it
                ask_ms = node.now_ms
            told("days", index * EVERY_MS // DAY_MS, plan.days)
        if ask_ms <= node.now_ms:
            ask_ms = node.now_ms + await _ask(node)
        if read_ms >= end_ms and not (await node.store.run(lambda outbox: outbox.counts())).waiting:
            return


async def _ask(node: _Node) -> int:
    """One request; simulated ms until the next."""
    failed, requests = node.uplink.failed, node.uplink.requests
    with suppress(Unavailable):
        wait_s = await node.uplink.attempt()
        cost_s = 0.0 if node.uplink.requests == requests else FAILED_S if node.uplink.failed > failed else REQUEST_S
        return max(1, int((wait_s + cost_s) * 1000))
    return MINUTE_MS


def _text(station: str, at_ms: int, value: float) -> bytes:
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    return msgspec.json.encode({"station": station, "parameter": "discharge", "time": at, "value": value, "unit": "m3/s"})


def _document(plan: Month, seen: Seen, readings: list[Reading], cpu_s: float, on: Broker) -> dict[str, Any]:
    first: dict[tuple[str, int], Reading] = {}
    for reading in readings:
        first.setdefault((reading.station, reading.time_ms), reading)
    lost = [key for key, value in seen.sent.items() if key not in first or first[key].value != value]
    invented = [key for key in first if key not in seen.sent]
    fresh = sorted(
        (reading.received_ms - reading.time_ms) / 1000
        for reading in first.values()
        if not any(begin - EVERY_MS <= reading.time_ms < end + HOUR_MS for begin, end in seen.outages)
    )
    back = [_after(end, begin, first) for begin, end in seen.outages if end < START_MS + plan.days * DAY_MS - HOUR_MS]
    sounded = next((at for at, state in seen.siren if state == "on"), None)
    figures = {
        "readings": len(seen.sent),
        "lost": len(lost),
        "invented": len(invented),
        "doubled": len(readings) - len(first),
        "requests": seen.requests,
        "requests_failed": seen.failed,
        "outage_hours": round(sum(end - begin for begin, end in seen.outages) / HOUR_MS, 1),
        "fresh_p50_s": _part(fresh, 0.5),
        "fresh_p99_s": _part(fresh, 0.99),
        "newest_after_outage_max_s": max((newest for newest, _ in back), default=0.0),
        "history_after_outage_max_s": max((history for _, history in back), default=0.0),
        "newest_later_than_history": sum(newest > history for newest, history in back),
        "siren_after_s": -1 if sounded is None or not seen.alarmed_ms else (sounded - seen.alarmed_ms) / 1000,
        "disk_bytes": seen.bytes_on_disk,
        "cpu_s": round(cpu_s, 1),
    }
    return {"figures": figures, "where": on.words, "link": dict(seen.passed)}


def _after(end_ms: int, begin_ms: int, first: dict[tuple[str, int], Reading]) -> tuple[float, float]:
    """s after an outage until the newest reading of every series was there, and until all that was made in it was."""
    newest_ms = max(at for _, at in first if at < end_ms)
    newest = max(one.received_ms for (_, at), one in first.items() if at == newest_ms)
    history = max(one.received_ms for (_, at), one in first.items() if begin_ms <= at <= newest_ms)
    return (newest - end_ms) / 1000, (history - end_ms) / 1000


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("outbox.db*"))


def _part(ordered: list[float], part: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) if ordered else -1.0


def tables(found: dict[str, Any]) -> list[Table]:
    """What a person wants to see."""
    figures = found["figures"]
    rows = tuple((name.replace("_", " "), f"{value:,}") for name, value in figures.items())
    return [
        Table(f"A node on a bad link, simulated; {found['where']}", ("figure", "value"), rows),
        bars(
            "Bars",
            [
                Bar("readings that did not arrive", figures["lost"], 0),
                Bar("readings that nobody sent", figures["invented"], 0),
                Bar("s from the confirmed reading to the siren, without a link", abs(figures["siren_after_s"]), 0),
            ],
        ),
    ]


async def bench(plan: Month, kafka: str, told: Told) -> dict[str, Any]:
    """On one broker."""
    from warning.wiring_bench_broker import broker

    with tempfile.TemporaryDirectory(prefix="bench-edge-", ignore_cleanup_errors=True) as folder:
        async with broker(kafka) as on:
            return await month(plan, on, Path(folder), told)
