"""What the kernel says of a server over time: memory and file descriptors of the process and its children."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from tests.end_to_end.server import Server, family
from tests.support.background import background

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
    """Sample while the block runs."""
    samples: list[Sample] = []
    with background(partial(_watch, server, every, samples)):
        yield samples


def _watch(server: Server, every: float, samples: list[Sample], over: threading.Event) -> None:
    began = time.monotonic()
    while not over.wait(every):
        samples.append(sample(server, time.monotonic() - began))


def fifth(samples: Sequence[Sample], number: int) -> list[Sample]:
    """The samples of one fifth of the time, counted from 0; -1 is the last."""
    end = samples[-1].at
    start = (number % FIFTHS) * end / FIFTHS
    return [each for each in samples if start <= each.at <= start + end / FIFTHS]


def lowest_resident(samples: Sequence[Sample]) -> int:
    """What is held for good: a photo under way comes and goes on top of it."""
    return min(each.resident for each in samples)


def median_descriptors(samples: Sequence[Sample]) -> int:
    return sorted(each.descriptors for each in samples)[len(samples) // 2]
