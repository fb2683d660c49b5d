"""``warning trace``: one id, from the reading to the receipt."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from warning.cli_deliveries import told as delivery_told
from warning.cli_deliveries import utc
from warning.cli_options import Database, Directory, Kafka, Prefix, RegionName, deployment_of


def trace(
    region: RegionName,
    id: Annotated[
        str, typer.Argument(metavar="ID", help="alert or chain, STATION/PARAMETER/TIME, message id at the gateway, code of an SMS")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Say all that happened: reading, score, decision, CAP, each attempt, each receipt, with times; and what of it is no longer kept."""
    from warning import config, wiring_trace

    found = config.load(region)
    given = {"bootstrap": kafka, "prefix": prefix, "directory": directory, "database_url": database}
    told = asyncio.run(wiring_trace.trace(found, deployment_of(found, **given).as_process("api"), id))
    if as_json:
        typer.echo(json.dumps(wiring_trace.as_json(told), ensure_ascii=False))
        return
    for step in told.steps:
        typer.echo(f"{utc(step.at_ms) or '-':<24}  {step.stage:<9} {step.words}")
        for line in delivery_told(step.data)[1:] if step.stage == "delivery" else ():
            typer.echo(line)
    for each in told.missing:
        typer.echo(f"not there: {each}")
