"""What C libraries write to stderr (libtiff about each broken file, onnxruntime about its provider) as log records."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator

log = logging.getLogger("native")

STDERR = 2
LINES_A_SECOND = 5
_LONGEST = 1000


def adopt() -> None:
    """
    From now on file descriptor 2 feeds the log, and the handlers of the root logger write where it wrote before.

    A crash still tells Python's traceback there; what a library says in its last moment is lost.
    """
    before = os.fdopen(os.dup(STDERR), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(before)
    faulthandler.enable(before)
    reading, writing = os.pipe()
    os.dup2(writing, STDERR)
    os.close(writing)
    threading.Thread(target=_follow, args=(reading,), name="native-stderr", daemon=True).start()


def _follow(reading: int) -> None:
    with os.fdopen(reading, encoding="utf-8", errors="backslashreplace") as lines:
        for line in _rarely(iter(lambda: lines.readline(_LONGEST), "")):
            log.warning("%s", line.strip())


def _rarely(lines: Iterable[str]) -> Iterator[str]:
    """At most LINES_A_SECOND (a hostile file makes libtiff say hundreds); the next says how many were left out."""
    second, said, left_out = 0, 0, 0
    for line in filter(str.strip, lines):
        if int(time.monotonic()) != second:
            second, said = int(time.monotonic()), 0
        said += 1
        if said > LINES_A_SECOND:
            left_out += 1
            continue
        yield f"{line.strip()} ({left_out} lines before it left out)" if left_out else line
        left_out = 0
