"""
The metrics for Prometheus. No label identifies a person or a photo, and every label has few values.

Each `Metrics` has its own registry, so that two applications in one process do not share metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from app.observability import multiprocess
from app.observability.gauges import GalleryGauges, GallerySize, ProcessGauges
from app.observability.route_names import known_method

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUILD = ("version", "model", "digest", "provider", "runtime")

REQUEST_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)
STAGE_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
DISTANCES = (
    *(tenths / 10 for tenths in range(1, 25)),
    2.6,
    2.8,
    3.0,
    4.0,
)  # thresholds and most impostors are below 2.4
FACES = (0, 1, 2, 3, 5, 10, 20, 50, 100)
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)


class Metrics:
    """
    Counts the events of app.domain.ports.Observer and those of the HTTP layer. Thread-safe.

    The problems in `codes` start at 0, since Prometheus does not notice the increase of a counter that first appears as
    1. If several processes share a folder for metrics (see multiprocess.py), `render` returns those of all processes.
    """

    def __init__(self, codes: Iterable[str] = ()) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # which would double the number of series
        self._registry = CollectorRegistry()
        self._gauges, self._galleries = ProcessGauges(self._registry), GalleryGauges()
        self._create_http_metrics()
        self._create_pipeline_metrics()
        if folder := multiprocess.folder():
            self._rendered = multiprocess.combined_registry(folder, self._galleries)
        else:
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self._registry)
            self._registry.register(self._galleries)
            self._rendered = self._registry
        for code in codes:
            self._problems.labels(code)

    def on_photo(self, faces: int) -> None:
        self._faces.observe(faces)

    def on_rejected(self, reason: str) -> None:
        self._rejected.labels(reason).inc()

    def on_compared(self, distance: float, *, match: bool) -> None:
        self._distances[match].observe(distance)

    def on_batch(self, faces: int) -> None:
        self._batches.observe(faces)

    def on_expired(self, faces: int) -> None:
        self._expired.inc(faces)

    def in_flight(self) -> AbstractContextManager[None]:
        """Count a request as in flight while the block runs."""
        return self._in_flight.track_inprogress()

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request. `route` is a template or `unmatched`: paths would create a series per subject."""
        self._requests.labels(route, known_method(method), status).inc()
        self._seconds.labels(route).observe(seconds)

    def observe_stages(self, milliseconds: Mapping[str, float]) -> None:
        """Observe the result of StageTimer.milliseconds(). A stage of zero time was not part of the request."""
        for stage, duration in milliseconds.items():
            if duration > 0 and stage != "total":
                self._stages.labels(stage).observe(duration / 1000)

    def problem(self, code: str) -> None:
        self._problems.labels(code).inc()

    def watch_queue(self, name: str, depth: Callable[[], int], limit: int) -> None:
        self._gauges.queues[name] = depth, limit

    def watch_galleries(self, read: Callable[[], Sequence[GallerySize]]) -> None:
        """`read` may block: it is called by `render`."""
        self._galleries.read = read

    def watch_erasures(self, count_pending: Callable[[], int]) -> None:
        """`count_pending` may block, as in `watch_galleries`."""
        self._galleries.count_pending = count_pending

    def watch_lag(self, lag: Callable[[], float]) -> None:
        self._gauges.lag = lag

    def watch_readiness(self, is_ready: Callable[[], bool]) -> None:
        self._gauges.is_ready = is_ready

    def set_build_info(self, *, version: str, model: str, digest: str, provider: str, runtime: str) -> None:
        if self._rendered is self._registry:  # prometheus_client cannot clear in multiprocess mode
            self._build.clear()
        self._build.labels(version, model, digest, provider, runtime).set(1)

    def publish(self) -> None:
        """Write the gauges that `render` reads; of several processes each calls this every second or so."""
        self._gauges.update()

    def render(self) -> bytes:
        """Return the text that Prometheus reads. Blocks on the store: call it on a thread."""
        self.publish()
        return generate_latest(self._rendered)

    def _create_http_metrics(self) -> None:
        registry = self._registry
        self._build = Gauge(
            "likeness_build_info", "Versions in use; always 1.", BUILD, registry=registry, multiprocess_mode="livemax"
        )
        self._requests = Counter(
            "likeness_requests", "Requests answered.", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "likeness_request_seconds",
            "Seconds from the head of a request to the end of its response.",
            ("route",),
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "likeness_requests_in_flight", "Requests being answered.", registry=registry, multiprocess_mode="livesum"
        )
        self._problems = Counter("likeness_problems", "Problem documents answered.", ("code",), registry=registry)

    def _create_pipeline_metrics(self) -> None:
        registry = self._registry
        self._stages = Histogram(
            "likeness_stage_seconds",
            "Seconds of a request in one stage, over all its images.",
            ("stage",),
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        distances = Histogram(
            "likeness_verification_distance",
            "Squared L2 distance of the two faces of a verification.",
            ("match",),
            buckets=DISTANCES,
            registry=registry,
        )
        self._distances = {match: distances.labels(str(match).lower()) for match in (True, False)}
        self._faces = Histogram("likeness_faces_found", "Faces found in a photo.", buckets=FACES, registry=registry)
        self._batches = Histogram(
            "likeness_batch_faces", "Faces embedded in one run.", buckets=BATCHES, registry=registry
        )
        self._rejected = Counter(
            "likeness_images_rejected", "Images that could not be used.", ("reason",), registry=registry
        )
        self._expired = Counter("likeness_faces_expired", "Faces erased by retention.", registry=registry)
