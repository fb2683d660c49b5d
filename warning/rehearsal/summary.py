"""The summary that ends a rehearsal: tables of a reckoning, as data. How they are drawn (rich, plain lines, JSON) is the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from warning.model import Level
from warning.region import Region, Zone, named
from warning.rehearsal.crossings import Crossing
from warning.rehearsal.reckoning import Reckoning, failed_flags

MOST_WORDS = 20  # of what went wrong; the JSON has all


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(region: Region, reckoning: Reckoning) -> list[Table]:
    """What a person wants to see at the end, in this order."""
    return [_readings(reckoning), _flags(reckoning), _zones(region, reckoning), _deliveries(reckoning), _verdict(region, reckoning)]


def plain(table: Table) -> list[str]:
    """A table as lines of text, columns aligned."""
    cells = [table.columns, *table.rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [table.title, *(f"  {line}" for line in lines), ""]


def document(region: Region, reckoning: Reckoning) -> dict[str, Any]:
    """The object for ``--json``: figures, and everything that the tables show."""
    return {
        "figures": reckoning.figures,
        "region": region.id,
        "passed": reckoning.passed,
        "refused": reckoning.refused,
        "flags": {f"{flag} {cause}": count for (flag, cause), count in sorted(reckoning.flags.items())},
        "rejected": {f"{stage} {reason}": count for (stage, reason), count in sorted(reckoning.rejected.items())},
        "alerts": {zone: {kind.value: count for kind, count in kinds.items()} for zone, kinds in reckoning.alerts_by_zone.items()},
        "deliveries": {f"{channel} {state.value}": count for (channel, state), count in reckoning.deliveries.items()},
        "crossings": [
            {
                "zone": crossing.zone,
                "level": crossing.level.value,
                "time": _iso(crossing.time_ms),
                "value": crossing.value,
                "warned": None if crossing.warned_ms is None else _iso(crossing.warned_ms),
                "lead_hours": round(crossing.lead_h, 3),
                "earlier_reading_below_high": crossing.seen_below_high,
            }
            for crossing in reckoning.crossings
        ],
        "losses": list(reckoning.losses),
        "late": [f"{crossing.zone} {crossing.level.value} at {_iso(crossing.time_ms)}" for crossing in reckoning.late],
    }


def _readings(reckoning: Reckoning) -> Table:
    figures = reckoning.figures
    rows = [
        ("sent", _count(figures["readings_sent"])),
        ("accepted", _count(figures["readings_accepted"])),
        ("applied", _count(figures["readings_applied"])),
        ("duplicates", _count(figures["readings_duplicate"])),
        ("rejected", _count(figures["readings_rejected"])),
    ]
    rows += [(f"  at the gateway: {reason}", str(count)) for reason, count in sorted(reckoning.refused.items())]
    rows += [(f"  {stage}: {reason}", str(count)) for (stage, reason), count in sorted(reckoning.rejected.items())]
    return Table("Readings", ("", "number"), tuple(rows))


def _flags(reckoning: Reckoning) -> Table:
    rows = sorted(failed_flags(reckoning.flags).items(), key=lambda row: (-row[1], row[0]))
    return Table(
        "Flags, by cause (without the good ones)", ("flag and cause", "readings"), tuple((name, str(count)) for name, count in rows)
    )


def _zones(region: Region, reckoning: Reckoning) -> Table:
    """One row per zone and class that was crossed, the zones in river order."""
    first: dict[tuple[str, Level], Crossing] = {}
    for crossing in reckoning.crossings:
        first.setdefault((crossing.zone, crossing.level), crossing)
    rows = []
    for zone in region.zones:
        kinds = reckoning.alerts_by_zone.get(zone.id, {})
        number = str(sum(kinds.values()))
        crossed = [crossing for (place, _), crossing in first.items() if place == zone.id]
        rows += [_crossing_row(region, zone, crossing, number) for crossing in crossed]
        if kinds and not crossed:
            rows.append((named(zone.names, "en"), number, "none observed", "", "", ""))
    columns = ("zone", "revisions", "first crossing of", f"at ({region.timezone_name})", "first warning", "lead, h")
    return Table("Alerts, and the first warning against the observed crossing of each class", columns, tuple(rows))


def _crossing_row(region: Region, zone: Zone, crossing: Crossing, revisions: str) -> tuple[str, ...]:
    offset = region.utc_offset_s
    warned = "none" if crossing.warned_ms is None else _local(crossing.warned_ms, offset)
    lead = "" if crossing.warned_ms is None else f"{crossing.lead_h:.1f}"
    return named(zone.names, "en"), revisions, crossing.level.value, _local(crossing.time_ms, offset), warned, lead


def _deliveries(reckoning: Reckoning) -> Table:
    figures = reckoning.figures
    rows = [
        ("CAP documents", _count(figures["cap_documents"])),
        ("SMS", _count(figures["sms_messages"])),
        ("SMS parts", _count(figures["sms_parts"])),
        ("SMS parts with a receipt", _count(figures["sms_parts_delivered"])),
        ("webhooks", _count(figures["webhooks"])),
    ]
    rows += [(f"{channel} {state.value}", str(count)) for (channel, state), count in sorted(reckoning.deliveries.items(), key=str)]
    return Table("Warnings out", ("", "number"), tuple(rows))


def _verdict(region: Region, reckoning: Reckoning) -> Table:
    figures = reckoning.figures
    rows = [
        ("lost", _count(figures["lost"])),
        ("doubled", _count(figures["doubled"])),
        ("differing from the log", _count(figures["differing"])),
        ("crossings of HIGH or above", _count(figures["crossings_high"])),
        ("  warned no later than the reading", _count(figures["crossings_high_warned"])),
        ("  with an earlier reading below HIGH", _count(figures["crossings_ahead"])),
        ("    of these warned before", _count(figures["crossings_ahead_warned"])),
        ("    their median lead, h", f"{figures['lead_hours_median']:.1f}"),
        ("seconds", f"{figures['seconds']:.0f}"),
    ]
    wrong = [*reckoning.losses]
    wrong += [
        f"{crossing.zone}: {crossing.level.value} at {_local(crossing.time_ms, region.utc_offset_s)}, not warned"
        for crossing in reckoning.late
    ]
    rows += [("wrong", words) for words in wrong[:MOST_WORDS]]
    if len(wrong) > MOST_WORDS:
        rows.append(("wrong", f"and {len(wrong) - MOST_WORDS} more: see --json"))
    return Table("Passed" if reckoning.passed else "FAILED", ("", ""), tuple(rows))


def _count(number: float) -> str:
    return f"{int(number):,}"


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _local(at_ms: int, offset_s: int) -> str:
    return (datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(seconds=offset_s)).strftime("%d %b %H:%M")
