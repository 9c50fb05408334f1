"""The services over networks whose results can be computed by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.concurrency.worker_pool import WorkerPool
from app.domain.identity import Caller, anonymous
from app.domain.ports import (
    Detector,
    Embedder,
    LivenessDetector,
    NoObserver,
    NoThresholdOffsets,
    Observer,
    ThresholdOffsets,
)
from app.faces.alignment import LandmarkAligner
from app.faces.quality import QualityBounds
from app.faces.selection import FaceRule
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.images.decode import ImageLimits
from app.inference.micro_batcher import MicroBatcher
from app.matching.calibration import Calibration
from app.matching.score_release import ScoreReleasePolicy, largest_threshold
from app.matching.threshold_policy import ThresholdPolicy
from app.pipeline import FacePipeline, FaceSelection, PhotoFaces
from app.services.attempts import LocalAttempts
from app.services.duplicates import Duplicates
from app.services.enrollment import Enrollment, EnrollmentOutcome, EnrollmentResult
from app.services.extraction import Extraction, Upload
from app.services.galleries import Galleries
from app.services.identification import Identification, IdentificationResult
from app.services.timing import StageTimer
from app.services.verification import Verification, VerificationResult
from tests.support.calibrations import calibration
from tests.support.fakes import FakeDetector, FakeEmbedder, photo
from tests.support.repository import FileRepository

ANYBODY = anonymous("anybody")
NO_BOUNDS = QualityBounds(size=0, sharpness=0, frontality=0, inside=0)


@dataclass(frozen=True)
class Parts:
    """The parts of the services; a test replaces those that it is about."""

    detector: Detector = field(default_factory=FakeDetector)
    embedder: Embedder = field(default_factory=FakeEmbedder)
    offsets: ThresholdOffsets = field(default_factory=NoThresholdOffsets)
    calibration: Calibration | None = field(default_factory=calibration)
    bounds: QualityBounds = NO_BOUNDS
    liveness: LivenessDetector | None = None
    threads: int = 2
    max_waiting: int = 64
    attempts: int = 0
    namings: int = 0
    keep_crops: bool = False
    observer: Observer = field(default_factory=NoObserver)


@dataclass(frozen=True)
class Bench:
    """The services, with short calls on the gallery `guests`."""

    repository: GalleryRepository
    extraction: Extraction
    verification: Verification
    identification: Identification
    enrollment: Enrollment
    galleries: Galleries

    async def read(self, image: bytes, selection: FaceSelection = "largest") -> PhotoFaces:
        return await self.extraction.read(Upload("image1", image), selection, StageTimer())

    async def enroll(self, subject: str, *images: bytes, key: str | None = None) -> EnrollmentOutcome:
        """The answer has the ids of the enrolled faces, and the codes of the errors by index."""
        return await self.enrollment.enroll(
            "guests",
            subject,
            uploads(*images),
            "largest",
            idempotency_key=key,
            present=ids_and_codes,
            timer=StageTimer(),
            caller=ANYBODY,
        )

    async def enroll_reds(self, subject: str, *reds: int) -> list[str]:
        """Enrol faces of these colours, and return their ids."""
        return list((await self.enroll(subject, *map(photo, reds))).answer["enrolled"])

    async def verify(
        self,
        first: bytes,
        second: bytes,
        rule: FaceRule = "largest",
        fmr: float | None = None,
        threshold: float | None = None,
    ) -> VerificationResult:
        pair = uploads(first, second)
        return await self.verification.pair(pair, rule, fmr=fmr, threshold=threshold, timer=StageTimer())

    async def verify_subject(
        self,
        red: int,
        subject: str = "ada",
        fmr: float | None = None,
        threshold: float | None = None,
        caller: Caller = ANYBODY,
    ) -> VerificationResult:
        (upload,) = uploads(photo(red))
        return await self.verification.subject(
            upload, "largest", "guests", subject, caller=caller, fmr=fmr, threshold=threshold, timer=StageTimer()
        )

    async def identify(
        self,
        *reds: int | None,
        selection: FaceSelection = "largest",
        top_k: int = 5,
        fpir: float | None = None,
        threshold: float | None = None,
        caller: Caller = ANYBODY,
    ) -> IdentificationResult:
        (upload,) = uploads(photo(*reds))
        return await self.identification.identify(
            upload,
            selection,
            "guests",
            caller=caller,
            top_k=top_k,
            fpir=fpir,
            threshold=threshold,
            timer=StageTimer(),
        )


def uploads(*images: bytes) -> list[Upload]:
    return [Upload(f"image{number}", data) for number, data in enumerate(images, start=1)]


def ids_and_codes(result: EnrollmentResult) -> dict[str, Any]:
    return {
        "enrolled": [each.template.face_id for each in result.enrolled],
        "rejected": {str(each.index): each.error.code for each in result.rejected},
    }


@asynccontextmanager
async def open_bench(folder: Path, **parts: Any) -> AsyncIterator[Bench]:
    made = replace(Parts(), **parts)
    policy = ThresholdPolicy(made.calibration, default_fmr=1e-3, default_fpir=1e-2)
    release = ScoreReleasePolicy(policy, largest_threshold(policy))
    repository = FileRepository(folder / "gallery.sqlite3", offsets=made.offsets)
    photos = WorkerPool("photo", threads=made.threads, max_waiting=made.max_waiting, deadline=10)
    store = WorkerPool("store", threads=1, max_waiting=64, deadline=10)
    pipeline = FacePipeline(made.detector, LandmarkAligner(), ImageLimits(), liveness=made.liveness)
    async with MicroBatcher(made.embedder.embed, max_batch=8, max_waiting=64) as batcher:
        extraction, search = Extraction(pipeline, photos, batcher, made.observer), GallerySearch(repository)
        galleries, namings = Galleries(repository, search, store), LocalAttempts(made.namings)
        duplicates = Duplicates(search, release, namings, store, galleries)
        yield Bench(
            repository=repository,
            extraction=extraction,
            verification=Verification(
                extraction, policy, release, LocalAttempts(made.attempts), repository, store, made.observer
            ),
            identification=Identification(extraction, release, search, namings, repository, store),
            enrollment=Enrollment(
                extraction, repository, made.bounds, duplicates, store, made.observer, keep_crops=made.keep_crops
            ),
            galleries=galleries,
        )
    photos.close()
    store.close()
    repository.close()
