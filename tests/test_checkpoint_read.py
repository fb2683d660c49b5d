"""Which records of ``checkpoints`` a recovery reads: the committed generation alone, and what can be wrong with them."""

from __future__ import annotations

import json
import re

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_fake import FakeBroker, Life
from stream_standin import STANDIN
from test_checkpoint import FIELDS, how, kept_generations, lived, start
from test_stream_kill import DEPLOYMENT, REGION, judge

from warning.errors import Unavailable
from warning.facts import CheckpointWritten
from warning.stream.generations import Filling
from warning.stream.ports import Each
from warning.stream.state import Frozen, key_of, place_of


class Told(FakeBroker):
    """Tells which records of ``checkpoints`` were asked for."""

    def __init__(self, broker: FakeBroker) -> None:
        super().__init__()
        self.topics, self.commits, self.asked, self.away = broker.topics, broker.commits, list[tuple[int | None, int | None]](), 0

    async def read(self, topic: str, partition: int, each: Each, first: int | None = None, until: int | None = None) -> None:
        if topic == DEPLOYMENT.checkpoints:
            self.asked.append((first, until))
            if first is None and until is not None and self.away:
                self.away -= 1
                raise Unavailable("the brokers are away")
        await super().read(topic, partition, each, first, until)


def places(broker: FakeBroker) -> tuple[int, int]:
    place = place_of(broker.commits[0][1])
    assert place is not None
    return place[:2]


async def test_only_the_committed_generation_is_read() -> None:
    broker = Told(await lived(60))
    first, last = places(broker)
    head = broker.topics[DEPLOYMENT.checkpoints, 0][last]
    assert first > 0 and (head[0] or b"").endswith(b"|head") and (head[0] or b"").split(b"|")[1] == b"%d" % broker.commits[0][0]
    life = await start(broker)
    assert how(life) == "committed" and broker.asked == [(last, last + 1), (first, None)]


@pytest.mark.parametrize("away", [0, 1, 2])
async def test_what_was_not_read_is_read_before_it_is_buried(away: int) -> None:
    """The older generations of the worker before stand before the place of the commit; so does what a killed one left."""
    broker = Told(await lived(60))
    topic = broker.topics[DEPLOYMENT.checkpoints, 0]
    topic[:0] = [(key_of("dead", 12, 0), b"x"), (key_of("dead", 12, 1), b"y")]
    offset, note = broker.commits[0]
    first, last = (place + 2 for place in places(broker))
    broker.commits[0] = (offset, re.sub(r":\d+-\d+:", f":{first}-{last}:", note))
    broker.away = away
    before = kept_generations(broker).generations()
    assert len(before) == 4
    life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w1")
    await life.run(12)
    written = sum(isinstance(fact, CheckpointWritten) for fact in life.facts)
    assert broker.asked.count((None, first)) == min(away + 1, written) and not life.errors
    if written > away:
        assert len(kept_generations(broker).generations()) == 3
    judge(broker)


@pytest.mark.parametrize("note", ["1-2", "0-100000", "5-3", "nonsense"])
async def test_a_note_that_names_another_place(note: str) -> None:
    broker = await lived(60)
    offset, words = broker.commits[0]
    broker.commits[0] = (offset, re.sub(r":\d+-\d+:", f":{note}:", words))
    assert how(await start(broker)) == "committed"


async def test_notes_of_older_versions_do_not_say_where() -> None:
    broker = await lived(60)
    offset, words = broker.commits[0]
    broker.commits[0] = (offset, re.sub(r":\d+-\d+:", ":", words))
    assert how(await start(broker)) == "committed"


@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize("piece", ["first", "head"])
async def test_damage_where_it_lies(placed: bool, piece: str) -> None:
    """Not written over: other bytes in the same record."""
    broker = await lived(60)
    broker.keep_notes = placed
    first, last = places(broker)
    topic = broker.topics[DEPLOYMENT.checkpoints, 0]
    at = first if piece == "first" else last
    key, value = topic[at]
    assert value is not None
    topic[at] = (key, value[:9] + bytes([value[9] ^ 1]) + value[10:])
    life = await start(broker)
    assert how(life) == "older"
    await life.run(5)
    judge(broker)


@pytest.mark.parametrize("shape", [(1 << 60,), (-1,), (1 << 31, 1 << 31), (1 << 200,)])
async def test_a_head_that_wants_the_world_is_damaged(shape: tuple[int, ...]) -> None:
    broker = await lived(60)
    _, last = places(broker)
    topic = broker.topics[DEPLOYMENT.checkpoints, 0]
    key, value = topic[last]
    head = msgspec.json.decode(value or b"")
    head["arrays"][0][2] = list(shape)
    topic[last] = (key, json.dumps(head).encode())
    assert how(await start(broker)) == "older"


@settings(deadline=None)
@given(st.permutations(range(9)), st.lists(st.integers(0, 8), max_size=5))
def test_chunks_may_come_in_any_order_and_twice(order: list[int], again: list[int]) -> None:
    frozen = Frozen.copied({"now": 1}, {"a": np.arange(1_000_000), "b": np.zeros((0, 3))}, **FIELDS)
    chunks = list(frozen.chunks())
    assert len(chunks) == 9
    filling = Filling(frozen.sealed())
    for number in order[:8]:
        filling.feed(number, chunks[number])
    assert not filling.whole and filling.read() is None
    filling = Filling(frozen.sealed())
    for number in [*order[:5], *again, *order[5:]]:
        filling.feed(number, chunks[number])
    read = filling.read()
    assert read is not None and read.words == {"now": 1} and np.array_equal(read.arrays["a"], np.arange(1_000_000))
    assert read.arrays["b"].shape == (0, 3)
