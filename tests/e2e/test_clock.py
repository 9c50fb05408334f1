"""The clock of the tests goes on an idle machine and stands on a busy one."""

import os
import subprocess
import sys
import time

import pytest

from tests.support.clock import PRESSURE, unhurried

BUSY = "while True: pass"


@pytest.mark.skipif(not PRESSURE.exists(), reason=f"no {PRESSURE} here")
def test_waiting_for_a_processor_does_not_count_and_sleeping_does() -> None:
    began, before = time.monotonic(), unhurried()
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        time.sleep(2)
        assert unhurried() - before < 0.7 * (time.monotonic() - began)
    finally:
        for other in others:
            other.kill()
            other.wait()
    assert any(_counted_of_a_sleep() > 0.1 for _ in range(50))


def _counted_of_a_sleep() -> float:
    before = unhurried()
    time.sleep(0.2)
    return unhurried() - before
