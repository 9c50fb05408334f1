"""Enrol photos: their faces become templates of a subject."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from app.concurrency.worker_pool import WorkerPool
from app.domain.clock import now
from app.domain.errors import AllRejected, LikenessError, LowQuality, Rejected, ServiceError
from app.domain.identity import SYSTEM, Actor
from app.domain.models import Liveness, Probe, Template
from app.domain.ports import NoObserver, Observer
from app.faces.quality import QualityBounds
from app.faces.selection import FaceRule
from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.pipeline import PhotoFaces
from app.services.extraction import Extraction, Upload
from app.services.timing import StageTimer

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledFace:
    """The template of the image at `index` in the request, in which `faces_found` were detected."""

    index: int
    template: Template
    faces_found: int
    liveness: Liveness | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EnrollmentResult:
    enrolled: Sequence[EnrolledFace]
    rejected: Sequence[Rejected]


@dataclass(frozen=True, slots=True)
class EnrollmentOutcome:
    """The presented result; `replayed` if it was stored by an earlier request with the same idempotency key."""

    answer: dict[str, Any]
    replayed: bool


Present: TypeAlias = Callable[[EnrollmentResult], dict[str, Any]]
"""Makes the JSON document of a result. The service stores it in the transaction that enrols the faces."""


class Enrollment:
    def __init__(
        self,
        extraction: Extraction,
        repository: GalleryRepository,
        bounds: QualityBounds,
        workers: WorkerPool,
        observer: Observer | None = None,
    ) -> None:
        self._extraction, self._repository = extraction, repository
        self._bounds, self._workers = bounds, workers
        self._observer = observer or NoObserver()

    async def enroll(
        self,
        gallery_id: str,
        subject_id: str,
        uploads: Sequence[Upload],
        rule: FaceRule,
        *,
        idempotency_key: str | None,
        present: Present,
        timer: StageTimer,
        by: Actor = SYSTEM,
    ) -> EnrollmentOutcome:
        """
        Enrol one face per upload; they are on the disk when this returns.

        Raises AllRejected, ModelMismatch, or InvalidRequest if the key was used for another request. A ServiceError of
        one image fails the whole request, since the answer is stored under the key and would outlast the overload.
        """
        request = _digest(uploads, rule)
        if idempotency_key:
            stored = await self._run(self._repository.saved_response, gallery_id, subject_id, idempotency_key, request)
            if stored:
                return EnrollmentOutcome(dict(stored), replayed=True)
        result = await self._extract(subject_id, uploads, rule, timer)
        if not result.enrolled:
            raise AllRejected(result.rejected)
        answer = present(result)
        record = IdempotencyRecord(idempotency_key, request, answer) if idempotency_key else None
        templates = [face.template for face in result.enrolled]
        stored = await self._run(self._repository.enroll, gallery_id, subject_id, templates, record, by)
        return EnrollmentOutcome(dict(stored or answer), replayed=stored is not None)

    async def _extract(
        self, subject_id: str, uploads: Sequence[Upload], rule: FaceRule, timer: StageTimer
    ) -> EnrollmentResult:
        outcomes = [self._check_quality(each) for each in await self._extraction.read_all(uploads, rule, timer)]
        photos = {index: photo for index, photo in enumerate(outcomes) if isinstance(photo, PhotoFaces)}
        rejected = [Rejected(index, error) for index, error in enumerate(outcomes) if isinstance(error, LikenessError)]
        probes = await self._extraction.embed(list(photos.values()), timer)
        enrolled = [
            EnrolledFace(index, _template(subject_id, probe), probe.faces_found, probe.liveness)
            for index, probe in zip(photos, probes, strict=True)
        ]
        return EnrollmentResult(enrolled, rejected)

    def _check_quality(self, outcome: PhotoFaces | LikenessError) -> PhotoFaces | LikenessError:
        """Return LowQuality instead of a photo whose face is below the bounds. Raises a ServiceError."""
        if isinstance(outcome, ServiceError):
            raise outcome
        try:
            if isinstance(outcome, PhotoFaces):
                self._bounds.require(outcome.faces[0].quality)
        except LowQuality as error:
            self._observer.on_rejected(error.code)
            return error
        return outcome

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._workers.run(lambda: call(*arguments))


def _template(subject_id: str, probe: Probe) -> Template:
    return Template(str(uuid.uuid4()), subject_id, probe.embedding, probe.face, probe.quality, now())


def _digest(uploads: Sequence[Upload], rule: FaceRule) -> str:
    digest = hashlib.sha256(rule.encode())
    for upload in uploads:
        digest.update(hashlib.sha256(upload.data).digest())
        digest.update(b"" if upload.orientation == "auto" else upload.orientation.encode())
        digest.update(b"" if upload.liveness == "off" else upload.liveness.encode())
    return digest.hexdigest()
