"""Quiet hours: local, over midnight, and never in the way of what saves lives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import channel_world as world
import msgspec
import pytest

from warning.alerts.quiet import quiet_until
from warning.model import EventKind, Level
from warning.region import Region

HOUR_MS = 3_600_000


@pytest.fixture
def region(tmp_path: Path) -> Region:
    return replace(world.region(tmp_path), utc_offset_s=5 * 3600)


def at(text: str) -> int:
    """Local time (+05:00) of a day in ms."""
    return round(datetime.fromisoformat(f"2026-08-27T{text}+05:00").astimezone(UTC).timestamp() * 1000)


NIGHT, NOON = (22 * 60, 6 * 60), (12 * 60, 13 * 60 + 30)


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "21:59:59", None),
        (NIGHT, "22:00", "+06:00"),
        (NIGHT, "23:59:59.999", "+06:00"),
        (NIGHT, "00:00", "06:00"),
        (NIGHT, "05:59:59.999", "06:00"),
        (NIGHT, "06:00", None),
        (NOON, "11:59", None),
        (NOON, "12:00", "13:30"),
        (NOON, "13:30", None),
        (None, "03:00", None),
    ],
)
def test_quiet_hours_are_local_and_go_over_midnight(region: Region, quiet: tuple[int, int] | None, now: str, until: str | None) -> None:
    alert = world.event(region, "A", level=Level.MEDIUM, sent_ms=at(now)).alert
    wanted = None if until is None else at(until.removeprefix("+")) + (24 * HOUR_MS if until[0] == "+" else 0)
    assert quiet_until(world.contact(1, quiet=quiet), alert, region, at(now)) == wanted


def test_what_saves_lives_is_not_held_back(region: Region) -> None:
    sleeper, now_ms = world.contact(1, quiet=NIGHT), at("23:00")

    def held(level: Level, kind: EventKind = EventKind.RAISE, **changes: object) -> bool:
        alert = msgspec.structs.replace(world.event(region, "A", kind=kind, level=level, sent_ms=now_ms).alert, **changes)
        return quiet_until(sleeper, alert, region, now_ms) is not None

    assert region.alert.at_once == (Level.VERY_HIGH, Level.EXCEPTIONAL)
    assert [held(level) for level in (Level.LOW, Level.HIGH, Level.VERY_HIGH, Level.EXCEPTIONAL)] == [True, True, False, False]
    assert held(Level.VERY_HIGH, EventKind.DOWNGRADE) and held(Level.NORMAL, EventKind.CLEAR), "what became better can wait"
    assert not held(Level.LOW, arrival_ms=at("05:59") + 24 * HOUR_MS), "the water is there before the morning"
    assert held(Level.LOW, arrival_ms=at("06:01") + 24 * HOUR_MS)
