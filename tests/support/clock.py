"""A clock for bounds that a busy machine must not break."""

import time
from pathlib import Path

PRESSURE = Path("/proc/pressure/cpu")


def unhurried() -> float:
    """
    Return seconds that stand still while any process of this machine waits for a processor.

    So a bound holds on an idle machine, and what others take of a busy one is not held against the program. Where
    Linux does not tell (/proc/pressure), it is the time.
    """
    if not PRESSURE.exists():
        return time.monotonic()
    some = PRESSURE.read_text().splitlines()[0]  # some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS
    return time.monotonic() - int(some.rpartition("=")[2]) / 1e6
