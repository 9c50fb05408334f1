"""Identify the faces of a photo among the enrolled subjects. Open-set: a stranger has no candidates."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from app.concurrency.worker_pool import WorkerPool
from app.domain.comparisons import Candidate
from app.domain.embeddings import Embedding, Probe
from app.domain.identity import Caller
from app.gallery.records import GalleryInfo
from app.gallery.repository import GalleryRepository
from app.gallery.searching import Search
from app.matching.score_release import ScoreRelease, ScoreReleasePolicy
from app.matching.threshold_policy import Decision
from app.pipeline import FaceSelection
from app.services.attempts import Attempts
from app.services.extraction import EmbeddedPhoto, Extraction, FaceInput, probe_of_vector
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
        search: Search,
        namings: Attempts,
        repository: GalleryRepository,
        workers: WorkerPool,
    ) -> None:
        self._extraction, self._release, self._namings = extraction, release, namings
        self._search, self._repository, self._workers = search, repository, workers

    async def identify(
        self,
        face: FaceInput,
        selection: FaceSelection,
        gallery_id: str,
        *,
        caller: Caller,
        top_k: int,
        fpir: float | None,
        threshold: float | None,
        timer: StageTimer,
    ) -> IdentificationResult:
        """
        Search the gallery for each selected face; subjects that were named to the caller too often are left out.

        Raises NotFound, ModelMismatch, UnsupportedOperatingPoint, or the errors of Extraction.read.
        """
        gallery = await self._workers.run(lambda: self._search.info(gallery_id))
        release = self._release.for_identification(
            fpir=fpir, threshold=threshold, templates=gallery.faces, unrestricted=caller.is_admin
        )
        photo = await self._probes(face, selection, timer)
        embeddings = [probe.embedding for probe in photo.probes]
        left_out = await self._namings.exhausted(caller, gallery_id)

        def search() -> tuple[GalleryInfo, list[list[Candidate]]]:
            with timer.stage("search"):
                return self._candidates_of_all(gallery, embeddings, top_k, release, left_out)

        gallery, candidates = await self._workers.run(search)
        named = [await self._count_named(caller, gallery_id, each) for each in candidates]
        return IdentificationResult(photo.probes, named, photo.faces_found, gallery, release.decision)

    async def _probes(self, face: FaceInput, selection: FaceSelection, timer: StageTimer) -> EmbeddedPhoto:
        if isinstance(face, Embedding):
            return EmbeddedPhoto([probe_of_vector(face)], faces_found=1)
        photo = await self._extraction.read(face, selection, timer)
        return EmbeddedPhoto(await self._extraction.embed([photo], timer), photo.faces_found)

    async def _count_named(self, caller: Caller, gallery_id: str, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Count that they are named; leave out those that another face or request has exhausted since the search."""
        named = [each for each in candidates if await self._namings.admit(caller, gallery_id, each.subject_id)]
        return [replace(each, rank=rank) for rank, each in enumerate(named, start=1)]

    def _candidates_of_all(
        self,
        gallery: GalleryInfo,
        probes: Sequence[Embedding],
        top_k: int,
        release: ScoreRelease,
        left_out: AbstractSet[str],
    ) -> tuple[GalleryInfo, list[list[Candidate]]]:
        result = []
        for probe in probes:
            gallery, candidates = self._candidates(gallery.id, probe, top_k, release, left_out)
            result.append(candidates)
        return gallery, result

    def _candidates(
        self, gallery_id: str, probe: Embedding, top_k: int, release: ScoreRelease, left_out: AbstractSet[str]
    ) -> tuple[GalleryInfo, list[Candidate]]:
        """Others take the places of those left out, so that their absence looks as if they were beyond the bound."""
        more, decision = top_k + len(left_out), release.decision
        gallery, hits = self._search.search(gallery_id, probe, more, decision.point.threshold, plain=decision.is_plain)
        hits = [hit for hit in hits if hit.subject_id not in left_out][:top_k]
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
