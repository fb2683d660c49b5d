"""The dispatcher process of a bench: what ``warning dispatch`` runs, on contacts and addresses of the bench; it tells what it costs."""

from __future__ import annotations

import asyncio
import cProfile
import gc
import json
import os
import resource
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from warning import config, wiring, wiring_logging
from warning.deployment import Deployment
from warning.dispatch.dispatcher import Dispatcher
from warning.facts import Fact, Ready
from warning.operate.observed import observe
from warning.wiring_bench_child import rss_bytes, tell
from warning.wiring_signals import on_signals

EVERY_S = 0.5


async def run(settings: dict[str, object], where: Deployment, endpoints: dict[str, str]) -> None:
    """Until SIGTERM."""
    region = config.load(str(settings["region"]), kept_in=where.directory)
    gc.collect()
    tell(contacts=len(region.contacts), rss=rss_bytes())
    watched, stop = observe(region, "dispatch", ("dispatch",)), on_signals()

    def heard(fact: Fact) -> None:
        watched(fact)
        if isinstance(fact, Ready) and fact.part == "dispatch":
            tell(ready=fact.ready, cpu_ready_s=time.process_time())

    loopback = settings["loopback"]
    assert isinstance(loopback, list)
    allowed = frozenset((host, port) for host, port in loopback)
    rate = float(str(settings["rate"]))
    listen = wiring.settled_when_ready(heard, "dispatch")  # as the command does
    dispatcher = Dispatcher(region, where, listen, endpoints=endpoints, allow_loopback=allowed, sms_per_s=rate)
    telling = asyncio.create_task(_tell())
    try:
        await dispatcher.run(stop)
    finally:
        telling.cancel()


async def _tell() -> None:
    while True:
        late = time.monotonic()
        await asyncio.sleep(EVERY_S)
        late = time.monotonic() - late - EVERY_S
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        tell(rss=rss_bytes(), rss_most=most, cpu_s=time.process_time(), late_ms=round(late * 1000))


def main() -> int:
    """As a program; ``BENCH_PROFILE``: file for what cProfile found, in CPU time of this thread."""
    settings = json.loads(sys.argv[1])
    where = Deployment(**{**settings["deployment"], "directory": Path(settings["deployment"]["directory"])})
    endpoints = json.loads(Path(settings["endpoints"]).read_text(encoding="utf-8")) if settings["endpoints"] else {}
    wiring_logging.configure("dispatch", "WARNING")
    with cProfile.Profile(time.thread_time) if os.environ.get("BENCH_PROFILE") else nullcontext() as found:
        asyncio.run(run(settings, where, endpoints))
    if found is not None:
        found.dump_stats(os.environ["BENCH_PROFILE"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
