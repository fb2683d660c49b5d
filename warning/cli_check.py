"""``warning check``, ``lint``, ``travel-times``: what is wrong in a region's folder or a CAP document; what a history says of a region."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from warning.cli_options import Json, write_json
from warning.errors import ExitCode, InputError

if TYPE_CHECKING:
    from warning.region import Region

Name = Annotated[str, typer.Argument(help="name of a region, or the path of its folder")]
Against = Annotated[Path | None, typer.Option("--against", help="the folder that is in use: what would this one drop?", file_okay=False)]
Readings = Annotated[
    list[Path], typer.Option("--readings", help="CSV: station, parameter, time, value, unit; again for more", exists=True, dir_okay=False)
]

Documents = Annotated[list[Path], typer.Argument(help="CAP 1.2 documents of any sender", exists=True, dir_okay=False)]
Where = Annotated[str | None, typer.Option("--region", help="whose area they must lie in: a name, or the path of a folder")]
RoutesFile = Annotated[Path | None, typer.Option("--routes", help="routes.yaml; default: WARNING_ROUTES_FILE", dir_okay=False)]


def check(region: Name, against: Against = None, routes: RoutesFile = None) -> None:
    """Print everything that is wrong with a region's folder, and with the ways out: file, line or key, and the fix; then notes."""
    import os

    from warning import config, config_cash, config_datastreams, config_readers, config_routes_check, config_sources, config_survey
    from warning.alerts.budget import budget_problems
    from warning.config_devices import device_problems
    from warning.pipeline.trained import model_problems
    from warning.proof import keys
    from warning.wiring_environment import from_environment

    files = (config_sources.check, config_readers.check, config_datastreams.check, config_cash.check, device_problems)  # of the ways in
    problems = config.check(region, also=(budget_problems, model_problems, *files))
    deployment = from_environment(os.environ)
    problems += keys.problems(deployment.signing_keys, keys.today())
    if ways := str(routes or deployment.routes_file):
        usable = not any(problem.fatal for problem in problems)
        problems += config_routes_check.check(ways, config.load(region) if usable else None, os.environ, keys.ends)
    before = None
    if against is not None:
        before = config.load(against)
        problems += [] if any(problem.fatal for problem in problems) else config_survey.dropped(before, config.load(region))
    for problem in problems:
        print(problem)
    fatal = sum(problem.fatal for problem in problems)
    if not fatal:
        for note in _notes(config.load(region), before):
            print(f"note: {note}")
    print(f"{region}: {fatal} errors, {len(problems) - fatal} warnings")
    if fatal:
        raise typer.Exit(ExitCode.CONFIG)


def _notes(found: Region, before: Region | None) -> list[str]:
    from warning import config_survey, wiring_travel

    notes = list(config_survey.survey(found))
    try:
        notes += wiring_travel.contradicted(found, sorted((Path(found.folder) / "replays").glob("*.csv")))
    except InputError as error:
        notes.append(f"the region's replays cannot be read: {error} ({error.fix})")
    return notes if before is None else notes + list(config_survey.changed_limits(before, found))


def lint(files: Documents, region: Where = None) -> None:
    """Print what is wrong in CAP documents beyond the schema; each is held against the others of its chain that are named here."""
    from warning import config
    from warning.alerts import lint as rules
    from warning.alerts.parsed import parse

    where = None if region is None else config.load(region)
    given = {file: file.read_bytes() for file in files}
    known = {}
    for file, document in given.items():
        with contextlib.suppress(InputError):  # what cannot be read is a finding of its own
            known[file] = parse(document)
    broken = 0
    for file, document in given.items():
        findings = rules.lint(document, where, [alert for other, alert in known.items() if other != file])
        broken += bool(findings)
        for finding in findings:
            print(f"{file}: {finding}")
    print(f"{len(given)} documents, {broken} with something wrong")
    if broken:
        raise typer.Exit(ExitCode.FAILED)


def travel_times(region: Name, readings: Readings, json_file: Json = None) -> None:
    """Print how long water took from gauge to gauge in a history, beside what reaches.csv says."""
    from warning import config, wiring_travel
    from warning.cli_shown import show

    found, refused = wiring_travel.travel_times(config.load(region), readings)
    for words in refused:
        print(words, file=sys.stderr)
    show([wiring_travel.table(found)])
    write_json(json_file, wiring_travel.document(found))
