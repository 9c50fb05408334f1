"""Gauges whose values are read when they are needed, so that no code has to keep them up to date."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_GALLERIES = 200
REST = ""  # no gallery has an empty id, so that this cannot be the name of one


@dataclass(frozen=True, slots=True)
class GallerySize:
    id: str
    subjects: int
    faces: int


class ProcessGauges:
    """
    Readiness and queues of this process; `update` reads them.

    Of several processes the queues are added up, and they are ready where all are.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.is_ready: Callable[[], bool] = lambda: False
        self.lag: Callable[[], float] = lambda: 0.0
        self.queues: dict[str, tuple[Callable[[], int], int]] = {}
        self._ready = Gauge(
            "likeness_ready",
            "1 while requests are taken, 0 while starting or stopping.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._lag = Gauge(
            "likeness_replica_lag_seconds",
            "Seconds for which changes of other replicas may be unknown here; 0 without PostgreSQL.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._depth = Gauge(
            "likeness_queue_depth",
            "What runs or waits in a queue.",
            ("queue",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._limit = Gauge(
            "likeness_queue_limit",
            "A queue with so much in it refuses more.",
            ("queue",),
            registry=registry,
            multiprocess_mode="livesum",
        )

    def update(self) -> None:
        self._ready.set(_read_or_log("readiness", self.is_ready) or 0)
        self._lag.set(_read_or_log("replica lag", self.lag) or 0)
        for name, (depth, limit) in list(self.queues.items()):
            self._limit.labels(name).set(limit)
            size = _read_or_log(f"queue {name}", depth)
            self._depth.labels(name).set(math.nan if size is None else size)


class GalleryGauges(Collector):
    """Sizes of the galleries and pending erasures, the same whichever process that shares the store is scraped."""

    def __init__(self) -> None:
        self.read: Callable[[], Sequence[GallerySize]] = list
        self.count_pending: Callable[[], int] = int

    def collect(self) -> Iterable[Metric]:
        subjects = GaugeMetricFamily("likeness_gallery_subjects", "People enrolled.", labels=["gallery"])
        faces = GaugeMetricFamily("likeness_gallery_faces", "Faces enrolled.", labels=["gallery"])
        for size in _largest(_read_or_log("galleries", self.read) or []):
            subjects.add_metric([size.id], size.subjects)
            faces.add_metric([size.id], size.faces)
        pending = _read_or_log("pending erasures", self.count_pending)
        erasures = GaugeMetricFamily(
            "likeness_erasures_pending", "Deletions of which a file still has old pages.", value=pending
        )
        return (subjects, faces) if pending is None else (subjects, faces, erasures)


def _largest(sizes: Sequence[GallerySize]) -> list[GallerySize]:
    """Return the largest galleries, and one without a name for all others: callers may make any number of them."""
    ranked = sorted(sizes, key=lambda size: (-size.faces, size.id))
    shown, others = ranked[:MAX_GALLERIES], ranked[MAX_GALLERIES:]
    if others:
        shown.append(GallerySize(REST, sum(each.subjects for each in others), sum(each.faces for each in others)))
    return shown


def _read_or_log(name: str, read: Callable[[], T]) -> T | None:
    """Return None where `read` fails, so that the rest of the scrape is still answered."""
    try:
        return read()
    except Exception:
        log.warning("cannot read %s for the metrics", name, exc_info=True)
        return None
