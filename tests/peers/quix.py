"""The job in Quix Streams as its documentation has it: a hopping window, told on for each reading (``current``), and a stateful step."""

from __future__ import annotations

import os
from typing import Any

import quixstreams.dataframe.windows.aggregations as made_of  # type: ignore[import-not-found]
from marks import Marks
from quixstreams import Application, State

SIZE_MS, HOP_MS, GRACE_MS = 3_600_000, 900_000, 300_000


def changed(window: dict[str, Any], state: State) -> dict[str, Any] | None:
    score = (window["last"] - window["mean"]) / (window["max"] - window["min"] + 1)
    level = "HIGH" if score > 0.3 else "NORMAL"
    if level == state.get("level", "NORMAL"):
        return None
    state.set("level", level)
    fields = ("station", "time_ms", "count", "min", "max", "mean", "last")
    return {"level": level, "score": score, **{field: window[field] for field in fields}}


def main() -> None:
    marks = Marks()
    app = Application(
        broker_address=os.environ["PEER_BROKER"],
        consumer_group=os.environ["PEER_RUN"],
        auto_offset_reset="earliest",
        state_dir=os.environ["PEER_STATE"],
        loglevel="WARNING",
    )
    readings = app.topic(
        os.environ["PEER_TOPIC"],
        key_deserializer="str",
        value_deserializer="json",
        timestamp_extractor=lambda value, headers, timestamp, kind: value.get("time_ms", timestamp),
    )
    changes = app.topic(os.environ["PEER_CHANGES"], key_serializer="str", value_serializer="json")
    frame = app.dataframe(readings)
    frame = frame.filter(lambda value: "station" in value)  # a mark in the log has none
    frame = frame.update(lambda value: marks.add())
    frame = frame.hopping_window(duration_ms=SIZE_MS, step_ms=HOP_MS, grace_ms=GRACE_MS).agg(
        count=made_of.Count(),
        min=made_of.Min("value"),
        max=made_of.Max("value"),
        mean=made_of.Mean("value"),
        last=made_of.Last("value"),
        time_ms=made_of.Last("time_ms"),
        station=made_of.Last("station"),
    )
    frame = frame.current()
    # of the four windows that hold a reading, the one opened first
    frame = frame.filter(lambda window: window["time_ms"] - window["start"] >= SIZE_MS - HOP_MS)
    frame = frame.apply(changed, stateful=True).filter(lambda change: change is not None)
    frame.to_topic(changes)
    app.run()


if __name__ == "__main__":
    main()
