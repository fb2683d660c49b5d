"""The command line. Each command imports what it needs when it runs, so that ``warning --help`` is there at once.

Errors are one line each on standard error; the exit code says why (``errors.ExitCode``, table in the README).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from warning import (
    __version__,
    cli_access,
    cli_audit,
    cli_authority,
    cli_bench,
    cli_cash,
    cli_check,
    cli_contacts,
    cli_deliveries,
    cli_devices,
    cli_edge,
    cli_export,
    cli_field,
    cli_grids,
    cli_hindcast,
    cli_people,
    cli_pull,
    cli_readers,
    cli_rejected,
    cli_replay,
    cli_sensors,
    cli_signing,
    cli_trace,
    cli_train,
    cli_whatif,
    cli_words,
)
from warning.cli_options import Database, Directory, Kafka, Mqtt, Port, Prefix, RegionName, deployment_of
from warning.errors import ConfigError, ExitCode, InputError, WarningSystemError
from warning.wiring_environment import from_environment

app = typer.Typer(
    name="warning",
    help="Flood early warning for river corridors: from a reading at a gauge to a warning on a phone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(cli_access.access, name="access")
app.add_typer(cli_authority.alert, name="alert")
app.add_typer(cli_authority.silences, name="silences")
app.add_typer(cli_people.keys, name="keys")
app.add_typer(cli_audit.audit, name="audit")
app.add_typer(cli_bench.bench, name="bench")
app.add_typer(cli_cash.cash, name="cash")
app.add_typer(cli_contacts.contacts, name="contacts")
app.add_typer(cli_deliveries.deliveries, name="deliveries")
app.add_typer(cli_devices.devices, name="devices")
app.add_typer(cli_edge.edge, name="edge")
app.add_typer(cli_readers.readers, name="readers")
app.add_typer(cli_rejected.rejected, name="rejected")
app.add_typer(cli_sensors.sensors, name="sensors")
app.add_typer(cli_signing.signing, name="signing")
app.command()(cli_check.check)
app.command()(cli_check.lint)
app.command()(cli_words.words)
app.command("travel-times")(cli_check.travel_times)
app.command()(cli_authority.approve)
app.command()(cli_authority.silence)
app.command()(cli_authority.decisions)
app.command()(cli_field.flag)
app.command()(cli_replay.replay)
app.command()(cli_replay.demo)
app.command()(cli_export.export_log)
app.command()(cli_hindcast.hindcast)
app.command()(cli_whatif.whatif)
app.command()(cli_trace.trace)
app.command()(cli_train.train)
app.command()(cli_grids.grids)
app.command()(cli_pull.pull)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that ``arguments`` (default: of the process) name, and ends the process with its exit code."""
    # Before numpy is there: its matrices are small here, and OpenBLAS' other threads burn a core while they wait for the next one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app(args=arguments)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        sys.exit(error.exit_code)
    except WarningSystemError as error:
        fix = f" ({error.fix})" if isinstance(error, InputError) and error.fix else ""
        print(f"error: {error}{fix}", file=sys.stderr)
        sys.exit(error.exit_code)
    except MemoryError:
        print("error: out of memory", file=sys.stderr)
        sys.exit(ExitCode.OUT_OF_MEMORY)
    except KeyboardInterrupt:
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and end")] = False,
) -> None:
    pass


def _process(name: str, region_name: str, **given: Any) -> None:
    """Loads the region and runs one long-lived process of that name until it is stopped."""
    import gc

    from warning import config, wiring

    gc.disable()  # nothing of a region is ever thrown away, and to look for what could be doubles the time that a large one takes
    region = config.load(region_name, kept_in=from_environment(os.environ, **given).directory)
    gc.freeze()
    gc.enable()
    code = wiring.run(name, getattr(wiring, name), region, deployment_of(region, **given))
    if code:
        print(f"{name} ends with exit code {int(code)} ({code.name})", file=sys.stderr)
        raise typer.Exit(code)


@app.command()
def ingest(
    region: RegionName,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
    port: Port = None,
    mqtt: Mqtt = None,
) -> None:
    """Take readings over HTTP (POST /v1/readings), and from an MQTT broker if one is named, and write them to the log."""
    given = {"bootstrap": kafka, "prefix": prefix, "directory": directory, "database_url": database, "ingest_port": port, "mqtt_url": mqtt}
    _process("ingest", region, **given)


@app.command()
def worker(region: RegionName, kafka: Kafka = None, prefix: Prefix = None, directory: Directory = None, port: Port = None) -> None:
    """Decide: readings in, hazards and alerts out."""
    _process("worker", region, bootstrap=kafka, prefix=prefix, directory=directory, worker_metrics_port=port)


@app.command()
def dispatch(
    region: RegionName,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
    port: Port = None,
) -> None:
    """Tell people: alerts in, SMS and webhooks out, a receipt for each attempt."""
    _process("dispatch", region, bootstrap=kafka, prefix=prefix, directory=directory, database_url=database, dispatch_metrics_port=port)


@app.command()
def api(
    region: RegionName,
    kafka: Kafka = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
    port: Port = None,
) -> None:
    """Serve the page, the resources, and the Atom feed of CAP documents."""
    _process("api", region, bootstrap=kafka, prefix=prefix, directory=directory, database_url=database, api_port=port)


@app.command()
def up(region: RegionName, kafka: Kafka = None, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """Run everything: ingest, worker, dispatch, api, and an in-memory broker unless --kafka names one."""
    from warning import config, wiring, wiring_up

    found = config.load(region)
    deployment = deployment_of(
        found, bootstrap=kafka, prefix=prefix, directory=directory, database_url=database, embedded=None if kafka else True
    )
    wiring.run("up", wiring_up.up, found, deployment)


@app.command()
def acls(
    region: RegionName,
    kafka: Kafka = None,
    prefix: Prefix = None,
    user: Annotated[str, typer.Option("--user", help="name at the brokers; {process} stands for the process")] = "{process}",
) -> None:
    """Print the commands of Kafka that give each process its rights, and no more."""
    from warning import config
    from warning.access_rights import PROCESSES, commands

    deployment = deployment_of(config.load(region), bootstrap=kafka, prefix=prefix)
    for process in PROCESSES:
        print(f"# {process}")
        principal = f"User:{user.replace('{process}', process)}"
        print(*commands(deployment, process, principal, deployment.bootstrap), sep="\n")


@app.command()
def healthy() -> None:
    """Ask the processes of this machine or container whether they make progress; exit 0 if those that answer do."""
    import os

    from warning.wiring_environment import from_environment
    from warning.wiring_supervisor import asked

    deployment = from_environment(os.environ)
    ports = (deployment.ingest_port, deployment.api_port, deployment.worker_metrics_port, deployment.dispatch_metrics_port)
    host = "127.0.0.1" if deployment.host == "0.0.0.0" else deployment.host  # noqa: S104 - not to listen
    answers = {port: answer for port in ports if (answer := asked(f"http://{host}:{port}/livez"))[0]}
    for port, (status, body) in answers.items():
        print(f"{port}: {status} {body}")
    if not answers or any(status != 200 for status, _ in answers.values()):
        raise typer.Exit(ExitCode.FAILED)
