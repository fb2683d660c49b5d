"""The registry of devices and sensors in SQL, SQLite and PostgreSQL, and the way of what is heard of devices into it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from warning import facts
from warning.errors import Unavailable
from warning.facts import DeviceHeard
from warning.model import Parameter
from warning.operate.devices import Devices
from warning.operate.registry import Device, Registry, Service

HOUR_MS = 3_600_000
NOW = 1_756_800_000_000
A, B = ("A", Parameter.STAGE), ("B", Parameter.STAGE)


def said(out: bool, at_ms: int, sensor: tuple[str, Parameter] = A) -> Service:
    return Service(*sensor, out, at_ms - 5, at_ms, "Duty officer", "the float hangs")


async def test_a_device_keeps_what_it_does_not_say_again(registry: Registry) -> None:
    await registry.heard([Device("d1", "mqtt", "A", 100, battery_v=3.6, rssi_dbm=-90.0), Device("d1", "http", heard_ms=5)])
    await registry.heard([Device("d1", "mqtt", heard_ms=200, battery_percent=80.0, rssi_dbm=-95.0)])
    await registry.heard([Device("d1", "mqtt", heard_ms=150, battery_percent=10.0)])  # another process, later written, earlier heard
    found = {(each.device, each.way): each for each in await registry.devices()}
    assert found["d1", "mqtt"] == Device("d1", "mqtt", "A", 200, battery_v=3.6, battery_percent=80.0, rssi_dbm=-95.0)
    assert found["d1", "http"] == Device("d1", "http", heard_ms=5)
    await registry.heard([Device("d1", "mqtt", silent_ms=300)])
    (gone,) = [each for each in await registry.devices() if each.way == "mqtt"]
    assert (gone.heard_ms, gone.silent_ms) == (200, 300), "its last will is no word of its own"
    await registry.heard([Device("d1", "mqtt", heard_ms=400)])
    (back,) = [each for each in await registry.devices() if each.way == "mqtt"]
    assert (back.heard_ms, back.silent_ms) == (400, None)
    many = [Device(f"x{number}", "lorawan", heard_ms=number) for number in range(700)]
    await registry.heard(many)
    assert len(await registry.devices()) == 702


async def test_of_two_processes_the_later_word_of_a_device_counts(registry: Registry) -> None:
    await registry.heard([Device("d1", "mqtt", heard_ms=200)])
    await registry.heard([Device("d1", "mqtt", heard_ms=100, silent_ms=150)])  # of another process, written later
    assert await registry.devices() == (Device("d1", "mqtt", heard_ms=200),), "it spoke after its last will"
    await registry.heard([Device("d1", "mqtt", silent_ms=300)])
    await registry.heard([Device("d1", "mqtt", silent_ms=250)])
    assert await registry.devices() == (Device("d1", "mqtt", heard_ms=200, silent_ms=300),)


async def test_two_processes_that_heard_the_same_devices_do_not_wait_for_each_other(registry_server: str, registry: Registry) -> None:
    await registry.open()
    other = Registry(str(registry._tables._engine.url.render_as_string(hide_password=False)))
    many = [Device(f"x{number:03}", "http", heard_ms=number) for number in range(300)]
    for _ in range(10):
        await asyncio.gather(registry.heard(many), other.heard(many[::-1]))
    assert len(await other.devices()) == 300
    await other.close()


async def test_the_newest_word_on_a_sensor_counts_and_all_are_kept(registry: Registry) -> None:
    for each in (said(True, 10), said(True, 20, B), said(False, 30)):
        await registry.say(each)
    assert await registry.service() == {A: said(False, 30), B: said(True, 20, B)}
    assert await registry.history("A") == (said(True, 10), said(False, 30))


async def test_to_ask_makes_no_file_and_a_database_that_is_away_says_so(tmp_path: Path) -> None:
    asked, away = Registry(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}"), Registry(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'x.db'}")
    assert (await asked.devices(), await asked.service()) == ((), {})
    assert not list(tmp_path.iterdir())
    with pytest.raises(Unavailable, match="database of sensors"):
        await away.say(said(True, 1))
    await asked.close()
    await away.close()


# --- devices: from the ways in to the registry


async def test_what_is_heard_of_devices_is_written_at_once_a_minute_and_at_the_end(registry: Registry) -> None:
    devices = Devices(registry, every_s=0.05)
    async with devices.kept():
        devices(DeviceHeard("m1", "mqtt", 100, battery_v=3.6, station="A"))
        devices(DeviceHeard("m1", "mqtt", 110, rssi_dbm=-80.0))
        devices(facts.BrokerState(True))
        async with asyncio.timeout(120):
            while not await registry.devices():
                await asyncio.sleep(0.02)
        devices(DeviceHeard("m1", "mqtt", 120, silent=True))
        devices(DeviceHeard("m2", "sms", 130, clock_skew_s=-3.0))
    again = Registry(str(registry._tables._engine.url.render_as_string(hide_password=False)))
    m1, m2 = await again.devices()
    assert m1 == Device("m1", "mqtt", "A", 110, 120, battery_v=3.6, rssi_dbm=-80.0)
    assert m2 == Device("m2", "sms", "", 130, clock_skew_s=-3.0)
    await again.close()


async def test_a_database_that_is_away_delays_what_was_heard_and_forgets_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    registry = Registry(f"sqlite+aiosqlite:///{folder / 'x.db'}")
    devices = Devices(registry)
    devices(DeviceHeard("m1", "mqtt", 100, battery_v=3.6, station="A"))
    devices(DeviceHeard("m2", "mqtt", 100, silent=True))
    await devices.write()
    devices(DeviceHeard("m1", "mqtt", 110, rssi_dbm=-80.0))
    devices(DeviceHeard("m2", "mqtt", 120))
    await devices.write()
    folder.mkdir()
    await devices.write()
    assert await registry.devices() == (
        Device("m1", "mqtt", "A", 110, battery_v=3.6, rssi_dbm=-80.0),
        Device("m2", "mqtt", heard_ms=120),
    )
    await registry.close()
