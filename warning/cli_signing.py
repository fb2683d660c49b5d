"""``warning signing``: the keys that sign CAP documents, and whether a document is ours."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from warning.errors import ConfigError, ExitCode, InputError, Problem

signing = typer.Typer(help="Keys that sign CAP documents.", no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[Path, typer.Option("--folder", envvar="WARNING_SIGNING_KEYS", help="folder of NAME.crt and NAME.key", file_okay=False)]


@signing.command()
def new(
    folder: Folder,
    name: Annotated[str, typer.Option("--name", help="of the files, such as 2027")],
    subject: Annotated[str, typer.Option("--subject", help="who signs, as the certificate says it")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="how long it is valid")] = 730,
    begins_in: Annotated[int, typer.Option("--begins-in", min=0, max=365, help="days until it takes over: time to hand it out")] = 0,
) -> None:
    """Make a key and a certificate; it signs from the day on that its certificate begins."""
    from warning.proof import keys

    begins = keys.today().replace(microsecond=0) + timedelta(days=begins_in)
    try:
        made = keys.make(folder, name, subject, begins, begins + timedelta(days=days))
    except FileExistsError as error:
        raise ConfigError([Problem(str(error.filename), "is there already", "another --name: a key is never overwritten")]) from None
    except (OSError, ValueError) as error:
        raise ConfigError([Problem(f"--folder {folder}", f"the key cannot be made: {error}", "a folder that may be written")]) from None
    print(f"{folder / name}.crt  from {begins:%Y-%m-%d} for {days} days  SHA-256 {made.fingerprint}")


@signing.command("list")
def listed(folder: Folder) -> None:
    """List the keys and certificates: which one signs now, which is next, which are past."""
    from warning.proof import keys

    now = keys.today()
    found, wrong = keys.read(folder)
    current = keys.signer(found, now)
    for key in found:
        begins, ends = key.certificate.not_valid_before_utc, key.certificate.not_valid_after_utc
        state = "current" if key is current else key.state(now)
        print(f"{key.name}  {state}  {begins:%Y-%m-%d} to {ends:%Y-%m-%d}  SHA-256 {key.fingerprint}")
    for problem in wrong:
        print(problem)
    if current is None:
        print("no key is valid now: documents go unsigned")
        raise typer.Exit(ExitCode.FAILED)


@signing.command()
def verify(
    file: Annotated[Path, typer.Argument(help="a CAP document", exists=True, dir_okay=False)],
    certificate: Annotated[Path, typer.Option("--certificate", help="the one that you pinned", exists=True, dir_okay=False)],
) -> None:
    """Say whether a CAP document is as the holder of a certificate signed it."""
    from warning.proof.verify import verified

    identifier = verified(file.read_bytes(), certificate.read_bytes())
    if not identifier:
        raise InputError("it names no identifier", reason="signature", field="identifier", fix="a CAP document")
    print(f"{identifier}: signed by the holder of {certificate.name}")
