"""What the system's scheduler is told of our threads."""

from __future__ import annotations

import os
import threading
from contextlib import suppress


def use_batch_scheduling() -> None:
    """
    Of this thread, which is for computing: whoever wakes up, as the event loop does, goes before it, and shares the
    cores with it as before. Refusals to 64 callers at once then come in two thirds of the time. A lower priority than
    that would starve it where other programs compute.
    """
    with suppress(OSError):  # where a sandbox forbids it, it is slower
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_BATCH, os.sched_param(0))
