"""The watchdog: what stands still for ever without ending has to end, with a reason."""

from __future__ import annotations

import asyncio
import time

from warning import access_check
from warning.errors import ExitCode, StateError, Unavailable
from warning.facts import Backlog, BrokerState, Ready
from warning.stream.engine import rebalance_s
from warning.stream.kafka import GIVE_UP_S
from warning.stream.ports import Log
from warning.stream.worker import Worker

EVERY_S = 1.0
PATIENCE_S = 60.0
FAILING_S = 10.0  # no reading goes through, and some raise
ASK_S = 10.0  # a broker that takes connections and never answers counts as away
ALONE = 10  # times the patience: for one partition that stands while others move


class Watch:
    """Looks once a second. ``patience_s``: how long records may wait with none applied, and how long a recovery may take on top of the
    group's own time."""

    def __init__(self, worker: Worker, log: Log, patience_s: float = PATIENCE_S, give_up_s: float = GIVE_UP_S) -> None:
        self._worker, self._log, self._patience_s, self._give_up_s = worker, log, patience_s, give_up_s
        self._moved: dict[int, tuple[int, float]] = {}  # partition -> position, and since when it stands there with records waiting
        self._any_moved = time.monotonic()
        self._loading_since: float | None = None
        self._answered = time.monotonic()
        self._up: bool | None = None
        self._told_failing: list[int] = []
        self._idle_since: float | None = None
        self._asked = 0.0

    async def run(self) -> None:
        while not self._worker.ended.is_set():
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Raises ``Unavailable``, ``AccessError`` or ``StateError`` (NO_PROGRESS) when the process has to end."""
        self._crashed()
        await self._waiting()
        self._recovery()
        self._failing()
        await self._idle()

    def _failing(self) -> None:
        """Where every reading raises a restart helps nobody: timers, renewals and other partitions go on, and people are called."""
        now = time.monotonic()
        failing = [number for number, owned in self._worker.owned.items() if owned.failing_since and now - owned.failing_since > FAILING_S]
        if failing == self._told_failing:
            return
        self._told_failing = failing
        words = f"every reading raises in partition {', '.join(map(str, failing))}; mend the code or go back: nothing is lost until then"
        self._worker.listen(Ready("decisions", not failing, words if failing else ""))

    def _crashed(self) -> None:
        engine = self._worker.engine
        if engine is not None and engine.should_stop and not self._worker.ended.is_set():
            error = engine.crash_reason
            raise error if error is not None else StateError("Faust has stopped by itself", exit_code=ExitCode.INVARIANT)

    async def _waiting(self) -> None:
        for partition, owned in list(self._worker.owned.items()):
            try:
                async with asyncio.timeout(min(ASK_S, self._patience_s)):
                    _, end = await self._log.bounds(self._worker.deployment.readings, partition)
            except (Unavailable, TimeoutError) as error:
                self._broker(False)
                await self._refused()
                silent_s = time.monotonic() - self._answered
                if silent_s > self._give_up_s:
                    raise Unavailable(f"no broker for {silent_s:.0f} s: {error or 'it does not answer'}") from error
                return
            self._answered = time.monotonic()
            self._broker(True)
            self._worker.listen(Backlog(partition, max(0, end - owned.beats.next)))
            self._progress(partition, owned.beats.position, end)

    def _broker(self, up: bool) -> None:
        if up is not self._up:
            self._up = up
            self._worker.listen(BrokerState(up))

    async def _refused(self) -> None:
        """Away, or does it refuse us? A rotated password and a taken right look like silence to the clients."""
        if time.monotonic() - self._asked > ASK_S:
            self._asked = time.monotonic()
            told = await access_check.refusal(self._worker.deployment, "worker")
            if told is not None and not isinstance(told, Unavailable):  # a name that does not resolve any more is an outage
                raise told

    def _progress(self, partition: int, position: int, end: int) -> None:
        """One agent serves all partitions: one may stand while another's long run is worked through, all may not."""
        now = time.monotonic()
        stood, since = self._moved.get(partition, (-1, now))
        if position >= end or position != stood:
            self._moved[partition] = (position, now)
            self._any_moved = now
        elif now - self._any_moved > self._patience_s or now - since > ALONE * self._patience_s:
            raise StateError(
                f"partition {partition}: {end - position} records wait and none was taken for {now - since:.0f} s",
                exit_code=ExitCode.NO_PROGRESS,
                reason="no_progress",
            )

    def _recovery(self) -> None:
        if not self._worker.loading:
            self._loading_since = None
            return
        now = time.monotonic()
        self._loading_since = self._loading_since or now
        limit = self._patience_s + 2 * rebalance_s(self._worker.deployment)
        if now - self._loading_since > limit:
            raise StateError(
                f"the group has not come to rest, or a state was not loaded, for {now - self._loading_since:.0f} s",
                exit_code=ExitCode.NO_PROGRESS,
                reason="no_progress",
            )

    async def _idle(self) -> None:
        """Nothing is ours for so long: right if others have it all, else the group has forgotten us."""
        worker, now = self._worker, time.monotonic()
        if worker.loading or worker.owned or worker.deployment.embedded:
            self._idle_since = None
            return
        self._idle_since = self._idle_since or now
        if now - self._idle_since < self._patience_s:
            return
        self._idle_since = None
        await self._refused()  # a topic that may not be seen has no partitions
        group = await access_check.group(worker.deployment, worker.deployment.group)
        if group.state == "Stable" and group.members < worker.region.partitions:
            raise StateError(
                f"no partition was given to us for {self._patience_s:.0f} s, though the group {worker.deployment.group} has only "
                f"{group.members} members for {worker.region.partitions} partitions of {worker.deployment.readings}",
                exit_code=ExitCode.NO_PROGRESS,
                reason="no_progress",
            )
