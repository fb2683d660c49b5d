"""The reader of ``readings.inbox`` alone: what no broker here brings about."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, CorruptRecordException
from ingest_house import two_basins, wall_ms
from test_inbox import good, headed

from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.facts import Fact, InboxOwned, InboxTaken
from warning.ingest import fetched
from warning.ingest.fetched import Fetched, provider
from warning.ingest.gateway import Gateway
from warning.ingest.inbox import Inbox
from warning.ingest.log import Place, Record


class Awkward:
    """A gateway's log and a group's consumer that do as they are told."""

    def __init__(self, *answers: BaseException | None) -> None:
        self.answers, self.committed, self.appended = list(answers), 0, 0

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        self.appended += sum(map(len, records.values()))

    async def commit(self, offsets: object) -> None:
        self.committed += 1


class Expelled(Awkward):
    async def commit(self, offsets: object) -> None:
        raise CommitFailedError


def portion(*values: bytes) -> fetched.Portion:
    return fetched.Portion(0, [fetched.Came(offset, None, value, "inbox") for offset, value in enumerate(values)], len(values))


def inbox(tmp_path: Path, log: Any, facts: list[Fact]) -> Inbox:
    place = Deployment(prefix="t.", session_timeout_s=0.1)
    return Inbox(place, Gateway(two_basins(tmp_path), place, log, wall_ms), facts.append)


async def test_it_holds_a_portion_until_the_brokers_have_it(tmp_path: Path) -> None:
    log, facts = Awkward(Unavailable("away"), Unavailable("away"), None), list[Fact]()
    await inbox(tmp_path, log, facts)._take(log, [portion(good(), b"{")], asyncio.Event())
    assert (log.appended, log.committed) == (2, 1) and facts == [InboxTaken(0, 1, {"malformed": 1})]


async def test_a_portion_of_partitions_that_went_is_left_to_their_new_reader(tmp_path: Path) -> None:
    log, facts = Awkward(*[Unavailable("away")] * 50), list[Fact]()
    ours = inbox(tmp_path, log, facts)
    taking = asyncio.create_task(ours._take(log, [portion(good())], asyncio.Event()))
    await asyncio.sleep(0.05)
    await ours.on_partitions_revoked([TopicPartition("t.readings.inbox", 0)])
    await asyncio.wait_for(taking, 10)
    assert (log.appended, log.committed, facts) == (0, 0, [InboxOwned((), joined=False)])


async def test_a_zombie_whose_commit_is_refused_goes_on(tmp_path: Path) -> None:
    log, facts = Expelled(), list[Fact]()
    await inbox(tmp_path, log, facts)._take(log, [portion(good())], asyncio.Event())
    assert log.appended == 1 and facts == [InboxTaken(0, 1)]


async def test_a_bug_of_ours_costs_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, facts = Awkward(), list[Fact]()
    ours = inbox(tmp_path, log, facts)
    placed = Gateway.placed

    def raising(self: Gateway, text: bytes, sender: Any) -> Any:
        if b"2.5" in text:
            raise ZeroDivisionError("a bug")
        return placed(self, text, sender)

    monkeypatch.setattr(Gateway, "placed", raising)
    await ours._take(log, [portion(good(), good(value=2.5), good())], asyncio.Event())
    assert facts == [InboxTaken(0, 2, {"internal": 1})] and log.committed == 1


class Torn:
    """A consumer whose fetch holds a batch with a wrong checksum."""

    def __init__(self, raw: bytes) -> None:
        self._client = self.cluster = self
        self.raw, self.at = raw, 0
        self.topics = [("t", [(0, 0, 0, 0, 0, [], -1, raw)])]
        self.API_VERSION = 11

    async def getmany(self, *_: object, **__: object) -> None:
        raise CorruptRecordException("torn")

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("t", 0)}

    async def position(self, _: object) -> int:
        return self.at

    def seek(self, _: object, offset: int) -> None:
        self.at = offset

    def leader_for_partition(self, _: object) -> int:
        return 1

    async def send(self, *_: object) -> Torn:
        return self


async def test_a_batch_with_a_wrong_checksum_is_kept_whole_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    first, torn, last = bytearray(headed(2)), bytearray(headed(3)), bytearray(headed(1))
    for number, raw in ((0, first), (2, torn), (5, last)):
        raw[:8] = struct.pack(">q", number)
    torn[-1] ^= 1
    reading = Fetched(Torn(bytes(first + torn + last)), "t")
    [portion] = await reading.portions()
    assert [came.offset for came in portion.records] == [0, 1] and portion.next == 2
    assert await reading.portions() == []  # it may be the network's fault
    monkeypatch.setattr(fetched, "RETRY_S", 0.0)
    [portion] = await reading.portions()
    assert [(came.offset, bool(came.why)) for came in portion.records] == [(2, True), (5, False)] and portion.next == 6
    assert portion.records[0].value == bytes(torn) and "checksum" in portion.records[0].why and "records 2 to 4" in portion.records[0].why


def test_a_sender_says_who_he_is_and_is_not_believed() -> None:
    assert provider([("provider", b"wapda")]) == "inbox:wapda" == provider([(b"x", b"y"), (b"provider", b"wapda")])
    for value in (None, b"", b"\xff", b"a b", b"a" * 61, b"a\n"):
        assert provider([("provider", value)]) == "inbox"
