"""Where the time of a beat goes: CPU time by stage, measured around the functions that do it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from warning.alerts import cap
from warning.pipeline import looks, score, telling, zones
from warning.pipeline.beat import Hazards
from warning.science import forecast, identity, qc, windows
from warning.stream import owned
from warning.stream.codec import Decoder

# What is timed as what; the inner ones are taken off the outer one.
STAGES: tuple[tuple[str, Any, str], ...] = (
    ("decode", Decoder, "run"),
    ("quality", qc, "examine"),
    ("windows", windows, "fold"),
    ("identity", identity, "remember"),
    ("forecast", forecast, "trend"),
    ("forecast", looks, "look"),
    ("forecast", score, "courses"),
    ("hazard", zones, "score"),
    ("hazard", telling, "rows"),
    ("life cycle", zones, "_live"),
    ("documents", cap, "document"),
    ("encode outputs", owned, "outputs_of"),
    ("encode outputs", Hazards, "records"),
)
NAMES = (*dict.fromkeys(stage for stage, _, _ in STAGES), "rest of the beat", "checkpoint", "produce, commit")


class Stopwatch:
    """CPU seconds by stage, each without the stages inside it."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._inside = [0.0]

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        began = time.thread_time()
        self._inside.append(0.0)
        try:
            yield
        finally:
            whole = time.thread_time() - began
            self.spent[stage] += whole - self._inside.pop()
            self._inside[-1] += whole

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            with self.time(stage):
                return function(*arguments, **named)

        return run

    @contextmanager
    def patched(self) -> Iterator[None]:
        with ExitStack() as stack:
            for stage, owner, name in STAGES:
                original = getattr(owner, name)
                stack.callback(setattr, owner, name, original)
                setattr(owner, name, self.timed(stage, original))
            yield
