"""Settings to services: opens the models, checks their digests, warms them up, and closes everything in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from app.domain.errors import InferenceFailed, ServiceError, StartError
from app.domain.nouns import AlignedCrop
from app.embedding.embedder import OnnxEmbedder
from app.faces.alignment import Aligner
from app.faces.mtcnn.cascade import CascadeOptions
from app.faces.mtcnn.loading import load_mtcnn
from app.faces.quality import QualityBounds
from app.gallery.gallery import Gallery
from app.gallery.records import Records
from app.images.decoding import ImageLimits
from app.matching.calibration import read_calibration
from app.matching.policy import ThresholdPolicy
from app.runtime.batching import MicroBatcher
from app.runtime.manifest import (
    read_checked,
    read_detector,
    read_embedder,
)
from app.runtime.session import Session
from app.runtime.workers import Workers
from app.services.bundle import Models, Services
from app.services.enrollment import Enrollment
from app.services.extraction import Extraction, FaceReader
from app.services.identification import Identification
from app.services.verification import Verification
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
        CascadeOptions(min_face=settings.min_face),
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
    manifest = models.embedder_manifest
    limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
    return FaceReader(models.detector, Aligner(manifest.template, manifest.crop_size), limits)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Everything, warm. Raises StartError."""
    models = open_models(settings)
    warm_up(models)
    policy = ThresholdPolicy(models.calibration, settings.default_fmr, settings.default_fpir)
    records = open_records(settings)
    photos = Workers(
        "photo", threads=settings.photo_threads, max_waiting=settings.max_waiting, deadline=settings.deadline
    )
    store = Workers("store", threads=STORE_THREADS, max_waiting=MAX_QUEUED, deadline=settings.deadline)
    batcher = MicroBatcher(models.embedder.embed, max_batch=settings.max_batch, max_waiting=MAX_QUEUED)
    try:
        async with batcher:
            gallery = Gallery(records)
            await store.run(gallery.warm)
            extraction = Extraction(open_reader(settings, models), photos, batcher)
            yield Services(
                models=models,
                policy=policy,
                extraction=extraction,
                verification=Verification(extraction, policy, records, store),
                identification=Identification(extraction, policy, gallery, records, store),
                enrollment=Enrollment(extraction, records, gallery, _bounds(settings), store),
            )
    finally:
        photos.close()
        store.close()
        records.close()


def open_records(settings: Settings) -> Records:
    """The gallery of `data_dir`, with the gallery `default` in it."""
    path = settings.data_dir / GALLERY_FILE
    try:
        records = Records(path)
    except (OSError, ServiceError) as error:  # no access, no space, no database
        raise StartError(f"cannot open the gallery {path}: {error}") from error
    try:
        records.create_gallery(DEFAULT_GALLERY)
    except ServiceError as error:
        records.close()
        raise StartError(f"cannot write to the gallery {path}: {error}") from error
    return records


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
