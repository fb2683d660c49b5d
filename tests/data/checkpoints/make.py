"""Makes the golden checkpoint of the present state version: ``python tests/data/checkpoints/make.py`` writes ``vN.checkpoint.xz`` here.

The story is the first nine days of the Indus flood of 2025 (``story/``: the region as it was configured then, without contacts, and
``log.xz``, the log of its partition 0). The checkpoint stands at ``NEXT``, in the middle of the flood: alerts are in force, water is on
its way to zones downstream, gauges have fallen silent. A golden file is made by the code whose version it has. Once that is released it is
never made again: that is what makes it golden. Until then a field more in the state takes ``rm vN.checkpoint.xz`` and this program.
``--log`` makes the log anew, which voids all of them.
"""

from __future__ import annotations

import base64
import json
import lzma
import sys
from pathlib import Path

from warning import config
from warning.pipeline import Plan, State
from warning.pipeline.state import VERSION
from warning.region import Region
from warning.stream.beats import Beats
from warning.stream.decisions import PIPELINE
from warning.stream.state import Frozen

HERE = Path(__file__).parent
STORY = HERE / "story"
LOG = STORY / "log.xz"
NEXT = 461  # the checkpoint stands after so many records
END = 701  # of the log
Records = list[tuple[bytes | None, bytes]]


def region() -> Region:
    return config.load(STORY)


def log() -> Records:
    lines = lzma.decompress(LOG.read_bytes()).splitlines()
    return [(None if key is None else key.encode(), value.encode()) for key, value in map(json.loads, lines)]


def path_of(version: int) -> Path:
    return HERE / f"v{version}.checkpoint.xz"


def checkpoint(version: int) -> list[tuple[bytes, bytes]]:
    """(key, value) of the records of the golden generation, as they stand on the topic."""
    lines = lzma.decompress(path_of(version).read_bytes()).splitlines()
    return [(key.encode(), base64.b85decode(value)) for key, value in map(json.loads, lines)]


def make_log() -> None:
    from warning import wiring_replay
    from warning.stream.replay import log_with_ticks

    found = config.load("config/indus")
    read, _, _ = wiring_replay.history(found, Path("config/indus/replays/flood-2025.csv"))
    records = [record for record in log_with_ticks(found, read.readings, 900) if record.partition == 0][:END]
    lines = [json.dumps([record.key and record.key.decode(), record.value.decode()]) for record in records]
    LOG.write_bytes(lzma.compress("\n".join(lines).encode(), preset=9))


def made() -> Frozen:
    """The checkpoint that today's code makes of the story."""
    found = region()
    plan = Plan.of(found, 0)
    beats = Beats(0, PIPELINE, plan, State.empty(plan), 0)
    records = log()[:NEXT]
    for _ in beats.take([key for key, _ in records], [value for _, value in records], 0):
        pass
    if beats.next != NEXT:
        raise SystemExit(f"NEXT must follow a tick: take {beats.next}")
    head, arrays = beats.state.freeze()
    return Frozen.copied(head, arrays, next=beats.next, writer="golden", config=found.digest, code=plan.code, tick=beats.tick)


def make_checkpoint() -> None:
    lines = [json.dumps([key.decode(), base64.b85encode(value).decode()]) for key, value in made().records()]
    with path_of(VERSION).open("xb") as file:  # never over another
        file.write(lzma.compress("\n".join(lines).encode(), preset=9))
    print(f"{path_of(VERSION).name}: {len(lines) - 1} chunks, {path_of(VERSION).stat().st_size} bytes")


if __name__ == "__main__":
    if "--log" in sys.argv:
        make_log()
    make_checkpoint()
