"""Where the time of one request went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

STAGES = ("decode", "detect", "align", "embed", "queue")


class StageTimer:
    """
    Milliseconds by stage, summed over the images of a request; `total` runs from the timer's making.

    Each turn of a stage is inside of a `span` of its name, for tracing.
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
        self._seconds[name] += seconds

    def milliseconds(self) -> dict[str, float]:
        total = time.perf_counter() - self._started
        return {name: round(1000 * seconds, 3) for name, seconds in {**self._seconds, "total": total}.items()}
