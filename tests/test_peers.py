"""``warning bench peers``: our own job against a plain one, and a comparison that sees whoever does less. The run itself is the command."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import compare
import job
import ours
from stream_regions import region

from warning import wiring_bench_peers
from warning.errors import ConfigError
from warning.pipeline.beat import Readings
from warning.stream.beats import Beats

READINGS = 150_000  # past the first full windows


@pytest.fixture(scope="module")
def expected() -> job.Scores:
    return job.scores(READINGS)


@pytest.fixture(scope="module")
def changes() -> list[job.Change]:
    """What our worker's beats publish, the log cut into runs anywhere, the state saved and loaded on the way."""
    plan = ours.Plan.of(region(), 0)
    beats = Beats(0, ours.JOB, plan, ours.State.empty(plan), 0)
    log = list(job.records(READINGS))
    told: list[job.Change] = []
    cuts = [0, 1, 5000, 10_001, 10_002, 33_333, len(log)]
    for begin, end in itertools.pairwise(cuts):
        for closed in beats.take([key for key, _, _ in log[begin:end]], [value for _, value, _ in log[begin:end]], begin):
            told += [msgspec.json.decode(value, type=job.Change) for _, value in closed.hazards.records()]
        if begin == 10_001:
            words, held = beats.state.hold({})
            arrays = {name: held.read(name, 0, shape[0]) for name, _, shape in held.kinds}
            beats.state = ours.State.thaw(plan, msgspec.json.decode(b"".join(words)), arrays)
    return told


def test_ours_says_what_plain_python_says(changes: list[job.Change], expected: job.Scores) -> None:
    found = compare.compare(changes, expected)
    assert found.same, found.faults[:3]
    assert found.changes == len(changes) > 1000 and found.undecided < 100


def test_the_comparison_sees_who_does_less(changes: list[job.Change], expected: job.Scores) -> None:
    def faults(*of: job.Change) -> tuple[str, ...]:
        return compare.compare(of, expected).faults

    at = len(changes) // 2
    one, before, after = changes[at], changes[:at], changes[at + 1 :]
    other = "NORMAL" if one.level == "HIGH" else "HIGH"
    same_series = next(number for number, each in enumerate(after) if each.station == one.station)
    assert any(one.station in fault for fault in faults(*before, *after))  # dropped
    assert faults(*before, one, one, *after)  # told twice
    assert faults(*before, *after[: same_series + 1], one, *after[same_series + 1 :])  # out of order
    assert faults(*before, msgspec.structs.replace(one, station="s9999"), *after)
    wrong = {"level": other, "count": one.count - 1, "min": one.min + 0.001, "max": one.max + 0.001, "mean": one.mean + 1e-8}
    for field, value in {**wrong, "score": one.score + 1e-8, "last": one.last + 0.001, "time_ms": one.time_ms + 1}.items():
        assert faults(*before, msgspec.structs.replace(one, **{field: value}), *after), field
    assert faults()


def test_late_readings_and_uneven_series_are_scored_one_by_one_too() -> None:
    """Not in the bench's data: rounds are exact for any order. A window that a late reading still belongs to has it."""
    chance = np.random.default_rng(3)
    count = 6000
    rows = chance.choice(12, count, p=np.arange(12, 0, -1) / 78).astype(np.int32)
    time_ms = job.START_MS + np.arange(count) * 3_000 - chance.choice([0, 0, 0, 700_000, 2_000_000, 9_000_000], count)
    value = np.cumsum(chance.normal(0, 0.3, count)).round(3)
    plan = ours.Plan.of(region(), 0)
    state = ours.State.empty(plan)
    told: list[tuple[str, str, int, float]] = []
    for part in np.array_split(np.arange(count), 9):
        columns = Readings(rows[part], time_ms[part], value[part], time_ms[part], np.zeros(len(part), np.bool_))
        for _, record in ours.step(plan, state, columns, 0).hazards.records():
            each = msgspec.json.decode(record, type=job.Change)
            told.append((each.station, each.level, each.time_ms, each.last))
    assert told == list(one_by_one(rows.tolist(), time_ms.tolist(), value.tolist()))


def one_by_one(rows: list[int], times: list[int], values: list[float]) -> list[tuple[str, str, int, float]]:
    """The same in plain Python: buckets up to an hour back are held, what is older is dropped."""
    held: dict[int, dict[int, list[float]]] = {}
    above: dict[int, bool] = {}
    told = []
    for row, time_ms, value in zip(rows, times, values, strict=True):
        buckets, bucket = held.setdefault(row, {}), time_ms // job.HOP_MS
        if any(other > bucket and other % job.BUCKETS == bucket % job.BUCKETS for other in buckets):
            continue
        for other in [each for each in buckets if each < bucket and each % job.BUCKETS == bucket % job.BUCKETS]:
            del buckets[other]
        buckets.setdefault(bucket, []).append(value)
        inside = [each for other, those in buckets.items() if bucket - job.BUCKETS < other <= bucket for each in those]
        high = (value - sum(inside) / len(inside)) / (max(inside) - min(inside) + 1) > job.HIGH
        if high != above.get(row, False):
            above[row] = high
            told.append((job.station(row), "HIGH" if high else "NORMAL", time_ms, value))
    return told


def test_outside_a_checkout_the_command_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="checkout") as found:
        wiring_bench_peers.peers(10_000, (), None, tests=tmp_path)
    assert "make setup-dev" in found.value.problems[0].fix
