"""``python -m tests.faults``: see README.md."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # the tests import each other by their short names, as under pytest

from faults.command import main

if __name__ == "__main__":
    main()
