"""A lock that processes share, on a file of its own."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.domain.errors import Overloaded


@contextmanager
def file_lock(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock. Raises Overloaded if another process holds it for longer than the timeout, in seconds."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(descriptor, timeout)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, timeout: float) -> None:
    until = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise Overloaded("another process is changing the index") from None
            time.sleep(0.01)
        else:
            return
