"""The memory of photos is returned to the system, even if small blocks stay in use."""

import platform
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

WORK = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from app.concurrency.malloc import give_back_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 2**20

def photo(number):
    random, parts = np.random.default_rng(number), []
    for _ in range(12):
        parts.append(np.ones(random.integers(1, 28) * 2**20, np.uint8))
        small.append(bytes(3000))
        if random.random() < 0.5:
            parts.pop(random.integers(len(parts)))

small, before = [], resident()
give_back_freed_memory()
with ThreadPoolExecutor(4) as pool:
    list(pool.map(photo, range(24)))
    print(resident() - before)
"""


def held_after_photos() -> int:
    """Return the MiB that a process keeps after its photos: about 35, or 500 without give_back_freed_memory."""
    command = [sys.executable, "-c", WORK]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is configured")
def test_memory_of_photos_is_returned_to_the_system() -> None:
    assert held_after_photos() < 120
