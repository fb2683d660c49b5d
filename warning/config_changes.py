"""Single values of a region changed by hand: ``GLENCOURSE.high=18.5 m``, ``forecast.probability=0.4``, ``alert.confirm_readings=1``.

Keys are those of the files (``region.yaml`` below ``forecast`` and ``alert``; columns of ``limits.csv``, or the region's own names of
the classes; ``silent_after`` of ``stations.csv``; columns of ``series.csv``). Numbers of a station without a unit are SI.
"""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from warning.config_build import FrozenDict, _alert, _forecast
from warning.config_digest import digest
from warning.config_schema import AlertFile, ForecastFile
from warning.config_units import amount
from warning.errors import ConfigError, Problem
from warning.model import CLASSES, Level
from warning.region import Limits, Region, Series, Station, Zone, named

_RULES: dict[str, tuple[Any, Any]] = {"forecast": (ForecastFile, _forecast), "alert": (AlertFile, lambda file, folder: _alert(file))}
_SERIES = ("plausible_min", "plausible_max", "rise_per_hour", "fall_per_hour", "spike")
_NONE = ("none", "")


def changed(region: Region, settings: Iterable[str]) -> Region:
    """The region with every setting ``WHERE.KEY=VALUE``, in their order. Raises ConfigError that names each that is wrong."""
    problems: list[Problem] = []
    for setting in settings:
        name, equals, value = setting.partition("=")
        where, dot, key = name.strip().rpartition(".")
        try:
            if not equals or not dot:
                raise ValueError("is not of the form WHERE.KEY=VALUE; for instance alert.confirm_readings=1 or GLENCOURSE.high=18.5 m")
            change = _rule if where in _RULES else _station
            region = change(region, where, key, value.strip())
        except ValueError as error:
            what, _, fix = str(error).partition("; ")
            problems.append(Problem(f"--set {setting}", what, fix))
    if problems:
        raise ConfigError(problems)
    return dataclasses.replace(region, digest=digest(region))


def _rule(region: Region, where: str, key: str, text: str) -> Region:
    model, build = _RULES[where]
    if key not in model.model_fields:
        near = difflib.get_close_matches(key, model.model_fields, n=1)
        raise ValueError(f"{where} has no {key!r}; {f'did you mean {near[0]}?' if near else 'one of ' + ', '.join(model.model_fields)}")
    value = yaml.safe_load(text)
    if isinstance(value, str) and "," in value:
        value = [part.strip() for part in value.split(",")]
    try:
        rules = build(model.model_validate({key: value}), Path(region.folder))
    except ValidationError as error:
        what = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{text!r} is not right here: {what}") from None
    fields = {field.name for field in dataclasses.fields(rules)}
    name = next(one for one in (key, f"{key}_s", f"{key}_m", key.replace("_time", "_s")) if one in fields)
    return dataclasses.replace(region, **{where: dataclasses.replace(getattr(region, where), **{name: getattr(rules, name)})})


def _station(region: Region, where: str, key: str, text: str) -> Region:
    station = region.station_by_id.get(where)
    if station is None:
        near = difflib.get_close_matches(where, [*region.station_by_id, *_RULES], n=1)
        raise ValueError(f"no gauge {where!r} in {region.id}; {f'did you mean {near[0]}?' if near else 'or forecast.KEY, alert.KEY'}")
    classes = _classes(region)
    zone = region.zone_by_id.get(where)
    if key.lower() in classes:
        if zone is None:
            raise ValueError(f"{where} has no limits; write them into limits.csv")
        moved = dataclasses.replace(zone, limits=_limits(zone, classes[key.lower()], text))
        return dataclasses.replace(region, zones=tuple(moved if one.id == where else one for one in region.zones))
    if key in ("silent_after", "silent_after_h"):
        hours = float(text) if key.endswith("_h") else amount(text, "time") / 3600.0
        new = dataclasses.replace(station, silent_after_s=round(hours * 3600))
    elif key in _SERIES:
        new = dataclasses.replace(station, series=tuple(_series(one, key, text) for one in station.series))
    else:
        raise ValueError(f"a gauge has no {key!r}; one of {', '.join([*classes, 'silent_after', *_SERIES])}")
    return dataclasses.replace(region, stations=tuple(_same(one, new) for one in region.stations))


def _same(one: Station, new: Station) -> Station:
    return new if one.id == new.id else one


def _classes(region: Region) -> Mapping[str, Level]:
    own = {named(names, "en").lower(): level for level, names in region.class_names.items() if level in CLASSES}
    first = {name.split()[0]: level for name, level in own.items()}
    return first | own | {level.value.lower(): level for level in CLASSES}


def _limits(zone: Zone, level: Level, text: str) -> Limits:
    values = dict(zone.limits.values)
    if text.lower() in _NONE:
        values.pop(level, None)
    else:
        values[level] = _number(text, zone.limits.quantity)
    rising = [values[one] for one in CLASSES if one in values]
    if not rising:
        raise ValueError(f"{zone.id} would have no limit at all; leave one")
    if any(below >= above for below, above in itertools.pairwise(rising)):
        shown = ", ".join(f"{one.value} {values[one]:g}" for one in CLASSES if one in values)
        raise ValueError(f"limits of {zone.id} would not rise: {shown}; limits rise with the class (set the others too, higher ones first)")
    return dataclasses.replace(zone.limits, values=FrozenDict({one: values[one] for one in CLASSES if one in values}))


def _series(series: Series, key: str, text: str) -> Series:
    value: Any = None if text.lower() in _NONE else _number(text, series.parameter.quantity)
    return dataclasses.replace(series, **{key: value})


def _number(text: str, quantity: str) -> float:
    try:
        return float(text)
    except ValueError:
        return amount(text, quantity)
