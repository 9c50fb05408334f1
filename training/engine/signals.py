"""Ctrl-C, noted now and obeyed when the step under way is finished."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; outside the main thread, where signals cannot be caught, it stays unset."""
    wanted = threading.Event()

    def note(_signal: int, _frame: FrameType | None) -> None:
        wanted.set()

    if threading.current_thread() is not threading.main_thread():
        yield wanted
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield wanted
    finally:
        signal.signal(signal.SIGINT, before)
