"""Files of a region -> models, with file, line and key for every problem. Reads all there is to read before it complains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from warning.config_explain import did_you_mean, explain
from warning.config_hazards import HazardRow
from warning.config_quality import ClimatologyRow, QualityRow, RatingRow
from warning.config_schema import (
    AssetRow,
    ContactRow,
    DistrictRow,
    LimitsRow,
    PlaceRow,
    ReachRow,
    RegionFile,
    SeriesRow,
    StationRow,
)
from warning.config_table import Model, Row, Table, read_table
from warning.config_yaml import Key, table_of, yaml_where
from warning.errors import Problem

__all__ = ["Files", "Model", "Row", "Table", "did_you_mean", "read"]


@dataclass
class Files:
    """All files of a region as read. ``region`` is None if region.yaml cannot be understood."""

    folder: Path
    region: RegionFile | None
    lines: dict[Key, int]  # key path in region.yaml -> line
    stations: Table[StationRow]
    series: Table[SeriesRow]
    limits: Table[LimitsRow]
    reaches: Table[ReachRow]
    districts: Table[DistrictRow]
    contacts: Table[ContactRow]
    assets: Table[AssetRow]
    places: Table[PlaceRow]
    hazards: Table[HazardRow]
    quality: Table[QualityRow]
    climatology: Table[ClimatologyRow]
    ratings: Table[RatingRow]

    def where(self, *path: object) -> str:
        """Place of a key of region.yaml."""
        return yaml_where(self.folder / "region.yaml", self.lines, path)


def read(folder: Path) -> tuple[Files, list[Problem]]:
    """Every file of a region's folder, and all that is wrong with each by itself."""
    problems: list[Problem] = []
    region, lines = _read_region(folder / "region.yaml", problems)
    files = Files(
        folder,
        region,
        lines,
        read_table(folder / "stations.csv", StationRow, problems),
        read_table(folder / "series.csv", SeriesRow, problems),
        read_table(folder / "limits.csv", LimitsRow, problems),
        read_table(folder / "reaches.csv", ReachRow, problems),
        read_table(folder / "districts.csv", DistrictRow, problems),
        read_table(folder / "contacts.csv", ContactRow, problems),
        _if_there(folder / "assets.csv", AssetRow, problems),
        _towns(folder / "places.csv", problems),
        _if_there(folder / "hazards.csv", HazardRow, problems),
        _if_there(folder / "quality.csv", QualityRow, problems),
        _if_there(folder / "climatology.csv", ClimatologyRow, problems),
        _if_there(folder / "ratings.csv", RatingRow, problems),
    )
    return files, problems


# --- YAML


def _read_region(path: Path, problems: list[Problem]) -> tuple[RegionFile | None, dict[Key, int]]:
    content, lines = table_of(path, problems, "begin with id:, names:, ... as config/README.md shows")
    return (None if content is None else _validated(path, content, lines, problems)), lines


def _validated(path: Path, content: dict[str, Any], lines: dict[Key, int], problems: list[Problem]) -> RegionFile | None:
    """The model; if a key is wrong, the model without it where that is possible, so that the other files can be checked too."""
    try:
        return RegionFile.model_validate(content)
    except ValidationError as error:
        for one in error.errors():
            key = tuple(part for part in one["loc"] if part != "[key]")
            what, fix = explain(one, RegionFile)
            problems.append(Problem(yaml_where(path, lines, key), what, fix))
        tops = {one["loc"][0] for one in error.errors()}
    try:
        return RegionFile.model_validate({key: value for key, value in content.items() if key not in tops})
    except ValidationError:
        return None  # reported above


# --- CSV


def _if_there(path: Path, model: type[Model], problems: list[Problem]) -> Table[Model]:
    return read_table(path, model, problems) if path.exists() else Table(str(path))


def _towns(path: Path, problems: list[Problem]) -> Table[PlaceRow]:
    """A line that is wrong is left out, with a warning: a list of towns must not keep a warning system from starting."""
    found: list[Problem] = []
    towns = _if_there(path, PlaceRow, found)
    problems += [replace(problem, fatal=False) for problem in found]
    return towns
