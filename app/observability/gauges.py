"""Gauges that are read when Prometheus asks: nobody has to remember to keep them up to date."""

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
REST = ""  # no id is empty, so that this cannot be the name of a gallery


@dataclass(frozen=True, slots=True)
class GallerySize:
    id: str
    subjects: int
    faces: int


class GaugeCollector(Collector):
    """What cannot be read is left out and logged; the rest of the scrape still answers."""

    def __init__(self) -> None:
        self.queues: dict[str, tuple[Callable[[], int], int]] = {}
        self.galleries: Callable[[], Sequence[GallerySize]] = list
        self.is_ready: Callable[[], bool] = lambda: False

    def collect(self) -> Iterable[Metric]:
        yield from self.own()
        yield from self.of_all()

    def own(self) -> Iterable[Metric]:
        """Of this process."""
        yield self._ready()
        yield from self._queues()

    def of_all(self) -> Iterable[Metric]:
        """Of every process that shares the store: whoever is asked answers the same."""
        return self._galleries()

    def _ready(self) -> Metric:
        family = GaugeMetricFamily("likeness_ready", "1 while requests are taken, 0 while starting or stopping.")
        ready = _read("readiness", self.is_ready)
        family.add_metric([], int(ready or False))
        return family

    def _queues(self) -> Iterable[Metric]:
        depths = GaugeMetricFamily("likeness_queue_depth", "What runs or waits in a queue.", labels=["queue"])
        limits = GaugeMetricFamily("likeness_queue_limit", "A queue with so much in it refuses more.", labels=["queue"])
        for name, (depth, limit) in list(self.queues.items()):
            limits.add_metric([name], limit)
            if (inside := _read(f"queue {name}", depth)) is not None:
                depths.add_metric([name], inside)
        return depths, limits

    def _galleries(self) -> Iterable[Metric]:
        subjects = GaugeMetricFamily("likeness_gallery_subjects", "People enrolled.", labels=["gallery"])
        faces = GaugeMetricFamily("likeness_gallery_faces", "Faces enrolled.", labels=["gallery"])
        for size in _bounded(_read("galleries", self.galleries) or []):
            subjects.add_metric([size.id], size.subjects)
            faces.add_metric([size.id], size.faces)
        return subjects, faces


class Galleries(Collector):
    """The part of `scraped` that several processes have in common."""

    def __init__(self, scraped: GaugeCollector) -> None:
        self._scraped = scraped

    def collect(self) -> Iterable[Metric]:
        return self._scraped.of_all()


def _bounded(sizes: Sequence[GallerySize]) -> list[GallerySize]:
    """The largest galleries; callers name and make them, so the others are added up into one without a name."""
    ranked = sorted(sizes, key=lambda size: (-size.faces, size.id))
    shown, others = ranked[:MAX_GALLERIES], ranked[MAX_GALLERIES:]
    if others:
        shown.append(GallerySize(REST, sum(each.subjects for each in others), sum(each.faces for each in others)))
    return shown


def _read(name: str, read: Callable[[], T]) -> T | None:
    try:
        return read()
    except Exception:
        log.warning("cannot read %s for the metrics", name, exc_info=True)
        return None
