"""Files of grids into the log: waited for while they are written, rejected by name, done once, and never done before the log has them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from test_grids import RING, SHAPE, folder

from warning import config
from warning.deployment import Deployment
from warning.errors import Unavailable
from warning.ingest.gateway import Gateway
from warning.ingest.grid_feed import Feed, wanted
from warning.ingest.grid_journal import File, Journal
from warning.ingest.grids import Grids
from warning.ingest.log import Place, Record
from warning.model import Reading
from warning.rehearsal.imerg import half_hour

NOW_S = 1_756_728_000  # 1 September 2025, 12:00
CLOCK_MS = NOW_S * 1000


class MemoryLog:
    """The port ``Log``: what was appended. ``away``: so many appends fail first; the last of them may have been written all the same."""

    def __init__(self) -> None:
        self.records: list[tuple[Place, Record]] = []
        self.away = 0

    async def append(self, records: Mapping[Place, Sequence[Record]]) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("the broker is away: test", retry_after_s=0.05)
        self.records += [(place, record) for place, each in records.items() for record in each]

    @property
    def readings(self) -> list[tuple[str, int, float | None]]:
        found = [msgspec.json.decode(value, type=Reading) for (topic, _), (_, value) in self.records if topic.endswith("readings")]
        return [(one.station, one.time_ms // 1000 - NOW_S, one.value) for one in found]


class House:
    def __init__(self, tmp_path: Path) -> None:
        self.inbox = tmp_path / "inbox"
        self.inbox.mkdir()
        self.region = config.load(folder(tmp_path, SHAPE % ("G", RING)))
        self.deployment = Deployment(prefix="t.", directory=tmp_path)
        self.log, self.stop = MemoryLog(), asyncio.Event()
        self.now_s = float(NOW_S)
        self.told: list[tuple[str, int, int]] = []

    def feed(self, still_s: float = 5.0) -> Feed:
        """As after a start of the process."""
        gateway = Gateway(self.region, self.deployment, self.log, lambda: CLOCK_MS)
        self.journal = Journal(self.deployment.database, lambda: CLOCK_MS)
        return Feed(Grids(self.region), gateway, self.journal, lambda: self.now_s, self.stop, still_s, look_s=0.1)

    def file(self, number: int, mm: float, age_s: float = 60.0) -> Path:
        """A half hour that ends ``number`` half hours before noon."""
        path = half_hour(self.inbox, NOW_S - (number + 1) * 1800, lambda lon, lat: 2.0 * mm + 0.0 * lat * lon, step=1.0)
        return self.aged(path, age_s)

    def aged(self, path: Path, age_s: float) -> Path:
        os.utime(path, (self.now_s - age_s, self.now_s - age_s))
        return path

    async def run(self, feed: Feed, *files: Path) -> None:
        try:
            await feed.files(files, lambda *told: self.told.append(told))
        finally:
            await self.journal.close()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_files_are_readings_once(house: House) -> None:
    files = [house.file(2, 1.0), house.file(1, 2.0), house.file(0, 3.0)]
    feed = house.feed()
    await house.run(feed, *files)
    assert house.log.readings == [("G", -3600, 1.0), ("G", -1800, 2.0), ("G", 0, 3.0)]
    assert (feed.fed.files, feed.fed.readings, feed.fed.known, feed.fed.rejected) == (3, 3, 0, [])
    assert house.told[-1] == ("files of grids", 3, 3)
    again = house.feed()
    await house.run(again, *files)
    assert (again.fed.known, len(house.log.records)) == (3, 3)
    os.utime(files[1], (house.now_s - 30, house.now_s - 30))  # the late run takes the place of the early one
    revised = house.feed()
    await house.run(revised, *files)
    assert (revised.fed.files, revised.fed.known, len(house.log.records)) == (1, 2, 4)


async def test_brokers_that_are_away_are_waited_for_and_nothing_is_done_before_they_have_it(house: House) -> None:
    path = house.file(0, 3.0)
    house.log.away = 2
    feed = house.feed()
    await house.run(feed, path)
    assert (house.log.readings, feed.fed.files) == ([("G", 0, 3.0)], 1)
    other = house.file(1, 1.0)
    house.log.away = 10**9
    stopped = house.feed()
    asyncio.get_running_loop().call_later(0.3, house.stop.set)
    with pytest.raises(Unavailable):
        await house.run(stopped, other)
    house.feed()
    assert await house.journal.done(File.of(other)) is None  # a start later it is taken
    house.stop.clear()
    house.log.away = 0
    last = house.feed()
    await house.run(last, other)
    assert house.log.readings[-1] == ("G", -1800, 1.0)


async def test_killed_between_the_log_and_the_journal_the_same_readings_come_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    path = house.file(0, 3.0)
    feed = house.feed()

    async def killed(*_: object) -> None:
        raise SystemExit(9)

    monkeypatch.setattr(house.journal, "enter", killed)
    with pytest.raises(SystemExit):
        await house.run(feed, path)
    monkeypatch.undo()
    await house.run(house.feed(), path)
    first, second = house.log.records
    assert first == second  # the same station, time and value: a duplicate by its identity


async def test_what_is_wrong_is_named_kept_and_not_tried_again(house: House) -> None:
    broken = house.inbox / "broken.nc"
    broken.write_bytes(b"CDF\x01" + bytes(10))
    house.aged(broken, 3600)
    grib = house.inbox / "a.grib2"
    grib.write_bytes(b"GRIB" + bytes(10))
    house.aged(grib, 3600)
    good = house.file(0, 3.0)
    feed = house.feed()
    watching = asyncio.create_task(feed.watch(house.inbox, lambda *_: None))
    await until(lambda: feed.fed.files == 1 and len(feed.fed.rejected) == 2)
    assert [(name, "fix" in reason or "(" in reason) for name, reason in feed.fed.rejected] == [("a.grib2", True), ("broken.nc", True)]
    assert broken.exists() and grib.exists() and good.exists()
    house.stop.set()
    await watching
    await house.journal.close()
    house.stop.clear()
    later = house.feed()
    watching = asyncio.create_task(later.watch(house.inbox, lambda *_: None))
    await until(lambda: later.fed.known == 3)
    assert later.fed.rejected == [] and len(house.log.records) == 1
    broken.write_bytes(good.read_bytes())  # fetched again
    house.aged(broken, 60)
    await until(lambda: later.fed.files == 1)
    house.stop.set()
    await watching
    await house.journal.close()
    assert house.log.readings == [("G", 0, 3.0)] * 2


async def test_a_file_that_is_being_written_is_waited_for(house: House) -> None:
    whole = house.file(0, 3.0)
    content = whole.read_bytes()
    whole.write_bytes(content[: len(content) // 2])
    house.aged(whole, 1.0)
    part = house.inbox / "next.HDF5.part"
    part.write_bytes(content)
    feed = house.feed()
    watching = asyncio.create_task(feed.watch(house.inbox, lambda *told: house.told.append(told)))
    await until(lambda: house.told)
    assert (feed.fed.files, feed.fed.rejected, house.told[-1]) == (0, [], ("files of grids", 0, 1))
    house.aged(whole, 60.0)  # stalls: cannot be opened, and may yet go on
    house.told.clear()
    await until(lambda: len(house.told) > 1)
    assert (feed.fed.files, feed.fed.rejected) == (0, [])
    whole.write_bytes(content)
    house.aged(whole, 10.0)
    await until(lambda: feed.fed.files == 1)
    house.stop.set()
    await watching
    await house.journal.close()
    assert house.log.readings == [("G", 0, 3.0)] and not feed.fed.rejected


def test_names_of_downloads_that_go_on_are_left_alone(tmp_path: Path) -> None:
    for name, is_one in (("a.nc", True), (".a.nc", False), ("a.nc.part", False), ("a.HDF5.tmp", False), ("a.nc~", False), ("a", True)):
        (tmp_path / name).touch()
        assert wanted(tmp_path / name) is is_one, name
    (tmp_path / "folder.nc").mkdir()
    assert not wanted(tmp_path / "folder.nc")


async def until(true: object, within_s: float = 120.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.02)
