"""Decide whether two faces are of one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.concurrency.worker_pool import WorkerPool
from app.domain.comparisons import Comparison
from app.domain.embeddings import Probe, Template
from app.domain.errors import LikenessError, NotFound
from app.domain.identity import Caller
from app.domain.ports import NoObserver, Observer
from app.faces.selection import FaceRule, OneFace
from app.gallery.repository import GalleryRepository
from app.matching.distance import compare_embeddings
from app.matching.score_release import ScoreReleasePolicy
from app.matching.threshold_policy import Decision, ThresholdPolicy
from app.pipeline import FaceSelection, PhotoFaces
from app.services.attempts import Attempts
from app.services.extraction import Extraction, FaceInput, Upload
from app.services.timing import StageTimer


@dataclass(frozen=True, slots=True)
class VerificationResult:
    comparison: Comparison
    decision: Decision
    probes: Sequence[Probe]
    face_id: str | None = None
    """The nearest enrolled face, if the photo was compared with a subject and is not beyond the bound."""


@dataclass(frozen=True, slots=True)
class ComparedFaces:
    """
    The faces of a photo, each with its comparison with one other face.

    That is the face `source` of another photo, or an enrolled face of the subject.
    """

    probes: Sequence[Probe]
    comparisons: Sequence[Comparison]
    source: Probe | None = None
    subject_id: str = ""


@dataclass(frozen=True, slots=True)
class OneToMany:
    """A face compared with those of other photos; an error stands for a photo without a usable face."""

    probe: Probe
    others: Sequence[tuple[Probe, Comparison] | LikenessError]
    decision: Decision


class Verification:
    def __init__(
        self,
        extraction: Extraction,
        policy: ThresholdPolicy,
        release: ScoreReleasePolicy,
        attempts: Attempts,
        repository: GalleryRepository,
        workers: WorkerPool,
        observer: Observer | None = None,
    ) -> None:
        self._extraction, self._policy, self._release = extraction, policy, release
        self._attempts, self._repository, self._workers = attempts, repository, workers
        self._observer = observer or NoObserver()

    async def pair(
        self,
        faces: Sequence[FaceInput],
        rule: FaceRule,
        *,
        fmr: float | None,
        threshold: float | None,
        timer: StageTimer,
    ) -> VerificationResult:
        """Compare two photos or vectors. If both have an error, raises that of the first."""
        decision = self._policy.for_verification(fmr=fmr, threshold=threshold)
        first, second = await self._extraction.probes(faces, rule, timer)
        return VerificationResult(self._compare(first, second, decision), decision, [first, second])

    async def one_to_many(
        self,
        upload: Upload,
        others: Sequence[Upload],
        rule: FaceRule,
        *,
        fmr: float | None,
        threshold: float | None,
        timer: StageTimer,
    ) -> OneToMany:
        """Compare a photo with others, each pair by itself. Raises the error of the first photo, not of others."""
        decision = self._policy.for_verification(fmr=fmr, threshold=threshold)
        first, *photos = await self._extraction.read_all([upload, *others], rule, timer)
        if isinstance(first, LikenessError):
            raise first
        usable = [photo for photo in photos if isinstance(photo, PhotoFaces)]
        probe, *probes = await self._extraction.embed([first, *usable], timer)
        compared = iter([(each, self._compare(probe, each, decision)) for each in probes])
        return OneToMany(
            probe, [photo if isinstance(photo, LikenessError) else next(compared) for photo in photos], decision
        )

    async def subject(
        self,
        face: FaceInput,
        rule: FaceRule,
        gallery_id: str,
        subject_id: str,
        *,
        caller: Caller,
        fmr: float | None,
        threshold: float | None,
        timer: StageTimer,
    ) -> VerificationResult:
        """
        Compare a photo or vector with the nearest enrolled face of a subject, as a search would find it.

        A stranger has one chance per enrolled face, so the threshold is that of as many comparisons. A caller who may
        not know which subjects exist gets the answer of a stranger's photo for one that does not. Raises NotFound,
        InvalidRequest, UnsupportedOperatingPoint, RateLimited, or the errors of Extraction.probe.
        """
        templates, count = await self._workers.run(lambda: self._templates(gallery_id, subject_id, caller))
        release = self._release.for_verification(
            fmr=fmr, threshold=threshold, templates=count, unrestricted=caller.is_admin
        )
        await self._attempts.acquire(caller, gallery_id, subject_id)
        probe = await self._extraction.probe(face, rule, timer)
        if not templates:
            return VerificationResult(release.refuse(), release.decision, [probe])
        pairs = {face.face_id: compare_embeddings(probe.embedding, face.embedding) for face in templates}
        nearest = min(pairs, key=lambda face_id: pairs[face_id].rank(plain=release.decision.is_plain))
        comparison = release.compare(pairs[nearest])
        self._observe(comparison)
        face_id = nearest if release.is_within_bound(comparison) else None
        return VerificationResult(comparison, release.decision, [probe], face_id)

    async def all_faces(
        self, source: Upload, target: Upload, rule: OneFace, selection: FaceSelection, *, timer: StageTimer
    ) -> ComparedFaces:
        """Compare the face that `rule` selects in the source with each face that is selected in the target."""
        decision = self._policy.for_verification()
        photos = [
            await self._extraction.read(source, rule, timer),
            await self._extraction.read(target, selection, timer),
        ]
        first, *others = await self._extraction.embed(photos, timer)
        return ComparedFaces(others, [self._compare(first, other, decision) for other in others], first)

    async def enrolled_face(
        self,
        upload: Upload,
        selection: FaceSelection,
        gallery_id: str,
        face_id: str,
        *,
        caller: Caller,
        timer: StageTimer,
    ) -> ComparedFaces:
        """
        Compare each selected face of a photo with one enrolled face; each counts as an attempt on its subject.

        Raises NotFound, RateLimited, or the errors of Extraction.read.
        """
        template = await self._workers.run(lambda: self._repository.face(gallery_id, face_id))
        release = self._release.for_verification(fmr=None, threshold=None, templates=1, unrestricted=caller.is_admin)
        photo = await self._extraction.read(upload, selection, timer)
        for _ in photo.faces:
            await self._attempts.acquire(caller, gallery_id, template.subject_id)
        probes = await self._extraction.embed([photo], timer)
        comparisons = [release.compare(compare_embeddings(each.embedding, template.embedding)) for each in probes]
        for comparison in comparisons:
            self._observe(comparison)
        return ComparedFaces(probes, comparisons, subject_id=template.subject_id)

    def _compare(self, first: Probe, second: Probe, decision: Decision) -> Comparison:
        comparison = self._policy.compare(compare_embeddings(first.embedding, second.embedding), decision)
        self._observe(comparison)
        return comparison

    def _templates(self, gallery_id: str, subject_id: str, caller: Caller) -> tuple[Sequence[Template], int]:
        """
        Return the subject's faces and their number.

        Raises NotFound if there are none and the caller may know it. Otherwise the number is that of the next subject,
        since the threshold that it leads to would show that there are none.
        """
        faces: Sequence[Template] = []
        try:
            faces = self._repository.faces(gallery_id, subject_id)
        except NotFound:
            if caller.may_know_subjects:
                raise
        if not faces and caller.may_know_subjects:
            raise NotFound(f"subject {subject_id!r} has no enrolled face")
        return faces, len(faces) or self._faces_of_next_subject(gallery_id, subject_id)

    def _faces_of_next_subject(self, gallery_id: str, subject_id: str) -> int:
        """Return the number of faces of the subject whose id follows, at least 1."""
        try:
            following = self._repository.subjects(gallery_id, 1, after=subject_id)
            first = following or self._repository.subjects(gallery_id, 1, after="")
        except NotFound:
            return 1
        return max([1, *(subject.faces for subject in first)])

    def _observe(self, comparison: Comparison) -> None:
        """Report the distance as it was answered: the sum of a metric must not reveal an exact one."""
        self._observer.on_compared(comparison.distance.squared_l2, match=comparison.match)
