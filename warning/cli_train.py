"""``warning train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Without = Annotated[list[str] | None, typer.Option("--without", help="a basin, gauge or flood to leave out; may be given again")]
Out = Annotated[Path | None, typer.Option("--out", help="where to write the model; default: that of this version")]
Config = Annotated[Path, typer.Option("--config", help="folder with the floods: sri-lanka/ and training/")]


def train(without: Without = None, out: Out = None, config: Config = Path("config")) -> None:
    """Make the forecast model again from the floods of the repository: the same data and machine, the same bytes."""
    from warning.wiring_train import train as run

    place = run(config, tuple(without or ()), out, lambda words: print(words, file=sys.stderr))
    print(f"{place}: {place.stat().st_size:,} bytes")
