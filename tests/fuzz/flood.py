"""What a flood of rejects costs the good readings, in CPU time: decode, pipeline, what is to be published, batches for the producer.

Two floods: as many broken records as good ones, mixed, in the same partition; and a partition of nothing else on the same worker,
which hands its runs in turn. One core does both, so the good readings' share of it is the figure: time with the flood over time
without it. The bar is 2.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder

from fuzz import seeds
from fuzz.inside import Found
from fuzz.mutate import Mutator
from warning.deployment import Deployment
from warning.region import Region
from warning.stream.beats import Beats
from warning.stream.decisions import PIPELINE
from warning.stream.frames import Frames
from warning.stream.kafka import filled
from warning.stream.owned import outputs_of
from warning.wiring_bench_readings import START_MS, records, tick
from warning.wiring_bench_region import Size, made_up

BAR = 2.0
PER_BEAT = 10_000
BEATS = 4
TO = Deployment(prefix="flood.")

Records = list[tuple[bytes | None, bytes | None]]


READING = b'{"station":"%b","parameter":"discharge","time_ms":%b,"value":%b,"received_ms":1756684800900,"provider":"load"}'
AT = b"1756684800000"


def kinds() -> dict[str, Callable[[int], bytes]]:
    """Broken records by kind: n -> the n-th."""
    mutated = [text for text in Mutator(seeds.readings(["G0001000", "G0001001"]), 7).batch(20_000) if len(text) < 1000]
    return {
        "no JSON": lambda number: b"\x01 this is no reading %d" % number,
        "no UTF-8": lambda number: READING % (b"G00\xff%04d" % (number % 1000), AT, b"1.5"),
        "half a record": lambda number: READING[:-40] % (b"G%07d" % (1000 + number % 1000), AT, b"%d" % number),
        "unknown station": lambda number: READING % (b"X%07d" % number, AT, b"1.5"),
        "a field of another type": lambda number: READING % (b"G0001000", b'"%d"' % number, b"1.5"),
        "implausible": lambda number: READING % (b"G%07d" % (1000 + number % 1000), b"%d" % (1756684800000 + number // 1000), b"99999.5"),
        "mutated": lambda number: mutated[number % len(mutated)],
    }


def flood(beats: int = BEATS) -> dict[str, Any]:
    """Prints the table; raises ``Found`` above the bar."""
    size = Size(2000)
    region = made_up(size)
    good = [list(itertools.islice(records(Size(1000)), beat * PER_BEAT, (beat + 1) * PER_BEAT)) for beat in range(beats)]
    alone = min(_cpu_s(region, good) for _ in range(2))
    quiet = min(_cpu_s(region, [[] for _ in good]) for _ in range(3))  # the zones of such a partition, which tell that they are silent
    figures: dict[str, Any] = {"reject_flood_good_us_per_reading": round(alone / (beats * PER_BEAT) * 1e6, 3)}
    print(f"good alone: {figures['reject_flood_good_us_per_reading']:.2f} us of CPU a reading, {PER_BEAT:,} a beat", flush=True)
    worst = 0.0
    for name, broken in kinds().items():
        bad = [[(b"b00000", broken(number)) for number in range(beat * PER_BEAT, (beat + 1) * PER_BEAT)] for beat in range(beats)]
        mixed = [[each for pair in zip(*both, strict=True) for each in pair] for both in zip(good, bad, strict=True)]
        same = min(_cpu_s(region, mixed) for _ in range(2)) / alone
        other = 1 + (min(_cpu_s(region, bad) for _ in range(2)) - quiet) / alone
        worst = max(worst, same, other)
        figures[f"reject_flood_ratio_{name.replace(' ', '_')}"] = [round(same, 2), round(other, 2)]
        print(f"{name:>24}: mixed into the same partition {same:.2f}, a partition of its own on the same core {other:.2f}", flush=True)
    figures["reject_flood_worst_ratio"] = round(worst, 2)
    if worst > BAR:
        raise Found(f"good readings take {worst:.2f} times as long under a flood of rejects; the bar is {BAR}")
    return figures


def _cpu_s(region: Region, beats: Sequence[Records]) -> float:
    """CPU seconds of all beats: what the worker does with them between fetch and producer."""
    plan = PIPELINE.plan(region, 0)
    stream = Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0)
    runs = []
    for number, beat in enumerate(beats):
        run = [*beat, (None, tick(START_MS + (number + 1) * 600_000))]
        runs.append(([key for key, _ in run], Frames.of([value or b"" for _, value in run])))
    began = time.process_time()
    for keys, values in runs:
        for closed in stream.take(keys, values, stream.position):
            for _, _, those in outputs_of(TO, closed):
                batched(those)
    return time.process_time() - began


def batched(those: Sequence[tuple[bytes, bytes]]) -> int:
    """As ``stream.kafka`` hands them to the producer; how many batches."""
    batches, at = 0, 0
    while at < len(those):
        batches, at = batches + 1, filled(BatchBuilder(1 << 20, 0), those, at, START_MS)
    return batches
