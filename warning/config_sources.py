"""``sources.yaml`` of a region's folder: what ``warning pull`` asks which agency for. Absent: nothing is pulled.

No part of the Region nor of its digest: nothing behind the log depends on it. Keys stand in the environment or in files, never here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from warning.config_agency import Agency, AgencyModel, Meaning, Parameters, Strict, Units
from warning.config_units import amount
from warning.config_yaml import Key, read_yaml, table_of, validated, yaml_where
from warning.errors import ConfigError, Problem
from warning.region import Region

FILE = "sources.yaml"
_BEGIN = "begin with sources: and an id, as config/README.md shows"
PLACES = ("station", "stations", "since", "until")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_PLACE = re.compile(r"\{([^{}]*)\}")
_SECRET = re.compile(r"(?i)auth|key|token|secret|cookie|password")
_SECRET_IN_URL = re.compile(r"(?i)[?&][^=&]*(?:key|token|secret|appid|password)[^=&]*=(?!\{)[^&]+")


@dataclass(frozen=True, slots=True)
class Theirs:
    """One station of theirs: whose readings it is here, and what it writes otherwise than its agency."""

    station: str
    unit: str = ""
    datum: str = ""
    parameters: Mapping[str, Meaning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to ask for, again and again. ``stations``: their id -> ours; ``secrets``: name -> ``env:NAME`` or ``file:PATH``."""

    id: str
    agency: Agency
    url: str
    stations: Mapping[str, Theirs]
    every_s: float = 900.0
    overlap_s: float = 6 * 3600.0  # asked for again each time: late readings and revisions
    chunk_s: float = 86_400.0  # at most so much in one request
    back_s: float = 7 * 86_400.0  # no further back after an outage
    at_once: int = 50  # stations in one request
    timeout_s: float = 60.0
    most_bytes: int = 20 << 20
    silent_after_s: float = 7200.0  # no newer reading for so long: an alarm
    reach: Literal["public", "private", "loopback"] = "public"
    others: Literal["ignore", "refuse"] = "ignore"  # stations and words of theirs that are not mapped
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def windowed(self) -> bool:
        """Whether the URL says from when, so that a gap can be asked for."""
        return "{since}" in self.url


def _seconds(text: object) -> float:
    try:
        seconds = amount(text, "time")
    except ValueError as error:
        raise ValueError(str(error)) from None
    if not seconds > 0:
        raise ValueError(f"{text!r} is no time; write one such as 15 min, 6 h, 2 d")
    return seconds


def _reference(text: str) -> str:
    if not text.startswith(("env:", "file:")) or not text.partition(":")[2]:
        raise ValueError("a key must not stand in this file; write env:NAME or file:PATH")
    return text


def _theirs(value: object) -> object:
    return {"station": value} if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds)]
Reference = Annotated[str, AfterValidator(_reference)]


class TheirsModel(Strict):
    station: str
    unit: str = ""
    datum: str = ""
    parameters: Parameters = Field(default_factory=dict)

    def noun(self) -> Theirs:
        return Theirs(self.station, self.unit, self.datum, {word: one.noun() for word, one in self.parameters.items()})


class SourceModel(Strict):
    """The keys of one source."""

    url: str
    agency: str = ""
    own_format: AgencyModel | None = None
    stations: dict[str, Annotated[TheirsModel, BeforeValidator(_theirs)]]
    about: str = ""
    every: Seconds = 900.0
    overlap: Seconds = 6 * 3600.0
    chunk: Seconds = 86_400.0
    back: Seconds = 7 * 86_400.0
    at_once: Annotated[int, Field(ge=1, le=1000)] = 50
    timeout: Seconds = 60.0
    most_mb: Annotated[float, Field(gt=0, le=200)] = 20.0
    silent_after: Seconds = 7200.0
    reach: Literal["public", "private", "loopback"] = "public"
    others: Literal["ignore", "refuse"] = "ignore"
    headers: dict[str, str] = Field(default_factory=dict)
    secrets: dict[str, Reference] = Field(default_factory=dict)
    parameters: Parameters = Field(default_factory=dict)
    units: Units = Field(default_factory=dict)


def _wrong(source: SourceModel) -> Iterator[tuple[str, str, str]]:
    """(key, words, fix) of what is wrong between the keys of a source. A URL is not repeated: it may hold a key."""
    try:
        place = urlsplit(source.url)
        host = place.hostname
    except ValueError:
        place, host = urlsplit(""), None
    if place.scheme not in ("http", "https") or not host:
        yield "url", "is no URL", "write one that begins with https://"
    if place.username or place.password or _SECRET_IN_URL.search(source.url):
        yield "url", "a key stands in the URL", "write {NAME} there and NAME: env:VARIABLE under secrets"
    known = (*PLACES, *source.secrets)
    for name in _PLACE.findall(source.url):
        if name not in known:
            yield "url", f"{{{name}}} in the URL is nothing", f"write one of {', '.join('{' + one + '}' for one in known)}"
    if "{station}" in source.url and "{stations}" in source.url:
        yield "url", "{station} and {stations} in one URL", "write one of them"
    for name, text in source.headers.items():
        if _SECRET.search(name) and not text.startswith(("env:", "file:")):
            yield "headers", "a key must not stand in this file", f"write {name}: env:NAME or file:PATH"
    if bool(source.agency) == (source.own_format is not None):
        yield "agency", "a source is written by one agency", "write agency: NAME, or own_format: with its keys"
    if not source.stations:
        yield "stations", "no stations", "write their id: our id"
    if source.overlap >= source.back or source.chunk > source.back:
        yield "back", "overlap and chunk reach further than back", "write a longer back"


def load(path: Path, region: Region) -> tuple[Source, ...]:
    """The sources of a region's folder, by id; () without the file. Raises ConfigError with all problems."""
    sources, problems = read(path, region)
    fatal = [problem for problem in problems if problem.fatal]
    if fatal:
        raise ConfigError(fatal)
    return sources


def check(region: Region) -> list[Problem]:
    """Every problem of the file in the region's folder."""
    return read(Path(region.folder), region)[1]


def read(folder: Path, region: Region) -> tuple[tuple[Source, ...], list[Problem]]:
    """The sources that are right, and what is wrong with the others."""
    path = folder / FILE
    if not path.exists():
        return (), []
    problems: list[Problem] = []
    content, lines = table_of(path, problems, _BEGIN)
    if content is None:
        return (), problems
    table = content.get("sources")
    problems += [Problem(yaml_where(path, lines, (key,)), f"unknown key {key!r}", _BEGIN) for key in content if key != "sources"]
    if not isinstance(table, dict):
        return (), [*problems, Problem(f"{path}:1", "there are no sources", _BEGIN)]
    found = [_read(str(id), one, path, lines, region, problems) for id, one in table.items()]
    sources = tuple(sorted((one for one in found if one is not None), key=lambda one: one.id))
    return sources, [*problems, *_told_twice(sources, region, path, lines)]


def _told_twice(sources: tuple[Source, ...], region: Region, path: Path, lines: dict[Key, int]) -> Iterator[Problem]:
    """A warning for each series that two sources tell: where their values differ, each round of one revises the other's."""
    first: dict[tuple[str, str], str] = {}
    for source in sources:
        for theirs, one in source.stations.items():
            told = {each.parameter for each in {**source.agency.parameters, **one.parameters}.values()}
            for series in region.station_by_id[one.station].series if one.station in region.station_by_id else ():
                if series.parameter.value not in told:
                    continue
                other = first.setdefault((one.station, series.parameter.value), source.id)
                if other != source.id:
                    where = yaml_where(path, lines, ("sources", source.id, "stations", theirs))
                    words = f"{one.station} {series.parameter.value} is told by {other}, too: where they differ they revise each other"
                    fix = f"map its word to none under parameters in one of them, or leave {one.station} out there"
                    yield Problem(where, words, fix, fatal=False)


def _read(id: str, content: object, path: Path, lines: dict[Key, int], region: Region, problems: list[Problem]) -> Source | None:
    where = yaml_where(path, lines, ("sources", id))
    if not _ID.fullmatch(id):
        problems.append(Problem(where, f"{id!r} is no id of a source", "small letters, digits and hyphens"))
    mine = {key[2:]: line for key, line in lines.items() if key[:2] == ("sources", id)}
    if not isinstance(content, dict):
        problems.append(Problem(where, "is not a table of keys", _BEGIN))
        return None
    model = validated(path, content, mine, SourceModel, problems)
    if model is None:
        return None
    wrong = [Problem(yaml_where(path, mine, (key,)), words, fix) for key, words, fix in _wrong(model)]
    problems += wrong
    if wrong:
        return None
    agency = _agency(model, path.parent, where, problems)
    problems += _stations(model, agency, region, path, mine)
    return None if agency is None else _source(id, model, agency)


def _agency(model: SourceModel, folder: Path, where: str, problems: list[Problem]) -> Agency | None:
    if model.own_format is not None:
        return model.own_format.noun()
    places = agencies(folder)
    for place in places:
        path = place / f"{model.agency}.yaml"
        if re.fullmatch(r"[A-Za-z0-9-]+", model.agency) and path.is_file():
            found = read_yaml(path, AgencyModel, problems)
            return None if found is None else found.noun()
    known = sorted({path.stem for place in places for path in place.glob("*.yaml")})
    problems.append(Problem(where, f"no agency {model.agency!r}", f"known: {', '.join(known)}; or write own_format: with its keys"))
    return None


def agencies(folder: Path) -> tuple[Path, ...]:
    """Folders of agencies' files: the region's own before those that are shipped."""
    package = Path(__file__).resolve().parent
    return tuple(
        each for each in (folder / "agencies", package.parent / "config" / "agencies", package / "regions" / "agencies") if each.is_dir()
    )


def _stations(model: SourceModel, agency: Agency | None, region: Region, path: Path, lines: dict[Key, int]) -> Iterator[Problem]:
    shared = {**(agency.parameters if agency else {}), **{word: one.noun() for word, one in model.parameters.items()}}
    for theirs, one in model.stations.items():
        where, station = yaml_where(path, lines, ("stations", theirs)), region.station_by_id.get(one.station)
        if station is None:
            yield Problem(where, f"no station {one.station!r} in this region", "write an id of stations.csv")
            continue
        has = {series.parameter.value for series in station.series}
        for word, own in one.parameters.items():
            if own.parameter not in (*has, "none"):
                words = f"{one.station} has no {own.parameter}, which {word!r} is"
                yield Problem(where, words, "add the series to series.csv, or leave the word out")
        if agency is not None and not one.parameters and not has & {each.parameter for each in shared.values()}:
            yield Problem(where, f"nothing that this source tells is measured at {one.station}", "map their words under parameters")


def _source(id: str, model: SourceModel, agency: Agency) -> Source:
    mine = {word: one.noun() for word, one in model.parameters.items()}
    units = {word: one.noun() for word, one in model.units.items()}
    return Source(
        id=id,
        agency=replace(agency, parameters={**agency.parameters, **mine}, units={**agency.units, **units}),
        url=model.url,
        stations={theirs: one.noun() for theirs, one in model.stations.items()},
        every_s=model.every,
        overlap_s=model.overlap,
        chunk_s=model.chunk,
        back_s=model.back,
        at_once=model.at_once,
        timeout_s=model.timeout,
        most_bytes=int(model.most_mb * (1 << 20)),
        silent_after_s=model.silent_after,
        reach=model.reach,
        others=model.others,
        headers=model.headers,
        secrets=model.secrets,
    )


def shipped(*names: str) -> dict[str, Agency]:
    """Agencies of the shipped files, for those who push in their formats. Raises ConfigError."""
    problems: list[Problem] = []
    found: dict[str, Agency] = {}
    for name in names:
        path = next((place / f"{name}.yaml" for place in agencies(Path()) if (place / f"{name}.yaml").is_file()), None)
        model = read_yaml(path, AgencyModel, problems) if path else None
        if model is None:
            problems.append(Problem(f"agencies/{name}.yaml", "is not there, or is wrong", "install the whole package"))
        else:
            found[name] = model.noun()
    if problems:
        raise ConfigError(problems)
    return found
