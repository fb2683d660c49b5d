"""``warning edge``: the node beside the sensors, and what people on the spot ask of it.

``warning edge edge.yaml`` runs it, as ``warning edge run edge.yaml`` does.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from warning.cli_options import Json
from warning.errors import ConfigError, ExitCode, Unavailable

File = Annotated[Path, typer.Argument(help="the node's file, such as deploy/edge/edge.yaml")]


class _RunIsMeant(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


edge = typer.Typer(
    cls=_RunIsMeant,
    help="An edge node: sensors and sirens on the spot, readings over a bad link.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@edge.command("run")
def run(file: File) -> None:
    """Take sensors by HTTP and MQTT, keep, forward to the gateway, and sound the sirens; also without a link."""
    import msgspec

    from warning import config_edge
    from warning.wiring_edge import SITE

    site = config_edge.load(file)
    # A new program in this process: what has checked the file would keep 20 of the 60 MB that the node may have.
    told = {**os.environ, SITE: msgspec.json.encode(site).decode(), "MALLOC_ARENA_MAX": "1"}
    os.execve(sys.executable, [sys.executable, "-m", "warning.wiring_edge"], told)  # noqa: S606 - ourselves


@edge.command("check")
def check(file: File) -> None:
    """Print everything that is wrong with a node's file: line, key, and the fix."""
    from warning import config_edge

    site, problems = config_edge.read(file)
    for problem in problems:
        print(problem)
    if site is not None and not Path(site.gateway.key_file).is_file():
        print(f"warning: the gateway's key {site.gateway.key_file} is not there (warning keys new, at the gateway)")
    fatal = sum(problem.fatal for problem in problems)
    print(f"{file}: {fatal} errors, {len(problems) - fatal} warnings")
    if fatal:
        raise typer.Exit(ExitCode.CONFIG)


@edge.command("status")
def status(file: File, json_file: Json = None) -> None:
    """Show what a running node knows: its clock, link, outbox, sensors, sirens, and what was refused or thinned."""
    found = _asked(file, "GET", "/status")
    print(json.dumps(found, indent=2, ensure_ascii=False))
    if json_file:
        json_file.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")


@edge.command("test-siren")
def test_siren(file: File, siren: Annotated[str, typer.Argument(help="its name")]) -> None:
    """Sound a siren for a few seconds; then it goes on with what is."""
    print(json.dumps(_asked(file, "POST", f"/sirens/{siren}/test")))


@edge.command("mute-siren")
def mute_siren(file: File, siren: Annotated[str, typer.Argument(help="its name")]) -> None:
    """Silence a siren until the class rises."""
    print(json.dumps(_asked(file, "POST", f"/sirens/{siren}/mute")))


@edge.command("again")
def again(file: File) -> None:
    """Offer the gateway once more what it refused, after what was wrong has been mended there."""
    print(f"{_asked(file, 'POST', '/again')['again']} readings are offered again")


@edge.command("new-key")
def new_key() -> None:
    """Make a key for a sensor on the spot: the text for the sensor, its SHA-256 for the node's file."""
    text = f"fe_{secrets.token_urlsafe(32)}"
    print(f"for the sensor:  {text}")
    print(f"for edge.yaml:   sha256: {hashlib.sha256(text.encode()).hexdigest()}")


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=15)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _asked(file: Path, method: str, path: str) -> dict[str, Any]:
    """What the running node answers. Raises ConfigError, Unavailable."""
    from warning import config_edge

    site, problems = config_edge.read(file)
    if site is None:
        raise ConfigError(problems)
    connection = _Unix(Path(site.directory) / "edge.sock")
    try:
        connection.request(method, path)
        response = connection.getresponse()
        content: dict[str, Any] = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"no node answers in {site.directory}: {error}", reason="edge") from error
    finally:
        connection.close()
    if response.status != 200:
        raise Unavailable(str(content.get("error", content)), reason="edge")
    return content
