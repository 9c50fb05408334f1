"""The services over networks that can be worked out by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import Rejected
from app.domain.ports import Detector, Embedder, NoObserver, Observer
from app.faces.alignment import LandmarkAligner
from app.faces.quality import QualityBounds
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.images.decode import ImageLimits
from app.inference.micro_batcher import MicroBatcher
from app.matching.calibration import Calibration
from app.matching.threshold_policy import ThresholdPolicy
from app.pipeline import FacePipeline
from app.services.enrollment import Answer, Enrollment, EnrollmentResult
from app.services.extraction import Extraction, Upload
from app.services.galleries import Galleries
from app.services.identification import Identification
from app.services.timing import StageTimer
from app.services.verification import Verification
from tests.support.calibrations import calibration
from tests.support.fakes import FakeDetector, FakeEmbedder, photo
from tests.support.repository import FileRepository

NO_BOUNDS = QualityBounds(size=0, sharpness=0, frontality=0, inside=0)


@dataclass(frozen=True)
class Parts:
    """What the services are made of; a test replaces the part it is about."""

    detector: Detector = field(default_factory=FakeDetector)
    embedder: Embedder = field(default_factory=FakeEmbedder)
    calibration: Calibration | None = field(default_factory=calibration)
    bounds: QualityBounds = NO_BOUNDS
    threads: int = 2
    max_waiting: int = 64
    observer: Observer = field(default_factory=NoObserver)


@dataclass(frozen=True)
class Bench:
    repository: GalleryRepository
    extraction: Extraction
    verification: Verification
    identification: Identification
    enrollment: Enrollment
    galleries: Galleries

    async def enroll(self, gallery: str, subject: str, *images: bytes, key: str | None = None) -> Answer:
        """The answer lists the face ids enrolled and the errors by index."""
        return await self.enrollment.enroll(
            gallery, subject, uploads(*images), "largest", key=key, shape=shape, timer=StageTimer()
        )

    async def enroll_reds(self, gallery: str, subject: str, *reds: int) -> list[str]:
        """The ids of faces of these colours."""
        answer = await self.enroll(gallery, subject, *map(photo, reds))
        return list(answer["enrolled"])


def uploads(*images: bytes) -> list[Upload]:
    return [Upload(f"image{number}", data) for number, data in enumerate(images, start=1)]


def shape(enrolled: Any, rejected: Any) -> Answer:
    taken: list[EnrollmentResult] = list(enrolled)
    refused: list[Rejected] = list(rejected)
    return {
        "enrolled": [each.template.face_id for each in taken],
        "rejected": {str(each.index): each.error.code for each in refused},
    }


@asynccontextmanager
async def open_bench(folder: Path, **parts: Any) -> AsyncIterator[Bench]:
    made = replace(Parts(), **parts)
    policy = ThresholdPolicy(made.calibration, default_fmr=1e-3, default_fpir=1e-2)
    repository = FileRepository(folder / "gallery.sqlite3")
    photos = WorkerPool("photo", threads=made.threads, max_waiting=made.max_waiting, deadline=10)
    store = WorkerPool("store", threads=1, max_waiting=64, deadline=10)
    reader = FacePipeline(made.detector, LandmarkAligner(), ImageLimits())
    async with MicroBatcher(made.embedder.embed, max_batch=8, max_waiting=64) as batcher:
        extraction, gallery = Extraction(reader, photos, batcher, made.observer), GallerySearch(repository)
        yield Bench(
            repository=repository,
            extraction=extraction,
            verification=Verification(extraction, policy, repository, store, made.observer),
            identification=Identification(extraction, policy, gallery, repository, store),
            enrollment=Enrollment(extraction, repository, made.bounds, store, made.observer),
            galleries=Galleries(repository, gallery, store),
        )
    photos.close()
    store.close()
    repository.close()
