"""The outbox: what is in it, in which order it goes, what goes first when room runs short, and what a damaged card leaves."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from warning.errors import Unavailable
from warning.ingest.edge import opening
from warning.ingest.edge.opening import open_outbox
from warning.ingest.edge.outbox import Entry, NotTaken, Outbox

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
T0 = 1_756_800_000_000 // DAY_MS * DAY_MS


def opened(path: Path, boot: str = "boot-1", most_bytes: int = 50_000_000) -> Outbox:
    return Outbox(path / "outbox.db", boot, most_bytes)


def entry(at_ms: int, value: float | None = 1.0, station: str = "A", parameter: str = "stage", **more: object) -> Entry:
    return Entry(station, parameter, at_ms, value, "m", "gauge_zero", **more)  # type: ignore[arg-type]


def waiting(outbox: Outbox, most: int = 1_000_000) -> list[tuple[str, int, float | None]]:
    return [(one.station, one.time_ms, one.value) for one in outbox.next(most)]


def send_all(outbox: Outbox) -> None:
    outbox.sent([one.id for one in outbox.next(1_000_000)], (), T0)


def test_the_same_again_is_known_also_after_it_was_sent_and_after_a_restart(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    assert outbox.put([entry(T0), entry(T0), entry(T0, None, "B")], (), T0) == 2
    send_all(outbox)
    outbox.close()
    outbox = opened(tmp_path, "boot-2")
    assert outbox.put([entry(T0), entry(T0, None, "B")], (), T0) == 0
    assert waiting(outbox) == []


def test_a_revision_goes_after_what_it_revises_also_when_it_alone_is_above_a_limit(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0, 1.0), entry(T0, 6.0, above=5), entry(T0, 1.0), entry(T0 + 1, 0.0)], (), T0)
    assert [value for _, at, value in waiting(outbox) if at == T0] == [1.0, 6.0, 1.0], "the last word is the last"


def test_the_newest_of_each_series_then_floods_then_the_rest_newest_first(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0 + n * MINUTE_MS, float(n), above=4 if n in (2, 3) else 0) for n in range(6)], (), T0)
    outbox.put([entry(T0 - n * DAY_MS, float(n), "B") for n in range(3)], (), T0)
    order = waiting(outbox)
    assert order[:2] == [("A", T0 + 5 * MINUTE_MS, 5.0), ("B", T0, 0.0)]
    assert [value for _, _, value in order[2:4]] == [3.0, 2.0]
    assert [at for _, at, _ in order[4:]] == sorted((at for _, at, _ in order[4:]), reverse=True)
    assert waiting(outbox, 3) == order[:3]


def test_what_the_gateway_refused_is_kept_with_its_reason_and_can_be_offered_again(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0), entry(T0 + 1)], (), T0)
    first, second = outbox.next(2)
    outbox.sent([first.id], [(second.id, NotTaken("station_unknown", "station", "no station A", "fix", b"{...}", "gateway", True))], T0)
    assert waiting(outbox) == [] and outbox.counts().refused == 1
    assert outbox.newest_refused(5)[0][3] == "station_unknown"
    assert outbox.again(lambda source: entry(T0) if source == b"{...}" else None) == 1
    assert waiting(outbox) == [("A", T0, 1.0)] and outbox.counts().refused == 0


def test_readings_without_a_sure_time_wait_for_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0 - 9 * DAY_MS, boot_ms=5_000), entry(T0)], (), T0)
    assert waiting(outbox) == [("A", T0, 1.0)] and outbox.counts().unsure == 1
    assert outbox.settle(T0) == 1
    assert waiting(outbox) == [("A", T0 + 5_000, 1.0), ("A", T0, 1.0)]


def test_those_of_a_boot_that_ended_unsure_are_kept_counted_and_not_sent(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0, boot_ms=5_000)], (), T0)
    outbox.close()
    outbox = opened(tmp_path, "boot-2")
    assert outbox.settle(T0) == 0 and waiting(outbox) == []
    assert (outbox.counts().undated, outbox.counts().unsure) == (1, 0)


def test_a_restart_in_the_same_boot_can_still_date_them(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0, boot_ms=5_000)], (), T0)
    outbox.close()
    assert opened(tmp_path).settle(T0) == 1


# --- when room runs short


def filled(tmp_path: Path, most_bytes: int) -> Outbox:
    """Forty days of A at five minutes with a flood of a day in the middle, of rain, and of B, which is short."""
    outbox = opened(tmp_path, most_bytes=most_bytes)
    for day in range(40):
        at = [T0 + day * DAY_MS + n * 5 * MINUTE_MS for n in range(288)]
        flood = day == 20
        stages = [entry(one, 4.5 + n % 12 / 100 if flood else 1.0 + n % 12 / 100, above=3 if flood else 0) for n, one in enumerate(at)]
        outbox.put(stages + [entry(one, 0.2, parameter="rain", last=True) for one in at], (), T0)
    outbox.put([entry(T0 - 90 * DAY_MS, 7.0, "B")], (), T0)
    return outbox


def kept(outbox: Outbox, parameter: str, begin_ms: int, end_ms: int) -> list[tuple[int, float | None]]:
    return sorted(
        (one.time_ms, one.value) for one in outbox.next(1_000_000) if one.parameter == parameter and begin_ms <= one.time_ms < end_ms
    )


def test_thinning_takes_history_first_and_keeps_the_highest_of_each_hour(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 50_000_000)
    before, used = len(waiting(outbox)), outbox.used_bytes
    outbox.close()
    outbox = opened(tmp_path, most_bytes=used * 8 // 10)
    lost = outbox.tidy()
    assert outbox.used_bytes <= used * 8 // 10
    assert lost == before - len(waiting(outbox)) == outbox.counts().thinned
    assert {rule for _, rule, *_ in outbox.thinned()} == {"hourly"}
    assert len(kept(outbox, "rain", 0, T0 * 2)) == 40 * 288, "sums of rain cannot be thinned"
    assert len(kept(outbox, "stage", T0 + 20 * DAY_MS, T0 + 21 * DAY_MS)) == 288, "above a limit all stay"
    assert len(kept(outbox, "stage", T0 + 39 * DAY_MS, T0 + 40 * DAY_MS)) == 288, "the last day stays"
    first_hour = kept(outbox, "stage", T0, T0 + HOUR_MS)
    assert first_hour == [(T0 + 55 * MINUTE_MS, 1.11)]
    assert ("B", T0 - 90 * DAY_MS, 7.0) in waiting(outbox), "the newest of each series stays, however old"


def test_with_less_and_less_room_the_rules_go_on_in_their_order(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 50_000_000)
    used = outbox.used_bytes
    outbox.close()
    outbox = opened(tmp_path, most_bytes=used // 4)
    lost = outbox.tidy()
    assert outbox.used_bytes <= used // 4
    assert lost == outbox.counts().thinned
    rules = {rule for _, rule, *_ in outbox.thinned()}
    assert rules == {"hourly", "six_hourly", "flood_hourly", "oldest", "oldest_rain"}
    newest = {(station, parameter) for station, parameter, _ in [(one.station, one.parameter, 0) for one in outbox.next(3)]}
    assert newest == {("A", "stage"), ("A", "rain"), ("B", "stage")}


def test_what_is_sent_goes_before_anything_is_lost(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 50_000_000)
    used = outbox.used_bytes
    send_all(outbox)
    outbox.put([entry(T0 + 50 * DAY_MS)], (), T0)
    outbox.close()
    outbox = opened(tmp_path, most_bytes=used // 2)
    assert outbox.tidy() == 0 and outbox.counts().thinned == 0
    assert outbox.used_bytes <= used // 2
    assert waiting(outbox) == [("A", T0 + 50 * DAY_MS, 1.0)]


def test_an_outbox_at_its_end_makes_room_by_itself_and_says_how_much_it_cost(tmp_path: Path) -> None:
    """SQLite says full in the middle of a transaction: what has come meanwhile is in all the same."""
    outbox = opened(tmp_path, most_bytes=2_000_000)
    put = 0
    for day in range(60):
        put += outbox.put([entry(T0 + day * DAY_MS + n * 5 * MINUTE_MS, float(n)) for n in range(288)], (), T0)
        assert waiting(outbox, 1) == [("A", T0 + day * DAY_MS + 287 * 5 * MINUTE_MS, 287.0)]
    counts = outbox.counts()
    assert counts.thinned > 0 and counts.waiting + counts.thinned == put == 60 * 288
    assert (tmp_path / "outbox.db").stat().st_size <= 2_200_000 + 4096


def test_a_node_that_never_learns_the_time_fills_its_share_and_goes_on(tmp_path: Path) -> None:
    outbox, put = opened(tmp_path, most_bytes=2_000_000), 0
    for day in range(60):
        put += outbox.put([entry(T0 + day * DAY_MS + n, float(n), boot_ms=day * DAY_MS + n) for n in range(288)], (), T0)
    counts = outbox.counts()
    assert counts.unsure + counts.thinned == put and counts.thinned > 0
    assert {rule for _, rule, *_ in outbox.thinned()} == {"oldest_unsure"}
    outbox.settle(T0)
    assert waiting(outbox, 1) == [("A", T0 + 59 * DAY_MS + 287, 287.0)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("to mount a small disk takes root (CAP_SYS_ADMIN)")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_somebody_else_has_filled_takes_what_comes_all_the_same(small_disk: Path) -> None:
    """Its share is larger than what there is: room is made inside its own file, and its log never holds what the file could not."""
    outbox, put = opened(small_disk), 0

    def day(number: int) -> int:
        return outbox.put([entry(T0 + number * DAY_MS + n * 5 * MINUTE_MS, float(n)) for n in range(288)], (), T0)

    put += sum(day(number) for number in range(60))
    with suppress(OSError), (small_disk / "log").open("wb") as log:
        while True:
            log.write(bytes(4096))
            log.flush()
    put += sum(day(number) for number in range(60, 90))
    counts = outbox.counts()
    assert counts.waiting + counts.thinned == put == 90 * 288 and counts.thinned > 0
    assert waiting(outbox, 1) == [("A", T0 + 89 * DAY_MS + 287 * 5 * MINUTE_MS, 287.0)]
    assert outbox.damage() == ""
    outbox.close()
    assert len(waiting(opened(small_disk, "boot-2"))) == counts.waiting


def test_a_disk_without_room_is_unavailable_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0)], (), T0)
    outbox._database.execute(f"PRAGMA max_page_count={outbox._database.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(Unavailable) as told:
        outbox.put([entry(T0 + n) for n in range(1, 5000)], (), T0)
    assert told.value.retryable and told.value.reason == "outbox"
    assert waiting(outbox) == [("A", T0, 1.0)], "all or none"
    assert not (tmp_path / "outbox.ballast").exists(), "its ballast was given up"


# --- what a power cut or a dying card leaves


def damaged(path: Path, begin: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(os.urandom(length))


@pytest.mark.parametrize("begin", [0, 20, 4096, 3 * 4096, 100 * 4096, 180 * 4096])
def test_a_damaged_outbox_is_moved_aside_what_can_be_read_is_taken_over(tmp_path: Path, begin: int) -> None:
    path = tmp_path / "outbox.db"
    outbox = opened(tmp_path)
    for n in range(20):
        outbox.put([entry(T0 + (n * 500 + k) * MINUTE_MS, float(k)) for k in range(500)], (), T0)
    outbox.close()
    sent = {("A", T0 + n * MINUTE_MS) for n in range(10_000)}
    assert path.stat().st_size > 200 * 4096
    damaged(path, begin, 4096)
    outbox = open_outbox(path, "boot-2", 50_000_000, T0)
    found = {(station, at) for station, at, _ in waiting(outbox)}
    aside = [one for one in tmp_path.glob("outbox.db.broken-*") if not one.name.endswith(("-wal", "-shm"))]
    assert len(aside) == 1
    assert found <= sent, "nothing is invented"
    if begin >= 100 * 4096:
        assert len(found) > 9_000, "one page is not all"
    assert outbox.newest_refused(1)[0][3] == "outbox_damaged"
    assert outbox.put([entry(T0 - 1)], (), T0) == 1


def test_a_file_that_is_no_database_at_all(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"the card's other half" * 1000)
    outbox = open_outbox(tmp_path / "outbox.db", "boot-1", 50_000_000, T0)
    assert outbox.put([entry(T0)], (), T0) == 1


def test_only_so_many_damaged_files_stay(tmp_path: Path) -> None:
    for n in range(6):
        (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
        open_outbox(tmp_path / "outbox.db", "boot-1", 50_000_000, T0 + n).close()
    assert sorted(one.name for one in tmp_path.glob("outbox.db.broken-*")) == [f"outbox.db.broken-{T0 + n}" for n in (3, 4, 5)]


def test_a_disk_that_cannot_be_opened_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").mkdir()
    with pytest.raises(sqlite3.OperationalError):
        open_outbox(tmp_path / "outbox.db", "boot-1", 50_000_000, T0)


def test_the_same_number_in_another_unit_or_datum_is_a_revision(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    feet = Entry("A", "stage", T0, 1.0, "ft", "gauge_zero")
    above_sea = Entry("A", "stage", T0, 1.0, "m", "msl")
    assert outbox.put([entry(T0), feet, feet, above_sea, entry(T0)], (), T0) == 4
    assert [(one.unit, one.datum) for one in outbox.next(9)] == [
        ("m", "gauge_zero"),
        ("ft", "gauge_zero"),
        ("m", "msl"),
        ("m", "gauge_zero"),
    ]


def test_what_was_no_reading_goes_before_any_reading_is_lost(tmp_path: Path) -> None:
    """A sensor that sends 16 KB of nonsense again and again."""
    outbox = opened(tmp_path, most_bytes=2_000_000)
    outbox.put([entry(T0 + n * 5 * MINUTE_MS, float(n)) for n in range(2000)], (), T0)
    nonsense = NotTaken("not_json", "", "no JSON", "JSON", b"x" * 16_000, "logger")
    upstream = NotTaken("station_unknown", "station", "no A", "mend", b"{}", "gateway", upstream=True)
    outbox.put((), [upstream], T0)
    lost = 0
    for n in range(30):
        outbox.put((), [nonsense] * 10, T0 + n)
        lost += outbox.tidy()
    counts = outbox.counts()
    assert counts.waiting == 2000 and outbox.used_bytes <= 2_000_000
    assert [(rule, count) for _, rule, count, *_ in outbox.thinned()] == [("refused", 301 - counts.refused)]
    assert lost <= counts.thinned, "the rest went while it was put in"
    assert outbox.again(lambda source: entry(T0 - 1)) == 1, "what the gateway refused is still there"


def test_text_that_has_lost_bits_stops_nothing(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.put([entry(T0), entry(T0 + 1)], (), T0)
    with sqlite3.connect(tmp_path / "outbox.db") as other:
        other.execute("UPDATE readings SET unit = CAST(x'ff' AS TEXT) WHERE time_ms = ?", (T0,))
    assert [(one.time_ms, one.unit) for one in outbox.next(9)] == [(T0 + 1, "m"), (T0, "\N{REPLACEMENT CHARACTER}")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 readings and revisions of the last one; the class that stood; one that waits for the time; and a damaged page."""
    folder = tmp_path_factory.mktemp("made")
    outbox = opened(folder)
    outbox.put([entry(T0 + n * MINUTE_MS, float(n % 500)) for n in range(10_000)], (), T0)
    last = T0 + 9_999 * MINUTE_MS
    outbox.put([entry(last, 5.0), entry(last, 6.0), entry(T0, 9.0, "B", boot_ms=5_000)], (), T0, {"levels": "{}"})
    outbox.close()
    damaged(folder / "outbox.db", 180 * 4096, 4096)
    return folder / "outbox.db"


@pytest.fixture
def with_damage(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "outbox.db"))


def test_of_a_damaged_outbox_also_what_is_remembered_and_what_can_still_be_dated_is_taken_over(with_damage: Path, tmp_path: Path) -> None:
    outbox = open_outbox(with_damage, "boot-1", 50_000_000, T0)
    assert outbox.remembered("levels") == "{}"
    last = T0 + 9_999 * MINUTE_MS
    assert [value for _, at, value in waiting(outbox) if at == last] == [499.0, 5.0, 6.0], "in their order, behind the damage too"
    assert outbox.settle(T0 - DAY_MS) == 1
    assert {one.name for one in tmp_path.iterdir() if "broken" not in one.name} <= {
        "outbox.db",
        "outbox.db-wal",
        "outbox.db-shm",
        "outbox.ballast",
    }


@pytest.mark.parametrize("step", [2, 3, 4, 5])
def test_a_power_cut_while_a_damaged_outbox_is_replaced_loses_nothing(
    with_damage: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = with_damage, [0]

    class PowerCut(BaseException):
        pass

    def cut(work: Any) -> Any:
        def or_not(*given: Any, **named: Any) -> Any:
            done[0] += 1
            if done[0] == step + 1:
                raise PowerCut
            return work(*given, **named)

        return or_not

    with monkeypatch.context() as patched, suppress(PowerCut):
        patched.setattr(Path, "replace", cut(Path.replace))
        patched.setattr(opening, "_copied", cut(opening._copied))
        patched.setattr(opening, "_take_over", cut(opening._take_over))
        open_outbox(path, "boot-2", 50_000_000, T0).close()
    outbox = open_outbox(path, "boot-2", 50_000_000, T0 - 1)
    assert len(waiting(outbox)) > 9_000 and outbox.damage() == ""
    assert outbox.newest_refused(1)[0][3] == "outbox_damaged"


def test_a_clock_that_was_set_back_does_not_make_the_damaged_file_the_oldest(with_damage: Path, tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"outbox.db.broken-{T0 + n}").write_bytes(b"")
    outbox = open_outbox(with_damage, "boot-1", 50_000_000, T0 - DAY_MS)
    assert len(waiting(outbox)) > 9_000 and (tmp_path / f"outbox.db.broken-{T0 - DAY_MS}").exists()
