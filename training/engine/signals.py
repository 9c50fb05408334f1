"""Ctrl-C sets an event, so that a run can finish its current step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupt_event() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C sets; outside the main thread, where signals cannot be caught, it stays unset."""
    interrupted = threading.Event()

    def set_event(_signal: int, _frame: FrameType | None) -> None:
        interrupted.set()

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, set_event)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
