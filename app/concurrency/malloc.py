"""
The C allocator, told to give back what a photo took.

glibc raises the size from which a block is the system's own each time such a block is freed, up to 32 MiB, and each
thread has a heap: soon photos lie in heaps, where a few small blocks that stay keep all below them. A process of four
threads that read 24 made-up photos kept 470 to 540 MiB of them, and 35 as told here (tests/runtime/test_memory.py).
From 1 MiB on instead of 4 it would be 8, but strips of the pyramid are as large, and fetching their pages anew took a
quarter of the detector's time.
"""

from __future__ import annotations

import ctypes

BLOCK, END = 4 * 1024 * 1024, 8 * 1024 * 1024
"""From how many bytes on a block is the system's own, and free memory at the end of a heap is given back."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def give_back_freed_memory() -> None:
    """For this process, from now on, where the C library is glibc; elsewhere nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, BLOCK)
        mallopt(_TRIM_THRESHOLD, END)
