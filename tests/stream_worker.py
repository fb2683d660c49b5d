"""A real worker process for tests. As a program (``stream_worker.py JSON``) it is the worker; facts go to stdout, one JSON line each."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import stream_regions
from prometheus_client import CollectorRegistry
from stream_standin import STANDIN

from warning import config
from warning.deployment import Deployment
from warning.facts import Fact
from warning.model import Status
from warning.operate.health import Health, serve
from warning.stream.app import run_worker
from warning.stream.broker import end_with_parent
from warning.stream.owned import Owned


class WorkerProcess:
    """``start``s it; ``facts`` grows while it runs; ``words`` is its log."""

    def __init__(self, **settings: Any) -> None:
        self.facts: list[dict[str, Any]] = []
        self.words = ""
        here = Path(__file__)
        self.process = subprocess.Popen(
            [sys.executable, str(here), json.dumps(settings, default=str)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent(),
            cwd=here.parent.parent,
            env={**os.environ, "PYTHONPATH": f"{here.parent.parent}:{here.parent}"},
        )
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._facts, self._words)]
        for reader in self._readers:
            reader.start()

    def _facts(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.facts.append(json.loads(line))

    def _words(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.words += line

    def told(self, fact: str, **fields: Any) -> list[dict[str, Any]]:
        return [each for each in list(self.facts) if each["fact"] == fact and all(each[name] == value for name, value in fields.items())]

    def wait_for(self, fact: str, within_s: float = 180.0, count: int = 1, **fields: Any) -> dict[str, Any]:
        until = time.monotonic() + within_s
        while len(found := self.told(fact, **fields)) < count:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.words[-3000:]}"
            assert time.monotonic() < until, f"no {fact} {fields} in {within_s:.0f} s: {self.words[-3000:]} {self.facts[-5:]}"
            time.sleep(0.05)
        return found[-1]

    def ends(self, within_s: float = 180.0) -> int:
        """Exit code."""
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still there after {within_s:.0f} s: {self.words[-3000:]}") from None
        for reader in self._readers:
            reader.join(5)
        return self.process.returncode

    def stop(self) -> int:
        self.process.terminate()
        return self.ends(60.0)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()


def listen(fact: Fact) -> None:
    words: dict[str, Any] = {"fact": type(fact).__name__}
    for field in dataclasses.fields(fact):
        value = getattr(fact, field.name)
        words[field.name] = value if isinstance(value, (int, float, str, bool, list, tuple, type(None))) else str(value)
    print(json.dumps(words), flush=True)


def poisoned(step: Any, value: float) -> Any:
    def poison(plan: Any, state: Any, readings: Any, now_ms: int) -> Any:
        if value in readings.value:
            raise ZeroDivisionError("poisoned")
        return step(plan, state, readings, now_ms)

    return poison


def hungry(step: Any, value: float) -> Any:
    def eat(plan: Any, state: Any, readings: Any, now_ms: int) -> Any:
        if value in readings.value:
            np.ones(1 << 50)  # eight petabytes
        return step(plan, state, readings, now_ms)

    return eat


def blocked(step: Any, value: float) -> Any:
    def turn(plan: Any, state: Any, readings: Any, now_ms: int) -> Any:
        while value in readings.value:
            pass
        return step(plan, state, readings, now_ms)

    return turn


def stuck(take: Any, value: float) -> Any:
    async def never(self: Any, keys: Any, values: Any, first: int) -> None:
        if any(str(value).encode() in (each or b"") for each in values):
            await asyncio.sleep(1e6)
        await take(self, keys, values, first)

    return never


def main() -> int:
    settings = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if settings.get("actual"):
        settings["region"]["status"] = Status.ACTUAL
    region = config.load(settings["folder"]) if "folder" in settings else stream_regions.region(**settings["region"])
    deployment = Deployment(**settings["deployment"])
    offset_s = settings.get("clock_off_s", 0.0)
    pipeline = STANDIN
    if settings.get("pipeline") == "real":
        from warning.stream.decisions import PIPELINE

        pipeline = PIPELINE

    if "poison" in settings:
        pipeline = dataclasses.replace(pipeline, step=poisoned(pipeline.step, settings["poison"]))
    if "hungry" in settings:
        pipeline = dataclasses.replace(pipeline, step=hungry(pipeline.step, settings["hungry"]))
    if "blocked" in settings:
        pipeline = dataclasses.replace(pipeline, step=blocked(pipeline.step, settings["blocked"]))
    if "stuck" in settings:
        Owned.take = stuck(Owned.take, settings["stuck"])  # type: ignore[method-assign]

    def wall() -> float:
        return time.time() + offset_s

    health = Health(("stream",), stall_s=settings.get("stall_s", 60.0))

    def heard(fact: Fact) -> None:
        listen(fact)
        health(fact)

    async def probes(loop: asyncio.AbstractEventLoop) -> Any:
        served = serve(health, CollectorRegistry(), deployment.host, settings["probes"])
        await served.__aenter__()
        return lambda: served.__aexit__(None, None, None)

    begin = probes if "probes" in settings else None
    return int(run_worker(region, deployment, heard, begin, pipeline, wall, settings.get("patience_s", 60.0)))


if __name__ == "__main__":
    sys.exit(main())
