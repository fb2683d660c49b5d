"""Keys: who may send readings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from warning.cli_options import Database, Directory, Prefix, RegionName, deployment_of
from warning.errors import ConfigError, Problem
from warning.region import Region

keys = typer.Typer(help="Keys of devices and providers that may send readings.", no_args_is_help=True, rich_markup_mode=None)

PerMinute = Annotated[
    int | None, typer.Option("--per-minute", min=0, help="readings it may send; 0: no limit; default: 6,000 with --station, else 600,000")
]


def _region(name: str) -> Region:
    from warning import config

    return config.load(name)


def _with_keys(work: Callable[[Any], Awaitable[Any]], region: Region, **given: Any) -> Any:
    from warning.ingest.keys import KeyStore
    from warning.wiring import clock_ms

    async def run() -> Any:
        store = KeyStore(deployment_of(region, **given).database, clock_ms)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _at(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@keys.command("new")
def new_key(
    region: RegionName,
    provider: Annotated[str, typer.Option("--provider", help="who sends; stands in every reading")],
    station: Annotated[list[str] | None, typer.Option("--station", help="may send for these stations only; again for more")] = None,
    note: Annotated[str, typer.Option("--note")] = "",
    per_minute: PerMinute = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Make a key and print it. It is shown this once: only its SHA-256 is kept."""
    found = _region(region)
    unknown = sorted(set(station or ()) - set(found.station_by_id))
    if unknown:
        fix = f"stations of {found.id} are in stations.csv"
        raise ConfigError([Problem(f"--station {name}", f"region {found.id} has no such station", fix) for name in unknown])
    _, text = _with_keys(
        lambda store: store.create(provider, stations=station or (), note=note, per_minute=per_minute),
        found,
        prefix=prefix,
        directory=directory,
        database_url=database,
    )
    print(text)


@keys.command("list")
def list_keys(region: RegionName, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """List all keys, the revoked ones too."""
    given = {"prefix": prefix, "directory": directory, "database_url": database}
    for key in _with_keys(lambda store: store.list(), _region(region), **given):
        stations = ",".join(sorted(key.stations)) or "all stations"
        state = f"revoked {_at(key.revoked_ms)}" if key.revoked_ms is not None else f"last used {_at(key.last_used_ms) or 'never'}"
        if key.successor is not None:
            state += f"  until {_at(key.ends_ms)}, then {key.successor}"
        limit = "" if key.per_minute is None else f"  {key.per_minute} a minute" if key.per_minute else "  no limit"
        print(f"{key.id}  {key.provider}  {stations}  made {_at(key.created_ms)}  {state}{limit}  {key.note}".rstrip())


@keys.command("rotate")
def rotate_key(
    region: RegionName,
    key: Annotated[str, typer.Argument(help="id of the key, or its whole text")],
    overlap: Annotated[str, typer.Option("--overlap", help="so long the old one works beside the new one: 7d, 12h, 30min")] = "7d",
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Make a key's successor, for the same provider and stations, and print it. The old one works until the overlap is over."""
    from warning.config_units import amount

    try:
        overlap_ms = round(amount(overlap, "time") * 1000)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--overlap") from None
    given = {"prefix": prefix, "directory": directory, "database_url": database}
    old, _, text = _with_keys(lambda store: store.rotate(key, overlap_ms), _region(region), **given)
    typer.echo(f"{old.id} works until {_at(old.ends_ms)}", err=True)
    print(text)


@keys.command("revoke")
def revoke_key(
    region: RegionName,
    key: Annotated[str, typer.Argument(help="id of the key, or its whole text")],
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """End a key for good; it works for two seconds more at most."""
    ended = _with_keys(lambda store: store.revoke(key), _region(region), prefix=prefix, directory=directory, database_url=database)
    print(f"{ended.id} of {ended.provider} is revoked")
