"""Checkpoints as bytes, how one is chosen, and what is refused."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_fake import FakeBroker, Life, code_of
from stream_regions import region
from stream_standin import STANDIN
from test_stream_kill import ALERTS, DEPLOYMENT, LOG, REGION, judge

from warning.errors import ExitCode, StateError
from warning.facts import CheckpointRefused, CheckpointWritten, StateLoaded
from warning.model import Switch, Tick, to_json
from warning.stream.state import CHUNK, Book, Frozen, key_of, unpack

FIELDS = {"next": 7, "writer": "w", "config": "c", "code": "k", "tick": "1:w"}


def through(frozen: Frozen, book: Book | None = None) -> Book:
    book = book or Book()
    chunks = list(frozen.chunks())
    head = frozen.sealed()
    assert len(chunks) == head.chunks and all(len(chunk) == CHUNK for chunk in chunks[:-1])
    for number, chunk in enumerate(chunks):
        book.take(number, key_of(head.writer, head.next, number), chunk)
    book.take(len(chunks), key_of(head.writer, head.next, "head"), to_json(head))
    return book


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["<i8", "<f8", "|b1", "<u4", "<f4", "|i1", "<M8[ms]"]),
            st.lists(st.integers(0, 400), min_size=1, max_size=3).map(tuple),
        ),
        max_size=6,
    )
)
def test_arrays_of_every_kind_come_back(kinds: list[tuple[str, tuple[int, ...]]]) -> None:
    kinds = [(kind, shape) for kind, shape in kinds if np.prod(shape, dtype=np.int64) < 400_000]
    chance = np.random.default_rng(1)
    arrays = {f"a{number}": chance.integers(0, 2, shape).astype(np.dtype(kind)) for number, (kind, shape) in enumerate(kinds)}
    found = through(Frozen.copied({"now": 5, "words": ["ا"]}, arrays, **FIELDS)).verified(7)
    assert found is not None
    head, back = unpack(*found)
    assert head == {"now": 5, "words": ["ا"]} and list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype and np.array_equal(back[name], array)


def test_records_are_written_as_records() -> None:
    kind = np.dtype([("t", "<u4"), ("v", "<f4")])
    arrays = {"a": np.arange(500_000), "b": np.arange(7, dtype=np.int8)[::2], "c": np.ones((300, 700)), "r": np.zeros((3, 5), kind)}
    arrays["r"]["v"][1, 2] = 2.5
    frozen = Frozen.copied({}, arrays, **FIELDS)
    with pytest.raises(ValueError, match="have not been read"):
        frozen.sealed()
    arrays["a"][:] = 3  # the copy does not follow
    back = unpack(*through(frozen).verified(7))[1]  # type: ignore[misc]
    assert np.array_equal(back["a"], np.arange(500_000)) and back["b"].tolist() == [0, 2, 4, 6] and back["c"].all()
    assert back["r"].dtype == kind and back["r"]["v"][1, 2] == 2.5 and back["r"].shape == (3, 5)


def test_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="names"):
        Frozen.copied({}, {"names": np.array(["a", None], object)}, **FIELDS)


@pytest.mark.parametrize("damage", ["flip", "missing chunk", "no head", "head flipped", "head garbage"])
def test_a_damaged_generation_is_not_verified(damage: str) -> None:
    frozen = Frozen.copied({}, {"a": np.arange(300_000)}, **FIELDS)
    book = through(frozen)
    parts = book._parts[7, "w"]
    if damage == "flip":
        parts["1"] = parts["1"][:99] + bytes([parts["1"][99] ^ 1]) + parts["1"][100:]
    elif damage == "missing chunk":
        book.take(9, key_of("w", 7, 0), None)
    elif damage == "no head":
        book.take(9, key_of("w", 7, "head"), None)
    elif damage == "head flipped":
        parts["head"] = parts["head"].replace(b'"tick":"1:w"', b'"tick":"2:w"')
    else:
        parts["head"] = b"{"
    assert book.verified(7) is None


def test_other_records_of_the_topic_are_ignored() -> None:
    book = Book()
    for key in (b"clock", None, b"a|b|c", b"\xff|1|0x", b"|||"):
        book.take(0, key, b"x")
    assert book.numbers() == [] and [each.next for each in book.generations()] in ([], [1])


# --- recovery, with a whole worker life before it


async def lived(until: int | None = None) -> FakeBroker:
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w0")
    await life.run(12, until)
    assert any(isinstance(fact, CheckpointWritten) for fact in life.facts)
    return broker


def kept_generations(broker: FakeBroker) -> Book:
    book = Book()
    for offset, (key, value) in enumerate(broker.topics[DEPLOYMENT.checkpoints, 0]):
        book.take(offset, key, value)
    return book


async def start(broker: FakeBroker, **changes: object) -> Life:
    life = Life(broker, changes.get("region", REGION), STANDIN, DEPLOYMENT, "w1")  # type: ignore[arg-type]
    await life.start()
    return life


def how(life: Life) -> str:
    return next(fact.how for fact in life.facts if isinstance(fact, StateLoaded))


def destroy(broker: FakeBroker, number: int) -> None:
    for each in kept_generations(broker).generations():
        if each.next == number:
            broker.topics[DEPLOYMENT.checkpoints, 0].append((key_of(each.writer, number, "head"), None))


async def test_three_generations_stay() -> None:
    broker = await lived()
    assert len(kept_generations(broker).generations()) == 3
    assert broker.commits[0][0] == max(kept_generations(broker).numbers()) == len(LOG)


async def test_the_committed_generation() -> None:
    broker = await lived(60)
    life = await start(broker)
    assert how(life) == "committed"
    await life.run(5)
    judge(broker)


async def test_the_embedded_broker_drops_the_notes() -> None:
    broker = await lived(60)
    broker.keep_notes = False
    assert how(await start(broker)) == "committed"


async def test_an_older_one_if_the_committed_is_damaged() -> None:
    broker = await lived(60)
    destroy(broker, broker.commits[0][0])
    life = await start(broker)
    assert how(life) == "older"
    await life.run(5)
    judge(broker)


async def test_the_newest_if_the_group_has_forgotten() -> None:
    broker = await lived(60)
    broker.commits.clear()
    assert how(await start(broker)) == "newest"


async def test_no_generation_left_ends() -> None:
    broker = await lived(60)
    for number in kept_generations(broker).numbers():
        destroy(broker, number)
    with pytest.raises(StateError, match="no verified generation") as stopped:
        await start(broker)
    assert code_of(stopped.value) is ExitCode.CHECKPOINT_MISSING


async def test_another_generation_than_was_committed_ends() -> None:
    broker = await lived(60)
    offset, note = broker.commits[0]
    broker.commits[0] = (offset, note[:-4] + "beef")
    with pytest.raises(StateError, match="not the one that was committed") as stopped:
        await start(broker)
    assert code_of(stopped.value) is ExitCode.CHECKPOINT_DIGEST


async def test_a_log_that_lost_the_next_record_ends() -> None:
    broker = await lived(60)
    broker.starts[DEPLOYMENT.readings, 0] = broker.commits[0][0] + 1
    with pytest.raises(StateError, match="1 records are lost") as stopped:
        await start(broker)
    assert code_of(stopped.value) is ExitCode.LOG_TRUNCATED


async def test_a_log_that_begins_at_the_next_record_is_right() -> None:
    broker = await lived(60)
    broker.starts[DEPLOYMENT.readings, 0] = broker.commits[0][0]
    assert how(await start(broker)) == "committed"


async def test_no_state_and_no_beginning_ends() -> None:
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    assert how(await start(broker)) == "empty"
    broker.starts[DEPLOYMENT.readings, 0] = 1
    with pytest.raises(StateError, match="neither a commit nor a checkpoint") as stopped:
        await start(broker)
    assert code_of(stopped.value) is ExitCode.LOG_TRUNCATED


@pytest.mark.parametrize("change", ["shorter", "other tick", "no tick"])
async def test_another_log_ends(change: str) -> None:
    broker = await lived(60)
    at = broker.commits[0][0] - 1
    log = broker.topics[DEPLOYMENT.readings, 0]
    if change == "shorter":
        del log[at:]
    elif change == "other tick":
        log[at] = (None, to_json(Tick(tick_ms=5, writer="else")))
    else:
        log[at] = LOG[0]
    with pytest.raises(StateError, match="not the log") as stopped:
        await start(broker)
    assert code_of(stopped.value) is ExitCode.LOG_OTHER


async def test_other_configuration_takes_over_with_a_switch() -> None:
    broker = await lived()
    assert (await start(broker)).loaded.switch is None
    life = await start(broker, region=region(stations=4, digest="d2"))
    assert life.loaded.switch == Switch(switch_ms=0, writer="w1", config="d2", code="standin-1", next=len(LOG))
    assert broker.topics[DEPLOYMENT.readings, 0][len(LOG) :] == [(None, to_json(life.loaded.switch))]


async def test_own_memory_comes_first_unless_another_went_further() -> None:
    broker = await lived(40)
    mine = Life(broker, REGION, STANDIN, DEPLOYMENT, "mine")
    owned = await mine.start()
    await mine.run(12, 60)
    again = Life(broker, REGION, STANDIN, DEPLOYMENT, "mine")
    assert await again.start(owned) is owned and how(again) == "memory"
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "other").run(12, 90)
    later = Life(broker, REGION, STANDIN, DEPLOYMENT, "mine")
    assert await later.start(owned) is not owned and how(later) == "committed"
    await later.run(3)
    judge(broker)


async def test_an_open_beat_is_read_again_after_memory() -> None:
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    mine = Life(broker, REGION, STANDIN, DEPLOYMENT, "mine")
    await mine.run(5, 29)  # in the middle of a beat
    owned = mine.owned
    again = Life(broker, REGION, STANDIN, DEPLOYMENT, "mine")
    await again.start(owned)
    assert owned is not None and owned.beats.position == owned.beats.next == 24
    await again.run(5)
    judge(broker)


async def test_a_beat_cut_off_is_never_saved() -> None:
    broker = await lived(40)
    life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w1")
    owned = await life.start()
    owned.whole = False
    before = dict(broker.commits)
    assert await owned.last_save(1.0) == "cut off in a beat"
    assert broker.commits == before
    assert await Life(broker, REGION, STANDIN, DEPLOYMENT, "w2").start(owned) is not owned


async def test_a_refused_commit_is_told_and_goes_on() -> None:
    broker = await lived(40)
    life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w1")
    broker.refuse = True
    await life.run(12, 72)
    assert any(isinstance(fact, CheckpointRefused) for fact in life.facts) and not life.errors
    broker.refuse = False
    await life.run(12)
    judge(broker)


async def test_a_save_that_takes_too_long_is_left_undone() -> None:
    broker = await lived(40)
    life = Life(broker, REGION, STANDIN, DEPLOYMENT, "w1")
    await life.run(12, 72, last_save=False)
    owned = life.owned
    assert owned is not None
    if owned._task is not None:  # the save that is under way
        await owned._task
    before = broker.commits[0][0]

    async def slow(*_: object) -> str:
        await asyncio.sleep(60)
        return ""

    broker.commit = slow  # type: ignore[method-assign, assignment]
    await life.run(12, 96, last_save=False)
    assert "did not fit" in await owned.last_save(0.2)
    assert broker.commits[0][0] == before
    del broker.commit  # type: ignore[method-assign]
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "w2").run(12)
    judge(broker)


async def test_what_killed_workers_left_unfinished_is_cleared_away() -> None:
    broker = FakeBroker()
    broker.topics[DEPLOYMENT.readings, 0] = list(LOG)
    broker.topics[DEPLOYMENT.checkpoints, 0] = [(key_of("dead", 12, 0), b"x"), (key_of("dead", 12, 1), b"y")]
    await Life(broker, REGION, STANDIN, DEPLOYMENT, "w1").run(12)
    assert all(each.writer == "w1" for each in kept_generations(broker).generations())
    judge(broker)
    assert len(ALERTS) > 10
