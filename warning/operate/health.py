"""Probes that tell the truth: ``/livez`` (restart me if not), ``/readyz`` (which part is not ready, and why).

A process is alive as long as it makes progress: a worker with records waiting that closed no beat for ``STALL_S`` is not alive, though
its event loop still answers. It is ready when every part that it needs has said so.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from warning import facts
from warning.errors import Unavailable

STALL_S = 60.0
NOT_HEARD = "has not said that it is ready"

log = logging.getLogger(__name__)


class Progress:
    """Partitions that one part of the process works through; ``words`` say what was not done with what waits."""

    def __init__(self, words: str) -> None:
        self._words = words
        self._waiting: dict[int, tuple[int, float]] = {}  # partition -> (records waiting, since when without progress)
        self._owned: dict[int, float] = {}  # partition -> when it was last heard of

    def owned(self, partitions: Iterable[int], now: float) -> None:
        self._owned = {partition: self._owned.get(partition, now) for partition in partitions}
        self._waiting = {partition: state for partition, state in self._waiting.items() if partition in self._owned}

    def backlog(self, partition: int, waiting: int, now: float) -> None:
        self.heard(partition, now)
        before, since = self._waiting.get(partition, (0, now))
        # A backlog that shrinks is being worked on; one that was empty starts to wait only now.
        self._waiting[partition] = (waiting, since if before and waiting >= before else now)

    def done(self, partition: int, now: float) -> None:
        self.heard(partition, now)
        self._waiting[partition] = (self._waiting.get(partition, (0, now))[0], now)

    def heard(self, partition: int, now: float) -> None:
        if partition in self._owned:
            self._owned[partition] = now

    def anew(self, now: float) -> None:
        """Nobody could make progress meanwhile: the time begins anew."""
        self._waiting = {partition: (waiting, now) for partition, (waiting, _) in self._waiting.items()}
        self._owned = dict.fromkeys(self._owned, now)

    def problems(self, now: float, stall_s: float) -> Iterable[str]:
        for partition, (waiting, since) in sorted(self._waiting.items()):
            if waiting and now - since > stall_s:
                yield f"{self._words.format(partition=partition, waiting=waiting)} for {now - since:.0f} s"
        for partition, heard in sorted(self._owned.items()):
            if now - heard > stall_s:
                yield f"{self._words.partition(':')[0].format(partition=partition)}: owned, and nothing heard of it for {now - heard:.0f} s"


class Health:
    """A Listener that knows whether this process lives and is ready.

    ``parts`` are those that must say ``facts.Ready`` (``BrokerState`` speaks for part "broker"); any other part that speaks counts too.
    ``clock`` is monotonic seconds.
    """

    def __init__(self, parts: Iterable[str] = (), *, stall_s: float = STALL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts: dict[str, tuple[bool, str]] = dict.fromkeys(parts, (False, NOT_HEARD))
        self._clock, self._stall_s = clock, stall_s
        self._beats = Progress("partition {partition}: {waiting} records wait and no beat was closed")
        self._inbox = Progress("inbox {partition}: {waiting} records wait and none was taken")
        self._inbox_outside: float | None = None  # since when the inbox's reader is not in its group
        self._broker_away = False

    def __call__(self, fact: facts.Fact) -> None:
        """Take one fact."""
        now = self._clock()
        match fact:
            case facts.Ready(part=part, ready=ready, why=why):
                self._parts[part] = (ready, "" if ready else why or "no reason given")
            case facts.BrokerState(up=up):
                self._parts["broker"] = (up, "" if up else "the broker does not answer")
                if self._broker_away and up:  # nobody makes progress without a broker
                    self._beats.anew(now)
                    self._inbox.anew(now)
                    self._inbox_outside = None if self._inbox_outside is None else now
                self._broker_away = not up
            case facts.PartitionsOwned(partitions=partitions):
                self._beats.owned(partitions, now)
            case facts.Backlog(partition=partition, waiting=waiting):
                self._beats.backlog(partition, waiting, now)
            case facts.BeatClosed(partition=partition):
                self._beats.done(partition, now)
            case facts.StateLoaded(partition=partition):
                self._beats.heard(partition, now)
            case facts.InboxOwned(partitions=partitions, joined=joined):
                self._inbox.owned(partitions, now)
                self._inbox_outside = None if joined else now if self._inbox_outside is None else self._inbox_outside
            case facts.InboxWaiting(partition=partition, waiting=waiting):
                self._inbox.backlog(partition, waiting, now)
            case facts.InboxTaken(partition=partition):
                self._inbox.done(partition, now)

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Whether the process makes progress, and the JSON that says why not."""
        if self._broker_away:  # not ready, but a restart would not bring it back
            return True, {"live": True, "problems": []}
        now = self._clock()
        problems = [*self._beats.problems(now, self._stall_s), *self._inbox.problems(now, self._stall_s)]
        if self._inbox_outside is not None and now - self._inbox_outside > self._stall_s:
            problems.append(f"inbox: its reader has been in no group for {now - self._inbox_outside:.0f} s")
        return not problems, {"live": not problems, "problems": problems}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether every part is ready, and the JSON that names each part and why it is not."""
        parts = {part: {"ready": ready} | ({"why": why} if why else {}) for part, (ready, why) in sorted(self._parts.items())}
        ready = all(ready for ready, _ in self._parts.values())
        return ready, {"ready": ready, "parts": parts}


def routes(health: Health, registry: CollectorRegistry) -> list[web.RouteDef]:
    """``/metrics``, ``/livez`` and ``/readyz`` for an aiohttp application."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def livez(_: web.Request) -> web.Response:
        live, told = health.live()
        return web.json_response(told, status=200 if live else 503, headers={"Cache-Control": "no-store"})

    async def readyz(_: web.Request) -> web.Response:
        ready, told = health.ready()
        return web.json_response(told, status=200 if ready else 503, headers={"Cache-Control": "no-store"})

    return [web.get("/metrics", metrics), web.get("/livez", livez), web.get("/readyz", readyz)]


@asynccontextmanager
async def serve(health: Health, registry: CollectorRegistry, host: str, port: int) -> AsyncIterator[int]:
    """A small server of the probes and metrics while the context lasts; yields its port (``port`` 0: the system chooses one).

    Raises ``Unavailable`` if the address is taken.
    """
    app = web.Application()
    app.add_routes(routes(health, registry))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise Unavailable(f"{host}:{port} for /metrics and probes: {error.strerror or error}", reason="address") from error
        log.info("metrics and probes on http://%s:%d", host, runner.addresses[0][1])
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
