"""``warning pull`` as a command and as a process, and ``sources.yaml``: everything that is wrong with it at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from ingest_house import deployment, records
from pytest_httpserver import HTTPServer
from regions import write_region
from services import free_port
from typer.testing import CliRunner

from warning import config, config_sources, wiring_up
from warning.cli import app
from warning.deployment import Deployment
from warning.errors import ConfigError
from warning.stream.broker import EmbeddedBroker, end_with_parent
from warning.stream.topics import ensure_topics
from warning.wiring_environment import to_environment

ROOT = Path(__file__).parent.parent
SOURCES = """\
sources:
  ministry:
    agency: dmc-lk
    url: URL/bulletin.json
    reach: loopback
    every: 1 min
    stations: {Hanwella: A, Peradeniya: B}
"""


def bulletin(at_s: float) -> str:
    names = [("Hanwella", 6.27), ("Peradeniya", 9.53), ("Elsewhere", 1.0)]
    rows = [{"gauging_station_name": name, "time_ut": at_s, "current_water_level": level, "remarks": "Normal"} for name, level in names]
    return json.dumps({"d_list": rows})


@pytest.fixture
def folder(tmp_path: Path, httpserver: HTTPServer) -> Path:
    folder = write_region(tmp_path)
    (folder / "sources.yaml").write_text(SOURCES.replace("URL", httpserver.url_for("").rstrip("/")))
    httpserver.expect_request("/bulletin.json").respond_with_data(bulletin(time.time() // 60 * 60 - 900))
    return folder


def test_a_dry_run_shows_what_is_understood_and_writes_nothing(folder: Path) -> None:
    done = CliRunner().invoke(app, ["pull", str(folder), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "ministry: 2 readings" in done.output and "6.27 m" in done.output and "9.53 m" in done.output
    assert "Elsewhere water_level" in done.output
    assert not list(folder.parent.glob("*.db"))


def test_a_dry_run_of_a_changed_format_says_so_and_fails(folder: Path, httpserver: HTTPServer) -> None:
    httpserver.clear()
    httpserver.expect_request("/bulletin.json").respond_with_data('{"levels": []}')
    done = CliRunner().invoke(app, ["pull", str(folder), "--dry-run"])
    assert done.exit_code == 1
    assert "nothing stands where item should be (whole.d_list)" in done.output


def prepared(broker: EmbeddedBroker, folder: Path) -> Deployment:
    place = replace(deployment(broker.bootstrap, folder.parent), pull_metrics_port=free_port())
    asyncio.run(ensure_topics(place, config.load(folder).partitions))
    return place


def values(place: Deployment) -> list[tuple[str, float]]:
    found = [json.loads(value) for _, value in asyncio.run(records(place.bootstrap, place.readings, 0))]
    return [(one["station"], one["value"]) for one in found]


def test_once_takes_what_there_is_and_again_is_no_harm(broker: EmbeddedBroker, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = prepared(broker, folder)
    for name, text in to_environment(place).items():
        monkeypatch.setenv(name, text)
    for _ in range(2):
        done = CliRunner().invoke(app, ["pull", str(folder), "--once"])
        assert done.exit_code == 0, done.output
        assert "ministry" in done.output and "taken" in done.output
    assert set(values(place)) == {("A", 6.27), ("B", 9.53)}


def test_the_process_takes_readings_shows_its_metrics_and_ends_in_order(broker: EmbeddedBroker, folder: Path) -> None:
    place = prepared(broker, folder)
    environment = {**os.environ, **to_environment(place)}
    process = subprocess.Popen([sys.executable, "-m", "warning", "pull", str(folder)], env=environment, preexec_fn=end_with_parent())
    try:
        text, until = "", time.monotonic() + 180
        while 'warning_source_readings_accepted_total{source="ministry"} 2.0' not in text:
            assert process.poll() is None and time.monotonic() < until, text
            time.sleep(0.2)
            text = _get(f"http://127.0.0.1:{place.pull_metrics_port}/metrics")
        assert 'warning_source_polls_total{outcome="taken",source="ministry"} 1.0' in text
        assert 'warning_source_polls_total{outcome="timeout",source="ministry"} 0.0' in text
        assert 'warning_source_silent_after_seconds{source="ministry"} 7200.0' in text
        assert '"ready": true' in _get(f"http://127.0.0.1:{place.pull_metrics_port}/readyz")
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert values(place) == [("A", 6.27), ("B", 9.53)]


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=60) as response:
            return str(response.read().decode())
    except OSError as error:
        return str(error)


def test_up_runs_it_where_the_region_has_sources(folder: Path, tmp_path: Path) -> None:
    names = [command.name for command in wiring_up.commands(config.load(folder), Deployment())]
    assert names == [*wiring_up.PROCESSES, "pull"]
    (folder / "sources.yaml").unlink()
    assert [command.name for command in wiring_up.commands(config.load(folder), Deployment())] == list(wiring_up.PROCESSES)


def test_a_region_without_sources_is_told_where_to_write_them(folder: Path) -> None:
    (folder / "sources.yaml").unlink()
    with pytest.raises(ConfigError, match=r"sources\.yaml: oak has no sources"):
        CliRunner().invoke(app, ["pull", str(folder)], catch_exceptions=False)


def test_a_source_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no such source"):
        CliRunner().invoke(app, ["pull", str(folder), "--source", "usgs"], catch_exceptions=False)


WRONG = """\
sources:
  Bad Name:
    agency: usgs
    url: https://example.org/?sites={stations}
    stations: {"01491000": A}
  one:
    agency: usgs-old
    url: https://example.org/?sites={stations}
    stations: {"01491000": A}
  two:
    agency: usgs
    url: ftp://user:pw@example.org/
    stations: {"01491000": A}
  three:
    agency: usgs
    url: https://example.org/?key=1234abcd&x={sites}
    headers: {X-Api-Key: 1234abcd}
    stations: {}
  four:
    agency: usgs
    url: https://example.org/
    secrets: {key: 1234abcd}
    every: 15
    evry: 15 min
    most_mb: 0
    stations: {"01491000": NOWHERE}
  five:
    agency: usgs
    url: https://example.org/
    stations:
      "01491000": {station: A, parameters: {"00060": discharge}}
      "01645000": D
  seven:
    agency: usgs
    url: https://example.org/
    stations:
      "01646500": {station: A, parameters: {"00060": flow}}
  six:
    url: https://example.org/
    stations: {X: A}
    own_format:
      format: json
      items: {item: "whole..x"}
      readings:
        - {station: item.s, what: "'stage'", time: item.t, value: {path: item.v, match: "v.*"}}
      zone: Asia/Colmbo
      time_format: iso8601
"""


def test_everything_that_is_wrong_is_told_at_once_with_its_line(folder: Path) -> None:
    path = folder / "sources.yaml"
    path.write_text(WRONG)
    told = [str(problem) for problem in config_sources.check(config.load(folder))]
    expected = [
        ("2", "'Bad Name' is no id of a source"),
        ("6", "no agency 'usgs-old'"),
        ("12", "is no URL"),
        ("12", "a key stands in the URL"),
        ("16", "a key stands in the URL"),
        ("16", "{sites} in the URL is nothing"),
        ("17", "a key must not stand in this file"),
        ("18", "no stations"),
        ("22", "a key must not stand in this file"),
        ("23", "is not a number with its unit"),
        ("24", "unknown key 'evry' (did you mean every?)"),
        ("25", "greater than 0"),
        ("31", "A has no discharge, which '00060' is"),
        ("32", "nothing that this source tells is measured at D"),
        ("37", "'flow' is not right here"),
        ("43", "is no JMESPath"),
        ("45", "has 0 groups"),
        ("46", "is no time zone"),
        ("47", "is no format of a time"),
    ]
    missing = [want for want in expected if not any(one.startswith(f"{path}:{want[0]}") and want[1] in one for one in told)]
    assert not missing, "\n".join(told)
    assert all(" (" in one for one in told), "a fix each"
    assert not any("1234abcd" in one or "user:pw" in one for one in told), "a key is not repeated"


TWICE = """\
sources:
  first:
    agency: usgs
    url: https://example.org/?sites={stations}
    stations: {"1": {station: A}, "2": B}
  second:
    agency: usgs
    url: https://example.org/?sites={stations}
    stations:
      "7": A
  third:
    agency: usgs
    url: https://example.org/?sites={stations}
    stations:
      "9": {station: B, parameters: {"00065": none}}
"""


def test_a_series_that_two_sources_tell_is_a_warning(folder: Path) -> None:
    """Where their values differ each round of one revises the other's; the third leaves the stage of B out."""
    path = folder / "sources.yaml"
    path.write_text(TWICE)
    region = config.load(folder)
    [told] = config_sources.check(region)
    assert str(told).startswith(f"{path}:10 ") and "warning: A stage is told by first, too" in str(told) and not told.fatal
    assert [source.id for source in config_sources.load(folder, region)] == ["first", "second", "third"], "it is no error"


def test_a_file_that_is_no_table(folder: Path) -> None:
    for text in ("", "- a", "sources: []", "sources: {a: 1}", "sources: {", "source: {}"):
        (folder / "sources.yaml").write_text(text)
        assert config_sources.check(config.load(folder)), text


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "agencies").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_agency_can_be_read(path: Path) -> None:
    assert config_sources.shipped(path.stem)[path.stem].parameters


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*/sources*.yaml")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_sources_of_our_regions_can_be_read(path: Path, tmp_path: Path) -> None:
    region = config.load(path.parent)
    (tmp_path / "sources.yaml").write_text(path.read_text())
    sources, problems = config_sources.read(tmp_path, region)
    assert sources and not problems
