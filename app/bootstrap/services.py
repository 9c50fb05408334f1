"""Open everything that serves requests, and close it in reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from app import __version__
from app.access.api_keys import KeyStore
from app.access.authenticator import Authenticator, check_exposure, is_loopback
from app.bootstrap.attempts import open_attempts
from app.bootstrap.models import open_models, open_pipeline, warm_up
from app.bootstrap.search import builds_graphs, is_external, open_search
from app.bootstrap.storage import open_keys, open_repository
from app.bootstrap.worker_pools import MAX_QUEUED, WorkerPools, open_worker_pools
from app.concurrency.malloc import give_back_freed_memory
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
from app.services.attempts import Attempts
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


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of which services are made."""

    settings: Settings
    models: Models
    policy: ThresholdPolicy
    release: ScoreReleasePolicy
    repository: GalleryRepository
    search: Search
    keys: KeyStore
    pools: WorkerPools
    extraction: Extraction
    observer: Observer

    def attempts(self, kind: str, limit: int) -> Attempts:
        return open_attempts(self.repository, self.pools.store, kind, limit)


@asynccontextmanager
async def open_services(
    settings: Settings, metrics: Metrics | None = None, models: Models | None = None
) -> AsyncIterator[Services]:
    """
    Open the services, warmed up and observed by `metrics`, with the models of the settings unless they are open.

    Raises StartError.
    """
    give_back_freed_memory()
    observer: Observer = metrics or NoObserver()
    models = models or open_models(settings)
    warm_up(models)
    policy = ThresholdPolicy(models.calibration, settings.default_fmr, settings.default_fpir)
    release = ScoreReleasePolicy(policy, settings.max_threshold or largest_threshold(policy))
    batcher = MicroBatcher(
        models.embedder.embed, max_batch=settings.max_batch, max_waiting=MAX_QUEUED, on_batch=observer.on_batch
    )
    with (
        open_repository(settings, models.offsets) as repository,
        open_search(settings, repository) as search,
        open_keys(settings) as keys,
        open_worker_pools(settings) as pools,
    ):
        async with batcher:
            await asyncio.to_thread(repository.settle_after_crash)  # no deadline of requests holds here
            await asyncio.to_thread(search.load_indexes)
            await asyncio.to_thread(keys.has_keys)  # reads them before the first request needs them on the event loop
            extraction = Extraction(open_pipeline(settings, models), pools.photo, batcher, observer)
            services = _services(
                _Parts(settings, models, policy, release, repository, search, keys, pools, extraction, observer)
            )
            if metrics:
                _register_gauges(metrics, models, repository, search, pools, batcher)
                if settings.database:
                    metrics.watch_lag(services.galleries.lag)
            async with _running(*_background_tasks(settings, services.galleries, metrics)):
                yield services


def _services(parts: _Parts) -> Services:
    settings, models, store = parts.settings, parts.models, parts.pools.store
    repository, search, extraction = parts.repository, parts.search, parts.extraction
    galleries = Galleries(repository, search, store, audit_searches=settings.audit_searches)
    namings = parts.attempts("identify", settings.subject_namings_per_hour)
    claims = parts.attempts("verify", settings.subject_attempts_per_hour)
    return Services(
        models=models,
        policy=parts.policy,
        release=parts.release,
        extraction=extraction,
        verification=Verification(extraction, parts.policy, parts.release, claims, repository, store, parts.observer),
        identification=Identification(extraction, parts.release, search, namings, repository, parts.pools.search),
        enrollment=_enrollment(parts, Duplicates(search, parts.release, namings, store, galleries)),
        grouping=Grouping(extraction, parts.policy, store),
        gallery_import=_gallery_import(parts),
        vectors=Vectors(models.embedder.model, models.embedder_manifest.dimension, models.offsets),
        galleries=galleries,
        authenticator=Authenticator(parts.keys, settings.auth, reachable=is_reachable(settings)),
        has_replicas=settings.database is not None,
        body_workers=parts.pools.body,
    )


def _enrollment(parts: _Parts, duplicates: Duplicates) -> Enrollment:
    return Enrollment(
        parts.extraction,
        parts.repository,
        _quality_bounds(parts.settings),
        duplicates,
        parts.pools.store,
        parts.observer,
        keep_crops=parts.settings.keep_crops,
    )


def _gallery_import(parts: _Parts) -> GalleryImport:
    settings = parts.settings
    return GalleryImport(
        parts.repository,
        parts.pools.store,
        parts.models.embedder.model,
        ImportLimits(settings.max_line_bytes, settings.long_deadline),
        keep_crops=settings.keep_crops,
    )


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
    pools: WorkerPools,
    batcher: MicroBatcher[Any, Any],
) -> None:
    """Register what the metrics read whenever they are scraped."""
    for name, workers in (("photos", pools.photo), ("store", pools.store), ("search", pools.search)):
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
