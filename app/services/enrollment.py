"""Enrol photos: their faces become templates of a subject."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from app.concurrency.worker_pool import WorkerPool
from app.domain.clock import now
from app.domain.embeddings import Embedding, Probe, Template
from app.domain.errors import AllRejected, DuplicateFace, LikenessError, LowQuality, Rejected, ServiceError
from app.domain.faces import Liveness
from app.domain.identity import SYSTEM, Actor, Caller
from app.domain.ports import NoObserver, Observer
from app.faces.quality import QualityBounds
from app.faces.selection import OneFace
from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.pipeline import PhotoFaces
from app.services.duplicates import Duplicate, Duplicates
from app.services.extraction import Extraction, FaceInput, Upload, probe_of_vector
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
    duplicates: Sequence[Duplicate] = ()
    """Other subjects whose faces the enrolled ones match."""


@dataclass(frozen=True, slots=True)
class EnrollmentOutcome:
    """The presented result; `replayed` if it was stored by an earlier request with the same idempotency key."""

    answer: dict[str, Any]
    replayed: bool


OnDuplicate: TypeAlias = Literal["report", "reject"]
Present: TypeAlias = Callable[[EnrollmentResult], dict[str, Any]]
"""Makes the JSON document of a result. The service stores it in the transaction that enrols the faces."""


class Enrollment:
    def __init__(
        self,
        extraction: Extraction,
        repository: GalleryRepository,
        bounds: QualityBounds,
        duplicates: Duplicates,
        workers: WorkerPool,
        observer: Observer | None = None,
        *,
        keep_crops: bool = False,
    ) -> None:
        """With `keep_crops` the aligned crop of each photo is stored beside its vector."""
        self.keeps_crops = keep_crops
        self._extraction, self._repository = extraction, repository
        self._bounds, self._duplicates, self._workers = bounds, duplicates, workers
        self._observer = observer or NoObserver()

    async def enroll(
        self,
        gallery_id: str,
        subject_id: str,
        faces: Sequence[FaceInput],
        rule: OneFace,
        *,
        idempotency_key: str | None,
        present: Present,
        timer: StageTimer,
        caller: Caller,
        by: Actor = SYSTEM,
        on_duplicate: OnDuplicate = "report",
    ) -> EnrollmentOutcome:
        """
        Enrol one face per photo or vector; they are on the disk when this returns.

        What is stored under the key has no duplicates: it would keep the ids of other subjects.

        Raises AllRejected, DuplicateFace, ModelMismatch, or InvalidRequest if the key was used for another request.
        A ServiceError of one image fails the whole request, since the answer is stored under the key and would outlast
        the overload.
        """
        request = _digest(faces, rule, on_duplicate)
        if idempotency_key:
            stored = await self._run(self._repository.saved_response, gallery_id, subject_id, idempotency_key, request)
            if stored:
                return EnrollmentOutcome(dict(stored), replayed=True)
        result = await self._extract(subject_id, faces, rule, timer)
        if not result.enrolled:
            raise AllRejected(result.rejected)
        duplicates = await self._duplicates_of(gallery_id, subject_id, result, caller, by, on_duplicate)
        identified = self._duplicates.audited(duplicates)
        answer = present(replace(result, duplicates=duplicates))
        record = IdempotencyRecord(idempotency_key, request, present(result)) if idempotency_key else None
        templates = [face.template for face in result.enrolled]
        stored = await self._run(self._repository.enroll, gallery_id, subject_id, templates, record, by, identified)
        return EnrollmentOutcome(dict(stored or answer), replayed=stored is not None)

    async def _duplicates_of(
        self,
        gallery_id: str,
        subject_id: str,
        result: EnrollmentResult,
        caller: Caller,
        by: Actor,
        on_duplicate: OnDuplicate,
    ) -> list[Duplicate]:
        """Return the duplicates that the caller may be told. Raises DuplicateFace if any is to be refused."""
        faces = [(face.index, face.template.embedding) for face in result.enrolled]
        found = await self._duplicates.find(gallery_id, subject_id, faces, caller)
        named = await self._duplicates.named(gallery_id, found, caller)
        if found and on_duplicate == "reject":
            await self._duplicates.audit(gallery_id, named, by)
            raise DuplicateFace([(each.index, each.subject_id, each.distance.squared_l2) for each in named])
        return named

    async def _extract(
        self, subject_id: str, faces: Sequence[FaceInput], rule: OneFace, timer: StageTimer
    ) -> EnrollmentResult:
        outcomes = await self._probes(faces, rule, timer)
        return EnrollmentResult(
            [
                EnrolledFace(index, _template(subject_id, probe), probe.faces_found, probe.liveness)
                for index, probe in enumerate(outcomes)
                if isinstance(probe, Probe)
            ],
            [Rejected(index, error) for index, error in enumerate(outcomes) if isinstance(error, LikenessError)],
        )

    async def _probes(
        self, faces: Sequence[FaceInput], rule: OneFace, timer: StageTimer
    ) -> list[Probe | LikenessError]:
        """Return the probe of each face, or the error of its photo; nothing is known of the quality of vectors."""
        uploads = [face for face in faces if isinstance(face, Upload)]
        photos = iter(await self._extraction.read_all(uploads, rule, timer, keep_crops=self.keeps_crops))
        usable = [face if isinstance(face, Embedding) else self._check_quality(next(photos)) for face in faces]
        embedded = iter(await self._extraction.embed([each for each in usable if isinstance(each, PhotoFaces)], timer))

        def probe(each: PhotoFaces | Embedding | LikenessError) -> Probe | LikenessError:
            if isinstance(each, PhotoFaces):
                return next(embedded)
            return probe_of_vector(each) if isinstance(each, Embedding) else each

        return [probe(each) for each in usable]

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
    return Template(str(uuid.uuid4()), subject_id, probe.embedding, probe.face, probe.quality, now(), probe.crop)


def _digest(faces: Sequence[FaceInput], rule: OneFace, on_duplicate: OnDuplicate) -> str:
    digest = hashlib.sha256(str(rule).encode())
    if on_duplicate != "report":
        digest.update(on_duplicate.encode())
    for face in faces:
        data = face.vector.tobytes() if isinstance(face, Embedding) else face.data
        digest.update(hashlib.sha256(data).digest())
        if isinstance(face, Upload) and face.orientation != "auto":
            digest.update(face.orientation.encode())
        if isinstance(face, Upload) and face.liveness != "off":
            digest.update(face.liveness.encode())
    return digest.hexdigest()
