"""The job in Faust as its documentation has it: an agent, one event at a time, a hopping table.

``expires`` is huge because Faust ages windows by the wall clock, whatever they are relative to: with the two hours that the job needs it
would drop live windows of readings of last year.
"""

from __future__ import annotations

import os
from typing import Any

import faust
from marks import Marks

SIZE_S, HOP_S = 3600.0, 900.0


class Reading(faust.Record, serializer="json"):
    station: str = ""  # a mark in the log has none
    parameter: str = ""
    time_ms: int = 0
    value: float = 0.0
    received_ms: int = 0
    provider: str = ""


class Window(faust.Record, serializer="json"):
    count: int = 0
    min: float = float("inf")
    max: float = float("-inf")
    sum: float = 0.0
    last: float = 0.0

    def plus(self, value: float) -> Window:
        return Window(self.count + 1, min(self.min, value), max(self.max, value), self.sum + value, value)


class Change(faust.Record, serializer="json"):
    station: str
    level: str
    time_ms: int
    score: float
    count: int
    min: float
    max: float
    mean: float
    last: float


app = faust.App(
    os.environ["PEER_RUN"],
    broker=f"kafka://{os.environ['PEER_BROKER']}",
    store="memory://",
    topic_partitions=1,
    topic_replication_factor=1,
    datadir=os.environ["PEER_STATE"],
    web_enabled=False,
)
readings = app.topic(os.environ["PEER_TOPIC"], key_type=str, key_serializer="raw", value_type=Reading, partitions=1)
changes = app.topic(os.environ["PEER_CHANGES"], key_type=str, value_type=Change, partitions=1)
windows = app.Table("windows", default=Window, key_type=str, value_type=Window, partitions=1)


def _time_s(event: Any) -> float:
    return event.value.time_ms / 1000  # type: ignore[no-any-return]


hopping: Any = windows.hopping(SIZE_S, HOP_S, expires=3e8).clone(relative_to=_time_s)
levels = app.Table("levels", default=str, key_type=str, value_type=str, partitions=1)
marks = Marks()


class _Sum:
    """What Faust's windowed tables need for ``+=``: it adds to each window that holds the event."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __radd__(self, window: Window) -> Window:
        return window.plus(self.value)


@app.agent(readings)
async def score(stream: Any) -> None:
    async for reading in stream:
        if not reading.station:
            continue
        held = hopping[reading.station]
        held += _Sum(reading.value)
        window = held.delta(SIZE_S - HOP_S)  # of the four windows that hold it, the one opened first
        mean = window.sum / window.count
        found = (window.last - mean) / (window.max - window.min + 1)
        level = "HIGH" if found > 0.3 else "NORMAL"
        if level != (levels[reading.station] or "NORMAL"):
            levels[reading.station] = level
            name = reading.station
            told = Change(name, level, reading.time_ms, found, window.count, window.min, window.max, mean, window.last)
            await changes.send(key=name, value=told)
        marks.add()


if __name__ == "__main__":
    app.main()
