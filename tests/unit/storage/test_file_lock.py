"""One process at a time holds the lock, and the others wait for it, but not for ever."""

import threading
from pathlib import Path

import pytest

from app.domain.errors import Overloaded
from app.storage.file_lock import file_lock


def test_who_waits_too_long_is_told_and_who_waits_long_enough_gets_it(path: Path) -> None:
    held, done, taken = threading.Event(), threading.Event(), list[bool]()

    def wait() -> None:
        held.set()
        with file_lock(path, timeout=60):
            taken.append(done.is_set())

    waiting = threading.Thread(target=wait)
    with file_lock(path, timeout=0):
        with pytest.raises(Overloaded, match="another process is changing the index"), file_lock(path, timeout=0.02):
            pass
        waiting.start()
        held.wait()
        done.set()
    waiting.join()

    assert taken == [True]
