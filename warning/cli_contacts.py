"""``warning contacts``: who is told. Import with a report, list, show, export, remove; stop and start again, with who and how."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from warning.cli_options import Database, Directory, Prefix, deployment_of, write_text
from warning.errors import ConfigError, ExitCode, InputError, Problem
from warning.region import Region

if TYPE_CHECKING:
    from warning.people import directory as people
    from warning.people.listed import Entry, Wish

contacts = typer.Typer(help="Who is told: contacts in the directory, and their consent.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="REGION", help="name of a region, or the path of its folder")]
By = Annotated[str, typer.Option("--by", help="your name: it stands in the history")]
Report = Annotated[Path | None, typer.Option("--json", help="write it as JSON into this file", dir_okay=False)]
_SHOWN = 20  # refused rows on the terminal; the JSON has all


def _with_directory(name: str, work: Callable[[people.Directory, Region], Awaitable[Any]], **given: Any) -> Any:
    from warning import config
    from warning.people.directory import Directory
    from warning.people.tables import address

    region = config.load(name)

    async def run() -> Any:
        directory = await Directory.open(address(deployment_of(region, **given)), region)
        try:
            return await work(directory, region)
        finally:
            await directory.close()

    return asyncio.run(run())


@contacts.command("import")
def import_contacts(
    name: Name,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with the columns of contacts.csv")],
    by: By,
    origin: Annotated[str, typer.Option("--origin", help="whose list it is; default: the file's name")] = "",
    whole: Annotated[bool, typer.Option("--remove", "--whole", help="who is of this origin and not in the file leaves")] = False,
    gone_up_to: Annotated[int | None, typer.Option("--gone-up-to", min=0, help="with --remove: so many may leave")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done")] = False,
    report: Report = None,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Take a file of contacts into the directory: the good rows in one transaction, a word on every row. Exit code 1: rows were refused."""
    from warning.people import intake
    from warning.wiring import clock_ms

    async def work(opened: people.Directory, region: Region) -> dict[str, Any]:
        read = intake.read_contacts(file, region)
        options = {"by": by, "whole": whole, "gone_up_to": gone_up_to, "dry_run": dry_run}
        return await intake.take(opened, read, origin or file.stem, clock_ms(), **options)  # type: ignore[arg-type]

    made = _with_directory(name, work, prefix=prefix, directory=directory, database_url=database)
    write_text(report, json.dumps(made, indent=1, ensure_ascii=False), _private)  # a complaint may name a number
    counts = made["counts"]
    print(f"{made['origin']}: " + ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items()))
    if made["missing"]:
        names = ", ".join(made["missing"][:5]) + (" ..." if len(made["missing"]) > 5 else "")
        print(f"{len(made['missing'])} of {made['origin']} are not in the file and stay: {names}; --remove takes them out")
    if dry_run:
        print("nothing was written (--dry-run)")
    told = [(row, one) for row in made["rows"] for one in row.get("problems", ())]
    for row, one in told[:_SHOWN]:
        word = "refused" if row["outcome"] == "refused" else "taken, but"
        where = f"{file}:{row['line']}" + (f" ({one['field']})" if one["field"] else "")
        print(f"{where}: {word}: {one['what']}" + (f" ({one['fix']})" if one["fix"] else ""), file=sys.stderr)
    if len(told) > _SHOWN:
        print(f"... and {len(told) - _SHOWN} more: --json FILE has them all", file=sys.stderr)
    for row in [each for each in made["rows"] if "same_phone_as" in each][:_SHOWN]:
        print(f"{file}:{row['line']}: {row['id']} has the number of {', '.join(row['same_phone_as'])}", file=sys.stderr)
    if counts["refused"]:
        raise typer.Exit(ExitCode.FAILED)


@contacts.command("list")
def list_contacts(
    name: Name,
    district: Annotated[str, typer.Option("--district", help="who is told of it")] = "",
    village: Annotated[str, typer.Option("--village")] = "",
    origin: Annotated[str, typer.Option("--origin", help="whose list; config: contacts.csv")] = "",
    stopped: Annotated[bool, typer.Option("--stopped", help="only who said stop")] = False,
    inactive: Annotated[bool, typer.Option("--inactive", help="also who left")] = False,
    most: Annotated[int, typer.Option("--most", min=1, help="so many at most")] = 100,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """List contacts, a line each, and how many each origin has."""
    from warning.people import listed

    wish = listed.Wish(district, village, origin, stopped, inactive)

    async def work(opened: people.Directory, _: Region) -> dict[str, int]:
        left = most
        async for some in listed.entries(opened, wish):
            for entry in some[:left]:
                print(_line(entry))
            left -= len(some)
            if left <= 0:
                break
        return await listed.counts(opened)

    counts = _with_directory(name, work, prefix=prefix, directory=directory, database_url=database)
    print(", ".join(f"{origin}: {count}" for origin, count in counts.items()) or "the directory is empty", file=sys.stderr)


def _line(entry: Entry) -> str:
    one = entry.contact
    where = "|".join(one.districts) or "*"
    state = "stopped" if entry.stopped else "left" if not entry.active else "wants none" if not one.consent else ""
    ways = " ".join(filter(None, (one.phone, one.email, one.webhook)))
    return f"{one.id}  {one.name}  {one.role}  {one.language}  {where}  {one.level.value}+  {ways}  {entry.origin}  {state}".rstrip()


@contacts.command()
def show(
    name: Name,
    contact: Annotated[str, typer.Argument(help="its id")],
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """All about one contact, and what it ever said of its consent, as JSON."""
    from dataclasses import asdict

    from warning.people import consent, listed

    async def work(opened: people.Directory, _: Region) -> dict[str, Any]:
        entry = await _one(opened, listed.Wish(id=contact, inactive=True))
        one = entry.contact
        said = await consent.history(opened, (one.id, one.phone, one.email))
        shown = asdict(one) | {"level": one.level.value, "secret": "set" if one.secret else "", "former_secret": ""}
        about = {"origin": entry.origin, "active": entry.active, "stopped": entry.stopped, "changed_ms": entry.changed_ms}
        return shown | about | {"said": [asdict(word) for word in said]}

    print(json.dumps(_with_directory(name, work, prefix=prefix, directory=directory, database_url=database), ensure_ascii=False, indent=2))


async def _one(opened: people.Directory, wish: Wish) -> Entry:
    from warning.people import listed

    found = [entry async for some in listed.entries(opened, wish) for entry in some]
    if not found:
        raise InputError(f"there is no contact {wish.id!r}", reason="contact", field="contact", fix="see `warning contacts list`")
    return found[0]


@contacts.command()
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="CSV to write; it holds people's numbers")],
    origin: Annotated[str, typer.Option("--origin")] = "",
    district: Annotated[str, typer.Option("--district")] = "",
    secrets: Annotated[bool, typer.Option("--secrets", help="with the keys of webhooks")] = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Write contacts as a CSV that import takes again. Mode 0600."""
    from warning.people import listed

    try:
        with open(file, "w", encoding="utf-8", newline="", opener=_private) as out:

            async def work(opened: people.Directory, _: Region) -> int:
                count = 0
                listed.write_csv(out, [], header=True, secrets=secrets)
                async for some in listed.entries(opened, listed.Wish(origin=origin, district=district)):
                    listed.write_csv(out, some, header=False, secrets=secrets)
                    count += len(some)
                return count

            print(_with_directory(name, work, prefix=prefix, directory=directory, database_url=database), "contacts")
    except OSError as error:
        raise ConfigError([Problem(str(file), f"cannot be written: {error.strerror}", "name a file in a folder that is there")]) from error


def _private(path: str, flags: int) -> int:
    import os

    file = os.open(path, flags, 0o600)
    os.fchmod(file, 0o600)  # it may have been there before
    return file


@contacts.command()
def remove(
    name: Name,
    ids: Annotated[list[str], typer.Argument(help="ids of contacts")],
    by: By,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Take contacts out: they hear nothing more until a file brings them again. Those of contacts.csv come back with the next start."""
    from warning.people import imports
    from warning.wiring import clock_ms

    async def work(opened: people.Directory, _: Region) -> int:
        return await imports.leave(opened, ids, clock_ms(), by=by)

    left = _with_directory(name, work, prefix=prefix, directory=directory, database_url=database)
    print(f"{left} removed by {by}")
    if left < len(set(ids)):
        raise typer.Exit(ExitCode.FAILED)


@contacts.command()
def unsubscribe(
    name: Name,
    address: Annotated[str, typer.Argument(help="phone (+...), e-mail address, or a contact's id")],
    by: By,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Enter that somebody wants no messages. It counts within seconds, and no import takes it back."""
    _say(name, address, by, given=False, prefix=prefix, directory=directory, database_url=database)


@contacts.command("consent")
def give_consent(
    name: Name,
    address: Annotated[str, typer.Argument(help="phone (+...), e-mail address, or a contact's id")],
    by: By,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Enter that somebody who said stop wants messages again."""
    _say(name, address, by, given=True, prefix=prefix, directory=directory, database_url=database)


def _say(name: str, address: str, by: str, *, given: bool, **options: Any) -> None:
    from warning.people import consent
    from warning.wiring import clock_ms

    async def work(opened: people.Directory, region: Region) -> tuple[str, list[str]]:
        said = await _meant(opened, address.strip(), region)
        return said, await consent.say(opened, said, given=given, at_ms=clock_ms(), by=by, how="person")

    said, ids = _with_directory(name, work, **options)
    word = "wants messages" if given else "wants no messages"
    print(f"{said} {word}: " + (", ".join(ids) if ids else "nobody in the directory yet; it counts for whoever comes with it"))


async def _meant(opened: people.Directory, typed: str, region: Region) -> str:
    """The contact of that id; else the phone as the directory writes it, however it was typed; else the e-mail address."""
    from warning.config_readers import e164, of_two_countries
    from warning.people import listed
    from warning.people.subscriptions import CONTACT

    if typed.startswith(CONTACT) or [some async for some in listed.entries(opened, listed.Wish(id=typed, inactive=True))]:
        return typed
    if (phone := e164(typed, region.country)).startswith("+") and not of_two_countries(typed, region.country):
        return phone
    if "@" in typed:
        return typed
    fix = "write +92..., name@host, or an id of `warning contacts list`"
    raise InputError(f"{typed!r} is no phone, no e-mail address and no contact", reason="address", field="address", fix=fix)
