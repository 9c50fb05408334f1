"""The length of a measurement; the default gives a verdict in some minutes."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.measure import Pace


@dataclass(frozen=True, slots=True)
class Effort:
    """`seconds` bounds each comparison, and each spell of load; `requests` is the length of the memory benchmark."""

    seconds: float = 8.0
    requests: int = 1000
    starts: int = 5

    @property
    def pace(self) -> Pace:
        return Pace(seconds=self.seconds)
