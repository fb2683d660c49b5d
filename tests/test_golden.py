"""Golden checkpoints: what older versions wrote is read by today's code, which goes on as if it had been there all the time."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from stream_fake import FakeBroker, Life

from warning.deployment import Deployment
from warning.errors import ExitCode, StateError
from warning.model import AlertEvent, to_json
from warning.pipeline import Plan, State
from warning.pipeline.state import READS, VERSION
from warning.stream.beats import Beats, Closed
from warning.stream.decisions import PIPELINE
from warning.stream.state import Book, Head, unpack

HERE = Path(__file__).parent / "data" / "checkpoints"
sys.path.insert(0, str(HERE))
import make  # noqa: E402  (the script beside the files)


def golden(version: int) -> tuple[Head, bytes]:
    return verified(make.checkpoint(version))


def verified(records: Iterable[tuple[bytes, bytes]]) -> tuple[Head, bytes]:
    book = Book()
    for offset, (key, value) in enumerate(records):
        book.take(offset, key, value)
    found = book.verified(make.NEXT)
    assert found is not None, "the checkpoint is damaged"
    return found


def go_on(beats: Beats) -> list[Closed]:
    rest = make.log()[beats.next :]
    return list(beats.take([key for key, _ in rest], [value for _, value in rest], beats.next))


@pytest.fixture(scope="module")
def whole() -> list[Closed]:
    """What today's code makes of the whole log."""
    plan = Plan.of(make.region(), 0)
    return go_on(Beats(0, PIPELINE, plan, State.empty(plan), 0))


def after(head: Head, blob: bytes) -> list[Closed]:
    """What today's code makes of the rest of the log, from that checkpoint on."""
    plan = Plan.of(make.region(), 0)
    return go_on(Beats(0, PIPELINE, plan, State.thaw(plan, *unpack(head, blob)), head.next, head.tick))


@pytest.fixture(scope="module")
def rest() -> list[Closed]:
    """The same from the newest: all golden files hold what one and the same code decided, to which today's need not agree any more."""
    return after(*golden(VERSION))


def test_there_is_a_golden_file_of_each_version_that_is_read() -> None:
    missing = [make.path_of(version).name for version in READS if not make.path_of(version).is_file()]
    assert not missing, f"{missing}: python tests/data/checkpoints/make.py"
    assert sum(path.stat().st_size for path in HERE.glob("v*.xz")) < 300_000 * len(READS)


@pytest.mark.parametrize("version", READS)
def test_it_holds_a_flood_in_the_middle(version: int) -> None:
    head, arrays = unpack(*golden(version))
    assert head["version"] == version
    alerts = head["alerts"]
    assert len(alerts) == 14 and sum(1 for alert in alerts if alert["silent_since_ms"]) == 12
    assert sum(1 for alert in alerts if alert["arrival_ms"]) >= 4  # water on its way
    assert {name.partition(".")[0] for name in arrays} == {"s", "z", "h"} | ({"r"} if version >= 3 else set())


def told(found: list[Closed]) -> tuple[list[bytes], list[bytes]]:
    return [to_json(event) for closed in found for event in closed.alerts], [to_json(each) for closed in found for each in closed.hazards]


def test_today_goes_on_from_its_own_as_if_it_had_been_there_all_the_time(whole: list[Closed]) -> None:
    """Every hazard and every alert after a checkpoint of today, byte for byte, as the replay of the whole log has them."""
    found = after(*verified(make.made().records()))
    assert told(found) == told([closed for closed in whole if closed.offset >= make.NEXT])


@pytest.mark.parametrize("version", READS)
def test_today_goes_on_where_it_ends(version: int, whole: list[Closed], rest: list[Closed]) -> None:
    """Every hazard and every alert after the checkpoint, byte for byte the same from each version; in the end, as from the beginning."""
    found = after(*golden(version))
    assert told(found) == told(rest)
    assert sum(len(closed.alerts) for closed in found) > 30
    last, wanted = ({each.zone: each.level for closed in one for each in closed.hazards} for one in (found, whole))
    assert last == wanted


@pytest.mark.parametrize("version", READS)
async def test_a_worker_starts_from_it(version: int, rest: list[Closed]) -> None:
    """The records of the golden file on the topic of a deployment that its group has forgotten."""
    deployment, broker = Deployment(prefix="t."), FakeBroker()
    broker.topics[deployment.readings, 0] = list(make.log())
    broker.topics[deployment.checkpoints, 0] = list(make.checkpoint(version))
    life = Life(broker, make.region(), PIPELINE, deployment)
    await life.run(100)
    wanted = {event.alert.identifier: to_json(event) for closed in rest for event in closed.alerts}
    published = {key.decode(): value for key, value in broker.topics[deployment.alerts, 0] if key and value}
    assert life.loaded.how == "newest" and published == wanted
    assert all(msgspec.json.decode(value, type=AlertEvent).cap for value in published.values())


@pytest.mark.parametrize("version", [0, VERSION + 1, 99, None, "1"])
def test_an_unknown_version_stops_with_a_clear_error(version: object) -> None:
    head, arrays = unpack(*golden(VERSION))
    head["version"] = version
    with pytest.raises(StateError, match=f"version {version}.*reads {READS[0]}") as stopped:
        State.thaw(Plan.of(make.region(), 0), head, arrays)
    assert stopped.value.exit_code is ExitCode.CHECKPOINT_VERSION and stopped.value.reason == "checkpoint_version"


def test_the_code_is_known_without_a_plan() -> None:
    region = make.region()
    assert PIPELINE.code_of(region) == Plan.of(region, 0).code == replace(PIPELINE, code=None).code_of(region)
