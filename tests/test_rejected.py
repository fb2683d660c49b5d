"""``warning rejected`` against a real broker: listed, mended, sent again once, however often it is said and whenever it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from ingest_house import Ingest, records, two_basins, wall_ms

from warning import cli, wiring_rejected
from warning.errors import ExitCode, InputError
from warning.ingest import dead_letters
from warning.ingest.dead_letters import Selection
from warning.ingest.formats import Item
from warning.ingest.gateway import Part, Sender
from warning.ingest.mending import Edits
from warning.ingest.replays import Replays
from warning.model import Cause, Parameter, Reading, Rejected, to_json

NOW = datetime.now(UTC).replace(microsecond=0)
GOOD = {"station": "A", "parameter": "stage", "time": NOW.isoformat(), "value": 2.5, "unit": "m", "datum": "gauge_zero"}


def without(*names: str, **changed: object) -> dict[str, object]:
    return {name: value for name, value in (GOOD | changed).items() if name not in names}


def command(house: Ingest, name: str, *more: str) -> list[str]:
    to, region = house.deployment, str(house.deployment.directory / "oak")
    return ["rejected", name, region, *more, "--kafka", to.bootstrap, "--prefix", to.prefix, "--directory", str(to.directory)]


async def run(house: Ingest, *arguments: str) -> int:
    def ended() -> int:
        try:
            cli.main(command(house, *arguments))
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    before, os.environ["WARNING_EMBEDDED"] = os.environ.get("WARNING_EMBEDDED"), "1"
    try:
        return await asyncio.to_thread(ended)
    finally:
        os.environ.pop("WARNING_EMBEDDED") if before is None else os.environ.update(WARNING_EMBEDDED=before)


async def write(house: Ingest, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=house.deployment.bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send(house.deployment.rejected, value)
        await producer.flush()
    finally:
        await producer.stop()


def orders(house: Ingest) -> int:
    with closing(sqlite3.connect(house.deployment.directory / f"{house.deployment.prefix}warning.db")) as database:
        try:
            return int(database.execute("SELECT count(*) FROM rejected_orders").fetchone()[0])
        except sqlite3.OperationalError:  # no table yet
            return 0


WHY = ("--who", "Duty officer", "--why", "the logger left the unit out")


async def test_a_sender_that_left_its_unit_out_is_mended_and_comes_in_once(house: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    bodies = [without("unit", value=number, time=(NOW - timedelta(minutes=number)).isoformat()) for number in range(3)]
    assert (await house.post(bodies))[0] == 422
    assert (await house.post(without("station", station="NOWHERE")))[0] == 422
    listed = house.deployment.directory / "listed.json"
    assert await run(house, "list", "--json", str(listed)) == 0
    groups = {(each["stage"], each["reason"], each["sender"]): each["records"] for each in json.loads(listed.read_text())["groups"]}
    assert groups == {("ingest", "unit_missing", "agency"): 3, ("ingest", "field_missing", "agency"): 0} | groups
    assert sum(groups.values()) == 4
    assert "4 rejected" in capsys.readouterr().out

    fix = ("--reason", "unit_missing", "--set", "unit=cm")
    assert await run(house, "fix", *fix) == 0
    words = capsys.readouterr().out
    assert "3 selected: 3 would be taken (3 readings)" in words
    assert re.search(r"A +stage .* 0\.02 m", words), words
    assert await house.readings() == [], "a trial sends nothing"

    before_ms = wall_ms()
    assert await run(house, "replay", *fix, *WHY) == 0
    assert "3 were taken" in capsys.readouterr().out
    readings = await house.readings()
    assert [(each.station, each.value, each.provider) for each in readings] == [("A", number / 100, "agency") for number in range(3)]
    assert all(each.received_ms >= before_ms for each in readings), "received when it came in, not when it was refused"

    assert await run(house, "replay", *fix, *WHY) == 0
    assert "0 were taken (0 readings), 3 were sent again before" in capsys.readouterr().out
    assert len(await house.readings()) == 3, "a second time sends nothing"
    assert await run(house, "audit") == 0
    told = capsys.readouterr().out
    assert told.count("Duty officer") == 2 and "3 sent" in told and "0 sent" in told and "the logger left the unit out" in told


async def test_a_fix_is_kept_and_carried_out_by_its_number_and_touches_nothing_that_came_later(
    house: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    await house.post(without(station="OLD"))
    kept = ("--reason", "station_unknown", "--map", "station=OLD:B", "--keep", "--who", "me", "--why", "renamed")
    assert await run(house, "fix", *kept) == 0
    words = capsys.readouterr().out
    (number,) = re.findall(r"kept as fix (\d+)", words)
    await asyncio.sleep(0.01)
    await house.post(without(station="OLD", value=9.0))
    assert await run(house, "replay", "--fix", number, "--who", "me", "--why", "as kept") == 0
    assert [(each.station, each.value) for each in await house.readings()] == [("B", 2.5)]
    assert await run(house, "replay", "--fix", "77", "--who", "me", "--why", "x") != 0
    assert "no fix 77 was kept" in capsys.readouterr().err


async def test_what_another_format_said_is_mended_as_it_was_understood(house: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    source = b"\x01\xff\x80 54.2"
    gateway = wiring_rejected.Gateway(house.region, house.deployment, house.log, wall_ms)
    parts = [
        Part(source, Item("sensor-7", "stage", NOW, 54.2, "cm", "gauge_zero")),
        Part(source, Item("A", "stage", NOW, float("nan"), "cm", "gauge_zero")),
        Part(b"?", InputError("no such device", reason="device_unknown", field="device", fix="add it")),
    ]
    taken = await gateway.offer(parts, Sender("lorawan"))
    assert [each.reason for each in taken.refused] == ["station_unknown", "value_not_finite", "device_unknown"]
    assert await run(house, "show", "0:0") == 0
    shown = capsys.readouterr().out
    assert "000000  01 ff 80 20 35 34 2e 32" in shown and '"sensor-7"' in shown and "use an id of this region's stations" in shown
    rename = ("--map", "station=sensor-7:C")
    assert await run(house, "replay", "--sender", "lorawan", *rename, *WHY) == 0
    assert "2 were refused still: not_mendable 2" in capsys.readouterr().out, "the way in alone can read these bytes"
    (reading,) = await house.readings()
    assert (reading.station, reading.value, reading.provider) == ("C", 0.542, "lorawan")
    assert await run(house, "show", "0:0") == 0
    assert "by Duty officer" in capsys.readouterr().out
    whole = json.dumps(without(station="B", value=1.0))
    assert await run(house, "replay", "--id", "0:2", "--item", whole, *WHY) == 0
    assert {each.station for each in await house.readings()} == {"B", "C"}


async def test_what_the_stream_rejected_comes_in_where_that_makes_sense(house: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    at_ms = wall_ms() - 60_000
    reading = Reading(station="A", parameter=Parameter.STAGE, time_ms=at_ms, value=378.0, received_ms=at_ms, provider="agency")
    silent = msgspec.structs.replace(reading, time_ms=at_ms - 1000, value=None, cause=Cause.SENTINEL)
    await write(
        house,
        to_json(Rejected(reason="gross_range", stage="qc", detail="above 20", record=to_json(reading).decode(), at_ms=at_ms)),
        to_json(
            Rejected(reason="unknown_series", stage="decode", detail="record 7", record=to_json(silent).decode(), at_ms=at_ms, offset=7)
        ),
        to_json(Rejected(reason="bad_json", stage="decode", detail="record 8", record="{", at_ms=at_ms, offset=8)),
        b"\xffnobody knows",
    )
    assert await run(house, "replay", "--sender", "agency", *WHY) == 0
    assert "not_mendable 1" in capsys.readouterr().out, "the same value would fail again"
    assert [(each.value, each.cause) for each in await house.readings()] == [(None, Cause.MISSING)]
    assert await run(house, "replay", "--reason", "gross_range", "--set", "unit=cm", *WHY) == 0
    assert (await house.readings())[-1].value == 3.78
    assert (await house.readings())[-1].time_ms == at_ms
    assert await run(house, "replay", "--reason", "bad_json", *WHY) == ExitCode.FAILED
    assert await run(house, "list", "--reason", "unreadable") == 0
    assert "1 rejected" in capsys.readouterr().out.split("refused still")[-1]


async def test_what_a_key_may_not_send_comes_in_only_where_somebody_means_it(house: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    _, narrow = await house.keys.create("village", stations=["B"])
    status, _, _ = await house.post(GOOD, Authorization=f"Bearer {narrow}")
    assert status == 403
    assert await run(house, "replay", "--sender", "village", *WHY) == 0
    assert await house.readings() == []
    assert await run(house, "replay", "--sender", "village", "--reason", "station_forbidden", *WHY) == 0
    assert [each.station for each in await house.readings()] == ["A"]
    capsys.readouterr()


async def test_what_is_mended_comes_in_only_for_a_station_that_its_key_may_send_for(
    house: Ingest, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value in quotes is refused before anybody asks whose it is: that is no way around the key."""
    _, narrow = await house.keys.create("village", stations=["B"])
    for station in ("A", "B"):
        status, _, _ = await house.post(without(station=station, value="2.5"), Authorization=f"Bearer {narrow}")
        assert status == 422
    assert (await house.post(without(value="3.5")))[0] == 422, "the agency's key is for all"
    assert await run(house, "replay", "--reason", "value_type", "--numbers", *WHY) == 0
    assert "1 were refused still: station_forbidden 1" in capsys.readouterr().out
    assert [(each.station, each.value, each.provider) for each in await house.readings()] == [("B", 2.5, "village"), ("A", 3.5, "agency")]
    assert await run(house, "replay", "--id", "0:0", "--numbers", *WHY) == 0
    assert len(await house.readings()) == 3, "who names the one means it"


async def test_nothing_is_sent_by_accident(house: Ingest, capsys: pytest.CaptureFixture[str]) -> None:
    await house.post(without("unit"))
    refused: Sequence[tuple[tuple[str, ...], str]] = (
        (("replay", *WHY), "nothing selects the records"),
        (("replay", "--reason", "x", "--who", " ", "--why", "y"), "are empty"),
        (("replay", "--reason", "x", "--item", "{}", *WHY), "name that one with --id"),
        (("replay", "--fix", "1", "--reason", "x", *WHY), "has its own selection"),
        (("replay", "--reason", "x", "--set", "units=cm", *WHY), "write FIELD=VALUE"),
        (("list", "--since", "2025-08-27T14:00"), "not a time with a zone"),
        (("show", "x:y"), "names no rejected record"),
        (("show", "0:999"), "there is no rejected record"),
    )
    for arguments, words in refused:
        assert await run(house, *arguments) != 0
        assert words in capsys.readouterr().err, arguments
    assert await house.readings() == []


async def test_killed_after_the_brokers_have_it_the_same_is_sent_again_and_then_never(
    house: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.post([without("unit", value=number) for number in range(5)])
    chosen, edits = Selection(reasons=frozenset({"unit_missing"})), Edits(set={"unit": "m"})

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Replays, "enter", killed)
        with pytest.raises(KeyboardInterrupt):
            await wiring_rejected.replay(house.region, house.deployment, "me", "why", chosen, edits)
    assert len(await house.readings()) == 5
    _, again = await wiring_rejected.replay(house.region, house.deployment, "me", "why", chosen, edits)
    assert (again.taken, again.before) == (5, 0)
    _, third = await wiring_rejected.replay(house.region, house.deployment, "me", "why", chosen, edits)
    assert (third.taken, third.before) == (0, 5)
    readings = await house.readings()
    assert len(readings) == 10
    assert len({(each.station, each.parameter, each.time_ms, each.value) for each in readings}) == 5, "doubles by their identity"
    first, *others = await wiring_rejected.audit(house.deployment)
    assert first.ended_ms is not None and [each.ended_ms is None for each in others] == [False, True], "one did not end"


async def test_a_process_that_is_killed_again_and_again_brings_all_in(house: Ingest) -> None:
    letters = [
        to_json(
            Rejected(
                reason="unit_missing",
                stage="ingest",
                detail="x",
                record=json.dumps(without("unit", time=(NOW - timedelta(seconds=number)).isoformat())),
                provider="agency",
                at_ms=1,
            )
        )
        for number in range(2000)
    ]
    await write(house, *letters)
    arguments = command(house, "replay", "--reason", "unit_missing", "--set", "unit=m", *WHY)
    environment = os.environ | {"WARNING_EMBEDDED": "1"}
    kills = 0
    for wait_s in (0.1, 0.4):
        before = orders(house)
        process = subprocess.Popen([sys.executable, "-m", "warning", *arguments], env=environment, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 180
        while orders(house) == before and process.poll() is None:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        await asyncio.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills, "it was never in the midst of it"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "warning", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    readings = await house.readings()
    assert len({(each.station, each.time_ms) for each in readings}) == 2000
    left = await wiring_rejected.preview(house.region, house.deployment, Selection(reasons=frozenset({"unit_missing"})), Edits(), 0)
    assert (left.letters, left.before) == (2000, 2000)


async def test_memory_does_not_grow_with_senders_who_name_themselves(house: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring_rejected, "_MOST_GROUPS", 10)
    one = Rejected(reason="malformed", stage="inbox", detail="x", record="{", at_ms=1)
    await write(house, *(to_json(msgspec.structs.replace(one, provider=f"inbox:{number}")) for number in range(2000)))
    found = await wiring_rejected.listing(house.deployment, Selection(), 7)
    assert sum(found.groups.values()) == 2000
    assert found.groups["inbox", "malformed", "(others)"] == 1990
    assert [each.offset for each in found.newest] == list(range(1993, 2000))


async def test_a_broker_that_is_away_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_basins(tmp_path)
    with pytest.raises(SystemExit) as ended:
        await asyncio.to_thread(cli.main, ["rejected", "list", str(tmp_path / "oak"), "--kafka", "127.0.0.1:9"])
    assert ended.value.code == ExitCode.BROKER
    assert "127.0.0.1:9" in capsys.readouterr().err


async def test_the_topic_has_all_that_was_refused(house: Ingest) -> None:
    """The reader sees what stands there, no more and no less, also by name and by time."""
    await house.post([without("unit", value=number) for number in range(2500)])
    every = [each async for each in dead_letters.read(house.deployment, Selection())]
    assert [each.offset for each in every] == list(range(2500))
    assert len(await records(house.deployment.bootstrap, house.deployment.rejected, 0)) == 2500
    some = [each.offset async for each in dead_letters.read(house.deployment, Selection(names=frozenset({(0, 7), (0, 2499), (5, 1)})))]
    assert some == [7, 2499]
    late = Selection(since_ms=every[0].at_ms + 60_000)
    assert [each async for each in dead_letters.read(house.deployment, late)] == []
