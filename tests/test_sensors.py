"""How each sensor is, from what the ways in hear of devices to metrics, API and registry; a person's word on it, seen by the decision."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import pytest
from ingest_house import Ingest, records, two_basins, wall_ms
from prometheus_client import CollectorRegistry
from test_registry import HOUR_MS, NOW, A, B, said

from warning import cli, config, facts, wiring_sensors
from warning.errors import ConfigError, ExitCode, Unavailable
from warning.facts import DeviceHeard
from warning.model import Cause, ManualFlag, Parameter, Reading, Rejected, Tick, to_json
from warning.operate import audit
from warning.operate.api import create_app
from warning.operate.metrics import Metrics
from warning.operate.registry import Device, Registry, address
from warning.operate.sensor_watch import SensorWatch
from warning.operate.sensors import blind, judged
from warning.operate.view import View
from warning.region import Region


def region(tmp_path: Path) -> Region:
    return two_basins(tmp_path)


# --- judged


def reading(station: str, at_ms: int, value: float | None = 1.0, *, delay_ms: int = 60_000, **more: object) -> Reading:
    fields = {"parameter": Parameter.STAGE, "provider": "agency"} | more
    return Reading(station=station, time_ms=at_ms, value=value, received_ms=at_ms + delay_ms, **fields)  # type: ignore[arg-type]


def view_of(*readings: Reading, now_ms: int = NOW) -> View:
    view = View()
    for each in readings:
        view.reading(each)
    view.tick(now_ms)
    return view


def test_a_sensor_is_judged_by_the_rule_that_makes_it_unknown(tmp_path: Path) -> None:
    own = region(tmp_path)  # A, B, C: silent after 3 h, D after 36 h
    quarter = HOUR_MS // 4
    view = view_of(
        *(reading("A", NOW - HOUR_MS - number * quarter) for number in range(20)),
        *(reading("B", NOW - 6 * HOUR_MS - number * HOUR_MS) for number in range(3)),
        reading("B", NOW - HOUR_MS, None, cause=Cause.SENTINEL),
    )
    view.reject(Rejected(reason="spike", stage="qc", detail="", record=to_json(reading("A", NOW - HOUR_MS)).decode()))
    found = {(each.station, each.parameter): each for each in judged(own, view, {}, NOW)}
    a, b = found[A], found[B]
    assert (a.state, a.expected_s, a.usual_s) == ("ok", 3 * 3600, 900.0)
    assert a.good_ms == NOW - HOUR_MS - quarter and a.reading_ms == NOW - HOUR_MS, "the failed one is no good reading"
    assert a.overdue == pytest.approx(1.25 / 3) and a.flags == {"spike": 1} and a.delay_s == 60.0
    assert (b.state, b.overdue, b.flags) == ("silent", 2.0, {"sentinel": 1})
    assert b.seen_ms == NOW - HOUR_MS + 60_000, "it is heard, though it has nothing to say"
    assert found["C", Parameter.STAGE].state == "never" and found["C", Parameter.STAGE].overdue is None
    assert {each.state for each in judged(own, View(), {}, None)} == {"never"}


def test_out_of_service_is_no_silence_and_a_zone_of_such_is_blind(tmp_path: Path) -> None:
    own = region(tmp_path)
    service = {A: said(True, NOW), B: said(False, NOW)}
    found = {each.station: each for each in judged(own, view_of(), service, NOW)}
    assert (found["A"].state, found["B"].state) == ("out", "never")
    assert blind(own, service) == ["A"]
    barrage = {("D", parameter): said(True, NOW, ("D", parameter)) for parameter in (Parameter.INFLOW, Parameter.OUTFLOW)}
    assert blind(own, barrage) == ["D"]
    assert blind(own, {("D", Parameter.INFLOW): barrage["D", Parameter.INFLOW]}) == [], "the other one still reads it"
    answer = audit.sensors(own, view_of(), NOW, service)
    assert [each.station for each in answer.out] == ["A"]
    assert "A" not in {each.station for each in answer.silent}
    assert answer.counts == {"ok": 0, "silent": 0, "never": 4, "out": 1}


def test_what_was_refused_is_counted_by_station_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View()
    refused = Rejected(reason="unit_missing", stage="ingest", detail="", record='{"station": "A"}')
    view.reject(refused)
    view.reject(msgspec.structs.replace(refused, record="SUKKUR 54", item='{"station": "B"}'))
    for broken in ("{", "[]", '{"station": 1}', "\ud800", "[" * 9999, '{"station": ""}'):
        view.reject(msgspec.structs.replace(refused, record=broken))
    assert view.refused == {("A", "unit_missing"): 1, ("B", "unit_missing"): 1}
    monkeypatch.setattr("warning.operate.view.REFUSED", 3)
    for number in range(9):
        view.reject(msgspec.structs.replace(refused, record=f'{{"station": "S{number}"}}'))
    assert len(view.refused) == 3 and sum(view.rejected.values()) == 17
    wide = View()
    wide.reject(msgspec.structs.replace(refused, record=msgspec.json.encode({"station": "S" * 60_000}).decode()))
    assert [(len(station), reason) for station, reason in wide.refused] == [(100, "unit_missing")]


# --- told, shown


async def test_the_metrics_say_how_sensors_and_devices_are(tmp_path: Path, registry: Registry) -> None:
    own = region(tmp_path)
    await registry.say(said(True, NOW))
    device = Device("m1", "mqtt", "B", NOW - 60_000, NOW, battery_v=3.1, battery_percent=9.0, rssi_dbm=-101.0, clock_skew_s=-200.0)
    await registry.heard([device, Device("m2", "sms", heard_ms=NOW)])
    prometheus = CollectorRegistry()
    metrics = Metrics(prometheus, own, "api")
    assert prometheus.get_sample_value("warning_sensors", {"state": "ok"}) is None, "nothing before they were judged"
    view = view_of(reading("B", NOW - 9 * HOUR_MS))
    await SensorWatch(own, view, registry, metrics, lambda: NOW).tell()

    def value(name: str, **labels: str) -> float | None:
        return prometheus.get_sample_value(f"warning_{name}", labels)

    assert [value("sensors", state=state) for state in ("ok", "silent", "never", "out")] == [0, 1, 3, 1]
    assert value("sensor_overdue", station="B", parameter="stage") == 3.0
    assert value("sensor_age_seconds", station="B", parameter="stage") == 9 * 3600
    assert value("sensor_out_of_service", station="A", parameter="stage") == 1
    assert value("zone_out_of_service", zone="A") == 1
    m1 = {"device": "m1", "way": "mqtt", "station": "B"}
    assert [value(f"device_{name}", **m1) for name in ("age_seconds", "battery_volts", "battery_percent")] == [60.0, 3.1, 9.0]
    assert [value(f"device_{name}", **m1) for name in ("rssi_dbm", "clock_skew_seconds", "silent")] == [-101.0, -200.0, 1]
    assert value("device_battery_volts", device="m2", way="sms", station="") is None, "it never said"
    other = CollectorRegistry()
    gateway = Metrics(other, own, "ingest")

    def frames(outcome: str) -> float | None:
        return other.get_sample_value("warning_lorawan_frames_total", {"outcome": outcome})

    assert (frames("repeated"), frames("lost")) == (0, 0)
    gateway(DeviceHeard("m1", "lorawan", 1, lost_frames=3))
    gateway(DeviceHeard("m1", "lorawan", 1, repeated=True))
    assert other.get_sample_value("warning_devices_heard_total", {"way": "lorawan"}) == 2
    assert (frames("repeated"), frames("lost")) == (1, 3)


async def test_of_many_sensors_the_worst_are_named_and_all_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = region(tmp_path)
    monkeypatch.setattr("warning.operate.sensor_watch.NAMED", 2)
    monkeypatch.setattr("warning.operate.sensor_watch.MOST", 2)
    told: list[facts.Fact] = []
    registry = Registry(f"sqlite+aiosqlite:///{tmp_path / 'none.db'}")
    view = view_of(reading("A", NOW - 4 * HOUR_MS), reading("B", NOW - 9 * HOUR_MS), reading("C", NOW))
    await SensorWatch(own, view, registry, told.append, lambda: NOW).tell()
    (fact,) = told
    assert isinstance(fact, facts.SensorsJudged)
    assert fact.counts == {"ok": 1, "silent": 2, "never": 2, "out": 0}
    assert [(each.station, each.overdue) for each in fact.sensors] == [("B", 3.0), ("A", pytest.approx(4 / 3))]
    await registry.close()


async def test_a_device_that_the_region_lists_is_missed(tmp_path: Path) -> None:
    own = region(tmp_path)
    (tmp_path / "oak" / "devices.csv").write_text("device,station,interval_min\nm1,A,15\nm2,B,15\nm3,C,\n", encoding="utf-8")
    registry = Registry(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    await registry.heard([Device("m1", "mqtt", heard_ms=NOW - HOUR_MS), Device("clerk", "sms", "D", NOW)])
    told: list[facts.Fact] = []
    watch = SensorWatch(own, view_of(), registry, told.append, lambda: NOW)
    await watch.tell()
    assert [(each.device, each.way, each.station, each.heard_ms) for each in watch.devices] == [
        ("clerk", "sms", "D", NOW), ("m1", "mqtt", "A", NOW - HOUR_MS), ("m2", "mqtt", "B", None), ("m3", "mqtt", "C", None),
    ]  # fmt: skip
    (fact,) = told
    assert isinstance(fact, facts.SensorsJudged)
    assert {each.device: each.overdue for each in fact.devices} == {"clerk": None, "m1": 4.0, "m2": None, "m3": None}
    (tmp_path / "oak" / "devices.csv").write_text("device\nm1\n", encoding="utf-8")
    assert SensorWatch(own, view_of(), registry, told.append, lambda: NOW).devices == (), "a file that is wrong takes nothing else down"
    await registry.close()


async def test_while_the_registry_is_away_what_was_known_stays(tmp_path: Path) -> None:
    own = region(tmp_path)
    registry = Registry(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    await registry.say(said(True, NOW))
    watch = SensorWatch(own, view_of(), registry, facts.nobody, lambda: NOW)
    await watch.look()
    assert set(watch.service) == {A}
    (tmp_path / "x.db").write_bytes(b"not a database " * 1000)
    watch._looked_s = float("-inf")
    await watch.look()
    assert set(watch.service) == {A}
    await registry.close()


# --- with a broker: API, command line, the decision


def command(house: Ingest, *words: str) -> list[str]:
    to = house.deployment
    return ["sensors", *words, "--kafka", to.bootstrap, "--prefix", to.prefix, "--directory", str(to.directory)]


async def run(house: Ingest, *words: str) -> int:
    def ended() -> int:
        try:
            cli.main(command(house, *words))
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return await asyncio.to_thread(ended)


async def test_out_of_service_stands_in_the_log_and_in_the_registry_and_everywhere_it_is_shown(
    house: Ingest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARNING_EMBEDDED", "1")
    folder = str(house.deployment.directory / "oak")
    good = {"station": "B", "parameter": "stage", "time": "2025-09-02T12:00:00Z", "value": 2.5, "unit": "m", "datum": "gauge_zero"}
    assert (await house.post([good, good | {"station": "B", "unit": "furlong"}]))[0] == 202
    await house.log.append({(house.deployment.readings, 0): [(None, to_json(Tick(tick_ms=wall_ms())))]})
    registry = Registry(address(house.deployment))
    await registry.heard([Device("sensor-7", "http", "B", wall_ms(), battery_percent=12.0)])
    await _is_taken_out(house, capsys, folder)
    await _is_shown(house, monkeypatch)
    assert await run(house, folder, "in-service", "B", "--who", "Duty officer", "--why", "mended") == 0
    assert (await registry.service())[B].out is False
    last = [msgspec.json.decode(value) for _, value in await records(house.deployment.bootstrap, house.deployment.readings, 0)][-1]
    assert (last["action"], last["station"]) == ("withdraw", "B")
    await registry.close()


async def _is_taken_out(house: Ingest, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    """By the command; the log and the command's own lists say so."""
    who = ("--who", "Duty officer", "--why", "the float hangs")
    assert await run(house, folder, "out-of-service", "B", "stage", "--from", "2025-09-02T12:00Z", *who) == 0
    assert "B stage: out of service from 2025-09-02T12:00:00Z on, says Duty officer" in capsys.readouterr().out
    flags = [msgspec.json.decode(value) for _, value in await records(house.deployment.bootstrap, house.deployment.readings, 0)]
    (flag,) = [msgspec.convert(each, ManualFlag) for each in flags if "flag_ms" in each]
    assert (flag.station, flag.action, flag.from_ms, flag.to_ms, flag.who) == ("B", "fail", 1_756_814_400_000, None, "Duty officer")

    told = house.deployment.directory / "sensors.json"
    assert await run(house, folder, "--json", str(told)) == 0
    listed = capsys.readouterr().out
    assert "Out of service: 1" in listed and "sensor-7" in listed and "12 %" in listed
    answer = json.loads(told.read_text())
    assert answer["counts"]["out"] == 1 and answer["refused"] == [{"station": "B", "reason": "unit_unknown", "records": 1}]
    assert await run(house, "-r", folder) == 0, "as it was written before"
    assert await run(house, folder, "show", "B") == 0
    shown = capsys.readouterr().out
    assert "state              out" in shown and "the float hangs" in shown and "unit_unknown" in shown


async def _is_shown(house: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the API."""
    app = create_app(house.region, house.deployment)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        async with asyncio.timeout(120):
            while (found := (await client.get("/v1/sensors")).json())["log_time"] is None or not found["out"]:
                await asyncio.sleep(0.05)
        assert [(each["station"], each["service"]["who"]) for each in found["out"]] == [("B", "Duty officer")]
        assert [each["device"] for each in found["devices"]] == ["sensor-7"]
        one = (await client.get("/v1/sensors/B")).json()
        assert one["sensors"][0]["state"] == "out" and one["devices"][0]["battery_percent"] == 12.0
        assert [each["out"] for each in one["history"]] == [True]
        assert (await client.get("/v1/sensors/NOWHERE")).status_code == 404

        async def away(*_: object) -> None:
            raise Unavailable("the database of sensors is away: flood@10.0.0.5")

        with monkeypatch.context() as patched:
            patched.setattr(SensorWatch, "history", away)
            answer = await client.get("/v1/sensors/B")
        assert answer.status_code == 503 and "10.0.0.5" not in answer.text, "the API is public"


async def test_where_nothing_can_be_said_nothing_is(house: Ingest, tmp_path: Path) -> None:
    deployment, own = house.deployment, house.region
    for arguments, words in (
        (("Z", None, None, "me", "why"), "no such station"),
        (("A", Parameter.INFLOW, None, "me", "why"), "does not measure it"),
        (("A", None, None, " ", "why"), "are empty"),
        (("A", None, -1, "me", "why"), "before 1970"),
        (("A", None, wall_ms() + HOUR_MS, "me", "why"), "lies ahead"),
    ):
        with pytest.raises(ConfigError, match=words):
            await wiring_sensors.say(own, deployment, True, *arguments)  # type: ignore[arg-type]
    away = replace(deployment, database_url=f"sqlite+aiosqlite:///{tmp_path / 'no' / 'x.db'}")
    with pytest.raises(Unavailable, match="database of sensors"):
        await wiring_sensors.say(own, away, True, "A", None, None, "me", "why")
    assert await records(deployment.bootstrap, deployment.readings, 0) == [], "a registry that is away: nothing stands in the log either"


def test_without_a_region_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARNING_REGION", raising=False)
    with pytest.raises(SystemExit) as ended:
        cli.main(["sensors", "--kafka", "127.0.0.1:9"])
    assert ended.value.code == ExitCode.CONFIG
    assert "name a region" in capsys.readouterr().err


def test_the_regions_of_the_house_are_judged() -> None:
    own = config.load("indus")
    assert {each.state for each in judged(own, View(), {}, NOW)} == {"never"}
