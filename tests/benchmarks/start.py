"""The time from the command to a good answer of /readyz, which comes when the networks are warm."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import photos
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Row, at_most
from tests.benchmarks.served import Served, verify

MOST_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds until ready, CPU seconds until then, seconds of the first `/verify`, and the median of later ones."""

    ready: float
    cpu: float
    first: float
    later: float


def rows(effort: Effort) -> Iterator[Row]:
    starts = [started() for _ in range(effort.starts)]
    ready, cpu, ratios = zip(*((each.ready, each.cpu, each.first / each.later) for each in starts), strict=True)
    means = f"(median of {len(starts)}; the slowest {max(ready):.2f} s; {statistics.median(cpu):.2f} s of CPU)"
    note = "on all cores, files in the system's cache."
    case, target = "ready and warm, default model", at_most(MOST_SECONDS)
    yield Row("start", case, statistics.median(ready), "s", means, target, note)
    yield Row("start", "the first request", statistics.median(ratios), means="as long as those after it")


def started() -> Start:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with Served(Path(folder)) as served, closing(served.client(verify(photos.pair()))) as client:
            ready, cpu = time.perf_counter() - began, served.cpu()
            first, *later = (client.must().seconds for _ in range(6))
    return Start(ready, cpu, first, statistics.median(later))
