"""
Overwrite freed memory, in which copies of erased vectors would stay until it is used again.

Overwriting every freed block took 5 % of the CPU time of `/verify`, most of it for pixels, so only those are that
are freed during a transaction, or while a search index changes (tests/proof/test_copies_in_memory.py).
Without effect if the C library is not glibc.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PERTURB, _FILL = -6, 0x55  # malloc.h: each freed byte becomes this one
_TUNABLES, _THREAD_CACHES = "GLIBC_TUNABLES", "glibc.malloc.tcache_count"


def _no_option(_option: int, _value: int) -> int:
    return 0


_set_option: Callable[[int, int], int] = getattr(ctypes.CDLL(None), "mallopt", _no_option)
_open, _lock = 0, threading.Lock()


@contextmanager
def overwriting_freed_memory() -> Iterator[None]:
    """Overwrite each block that any thread frees meanwhile."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    """Overwrite as long as at least one caller is within."""
    global _open
    with _lock:
        was_open, _open = _open > 0, _open + change
        if was_open != (_open > 0):
            _set_option(_PERTURB, 0 if was_open else _FILL)


def restart_without_thread_caches() -> None:
    """
    Begin this command anew without the blocks that glibc keeps for each thread: it does not overwrite those.

    It reads the option when a process starts. Child processes inherit it.
    """
    tunables = os.environ.get(_TUNABLES, "")
    if platform.libc_ver()[0] == "glibc" and _THREAD_CACHES not in tunables:
        os.environ[_TUNABLES] = ":".join(filter(None, [tunables, f"{_THREAD_CACHES}=0"]))
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command
