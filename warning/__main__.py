"""``python -m warning`` and the command ``warning``."""

from __future__ import annotations

from warning.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
