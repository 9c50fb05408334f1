"""
The C allocator, told to give back what a photo took.

glibc raises the size from which a block is the system's own each time such a block is freed, up to 32 MiB, and each
thread has a heap: soon photos lie in heaps, where a few small blocks that stay keep all below them.
"""

from __future__ import annotations

import ctypes

BLOCK = 1024 * 1024
"""Blocks of so many bytes are asked of the system and given back at once; so is as much free memory at a heap's end."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def give_back_freed_memory() -> None:
    """For this process, from now on, where the C library is glibc; elsewhere nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, BLOCK)
        mallopt(_TRIM_THRESHOLD, BLOCK)
