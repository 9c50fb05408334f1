"""How many cores this process may use, and how many processes fit on the machine or in the container."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""The folder in which a container finds its own limits (cgroup v2)."""
WORKER_BYTES = 2**30
"""Memory for each worker: 250 MiB for one with an empty gallery, and room for vectors and large photos."""
MOST_WORKERS = 64


def usable_cores() -> int:
    """Return the cores that the process may run on, or fewer if the container has a share of the CPU time only."""
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # "max 100000", without a limit
        share, period = (CGROUP / "cpu.max").read_text().split()
        cores = min(cores, int(share) // int(period))
    return max(1, cores)


def usable_bytes() -> int:
    """Return the memory of the machine, or of the container if it has a limit."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        total = min(total, int((CGROUP / "memory.max").read_text()))
    return total


def workers_that_fit() -> int:
    """Return one worker for each usable core, but no more than the memory has room for."""
    return max(1, min(usable_cores(), usable_bytes() // WORKER_BYTES, MOST_WORKERS))
