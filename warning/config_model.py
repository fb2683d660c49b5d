"""The trained forecast model of a region: the one of this version, none, or a file of its own."""

from __future__ import annotations

import functools
from pathlib import Path

STANDARD, NONE = "standard", "none"


def model_text(name: str | None, folder: Path) -> str:
    """The text of ``forecast: model:``; absent: the standard one; "": none.

    Raises OSError or UnicodeError for a file that cannot be read.
    """
    if name == NONE:
        return ""
    return _standard() if name in (None, STANDARD) else (folder / str(name)).read_text(encoding="ascii")


@functools.cache
def _standard() -> str:
    return standard_path().read_text(encoding="ascii")


def standard_path() -> Path:
    """Where the model of this version stands."""
    return Path(__file__).resolve().parent / "science" / "model" / "standard.model"
