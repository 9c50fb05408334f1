"""Faces in: photos become templates of a subject."""

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
from app.domain.models import Probe, Template
from app.domain.ports import NoObserver, Observer
from app.faces.quality import QualityBounds
from app.faces.selection import FaceRule
from app.gallery.codec import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.pipeline import PhotoFaces
from app.services.extraction import Extraction, Upload
from app.services.timing import StageTimer

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class EnrollmentResult:
    index: int
    template: Template
    faces_found: int


Answer: TypeAlias = dict[str, Any]
Shape: TypeAlias = Callable[[Sequence[EnrollmentResult], Sequence[Rejected]], Answer]
"""Makes the answer that is sent, and kept under an Idempotency-Key."""


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
        key: str | None,
        shape: Shape,
        timer: StageTimer,
        by: Actor = SYSTEM,
    ) -> Answer:
        """
        The answer made by `shape`, or the one given before under the same `key`; what is enrolled is then on disk.

        Raises AllRejected, ModelMismatch, or InvalidRequest where `key` was used for another request. A ServiceError of
        one image fails the request: an answer is kept under `key`, and a moment's overload must not be.
        """
        request = _digest(uploads, rule)
        saved_response = self._repository.saved_response
        if key and (earlier := await self._off_loop(saved_response, gallery_id, subject_id, key, request)):
            return dict(earlier)
        enrolled, rejected = await self._take(subject_id, uploads, rule, timer)
        if not enrolled:
            raise AllRejected(rejected)
        answer = shape(enrolled, rejected)
        idempotency = IdempotencyRecord(key, request, answer) if key else None
        templates = [each.template for each in enrolled]
        earlier = await self._off_loop(self._repository.enroll, gallery_id, subject_id, templates, idempotency, by)
        return dict(earlier) if earlier else answer

    async def _take(
        self, subject_id: str, uploads: Sequence[Upload], rule: FaceRule, timer: StageTimer
    ) -> tuple[list[EnrollmentResult], list[Rejected]]:
        outcomes = [self._judged(each) for each in await self._extraction.read_all(uploads, rule, timer)]
        seen = {index: photo for index, photo in enumerate(outcomes) if isinstance(photo, PhotoFaces)}
        rejected = [Rejected(index, error) for index, error in enumerate(outcomes) if isinstance(error, LikenessError)]
        probes = await self._extraction.embed(list(seen.values()), timer)
        enrolled = [
            EnrollmentResult(index, _template(subject_id, probe), probe.faces_found)
            for index, probe in zip(seen, probes, strict=True)
        ]
        return enrolled, rejected

    def _judged(self, outcome: PhotoFaces | LikenessError) -> PhotoFaces | LikenessError:
        """The photo, or why its image is no template: LowQuality where its face is too poor. Raises a ServiceError."""
        if isinstance(outcome, ServiceError):
            raise outcome
        try:
            if isinstance(outcome, PhotoFaces):
                self._bounds.require(outcome.faces[0].quality)
        except LowQuality as error:
            self._observer.rejected(error.code)
            return error
        return outcome

    async def _off_loop(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._workers.run(lambda: call(*arguments))


def _template(subject_id: str, probe: Probe) -> Template:
    return Template(str(uuid.uuid4()), subject_id, probe.embedding, probe.face, probe.quality, now())


def _digest(uploads: Sequence[Upload], rule: FaceRule) -> str:
    digest = hashlib.sha256(rule.encode())
    for upload in uploads:
        digest.update(hashlib.sha256(upload.data).digest())
    return digest.hexdigest()
