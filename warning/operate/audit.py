"""Which sensors need a person: silent, rejected (by reason), flagged (by cause). For ``warning sensors`` and ``/v1/sensors``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from warning.deployment import Deployment
from warning.operate import schema
from warning.operate.listed import listed, with_listed
from warning.operate.present import maybe, utc
from warning.operate.reader import DAYS, Reader
from warning.operate.registry import Device, Registry, Sensor, Service, address
from warning.operate.sensor_watch import worst
from warning.operate.sensors import STATES, judged
from warning.operate.sensors import Sensor as Judged
from warning.operate.view import View
from warning.region import Region, named

_RECENT, _DEVICES, _REFUSED = 50, 500, 100


def sensors(
    region: Region, view: View, now_ms: int | None, service: Mapping[Sensor, Service] | None = None, devices: tuple[Device, ...] = ()
) -> schema.Sensors:
    """The audit at ``now_ms`` (the log's clock); before the first tick (None) every series that never spoke is silent."""
    every = list(judged(region, view, service or {}, now_ms, usual=False))
    return schema.Sensors(
        log_time=maybe(view.log_ms),
        counts=dict.fromkeys(map(str, STATES), 0) | Counter(str(each.state) for each in every),
        out=[sensor(each) for each in every if each.out],
        devices=[device(each) for each in worst(devices)[:_DEVICES]],
        refused=[
            schema.RefusedCount(station=station, reason=reason, records=records)
            for (station, reason), records in view.refused.most_common(_REFUSED)
        ],
        silent=[_silent(region, each, now_ms) for each in every if each.state in ("silent", "never")],
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


def of_station(
    region: Region,
    view: View,
    now_ms: int | None,
    station: str,
    service: Mapping[Sensor, Service],
    devices: Iterable[Device],
    history: Iterable[Service] = (),
) -> schema.StationSensors:
    """All that is known of one station's sensors. Raises KeyError if the region has none of that name."""
    own = region.station_by_id[station]
    few = replace(region, stations=(own,), zones=())
    return schema.StationSensors(
        station=station,
        names=dict(own.names),
        sensors=[sensor(each) for each in judged(few, view, service, now_ms)],
        devices=[device(each) for each in devices if each.station == station],
        refused=[
            schema.RefusedCount(station=name, reason=reason, records=records)
            for (name, reason), records in view.refused.most_common()
            if name == station
        ],
        history=[_said(each) for each in history],
    )


def sensor(each: Judged) -> schema.SensorAnswer:
    return schema.SensorAnswer(
        station=each.station,
        parameter=each.parameter.value,
        state=each.state,
        seen=maybe(each.seen_ms),
        reading=maybe(each.reading_ms),
        good=maybe(each.good_ms),
        expected_s=each.expected_s,
        usual_s=each.usual_s,
        overdue=None if each.overdue is None else round(each.overdue, 3),
        delay_s=each.delay_s,
        provider=each.provider,
        flags=dict(each.flags),
        service=None if each.service is None else _said(each.service),
    )


def device(each: Device) -> schema.DeviceAnswer:
    told = asdict(each)
    return schema.DeviceAnswer(heard=maybe(told.pop("heard_ms")), silent=maybe(told.pop("silent_ms")), **told)


def _said(each: Service) -> schema.ServiceAnswer:
    return schema.ServiceAnswer(out=each.out, since=utc(each.since_ms), at=utc(each.at_ms), who=each.who, why=each.why)


def _silent(region: Region, each: Judged, now_ms: int | None) -> schema.SilentSeries:
    return schema.SilentSeries(
        station=each.station,
        names=dict(region.station_by_id[each.station].names),
        parameter=each.parameter.value,
        last=maybe(each.good_ms),
        silent_s=None if each.good_ms is None or now_ms is None else (now_ms - each.good_ms) / 1000,
    )


async def read(region: Region, deployment: Deployment, *, days: float = DAYS) -> schema.Sensors:
    """Reads the topics to their present end and audits them. Raises ``Unavailable`` if broker or database is away or a topic missing."""
    view, registry = View(), Registry(address(deployment))
    await Reader(deployment, view, None, days=days).once()
    try:
        devices = with_listed(await registry.devices(), listed(region))
        return sensors(region, view, view.log_ms, await registry.service(), devices)
    finally:
        await registry.close()


async def read_station(region: Region, deployment: Deployment, station: str, *, days: float = DAYS) -> schema.StationSensors:
    """The same for one station, with all that was said of its sensors."""
    view, registry = View(), Registry(address(deployment))
    await Reader(deployment, view, None, days=days).once()
    try:
        devices = with_listed(await registry.devices(), listed(region))
        return of_station(region, view, view.log_ms, station, await registry.service(), devices, await registry.history(station))
    finally:
        await registry.close()


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
        f"Out of service: {len(found.out)}",
        ("station", "parameter", "since", "who", "why"),
        [(each.station, each.parameter, said.since, said.who, said.why) for each in found.out if (said := each.service) is not None],
    )
    lines += _devices(found.devices)
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
    lines += _table(
        f"Rejected by station: {sum(each.records for each in found.refused)}",
        ("station", "reason", "records"),
        [(line(each.station), each.reason, str(each.records)) for each in found.refused],
    )
    return "\n".join(lines).rstrip() + "\n"


def render_station(found: schema.StationSensors) -> str:
    """One station as plain text."""
    lines = [f"{found.station} {named(found.names, 'en')}", ""]
    for each in found.sensors:
        usual = "unknown" if each.usual_s is None else _span(each.usual_s)
        late = "-" if each.overdue is None else f"{each.overdue:g} times what is expected"
        delay = "-" if each.delay_s is None else _span(each.delay_s)
        flags = ", ".join(f"{cause} {count}" for cause, count in sorted(each.flags.items())) or "none"
        rows: list[tuple[str, str]] = [("state", each.state), ("last seen", each.seen or "never")]
        rows += [("last good reading", each.good or "never"), ("silent after", _span(each.expected_s)), ("usual pause", usual)]
        rows += [("overdue", late), ("delay", delay), ("provider", line(each.provider) or "-"), ("flags", flags)]
        lines += [each.parameter, *(f"  {name:<18} {value}" for name, value in rows), ""]
    lines += _devices(found.devices)
    lines += _table("Rejected", ("reason", "records"), [(each.reason, str(each.records)) for each in found.refused])
    history = [(each.at, "out of service" if each.out else "in service", each.since, each.who, each.why) for each in found.history]
    lines += _table("What was said", ("when", "what", "from", "who", "why"), history)
    return "\n".join(lines).rstrip() + "\n"


def line(text: str, wide: int = 60) -> str:
    """A stranger's word for a terminal: one line without control characters, not long."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return plain if len(plain) <= wide else plain[: wide - 3] + "..."


def _devices(devices: Sequence[schema.DeviceAnswer]) -> list[str]:
    def number(value: float | None, unit: str) -> str:
        return "-" if value is None else f"{value:g} {unit}"

    rows = []
    for each in devices:
        battery = number(each.battery_percent, "%") if each.battery_percent is not None else number(each.battery_v, "V")
        state = f"silent since {each.silent}" if each.silent else ""
        skew, signal = number(each.clock_skew_s, "s"), number(each.rssi_dbm, "dBm")
        rows.append((line(each.device), each.way, each.station or "-", each.heard or "never", battery, signal, skew, state))
    return _table(f"Devices: {len(rows)}", ("device", "way", "station", "last heard", "battery", "signal", "clock", ""), rows)


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
