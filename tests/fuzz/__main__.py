"""``python -m tests.fuzz``: see __init__.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the tests import each other by their short names, as under pytest

from fuzz.command import main

if __name__ == "__main__":
    sys.exit(main())
