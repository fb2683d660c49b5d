"""``edge.yaml``: one file of one edge node -> ``site.Site``, or all that is wrong with it, each with line, key and fix.

It stands on the node, not in a region's folder: the node knows its own sensors and no other. See deploy/edge/edge.yaml.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from warning import config_units
from warning.config_schema import Class, Number, Seconds, Text, Word
from warning.config_yaml import Key as Place
from warning.config_yaml import table_of, validated, yaml_where
from warning.errors import ConfigError, Problem
from warning.model import Level, Parameter
from warning.site import Gateway, Key, Listen, Mqtt, Rules, Sensor, Siren, Site

_PARAMETERS = tuple(parameter.value for parameter in Parameter)
_LEAST_BYTES, _MOST_BYTES = 2_000_000, 100_000_000_000
_SIZES = {"MB": 1_000_000, "GB": 1_000_000_000}
_DEFAULT_MARGIN = {"stage": 0.10, "temperature": 1.0, "humidity": 5.0, "rain": 0.0}
_WORDS = frozenset({"{state}", "{level}", "{siren}"})


def _bytes(text: object) -> int:
    number, _, unit = str(text).partition(" ")
    if unit not in _SIZES or not number.isdecimal():
        raise ValueError(f"{text!r} is not a size such as 200 MB")
    return int(number) * _SIZES[unit]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SensorFile(_Strict):
    """Values (``plausible_min``, ``limits``, ``margin``) are in ``unit``, stages above gauge zero."""

    station: Text
    parameter: Literal["stage", "discharge", "inflow", "outflow", "rain", "temperature", "humidity"]
    unit: Text
    datum: str = ""
    every: Seconds
    plausible_min: Number | None = None
    plausible_max: Number | None = None
    zero_elevation_m: Number | None = None
    elevation_datum: Text = "msl"
    mm_per_tip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    limits: dict[Class, Number] = {}
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    topic: str = ""


class RulesFile(_Strict):
    at_once: Class = Level.VERY_HIGH
    clear_after: Seconds = 3600
    stale_after: Annotated[int, Field(ge=1, le=100)] = 3


class SirenFile(_Strict):
    name: Word
    at: Class
    series: list[Text] = []
    command: list[Text] = []
    topic: str = ""
    again: Seconds = 60
    longest: Seconds = 1800
    test: Seconds = 5
    within: Seconds = 10


class KeyFile(_Strict):
    name: Word
    sha256: Annotated[str, Field(min_length=64, max_length=64)]
    stations: list[Text] = []


class GatewayFile(_Strict):
    url: Text
    key_file: Text
    ca_file: str = ""
    timeout: Seconds = 15
    most_items: Annotated[int, Field(ge=1, le=10_000)] = 2000


class ListenFile(_Strict):
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8090


class MqttFile(_Strict):
    host: Text = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    topics: list[Text] = []


class EdgeFile(_Strict):
    node: Word
    directory: Text
    clock: Literal["ntp", "battery"] = "ntp"
    disk: Annotated[int, BeforeValidator(_bytes), Field(ge=_LEAST_BYTES, le=_MOST_BYTES)] = 200_000_000
    gateway: GatewayFile
    sensors: Annotated[list[SensorFile], Field(min_length=1)]
    rules: RulesFile = RulesFile()
    sirens: list[SirenFile] = []
    keys: list[KeyFile] = []
    listen: ListenFile | None = None
    mqtt: MqttFile | None = None


def load(path: Path) -> Site:
    """The node that the file describes. Raises ConfigError with all problems."""
    site, problems = read(path)
    if site is None:
        raise ConfigError(problems)
    return site


def read(path: Path) -> tuple[Site | None, list[Problem]]:
    """The node, None if anything is wrong; and the problems, warnings among them."""
    problems: list[Problem] = []
    content, lines = table_of(path, problems, "deploy/edge/edge.yaml shows what it holds")
    file = None if content is None else validated(path, content, lines, EdgeFile, problems)
    if file is not None:
        found = [*_of_sensors(file), *_of_sirens(file), *_of_ways_in(file), *_of_gateway(file)]
        problems += [Problem(yaml_where(path, lines, place), what, fix, fatal) for place, what, fix, fatal in found]
    if file is None or any(problem.fatal for problem in problems):
        return None, problems
    return _site(file, path), problems


_Found = Iterator[tuple[Place, str, str, bool]]


def _of_sensors(file: EdgeFile) -> _Found:
    names = Counter(f"{sensor.station} {sensor.parameter}" for sensor in file.sensors)
    topics = Counter(sensor.topic for sensor in file.sensors if sensor.topic)
    for number, sensor in enumerate(file.sensors):
        at: Place = ("sensors", number)
        if names[f"{sensor.station} {sensor.parameter}"] > 1:
            yield (*at, "station"), f"{sensor.station} {sensor.parameter} stands twice", "one entry a series", True
        if topics[sensor.topic] > 1:
            yield (*at, "topic"), f"topic {sensor.topic} is of two sensors", "one topic each; else send JSON that names the station", True
        if any(sign in sensor.topic for sign in "+#"):
            yield (*at, "topic"), f"{sensor.topic} is a filter", "the topic of this sensor alone", True
        yield from _of_unit(sensor, at)
        yield from _of_limits(sensor, at)


def _of_unit(sensor: SensorFile, at: Place) -> _Found:
    quantity = Parameter(sensor.parameter).quantity
    if not (sensor.unit == "tips" and sensor.mm_per_tip):
        try:
            config_units.factor(sensor.unit, quantity)
        except ValueError as error:
            what, _, fix = str(error).partition("; ")
            yield (*at, "unit"), what, fix, True
    if sensor.parameter == "stage" and not sensor.datum:
        yield at, "a stage needs its datum", "datum: gauge_zero, if the sensor counts from the gauge's zero", True
    if sensor.parameter != "stage" and sensor.datum:
        yield (*at, "datum"), f"a {sensor.parameter} has no datum", "remove it", True
    if sensor.datum not in ("", "gauge_zero") and sensor.zero_elevation_m is None:
        yield (*at, "datum"), f"what is gauge zero in {sensor.datum}?", "zero_elevation_m: its elevation in m", True
    low, high = sensor.plausible_min, sensor.plausible_max
    if low is not None and high is not None and low >= high:
        yield (*at, "plausible_min"), "plausible_min is not below plausible_max", "", True


def _of_limits(sensor: SensorFile, at: Place) -> _Found:
    by_rank = sorted(sensor.limits.items(), key=lambda each: each[0].rank)
    for (lower, below), (upper, above) in itertools.pairwise(by_rank):
        if above <= below:
            yield (*at, "limits"), f"{upper.name} ({above:g}) is not above {lower.name} ({below:g})", "limits rise with the class", True
    high = sensor.plausible_max
    if high is not None and by_rank and by_rank[-1][1] > high:
        level, value = by_rank[-1]
        yield (*at, "limits"), f"{level.name} ({value:g}) is above plausible_max ({high:g}): no reading could reach it", "", True
    if by_rank and (sensor.plausible_min is None or sensor.plausible_max is None):
        what = f"{sensor.station} {sensor.parameter} has limits and no plausible range: any broken value sounds the siren"
        yield (*at, "limits"), what, "plausible_min and plausible_max", False
    if by_rank and sensor.parameter == "rain":
        yield (*at, "limits"), "limits of rain are of one reading, not of a sum", "judged upstream: leave them out", True


def _of_sirens(file: EdgeFile) -> _Found:
    sensors = {f"{sensor.station} {sensor.parameter}": sensor for sensor in file.sensors}
    names = Counter(siren.name for siren in file.sirens)
    for number, siren in enumerate(file.sirens):
        at: Place = ("sirens", number)
        if names[siren.name] > 1:
            yield (*at, "name"), f"two sirens {siren.name}", "another name", True
        if bool(siren.command) == bool(siren.topic):
            yield at, "a siren is a command or a topic", "command: [/path/of/program, '{state}', '{level}'], or topic: siren/name", True
        if siren.topic and file.mqtt is None:
            yield (*at, "topic"), "there is no broker for it", "mqtt: {host: 127.0.0.1}", True
        if any(sign in siren.topic for sign in "+#"):
            yield (*at, "topic"), f"{siren.topic} is a filter: nothing can be sent to it", "the topic of this siren alone", True
        if siren.command and not Path(siren.command[0]).is_absolute():
            yield (
                (*at, "command"),
                f"{siren.command[0]!r} is not a whole path",
                "/usr/local/bin/..., so that it does not depend on PATH",
                True,
            )
        if siren.command and "{state}" not in siren.command:
            yield (*at, "command"), "it does not hear whether on or off", "add '{state}'", True
        strange = [word for word in siren.command[1:] if word.startswith("{") and word not in _WORDS]
        if strange:
            yield (*at, "command"), f"nobody knows what {strange[0]} is", f"one of {', '.join(sorted(_WORDS))}", True
        heard = siren.series or list(sensors)
        for name in siren.series:
            if name not in sensors:
                yield (*at, "series"), f"no sensor {name!r}", f"one of {', '.join(sensors)}", True
        if not any(level >= siren.at for name in heard if name in sensors for level in sensors[name].limits):
            yield (*at, "at"), f"no sensor that it hears has a limit of {siren.at.name} or above", "it would never sound", True


def _of_ways_in(file: EdgeFile) -> _Found:
    stations = {sensor.station for sensor in file.sensors}
    names, digests = Counter(key.name for key in file.keys), Counter(key.sha256 for key in file.keys)
    for number, key in enumerate(file.keys):
        if names[key.name] > 1 or digests[key.sha256] > 1:
            yield ("keys", number, "name"), f"key {key.name} stands twice", "one entry a key", True
        if not all(sign in "0123456789abcdef" for sign in key.sha256):
            yield ("keys", number, "sha256"), "is no SHA-256 in lower-case hexadecimal", "warning edge new-key prints it", True
        for station in key.stations:
            if station not in stations:
                yield ("keys", number, "stations"), f"no sensor of {station}", f"one of {', '.join(sorted(stations))}", True
    if file.listen is None and file.mqtt is None:
        yield (), "no sensor can come in", "listen: {port: 8090}, or mqtt: {topics: [...]}, or both", True
    if file.listen is not None and not file.keys:
        yield ("listen",), "nobody has a key", "keys: - {name: ..., sha256: ...} (warning edge new-key)", True
    if file.mqtt is None and any(sensor.topic for sensor in file.sensors):
        yield ("sensors",), "a sensor has a topic, and there is no broker", "mqtt: {host: 127.0.0.1}", True
    if file.mqtt is None:
        return
    if file.listen is None and not file.mqtt.topics and not any(sensor.topic for sensor in file.sensors):
        yield ("mqtt",), "no sensor can come in: no topic is heard", "topics: [sensors/+/readings], or topic: at a sensor", True
    for number, topic in enumerate(file.mqtt.topics):
        if "#" in topic[:-1] or any(len(part) > 1 and ("+" in part or "#" in part) for part in topic.split("/")):
            yield ("mqtt", "topics", number), f"{topic} is no filter of MQTT", "+ for one whole level, # for all behind the last /", True


def _of_gateway(file: EdgeFile) -> _Found:
    at: Place = ("gateway", "url")
    try:
        url = urlsplit(file.gateway.url)
        host, _ = url.hostname, url.port
    except ValueError as error:
        yield at, f"no URL: {error}", "https://HOST/v1/readings", True
        return
    if url.scheme not in ("http", "https") or not host:
        yield at, f"{file.gateway.url} is no HTTP address", "https://HOST/v1/readings", True
    elif url.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
        yield at, "the key and the readings cross the network in the clear", "https", False


def _site(file: EdgeFile, path: Path) -> Site:
    """Paths are relative to the file's folder."""
    here = path.resolve().parent
    gateway, mqtt, listen = file.gateway, file.mqtt, file.listen
    return Site(
        node=file.node,
        directory=str(here / file.directory),
        battery_clock=file.clock == "battery",
        most_bytes=file.disk,
        gateway=Gateway(
            url=gateway.url,
            key_file=str(here / gateway.key_file),
            ca_file=str(here / gateway.ca_file) if gateway.ca_file else "",
            timeout_s=float(gateway.timeout),
            most_items=gateway.most_items,
        ),
        sensors=tuple(_sensor(sensor) for sensor in file.sensors),
        rules=Rules(at_once=file.rules.at_once, clear_after_s=file.rules.clear_after, stale_after=file.rules.stale_after),
        sirens=tuple(_siren(siren) for siren in file.sirens),
        keys=tuple(Key(name=key.name, sha256=key.sha256, stations=tuple(key.stations)) for key in file.keys),
        listen=None if listen is None else Listen(host=listen.host, port=listen.port),
        mqtt=None
        if mqtt is None
        else Mqtt(
            host=mqtt.host,
            port=mqtt.port,
            user=mqtt.user,
            password_file=str(here / mqtt.password_file) if mqtt.password_file else "",
            ca_file=str(here / mqtt.ca_file) if mqtt.ca_file else "",
            topics=tuple(mqtt.topics),
        ),
    )


def _sensor(file: SensorFile) -> Sensor:
    parameter = Parameter(file.parameter)
    tips = file.unit == "tips"
    factor = (file.mm_per_tip or 1.0) if tips else config_units.factor(file.unit, parameter.quantity)
    zero = 0.0 if tips else config_units.zero(file.unit)

    def si(value: float) -> float:
        return round(value * factor + zero, 6)

    limits = tuple((level, si(value)) for level, value in sorted(file.limits.items(), key=lambda each: each[0].rank))
    if file.margin is not None:
        margin = round(file.margin * factor, 6)
    else:  # of a discharge: 5 % of its lowest limit
        margin = _DEFAULT_MARGIN.get(parameter.quantity, round(0.05 * limits[0][1], 6) if limits else 0.0)
    return Sensor(
        station=file.station,
        parameter=parameter,
        unit=file.unit,
        datum=file.datum,
        every_s=file.every,
        plausible_min=None if file.plausible_min is None else si(file.plausible_min),
        plausible_max=None if file.plausible_max is None else si(file.plausible_max),
        zero_elevation_m=file.zero_elevation_m,
        elevation_datum=file.elevation_datum,
        mm_per_tip=file.mm_per_tip,
        limits=limits,
        margin=margin,
        topic=file.topic,
    )


def _siren(file: SirenFile) -> Siren:
    return Siren(
        name=file.name,
        at=file.at,
        series=tuple(file.series),
        command=tuple(file.command),
        topic=file.topic,
        again_s=file.again,
        longest_s=file.longest,
        test_s=file.test,
        within_s=float(file.within),
    )
