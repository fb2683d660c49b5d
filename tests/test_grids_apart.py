"""A damaged file must not take the process with it: the reader crashes or hangs apart, and the file is named."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from grid_files import SQUARE, Land
from test_grids import DAY, RING, SHAPE, folder
from typer.testing import CliRunner

from warning import cli_grids, config
from warning.cli import app
from warning.errors import ConfigError, InputError
from warning.ingest import grid_apart, rows
from warning.ingest.grid_apart import Apart
from warning.ingest.grids import Averaged, Grids, Unreadable
from warning.rehearsal.imerg import half_hour
from warning.science.rain_grid import Asked


class Struck(Grids):
    """Reads as ``Grids``, but for files whose names say what a library does to them. Lives in the process apart."""

    def read(self, path: Path) -> Averaged:
        if path.name == "crash":
            os.abort()
        if path.name == "hang":
            time.sleep(600)
        return super().read(path)


def struck(*given: object) -> None:
    grid_apart.Grids = Struck  # type: ignore[misc]
    SERVE(*given)  # type: ignore[arg-type]


SERVE = grid_apart._serve


def test_a_crash_and_a_hang_cost_one_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = half_hour(tmp_path, DAY, lambda lon, lat: 4.0 + 0.0 * lat * lon, step=1.0)
    (tmp_path / "bad.nc").write_text("no grid")
    monkeypatch.setattr(grid_apart, "_serve", struck)
    apart = Apart(Land(SQUARE), within_s=60.0)
    try:
        assert [mean.mm for mean in apart.read(good).means] == [2.0]
        with pytest.raises(InputError, match=r"crash: the process that read it died \(exit code -6\)"):
            apart.read(tmp_path / "crash")
        assert [mean.mm for mean in apart.read(good).means] == [2.0]
        with pytest.raises(Unreadable, match=r"bad.nc: it is neither NetCDF nor HDF5") as caught:
            apart.read(tmp_path / "bad.nc")
        assert (caught.value.field, caught.value.fix) == ("FILE", "NetCDF or HDF5; if it is packed, unpack it")
        apart._within_s = 0.5
        with pytest.raises(InputError, match=r"hang: could not be read within 0.5 s"):
            apart.read(tmp_path / "hang")
    finally:
        apart.close()


def test_what_is_wrong_with_the_region_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="no station's rain is of grids"):
        Apart(Land())


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exactextract", None)
    with pytest.raises(ConfigError, match=r'not installed: exactextract \(pip install "flood-warning\[grids\]"\)'):
        Apart(Land(SQUARE))


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("", Asked("v", "mm")),
        ("30min", Asked("v", "mm", 1800)),
        ("1.5 h", Asked("v", "mm", 5400)),
        ("1d", Asked("v", "mm", 86_400)),
        ("since-midnight", Asked("v", "mm", None, True)),
    ],
)
def test_the_interval_of_the_command_line(words: str, asked: Asked) -> None:
    assert cli_grids._asked("v", "mm", words) == asked


@pytest.mark.parametrize("words", ["1", "h", "0h", "1 week", "-1h"])
def test_what_is_no_interval_is_named(words: str) -> None:
    with pytest.raises(ConfigError, match="write 30min, 1h, 1d, or since-midnight"):
        cli_grids._asked("", "", words)


def test_the_command_says_what_it_wants(tmp_path: Path) -> None:
    nothing = CliRunner().invoke(app, ["grids", "indus"])
    assert isinstance(nothing.exception, ConfigError) and "no file and no folder to watch" in str(nothing.exception)
    gone = CliRunner().invoke(app, ["grids", "indus", "--watch", str(tmp_path / "none")])
    assert isinstance(gone.exception, ConfigError) and "is no folder" in str(gone.exception)


def test_grids_as_a_file_for_replay_and_hindcast(tmp_path: Path) -> None:
    place = folder(tmp_path, SHAPE % ("G", RING))
    files = [half_hour(tmp_path, DAY + step * 1800, lambda lon, lat: 4.0 + 0.0 * lat * lon, step=1.0) for step in (1, 0)]
    (tmp_path / "bad.nc").write_text("no grid")
    out = tmp_path / "rain.csv"
    done = CliRunner().invoke(app, ["grids", str(place), *map(str, files), str(tmp_path / "bad.nc"), "--csv", str(out)])
    assert (done.exit_code, f"2 readings in {out}" in done.output) == (1, True), done.output
    lines = ("G,rain,2025-09-01T00:30:00+00:00,2.0,mm", "G,rain,2025-09-01T01:00:00+00:00,2.0,mm")
    assert out.read_text() == "\n".join(("station,parameter,time,value,unit", *lines, ""))
    read = rows.read(out, config.load(place))
    assert [(one.station, one.time_ms // 1000 - DAY, one.value) for one in read.readings] == [("G", 1800, 2.0), ("G", 3600, 2.0)]
