"""The node's file, its clock and its sirens: each problem with line, key and fix; what is sure; on, off, test and a hook that hangs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from edge_house import MINUTE_MS, ROOT, START_MS, Time, inside, reading, site_file, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warning import config_edge
from warning.errors import Unavailable
from warning.ingest.edge.limits import Judged
from warning.ingest.edge.node import Local
from warning.ingest.edge.siren import Sounder, again_s, by_command
from warning.model import Level
from warning.site import Siren

LOGGER = Local("logger")


# --- the file


def test_the_example_is_right() -> None:
    site, problems = config_edge.read(ROOT / "deploy" / "edge" / "edge.yaml")
    assert problems == [] and site is not None
    assert site.sensors[0].limits[2] == (Level.HIGH, 4.0) and site.most_bytes == 200_000_000


def test_values_are_in_the_sensors_unit_and_become_si(tmp_path: Path) -> None:
    sensors = [
        {"station": "D", "parameter": "inflow", "unit": "cusec", "every": "1 h", "limits": {"LOW": 200000, "HIGH": 500000}},
        {"station": "A", "parameter": "stage", "unit": "ft", "datum": "gauge_zero", "every": "5 min", "plausible_max": 40, "margin": 0.5},
    ]
    site = config_edge.load(site_file(tmp_path, sensors=sensors))
    assert site.sensors[0].limits == ((Level.LOW, 5663.369318), (Level.HIGH, 14158.423296))
    assert site.sensors[0].margin == pytest.approx(0.05 * 5663.369318)
    assert (site.sensors[1].plausible_max, site.sensors[1].margin) == (12.192, 0.1524)


def sensor(**changes: Any) -> dict[str, Any]:
    content = {"station": "A", "parameter": "stage", "unit": "m", "datum": "gauge_zero", "every": "5 min"}
    return {name: value for name, value in (content | changes).items() if value is not None}


SIREN = {"name": "s", "at": "HIGH", "command": ["/bin/true", "{state}"]}
LIMITS = {"LOW": 2, "HIGH": 4}


@pytest.mark.parametrize(
    ("changes", "key", "word"),
    [
        ({"nodes": "x"}, "nodes", "unknown key"),
        ({"node": "a b"}, "node", "not right"),
        ({"disk": "1 MB"}, "disk", "2000000"),
        ({"sensors": []}, "sensors", "at least 1"),
        ({"sensors": [sensor(unit="cusec")]}, "sensors.0.unit", "unknown unit"),
        ({"sensors": [sensor(datum=None)]}, "sensors.0", "needs its datum"),
        ({"sensors": [sensor(datum="msl")]}, "sensors.0.datum", "zero in msl"),
        ({"sensors": [sensor(), sensor()]}, "sensors.0.station", "stands twice"),
        ({"sensors": [sensor(every="5")]}, "sensors.0.every", "not a number with its unit"),
        ({"sensors": [sensor(limits={"LOW": 4, "HIGH": 2})]}, "sensors.0.limits", "is not above LOW"),
        ({"sensors": [sensor(limits=LIMITS, plausible_max=3)]}, "sensors.0.limits", "no reading could reach it"),
        ({"sensors": [sensor(topic="a/+")]}, "sensors.0.topic", "is a filter"),
        ({"sensors": [sensor(topic="a")]}, "sensors", "there is no broker"),
        ({"sirens": [SIREN | {"command": ["siren", "{state}"]}]}, "sirens.0.command", "whole path"),
        ({"sirens": [SIREN | {"command": ["/bin/true"]}]}, "sirens.0.command", "does not hear"),
        ({"sirens": [SIREN | {"command": ["/bin/true", "{state}", "{levle}"]}]}, "sirens.0.command", "nobody knows"),
        ({"sirens": [SIREN | {"topic": "x"}]}, "sirens.0", "a command or a topic"),
        ({"sirens": [SIREN | {"series": ["X stage"]}]}, "sirens.0.series", "no sensor"),
        ({"sirens": [SIREN | {"topic": "sirens/+"}]}, "sirens.0.topic", "is a filter"),
        ({"mqtt": {"topics": ["a/#/b"]}}, "mqtt.topics.0", "no filter"),
        ({"mqtt": {"topics": ["a/b+"]}}, "mqtt.topics.0", "no filter"),
        ({"mqtt": {}, "listen": None}, "mqtt", "no topic is heard"),
        ({"sirens": [SIREN], "sensors": [sensor(limits={"LOW": 2})]}, "sirens.0.at", "would never sound"),
        ({"keys": [{"name": "k", "sha256": "X" * 64}]}, "keys.0.sha256", "no SHA-256"),
        ({"listen": None}, "", "no sensor can come in"),
        ({"keys": None}, "listen", "nobody has a key"),
    ],
)
def test_every_problem_has_its_line_its_key_and_a_fix(tmp_path: Path, changes: dict[str, Any], key: str, word: str) -> None:
    file = site_file(tmp_path, **changes)
    site, problems = config_edge.read(file)
    assert site is None
    found = [problem for problem in problems if problem.fatal and word in f"{problem.what} {problem.fix}"]
    assert found, problems
    assert found[0].where.startswith(f"{file}:") and (f"({key}" in found[0].where or not key)


# --- the time


async def test_a_board_without_battery_and_ntp_waits_for_the_time_but_not_with_its_limits(tmp_path: Path) -> None:
    """Readings of a sensor without a clock on a node without one: held until NTP says the time, dated then; the siren does not wait."""
    now = Time(START_MS - 90 * 86_400_000, synchronised=False)
    async with inside(tmp_path, now, sirens=[SIREN]) as node:
        await node.node.take([reading(None, 4.5)], LOGGER)
        now.pass_ms(5 * MINUTE_MS)
        await node.node.take([reading(None, 4.5)], LOGGER)
        assert node.node.levels["A stage"] is Level.HIGH and await node.waiting() == []
        now.now_ms, now.synchronised = START_MS, True
        assert node.clock.look()
        await node.node.settle()
        assert [at for _, at, _ in await node.waiting()] == [START_MS, START_MS - 5 * MINUTE_MS]
        assert node.node.levels["A stage"] is Level.HIGH


async def test_the_future_is_refused_only_where_the_time_is_sure(tmp_path: Path) -> None:
    now = Time(synchronised=False)
    async with inside(tmp_path, now) as node:
        ahead = reading(START_MS + 60 * MINUTE_MS, 1.0)
        assert (await node.node.take([ahead], LOGGER)).accepted == 1
        now.synchronised = True
        node.clock.look()
        taken = await node.node.take([reading(START_MS + 61 * MINUTE_MS, 1.0)], LOGGER)
        assert [one.reason for one in taken.refused] == ["time_future"]


def test_a_clock_before_the_last_sure_time_is_wrong_whatever_it_says() -> None:
    now = Time(START_MS - 86_400_000)
    clock = now.clock(battery=True, least_ms=START_MS)
    assert not clock.now().sure and clock.now().ms == START_MS
    now.now_ms = START_MS + 1
    assert clock.look() and clock.how == "ntp"


def test_a_step_of_a_disciplined_clock_is_followed_a_step_of_another_is_not() -> None:
    now = Time()
    clock = now.clock()
    now.now_ms += 3_600_000
    clock.look()
    assert clock.now().ms == START_MS + 3_600_000
    now = Time(synchronised=False)
    clock = now.clock(battery=True)
    now.now_ms += 3_600_000
    clock.look()
    assert clock.now().ms == START_MS
    clock.told(START_MS + 7_200_000, now.boot_ms)
    assert clock.now().ms == START_MS + 7_200_000 and clock.how == "gateway", "a battery clock an hour off is corrected"


def test_ntp_is_believed_before_the_gateway() -> None:
    now = Time()
    clock = now.clock()
    clock.told(START_MS + 60_000, now.boot_ms)
    assert clock.now().ms == START_MS and clock.how == "ntp"


async def test_sentinels_and_missing_values_are_handed_on_and_decide_nothing(tmp_path: Path) -> None:
    async with inside(tmp_path, sirens=[SIREN]) as node:
        taken = await node.node.take([reading(START_MS, -9999.0), reading(START_MS - MINUTE_MS, None)], LOGGER)
        assert taken.accepted == 2 and node.node.seeing.judged == {Judged.MISSING: 2}
        assert [value for _, _, value in await node.waiting()] == [-9999.0, None]


BITS = st.one_of(
    st.sampled_from(
        [b"A", b"stage", b"2025-09-02T08:00:00Z", b"1.5", b"NaN", b"null", b"-9999", b"1e999", b'"', b"{", b"}", b",", b":", b"\xff"]
    ),
    st.sampled_from(
        [b'"station":', b'"parameter":', b'"time":', b'"value":', b'"unit":', b'"datum":', b'"gauge_zero"', b'"m"', b"9" * 400]
    ),
    st.binary(max_size=8),
)


async def test_no_bytes_end_the_node_and_each_is_taken_or_kept_with_a_reason(tmp_path: Path) -> None:
    """Good readings with pieces put in, taken out and put elsewhere; and bare numbers from a sensor's own topic."""
    async with inside(tmp_path, sirens=[SIREN]) as node:
        loop, sensor = asyncio.get_running_loop(), node.site.sensors[0]
        good = reading(START_MS, 1.5)
        found: list[bytes] = []

        @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.tuples(st.integers(0, len(good)), st.integers(0, 6), BITS), max_size=4))
        def mutate(cuts: list[tuple[int, int, bytes]]) -> None:
            text = good
            for at, gone, put in cuts:
                text = text[:at] + put + text[at + gone :]
            found.append(text)

        await loop.run_in_executor(None, mutate)
        texts = list(dict.fromkeys(found))
        taken = await node.node.take(texts, LOGGER)
        assert taken.accepted + len(taken.refused) == len(texts) and taken.refused
        for text in texts[:100]:
            answer = await node.node.take_number(sensor, text, LOGGER)
            assert answer.accepted + len(answer.refused) == 1
        counts = await node.store.run(lambda outbox: outbox.counts())
        assert counts.refused == sum(node.node.seeing.refused.values())
        assert all(one.value is None or one.value == one.value for one in await node.store.run(lambda outbox: outbox.next(10_000)))


# --- the sirens


class Hook:
    def __init__(self) -> None:
        self.told: list[tuple[float, str, Level]] = []
        self.now_s, self.fails = 0.0, False

    async def tell(self, state: str, level: Level) -> None:
        if self.fails:
            raise Unavailable("it hangs", reason="siren")
        self.told.append((self.now_s, state, level))

    async def run(self, sounder: Sounder, until_s: float) -> None:
        """As ``Sounder.run``, in the hook's own time."""
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + await sounder.once())

    @property
    def states(self) -> list[tuple[float, str]]:
        return [(at, state) for at, state, _ in self.told]


def sounder(**changes: Any) -> tuple[Sounder, Hook]:
    hook = Hook()
    return Sounder(Siren(name="s", at=Level.HIGH, command=("/bin/true",), **changes), hook.tell, lambda: hook.now_s), hook


async def test_on_is_said_again_and_ends_after_its_longest_and_a_higher_class_begins_anew() -> None:
    siren, hook = sounder(again_s=60, longest_s=180)
    siren.hear(Level.HIGH)
    await hook.run(siren, 400)
    assert hook.states == [(0, "on"), (60, "on"), (120, "on"), (180, "off")]
    siren.hear(Level.VERY_HIGH)
    await siren.once()
    assert hook.told[-1] == (400, "on", Level.VERY_HIGH)
    siren.hear(Level.NORMAL)
    await siren.once()
    assert hook.told[-1][1] == "off"


async def test_below_its_class_it_is_silent_and_muted_it_is_until_the_class_rises() -> None:
    siren, hook = sounder()
    siren.hear(Level.MEDIUM)
    await siren.once()
    siren.hear(Level.HIGH)
    await siren.once()
    siren.mute()
    await siren.once()
    siren.hear(Level.VERY_HIGH)
    await siren.once()
    assert [state for _, state in hook.states] == ["off", "on", "off", "on"]


async def test_a_mute_ends_with_the_flood_that_it_was_for() -> None:
    siren, hook = sounder()
    siren.hear(Level.EXCEPTIONAL)
    siren.mute()
    siren.hear(Level.NORMAL)
    siren.hear(Level.HIGH)
    await siren.once()
    assert hook.states[-1][1] == "on"


async def test_a_test_sounds_for_its_time_and_hides_no_alarm() -> None:
    siren, hook = sounder(test_s=5)
    await siren.once()
    siren.test()
    await hook.run(siren, 6)
    assert hook.states == [(0, "off"), (0, "test"), (5, "off")]
    siren.test()
    siren.hear(Level.HIGH)
    await siren.once()
    assert hook.states[-1] == (6, "on")


async def test_a_hook_that_fails_is_called_again_soon_and_at_last_every_half_minute() -> None:
    siren, hook = sounder()
    hook.fails = True
    siren.hear(Level.HIGH)
    waits = [await siren.once() for _ in range(8)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert siren.shown.why == "it hangs" and siren.shown.wanted == "on" and siren.shown.told == ""
    hook.fails = False
    await siren.once()
    assert hook.states[-1][1] == "on" and siren.shown.why == ""


async def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    program = tmp_path / "siren.sh"
    program.write_text(f"#!/bin/sh\nsleep 300 &\necho $! > {tmp_path}/child\nwait\n")
    program.chmod(0o755)
    tell = by_command(Siren(name="s", at=Level.HIGH, command=(str(program), "{state}"), within_s=1.0))
    began = time.monotonic()
    with pytest.raises(Unavailable, match="killed"):
        await tell("on", Level.HIGH)
    assert time.monotonic() - began < 15
    child = int((tmp_path / "child").read_text())

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"
        except OSError:
            return True

    await until(gone)


async def test_a_command_gets_its_words_as_they_are_without_a_shell(tmp_path: Path) -> None:
    program, out = tmp_path / "siren.sh", tmp_path / "out"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > {out}\n')
    program.chmod(0o755)
    await by_command(Siren(name="s", at=Level.HIGH, command=(str(program), "{state}", "{level}", "{siren}", "$(id); x")))("on", Level.HIGH)
    assert out.read_text() == "on|HIGH|s|$(id); x|"


async def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        await by_command(Siren(name="s", at=Level.HIGH, command=(str(tmp_path / "nothing"),)))("on", Level.HIGH)


async def test_a_time_that_utc_cannot_say_is_refused_also_while_nobody_knows_the_time(tmp_path: Path) -> None:
    async with inside(tmp_path, Time(synchronised=False)) as node:
        text = reading(START_MS, 1.0).replace(b"2025-09-02T08:00:00.000Z", b"9999-12-31T23:59:59-23:59")
        assert b"9999" in text
        taken = await node.node.take([text, reading(START_MS, 1.0)], LOGGER)
        assert [(one.index, one.reason) for one in taken.refused] == [(0, "time_future")]


async def test_a_steady_level_is_no_double_while_the_nodes_clock_stands(tmp_path: Path) -> None:
    """The clock is behind the last sure time: until somebody says the time all readings without one show that time, and yet are many."""
    now = Time(START_MS - 86_400_000, synchronised=False)
    async with inside(tmp_path, now, least_ms=START_MS) as node:
        for _ in range(3):
            await node.node.take([reading(None, 1.5)], LOGGER)
            now.pass_ms(5 * MINUTE_MS)
        now.now_ms, now.synchronised = START_MS + 86_400_000, True
        assert node.clock.look()
        await node.node.settle()
        assert len(await node.waiting()) == 3


async def test_a_siren_hears_at_once_that_the_class_is_another() -> None:
    siren, hook = sounder(again_s=600)
    siren.hear(Level.HIGH)
    await siren.once()
    siren.hear(Level.EXCEPTIONAL)
    await siren.once()
    await siren.once()
    assert [level for _, _, level in hook.told] == [Level.HIGH, Level.EXCEPTIONAL]


def test_what_a_siren_is_told_is_valid_until_it_is_told_again() -> None:
    siren = Siren(name="s", at=Level.HIGH, topic="s", again_s=60)
    assert (again_s(siren, "on"), again_s(siren, "off")) == (60, 600)


async def test_a_stop_at_the_moment_of_news_is_a_stop() -> None:
    siren, _ = sounder()
    task = asyncio.create_task(siren.run())
    await until(lambda: siren.shown.told == "off")
    siren.hear(Level.HIGH)
    task.cancel()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
