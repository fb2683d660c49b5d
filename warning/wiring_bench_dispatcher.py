"""The dispatcher process of a bench: what ``warning dispatch`` runs, on contacts and addresses of the bench; it tells what it costs."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import time
from pathlib import Path

from warning import config, wiring, wiring_logging
from warning.deployment import Deployment
from warning.dispatch.dispatcher import Dispatcher
from warning.facts import Fact, Ready
from warning.operate.observed import observe
from warning.wiring_bench_child import rss_bytes, tell

EVERY_S = 0.5


async def run(settings: dict[str, object], where: Deployment) -> None:
    """Until SIGTERM."""
    region = config.load(str(settings["region"]), kept_in=where.directory)
    gc.collect()
    tell(contacts=len(region.contacts), rss=rss_bytes())
    watched, stop = observe(region, "dispatch", ("dispatch",)), wiring.on_signals()

    def listen(fact: Fact) -> None:
        watched(fact)
        if isinstance(fact, Ready) and fact.part == "dispatch":
            tell(ready=fact.ready, cpu_ready_s=time.process_time())

    endpoints, loopback = settings["endpoints"], settings["loopback"]
    assert isinstance(endpoints, dict) and isinstance(loopback, list)
    allowed = frozenset((host, port) for host, port in loopback)
    rate = float(str(settings["rate"]))
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
    settings = json.loads(sys.argv[1])
    where = settings["deployment"]
    wiring_logging.configure("dispatch", "WARNING")
    if profile := os.environ.get("BENCH_PROFILE"):
        import cProfile

        with cProfile.Profile() as found:
            asyncio.run(run(settings, Deployment(**{**where, "directory": Path(where["directory"])})))
        found.dump_stats(profile)
        return 0
    asyncio.run(run(settings, Deployment(**{**where, "directory": Path(where["directory"])})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
