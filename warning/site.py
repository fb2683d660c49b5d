"""The nouns of one edge node as its file describes it: sensors, limits, sirens, gateway. Built by ``config_edge`` only.

Values are SI (m, m3/s, mm, degC, %), durations seconds, whatever units the file uses. They are handed to the node's own process as JSON,
which therefore needs neither pydantic nor YAML: it has 60 MB.
"""

from __future__ import annotations

import msgspec

from warning.model import Level, Parameter


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """One series that this node takes. ``limits``: (class, value) rising; empty: it is handed on and decides nothing here."""

    station: str
    parameter: Parameter
    unit: str  # where the sensor does not say
    datum: str  # where it does not say; a stage only
    every_s: int  # how often it is expected
    plausible_min: float | None = None
    plausible_max: float | None = None
    zero_elevation_m: float | None = None
    elevation_datum: str = "msl"
    mm_per_tip: float | None = None
    limits: tuple[tuple[Level, float], ...] = ()
    margin: float = 0.0  # below its limit by this a class is over
    topic: str = ""  # MQTT: a bare number there is its value

    @property
    def name(self) -> str:
        return f"{self.station} {self.parameter.value}"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """When a class stands and when it is over: two readings, one from ``at_once`` on; ``clear_after_s`` of good readings below."""

    at_once: Level = Level.VERY_HIGH
    clear_after_s: int = 3600
    stale_after: int = 3  # times a sensor's interval: an older reading is history and sounds no siren


class Siren(msgspec.Struct, frozen=True, kw_only=True):
    """A command without a shell, or an MQTT topic; ``series``: whose class it hears (station and parameter), empty: all."""

    name: str
    at: Level  # from this class on
    series: tuple[str, ...] = ()
    command: tuple[str, ...] = ()  # {state} on, off or test; {level} the class
    topic: str = ""
    again_s: int = 60  # said again so often, so that a siren that was restarted knows
    longest_s: int = 1800  # so long at one class
    test_s: int = 5
    within_s: float = 10.0  # for a command, then it is killed


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A local sensor's key: its SHA-256. ``stations`` empty: all of this node."""

    name: str
    sha256: str
    stations: tuple[str, ...] = ()


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """Where readings go. ``most_items``: of one request."""

    url: str
    key_file: str
    ca_file: str = ""
    timeout_s: float = 15.0
    most_items: int = 2000


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    host: str = "127.0.0.1"
    port: int = 8090


class Mqtt(msgspec.Struct, frozen=True, kw_only=True):
    """The broker of the sensors. ``topics``: filters of JSON readings; who may write where is that broker's ACL."""

    host: str = "127.0.0.1"
    port: int = 1883
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    topics: tuple[str, ...] = ()


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """All of one node. ``directory``: of its outbox; ``most_bytes``: of that on disk."""

    node: str
    directory: str
    gateway: Gateway
    sensors: tuple[Sensor, ...]
    rules: Rules = Rules()
    sirens: tuple[Siren, ...] = ()
    keys: tuple[Key, ...] = ()
    listen: Listen | None = None
    mqtt: Mqtt | None = None
    most_bytes: int = 200_000_000
    battery_clock: bool = False  # has a clock that goes on without power: right from the first second


def sensors_by_name(site: Site) -> dict[str, Sensor]:
    return {sensor.name: sensor for sensor in site.sensors}
