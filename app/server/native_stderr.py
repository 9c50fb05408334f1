"""Log what C libraries write to stderr: libtiff about each broken file, onnxruntime about its provider."""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator

log = logging.getLogger("native")

STDERR = 2
LINES_PER_SECOND = 5
_MAX_LINE_LENGTH = 1000


def redirect_native_stderr() -> None:
    """
    Make file descriptor 2 feed the log; the handlers of the root logger go on writing to the original stderr.

    Python's traceback of a crash goes to the original stderr too; what a library writes just before a crash is lost.
    """
    original = os.fdopen(os.dup(STDERR), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(original)
    faulthandler.enable(original)
    read_end, write_end = os.pipe()
    os.dup2(write_end, STDERR)
    os.close(write_end)
    threading.Thread(target=_log_lines, args=(read_end,), name="native-stderr", daemon=True).start()


def _log_lines(read_end: int) -> None:
    with os.fdopen(read_end, encoding="utf-8", errors="backslashreplace") as stream:
        for line in _throttled(iter(lambda: stream.readline(_MAX_LINE_LENGTH), "")):
            log.warning("%s", line.strip())


def _throttled(lines: Iterable[str]) -> Iterator[str]:
    """
    Yield at most LINES_PER_SECOND lines a second, since a hostile file makes libtiff write hundreds.

    The next line that is yielded says how many were dropped before it.
    """
    second, yielded, dropped = 0, 0, 0
    for line in filter(str.strip, lines):
        if int(time.monotonic()) != second:
            second, yielded = int(time.monotonic()), 0
        yielded += 1
        if yielded > LINES_PER_SECOND:
            dropped += 1
            continue
        yield f"{line.strip()} ({dropped} lines before it dropped)" if dropped else line
        dropped = 0
