"""An exported log gives the same documents elsewhere: from the checkpoint in it, by the configuration in it, through every switch."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
import pytest
import services
from regions import write_region
from stream_fake import FakeBroker, Life, code_of
from stream_worker import WorkerProcess
from takeover_story import NEVER, OFTEN, OTHER_CODE, Records, before_the_flood, copy_of, crash, dead, log_of, lowered, old
from test_stream_worker import floods, settings, until_committed

from warning import cli, config, config_archive
from warning.deployment import Deployment
from warning.errors import ConfigError, ExitCode, InputError, StateError
from warning.model import AlertEvent, Tick
from warning.pipeline.plan import Plan
from warning.region import Region
from warning.stream.archive import Range, sections
from warning.stream.decisions import PIPELINE
from warning.stream.export import RECORDS, export
from warning.stream.exported import Exported
from warning.stream.feed import feed, read_alerts
from warning.stream.replay import log_with_ticks


@pytest.fixture(scope="module")
def oak(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return old(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def lower(tmp_path_factory: pytest.TempPathFactory) -> Region:
    return lowered(tmp_path_factory.mktemp("new"))


@pytest.fixture(scope="module")
def log(oak: Region) -> Records:
    return log_of(oak)


@pytest.fixture(scope="module")
def base(oak: Region, log: Records) -> FakeBroker:
    return asyncio.run(before_the_flood(oak, log))


async def exported(broker: FakeBroker, regions: list[Region], path: Path, wanted: Range = Range(), code: str = "") -> Exported:  # noqa: B008
    await export(broker, OFTEN, regions, code or Plan.of(regions[0], 0).code, 0, wanted, path)
    assert not path.with_name(path.name + ".part").exists()
    return Exported.of(path)


def on_topic(broker: FakeBroker) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for key, value in broker.topics[OFTEN.alerts, 0]:
        assert key is not None and value is not None and found.setdefault(key.decode(), value) == value
    return found


def sent_ms(value: bytes) -> int:
    return int(msgspec.json.decode(value, type=AlertEvent).alert.sent_ms)


async def test_the_whole_log(oak: Region, base: FakeBroker, log: Records, tmp_path: Path) -> None:
    broker = copy_of(base)
    await Life(broker, oak, PIPELINE, OFTEN, "w1").run(31)
    found = await exported(broker, [oak], tmp_path / "whole.log")
    assert found.header.start == "empty" and found.end.records == len(log) and found.end.next == len(log)
    assert found.documents() == found.published == on_topic(broker) and len(found.published) > 10
    batches = [(key, value) for _, keys, values in found.runs(0) for key, value in zip(keys, values, strict=True)]
    assert batches == log


async def test_an_agency_elsewhere_gets_the_same_document(oak: Region, base: FakeBroker, log: Records, tmp_path: Path) -> None:
    """In the middle of a live alert; then the folder of the region and the deployment are gone."""
    folder = write_region(tmp_path / "here")
    here = config.load(folder)
    broker = copy_of(base)
    await Life(broker, here, PIPELINE, OFTEN, "w1").run(31, len(log) - 70)
    in_force = [event for event in on_topic(broker).values() if msgspec.json.decode(event, type=AlertEvent).alert.active]
    assert in_force
    newest = max(broker.commits[0][0], 1)
    await Life(broker, here, PIPELINE, NEVER, "w2").run(31, last_save=False)  # all that is exported: what is not decided was not published
    path = tmp_path / "disputed.log"
    found = await exported(broker, [here], path, Range(from_offset=newest))
    shutil.rmtree(folder)
    elsewhere = tmp_path / "elsewhere" / "from-the-agency"
    elsewhere.parent.mkdir()
    path.rename(elsewhere)
    found = Exported.of(elsewhere)
    assert found.header.start == "checkpoint" and found.header.first == newest
    start = found.header.start_ms
    want = {name: value for name, value in on_topic(broker).items() if sent_ms(value) > start}
    assert found.documents() == want == found.expected() and len(want) > 1
    assert all(msgspec.json.decode(value, type=AlertEvent).cap.startswith("<?xml") for value in want.values())
    assert found.regions[here.digest].contacts == () and b"+9991000001" not in b"".join(content for _, content in sections(elsewhere))


async def test_by_log_time(oak: Region, base: FakeBroker, log: Records, tmp_path: Path) -> None:
    broker = copy_of(base)
    await Life(broker, oak, PIPELINE, OFTEN, "w1").run(31, len(log) - 60)
    middle = broker.commits[0][0]
    await Life(broker, oak, PIPELINE, NEVER, "w1").run(31, last_save=False)
    tick = msgspec.json.decode(log[middle - 1][1], type=Tick).tick_ms
    found = await exported(broker, [oak], tmp_path / "a", Range(from_ms=tick + 1, to_ms=tick + 12 * 3_600_000))
    assert found.header.first == middle and found.end.end_ms == tick + 12 * 3_600_000
    assert found.documents() == found.expected() and 0 < len(found.published) < len(on_topic(broker))
    with pytest.raises(InputError, match="holds no record") as refused:
        await exported(broker, [oak], tmp_path / "b", Range(to_offset=0, from_offset=None))
    assert refused.value.field == "--to"


async def test_no_state_for_the_beginning(oak: Region, base: FakeBroker, log: Records, tmp_path: Path) -> None:
    broker = copy_of(base)
    broker.starts[OFTEN.readings, 0] = 5
    with pytest.raises(StateError, match=r"no state is left.*export from there on") as stopped:
        await exported(broker, [oak], tmp_path / "a", Range(from_offset=10))
    assert code_of(stopped.value) is ExitCode.CHECKPOINT_MISSING
    found = await exported(broker, [oak], tmp_path / "b")  # all that can be
    assert found.header.start == "checkpoint" and found.header.first >= 5


@pytest.mark.parametrize("change", ["limits", "code"])
async def test_through_a_take_over(oak: Region, lower: Region, log: Records, base: FakeBroker, tmp_path: Path, change: str) -> None:
    """Crash, another configuration adopts, crashes again without a checkpoint, the old one is put back: the log alone says it all."""
    broker = await crash(base, oak, base.commits[0][0] + 40)
    if change == "limits":
        await Life(broker, lower, PIPELINE, NEVER, "w2").run(9, len(log) - 90, last_save=False)
    else:
        await Life(broker, oak, OTHER_CODE, NEVER, "w2").run(9, len(log) - 90, last_save=False)
    await dead()
    broker.new_life()
    await Life(broker, oak, PIPELINE, OFTEN, "w3").run(9, len(log) - 30)
    await Life(broker, lower, PIPELINE, OFTEN, "w4").run(9)
    found = await exported(broker, [lower, oak], tmp_path / "a", Range(from_offset=base.commits[0][0]))
    assert [switch.writer for _, switch in found.switches] == ["w2", "w3", "w4"]
    want = {name: value for name, value in on_topic(broker).items() if sent_ms(value) > found.header.start_ms}
    assert want == found.published and len({msgspec.json.decode(value, type=AlertEvent).config for value in want.values()}) == 2
    if change == "limits":
        assert found.documents() == want
    else:  # documents name their code: whoever has another cannot make them, and is told so
        assert found.documents().keys() == want.keys() and found.documents() != want and "another-code" in found.codes()
    without = await exported(broker, [lower], tmp_path / "b", Range(from_offset=base.commits[0][0]))
    with pytest.raises(ConfigError, match="not in the file"):
        without.documents()


async def test_one_who_took_over_and_went_away_decided_nothing(
    oak: Region, lower: Region, log: Records, base: FakeBroker, tmp_path: Path
) -> None:
    broker = await crash(base, oak, base.commits[0][0] + 40)
    await Life(broker, lower, PIPELINE, OFTEN, "lost").start()
    await Life(broker, oak, PIPELINE, OFTEN, "w2").run(9)
    found = await exported(broker, [oak, lower], tmp_path / "a")
    assert [switch.writer for _, switch in found.switches] == ["lost", "w2"]
    assert found.documents() == on_topic(broker) and len(found.published) > 10


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


async def test_a_damaged_or_cut_file_is_noticed(oak: Region, base: FakeBroker, tmp_path: Path) -> None:
    path = tmp_path / "a"
    await exported(base, [oak], path)
    content = path.read_bytes()
    for at in [*range(0, len(content), max(1, len(content) // 15)), len(content) - 1]:
        path.write_bytes(damaged(content, at))
        with pytest.raises(InputError):
            Exported.of(path)
        path.write_bytes(content[:at])
        with pytest.raises(InputError, match=r"cut|does not begin with"):
            Exported.of(path)
    path.write_bytes(content)
    assert Exported.of(path).documents()


async def test_interrupted_at_any_byte_it_goes_on(oak: Region, base: FakeBroker, log: Records, tmp_path: Path, monkeypatch: object) -> None:
    import warning.stream.export as module

    assert len(log) < RECORDS
    module.RECORDS, before = 50, module.RECORDS  # type: ignore[misc]
    try:
        broker = copy_of(base)
        await Life(broker, oak, PIPELINE, OFTEN, "w1").run(31)
        await exported(broker, [oak], tmp_path / "a")
        content = (tmp_path / "a").read_bytes()
        resumed = []
        for at in range(0, len(content), max(1, len(content) // 12)):
            (tmp_path / "b.part").write_bytes(content[:at])
            done = await export(broker, OFTEN, [oak], Plan.of(oak, 0).code, 0, Range(), tmp_path / "b")
            assert (tmp_path / "b").read_bytes() == content
            resumed.append(done.resumed)
        assert resumed[0] == 0 and max(resumed) > len(log) * 3 // 4 and sorted(resumed[:-3]) == resumed[:-3]
        other = copy_of(base)  # the topic was made anew: what is left is not of it
        other.topics[OFTEN.readings, 0] = [(key, value + b" ") for key, value in log]
        (tmp_path / "c.part").write_bytes(content[: len(content) * 3 // 4])
        assert (await export(other, OFTEN, [oak], "x", 0, Range(), tmp_path / "c")).resumed == 0
    finally:
        module.RECORDS = before  # type: ignore[misc]


async def test_a_gap_in_the_log_ends_it(oak: Region, base: FakeBroker, tmp_path: Path) -> None:
    class Gap(FakeBroker):
        async def read_stamped(self, topic, partition, each, first=None, until=None):  # type: ignore[no-untyped-def]
            await super().read_stamped(
                topic, partition, lambda at, key, value, ms: None if at == 7 else each(at, key, value, ms), first, until
            )

    broker = Gap()
    broker.topics.update({place: list(held) for place, held in base.topics.items()})
    with pytest.raises(StateError, match="record 7 is gone") as stopped:
        await exported(broker, [oak], tmp_path / "a")
    assert code_of(stopped.value) is ExitCode.LOG_TRUNCATED and not (tmp_path / "a").exists()


def test_a_region_travels_without_its_contacts(oak: Region) -> None:
    there = config_archive.unpack(config_archive.pack(oak), "f")
    assert there.digest == oak.digest and there.zones == oak.zones and there.basins == oak.basins and oak.contacts and not there.contacts
    with pytest.raises(ConfigError, match="digest"):
        config_archive.unpack(config_archive.pack(oak).replace(b'"Oak valley"', b'"Elm valley"'), "f")


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A real broker and worker; the file is replayed in a folder where nothing else is, in the middle of live alerts."""
    monkeypatch.setenv("WARNING_EMBEDDED", "1")
    folder = write_region(tmp_path)
    region = config.load(folder)
    records = list(log_with_ticks(region, floods(days=5), 3600))
    with services.embedded() as broker:
        deployment = Deployment(
            bootstrap=broker.bootstrap, prefix="replay-cli.", replay=True, embedded=True, checkpoint_every_s=0.2, session_timeout_s=4.0
        )

        async def live() -> dict[str, bytes]:
            fed = await feed(deployment, region, records)
            with WorkerProcess(**settings(deployment, folder)) as worker:
                await until_committed(deployment, fed.ends)
                assert await asyncio.to_thread(worker.stop) == ExitCode.OK
            return await read_alerts(deployment)

        want = asyncio.run(live())
        where = ["--kafka", broker.bootstrap, "--prefix", "replay-cli."]
        assert command("export-log", str(tmp_path / "sent.log"), "--region", str(folder), *where) == 0
        assert "sent.log: records 0 to" in capsys.readouterr().out
        topic = ("replay", "--from-log", "replay-cli.readings", "--region", str(folder), "--kafka", broker.bootstrap, "--compare")
        assert command(*topic) == 0
    shutil.rmtree(folder)
    assert command("replay", "--from-log", str(tmp_path / "sent.log"), "--compare", "--out", str(tmp_path / "made")) == 0
    assert "all are what was published, byte for byte" in capsys.readouterr().out
    assert {path.stem: path.read_bytes() for path in (tmp_path / "made").glob("*.json")} == want and len(want) > 8
    assert command("replay", "--from-log", str(tmp_path / "nothing.log")) == ExitCode.CONFIG
    assert command("replay") == ExitCode.CONFIG
    assert command("export-log", str(tmp_path / "x"), "--region", "indus", "--basin", "nile") == ExitCode.CONFIG
    (tmp_path / "sent.log").write_bytes((tmp_path / "sent.log").read_bytes()[:-9])
    assert command("replay", "--from-log", str(tmp_path / "sent.log")) == ExitCode.FAILED
    assert "was cut" in capsys.readouterr().err


def test_what_differs_is_named(oak: Region, base: FakeBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody changed a document on the topic."""
    broker = copy_of(base)
    place = (OFTEN.alerts, 0)
    key, value = broker.topics[place][-1]
    assert value is not None and b'"level":"' in value
    broker.topics[place][-1] = key, value.replace(b'"sender":', b'"sendr":').replace(b"MEDIUM", b"HIGH", 1).replace(b"LOW", b"MEDIUM", 1)
    asyncio.run(exported(broker, [oak], tmp_path / "a"))
    assert command("replay", "--from-log", str(tmp_path / "a"), "--compare") == ExitCode.FAILED
    shown = capsys.readouterr()
    assert f"{key.decode()} differs in " in shown.err and "1 of " in shown.out  # type: ignore[union-attr]


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)
