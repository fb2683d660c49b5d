"""``warning readers``: personal links for people who read gauges, and who wrote from a number that nobody registered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from warning.cli_options import Database, Directory, Prefix, RegionName, deployment_of
from warning.errors import ConfigError, Problem

readers = typer.Typer(help="People who read gauges and send by SMS or form.", no_args_is_help=True, rich_markup_mode=None)

Base = Annotated[str, typer.Option("--base", help="where phones reach the ingest server, such as https://gauges.example.org")]


@readers.command("list")
def list_readers(region: RegionName) -> None:
    """List who stands in readers.csv."""
    from warning import config, config_readers

    found = config.load(region)
    for one in config_readers.load(found.folder, found):
        means = f"{one.parameter.value} in {one.unit}" if one.parameter and one.unit else "says what and in which unit"
        print(f"{one.id}  {one.phone or 'form only'}  {one.language}  {', '.join(one.stations)}  {means}  {one.name}")


@readers.command("link")
def link(
    region: RegionName,
    reader: Annotated[str, typer.Argument(help="id in readers.csv")],
    base: Base,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Make a reader's personal link to the form, with a key for his stations. Shown this once; `warning keys revoke` ends it."""
    from warning import config, config_readers
    from warning.ingest.keys import KeyStore
    from warning.wiring import clock_ms

    found = config.load(region)
    known = {one.id: one for one in config_readers.load(found.folder, found)}
    if reader not in known:
        raise ConfigError([Problem(reader, f"no such reader in {found.id}", "see `warning readers list`, or add a row to readers.csv")])
    if not base.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        fix = "https://...: without it browsers keep no page for when there is no connection, and the key travels in the clear"
        raise ConfigError([Problem("--base", f"{base!r} is not https", fix)])

    async def make() -> str:
        place = deployment_of(found, prefix=prefix, directory=directory, database_url=database)
        store = KeyStore(place.database, clock_ms)
        try:
            return (await store.create(reader, stations=known[reader].stations, note="reader's link"))[1]
        finally:
            await store.close()

    print(f"{base.rstrip('/')}/reader#{asyncio.run(make())}")


@readers.command("strangers")
def strangers(region: RegionName, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """List numbers that wrote and are not registered, the newest first: perhaps a reader has another phone."""
    from warning import config

    place = deployment_of(config.load(region), prefix=prefix, directory=directory, database_url=database)
    for name, at_ms, content in asyncio.run(_strangers(place.database)):
        at = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        print(f"{name}  {content['messages']} messages  last {at}")


async def _strangers(database: str) -> list[tuple[str, int, dict[str, Any]]]:
    from warning.ingest.reader_memory import Memory

    memory = Memory(database)
    try:
        return await memory.all("stranger")
    finally:
        await memory.close()
