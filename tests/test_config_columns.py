"""A long table is read column by column and says the same as row by row: each row, each problem with its line, column and words."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, model_validator

from warning import config_table
from warning.config_hazards import HazardRow
from warning.config_schema import AssetRow, ContactRow, DistrictRow, LimitsRow, ReachRow, SeriesRow, StationRow
from warning.errors import Problem

MODELS: list[type[BaseModel]] = [StationRow, SeriesRow, LimitsRow, ReachRow, DistrictRow, ContactRow, AssetRow, HazardRow]
GOOD = ["A", "B-1", "stage", "discharge", "gauge", "m", "0", "1.5", "-2", "12", "2025", "2025-09-09", "HIGH", "true", "PK-PB", "a|b", "*"]
BAD = ["", " ", "nan", "inf", "1,5", "x y", "١", "1e999", "#", "é", "0x1", "None", "-0", "True", "\u2028", "|", "a" * 50]


def read(path: Path, model: type[BaseModel], many: int, at_once: int = 1000) -> tuple[list[Any], dict[str, int], list[Problem]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config_table, "MANY", many)
        patch.setattr(config_table, "AT_ONCE", at_once)
        problems: list[Problem] = []
        table = config_table.read_table(path, model, problems)
        return [(row.line, tuple(getattr(row.data, name) for name in model.model_fields)) for row in table.rows], table.ids, problems


def columns_of(model: type[BaseModel]) -> list[str]:
    return [column for name in model.model_fields for column in (["name_en", "name_ur"] if name == "names" else [name])]


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_column_by_column_says_the_same_as_row_by_row(model: type[BaseModel], tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Any cells under any columns: missing, doubled and unknown columns, rows that are too short or too long, quotes, comments."""
    names = columns_of(model)
    header = data.draw(st.lists(st.sampled_from([*names, *names, "name_si", "names", "colour", ""]), min_size=1, max_size=16))
    header = data.draw(st.sampled_from([names, names, [*names, "colour"], names[1:], header]))
    cell = st.sampled_from([*GOOD, *GOOD, *BAD])
    lines = data.draw(
        st.lists(
            st.lists(cell, min_size=max(len(header) - 1, 0), max_size=len(header) + 1) | st.just(["# note"]) | st.just([]), max_size=12
        )
    )
    rows = [f'"{word}"' if "," in word or chance else word for line in [header] for word in line for chance in [False]]
    text = ",".join(rows) + "\n" + "".join(",".join(f'"{one}"' if "," in one else one for one in line) + "\n" for line in lines)
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(text + data.draw(st.sampled_from(["", '"', '"a"b', '"two\nlines"'])), "utf-8")
    one_by_one = read(path, model, many=10**9)
    for at_once in (1, 3, 1000):
        assert read(path, model, many=0, at_once=at_once) == one_by_one


def valid(number: int) -> str:
    return f"G{number:06d},Name {number},gauge,R{number // 10},b{number // 100},30.5,{70 + number % 7},approximate,{6 + number % 3},made up"


HEADER = "id,name_en,kind,river,basin,lat,lon,position,silent_after_h,source"


def test_only_the_wrong_rows_are_judged_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [valid(number) for number in range(9000)]
    lines[5] = lines[5].replace("gauge", "gouge")
    lines[4321] = lines[4321].replace(",30.5,", ",30.5 N,")
    lines[4322] += ",more"
    lines[8999] = lines[8999].replace("approximate,", ",").replace("G008999", "G 8999")
    (tmp_path / "stations.csv").write_text("\n".join([HEADER, *lines]), "utf-8")
    judged: list[int] = []
    real = config_table._judged
    monkeypatch.setattr(config_table, "_judged", lambda *given: (judged.append(given[4]), real(*given))[1])
    problems: list[Problem] = []
    table = config_table.read_table(tmp_path / "stations.csv", StationRow, problems)
    assert judged == [7, 4323, 9001]
    assert [(problem.where.rpartition("/")[2], problem.what) for problem in problems] == [
        ("stations.csv:7 (kind)", "'gouge' is not right here"),
        ("stations.csv:4323 (lat)", "'30.5 N' is not right here"),
        ("stations.csv:4324", "11 cells under 10 columns"),
        ("stations.csv:9001 (id)", "'G 8999' is not right here"),
    ]
    assert len(table.rows) == 8996 and len(table.ids) == 9000 and table.ids["G 8999"] == 9001
    row = table.rows[4000]
    assert (row.line, row.data.id, row.data.names, row.data.lon) == (4003, "G004001", {"en": "Name 4001"}, 70 + 4001 % 7)
    assert row.where("lat").endswith("stations.csv:4003 (lat)")


def test_a_row_that_is_judged_as_a_whole_is_never_vouched_for(tmp_path: Path) -> None:
    class Pair(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
        low: float
        high: float

        @model_validator(mode="after")
        def rising(self) -> Pair:
            if self.low > self.high:
                raise ValueError("low is above high; exchange them")
            return self

        @property
        def span(self) -> float:
            return self.high - self.low

    chance = random.Random(1)
    lines = [f"{chance.randrange(9)},{chance.randrange(9)}" for _ in range(2000)]
    path = tmp_path / "pairs.csv"
    path.write_text("low,high\n" + "\n".join(lines), "utf-8")
    Pair.model_rebuild()
    problems: list[Problem] = []
    table = config_table.read_table(path, Pair, problems)
    assert len(table.rows) + len(problems) == 2000 and len(problems) > 500
    assert all(row.data.span >= 0 for row in table.rows)
