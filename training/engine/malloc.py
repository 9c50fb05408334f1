"""Make the C allocator keep memory that PyTorch frees: otherwise getting it back takes half of a training step."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_UNLIMITED = 2**31 - 1


def keep_freed_memory() -> None:
    """Change glibc's thresholds; with another C library nothing happens."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _UNLIMITED)
        mallopt(_MMAP_THRESHOLD, _UNLIMITED)
