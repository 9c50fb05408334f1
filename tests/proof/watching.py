"""Memory and file descriptors of a server and its children over time."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tests.support.server import Server, family

FIFTHS = 5


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    """Seconds since the watch began."""
    resident: int
    descriptors: int


def sample(server: Server, at: float = 0.0) -> Sample:
    descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family(server.process.pid))  # noqa: PTH208
    return Sample(at, server.resident(), descriptors)


class Watch:
    """Take samples while the block runs."""

    def __init__(self, server: Server, every: float) -> None:
        self._server, self._every, self._over = server, every, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.wait(self._every):
            self.samples.append(sample(self._server, time.monotonic() - began))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def fifth(samples: Sequence[Sample], number: int) -> list[Sample]:
    """Return the samples of one fifth of the time, counted from 0; -1 is the last."""
    end = samples[-1].at
    start = (number % FIFTHS) * end / FIFTHS
    return [each for each in samples if start <= each.at <= start + end / FIFTHS]


def lowest_resident(samples: Sequence[Sample]) -> int:
    """Return what is held for good; photos under way come on top of it."""
    return min(each.resident for each in samples)


def median_descriptors(samples: Sequence[Sample]) -> int:
    return sorted(each.descriptors for each in samples)[len(samples) // 2]
