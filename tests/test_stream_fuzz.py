"""A short, fixed selection of ``python -m tests.fuzz``, and what a flood of rejects may cost in work, not in seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from fuzz import course, seeds
from fuzz.command import main
from fuzz.flood import TO, batched
from fuzz.inside import PER_BEAT, Chunk, Found
from fuzz.judged import NOW_MS, PLACE, Items
from fuzz.mutate import Mutator

from warning.ingest.fetched import MOST_RECORDS, Came, Portion
from warning.ingest.gateway import Gateway
from warning.ingest.inbox import Inbox
from warning.ingest.log import Place, Record
from warning.stream.beats import Beats
from warning.stream.codec import Decoder
from warning.stream.decisions import PIPELINE
from warning.stream.frames import Frames
from warning.stream.owned import outputs_of


@pytest.mark.parametrize("seed", [1, 2])
def test_no_mutated_record_harms_anything(seed: int) -> None:
    """Also what is decided for the good gauges: byte for byte the same without the mutated records."""
    tally = Chunk(seed, 0, 4 * 5 * PER_BEAT // 2).run()
    assert set(tally.rejected) == {"bad_json", "bad_field", "empty", "missing_key", "unknown_series"}
    assert tally.readings > 1000 and {"none", "future", "stale", "duplicate", "revision", "sentinel", "missing"} <= set(tally.flags)


def test_the_good_gauges_have_something_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.inside.PER_BEAT", 20)
    assert Chunk(1, 0, 1_000).run().alerts > 10


def test_no_mutated_item_harms_the_inbox() -> None:
    tally = Items(1).chunk(0, 10_000)
    assert tally["taken"] > 1000 and len(tally["rejected"]) >= 12 and tally["taken"] + sum(tally["rejected"].values()) == tally["records"]


def test_the_fuzz_finds_what_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = Decoder._one_by_one

    def forgetful(self: Decoder, values: Sequence[bytes | None], offsets: Sequence[int]) -> object:
        readings, rejected, taken = one_by_one(self, values, offsets)
        return readings, [each for each in rejected if "\\ud800" not in each.record], taken

    monkeypatch.setattr(Decoder, "_one_by_one", forgetful)
    with pytest.raises(Found, match="rejected from"):
        Chunk(1, 0, 10_000).run()


def test_the_same_seed_gives_the_same_records() -> None:
    texts = seeds.readings(course.stations(course.region(), course.MUTATED))
    assert Mutator(texts, 5).batch(3000) == Mutator(texts, 5).batch(3000) != Mutator(texts, 6).batch(3000)


def test_a_stopped_run_goes_on_where_it_was(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("fuzz.command.CHUNK", 2000)
    results = tmp_path / "results.jsonl"
    arguments = ["--records", "0", "--inbox", "4000", "--results", str(results)]
    assert main(arguments) == 0
    lines = results.read_text().splitlines()
    results.write_text(lines[0] + "\n")
    assert main(arguments) == 0
    assert [line.split('"cpu_s"')[0] for line in results.read_text().splitlines()] == [line.split('"cpu_s"')[0] for line in lines]


# --- what a flood may cost


def test_a_flood_of_rejects_is_written_in_whole_batches() -> None:
    plan = PIPELINE.plan(course.region(), 0)
    stream = Beats(0, PIPELINE, plan, PIPELINE.empty(plan), 0)
    count = 10_000
    flood = [b"\x01 no reading %d" % number for number in range(count)]
    keys: list[bytes | None] = [b"k"] * count
    [closed] = stream.take([*keys, None], [*flood, course.tick(1)[1]], 0)
    [(topic, partition, records)] = [each for each in outputs_of(TO, closed) if each[0] == TO.rejected]
    assert (topic, partition, len(records)) == (TO.rejected, 0, count)
    assert batched(records) <= 4  # of 1 MiB


def test_good_readings_beside_a_reject_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One broken record a fetch must not send the others through the slow reader, not even right after the start."""
    decoder = Decoder(PIPELINE.plan(course.region(), 0))
    names = course.stations(course.region(), course.GOOD)
    good = [value for minute in range(50) for _, value in course.good(names, minute)]
    keys: list[bytes | None] = [b"good"] * 1001
    decoder.run(keys, Frames.of([*good[:500], b"{", *good[500:]]), 0)
    slow: list[int] = []
    one_by_one = Decoder._one_by_one

    def counted(self: Decoder, values: Sequence[bytes | None], offsets: Sequence[int]) -> object:
        slow.append(len(values))
        return one_by_one(self, values, offsets)

    monkeypatch.setattr(Decoder, "_one_by_one", counted)
    [segment] = decoder.run(keys, Frames.of([*good[:500], b"{", *good[500:]]), 1001)
    assert len(segment.readings) == 1000 and [each.offset for each in segment.rejected] == [1501] and slow == [1]


async def test_a_portion_of_the_inbox_is_one_append_and_one_commit() -> None:
    calls: list[str] = []

    class Log:
        async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
            calls.append(f"append {sum(map(len, records.values()))} to {len(records)}")

        async def commit(self, offsets: object) -> None:
            calls.append("commit")

    log = Log()
    inbox = Inbox(PLACE, Gateway(course.region(), PLACE, log, lambda: NOW_MS))
    items = seeds.items(["G00000"])
    came = [Came(offset, None, b"{" if offset % 2 else items[0], "inbox") for offset in range(MOST_RECORDS)]
    await inbox._take(log, [Portion(0, came, MOST_RECORDS)], asyncio.Event())
    assert calls == [f"append {MOST_RECORDS} to 2", "commit"]
