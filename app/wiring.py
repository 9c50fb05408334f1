"""Settings to services: opens the models, checks their digests, warms them up, and closes everything in turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from typing import Any

import numpy as np

from app import __version__
from app.access.authority import Authority, check_start, is_loopback
from app.access.keys import KeyStore
from app.domain.errors import InferenceFailed, NotFound, ServiceError, StartError
from app.domain.nouns import AlignedCrop
from app.domain.ports import Observer, Unobserved
from app.embedding.embedder import OnnxEmbedder
from app.faces.alignment import open_aligner
from app.faces.mtcnn.cascade import looking_from
from app.faces.mtcnn.loading import load_mtcnn
from app.faces.quality import QualityBounds
from app.gallery.gallery import Gallery
from app.gallery.records import Records
from app.images.decoding import ImageLimits
from app.matching.calibration import read_calibration
from app.matching.policy import ThresholdPolicy
from app.observability.gauges import GallerySize
from app.observability.metrics import Metrics
from app.runtime.batching import MicroBatcher
from app.runtime.database import Database
from app.runtime.manifest import (
    read_checked,
    read_detector,
    read_embedder,
)
from app.runtime.memory import give_back_freed_memory
from app.runtime.session import Session, runtime_version
from app.runtime.vault import Vault, parse_keys
from app.runtime.workers import Workers
from app.services.bundle import Models, Services
from app.services.enrollment import Enrollment
from app.services.extraction import Extraction, FaceReader
from app.services.galleries import Galleries
from app.services.identification import Identification
from app.services.retention import Retention
from app.services.verification import Verification
from app.services.worker_sync import WorkerSync
from app.settings import Settings

DETECTOR = "mtcnn"
DEFAULT_GALLERY = "default"
GALLERY_FILE = "gallery.sqlite3"
STORE_THREADS = 2  # SQLite writes one at a time
MAX_QUEUED = 1024  # faces, or questions to the gallery: both are short, and behind them photos are refused first


def open_models(settings: Settings) -> Models:
    """Raises StartError where a file is missing, is not its manifest's, or the provider cannot be used."""
    folder = settings.models_dir / settings.model
    manifest = read_embedder(folder)
    session = Session(read_checked(folder, manifest.file), provider=settings.provider, threads=settings.threads)
    detector_folder = settings.models_dir / DETECTOR
    detector = load_mtcnn(
        detector_folder,
        looking_from(settings.min_face),
        provider=settings.provider,
        threads=settings.threads,
    )
    return Models(
        detector=detector,
        detector_manifest=read_detector(detector_folder),
        embedder=OnnxEmbedder(session, manifest),
        embedder_manifest=manifest,
        calibration=read_calibration(folder, manifest.file.digest),
        provider=session.provider,
    )


def open_reader(settings: Settings, models: Models) -> FaceReader:
    """The blocking half of the pipeline: bytes to aligned crops."""
    limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
    return FaceReader(models.detector, open_aligner(models.embedder_manifest), limits, settings.max_faces)


@asynccontextmanager
async def open_services(settings: Settings, metrics: Metrics | None = None) -> AsyncIterator[Services]:
    """Everything, warm; told to `metrics`, if given. Raises StartError."""
    give_back_freed_memory()
    observer: Observer = metrics or Unobserved()
    models = open_models(settings)
    warm_up(models)
    policy = ThresholdPolicy(models.calibration, settings.default_fmr, settings.default_fpir)
    photos = Workers(
        "photo", threads=settings.photos_at_once, max_waiting=settings.max_waiting, deadline=settings.deadline
    )
    store = Workers("store", threads=STORE_THREADS, max_waiting=MAX_QUEUED, deadline=settings.deadline)
    batcher = MicroBatcher(
        models.embedder.embed, max_batch=settings.max_batch, max_waiting=MAX_QUEUED, ran=observer.batch
    )
    with open_records(settings) as records, open_keys(settings) as keys, closing(photos), closing(store):
        async with batcher:
            gallery = Gallery(records)
            await store.run(gallery.warm)
            extraction = Extraction(open_reader(settings, models), photos, batcher, observer)
            services = Services(
                models=models,
                policy=policy,
                extraction=extraction,
                verification=Verification(extraction, policy, records, store, observer),
                identification=Identification(extraction, policy, gallery, records, store),
                enrollment=Enrollment(extraction, records, _bounds(settings), store, observer),
                galleries=Galleries(records, gallery, store, audit_searches=settings.audit_searches),
                authority=Authority(keys, settings.auth, reachable=reachable(settings)),
            )
            if metrics:
                _watch(metrics, models, records, {"photos": photos, "store": store}, batcher)
            async with _meanwhile(*_chores(settings, services.galleries, metrics)):
                yield services


@contextmanager
def open_records(settings: Settings) -> Iterator[Records]:
    """The gallery of `data_dir`, with the gallery `default` in it. Raises StartError."""
    with open_database(settings) as database:
        try:
            records = Records(database, open_seal(settings))
            _ensure_default(records)
        except ServiceError as error:
            raise StartError(f"cannot write to the gallery {settings.data_dir / GALLERY_FILE}: {error}") from error
        yield records


def _ensure_default(records: Records) -> None:
    """By a write only where it is not there: opening a gallery changes nothing."""
    try:
        records.gallery(DEFAULT_GALLERY)
    except NotFound:
        records.create_gallery(DEFAULT_GALLERY)


@contextmanager
def open_keys(settings: Settings) -> Iterator[KeyStore]:
    """Over a connection of its own: a request's key is looked up without waiting for a change under way."""
    with open_database(settings) as database:
        yield KeyStore(database)


def require_gallery_file(settings: Settings) -> None:
    """For commands that read: a misspelt LIKENESS_DATA_DIR must not look like an empty gallery. Raises StartError."""
    if not (settings.data_dir / GALLERY_FILE).exists():
        raise StartError(f"no gallery in {settings.data_dir}")


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Raises StartError."""
    path = settings.data_dir / GALLERY_FILE
    try:
        database = Database(path)
    except (OSError, ServiceError) as error:  # no access, no space, no database
        raise StartError(f"cannot open the gallery {path}: {error}") from error
    with closing(database):
        yield database


def open_seal(settings: Settings) -> Vault | None:
    """Raises StartError where the key is none, or its file cannot be read."""
    if settings.encryption_key and settings.encryption_key_file:
        raise StartError("want LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE, not both")
    if settings.encryption_key:
        return Vault(parse_keys(settings.encryption_key.get_secret_value()))
    if settings.encryption_key_file:
        try:
            return Vault(parse_keys(settings.encryption_key_file.read_text()))
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"cannot read the encryption key: {error}") from error
    return None


def reachable(settings: Settings) -> bool:
    """Whether other machines can reach the service."""
    return not is_loopback(settings.published_on or settings.host)


def check_access(settings: Settings) -> str | None:
    """A warning, or None. Raises StartError where the service would be open to other machines."""
    with open_keys(settings) as keys:
        return check_start(keys, settings.auth, settings.published_on or settings.host, reachable=reachable(settings))


def warm_up(models: Models) -> None:
    """One real inference of every network; a grey crop's vector must be of unit length. Raises StartError."""
    size = models.embedder_manifest.crop_size
    try:
        models.detector.detect(np.full((96, 96, 3), 127, np.uint8))
        (embedding,) = models.embedder.embed([AlignedCrop(np.full((size, size, 3), 127, np.uint8), 1.0)])
    except InferenceFailed as error:
        raise StartError(f"the networks do not run as their manifests say: {error}") from error
    length = float(np.linalg.norm(embedding.vector))
    if not abs(length - 1) < 1e-3:
        raise StartError(f"model {models.embedder_manifest.id!r} gives vectors of length {length:.4f}, want 1")


def _bounds(settings: Settings) -> QualityBounds:
    return QualityBounds(
        size=settings.enroll_min_size,
        sharpness=settings.enroll_min_sharpness,
        frontality=settings.enroll_min_frontality,
        inside=settings.enroll_min_inside,
    )


def _watch(
    metrics: Metrics, models: Models, records: Records, queues: Mapping[str, Workers], batcher: MicroBatcher[Any, Any]
) -> None:
    """What the metrics read themselves, when they are asked for."""
    for name, workers in queues.items():
        metrics.watch_queue(name, partial(getattr, workers, "depth"), workers.room)
    metrics.watch_queue("faces", lambda: batcher.depth, MAX_QUEUED)
    metrics.watch_galleries(lambda: [GallerySize(each.id, each.subjects, each.faces) for each in records.galleries()])
    manifest = models.embedder_manifest
    metrics.describe(
        version=__version__,
        model=manifest.id,
        digest=manifest.file.digest,
        provider=models.provider,
        runtime=runtime_version(),
    )


def _chores(settings: Settings, galleries: Galleries, metrics: Metrics | None) -> Iterator[Coroutine[Any, Any, None]]:
    """What goes on beside the requests."""
    if settings.retention is not None:
        yield Retention(galleries, settings.retention, metrics or Unobserved()).run()
    if settings.workers > 1:
        yield WorkerSync(galleries, metrics.publish if metrics else lambda: None).run()


@asynccontextmanager
async def _meanwhile(*chores: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(chore) for chore in chores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
