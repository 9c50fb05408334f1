"""Gauges that are read when Prometheus scrapes, so that no code has to keep them up to date."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_GALLERIES = 200
OTHERS = ""  # an id is never empty, so this cannot be the name of a gallery


@dataclass(frozen=True, slots=True)
class GallerySize:
    id: str
    subjects: int
    faces: int


class GaugeCollector(Collector):
    """Reads the gauges of a service. One that cannot be read is logged and left out of the scrape."""

    def __init__(self) -> None:
        self.queues: dict[str, tuple[Callable[[], int], int]] = {}
        self.galleries: Callable[[], Sequence[GallerySize]] = list
        self.is_ready: Callable[[], bool] = lambda: False

    def collect(self) -> Iterable[Metric]:
        yield from self.collect_process()
        yield from self.collect_shared()

    def collect_process(self) -> Iterable[Metric]:
        """Yield the gauges of this process."""
        yield self._ready()
        yield from self._queues()

    def collect_shared(self) -> Iterable[Metric]:
        """Return the gauges that are the same in every process, because the processes share the database."""
        return self._galleries()

    def _ready(self) -> Metric:
        family = GaugeMetricFamily("likeness_ready", "1 while requests are accepted, 0 while starting or stopping.")
        ready = _read("readiness", self.is_ready)
        family.add_metric([], int(ready or False))
        return family

    def _queues(self) -> Iterable[Metric]:
        depths = GaugeMetricFamily("likeness_queue_depth", "Entries that run or wait in a queue.", labels=["queue"])
        limits = GaugeMetricFamily(
            "likeness_queue_limit", "Depth from which a queue refuses entries.", labels=["queue"]
        )
        for name, (depth, limit) in list(self.queues.items()):
            limits.add_metric([name], limit)
            if (entries := _read(f"queue {name}", depth)) is not None:
                depths.add_metric([name], entries)
        return depths, limits

    def _galleries(self) -> Iterable[Metric]:
        subjects = GaugeMetricFamily("likeness_gallery_subjects", "People enrolled.", labels=["gallery"])
        faces = GaugeMetricFamily("likeness_gallery_faces", "Faces enrolled.", labels=["gallery"])
        for size in _bounded(_read("galleries", self.galleries) or []):
            subjects.add_metric([size.id], size.subjects)
            faces.add_metric([size.id], size.faces)
        return subjects, faces


class Galleries(Collector):
    """The gauges of `collector` that are the same in every process."""

    def __init__(self, collector: GaugeCollector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        return self._collector.collect_shared()


def _bounded(sizes: Sequence[GallerySize]) -> list[GallerySize]:
    """Return the largest galleries, and the sum of the others: callers create galleries, labels must stay few."""
    ranked = sorted(sizes, key=lambda size: (-size.faces, size.id))
    shown, others = ranked[:MAX_GALLERIES], ranked[MAX_GALLERIES:]
    if others:
        shown.append(GallerySize(OTHERS, sum(each.subjects for each in others), sum(each.faces for each in others)))
    return shown


def _read(name: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception:
        log.warning("cannot read %s for the metrics", name, exc_info=True)
        return None
