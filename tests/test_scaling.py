"""deploy/SCALING.md: each number in the table of sizes is what its formula makes of the measured figures."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parent.parent / "deploy" / "SCALING.md"
SIZES = ("district", "country", "continent")
TOLD = ("backlog_us", "beat_us")  # said for themselves
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def rows(heading: str) -> list[list[str]]:
    text = DOCUMENT.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def worked_out(formula: str, names: Mapping[str, float]) -> float:
    def value(node: ast.expr) -> float:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return float(OPERATORS[type(op)](value(left), value(right)))
            case ast.Name(id=name):
                return names[name]
            case ast.Constant(value=int() | float() as number):
                return number
        raise ValueError(formula)

    return value(ast.parse(formula, mode="eval").body)


MEASURED = {name.strip("`"): float(figure) for name, figure, *_ in rows("Measured")}
GIVEN = {row[0]: row[1:4] for row in rows("Three sizes") if "`" not in row[-1]}
WORKED_OUT = [row for row in rows("Three sizes") if "`" in row[-1]]


@pytest.mark.parametrize("row", WORKED_OUT, ids=lambda row: row[0])
def test_every_size_is_worked_out_from_the_measured_figures(row: list[str]) -> None:
    name, *cells, formula = row
    words = re.findall(r"`([^`]+)`", formula)
    assert len(words) == 1
    for number, size in enumerate(SIZES):
        names = MEASURED | {given: float(values[number]) for given, values in GIVEN.items()}
        wanted = worked_out(words[0], names)
        decimals = len(cells[number].partition(".")[2])
        shown = f"{math.ceil(wanted)}" if name == "gateways" else f"{wanted:.{decimals}f}"
        assert cells[number] == shown, f"{name}, {size}: write {shown}"


def test_every_figure_is_used_or_says_what_for() -> None:
    assert {"gauges", "basins", "partitions", "workers"} == GIVEN.keys()
    formulas = " ".join(row[-1] for row in WORKED_OUT)
    assert [name for name in MEASURED if name not in formulas and name not in TOLD] == []
