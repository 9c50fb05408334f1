"""Find out whether faces that are to be enrolled are those of somebody who is enrolled already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.concurrency.worker_pool import WorkerPool
from app.domain.comparisons import Distance
from app.domain.embeddings import Embedding
from app.domain.errors import NotFound
from app.domain.identity import Actor, Caller
from app.gallery.searching import Search
from app.matching.score_release import ScoreReleasePolicy
from app.services.attempts import Attempts
from app.services.galleries import Galleries

MAX_DUPLICATES = 5
"""Other subjects that are told for one face."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Another subject whose enrolled face matches the face at `index` of the request."""

    index: int
    subject_id: str
    distance: Distance


class Duplicates:
    """
    Searches as /identify does by default: the threshold, the rounding of distances, the limit of how often a subject is
    named to one key, and the audit log are the same.
    """

    def __init__(
        self,
        search: Search,
        release: ScoreReleasePolicy,
        namings: Attempts,
        workers: WorkerPool,
        galleries: Galleries,
    ) -> None:
        self._search, self._release, self._namings = search, release, namings
        self._workers, self._galleries = workers, galleries

    async def find(
        self, gallery_id: str, subject_id: str, faces: Sequence[tuple[int, Embedding]], caller: Caller
    ) -> list[Duplicate]:
        """Return the other subjects that each face (with its index) matches, best first. Raises ModelMismatch."""
        return await self._workers.run(lambda: self._find(gallery_id, subject_id, faces, caller))

    async def named(self, gallery_id: str, duplicates: Sequence[Duplicate], caller: Caller) -> list[Duplicate]:
        """Return those that the caller may be told, which counts as an identification; whoever tells them audits it."""
        left_out = await self._namings.exhausted(caller, gallery_id)
        subjects = dict.fromkeys(each.subject_id for each in duplicates if each.subject_id not in left_out)
        admitted = [each for each in subjects if await self._namings.admit(caller, gallery_id, each)]
        return [each for each in duplicates if each.subject_id in admitted]

    def audited(self, duplicates: Sequence[Duplicate]) -> Sequence[str]:
        """Return the subjects whose identification belongs into the audit log, each once."""
        return self._galleries.audited(list(dict.fromkeys(each.subject_id for each in duplicates)))

    async def audit(self, gallery_id: str, duplicates: Sequence[Duplicate], by: Actor) -> None:
        """Write those entries in a transaction of their own, for a request that enrols nobody."""
        if subjects := self.audited(duplicates):
            await self._galleries.audit_search(by, "subject.identify", gallery_id, subjects)

    def _find(
        self, gallery_id: str, subject_id: str, faces: Sequence[tuple[int, Embedding]], caller: Caller
    ) -> list[Duplicate]:
        try:
            gallery = self._search.info(gallery_id)
        except NotFound:
            return []
        release = self._release.for_identification(
            fpir=None, threshold=None, templates=gallery.faces, unrestricted=caller.is_admin
        )
        point = release.decision.point
        found = []
        for index, face in faces:
            _, hits = self._search.search(gallery_id, face, MAX_DUPLICATES + 1, point.threshold)
            others = [hit for hit in hits if hit.subject_id != subject_id][:MAX_DUPLICATES]
            found += [Duplicate(index, hit.subject_id, release.compare(hit.pair).distance) for hit in others]
        return found
