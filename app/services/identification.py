"""Identify the faces of a photo among the enrolled subjects. Open-set: a stranger has no candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.concurrency.worker_pool import WorkerPool
from app.domain.identity import Caller
from app.domain.models import Candidate, Embedding, Probe
from app.gallery.codec import GalleryInfo
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.matching.score_release import ScoreRelease, ScoreReleasePolicy
from app.matching.threshold_policy import Decision
from app.pipeline import FaceSelection
from app.services.extraction import Extraction, Upload
from app.services.timing import StageTimer


@dataclass(frozen=True, slots=True)
class IdentificationResult:
    """The candidates of each probe, most probable first; `gallery` is the gallery as it was searched."""

    probes: Sequence[Probe]
    candidates: Sequence[Sequence[Candidate]]
    faces_found: int
    gallery: GalleryInfo
    decision: Decision

    @property
    def subject_ids(self) -> Sequence[str]:
        return [candidate.subject_id for candidates in self.candidates for candidate in candidates]


class Identification:
    def __init__(
        self,
        extraction: Extraction,
        release: ScoreReleasePolicy,
        search: GallerySearch,
        repository: GalleryRepository,
        workers: WorkerPool,
    ) -> None:
        self._extraction, self._release = extraction, release
        self._search, self._repository, self._workers = search, repository, workers

    async def identify(
        self,
        upload: Upload,
        selection: FaceSelection,
        gallery_id: str,
        *,
        caller: Caller,
        top_k: int,
        fpir: float | None,
        threshold: float | None,
        timer: StageTimer,
    ) -> IdentificationResult:
        """Raises NotFound, ModelMismatch, UnsupportedOperatingPoint, or the errors of Extraction.read."""
        gallery = await self._workers.run(lambda: self._search.info(gallery_id))
        release = self._release.for_identification(
            fpir=fpir, threshold=threshold, templates=gallery.faces, unrestricted=caller.is_admin
        )
        photo = await self._extraction.read(upload, selection, timer)
        probes = await self._extraction.embed([photo], timer)
        embeddings = [probe.embedding for probe in probes]

        def search() -> tuple[GalleryInfo, list[list[Candidate]]]:
            with timer.stage("search"):
                return self._candidates_of_all(gallery, embeddings, top_k, release)

        gallery, candidates = await self._workers.run(search)
        return IdentificationResult(probes, candidates, photo.faces_found, gallery, release.decision)

    def _candidates_of_all(
        self, gallery: GalleryInfo, probes: Sequence[Embedding], top_k: int, release: ScoreRelease
    ) -> tuple[GalleryInfo, list[list[Candidate]]]:
        result = []
        for probe in probes:
            gallery, candidates = self._candidates(gallery.id, probe, top_k, release)
            result.append(candidates)
        return gallery, result

    def _candidates(
        self, gallery_id: str, probe: Embedding, top_k: int, release: ScoreRelease
    ) -> tuple[GalleryInfo, list[Candidate]]:
        decision = release.decision
        gallery, hits = self._search.search(gallery_id, probe, top_k, decision.point.threshold, plain=decision.is_plain)
        metadata = self._repository.metadata(gallery_id, [hit.subject_id for hit in hits])
        existing = [hit for hit in hits if hit.subject_id in metadata]  # without those deleted in the meantime
        return gallery, [
            Candidate(
                subject_id=hit.subject_id,
                face_id=hit.face_id,
                comparison=release.compare(hit.pair),
                rank=rank,
                metadata=metadata[hit.subject_id],
            )
            for rank, hit in enumerate(existing, start=1)
        ]
