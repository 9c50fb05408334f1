"""
Metrics of several processes as if of one, by prometheus_client's multiprocess mode: each process writes its values to
files in a folder, and whichever of them is scraped adds them up.

The mode is chosen by an environment variable, when the library is first imported. It leaves out custom collectors and
the metrics of processes, so that /metrics would hold neither galleries nor memory; `combined_registry` adds them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, Metric, PlatformCollector, ProcessCollector
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_LIVE_FILE = "gauge_livemin_{}.db"  # each process alive has one, since it has the gauge likeness_ready


def folder() -> Path | None:
    """Return the folder that this process shares with others, or None where it is alone."""
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """Make a folder for the processes started in the block; for their parent."""
    previous = os.environ.get(VARIABLE)
    with TemporaryDirectory(prefix="likeness-metrics-") as made:
        os.environ[VARIABLE] = made
        try:
            yield Path(made)
        finally:
            del os.environ[VARIABLE]
            os.environ.update({VARIABLE: previous} if previous is not None else {})


def remove_folder() -> None:
    """Remove the folder in place of a parent that was killed."""
    if made := folder():
        shutil.rmtree(made, ignore_errors=True)


def forget_process(files: Path, pid: int) -> None:
    """Drop the gauges of a process that has ended; its counters still count."""
    mark_process_dead(pid, str(files))  # type: ignore[no-untyped-call]


def combined_registry(files: Path, *collectors: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(files))  # type: ignore[no-untyped-call]
    for collector in (PlatformCollector(registry=None), _ProcessMetrics(files), *collectors):
        registry.register(collector)
    return registry


class _ProcessMetrics(Collector):
    """Memory, CPU time and descriptors of each live process by its `pid`; a sum of these would hide a leak."""

    def __init__(self, files: Path) -> None:
        self._files = files

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for file in sorted(self._files.glob(_LIVE_FILE.format("*"))):
            pid = file.stem.rpartition("_")[2]
            for family in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                combined = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    combined.add_sample(sample.name, {"pid": pid}, sample.value)
        return families.values()
