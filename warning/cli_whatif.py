"""``warning whatif``: other limits or rules on an old flood, before they go live."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warning.cli_hindcast import LimitsFile
from warning.cli_options import Json, write_json
from warning.cli_shown import progress, show
from warning.errors import ConfigError, Problem

if TYPE_CHECKING:
    from warning.region import Region
    from warning.wiring_whatif import Change, Compared, Raised

KINDS = ("earlier", "later", "new", "gone", "longer", "shorter", "same")
Set = Annotated[list[str] | None, typer.Option("--set", help="STATION.CLASS=LIMIT, forecast.KEY=VALUE or alert.KEY=VALUE; repeat")]


def whatif(
    region: Annotated[str, typer.Argument(help="name of a region or path of its folder; - with --from-log, which holds its own")],
    settings: Set = None,
    readings: Annotated[Path | None, typer.Option("--readings", help="CSV: station, parameter, time, value, unit", dir_okay=False)] = None,
    from_log: Annotated[Path | None, typer.Option("--from-log", help="a log of warning export-log instead", dir_okay=False)] = None,
    limits: LimitsFile = None,
    json_file: Json = None,
) -> None:
    """Decide a history twice, with and without the changes, and show which alerts come earlier, later, anew, or not at all."""
    from warning import wiring_logging, wiring_whatif

    wiring_logging.configure("whatif", "ERROR")
    if not settings or (readings is None) == (from_log is None):
        what = "wants --set WHERE.KEY=VALUE, and one of --readings FILE and --from-log FILE"
        raise ConfigError([Problem("warning whatif", what, "warning whatif --help")])
    with progress() as told:
        if readings is not None:
            done = wiring_whatif.of_readings(region, readings, limits, settings, told)
        else:
            assert from_log is not None
            done = wiring_whatif.of_log(from_log, settings, told)
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    _show(done)
    write_json(json_file, _document(done, settings))


def _show(done: Compared) -> None:
    from warning.rehearsal.summary import Table

    shown = [one for one in done.changes if one.what != "same"]
    rows = tuple(_row(done.before, one) for one in shown)
    columns = ("change", "zone", "class", "before", "after", "earlier by h")
    counts = Counter(one.what for one in done.changes)
    title = f"Decisions that change ({counts['same']} stay as they are)" if rows else "No decision changes"
    summed = tuple((kind, str(counts[kind])) for kind in KINDS)
    documents = ("documents", f"{done.documents[0]} -> {done.documents[1]}")
    show([Table(title, columns, rows), Table("In all", ("", ""), (*summed, documents))])


def _row(region: Region, change: Change) -> tuple[str, ...]:
    hours = change.earlier_h
    own = region.class_names.get(change.level, {}).get("en", change.level.value)
    shown = f"{hours:+.1f}" if hours else ""
    return change.what, change.zone, own, _spell(region, change.before), _spell(region, change.after), shown


def _spell(region: Region, raised: Raised | None) -> str:
    if raised is None:
        return "-"
    zone = timezone(timedelta(seconds=region.utc_offset_s))
    begin = datetime.fromtimestamp(raised.at_ms / 1000, zone)
    end = "open" if raised.until_ms is None else f"{datetime.fromtimestamp(raised.until_ms / 1000, zone):%d %b %H:%M}"
    return f"{begin:%d %b %H:%M} - {end}"


def _document(done: Compared, settings: list[str]) -> dict[str, Any]:
    counts = Counter(one.what for one in done.changes)
    figures: dict[str, float] = {kind: counts[kind] for kind in KINDS}
    figures |= {"documents_before": done.documents[0], "documents_after": done.documents[1]}
    changes = [
        {"what": one.what, "zone": one.zone, "class": one.level.value, "earlier_h": one.earlier_h}
        | {name: _spell_document(getattr(one, name)) for name in ("before", "after")}
        for one in done.changes
    ]
    return {
        "figures": figures,
        "region": done.before.id,
        "set": settings,
        "configs": [done.before.digest, done.after.digest],
        "changes": changes,
    }


def _spell_document(raised: Raised | None) -> dict[str, str | None] | None:
    if raised is None:
        return None
    until = None if raised.until_ms is None else datetime.fromtimestamp(raised.until_ms / 1000, UTC).isoformat()
    return {"at": datetime.fromtimestamp(raised.at_ms / 1000, UTC).isoformat(), "until": until}
