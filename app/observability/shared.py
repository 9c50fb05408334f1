"""
Metrics of several processes as if of one, by prometheus_client's multiprocess mode: each process writes its values to
files in a folder, and whichever of them is asked adds them up.

The library turns to that mode by an environment variable, when it is first imported.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from prometheus_client import CollectorRegistry, Gauge, Metric, PlatformCollector, ProcessCollector
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_ALIVE = "gauge_livemin_{}.db"  # a file that every process that is alive has


def folder() -> Path | None:
    """Where this process and its siblings write; None where it has none."""
    return Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """For their parent: a folder for the processes that it starts inside of the block."""
    before = os.environ.get(VARIABLE)
    with TemporaryDirectory(prefix="likeness-metrics-") as made:
        os.environ[VARIABLE] = made
        try:
            yield Path(made)
        finally:
            del os.environ[VARIABLE]
            os.environ.update({VARIABLE: before} if before is not None else {})


def discard() -> None:
    """For a process whose parent can no longer do it; what is still counted is read by nobody."""
    if made := folder():
        shutil.rmtree(made, ignore_errors=True)


def forget(files: Path, pid: int) -> None:
    """That process has ended: what it had counted still counts, what it was doing does not."""
    mark_process_dead(pid, str(files))  # type: ignore[no-untyped-call]


def registry_of_all(files: Path, *more: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(files))  # type: ignore[no-untyped-call]
    for collector in (PlatformCollector(registry=None), _Processes(files), *more):
        registry.register(collector)
    return registry


class Sampled:
    """Gauges that a process alone would read when it is asked: here each process writes its own now and then."""

    def __init__(self) -> None:
        self._gauges: dict[str, Gauge] = {}

    def write(self, families: Iterable[Metric]) -> None:
        for family in families:
            for sample in family.samples:
                gauge = self._gauge(family, tuple(sample.labels))
                (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)

    def _gauge(self, family: Metric, labels: tuple[str, ...]) -> Gauge:
        """Ready are they where all are; their queues are added up."""
        if family.name not in self._gauges:
            mode: Literal["livesum", "livemin"] = "livesum" if labels else "livemin"
            made = Gauge(family.name, family.documentation, labels, registry=None, multiprocess_mode=mode)
            self._gauges[family.name] = made
        return self._gauges[family.name]


class _Processes(Collector):
    """Memory, time and descriptors of each process that is alive, by its `pid`: sums of these would hide a leak."""

    def __init__(self, files: Path) -> None:
        self._files = files

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for file in sorted(self._files.glob(_ALIVE.format("*"))):
            pid = file.stem.rpartition("_")[2]
            for family in ProcessCollector(pid=partial(str, pid), registry=None).collect():
                whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    whole.add_sample(sample.name, {"pid": pid}, sample.value)
        return families.values()
