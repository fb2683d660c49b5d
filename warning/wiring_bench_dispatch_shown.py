"""What ``warning bench dispatch`` found, database by database, with every bar beside its figure, and as the object for ``--json``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from warning.rehearsal.summary import Table
from warning.wiring_bench_dispatch import PARTS
from warning.wiring_bench_report import Bar, bars


def figures_of(found: dict[str, Any]) -> dict[str, Any]:
    """Of one database; what was not measured is not among them."""
    sms, free, posted = (found.get(name, {}) for name in PARTS)
    told = {
        "sms_per_second": free.get("sms_per_second", sms.get("sms_per_second")),
        "rate_used_fraction": sms.get("rate_used_fraction"),
        "deadline_inversion_s_max": sms.get("deadline_inversion_s_max"),
        "memory_mb": max([part["memory_mb"] for part in found.values()], default=None),
        "live_webhooks_done_s": posted.get("live_webhooks_done_s"),
        "missed": sum(part.get("missed", 0) for part in found.values()),
        "doubled": sum(part.get("doubled", 0) for part in found.values()),
    }
    return {name: value for name, value in told.items() if value is not None}


LEAST_COUNTS = ("sms_per_second", "rate_used_fraction")


def document(found: dict[str, dict[str, Any]], where: str) -> dict[str, Any]:
    """For ``--json``: the worse figure of the databases, and those of each."""
    each = {name: figures_of(parts) for name, parts in found.items()}
    figures: dict[str, Any] = {}
    for name in dict.fromkeys(name for told in each.values() for name in told):
        values = [told[name] for told in each.values() if name in told]
        never = name == "live_webhooks_done_s" and min(values) < 0  # not all were reached
        figures[name] = min(values) if name in LEAST_COUNTS or never else max(values)
    return {"figures": figures, "databases": each, "measured": found, "broker": where}


def tables(found: dict[str, dict[str, Any]], where: str) -> list[Table]:
    """Bars, and what was measured, for each database."""
    shown = []
    for name, parts in found.items():
        shown += [bars(f"Dispatch of one alert, {name}, {where}", _bars(parts)), Table(f"Measured, {name}", HEAD, tuple(_rows(parts)))]
    return shown


HEAD = ("part", "figure", "value")


def _bars(parts: dict[str, Any]) -> list[Bar]:
    told = figures_of(parts)
    done_s = told.get("live_webhooks_done_s")
    return [
        Bar("SMS/s when the centre allows all", parts.get("unlimited", {}).get("sms_per_second"), least=1000),
        Bar("part used of the rate that it allows", told.get("rate_used_fraction"), least=0.95),
        Bar("s behind a later deadline, longest", told.get("deadline_inversion_s_max"), most=5),
        Bar("MB of the dispatcher, most", told.get("memory_mb"), most=400),
        Bar("s until all live webhooks were done", float("inf") if done_s is not None and done_s < 0 else done_s, most=30),
        Bar("contacts missed", told["missed"], most=0),
        Bar("messages doubled", told["doubled"], most=0),
    ]


def _rows(parts: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    for part, told in parts.items():
        for name, value in told.items():
            if value is not None:
                yield part, name.replace("_", " "), f"{value:,}"
