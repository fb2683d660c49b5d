"""Options that several commands have, and what is made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from warning.deployment import Deployment
from warning.errors import ConfigError, Problem
from warning.region import Region
from warning.wiring_environment import from_environment

RegionName = Annotated[str, typer.Option("--region", "-r", envvar="WARNING_REGION", help="name of a region, or the path of its folder")]
Kafka = Annotated[str | None, typer.Option("--kafka", help="host:port of Kafka, comma-separated [WARNING_BOOTSTRAP]")]
Prefix = Annotated[
    str | None, typer.Option("--prefix", help="before each topic's name; default: the region's id and a dot [WARNING_PREFIX]")
]
Directory = Annotated[Path | None, typer.Option("--directory", help="folder of databases [WARNING_DIRECTORY; default: here]")]
Database = Annotated[str | None, typer.Option("--database", help="SQLAlchemy URL; default: SQLite in the directory [WARNING_DATABASE_URL]")]
Port = Annotated[
    int | None, typer.Option("--port", min=0, max=65_535, help="port to listen on, on 127.0.0.1 unless WARNING_HOST says otherwise")
]
Mqtt = Annotated[str | None, typer.Option("--mqtt", help="mqtts://user@host:8883 of an MQTT broker [WARNING_MQTT_URL]")]
Json = Annotated[Path | None, typer.Option("--json", help="write the figures as JSON into this file", dir_okay=False)]


def deployment_of(region: Region, **given: Any) -> Deployment:
    """The deployment of the environment and the options; its prefix is the region's unless one was named."""
    deployment = from_environment(os.environ, **given)
    return deployment if deployment.prefix else replace(deployment, prefix=f"{region.id}.")


def loaded(name: str, process: str, **given: Any) -> tuple[Region, Deployment]:
    """A region, and its deployment with the user and rights of that process. Raises ConfigError."""
    from warning import config

    region = config.load(name)
    return region, deployment_of(region, **given).as_process(process)


def moment(option: str, text: str | None) -> int | None:
    """A time of the command line in ms since 1970; None stays. Raises ConfigError for one without its zone."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        fix = "write it with its zone, as 2025-08-27T14:00+05:00 or 2025-08-27T09:00Z"
        raise ConfigError([Problem(option, f"{text!r} is not a time with a zone", fix)]) from None
    return int(found.timestamp() * 1000)


def write_json(path: Path | None, document: dict[str, Any]) -> None:
    """Writes a measuring command's object; it must have ``figures``: name -> number. Raises ConfigError where it cannot be written."""
    assert all(isinstance(value, int | float) for value in document["figures"].values())
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False))


def write_text(path: Path | None, text: str, opener: Callable[[str, int], int] | None = None) -> None:
    """Into the file of ``--json``, where one was named. Raises ConfigError where it cannot be written."""
    if path is None:
        return
    try:
        with open(path, "w", encoding="utf-8", opener=opener) as out:
            out.write(text + "\n")
    except OSError as error:
        fix = "name a file in a folder that is there"
        raise ConfigError([Problem(f"--json {path}", f"cannot be written: {error.strerror}", fix)]) from error
