"""Memory that a batch has freed stays with the process, for the next batch.

glibc maps each array of 128 KiB and more anew and gives it back when it is freed, and the kernel clears its pages each time: twice the
CPU of what a batch's arrays are for. Larger ones (a state being read, a region) still go back at once.

What a great beat has freed (the first one, one after an outage: every zone is scored) goes back with the next checkpoint: it would stay
as a part of the process, as large as a third of the state.
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


def give_back() -> bool:
    """What is free, to the system, but for what the next batch wants; 0.1 s a GB, in which nothing else runs. False where there was
    nothing, or the C library is another one."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return False
    trim.argtypes = [ctypes.c_size_t]
    return bool(trim(KEPT_BYTES))
