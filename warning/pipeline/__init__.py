"""Every decision: ``step(plan, state, readings, now_ms)``. Pure; the live worker, the replay and the tests all call it."""

from warning.pipeline.beat import Outputs, Readings
from warning.pipeline.plan import Plan
from warning.pipeline.state import State
from warning.pipeline.step import step

__all__ = ["Outputs", "Plan", "Readings", "State", "step"]
