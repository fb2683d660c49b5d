"""``warning audit``: the chain of what happened to every warning, exported, and verified by its file alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from warning.cli_options import Database, Directory, Kafka, Prefix, deployment_of
from warning.errors import ConfigError, Problem

audit = typer.Typer(
    help="The audit: what happened to every warning, in a chain that shows each change.", no_args_is_help=True, rich_markup_mode=None
)

Name = Annotated[str, typer.Argument(metavar="REGION", help="name of a region, or the path of its folder")]


@audit.command("export")
def export(
    name: Name,
    file: Annotated[Path, typer.Argument(help="JSON lines; written anew", dir_okay=False)],
    with_contacts: Annotated[
        bool, typer.Option("--with-contacts", help="with names, numbers and the salt; else nobody can be told from it")
    ] = False,
    prefix: Prefix = None,
    directory: Directory = None,
    database: Database = None,
) -> None:
    """Write every change of state of every message, and what people decided, as it stands now; signed where there is a key."""
    from warning import config, wiring_ledger

    region = config.load(name)
    deployment = deployment_of(region, prefix=prefix, directory=directory, database_url=database).as_process("dispatch")
    count = asyncio.run(wiring_ledger.export(region, deployment, file, with_contacts=with_contacts))
    print(f"{file}: {count} lines")


@audit.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="of warning audit export", exists=True, dir_okay=False)],
    head: Annotated[list[str] | None, typer.Option("--head", help="SEQ:SHA-256 that is known from elsewhere; again for more")] = None,
    certificate: Annotated[str, typer.Option("--certificate", help="SHA-256 of the certificate that must have signed it")] = "",
    region: Annotated[
        str | None, typer.Option("--receipts-of", help="region whose topic receipts is asked for the heads that it holds")
    ] = None,
    kafka: Kafka = None,
    prefix: Prefix = None,
) -> None:
    """Say whether nothing in the file was changed, removed, inserted or cut; without the database. Exit code 1 if something was."""
    from warning import config, wiring_ledger

    known = dict(_head(each) for each in head or ())
    if region is not None:
        found_region = config.load(region)
        deployment = deployment_of(found_region, bootstrap=kafka, prefix=prefix).as_process("dispatch")
        known |= asyncio.run(wiring_ledger.heads(deployment))
    found = wiring_ledger.verified(file, known, certificate)
    for fault in found.faults:
        print(fault)
    if found.more:
        print(f"and {found.more} more")
    signed = f"signed by {found.signed_by}" if found.signed_by else "not signed"
    print(f"{file}: {found.lines} lines up to seq {found.seq}, head {found.digest}, {signed}; {'FAULTS' if found.faults else 'whole'}")
    if found.faults:
        raise typer.Exit(1)


def _head(text: str) -> tuple[int, str]:
    seq, _, digest = text.partition(":")
    if not seq.isdigit() or len(digest) != 64:
        raise ConfigError([Problem(f"--head {text}", "is no SEQ:SHA-256", "as a receipt's field chain has it")])
    return int(seq), digest.lower()
