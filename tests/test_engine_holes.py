"""Every way in which Faust, used as its documentation says, loses data or hangs in silence: a test each that shows it closed here.

The holes were found by running plain Faust 0.15.3 on Apache Kafka 4.1. Those that need real brokers stand in ``test_stream_worker``
(killed, frozen, outage, damaged, truncated) and ``test_secured`` (rights); here each guard is held alone, so that one that is taken
out is missed.
"""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError, KafkaConnectionError, RequestTimedOutError
from faust.types import TP, ProcessingGuarantee
from stream_fake import FakeBroker, Life
from stream_regions import region
from stream_standin import STANDIN
from test_transport import HERE, Gate

from warning import access_check
from warning.deployment import Deployment
from warning.errors import ExitCode, StateError, Unavailable
from warning.model import Parameter, Reading, Tick, to_json
from warning.stream import app as process
from warning.stream import engine as engines
from warning.stream import transport
from warning.stream.deadman import Deadman
from warning.stream.engine import Engine, engine
from warning.stream.owned import Owned
from warning.stream.ports import Sent
from warning.stream.watch import Watch
from warning.stream.worker import Worker

WHERE = Deployment(prefix="holes.", session_timeout_s=0.1, checkpoint_every_s=0.0)
MADE = region(stations=2, partitions=2)


@pytest.fixture(autouse=True)
def installed() -> None:
    transport.install({HERE.topic})


class Partitions:
    """What an engine talks to; raises where it is told to."""

    def __init__(self, broken: str = "") -> None:
        self.broken, self.taken, self.errors = broken, [], []  # type: ignore[var-annotated]
        self.told = asyncio.Event()
        self.thread: threading.Thread | None = None

    async def assigned(self, partitions: set[int]) -> None:
        self._break("assigned")

    async def revoked(self, partitions: set[int], stopping: bool) -> None:
        self._break("revoked")

    async def take(self, partition: int, run: Any, last: int) -> None:
        self.taken.append(last)
        self._break(f"take {last}")

    def _break(self, what: str) -> None:
        if self.broken == what:
            raise ZeroDivisionError(what)

    def fatal(self, error: BaseException) -> None:
        self.errors.append(error)
        self.thread = threading.current_thread()
        self.told.set()


def log_of(beats: int, partition_key: bytes = b"b0") -> list[tuple[bytes | None, bytes | None]]:
    """Beats of five readings and a tick: an alert each."""
    records: list[tuple[bytes | None, bytes | None]] = []
    for beat in range(beats):
        for number in range(5):
            moment = beat * 1000 + number
            one = Reading(station="s000", parameter=Parameter.STAGE, time_ms=moment, value=1.0, received_ms=moment, provider="t")
            records.append((partition_key, to_json(one)))
        records.append((None, to_json(Tick(tick_ms=beat * 1000 + 999, writer="w"))))
    return records


def life(broker: FakeBroker, beats: int = 3) -> Life:
    broker.topics[WHERE.readings, 0] = log_of(beats)
    return Life(broker, MADE, STANDIN, WHERE)


# --- 1


async def test_an_agent_that_raises_acknowledges_nothing_and_gets_nothing_more() -> None:
    """Stock: ``streams.py`` acknowledges in a ``finally``; message 1 raised, committed 5."""
    acked: list[int] = []
    partitions = Partitions("take 20")
    finished: list[Any] = []
    app = SimpleNamespace(partitions=partitions, consumer=SimpleNamespace(finished=lambda tp, seconds: finished.append(tp)))

    class Stream:
        async def events(self) -> AsyncIterator[Any]:
            for last in (10, 20, 30):
                yield SimpleNamespace(value=([], []), message=SimpleNamespace(partition=0, offset=last, tp=last))

        def noack(self) -> Stream:
            return self

        async def ack(self, event: Any) -> None:
            acked.append(event.message.offset)

    agent = asyncio.create_task(engines._agent(app)(Stream()))  # type: ignore[arg-type]
    await asyncio.wait_for(partitions.told.wait(), 5)
    await asyncio.sleep(0.05)
    assert (partitions.taken, acked, finished) == ([10, 20], [10], [10])
    assert isinstance(partitions.errors[0], ZeroDivisionError) and not agent.done(), "it never raises, and never ends by itself"
    agent.cancel()


# --- 2


class Refusing(FakeBroker):
    """Takes everything but records of one topic (but those whose key ends in ``spared``): their promise breaks."""

    refused, spared = "", b"nobody's"

    async def send(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> asyncio.Future[Sent]:
        if topic != self.refused or (key or b"").endswith(self.spared):
            return await super().send(topic, value, key, partition)
        sent: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, sent.set_exception, Unavailable(f"{topic}: refused"))
        return sent


async def ends(broker: Refusing, every_s: float) -> None:
    one = life(broker)
    one.ports.deployment = replace(WHERE, checkpoint_every_s=every_s)
    with pytest.raises(Unavailable, match="refused"):
        for _ in range(20):
            await one.run(cut=6, last_save=False)
            await asyncio.sleep(0.02)
    assert broker.commits == {}


@pytest.mark.parametrize(
    ("topic", "spared"),
    [(WHERE.alerts, b"nobody's"), (WHERE.hazards, b"nobody's"), (WHERE.checkpoints, b"nobody's"), (WHERE.checkpoints, b"head")],
)
async def test_a_write_that_fails_ends_the_process_and_is_never_committed_over(topic: str, spared: bytes) -> None:
    """Stock: the changelog refused, committed all the same, only a log line. A head without one of its chunks looks like a checkpoint."""
    broker = Refusing()
    broker.refused, broker.spared = topic, spared
    await ends(broker, 0.0)


async def test_a_failed_write_is_fatal_even_without_a_checkpoint() -> None:
    """Nobody may have to wait for the next checkpoint to hear of it."""
    broker = Refusing()
    broker.refused = WHERE.alerts
    await ends(broker, 1e9)


# --- 3


class Watching(FakeBroker):
    """Notes what was still under way whenever the group took a commit."""

    def __init__(self) -> None:
        super().__init__()
        self.open_at_commit: list[int] = []

    async def commit(self, partition: int, offset: int, metadata: str) -> str:
        decided = sum(key is None for key, _ in self.topics[WHERE.readings, 0][:offset])
        published = len(self.topics[WHERE.alerts, 0])
        self.open_at_commit.append(decided - published)
        return await super().commit(partition, offset, metadata)


async def test_a_commit_waits_for_every_output_before_it() -> None:
    """Stock: 100-199 open, 200-299 done, committed 300."""
    broker = Watching()
    broker.slow[WHERE.alerts] = 0.2
    one = life(broker, beats=4)
    await one.run(cut=6)
    assert broker.open_at_commit, "there was no commit"
    assert max(broker.open_at_commit) <= 0, "an output of a beat before the commit was still under way"


# --- 4 and 10


async def test_a_recovery_that_never_ends_ends_the_process() -> None:
    """Stock: a slow request counts as "stopped", ``rebalancing`` stays True, nothing is processed and nothing exits."""
    worker = Worker(MADE, WHERE, lambda fact: None, STANDIN, FakeBroker())  # type: ignore[arg-type]
    assert worker.loading
    watch = Watch(worker, FakeBroker(), patience_s=0.1)  # type: ignore[arg-type]
    await watch.look()
    await asyncio.sleep(0.8)
    with pytest.raises(StateError, match="group has not come to rest") as told:
        await watch.look()
    assert told.value.exit_code is ExitCode.NO_PROGRESS


async def test_a_start_that_hangs_ends_the_process() -> None:
    hanging = SimpleNamespace(start=lambda: asyncio.sleep(1e6))
    with pytest.raises(StateError, match="the group was not joined within 0 s") as told:
        await process._start(hanging, within_s=0.1)
    assert told.value.exit_code is ExitCode.NO_PROGRESS


def test_an_app_is_not_made_before_its_loop_runs() -> None:
    """Stock: it binds to a loop that never runs, hangs at "Creating topic" and ignores SIGTERM."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        engine(WHERE, None)  # type: ignore[arg-type]


async def test_a_crash_in_fausts_thread_is_told_in_the_loop() -> None:
    app = SimpleNamespace(partitions=Partitions(), loop=asyncio.get_running_loop())
    faulty = KafkaConnectionError("gone")
    thread = threading.Thread(target=lambda: Engine._crash(Marked(app), faulty))
    thread.start()
    await asyncio.wait_for(app.partitions.told.wait(), 5)
    assert app.partitions.errors == [faulty] and app.partitions.thread is threading.main_thread()


class Marked(Engine):
    """An engine as far as a crash goes."""

    def __init__(self, app: Any) -> None:
        self._crashed, self._children = threading.Event(), []  # type: ignore[assignment]
        self.partitions, self._loop = app.partitions, app.loop


async def test_a_loop_that_stands_still_is_ended_from_outside() -> None:
    ended = threading.Event()
    async with Deadman(patience_s=0.2, every_s=0.02, end=ended.set):
        await asyncio.sleep(0.5)
        assert not ended.is_set()
        ended.wait(10)  # in one call
    assert ended.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_log_that_cannot_be_written_does_not_keep_it_alive() -> None:
    """A handler whose file is closed raises when it is flushed: the thread died of it, and nobody ended the process."""
    file = io.StringIO()
    handler = logging.StreamHandler(file)
    handler.flush = file.flush  # type: ignore[method-assign]
    file.close()
    logging.getLogger().addHandler(handler)
    ended = threading.Event()
    try:
        async with Deadman(patience_s=0.2, every_s=0.02, end=ended.set):
            await asyncio.sleep(0.1)
            ended.wait(10)
    finally:
        logging.getLogger().removeHandler(handler)
    assert ended.is_set()


# --- 7


async def test_a_lost_partition_is_neither_fed_nor_ticked_nor_saved() -> None:
    """Stock: the memory store keeps keys of lost partitions."""
    broker = FakeBroker()
    one = life(broker, beats=1)
    owned = await one.start()
    worker = Worker(MADE, WHERE, lambda fact: None, STANDIN, broker)  # type: ignore[arg-type]
    ended: list[Any] = []
    worker.engine = SimpleNamespace(consumer=SimpleNamespace(end=ended.append, flow_active=True))  # type: ignore[assignment]
    worker.owned[0] = owned
    await worker.revoked({0}, stopping=False)
    ticked: list[list[int]] = []
    worker.clock.tick = lambda partitions: ticked.append(list(partitions))  # type: ignore[assignment, method-assign, return-value]
    await worker.take(0, ([b"b0"], [b"{}"]), 0)
    assert (owned.beats.position, worker.owned, len(ended)) == (0, {}, 1)


@pytest.mark.parametrize("what", ["assigned", "revoked"])
async def test_an_error_in_a_callback_of_the_group_ends_the_process(what: str) -> None:
    """Stock: an exception in ``on_recover`` and in signal handlers is logged, and the work goes on without a state."""
    partitions = Partitions(what)
    app = SimpleNamespace(partitions=partitions, owned=lambda: {0}, topic_name="t")
    app._guarded = lambda work: Engine._guarded(app, work)  # type: ignore[arg-type]
    if what == "assigned":
        await Engine._load(app)  # type: ignore[arg-type]
    else:
        await Engine._save(app, app, {TP("t", 0)})  # type: ignore[arg-type]
    assert [type(error) for error in partitions.errors] == [ZeroDivisionError]


class Coordinator:
    """A consumer thread whose consumer answers a commit with an error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.thread_loop = asyncio.new_event_loop()  # never run; open, until a test closes it

    def _ensure_consumer(self) -> Coordinator:
        return self

    async def commit(self, offsets: Any) -> None:
        raise self.error

    async def call_thread(self, work: Any) -> Any:
        return await work()


async def test_a_stop_in_the_middle_of_a_commit_is_a_refusal_and_no_crash() -> None:
    """Stock: aiokafka cancels its own commit when it closes during a rebalance, and the thread's loop ends under whoever waits."""
    gate = Gate()
    gate._thread = Coordinator(asyncio.CancelledError())  # type: ignore[assignment]
    assert await gate.commit_at(HERE, 5, "") == transport.STOPPED
    gate._thread = Coordinator(RuntimeError("Event loop is closed"))  # type: ignore[assignment]
    with pytest.raises(RuntimeError):  # while the loop lives it is some other error
        await gate.commit_at(HERE, 5, "")
    gate._thread.thread_loop.close()
    assert await gate.commit_at(HERE, 5, "") == transport.STOPPED


async def test_who_is_told_to_end_while_it_commits_ends() -> None:
    gate = Gate()
    gate._thread = Sleeper()  # type: ignore[assignment]
    task = asyncio.create_task(gate.commit_at(HERE, 5, ""))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Sleeper:
    """A consumer thread that never answers."""

    async def call_thread(self, work: Any) -> Any:
        await asyncio.sleep(3600)


async def test_a_refused_commit_is_never_taken_for_done() -> None:
    """Stock: swallowed, and the offset recorded as committed."""
    gate = Gate()
    gate._thread = Coordinator(CommitFailedError("expelled"))  # type: ignore[assignment]
    assert "expelled" in await gate.commit_at(HERE, 5, "")
    gate._thread = Coordinator(RequestTimedOutError())  # type: ignore[assignment]
    with pytest.raises(RequestTimedOutError):
        await gate.commit_at(HERE, 5, "")
    broker = FakeBroker()
    broker.refuse = True
    one = life(broker)
    await one.run(cut=6)
    assert isinstance(one.owned, Owned) and one.owned.committed == 0 and broker.commits == {}


# --- 8 and 12


async def test_no_transactions_and_no_tables() -> None:
    """Stock: exactly_once crashed the survivor of a rebalance; tables lose open windows, take 3,500 records a second to recover."""
    app = engine(WHERE, Partitions())  # type: ignore[arg-type]
    assert app.conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE
    assert len(app.tables) == 0 and app.tables.changelog_topics == set()
    assert app.conf.broker_credentials is None and app.conf.table_standby_replicas == 0


# --- 9


@pytest.mark.parametrize(("members", "ends"), [(1, True), (2, False), (3, False)])
async def test_a_worker_without_partitions_in_a_small_group_ends(monkeypatch: pytest.MonkeyPatch, members: int, ends: bool) -> None:
    """Stock: without the Read right it keeps running with no partitions, and looks ready. (The rights themselves: ``test_secured``.)"""

    async def group(deployment: Deployment, name: str) -> access_check.Group:
        assert name == "holes.worker"
        return access_check.Group("Stable", members, 0)

    async def refusal(deployment: Deployment, name: str) -> None:
        return None

    monkeypatch.setattr(access_check, "group", group)
    monkeypatch.setattr(access_check, "refusal", refusal)
    worker = Worker(MADE, WHERE, lambda fact: None, STANDIN, FakeBroker())  # type: ignore[arg-type]
    worker.loading = False
    watch = Watch(worker, FakeBroker(), patience_s=0.1)  # type: ignore[arg-type]
    await watch.look()
    await asyncio.sleep(0.2)
    if not ends:
        await watch.look()
        return
    with pytest.raises(StateError, match="no partition was given to us") as told:
        await watch.look()
    assert told.value.exit_code is ExitCode.NO_PROGRESS
