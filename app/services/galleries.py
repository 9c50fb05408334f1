"""Read, change and erase galleries, subjects and faces."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from app.concurrency.worker_pool import WorkerPool
from app.domain.embeddings import Template
from app.domain.errors import StorageFull, StorageUnavailable
from app.domain.identity import Actor
from app.gallery.records import CropStatus, FacePage, FaceReference, GalleryInfo, SubjectFile, SubjectInfo
from app.gallery.repository import GalleryRepository
from app.gallery.retention import Expired
from app.gallery.searching import Search

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_LAG = 5.0
"""Seconds behind the other replicas, beyond which a replica is not ready."""


class Galleries:
    """The async interface of the repository: calls run on worker threads. What is erased leaves the index too."""

    def __init__(
        self, repository: GalleryRepository, search: Search, workers: WorkerPool, *, audit_searches: bool = True
    ) -> None:
        self._repository, self._search, self._workers = repository, search, workers
        self._audit_searches = audit_searches
        self._current_at = time.monotonic()

    async def all(self) -> list[GalleryInfo]:
        return await self._run(self._repository.galleries)

    async def create(self, gallery_id: str, by: Actor) -> tuple[GalleryInfo, bool]:
        """Return the gallery, and whether it is new."""
        return await self._run(self._repository.create_gallery, gallery_id, by)

    async def get(self, gallery_id: str) -> GalleryInfo:
        return await self._run(self._repository.gallery, gallery_id)

    async def get_with_crops(self, gallery_id: str) -> tuple[GalleryInfo, CropStatus]:
        return await self.get(gallery_id), await self._run(self._repository.crop_status, gallery_id)

    async def delete(self, gallery_id: str, by: Actor) -> bool:
        """Return whether nothing of it is left in any file; otherwise a reader still needs old pages."""
        await self._run(self._repository.delete_gallery, gallery_id, by)
        await self._run(self._search.update_index, gallery_id)
        return await self.pending_erasures() == 0

    async def subjects(self, gallery_id: str, limit: int, after: str) -> list[SubjectInfo]:
        """Return at most `limit` subjects with ids greater than `after`, in order of id."""
        return await self._run(self._repository.subjects, gallery_id, limit, after)

    async def subject(self, gallery_id: str, subject_id: str) -> SubjectInfo:
        return await self._run(self._repository.subject, gallery_id, subject_id)

    async def put_subject(
        self,
        gallery_id: str,
        subject_id: str,
        metadata: Mapping[str, Any] | None,
        by: Actor,
        *,
        consent: str | None = None,
        expires_at: str | None = None,
    ) -> tuple[SubjectInfo, bool]:
        """
        Replace metadata, consent and expiry, each unless None; return the subject, and whether it is new.

        Empty text removes consent or expiry.
        """
        put = partial(self._repository.put_subject, consent=consent, expires_at=expires_at)
        return await self._run(put, gallery_id, subject_id, metadata, by)

    async def update_subject(
        self,
        gallery_id: str,
        subject_id: str,
        new_id: str | None,
        metadata: Mapping[str, Any] | None,
        by: Actor,
        *,
        consent: str | None = None,
        expires_at: str | None = None,
    ) -> SubjectInfo:
        """Change a subject as `put_subject`, but only one that exists; give it another id unless that is None."""
        update = partial(self._repository.update_subject, consent=consent, expires_at=expires_at)
        subject = await self._run(update, gallery_id, subject_id, new_id, metadata, by)
        await self._run(self._search.update_index, gallery_id)
        return subject

    async def merge(
        self, gallery_id: str, subject_id: str, other_id: str, face_ids: Sequence[str] | None, by: Actor
    ) -> SubjectInfo:
        """Give the subject these faces of another one, or all of them, whereupon the other is deleted."""
        if face_ids is None:
            subject = await self._run(self._repository.merge_subjects, gallery_id, subject_id, other_id, by)
        else:
            subject = await self._run(self._repository.move_faces, gallery_id, subject_id, other_id, face_ids, by)
        await self._run(self._search.update_index, gallery_id)
        return subject

    async def delete_subject(self, gallery_id: str, subject_id: str, by: Actor) -> bool:
        """Return whether nothing of it is left in any file; otherwise a reader still needs old pages."""
        await self._run(self._repository.delete_subject, gallery_id, subject_id, by)
        await self._run(self._search.update_index, gallery_id)
        return await self.pending_erasures() == 0

    async def export_subject(self, gallery_id: str, subject_id: str, by: Actor) -> SubjectFile:
        return await self._run(self._repository.export_subject, gallery_id, subject_id, by)

    async def audit_entries(
        self, limit: int, before: int | None, gallery_id: str | None, subject_id: str | None
    ) -> list[Mapping[str, Any]]:
        """Return at most `limit` entries of the audit log, newest first, from before the entry `before` on."""
        return await self._run(self._repository.audit_entries, limit, before, gallery_id, subject_id)

    async def faces(self, gallery_id: str, subject_id: str) -> Sequence[Template]:
        """Return the subject's faces, oldest first."""
        return await self._run(self._repository.faces, gallery_id, subject_id)

    async def delete_face(self, gallery_id: str, subject_id: str, face_id: str, by: Actor) -> bool:
        """Return whether nothing of it is left in any file; otherwise a reader still needs old pages."""
        await self._run(self._repository.delete_face, gallery_id, subject_id, face_id, by)
        await self._run(self._search.update_index, gallery_id)
        return await self.pending_erasures() == 0

    async def face_page(self, gallery_id: str, subject_id: str | None, offset: int, limit: int) -> FacePage:
        """Return at most `limit` faces behind the first `offset`, of one subject or of all, oldest first."""
        return await self._run(self._repository.face_page, gallery_id, subject_id, offset, limit)

    async def delete_faces(
        self,
        gallery_id: str,
        by: Actor,
        *,
        subject_id: str | None = None,
        face_ids: Sequence[str] | None = None,
    ) -> list[FaceReference]:
        """Delete the faces of one subject or of all, if `face_ids` are given only these; return those that existed."""
        delete = partial(self._repository.delete_faces, subject_id=subject_id, face_ids=face_ids)
        deleted = await self._run(delete, gallery_id, by)
        await self._run(self._search.update_index, gallery_id)
        return deleted

    async def delete_all_subjects(self, gallery_id: str, by: Actor) -> int:
        """Delete all subjects with their faces, but not the gallery; return their number."""
        deleted = await self._run(self._repository.delete_all_subjects, gallery_id, by)
        await self._run(self._search.update_index, gallery_id)
        return deleted

    def audited(self, subject_ids: Sequence[str]) -> Sequence[str]:
        """Return the subjects that an audit of searches has entries for: none if searches are not audited."""
        return subject_ids if self._audit_searches else ()

    async def audit_search(self, by: Actor, action: str, gallery_id: str, subject_ids: Sequence[str]) -> None:
        """
        If searches are audited, add an entry for each subject that was named, or one if nobody was.

        On a full disk searches still work: the log of the service then says that the entry is missing.
        """
        if not self._audit_searches:
            return
        try:
            await self._run(self._repository.audit_events, by, action, gallery_id, subject_ids or [""])
        except StorageFull:
            log.error("the disk is full: %s by %s in request %s is not audited", action, by.name, by.request_id)

    async def expire(self, before: str, by: Actor) -> int:
        """Erase what was enrolled before that time; return the number of faces."""
        return await self._remove_from_indexes(await self._run(self._repository.expire, before, by))

    async def expire_subjects(self, at: str, by: Actor) -> int:
        """Erase the subjects that expire at that time or before; return the number of faces."""
        return await self._remove_from_indexes(await self._run(self._repository.expire_subjects, at, by))

    async def _remove_from_indexes(self, expired: Sequence[Expired]) -> int:
        for each in expired:
            await self._run(self._search.update_index, each.gallery_id)
        return sum(each.faces for each in expired)

    async def pending_erasures(self) -> int:
        """Return the number of deletions of which a file still has old pages, or an index may have vectors."""
        return await self._run(self._repository.pending_erasures) + self._search.pending()

    async def settle_erasures(self) -> int:
        """Finish the pending erasures if no reader prevents it; return how many remain."""
        if self._search.pending():
            await self._run(self._search.update_indexes)
        return await self._run(self._repository.settle_erasures) + self._search.pending()

    async def update_indexes(self) -> None:
        """Remove from this process's memory what another process has erased."""
        known_at = time.monotonic() - self._repository.seconds_behind()
        await self._run(self._search.update_indexes)
        self._current_at = known_at

    def lag(self) -> float:
        """Return for how many seconds the memory of this process may lack a change of another one."""
        return time.monotonic() - self._current_at

    def require_current(self) -> None:
        """Raises StorageUnavailable if that is too long to serve requests."""
        if (lag := self.lag()) > MAX_LAG:
            raise StorageUnavailable(f"changes of other replicas are not known here for {lag:.0f} s")

    async def build_graphs(self, workers: WorkerPool) -> None:
        """Build the graphs of an approximate search, on a thread of its own."""
        await workers.run(self._search.build_graphs)

    async def save_snapshots(self) -> None:
        """Write copies of large indexes beside the database, from which the next start loads them."""
        await self._run(self._search.save_snapshots)

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._workers.run(lambda: call(*arguments))
