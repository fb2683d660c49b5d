"""The decisions of ``warning.pipeline``, as the stream takes them."""

from __future__ import annotations

from warning import __version__
from warning.pipeline.plan import Plan
from warning.pipeline.state import State
from warning.pipeline.step import step
from warning.science.fingerprint import fingerprint
from warning.stream.ports import Pipeline


def code() -> str:
    """``Plan.code``, without the two seconds that the plan of a large region takes."""
    return f"{__version__}-{fingerprint()}"


PIPELINE = Pipeline(plan=Plan.of, empty=State.empty, thaw=State.thaw, step=step, code=code)
