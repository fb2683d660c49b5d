"""What is known of devices, and which sensors a person took out of service: in SQL, for it must be looked up across processes.

``devices``: a row a device and way in, written by ``ingest`` at most once a minute (``devices.Devices``). ``sensor_service``: who said what
of a sensor, never changed; the newest row of a sensor counts. SQLite out of the box, PostgreSQL in production.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sql

from warning.database import NUMBER, Tables
from warning.deployment import Deployment
from warning.model import Parameter

_MOST_ROWS = 300  # of one statement: below every database's limit of parameters
_METADATA = sql.MetaData()
_MEASURES = ("battery_v", "battery_percent", "rssi_dbm", "snr_db", "clock_skew_s")
_DEVICES = sql.Table(
    "devices",
    _METADATA,
    sql.Column("device", sql.String(255), primary_key=True),
    sql.Column("way", sql.String(20), primary_key=True),
    sql.Column("station", sql.String(255), nullable=False),
    sql.Column("heard_ms", sql.BigInteger),  # None: only its last will came
    sql.Column("silent_ms", sql.BigInteger),  # its last will, if it has not spoken since
    *(sql.Column(name, sql.Float) for name in _MEASURES),
    sql.Column("gateways", sql.Integer),
)
_SERVICE = sql.Table(
    "sensor_service",
    _METADATA,
    sql.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sql.Column("station", sql.String(255), nullable=False),
    sql.Column("parameter", sql.String(30), nullable=False),
    sql.Column("out", sql.Boolean, nullable=False),
    sql.Column("since_ms", sql.BigInteger, nullable=False),  # of the readings
    sql.Column("at_ms", sql.BigInteger, nullable=False),  # when it was said
    sql.Column("who", sql.String(200), nullable=False),
    sql.Column("why", sql.String(1000), nullable=False),
    sql.Index("sensor_service_of", "station", "parameter"),
)

Sensor = tuple[str, Parameter]


@dataclass(frozen=True, slots=True)
class Device:
    """One device as it was last heard over one way in; None: it has never said."""

    device: str
    way: str
    station: str = ""
    heard_ms: int | None = None
    silent_ms: int | None = None
    battery_v: float | None = None
    battery_percent: float | None = None
    rssi_dbm: float | None = None
    snr_db: float | None = None
    clock_skew_s: float | None = None
    gateways: int | None = None
    expected_s: int | None = None  # how often it should speak, as its region says; not kept here

    def overdue(self, now_ms: int) -> float | None:
        """Since it was heard, times ``expected_s``."""
        if self.expected_s is None or self.heard_ms is None:
            return None
        return max(0.0, (now_ms - self.heard_ms) / 1000) / self.expected_s


_KEPT = tuple(name for name in Device.__dataclass_fields__ if name != "expected_s")


@dataclass(frozen=True, slots=True)
class Service:
    """What a person said of a sensor: ``out`` of service from ``since_ms`` on, or in service again."""

    station: str
    parameter: Parameter
    out: bool
    since_ms: int
    at_ms: int
    who: str
    why: str


def address(deployment: Deployment) -> str:
    """SQLAlchemy URL: the deployment's database, or a SQLite file of its own (so that nobody waits for the ledger)."""
    return deployment.database_url or f"sqlite+aiosqlite:///{deployment.directory / (deployment.prefix + 'sensors.db')}"


class Registry:
    """Methods raise Unavailable when the database is away."""

    def __init__(self, url: str, within_s: float = 10.0) -> None:
        self._tables = Tables(url, _METADATA, "sensors", within_s)

    async def close(self) -> None:
        await self._tables.close()

    async def open(self) -> None:
        """Raises Unavailable unless it can be written to."""
        await self._tables.run(sql.update(_SERVICE).where(sql.false()).values(who=""))

    async def heard(self, devices: Sequence[Device]) -> None:
        """Enters what was heard. What a device did not say this time stays as it was; what is older than what is known changes nothing."""
        statement = self._tables.insert(_DEVICES)
        new, old = statement.excluded, _DEVICES.c
        later = sql.func.coalesce(new.heard_ms, 0) >= sql.func.coalesce(old.heard_ms, 0)
        values = {name: sql.case((later, sql.func.coalesce(new[name], old[name])), else_=old[name]) for name in (*_MEASURES, "gateways")}
        values["station"] = sql.case((new.station != "", new.station), else_=old.station)
        values["heard_ms"] = spoke = _later(new.heard_ms, old.heard_ms)
        gone = _later(new.silent_ms, old.silent_ms)
        values["silent_ms"] = sql.case((gone >= sql.func.coalesce(spoke, 0), gone), else_=None)
        statement = statement.on_conflict_do_update(index_elements=["device", "way"], set_=values)
        ordered = sorted(devices, key=lambda each: (each.device, each.way))  # rows are locked in one order: no two processes wait in a ring
        for start in range(0, len(ordered), _MOST_ROWS):
            some = ordered[start : start + _MOST_ROWS]
            await self._tables.run(statement, [{name: getattr(each, name) for name in _KEPT} for each in some])

    async def devices(self) -> tuple[Device, ...]:
        """All, by name."""
        rows = await self._tables.run(sql.select(*(_DEVICES.c[name] for name in _KEPT)).order_by(_DEVICES.c.device, _DEVICES.c.way))
        return tuple(Device(*row) for row in rows)

    async def say(self, service: Service) -> None:
        row = asdict(service) | {"parameter": service.parameter.value, "who": service.who[:200], "why": service.why[:1000]}
        await self._tables.run(sql.insert(_SERVICE), [row])

    async def service(self) -> Mapping[Sensor, Service]:
        """What counts of each sensor of which anything was ever said."""
        newest = sql.select(sql.func.max(_SERVICE.c.id)).group_by(_SERVICE.c.station, _SERVICE.c.parameter)
        rows = await self._tables.run(_said().where(_SERVICE.c.id.in_(newest)))
        return {(each.station, each.parameter): each for each in map(_service, rows)}

    async def history(self, station: str) -> tuple[Service, ...]:
        """All that was said of a station's sensors, oldest first."""
        return tuple(map(_service, await self._tables.run(_said().where(_SERVICE.c.station == station).order_by(_SERVICE.c.id))))


def _later(one: Any, other: Any) -> Any:
    """The later of two times, of which either may be NULL."""
    return sql.case((sql.func.coalesce(one, 0) >= sql.func.coalesce(other, 0), sql.func.coalesce(one, other)), else_=other)


def _said() -> Any:
    return sql.select(*(_SERVICE.c[name] for name in Service.__dataclass_fields__))


def _service(row: Any) -> Service:
    return Service(row.station, Parameter(row.parameter), bool(row.out), row.since_ms, row.at_ms, row.who, row.why)
