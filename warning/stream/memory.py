"""Memory that a batch has freed stays with the process, for the next batch.

glibc maps each array of 128 KiB and more anew and gives it back when it is freed, and the kernel clears its pages each time: twice the
CPU of what a batch's arrays are for. Larger ones (a state being read, a region) still go back at once.
"""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 64 << 20  # at the top of the heap
MAPPED_BYTES = 16 << 20  # and more: mapped, and given back when it is freed


def keep() -> bool:
    """For the life of the process; False where the C library is another one, which is slower and no fault."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES)) and bool(mallopt(MMAP_THRESHOLD, MAPPED_BYTES))
