"""What a batch has freed is there for the next one: the kernel need not clear it again."""

from __future__ import annotations

import platform
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import pytest
from test_checkpoint import lived
from test_stream_kill import DEPLOYMENT

from warning.deployment import Deployment
from warning.model import Hazard, Level, Tick
from warning.pipeline.beat import Hazards, Outputs
from warning.stream.beats import Closed
from warning.stream.owned import AT_ONCE, outputs_of

PROGRAM = """
import resource, sys
import numpy as np
from warning.stream import memory
if sys.argv[1] == "kept":
    assert memory.keep()
for _ in range(50):  # in another order, so that the top of the heap is freed, too
    parts = [np.ones(40_000) for _ in range(20)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    parts = [np.ones(40_000) for _ in range(20)]
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only: another C library is left as it is")
def test_arrays_are_not_mapped_anew() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "as it comes")
    }
    assert faults["kept"] * 10 < faults["as it comes"], faults


LEFT = """
import os
from pathlib import Path
import numpy as np
from warning.stream import memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
assert memory.keep()
parts = [np.ones(12_500) for _ in range(2000)]  # 200 MB, and here and there one that stays
parts = parts[::100]
before = resident()
assert memory.give_back()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only: another C library is left as it is")
def test_what_a_great_beat_has_freed_goes_back() -> None:
    told = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, check=True).stdout
    assert int(told) > 100_000_000


async def test_it_goes_back_with_each_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("warning.stream.memory.give_back", lambda: given.append(1))
    broker = await lived(60)
    written = [key for key, value in broker.topics[DEPLOYMENT.checkpoints, 0] if value is not None and (key or b"").endswith(b"|head")]
    assert len(given) == len(written) == 3


def test_what_a_beat_tells_is_never_there_as_bytes_as_a_whole() -> None:
    """A beat after an outage tells of every zone."""
    one = Hazard(
        region="r", zone="z", at_ms=1, quantity="stage", value=1.0, observed_ms=1, level=Level.NORMAL, level_confirmed=Level.NORMAL,
        level_cleared=Level.NORMAL, level_expected=Level.NORMAL, level_expected_cleared=Level.NORMAL, probability=0.0, arrival_ms=None,
        silent_since_ms=None, words=("x" * 1000,),
    )  # fmt: skip
    hazards = Hazards.of([one]).rows()[0]
    closed = Closed(0, 7, Tick(tick_ms=1, writer="w"), Outputs(1), (), Hazards([hazards] * 40_000, 7), 0)
    tracemalloc.start()
    size, zones = 0, []
    for topic, partition, records in outputs_of(Deployment(), closed):
        assert (topic, partition, len(records) <= AT_ONCE) == (Deployment().hazards, 0, True)
        for key, value in records:
            zones.append(key)
            size += len(value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert zones == [b"z"] * 40_000 and size > 40_000_000
    assert peak < size / 4, (peak, size)
    [(_, _, records)] = outputs_of(Deployment(), replace(closed, hazards=Hazards.of([one]).numbered(9)))
    assert list(records) == [records[0]] == records[:1] and b'"n":9}' in records[0][1]
