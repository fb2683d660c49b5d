"""A real worker process for tests: ``python -m tests.stream_worker JSON``. Facts go to stdout, one JSON line each."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import signal
import sys
import time
from typing import Any

import stream_regions
from stream_standin import STANDIN

from warning.deployment import Deployment
from warning.facts import Fact
from warning.stream.app import work


def listen(fact: Fact) -> None:
    words: dict[str, Any] = {"fact": type(fact).__name__}
    for field in dataclasses.fields(fact):
        value = getattr(fact, field.name)
        words[field.name] = value if isinstance(value, (int, float, str, bool, list, tuple, type(None))) else str(value)
    print(json.dumps(words), flush=True)


def main() -> int:
    settings = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    region = stream_regions.region(**settings["region"])
    deployment = Deployment(**settings["deployment"])
    offset_s = settings.get("clock_off_s", 0.0)
    pipeline = STANDIN
    if settings.get("pipeline") == "real":
        from warning.stream.decisions import PIPELINE

        pipeline = PIPELINE

    async def run() -> int:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        wall = lambda: time.time() + offset_s  # noqa: E731
        return int(await work(region, deployment, listen, pipeline, stop, None, wall, settings.get("patience_s", 60.0)))

    return asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
