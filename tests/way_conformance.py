"""One suite that every way in passes: what is acknowledged is in Kafka, what is refused is kept and told, nothing else is anywhere.

How a way in joins, in its own test file::

    from way_conformance import Answer, At, CannotSay, Message, Way, WayConformance

    class MyWay(Way):
        @asynccontextmanager
        async def serve(self, at: At) -> AsyncIterator[dict[str, Any]]:
            # the server half, as wiring does it, on ``at.gateway``; yields where it is (JSON: ports, names)
        async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
            # the sender half: writes ``message`` in the sender's format and says what the sender came to know

    class TestMyWay(WayConformance):
        way = MyWay()

- The truth is what stands in ``readings`` and ``readings.rejected`` of a real (embedded) broker. The region is ``ingest_house.two_basins``:
  gauges A, B, C (stage, m), barrage D (inflow, cusec). ``prepare(folder)`` writes files of the way's own into the region's folder.
- ``open``/``close``: real servers of the way that live through all cases (Mosquitto, an agency's web server), kept by the test's process.
- ``Answer.again``: nothing was acknowledged (no answer, 503, no PUBACK, a watermark that has not moved): the sender sends it again.
  ``Answer.accepted``: the sender was told that it is taken, False: that it is not, None: this way's acknowledgement does not say.
- A message that the format cannot express: raise ``CannotSay("why")``; the case is skipped by that name. A word of one's own for a
  refusal (an unknown device for an unknown station): ``reasons = {"station_unknown": "device_unknown"}``.
- For kill -9 the server half runs in a process of its own (``way_process.py``), which imports your test file and calls your class
  without arguments: it must not need anything but ``open``'s result, which ``where_outside`` hands over as JSON. ``again=True`` in ``send``
  says that the message was sent before (MQTT's broker redelivers by itself: then only wait for it).
"""

from __future__ import annotations

import abc
import asyncio
import base64
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio
import way_process
from ingest_house import deployment, records, two_basins, wall_ms

from warning import config
from warning.deployment import Deployment
from warning.facts import Fact
from warning.ingest.gateway import Gateway
from warning.ingest.keys import KeyStore
from warning.ingest.log import KafkaLog
from warning.model import Cause, Reading, Rejected
from warning.region import Region
from warning.stream.broker import EmbeddedBroker
from warning.stream.topics import ensure_topics

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
WITHIN_S = 1.0  # what the log waits for a broker that hangs
BROKEN = b'\xff\xfe{"station": "A", '


class CannotSay(Exception):
    """The way's format has no words for this message: why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender knows afterwards. ``reason``: the bounded word of the refusal, where the way tells one."""

    accepted: bool | None
    reason: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One reading in words of no format. ``raw`` instead of it: bytes as they are. ``bad_key``: by one who may not send."""

    station: str = "A"
    parameter: str = "stage"
    at_ms: int = 0
    value: float | None = 1.5
    unit: str = "m"
    datum: str = "gauge_zero"
    raw: bytes | None = None
    bad_key: bool = False


@dataclass(slots=True)
class At:
    """What a way in is built on: here in the test's process, or in one of its own that can be killed."""

    region: Region
    deployment: Deployment
    gateway: Gateway
    key: str  # of provider "agency", for all stations
    outside: dict[str, Any] = field(default_factory=dict)  # what ``Way.where_outside`` said
    clock: Callable[[], int] = wall_ms
    facts: list[Fact] = field(default_factory=list)

    @property
    def listen(self) -> Callable[[Fact], None]:
        return self.facts.append


class Way(abc.ABC):
    """One way in; see the top of this file."""

    reasons: ClassVar[dict[str, str]] = {}  # our word -> this way's
    tells = True  # a sender hears why it was refused
    most_bytes = 2 << 20  # a message of more is too big for it

    def prepare(self, folder: Path) -> None:
        """Files of its own into the region's folder, before the region is read."""
        return

    async def open(self, folder: Path) -> None:
        """Real servers outside of our processes. ``folder``: a place for their files."""
        return

    async def close(self) -> None:
        return

    def where_outside(self) -> dict[str, Any]:
        """How the server half finds them; JSON."""
        return {}

    @abc.abstractmethod
    def serve(self, at: At) -> AbstractAsyncContextManager[dict[str, Any]]:
        """The server half while the block runs; yields what ``send`` needs to find it."""

    @abc.abstractmethod
    async def send(self, where: dict[str, Any], message: Message, *, again: bool = False) -> Answer:
        """The sender half. Never raises for what the server does: that is ``Answer.again``."""


@dataclass(slots=True)
class House:
    """One broker, one region, one running server half; ``since`` tells what a case brought into the topics."""

    way: Way
    broker: EmbeddedBroker
    at: At
    where: dict[str, Any] = field(default_factory=dict)
    _serving: AsyncExitStack = field(default_factory=AsyncExitStack)
    _minute: int = 0
    _seen: tuple[int, int, int] = (0, 0, 0)

    async def serve(self) -> None:
        self.where = await self._serving.enter_async_context(self.way.serve(self.at))

    async def unserve(self) -> None:
        await self._serving.aclose()

    def message(self, **changes: Any) -> Message:
        """A good one, at a time of its own, a few hours ago."""
        self._minute += 1
        at_ms = wall_ms() // MINUTE_MS * MINUTE_MS - 3 * 60 * MINUTE_MS + self._minute * MINUTE_MS
        return replace(Message(at_ms=at_ms), **changes)

    async def send(self, message: Message, *, again: bool = False, where: dict[str, Any] | None = None) -> Answer:
        try:
            return await self.way.send(self.where if where is None else where, message, again=again)
        except CannotSay as why:
            pytest.skip(f"{type(self.way).__name__} cannot say it: {why}")

    async def taken(self, message: Message) -> Answer:
        """Sent, and acknowledged as taken."""
        answer = await self.send(message)
        assert not answer.again and answer.accepted is not False, answer
        return answer

    async def refused(self, message: Message, reason: str) -> None:
        """Sent, refused for this reason, told so, and kept with it; not a reading of it is in the log."""
        reason = self.way.reasons.get(reason, reason)
        answer = await self.send(message)
        assert not answer.again and answer.accepted is not True, answer
        readings, kept = await self.since()
        assert readings == []
        assert [one.reason for one in kept] == [reason]
        assert kept[0].record and kept[0].detail and kept[0].provider
        if self.way.tells:
            assert answer.reason == reason

    async def mark(self) -> None:
        """From here on ``since`` counts."""
        first, second, refused = await self._all()
        self._seen = len(first), len(second), len(refused)

    async def since(self) -> tuple[list[Reading], list[Rejected]]:
        """(readings of both partitions, what was refused) since ``mark``."""
        first, second, refused = await self._all()
        return [*first[self._seen[0] :], *second[self._seen[1] :]], refused[self._seen[2] :]

    async def _all(self) -> tuple[list[Reading], list[Reading], list[Rejected]]:
        place = self.at.deployment
        readings = [await self._decoded(place.readings, partition, Reading) for partition in (0, 1)]
        return readings[0], readings[1], await self._decoded(place.rejected, 0, Rejected)

    async def _decoded(self, topic: str, partition: int, kind: type[Any]) -> list[Any]:
        found = await records(self.broker.bootstrap, topic, partition)
        return [msgspec.json.decode(value, type=kind) for _, value in found]


@asynccontextmanager
async def house_of(way: Way, folder: Path) -> AsyncIterator[House]:
    (folder / "outside").mkdir()
    region_folder = two_basins(folder).folder
    way.prepare(Path(region_folder))
    region = config.load(region_folder)
    async with AsyncExitStack() as stack:
        await way.open(folder / "outside")
        stack.push_async_callback(way.close)
        broker = stack.enter_context(EmbeddedBroker())
        place = deployment(broker.bootstrap, folder)
        await ensure_topics(place, region.partitions)
        keys = KeyStore(place.database, wall_ms)
        _, key = await keys.create("agency")
        await keys.close()
        log = KafkaLog(broker.bootstrap, Gateway.topics(region, place), idempotent=False, within_s=WITHIN_S)
        await log.start()
        stack.push_async_callback(log.stop)
        assert await log.until_up(20), log.why
        house = House(way, broker, At(region, place, Gateway(region, place, log, wall_ms), key, way.where_outside()))
        await house.serve()
        stack.push_async_callback(house.unserve)
        yield house


def identities(readings: list[Reading]) -> set[tuple[str, str, int]]:
    return {(reading.station, reading.parameter.value, reading.time_ms) for reading in readings}


@pytest.mark.asyncio(loop_scope="class")
class WayConformance:
    """The thirteen cases. A subclass sets ``way`` and is named Test...; one broker and one server half serve all of its cases."""

    way: ClassVar[Way]

    @pytest_asyncio.fixture(loop_scope="class")
    async def house(self, way_house: House) -> House:
        await way_house.mark()
        return way_house

    async def test_good(self, house: House) -> None:
        message = house.message(value=2.5)
        await house.taken(message)
        [reading], refused = await house.since()
        assert (reading.station, reading.parameter.value, reading.time_ms, reading.value) == ("A", "stage", message.at_ms, 2.5)
        assert reading.provider and abs(reading.received_ms - wall_ms()) < MINUTE_MS
        assert refused == []

    async def test_the_same_again_is_taken_and_harmless(self, house: House) -> None:
        message = house.message()
        await house.taken(message)
        await house.send(message, again=True)
        readings, refused = await house.since()
        assert len(identities(readings)) == 1 and {reading.value for reading in readings} == {1.5}
        assert refused == []

    async def test_a_revision_is_another_value_for_the_same_time(self, house: House) -> None:
        message = house.message(value=1.5)
        await house.taken(message)
        await house.taken(replace(message, value=1.75))
        readings, refused = await house.since()
        assert len(identities(readings)) == 1 and [reading.value for reading in readings] == [1.5, 1.75]
        assert refused == []

    async def test_late_is_taken_at_its_own_time(self, house: House) -> None:
        message = house.message()
        message = replace(message, at_ms=message.at_ms - 3 * DAY_MS)
        await house.taken(message)
        readings, _ = await house.since()
        assert [reading.time_ms for reading in readings] == [message.at_ms]

    async def test_the_future_is_refused(self, house: House) -> None:
        await house.refused(house.message(at_ms=(wall_ms() + 10 * MINUTE_MS) // 1000 * 1000), "time_future")

    async def test_a_sentinel_is_a_missing_value(self, house: House) -> None:
        await house.taken(house.message(value=-9999.0))
        [reading], refused = await house.since()
        assert (reading.value, reading.cause, refused) == (None, Cause.SENTINEL, [])

    async def test_a_wrong_unit_is_refused(self, house: House) -> None:
        await house.refused(house.message(unit="cusec"), "unit_mismatch")

    async def test_an_unknown_station_is_refused(self, house: House) -> None:
        await house.refused(house.message(station="NOWHERE"), "station_unknown")

    async def test_a_bad_key_gets_nothing_in(self, house: House) -> None:
        answer = await house.send(house.message(bad_key=True))
        assert answer.accepted is not True
        readings, refused = await house.since()
        assert readings == []
        assert all(one.reason == self.way.reasons.get("unauthenticated", "unauthenticated") for one in refused)

    async def test_too_big_is_refused_and_the_next_is_taken(self, house: House) -> None:
        answer = await house.send(house.message(raw=b'{"station": "' + b"A" * self.way.most_bytes + b'"}'))
        assert answer.accepted is not True
        readings, refused = await house.since()
        assert readings == []
        assert refused or answer.reason, "neither kept nor told"
        await house.taken(house.message())

    async def test_broken_bytes_are_kept_as_they_came(self, house: House) -> None:
        answer = await house.send(house.message(raw=BROKEN))
        assert answer.accepted is not True and not answer.again
        readings, [kept] = await house.since()
        assert readings == []
        assert BROKEN in (base64.b64decode(kept.record) if kept.encoding == "base64" else kept.record.encode())
        if self.way.tells:
            assert answer.reason == kept.reason
        await house.taken(house.message())

    async def test_while_the_broker_is_away_nothing_is_acknowledged(self, house: House) -> None:
        """A stopped process keeps its connections: only time tells. Then it goes on, and what is sent again is taken."""
        message = house.message()
        assert house.broker.pid is not None
        os.kill(house.broker.pid, signal.SIGSTOP)
        os.waitpid(house.broker.pid, os.WUNTRACED)  # until the last of its threads stands still
        try:
            answer = await house.send(message)
        finally:
            os.kill(house.broker.pid, signal.SIGCONT)
        assert answer.again and answer.accepted is not True
        await self._until_taken(house, message)
        readings, refused = await house.since()
        assert identities(readings) == {("A", "stage", message.at_ms)} and refused == []

    @pytest.mark.parametrize("moment", way_process.MOMENTS)
    async def test_kill_9_between_receive_and_acknowledge(self, house: House, tmp_path: Path, moment: str) -> None:
        """Before the log has it, and after: no acknowledgement either way, and it is there once it was sent again."""
        message = house.message()
        await house.unserve()
        try:
            async with way_process.running(self.way, house.at, tmp_path, moment) as (process, where):
                answer = await house.send(message, where=where)
                assert answer.again and answer.accepted is not True
                assert await way_process.ended(process) == -signal.SIGKILL
            readings, _ = await house.since()
            assert len(readings) == (moment == "after")
            async with way_process.running(self.way, house.at, tmp_path, "") as (_, where):
                await self._until_taken(house, message, where)
        finally:
            await house.serve()
        readings, refused = await house.since()
        assert identities(readings) == {("A", "stage", message.at_ms)} and {reading.value for reading in readings} == {1.5}
        assert refused == []

    @staticmethod
    async def _until_taken(house: House, message: Message, where: dict[str, Any] | None = None) -> None:
        end = time.monotonic() + 120
        while (answer := await house.send(message, again=True, where=where)).again:
            assert time.monotonic() < end, "it is not taken again"
            await asyncio.sleep(0.2)
        assert answer.accepted is not False, answer
