"""The Faust app: group membership, fetching, one event a run. What is decided and saved is in ``worker``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

import faust

from warning import access
from warning.deployment import Deployment
from warning.stream import transport

Run = tuple[Sequence[bytes | None], Sequence[bytes | None]]


class Partitions(Protocol):
    """Whose partitions come and go. All are called in the app's loop; none may raise."""

    async def assigned(self, partitions: set[int]) -> None:
        """The group is stable and nothing was handed on yet: load, there is no time limit."""
        ...

    async def revoked(self, partitions: set[int], stopping: bool) -> None:
        """The agent is idle and we are still a member: save, the whole group waits."""
        ...

    async def take(self, partition: int, run: Run, last: int) -> None:
        """One run, up to record ``last``."""
        ...

    def fatal(self, error: BaseException) -> None:
        """Something broke that ends the process."""
        ...


class Engine(faust.App):
    """Make it inside the running loop: an app that is touched before binds to a loop that never runs."""

    partitions: Partitions
    topic_name: str

    def _create_directories(self) -> None:
        """Faust wants a folder for tables; there are none."""

    async def on_start(self) -> None:
        self.on_rebalance_complete.connect(self._load)
        self.on_partitions_revoked.connect(self._save)  # type: ignore[arg-type]
        await super().on_start()

    async def on_stop(self) -> None:
        await self._stop_consumer()  # the agent is idle after it, and we are still a member
        await self._guarded(self.partitions.revoked(self.owned(), True))
        await super().on_stop()

    def _crash(self, reason: BaseException) -> None:
        """Faust marks all its services as crashed, from whatever thread it was, and runs on; what comes after it is only a consequence."""
        super()._crash(reason)
        self.loop.call_soon_threadsafe(self.partitions.fatal, reason)

    def owned(self) -> set[int]:
        consumer: Any = self._consumer
        if consumer is None or consumer._thread._consumer is None:
            return set()
        return {tp.partition for tp in consumer.assignment() if tp.topic == self.topic_name}

    async def _load(self, *_: Any, **__: Any) -> None:
        # Faust logs what a handler of this signal raises, and goes on without a state.
        await self._guarded(self.partitions.assigned(self.owned()))

    async def _save(self, _: Any, revoked: set[Any], **__: Any) -> None:
        await self._guarded(self.partitions.revoked({tp.partition for tp in revoked if tp.topic == self.topic_name}, False))

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.partitions.fatal(error)


def engine(deployment: Deployment, partitions: Partitions) -> Engine:
    """Settings: as measured. Nothing is started. Raises RuntimeError outside a running loop."""
    asyncio.get_running_loop()  # an app that is made before binds itself to a loop that never runs, and hangs at its start
    transport.install({deployment.readings})
    session = deployment.session_timeout_s
    app = Engine(
        deployment.group,
        broker=transport.broker_url(deployment.bootstrap),
        broker_credentials=_credentials(deployment),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 << 20,  # of a partition: some 30,000 readings, decoded at once in a backlog
        broker_max_poll_records=None,
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 4,
        broker_rebalance_timeout=rebalance_s(deployment),
        broker_request_timeout=40.0,
        broker_max_poll_interval=300.0,
        broker_commit_interval=1.0,
        stream_wait_empty=True,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        worker_redirect_stdouts=False,
    )
    app.partitions, app.topic_name = partitions, deployment.readings
    topic = app.topic(deployment.readings, key_serializer="raw", value_serializer="raw")
    app.agent(topic, name=f"{deployment.prefix}beats")(_agent(app))
    return app


def _credentials(deployment: Deployment) -> Any:
    """``access.security`` as Faust wants it."""
    security = access.security(deployment)
    if not security:
        return None
    if "sasl_mechanism" not in security:
        return faust.SSLCredentials(security["ssl_context"])
    return faust.SASLCredentials(
        username=security["sasl_plain_username"],
        password=security["sasl_plain_password"],
        ssl_context=security["ssl_context"],
        mechanism=security["sasl_mechanism"],
    )


def rebalance_s(deployment: Deployment) -> float:
    """The embedded broker makes a join wait for half of it."""
    return 6.0 if deployment.embedded else 2 * deployment.session_timeout_s


def _agent(app: Engine) -> Any:
    consumer_of: Any = app

    async def beats(stream: Any) -> None:
        # noack: Faust acknowledges in a finally, so an exception in the body would count as done.
        async for event in stream.noack().events():
            message, began = event.message, time.perf_counter()
            try:
                await app.partitions.take(message.partition, event.value, message.offset)
                consumer_of.consumer.finished(message.tp, time.perf_counter() - began)
                await stream.ack(event)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # an agent never raises: Faust would go on with the next event
                app.partitions.fatal(error)
                await asyncio.Event().wait()  # nothing is handed on after it; the process ends

    return beats
