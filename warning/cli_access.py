"""Keys of the API: whose they are, and what they may do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from warning.cli_authority import By, at, given_of
from warning.cli_options import Database, Directory, Prefix, RegionName, deployment_of

access = typer.Typer(
    help="Keys of the API and their roles: viewer, operator, approver, agency, admin.", no_args_is_help=True, rich_markup_mode=None
)
Role = Annotated[list[str], typer.Option("--role", help="viewer, operator, approver, agency or admin; again for more")]
Key = Annotated[str, typer.Argument(help="id of the key, or its whole text")]


def _with_keys(region_name: str, work: Callable[[Any], Awaitable[Any]], by: str = "", done: str = "", **given: Any) -> Any:
    """``work`` gets the store. What it changed is entered in the audit, by whom."""
    from warning import config
    from warning.people.keys import ApiKeys
    from warning.proof.decisions import Decisions
    from warning.wiring import clock_ms

    if done and not by.strip():
        raise typer.BadParameter("is empty: say who you are", param_hint="--by")
    url = deployment_of(config.load(region_name), **given).database

    async def run() -> Any:
        keys, decisions = ApiKeys(url, clock_ms), Decisions(url)
        try:
            found = await work(keys)
            if done:
                person = found[0] if isinstance(found, tuple) else found
                what = {"done": done, "name": person.name, "roles": sorted(person.roles)}
                await decisions.decide("key", by, clock_ms(), person.id, what)
            return found
        finally:
            await keys.close()
            await decisions.close()

    return asyncio.run(run())


@access.command("new")
def new(
    region: RegionName,
    name: Annotated[str, typer.Option("--name", help="the person or agency: it stands in every decision")],
    role: Role,
    by: By,
    note: Annotated[str, typer.Option("--note")] = "",
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Make a key of the API and print it. It is shown this once: only its SHA-256 is kept."""
    given = given_of(prefix, directory, database)
    _, text = _with_keys(region, lambda keys: keys.create(name, role, note), by, "new", **given)
    print(text)


@access.command("list")
def list_all(region: RegionName, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """List all keys of the API, the revoked ones too."""
    for one in _with_keys(region, lambda keys: keys.list(), **given_of(prefix, directory, database)):
        state = "" if one.revoked_ms is None else f"  revoked {at(one.revoked_ms)}"
        print(f"{one.id}  {one.name}  {','.join(sorted(one.roles))}  made {at(one.created_ms)}{state}  {one.note}".rstrip())


@access.command("roles")
def roles(
    region: RegionName, key: Key, role: Role, by: By, prefix: Prefix = None, directory: Directory = None, database: Database = None
) -> None:
    """Give a key these roles, and no others; within two seconds."""
    changed = _with_keys(region, lambda keys: keys.grant(key, role), by, "roles", **given_of(prefix, directory, database))
    print(f"{changed.id} of {changed.name}: {', '.join(sorted(changed.roles))}")


@access.command("revoke")
def revoke(region: RegionName, key: Key, by: By, prefix: Prefix = None, directory: Directory = None, database: Database = None) -> None:
    """End a key for good; it works for two seconds more at most."""
    ended = _with_keys(region, lambda keys: keys.revoke(key), by, "revoked", **given_of(prefix, directory, database))
    print(f"{ended.id} of {ended.name} is revoked")
