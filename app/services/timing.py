"""Measure the stages of one request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

STAGES = ("decode", "detect", "align", "embed", "queue")


class StageTimer:
    """
    Measures the time of each stage, summed over the images of a request; `total` starts when the timer is created.
    STAGES are always reported; others, such as `search`, if they took place.

    Each stage also opens a tracing `span` of its name.
    """

    def __init__(self, span: Callable[[str], AbstractContextManager[object]] = nullcontext) -> None:
        self._span = span
        self._started = time.perf_counter()
        self._seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            with self._span(name):
                yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    def milliseconds(self) -> dict[str, float]:
        total = time.perf_counter() - self._started
        return {name: round(1000 * seconds, 3) for name, seconds in {**self._seconds, "total": total}.items()}
