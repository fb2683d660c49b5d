"""The decisions of ``warning.pipeline``, as the stream takes them."""

from __future__ import annotations

from warning.pipeline.plan import Plan
from warning.pipeline.state import State
from warning.pipeline.step import step
from warning.stream.ports import Pipeline

PIPELINE = Pipeline(plan=Plan.of, empty=State.empty, thaw=State.thaw, step=step)
