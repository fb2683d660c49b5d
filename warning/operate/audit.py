"""Which sensors need a person: silent, rejected (by reason), flagged (by cause). For ``warning sensors`` and ``/v1/sensors``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from warning.deployment import Deployment
from warning.operate import schema
from warning.operate.present import maybe, utc
from warning.operate.reader import DAYS, Reader
from warning.operate.view import View
from warning.region import Region, named

_RECENT = 50


def sensors(region: Region, view: View, now_ms: int | None) -> schema.Sensors:
    """The audit at ``now_ms`` (the log's clock); before the first tick (None) every series that never spoke is silent."""
    return schema.Sensors(
        log_time=maybe(view.log_ms),
        silent=list(_silent(region, view, now_ms)),
        rejected=[
            schema.RejectedCount(stage=stage, reason=reason, records=records) for (stage, reason), records in view.rejected.most_common()
        ],
        flagged=[
            schema.FlaggedCount(station=station, parameter=parameter, cause=cause, readings=readings)
            for (station, parameter, cause), readings in view.flagged.most_common()
        ],
        recent=[
            schema.RejectedRecord(stage=each.stage, reason=each.reason, detail=each.detail, provider=each.provider, at=utc(each.at_ms))
            for each in list(view.recent)[: -_RECENT - 1 : -1]
        ],
    )


def _silent(region: Region, view: View, now_ms: int | None) -> Iterable[schema.SilentSeries]:
    for station in region.stations:
        for series in station.series:
            track = view.tracks.get((series.station, series.parameter))
            last = None if track is None else track.last_good_ms(now_ms if now_ms is not None else track.newest_ms or 0)
            if last is not None and (now_ms is None or now_ms - last <= station.silent_after_s * 1000):
                continue
            yield schema.SilentSeries(
                station=station.id,
                names=dict(station.names),
                parameter=series.parameter.value,
                last=maybe(last),
                silent_s=None if last is None or now_ms is None else (now_ms - last) / 1000,
            )


async def read(region: Region, deployment: Deployment, *, days: float = DAYS) -> schema.Sensors:
    """Reads the topics to their present end and audits them. Raises ``Unavailable`` if the broker is away or a topic is missing."""
    view = View()
    await Reader(deployment, view, None, days=days).once()
    return sensors(region, view, view.log_ms)


def render(region: Region, found: schema.Sensors) -> str:
    """The audit as plain text, for a terminal."""
    series = sum(len(station.series) for station in region.stations)
    lines = [f"{named(region.names, 'en')}: {series} series, log time {found.log_time or 'unknown (no tick yet)'}", ""]
    lines += _table(
        f"Silent: {len(found.silent)}",
        ("station", "name", "parameter", "last good reading", "silent"),
        [(each.station, named(each.names, "en"), each.parameter, each.last or "never", _span(each.silent_s)) for each in found.silent],
    )
    lines += _table(
        f"Rejected: {sum(each.records for each in found.rejected)}",
        ("stage", "reason", "records"),
        [(each.stage, each.reason, str(each.records)) for each in found.rejected],
    )
    lines += _table(
        f"Flagged: {sum(each.readings for each in found.flagged)}",
        ("station", "parameter", "cause", "readings"),
        [(each.station, each.parameter, each.cause, str(each.readings)) for each in found.flagged],
    )
    return "\n".join(lines).rstrip() + "\n"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours // 24} d {hours % 24} h" if hours >= 48 else f"{hours} h {minutes:02d} min"


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return [title, ""]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    cells = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (columns, *rows))
    return [title, *(f"  {line.rstrip()}" for line in cells), ""]
