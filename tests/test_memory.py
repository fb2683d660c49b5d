"""What a batch has freed is there for the next one: the kernel need not clear it again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from warning.stream import memory
if sys.argv[1] == "kept":
    assert memory.keep()
for _ in range(50):  # in another order, so that the top of the heap is freed, too
    parts = [np.ones(40_000) for _ in range(20)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    parts = [np.ones(40_000) for _ in range(20)]
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only: another C library is left as it is")
def test_arrays_are_not_mapped_anew() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "as it comes")
    }
    assert faults["kept"] * 10 < faults["as it comes"], faults
