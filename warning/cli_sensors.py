"""``warning sensors``: how each sensor is, and what a person says of it: out of service, in service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from warning.cli_groups import RegionFirst
from warning.cli_options import Database, Directory, Json, Kafka, Prefix, loaded, moment, write_text
from warning.errors import ConfigError, Problem
from warning.model import Parameter

if TYPE_CHECKING:
    pass


sensors = typer.Typer(cls=RegionFirst, help="How each sensor is; out of service, in service.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="REGION", help="name of a region, or the path of its folder")]
Station = Annotated[str, typer.Argument(help="id of the station")]
Which = Annotated[Parameter | None, typer.Argument(help="what the sensor measures; default: all that the station measures")]
Who = Annotated[str, typer.Option("--who", help="your name; stands in the log for ever")]
Why = Annotated[str, typer.Option("--why", help="why; stands in the log for ever")]
From = Annotated[str | None, typer.Option("--from", help="time of the readings from which on; with its zone [default: now]")]


@sensors.command("list")
def list_sensors(
    name: Annotated[str | None, typer.Argument(metavar="[REGION]", help="name of a region, or the path of its folder")] = None,
    region: Annotated[str | None, typer.Option("--region", "-r", envvar="WARNING_REGION", help="the same")] = None,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
    json_file: Json = None,
) -> None:
    """List what needs a person: sensors silent, out of service, rejected or flagged; devices, the worst first."""
    from warning.operate import audit

    which = name or region
    if which is None:
        raise ConfigError([Problem("REGION", "is missing", "name a region, or the path of its folder")])
    found, deployment = loaded(which, "api", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    table = asyncio.run(audit.read(found, deployment))
    print(audit.render(found, table))
    write_text(json_file, table.model_dump_json(indent=2))


@sensors.command("show")
def show(
    region: Name,
    station: Station,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
    json_file: Json = None,
) -> None:
    """All about one station's sensors: last seen, overdue, delay, flags, rejects, devices, and what was said of them."""
    from warning.operate import audit

    found, deployment = loaded(region, "api", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    if station not in found.station_by_id:
        raise ConfigError([Problem(station, f"region {found.id} has no such station", "its stations are in stations.csv")])
    answer = asyncio.run(audit.read_station(found, deployment, station))
    print(audit.render_station(answer))
    write_text(json_file, answer.model_dump_json(indent=2))


_OUT = "out-of-service"
_OUT_HELP = "Take a sensor out of service: its readings fail from then on, and its silence is no alarm. Its zone is UNKNOWN all the same."


@sensors.command("in-service", help="Take a sensor into service again: its readings count from then on.")
@sensors.command(_OUT, help=_OUT_HELP)
def say(
    command: typer.Context,
    region: Name,
    station: Station,
    who: Who,
    why: Why,
    parameter: Which = None,
    begin: From = None,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """What a person says of a sensor, by the name of the command."""
    from warning import wiring_sensors

    out, from_ms = command.info_name == _OUT, moment("--from", begin)
    found, deployment = loaded(region, "ingest", bootstrap=kafka, prefix=prefix, directory=directory, database_url=database)
    said = asyncio.run(wiring_sensors.say(found, deployment, out, station, parameter, from_ms, who, why))
    for each in said:
        words = "out of service" if each.out else "in service again"
        print(f"{each.station} {each.parameter.value}: {words} from {wiring_sensors.at(each.since_ms)} on, says {each.who}: {each.why}")
