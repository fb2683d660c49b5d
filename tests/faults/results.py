"""The results file, one JSON line a run, and the table over all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .dispatching import Result

Line = dict[str, Any]


def read(path: Path | None) -> list[Line]:
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def append(path: Path | None, line: Line) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def done(lines: Iterable[Line], fault: str, seed: int, readings: int) -> bool:
    """Was this seed run before? What did not pass is run again."""
    return any((line["fault"], line["seed"], line["readings"]) == (fault, seed, readings) and line["passed"] for line in lines)


def table(lines: Iterable[Line]) -> str:
    """One row a fault, over all recorded runs."""
    head = (
        "fault",
        "runs",
        "passed",
        "kills",
        "readings",
        "alerts",
        "deliveries",
        "lost",
        "doubled",
        "changed",
        "again, marked",
        "seeds that failed",
    )
    rows = [head]
    for fault, those in _by_fault(lines).items():
        figures = [line["figures"] for line in those]
        failed = sorted({line["seed"] for line in those if not line["passed"]} - {line["seed"] for line in those if line["passed"]})
        total = [sum(one.get(name, 0) for one in figures) for name in ("acknowledged", "alerts", "deliveries")]
        wrong = [sum(line[name] for line in those) for name in ("lost", "doubled", "alerts_changed")]
        again = sum(one.get("in_flight_again", 0) for one in figures)
        counts = (len(those), sum(line["passed"] for line in those), sum(line["kills"] for line in those), *total, *wrong, again)
        rows.append((fault, *map(str, counts), " ".join(map(str, failed)) or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def figures(lines: Iterable[Line]) -> dict[str, Any]:
    """``acknowledged, kills, lost, doubled, alerts_changed``, and the same by fault."""
    names = ("kills", "lost", "doubled", "alerts_changed")
    lines = list(lines)
    total: dict[str, Any] = {"acknowledged": _acknowledged(lines)} | {name: sum(line[name] for line in lines) for name in names}
    by_fault = {
        fault: {
            "runs": len(those),
            "passed": sum(line["passed"] for line in those),
            "acknowledged": _acknowledged(those),
            **{name: sum(line[name] for line in those) for name in names},
        }
        for fault, those in _by_fault(lines).items()
    }
    return {**total, "runs": len(lines), "not_passed": sum(not line["passed"] for line in lines), "faults": by_fault}


def _acknowledged(lines: Iterable[Line]) -> int:
    return sum(line["figures"].get("acknowledged", 0) for line in lines)


def _by_fault(lines: Iterable[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line["fault"], []).append(line)
    return found


def dispatch_figures(runs: Sequence[Result]) -> dict[str, Any]:
    """``kills, missed, doubled_unmarked`` over all runs of ``--dispatch``, and how long a takeover took."""
    takeovers = sorted(each for run in runs for each in run.takeover_s)
    names = ("kills", "missed", "doubled_unmarked", "alerts", "deliveries", "doubled_marked")
    total = {name: sum(getattr(run, name) for run in runs) for name in names}
    times = {"takeover_s_p50": takeovers[len(takeovers) // 2], "takeover_s_max": takeovers[-1]} if takeovers else {}
    return {**total, "runs": len(runs), "not_passed": sum(bool(run.wrong) for run in runs), **times}
