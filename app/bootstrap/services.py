"""Open everything that serves requests, and close it in reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

from app import __version__
from app.access.authenticator import Authenticator, check_exposure, is_loopback
from app.bootstrap.attempts import open_attempts
from app.bootstrap.models import open_models, open_pipeline, warm_up
from app.bootstrap.search import builds_graphs, is_external, open_search
from app.bootstrap.storage import open_keys, open_repository
from app.concurrency.malloc import give_back_freed_memory
from app.concurrency.worker_pool import WorkerPool
from app.domain.ports import NoObserver, Observer
from app.faces.quality import QualityBounds
from app.gallery.repository import GalleryRepository
from app.gallery.searching import Search
from app.inference.micro_batcher import MicroBatcher
from app.inference.onnx_session import runtime_version
from app.matching.score_release import ScoreReleasePolicy, largest_threshold
from app.matching.threshold_policy import ThresholdPolicy
from app.observability.gauges import GallerySize
from app.observability.metrics import Metrics
from app.services.container import Models, Services
from app.services.duplicates import Duplicates
from app.services.enrollment import Enrollment
from app.services.erasure_task import ErasureRetry
from app.services.extraction import Extraction
from app.services.galleries import Galleries
from app.services.gallery_import import GalleryImport, ImportLimits
from app.services.graph_task import GraphTask
from app.services.grouping import Grouping
from app.services.identification import Identification
from app.services.retention_task import Retention, SubjectExpiry
from app.services.snapshot_task import SnapshotTask
from app.services.vectors import Vectors
from app.services.verification import Verification
from app.services.worker_sync import REPLICA_INTERVAL, WorkerSync
from app.settings import Settings

STORE_THREADS = 2  # SQLite writes one at a time
SEARCH_THREADS = 32  # those without a core wait, and become one batch
REPLICA_STORE_THREADS = 8  # with PostgreSQL they mostly wait for its answers
MAX_QUEUED = 1024  # faces, or gallery operations: both are short, and photos are refused long before these are


@asynccontextmanager
async def open_services(settings: Settings, metrics: Metrics | None = None) -> AsyncIterator[Services]:
    """Open the services, warmed up and observed by `metrics`. Raises StartError."""
    give_back_freed_memory()
    observer: Observer = metrics or NoObserver()
    models = open_models(settings)
    warm_up(models)
    policy = ThresholdPolicy(models.calibration, settings.default_fmr, settings.default_fpir)
    release = ScoreReleasePolicy(policy, settings.max_threshold or largest_threshold(policy))
    photo_workers = WorkerPool(
        "photo", threads=settings.photos_at_once, max_waiting=settings.max_waiting, deadline=settings.deadline
    )
    store_workers = WorkerPool(
        "store",
        threads=REPLICA_STORE_THREADS if settings.database else STORE_THREADS,
        max_waiting=MAX_QUEUED,
        deadline=settings.deadline,
    )
    search_workers = WorkerPool("search", threads=SEARCH_THREADS, max_waiting=MAX_QUEUED, deadline=settings.deadline)
    if settings.database:
        search_workers = store_workers  # whose threads have connections already
    body_workers = WorkerPool("body", threads=1, max_waiting=settings.max_waiting, deadline=settings.deadline)
    batcher = MicroBatcher(
        models.embedder.embed, max_batch=settings.max_batch, max_waiting=MAX_QUEUED, on_batch=observer.on_batch
    )
    with (
        open_repository(settings, models.offsets) as repository,
        open_search(settings, repository) as search,
        open_keys(settings) as keys,
        closing(photo_workers),
        closing(store_workers),
        closing(search_workers),
        closing(body_workers),
    ):
        async with batcher:
            await asyncio.to_thread(repository.settle_after_crash)  # no deadline of requests holds here
            await asyncio.to_thread(search.load_indexes)
            await asyncio.to_thread(keys.has_keys)  # reads them before the first request needs them on the event loop
            attempts = partial(open_attempts, repository, store_workers)
            extraction = Extraction(open_pipeline(settings, models), photo_workers, batcher, observer)
            galleries = Galleries(repository, search, store_workers, audit_searches=settings.audit_searches)
            namings = attempts("identify", settings.subject_namings_per_hour)
            services = Services(
                models=models,
                policy=policy,
                release=release,
                extraction=extraction,
                verification=Verification(
                    extraction,
                    policy,
                    release,
                    attempts("verify", settings.subject_attempts_per_hour),
                    repository,
                    store_workers,
                    observer,
                ),
                identification=Identification(
                    extraction,
                    release,
                    search,
                    namings,
                    repository,
                    search_workers,
                ),
                enrollment=Enrollment(
                    extraction,
                    repository,
                    _quality_bounds(settings),
                    Duplicates(search, release, namings, store_workers, galleries),
                    store_workers,
                    observer,
                    keep_crops=settings.keep_crops,
                ),
                grouping=Grouping(extraction, policy, store_workers),
                gallery_import=GalleryImport(
                    repository,
                    store_workers,
                    models.embedder.model,
                    ImportLimits(settings.max_line_bytes, settings.long_deadline),
                    keep_crops=settings.keep_crops,
                ),
                vectors=Vectors(models.embedder.model, models.embedder_manifest.dimension, models.offsets),
                galleries=galleries,
                authenticator=Authenticator(keys, settings.auth, reachable=is_reachable(settings)),
                has_replicas=settings.database is not None,
                body_workers=body_workers,
            )
            if metrics:
                queues = {"photos": photo_workers, "store": store_workers, "search": search_workers}
                _register_gauges(metrics, models, repository, search, queues, batcher)
                if settings.database:
                    metrics.watch_lag(services.galleries.lag)
            async with _running(*_background_tasks(settings, services.galleries, metrics)):
                yield services


def is_reachable(settings: Settings) -> bool:
    """Return whether other machines can reach the service."""
    return not is_loopback(settings.published_on or settings.host)


def check_access(settings: Settings) -> str | None:
    """Return a warning, or None. Raises StartError if the service would be open to other machines."""
    with open_keys(settings) as keys:
        return check_exposure(
            keys, settings.auth, settings.published_on or settings.host, reachable=is_reachable(settings)
        )


def _quality_bounds(settings: Settings) -> QualityBounds:
    return QualityBounds(
        size=settings.enroll_min_size,
        sharpness=settings.enroll_min_sharpness,
        frontality=settings.enroll_min_frontality,
        inside=settings.enroll_min_inside,
    )


def _register_gauges(
    metrics: Metrics,
    models: Models,
    repository: GalleryRepository,
    search: Search,
    queues: Mapping[str, WorkerPool],
    batcher: MicroBatcher[Any, Any],
) -> None:
    """Register what the metrics read whenever they are scraped."""
    for name, workers in queues.items():
        metrics.watch_queue(name, partial(getattr, workers, "depth"), workers.capacity)
    metrics.watch_queue("faces", lambda: batcher.depth, MAX_QUEUED)
    metrics.watch_galleries(
        lambda: [GallerySize(each.id, each.subjects, each.faces) for each in repository.galleries()]
    )
    metrics.watch_erasures(lambda: repository.pending_erasures() + search.pending())
    manifest = models.embedder_manifest
    metrics.set_build_info(
        version=__version__,
        model=manifest.id,
        digest=manifest.file.digest,
        provider=models.provider,
        runtime=runtime_version(),
    )


def _background_tasks(
    settings: Settings, galleries: Galleries, metrics: Metrics | None
) -> Iterator[Coroutine[Any, Any, None]]:
    observer: Observer = metrics or NoObserver()
    yield ErasureRetry(galleries).run()
    yield SubjectExpiry(galleries, observer).run()
    yield SnapshotTask(galleries).run()
    if builds_graphs(settings):
        yield GraphTask(galleries).run()
    if settings.retention is not None:
        yield Retention(galleries, settings.retention, observer).run()
    publish = metrics.publish if metrics else lambda: None
    if settings.database:
        yield WorkerSync(galleries, publish, REPLICA_INTERVAL).run()
    elif settings.workers > 1 or is_external(settings):
        yield WorkerSync(galleries, publish).run()


@asynccontextmanager
async def _running(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
