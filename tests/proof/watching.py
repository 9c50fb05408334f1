"""Memory and file descriptors of a server and its children over time."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.background import background
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


@contextmanager
def watching(server: Server, every: float) -> Iterator[list[Sample]]:
    """Take samples while the block runs."""
    samples: list[Sample] = []

    def watch(over: threading.Event) -> None:
        began = time.monotonic()
        while not over.wait(every):
            samples.append(sample(server, time.monotonic() - began))

    with background(watch):
        yield samples


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
