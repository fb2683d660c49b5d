"""A worker and an ingest process on a real broker; mutated records straight into ``readings`` and ``readings.inbox`` beside good ones.

Held at the end, from what stands in the topics: both processes live, and are the ones that were started; every record of both topics
is a reading, a mark, or in ``readings.rejected`` once, with its bytes; the worker counted as many; and the alerts of the good gauges are
what the file replay makes of the same log without the mutated records.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from crc32c import crc32c
from services import apache_kafka, embedded, free_port

from fuzz import seeds
from fuzz.inside import Found
from fuzz.mutate import Mutator
from fuzz.reference import judge
from warning import config
from warning.deployment import Deployment
from warning.ingest.fetched import Came, Fetched
from warning.model import AlertEvent, Parameter, Reading, Rejected, to_json
from warning.region import Region
from warning.stream.beats import Beats
from warning.stream.broker import end_with_parent
from warning.stream.codec import MOST_BYTES
from warning.stream.decisions import PIPELINE
from warning.stream.topics import ensure_topics
from warning.wiring_bench_region import Size, write

GOOD = 10  # gauges; the region's first river
PORTION = 2000  # mutated records between two rounds of good readings
WITHIN_S = 600.0


@dataclass
class Sent:
    mutated: set[tuple[int, int]] = field(default_factory=set)  # (partition, offset) in ``readings``
    good: int = 0
    inbox: int = 0
    left_out: int = 0


def run(records: int, seed: int, on_embedded: bool) -> dict[str, Any]:
    """Half of the records go into each topic. Raises ``Found``."""
    with ExitStack() as stack:
        broker = stack.enter_context(embedded() if on_embedded else apache_kafka())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
        region = config.load(write(Size(40, partitions=2), folder / "region"))
        place = Deployment(bootstrap=broker.bootstrap, prefix="fuzz.", directory=folder, embedded=on_embedded)
        asyncio.run(ensure_topics(place, region.partitions))
        names = ("worker", "ingest")
        ports = {name: stack.enter_context(_process(name, folder, place)) for name in names}
        began = time.monotonic()
        sent = asyncio.run(_send(region, place, records, seed))
        print(f"on a broker: {records:,} records sent in {time.monotonic() - began:.0f} s", flush=True)
        figures = asyncio.run(_held(region, place, sent, ports))
        print(f"on a broker: {json.dumps(figures)}", flush=True)
        return {"on_broker": figures}


@contextmanager
def _process(name: str, folder: Path, place: Deployment) -> Iterator[int]:
    """Yields its port. Raises ``Found`` if it ended by itself."""
    port = free_port()
    where = ["--region", str(folder / "region"), "--kafka", place.bootstrap, "--prefix", place.prefix, "--port", str(port)]
    with (folder / f"{name}.log").open("wb") as log:
        command = [sys.executable, "-m", "warning", name, *where, "--directory", str(folder)]
        environment = {"WARNING_EMBEDDED": "1"} if place.embedded else {}
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=end_with_parent(), env={**os.environ, **environment})
    try:
        _until(lambda: process.poll() is not None or _status(port, "readyz") == 200, f"{name} is not ready")
        yield port
    finally:
        code = process.poll()
        process.kill()
        process.wait()
        if code is not None:
            words = (folder / f"{name}.log").read_text(errors="replace")[-2000:]
            raise Found(f"{name} ended with {code}: {words}")


def _status(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + "{", name + " ")))


def _until(what: Callable[[], bool], words: str, within_s: float = WITHIN_S) -> None:
    end = time.monotonic() + within_s
    while not what():
        if time.monotonic() > end:
            raise Found(words)
        time.sleep(0.2)


# --- sending


async def _send(region: Region, place: Deployment, records: int, seed: int) -> Sent:
    stations = [station.id for station in region.stations]
    good, chance, sent = frozenset(stations[:GOOD]), random.Random(seed), Sent()
    rows = {(station.id, series.parameter): 0 for station in region.stations for series in station.series}
    mutated = Mutator(seeds.readings(stations[GOOD:]) + seeds.marks(), seed)
    items = Mutator(seeds.items(stations[GOOD:]), seed)
    options = {"bootstrap_servers": place.bootstrap, "acks": "all", "max_batch_size": 900_000, "max_request_size": 2_000_000}
    async with AIOKafkaProducer(**options) as producer:
        rounds = -(-records // (2 * PORTION))
        for number in range(rounds):
            values = [value for value in mutated.batch(PORTION) if len(value) < 800_000]
            pairs = [(chance.choice((b"b00000", b"x", b"", None)), value) for value in values]
            fit = [pair for pair in pairs if _harmless(judge(pair[0], pair[1], rows), good)]
            sent.left_out += len(pairs) - len(fit)
            partition = chance.choice((0, 0, 0, 1))
            offsets = await _batches(producer, place.readings, partition, [*fit, (b"k", None)], chance.random() < 0.2)
            sent.mutated |= {(partition, offset) for offset in offsets}
            others = [(chance.choice((None, b"k")), value) for value in items.batch(PORTION) if len(value) < 800_000]
            sent.inbox += len(await _batches(producer, place.inbox, number % 2, [*others, (None, None)], chance.random() < 0.2))
            now_ms = int(time.time() * 1000)
            # Ten minutes apart and up to now; 360 m3/s an hour, which quality control believes, up through all limits and down again.
            at_ms, value = now_ms - (rounds - number) * 600_000, 200.0 + 60.0 * abs((number + 12) % 24 - 12)
            rising = [(b"b00000", _good(name, at_ms, now_ms, value)) for name in sorted(good)]
            sent.good += len(await _batches(producer, place.readings, region.basins["b00000"], rising, False))
    return sent


def _harmless(judged: Any, good: frozenset[str]) -> bool:
    """Not an order that only a key keeps out: a tick, a switch, a reading of a good gauge."""
    return judged.kind != "mark" and judged.station not in good


def _good(name: str, at_ms: int, now_ms: int, value: float) -> bytes:
    return to_json(
        Reading(station=name, parameter=Parameter.DISCHARGE, time_ms=at_ms, value=round(value, 2), received_ms=now_ms, provider="gauges")
    )


async def _batches(producer: AIOKafkaProducer, topic: str, partition: int, pairs: list[Any], headers: bool) -> list[int]:
    """Their offsets. ``headers``: each record has one whose name is no UTF-8, which aiokafka itself would not write."""
    offsets: list[int] = []
    rest = list(reversed(pairs))
    while rest:
        batch, count = producer.create_batch(), 0
        while rest and count < 500:
            key, value = rest[-1]
            if batch.append(timestamp=int(time.time() * 1000), key=key, value=value, headers=[("AAAA", b"x")] if headers else []) is None:
                break
            rest.pop()
            count += 1
        batch.close()
        if headers:
            raw = bytearray(batch._build())
            raw[raw.rindex(b"AAAA") + 1] = 0xFF
            raw[17:21] = struct.pack(">I", crc32c(bytes(raw[21:])))
            batch._buffer = raw
        first = (await (await producer.send_batch(batch, topic, partition=partition))).offset
        offsets += range(first, first + count)
    return offsets


# --- what must hold


async def _held(region: Region, place: Deployment, sent: Sent, ports: dict[str, int]) -> dict[str, Any]:
    await asyncio.to_thread(_until, lambda: _inbox_done(ports["ingest"]) >= sent.inbox, "the inbox does not come to its end")
    inbox = [await _read(place, place.inbox, partition) for partition in range(2)]
    log = await _settled(place, ports["worker"])
    rejected = [msgspec.json.decode(came.value or b"", type=Rejected) for came in await _read(place, place.rejected, 0)]
    for name, port in ports.items():
        if _status(port, "livez") != 200:
            raise Found(f"{name} is not live")
    refused = _refused(rejected, "inbox", inbox, 64 << 10)
    taken = sum(json.loads(came.value)["provider"].startswith("inbox") for part in log for came in part if _ours(came.value))
    if taken + len(refused) != sent.inbox:
        raise Found(f"{sent.inbox} records of the inbox: {taken} in readings, {len(refused)} in readings.rejected")
    broken = _refused(rejected, "decode", log, MOST_BYTES)
    readings = 0
    for partition, part in enumerate(log):
        rows = PIPELINE.plan(region, partition).row
        for came in part:
            kind = judge(came.key, came.value, rows).kind
            readings += kind == "reading"
            if (kind not in ("reading", "mark")) != ((partition, came.offset) in broken):
                raise Found(f"readings-{partition} record {came.offset} is {kind}: {(came.value or b'')[:300]!r}")
    counted = _metric(ports["worker"], "warning_readings_total")
    if counted != readings:
        raise Found(f"{readings} readings in the log, {counted:.0f} counted by the worker")
    alerts = await _alerts(region, place, sent, log)
    return {
        "records": len(sent.mutated) + sent.inbox, "good": sent.good, "left_out": sent.left_out, "inbox_taken": taken,
        "inbox_rejected": len(refused), "decode_rejected": len(broken), "readings": readings, "alerts_of_good_gauges": alerts,
    }  # fmt: skip


def _inbox_done(port: int) -> float:
    return _metric(port, "warning_inbox_readings_taken_total") + _metric(port, "warning_inbox_records_refused_total")


def _ours(value: bytes | None) -> bool:
    return (
        value is not None
        and b'"provider":"inbox' in value
        and value.endswith(b'"}')
        and value.startswith(b'{"station":"G')
        and _json(value)
    )


def _json(value: bytes) -> bool:
    try:
        return msgspec.json.decode(value, type=Reading).provider == "inbox"
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


async def _settled(place: Deployment, port: int) -> list[list[Came]]:
    """The log up to where the worker stands; the worker's counts are of the same moment as far as readings go, for none comes any more."""
    await asyncio.to_thread(_until, lambda: _metric(port, "warning_backlog_records") < 50, "the worker does not come to the end of the log")
    await asyncio.sleep(3)
    return [await _read(place, place.readings, partition) for partition in range(2)]


async def _read(place: Deployment, topic: str, partition: int) -> list[Came]:
    """Every record, also those that aiokafka cannot read."""
    tp = TopicPartition(topic, partition)
    found: list[Came] = []
    async with AIOKafkaConsumer(bootstrap_servers=place.bootstrap, auto_offset_reset="earliest", enable_auto_commit=False) as consumer:
        consumer.assign([tp])
        consumer.seek(tp, 0)
        end = (await consumer.end_offsets([tp]))[tp]
        fetched = Fetched(consumer, topic)
        while await consumer.position(tp) < end:
            for portion in await fetched.portions():
                found += portion.records
    return found


def _refused(rejected: list[Rejected], stage: str, topic: list[list[Came]], kept: int) -> set[tuple[int, int]]:
    """(partition, offset) of what is in ``readings.rejected`` of this stage; raises if one is there twice or with other bytes."""
    found: set[tuple[int, int]] = set()
    for each in rejected:
        if each.stage != stage:
            continue
        if (each.partition, each.offset) in found:
            raise Found(f"{stage} {each.partition}, {each.offset} was rejected twice")
        found.add((each.partition, each.offset))
        text = base64.b64decode(each.record) if each.encoding == "base64" else each.record.encode()
        if text != (topic[each.partition][each.offset].value or b"")[:kept]:
            raise Found(f"{stage} {each.partition}, {each.offset} is kept as {each.record[:300]!r}")
    return found


async def _alerts(region: Region, place: Deployment, sent: Sent, log: list[list[Came]]) -> int:
    """The published alerts of the good gauges against a replay of the log without the mutated records."""
    good = {station.id for station in region.stations[:GOOD]}
    partition = region.basins["b00000"]
    part = [came for came in log[partition] if (partition, came.offset) not in sent.mutated and not _ours(came.value)]
    plan = PIPELINE.plan(region, partition)
    stream = Beats(partition, PIPELINE, plan, PIPELINE.empty(plan), 0)
    beats = stream.take([came.key for came in part], [came.value for came in part], 0)
    wanted = {event.alert.identifier: to_json(event) for closed in beats for event in closed.alerts if event.alert.zone in good}
    events = [(came.value or b"", msgspec.json.decode(came.value or b"", type=AlertEvent)) for came in await _read(place, place.alerts, 0)]
    found = {event.alert.identifier: value for value, event in events if event.alert.zone in good}
    if found != {name: wanted[name] for name in found if name in wanted} or len(wanted) - len(found) > GOOD:
        raise Found(f"alerts of the good gauges: {sorted(found)} published, {sorted(wanted)} without the mutated records")
    return len(found)
