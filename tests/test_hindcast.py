"""``warning hindcast`` on the Kelani in November 2025, and on folders that hold nothing but limits."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from warning import cli, config_limits, wiring_hindcast
from warning.errors import ConfigError, InputError
from warning.model import Level
from warning.science.verify import Judged
from warning.verification import figures, official
from warning.verification.assessment import assess
from warning.verification.observed import tracks
from warning.verification.said import LEVELS, Said

CONFIG = Path(__file__).parent.parent / "config" / "sri-lanka"
FLOOD = CONFIG / "replays" / "ditwah-2025.csv"
OFFICIAL = CONFIG / "official-2025.csv"
KELANI = ("DERANIYAGALA", "HOLOMBUWA", "GLENCOURSE")
Row = dict[str, str]


def rows(stations: tuple[str, ...], begin: str, end: str) -> list[Row]:
    with FLOOD.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["station"] in stations and begin <= row["time"] < end]


def table(path: Path, each: list[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(each[0]))
        writer.writeheader()
        writer.writerows(each)
    return path


@pytest.fixture(scope="module")
def kelani(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three gauges on one river for two and a half days, their major floods in the middle."""
    return table(tmp_path_factory.mktemp("kelani") / "readings.csv", rows(KELANI, "2025-11-26T18", "2025-11-29T00"))


def hand_made(folder: Path) -> Path:
    """A folder with a table of limits, and nothing else."""
    folder.mkdir()
    lines = {"DERANIYAGALA": "4.8,5.8,6.4", "HOLOMBUWA": "3.0,3.4,5.0", "GLENCOURSE": "15.0,16.5,19.0"}
    text = "station,quantity,unit,alert,minor,major\n" + "".join(f"{station},stage,m,{limits}\n" for station, limits in lines.items())
    (folder / "limits.csv").write_text(text)
    return folder


def with_places(folder: Path) -> Path:
    """With rivers, positions and who lies downstream too."""
    folder = hand_made(folder)
    (folder / "stations.csv").write_text(
        "station,name,river,lat,lon\nDERANIYAGALA,Deraniyagala,Seethawaka Ganga,6.926,80.339\n"
        "HOLOMBUWA,Holombuwa,Gurugoda Oya,7.189,80.274\nGLENCOURSE,Glencourse,Kelani Ganga,6.976,80.187\n"
    )
    (folder / "reaches.csv").write_text("upstream,downstream\nDERANIYAGALA,GLENCOURSE\nHOLOMBUWA,GLENCOURSE\n")
    (folder / "official.csv").write_text(
        "river,time,level\nKelani Ganga,2025-11-27T18:00:00+05:30,\nKelani Ganga,2025-11-28T06:00:00+05:30,major\n"
    )
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    def called(*arguments: object) -> tuple[int, str, str]:
        try:
            cli.main([str(each) for each in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        else:
            code = 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    yield called


@pytest.fixture(scope="module")
def whole(kelani: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(folder with figures, page and JSON; what was printed) of the command over the configured region."""
    folder = tmp_path_factory.mktemp("out")
    region = with_places(folder / "kelani")
    asked = ("hindcast", str(region), "--readings", str(kelani), "--official", str(region / "official.csv"), "--out", str(folder), "--json")
    with pytest.MonkeyPatch.context() as patch:
        printed: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: printed.append(" ".join(map(str, words))))
        with pytest.raises(SystemExit) as ended:
            cli.main([*asked, str(folder / "figures.json")])
    assert not ended.value.code
    return folder, "\n".join(printed)


def test_the_command_judges_every_class(whole: tuple[Path, str]) -> None:
    folder, printed = whole
    document = json.loads((folder / "figures.json").read_text())
    figures = document["figures"]
    assert figures["events_major"] == figures["events_high"] == 3 and figures["events_minor"] == figures["events_medium"] == 3
    for name in ("major", "minor", "low", "medium", "high"):
        for figure in ("events", "far", "timely_csi_3h", "timely_csi_6h", "timely_csi_1h", "timely_csi_12h", "timely_csi_24h", "pod"):
            assert 0 <= figures[f"{figure}_{name}"] <= (1000 if figure == "events" else 1), (figure, name)
        assert figures[f"timely_csi_3h_{name}_low"] <= figures[f"timely_csi_3h_{name}"] <= figures[f"timely_csi_3h_{name}_high"]
        assert f"timely_csi_6h_{name}_less_straight_line_6_h_low" in figures
    assert {"brier_skill_climatology", "brier_6h"} <= set(figures)
    threshold = document["classes"]["HIGH"]["methods"]["threshold"]
    assert (threshold["pod"], threshold["far"], threshold["csi"]) == (1.0, 0.0, 1.0)
    assert len(document["classes"]["HIGH"]["events"]) == 3
    assert "Major (HIGH): 3 gauges" in printed and "straight line 10 h" in printed and "authorities" in printed


@pytest.mark.parametrize(
    ("every_s", "lead_h", "hours"), [(600, 3, (-48, 48)), (86_400, -1, (-144, 144)), (86_400, 216, (-216, 144)), (600, 60, (-60, 48))]
)
def test_a_hydrograph_shows_readings_around_the_crossing_and_our_alert(every_s: int, lead_h: int, hours: tuple[int, int]) -> None:
    """Sukkur 2025, read every few days and warned of nine days ahead: its picture had a single point, and no alert."""
    time_s = np.arange(0, 40 * 86_400, every_s)
    crossed = 20 * 86_400
    none = np.zeros(0, np.int64)
    judged = Judged(np.array([crossed]), np.array([lead_h * 3600]), none, none.astype(bool))
    assert figures.stretch(time_s, judged) == (crossed + hours[0] * 3600, crossed + hours[1] * 3600)


def test_figures_and_the_page(whole: tuple[Path, str]) -> None:
    folder, _ = whole
    pictures = {path.name for path in folder.glob("*.png")}
    assert {"timely-csi.png", "lead-times.png", "reliability.png", "map.png", "hydrograph-GLENCOURSE.png"} <= pictures
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 8_000 for path in folder.glob("*.png"))
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("<img alt=") == len(pictures) == page.count("data:image/png;base64,")
    assert "http://" not in page and "https://" not in page and 'src="data:' in page
    assert "Hindcast: kelani" in page and "Against the authorities" in page


def test_removing_the_future_changes_nothing(kelani: Path, tmp_path: Path) -> None:
    found = wiring_hindcast.history(str(with_places(tmp_path / "kelani")), kelani)
    early = found.readings[: 2 * len(found.readings) // 3]
    cut_s = early[-1].time_ms // 1000

    def said(readings: tuple) -> dict[str, list[object]]:  # type: ignore[type-arg]
        heard = wiring_hindcast.listen(found.region, readings, lambda *_: None, len(readings))
        return {
            zone: [
                [(at_s, rank) for at_s, rank in zip(one.at_s, one.rank, strict=True) if at_s <= cut_s],
                [(each.at_s, each.value, each.lead_h.tolist(), each.quantiles.tolist()) for each in one.issues if each.at_s <= cut_s],
            ]
            for zone, one in heard.zones.items()
            if zone in KELANI
        }

    with_future, without = said(found.readings), said(early)
    assert str(with_future) == str(without)  # as text: NaN is not equal to itself
    assert any(rank >= Level.MEDIUM.rank for times, _ in without.values() for _, rank in times)  # there was something to warn of by then


def test_a_folder_of_limits_is_enough(tmp_path: Path, kelani: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    folder = hand_made(tmp_path / "kelani")
    code, printed, errors = command("hindcast", folder, "--readings", kelani, "--json", tmp_path / "a.json")
    assert code == 0, errors
    figures = json.loads((tmp_path / "a.json").read_text())["figures"]
    assert figures["events_major"] == 3 and figures["events_minor"] == 3 and figures["pod_major"] == 1.0
    assert "Major (HIGH): 3 gauges" in printed
    assert "the built-in model was trained on floods of 3 of these gauges" in errors
    # together with itself: twice the events
    code, printed, errors = command("hindcast", folder, "--readings", kelani, "--pool", tmp_path / "a.json", "--json", tmp_path / "b.json")
    assert code == 0, errors
    pooled = json.loads((tmp_path / "b.json").read_text())["figures"]
    assert (pooled["pooled_sets"], pooled["pooled_events_major"], pooled["pooled_events_all"]) == (2, 6, 12)
    one = figures["timely_csi_3h_major_less_straight_line_3_h"]
    assert pooled["pooled_timely_csi_3h_major_less_straight_line_3_h"] == pytest.approx(one)
    assert "2 hindcasts together" in printed


def test_readings_every_three_hours(tmp_path: Path) -> None:
    folder = hand_made(tmp_path / "thinned")
    kept: list[Row] = []
    last: dict[str, int] = {}
    for row in rows(KELANI, "2025-11-26T18", "2025-11-29T00"):
        slot = int(row["time"][8:10]) * 8 + int(row["time"][11:13]) // 3
        if last.get(row["station"]) != slot:
            kept.append(row)
            last[row["station"]] = slot
    file = table(tmp_path / "thinned.csv", kept)
    done = wiring_hindcast.hindcast(wiring_hindcast.Asked(str(folder), file), lambda *_: None)
    assert len(kept) < 80
    assert {one.silent_after_s for one in done.assessment.region.stations} == {9 * 3600}  # three of its readings
    figures = done.document["figures"]
    assert figures["events_major"] == 3 and figures["pod_major"] == 1.0
    assert not any("silent_after_h" in note for note in done.notes)
    # whoever says that it is silent after two of them hears that nothing confirms it
    (folder / "stations.csv").write_text("station,silent_after_h\nGLENCOURSE,2\nHOLOMBUWA,4\n")
    (note,) = wiring_hindcast._seldom(wiring_hindcast.history(str(folder), file))
    steps = sum(row["station"] == "GLENCOURSE" for row in kept) - 1
    assert note.startswith(f"read later than silent_after_h says: GLENCOURSE ({steps} of {steps} times); such a reading confirms none")


def test_four_classes_and_names_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "tx").mkdir()
    (tmp_path / "tx" / "limits.csv").write_text(
        "station,unit,action,minor,moderate,major\nFrio River at Concan,ft,7,11,12,15\n08190500,ft,9,9,17,18\n"
    )
    (tmp_path / "tx" / "reaches.csv").write_text("upstream,downstream,lag_h\nFrio River at Concan,08190500,8\n")
    lines = [
        f"{name},stage,2026-07-16T{hour:02}:00:00Z,{4 + hour},ft" for hour in range(20) for name in ("Frio River at Concan", "08190500")
    ]
    (tmp_path / "r.csv").write_text(
        "station,parameter,time,value,unit\n" + "\n".join([*lines, "ELSEWHERE,stage,2026-07-16T00:00:00Z,1,ft"])
    )
    found = wiring_hindcast.history(str(tmp_path / "tx"), tmp_path / "r.csv")
    frio, nueces = found.region.zones
    assert frio.limits.values[Level.VERY_HIGH] == pytest.approx(15 * 0.3048) and frio.names["en"] == "Frio River at Concan"
    assert [(one.upstream, one.downstream) for one in found.region.reaches] == [(frio.id, nueces.id)]
    assert found.region.basins == {frio.basin: 0} and frio.basin == nueces.basin
    assert found.refused == {"station_unknown": 1} and any("ELSEWHERE" in note for note in found.notes)
    listener = wiring_hindcast.listen(found.region, found.readings, lambda *_: None, len(found.readings))
    judged = assess(found.region, tracks(found.region, found.readings), listener.zones, found.made.equal)
    events = {each.name: each.skill["ours"].events for each in judged.classes}
    assert events == {"Action": 2, "Minor": 2, "Moderate": 2, "Major": 2}  # the gauge whose action level is its minor level counts in both


def test_a_silent_station_is_judged_by_what_was_said_from_above(tmp_path: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "limits.csv").write_text(
        "station,quantity,unit,minor,major\nUP,discharge,m3/s,900,1500\nLOW,discharge,m3/s,900,1500\n"
    )
    (tmp_path / "two" / "reaches.csv").write_text("upstream,downstream,travel_h\nUP,LOW,8\n")
    flow = [100 * (4 + max(0, min(hour, 40 - hour))) for hour in range(40)]
    lines = [f"UP,discharge,2026-07-{16 + hour // 24}T{hour % 24:02}:00:00Z,{value},m3/s" for hour, value in enumerate(flow)]
    lines += [f"LOW,discharge,2026-07-{16 + (hour + 8) // 24}T{(hour + 8) % 24:02}:00:00Z,{value},m3/s" for hour, value in enumerate(flow)]
    (tmp_path / "r.csv").write_text("\n".join(["station,parameter,time,value,unit", *lines]))
    asked = ("hindcast", tmp_path / "two", "--readings", tmp_path / "r.csv", "--silent")
    code, _, errors = command(*asked, "LOW", "--json", tmp_path / "a.json")
    assert code == 0, errors
    document = json.loads((tmp_path / "a.json").read_text())
    leads = {one["station"]: one["lead_h"] for one in document["classes"]["HIGH"]["events"]}
    assert document["silent"] == ["LOW"] and leads.keys() == {"UP", "LOW"}, "it is judged by the readings that nobody heard"
    assert 3 <= leads["LOW"] <= 8, "from what passed above eight hours before, weakened on the way"
    code, _, errors = command(*asked, "LOWER")
    assert code == 78 and "--silent LOWER" in errors and "LOW, UP" in errors
    code, _, errors = command(*asked, "LOW", "--silent", "UP")
    assert code == 78 and "nothing is left" in errors


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("station,unit,minor,major\nA,m,3,2\n", "limit 2 of HIGH is below 3 of MEDIUM"),
        ("station,unit,minor,high\nA,m,3,4\n", "classes of two tables are mixed"),
        ("station,unit,minor,wide\nA,m,3,4\n", "unknown columns wide"),
        ("station,minor,major\nA,3,4\n", "no unit"),
        ("station,unit,minor,major\nA,furlong,3,4\n", "furlong"),
        ("station,unit,minor,major\nA,m,3,four\n", "'four'"),
        ("station,unit,minor,major\nA,m,3\n", "3 cells under 4 columns"),
        ("station,unit,minor,major\nA,m,3,4\nA,m,3,4\n", "twice"),
        ("station,unit,minor,major\n", "no limit at all"),
    ],
)
def test_a_table_of_limits_that_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "limits.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        config_limits.read_limits(path)
    assert what in str(error.value.problems[0])


def test_other_limits_for_a_configured_region(tmp_path: Path, kelani: Path) -> None:
    path = tmp_path / "limits.csv"
    path.write_text("station,unit,alert,minor,major\nGLENCOURSE,m,15,16.5,30\n")
    found = wiring_hindcast.history("sri-lanka", kelani, path)
    plain = wiring_hindcast.history("sri-lanka", kelani)
    assert found.region.zone_by_id["GLENCOURSE"].limits.values[Level.HIGH] == 30
    assert found.region.zone_by_id["HOLOMBUWA"] == plain.region.zone_by_id["HOLOMBUWA"]
    assert found.region.digest != plain.region.digest
    path.write_text("station,unit,alert,minor,major\nNOWHERE,m,15,16.5,30\n")
    with pytest.raises(ConfigError) as error:
        wiring_hindcast.history("sri-lanka", kelani, path)
    assert "NOWHERE" in str(error.value.problems[0])


def test_files_that_are_wrong(tmp_path: Path, command: Callable[..., tuple[int, str, str]], kelani: Path) -> None:
    code, _, errors = command("hindcast", "sri-lanka", "--readings", tmp_path / "none.csv")
    assert code != 0 and "none.csv" in errors
    code, _, errors = command("hindcast", tmp_path / "nowhere", "--readings", kelani)
    assert code == 78 and "nowhere" in errors
    (tmp_path / "empty.csv").write_text("station,parameter,time,value,unit\nX,stage,2025-01-01T00:00:00Z,1,m\n")
    with pytest.raises(InputError, match="no reading of a gauge"):
        wiring_hindcast.history("sri-lanka", tmp_path / "empty.csv")
    (tmp_path / "pool.json").write_text("{}")
    code, _, errors = command("hindcast", "sri-lanka", "--readings", kelani, "--pool", tmp_path / "pool.json")
    assert code == 78 and "no JSON of a hindcast" in errors


# --- the authorities


def test_the_37_warnings_of_the_authorities() -> None:
    region = wiring_hindcast.config.load("sri-lanka")
    found = official.read(OFFICIAL, region)
    assert len(found) == 37 and sum(not one.zones for one in found) == 8
    kuda = next(one for one in found if one.where == "Kuda Ganga")
    assert kuda.zones == {"KALAWELLAWA"} and kuda.level is None and kuda.says(Level.EXCEPTIONAL)
    assert sum(one.level is Level.HIGH for one in found) == 3


def test_how_sure_it_is_that_we_were_earlier() -> None:
    """The median of five events drawn again and again: between the least and the greatest, and certain where all are alike."""
    low, high = official._median_between(np.array([-7.0, -1.0, 2.0, 3.0, 40.0]))
    assert -7.0 <= low <= -1.0 < 2.0 < high <= 40.0
    assert official._median_between(np.full(12, -7.5)) == (-7.5, -7.5)
    assert all(math.isnan(value) for value in official._median_between(np.zeros(0)))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("kelani,2025-11-27T18:00:00+05:30,", "'kelani' is nowhere"),
        ("Kelani Ganga,2025-11-27T18:00:00,", "no offset"),
        ("Kelani Ganga,yesterday,", "'yesterday'"),
        ("Kelani Ganga,2025-11-27T18:00:00Z,huge", "'huge'"),
        (",2025-11-27T18:00:00Z,", "no river"),
    ],
)
def test_warnings_that_are_wrong(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "official.csv"
    path.write_text(f"river,time,level\n{line}\n")
    with pytest.raises(ConfigError) as error:
        official.read(path, wiring_hindcast.config.load("sri-lanka"))
    assert what in str(error.value.problems[0])


# --- what is taken from hazards


class Told:
    def __init__(
        self, at_s: int, confirmed: str, expected: str, silent: bool = False, cleared: str = "NORMAL", keep: str = "NORMAL"
    ) -> None:
        self.at_ms, self.level_confirmed, self.level_expected = at_s * 1000, confirmed, expected
        self.level_cleared, self.level_expected_cleared = cleared, keep
        self.silent_since_ms = 1 if silent else None
        self.observed_ms, self.value, self.forecast = at_s * 1000, 1.0, None


def test_silence_ends_no_alert() -> None:
    said = Said()
    for told in (
        Told(0, "NORMAL", "NORMAL"),
        Told(600, "NORMAL", "HIGH"),
        Told(1200, "UNKNOWN", "NORMAL", True),
        Told(1800, "LOW", "NORMAL"),
    ):
        said.take(told)
    assert said.rank == [0, 3, 3, 1]
    found = said.alerts(Level.HIGH)
    assert (found.start.tolist(), found.end.tolist()) == ([600], [1200])
    assert len(said.issues) == 1 and said.issues[0].quantiles.shape == (0, len(LEVELS))


def test_an_alert_stands_as_long_as_what_keeps_it_alive() -> None:
    said = Said()
    for told in (
        Told(0, "NORMAL", "NORMAL", keep="HIGH"),  # what keeps one alive raises none
        Told(600, "NORMAL", "MEDIUM", keep="HIGH"),
        Told(1200, "NORMAL", "NORMAL", keep="HIGH"),
        Told(1800, "NORMAL", "NORMAL", cleared="LOW"),
        Told(2400, "NORMAL", "NORMAL", cleared="NORMAL"),
        Told(3000, "NORMAL", "NORMAL", cleared="LOW"),
    ):
        said.take(told)
    assert said.rank == [0, 2, 2, 1, 0, 0]


def test_a_river_that_is_left_out_is_judged_with_the_gauges_beside_it(tmp_path: Path) -> None:
    """Those of its partition speak live, of other rivers too, and a forecast looks at them; those of other partitions it never hears."""
    four = rows(("HANWELLA", "DUNAMALE", "RATHNAPURA", "PERADENIYA"), "2025-11-27T00", "2025-11-27T12")  # Kalu: partition 1, Mahaweli: 2
    found = wiring_hindcast.history(str(CONFIG), table(tmp_path / "four.csv", four))
    kept = wiring_hindcast.beside(found.region, found.readings, {"HANWELLA"})
    assert {reading.station for reading in kept} == {"HANWELLA", "DUNAMALE"}  # Kelani and Aththanagalu: partition 0
    assert kept == tuple(reading for reading in found.readings if reading in kept) and len(kept) > 20
