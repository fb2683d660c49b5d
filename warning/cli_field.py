"""What people in the field know of a sensor: out of order from when to when, mended, its zero set anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from warning.cli_options import Directory, Kafka, Prefix, deployment_of, moment
from warning.errors import ConfigError, Problem
from warning.model import ManualFlag, Parameter
from warning.region import Region


def _problems(region: Region, flag: ManualFlag) -> list[Problem]:
    from warning.stream.codec import LAST_MS

    station = region.station_by_id.get(flag.station)
    if station is None:
        return [Problem(flag.station, f"region {region.id} has no such station", "its stations are in stations.csv")]
    known = [one.parameter.value for one in station.series]
    if flag.parameter.value not in known:
        return [Problem(flag.parameter.value, f"{flag.station} does not measure it", f"it measures {', '.join(known)}")]
    if flag.to_ms is not None and flag.to_ms <= flag.from_ms:
        return [Problem("--to", "is not after --from", "leave it out for: until further notice")]
    if not 0 <= flag.from_ms < (LAST_MS if flag.to_ms is None else flag.to_ms) <= LAST_MS:
        return [Problem("--from, --to", "lie outside of 1970 to 2100", "leave --to out for: until further notice")]
    if not flag.because.strip() or not flag.who.strip():
        return [Problem("--because, --who", "are empty", "say why and who you are: it stands in the log for ever")]
    return []


def flag(
    region: Annotated[str, typer.Argument(help="name of a region, or the path of its folder")],
    station: Annotated[str, typer.Argument(help="id of the station")],
    parameter: Annotated[Parameter, typer.Argument(help="what the sensor measures")],
    because: Annotated[str, typer.Option("--because", help="why; stands in the log for ever")],
    who: Annotated[str, typer.Option("--who", help="your name; stands in the log for ever")],
    begin: Annotated[str | None, typer.Option("--from", help="time with its zone; of the readings, not of saying it")] = None,
    end: Annotated[str | None, typer.Option("--to", help="the same; default: until further notice")] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="it is not out of order then after all, or is mended")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="the datum shift that was found is the sensor's new level")] = False,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
) -> None:
    """Say that a sensor is out of order from one time to another: its readings fail, those that counted are taken back."""
    from warning import config, wiring, wiring_flag

    if withdraw and accept:
        raise ConfigError([Problem("--withdraw --accept", "are two things", "say one at a time")])
    action: Literal["fail", "withdraw", "accept"] = "withdraw" if withdraw else "accept" if accept else "fail"
    if begin is None and action != "accept":
        raise ConfigError([Problem("--from", "is missing", "since when is the sensor out of order?")])
    found = config.load(region)
    said = ManualFlag(
        flag_ms=wiring.clock_ms(),
        station=station,
        parameter=parameter,
        action=action,
        who=who,
        because=because,
        from_ms=moment("--from", begin) or 0,
        to_ms=moment("--to", end),
    )
    problems = _problems(found, said)
    if problems:
        raise ConfigError(problems)
    asyncio.run(
        wiring_flag.say(found, deployment_of(found, bootstrap=kafka, prefix=prefix, directory=directory).as_process("ingest"), said)
    )
    print(f"{station} {parameter.value}: {_words(said)}, says {who}: {because}")


def _words(said: ManualFlag) -> str:
    if said.action == "accept":
        return "the new level stands"

    def at(ms: int) -> str:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")

    until = "until further notice" if said.to_ms is None else f"to {at(said.to_ms)}"
    return f"{'no more ' if said.action == 'withdraw' else ''}out of order from {at(said.from_ms)} {until}"
