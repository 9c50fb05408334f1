"""
Make the C allocator return the memory of a photo to the system.

glibc allocates large blocks with mmap, and each time one is freed raises the size from which it does so, up to 32 MiB.
Photos then lie in the heaps of the threads, where a small block that is still in use keeps all memory below it. A
process of four threads that read 24 generated photos kept 470 to 540 MiB, and 35 MiB with the fixed thresholds of this
module (tests/e2e/test_malloc.py). A threshold of 1 MiB instead of 4 would keep 8 MiB, but the strips of the
image pyramid have that size, and mapping their pages again and again took a quarter of the detector's time.
"""

from __future__ import annotations

import ctypes

MMAP_BYTES, TRIM_BYTES = 4 * 1024 * 1024, 8 * 1024 * 1024
"""Blocks from the first size on are mapped; free memory at the end of a heap is returned from the second size on."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def give_back_freed_memory() -> None:
    """Set the thresholds for the whole process; without effect if the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(_TRIM_THRESHOLD, TRIM_BYTES)
