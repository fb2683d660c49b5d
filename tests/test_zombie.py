"""A worker stopped for minutes in the middle of any step, overtaken and woken; and every way in which a checkpoint is damaged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from stream_fake import FakeBroker, Life, code_of
from stream_standin import STANDIN
from test_stream_kill import DEPLOYMENT, LOG, REGION, judge

from warning.errors import ExitCode, StateError
from warning.facts import CheckpointRefused, StateLoaded
from warning.model import Tick, to_json
from warning.stream.ports import Each, Sent
from warning.stream.state import Book, Frozen, Head, key_of, unpack

WAKES = len(LOG) - 24  # the log's end while the one sleeps; two beats are still to come
BEGINS = 24


class Client:
    """One worker's way to the brokers. From its ``stop_at``-th step on, before or after what it asks for, it stands until ``wake``."""

    def __init__(self, broker: FakeBroker, stop_at: int = 0) -> None:
        self.broker, self._stop_at, self._steps = broker, stop_at, 0
        self.expelled = False
        self.stopped, self._go_on = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)

    def wake(self) -> None:
        self.expelled = True
        self._go_on.set()

    async def _step(self) -> None:
        self._steps += 1
        if self._stop_at and self._steps >= self._stop_at and not self._go_on.is_set():
            self.stopped.set()
            await self._go_on.wait()

    async def send(self, topic: str, value: bytes | None, key: bytes | None, partition: int) -> asyncio.Future[Sent]:
        await self._step()
        sent = await self.broker.send(topic, value, key, partition)
        await self._step()
        return sent

    async def send_all(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> list[asyncio.Future[Sent]]:
        return [await self.send(topic, value, key, partition) for key, value in records]

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        await self._step()
        return await self.broker.bounds(topic, partition)

    async def read(self, topic: str, partition: int, each: Each, first: int | None = None, until: int | None = None) -> None:
        await self._step()
        await self.broker.read(topic, partition, each, first, until)

    async def committed(self, partition: int) -> tuple[int | None, str]:
        await self._step()
        return await self.broker.committed(partition)

    async def commit(self, partition: int, offset: int, metadata: str) -> str:
        await self._step()
        if self.expelled:
            return "CommitFailedError: expelled"
        why = await self.broker.commit(partition, offset, metadata)
        await self._step()
        return why


async def overtaken(stop_at: int) -> tuple[bool, Life]:
    """(whether it came to stand still, the one that did): another goes on while it stands, a third one after it woke up."""
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG[:BEGINS])
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "first").run(12)
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG[:WAKES])
    client = Client(broker, stop_at)
    zombie = Life(client, REGION, STANDIN, DEPLOYMENT, "zombie")  # type: ignore[arg-type]
    task = asyncio.create_task(zombie.run(7, BEGINS + 40))
    stopped = asyncio.create_task(client.stopped.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    held = client.stopped.is_set()
    stopped.cancel()
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "heir").run(9)
    furthest = broker.commits[0]
    client.wake()
    await task
    assert broker.commits[0] == furthest, "a worker that is no member any more committed"
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "third").run(9)
    judge(broker)
    return held, zombie


async def test_stopped_at_every_step_overtaken_and_woken() -> None:
    stop_at, refused = 1, 0
    while True:
        held, zombie = await overtaken(stop_at)
        if not held:
            break
        refused += any(isinstance(fact, CheckpointRefused) for fact in zombie.facts)
        assert not zombie.errors
        stop_at += 1
    assert stop_at > 40 and refused > 10


async def test_what_woke_up_starts_again_from_where_the_other_is() -> None:
    """Its own memory is behind the group's commit: it is not used."""
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    zombie = Life(broker, REGION, STANDIN, DEPLOYMENT, "zombie")
    await zombie.run(7, 40)
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "heir").run(9, WAKES)
    again = Life(broker, REGION, STANDIN, DEPLOYMENT, "zombie")
    assert await again.start(zombie.owned) is not zombie.owned
    assert next(fact.how for fact in again.facts if isinstance(fact, StateLoaded)) == "committed"
    await again.run(9)
    judge(broker)


# --- damaged checkpoints


async def lived() -> FakeBroker:
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG[:60])
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "w0").run(12)
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    return broker


def records_of(broker: FakeBroker, number: int) -> dict[str, tuple[bytes, bytes]]:
    """Piece -> (key, value) of a generation, as it stands."""
    found: dict[str, tuple[bytes, bytes]] = {}
    for key, value in broker.topics[DEPLOYMENT.checkpoints, 0]:
        words = (key or b"").decode().split("|")
        if len(words) == 3 and int(words[1]) == number and key is not None and value is not None:
            found[words[2]] = (key, value)
    return found


def flip(value: bytes, at: int) -> bytes:
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def damages(broker: FakeBroker, number: int) -> list[tuple[bytes, bytes | None]]:
    """Every kind: records that spoil the generation when they come after it."""
    pieces = records_of(broker, number)
    (chunk_key, chunk), (head_key, head) = pieces["0"], pieces["head"]
    found: list[tuple[bytes, bytes | None]] = [(chunk_key, flip(chunk, at)) for at in range(0, len(chunk), max(1, len(chunk) // 20))]
    found += [(chunk_key, chunk[:-1]), (chunk_key, chunk + b"x"), (chunk_key, b""), (chunk_key, None)]
    known = msgspec.json.decode(head, type=Head)
    found += [(head_key, value) for value in (to_json(msgspec.structs.replace(known, digest="0" * 32)), head[:-2], b"", None)]
    for change in ({"next": known.next + 12}, {"chunks": known.chunks + 1}, {"state_bytes": 0}, {"tick": "1:x"}, {"config": "d9"}):
        found.append((head_key, to_json(msgspec.structs.replace(known, **change))))
    return found


async def test_every_damage_of_the_committed_generation() -> None:
    """An older one is taken, and the log is done again from there: the same comes out."""
    base = await lived()
    committed = base.commits[0][0]
    for key, value in damages(base, committed):
        broker = FakeBroker()
        for place, held in base.topics.items():
            broker.topics[place] = list(held)
        broker.commits = dict(base.commits)
        broker.topics[DEPLOYMENT.checkpoints, 0].append((key, value))
        life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w1")
        await life.start()
        assert life.loaded.how == "older" and life.loaded.owned.beats.next < committed, (key, value)
        await life.run(12)
        judge(broker)


async def test_all_three_damaged_ends() -> None:
    broker = await lived()
    for number in range(len(LOG)):
        if pieces := records_of(broker, number):
            key, value = pieces["0"]
            broker.topics[DEPLOYMENT.checkpoints, 0].append((key, flip(value, 3)))
    with pytest.raises(StateError, match="no verified generation") as stopped:
        await Life(broker, REGION, STANDIN, DEPLOYMENT, "w1").start()
    assert code_of(stopped.value) is ExitCode.CHECKPOINT_MISSING
    broker.commits.clear()  # forgotten by the group as well: the log is whole, so it is done again from its beginning
    life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w1")
    await life.start()
    assert life.loaded.how == "empty"
    await life.run(12)
    judge(broker)


@pytest.mark.parametrize("change", ["shorter", "empty", "anew", "anew and longer"])
async def test_another_source_than_the_checkpoint(change: str) -> None:
    """By its own memory as well as from the topic."""
    broker = await lived()
    mine = Life(broker, REGION, STANDIN, DEPLOYMENT, "mine")
    owned = await mine.start()
    await mine.run(12, 72, last_save=False)
    log = broker.topics[DEPLOYMENT.readings, 0]
    other = [record if record[0] else (None, to_json(Tick(tick_ms=7 * place, writer="other"))) for place, record in enumerate(LOG)]
    log[:] = {"shorter": LOG[:50], "empty": [], "anew": other[:60], "anew and longer": [*other, *other]}[change]
    for kept in (owned, None):
        with pytest.raises(StateError, match="not the log") as stopped:
            await Life(broker, REGION, STANDIN, DEPLOYMENT, "mine").start(kept)
        assert code_of(stopped.value) is ExitCode.LOG_OTHER


async def test_a_generation_beyond_the_commit_is_not_the_groups() -> None:
    """Written, and killed before the commit: right, but newer than what the group knows. The log is done again up to there."""
    broker = await lived()
    committed = broker.commits[0]
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "w1").run(12, 84)
    broker.commits[0] = committed
    life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w2")
    await life.start()
    assert life.loaded.owned.beats.next == committed[0] and life.loaded.how == "committed"
    await life.run(12)
    judge(broker)


async def test_an_unknown_version_ends_the_worker_with_its_code() -> None:
    """By its real state, on the way that a worker takes."""
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent / "data" / "checkpoints"))
    import make

    from warning.stream.decisions import PIPELINE

    book = Book()
    for offset, (key, value) in enumerate(make.checkpoint(2)):
        book.take(offset, key, value)
    found = book.verified(make.NEXT)
    assert found is not None
    words, arrays = unpack(*found)
    who = {name: getattr(found[0], name) for name in ("next", "writer", "config", "code", "tick")}
    frozen = Frozen.copied({**words, "version": 7}, arrays, **who)
    pieces = [(key_of("golden", make.NEXT, number), chunk) for number, chunk in enumerate(frozen.chunks())]
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(make.log())
    broker.topics[DEPLOYMENT.checkpoints, 0] = [*pieces, (key_of("golden", make.NEXT, "head"), to_json(frozen.sealed()))]
    with pytest.raises(StateError, match="is of version 7, this code reads") as stopped:
        await Life(broker, make.region(), PIPELINE, DEPLOYMENT, "w").start()
    assert code_of(stopped.value) is ExitCode.CHECKPOINT_VERSION
