"""What is known of galleries, subjects and faces, and how they are changed and erased."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from app.concurrency.worker_pool import WorkerPool
from app.domain.identity import Actor
from app.domain.models import Template
from app.gallery.codec import GalleryInfo, SubjectFile, SubjectInfo
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch

T = TypeVar("T")


class Galleries:
    """The async front of the records: each call runs on a worker. Erased means gone from this process's memory too."""

    def __init__(
        self, records: GalleryRepository, gallery: GallerySearch, workers: WorkerPool, *, audit_searches: bool = False
    ) -> None:
        self._records, self._gallery, self._workers = records, gallery, workers
        self._audit_searches = audit_searches

    async def all(self) -> list[GalleryInfo]:
        return await self._run(self._records.galleries)

    async def create(self, gallery_id: str, by: Actor) -> tuple[GalleryInfo, bool]:
        """The gallery, and whether it is new."""
        return await self._run(self._records.create_gallery, gallery_id, by)

    async def get(self, gallery_id: str) -> GalleryInfo:
        return await self._run(self._records.gallery, gallery_id)

    async def delete(self, gallery_id: str, by: Actor) -> None:
        await self._run(self._records.delete_gallery, gallery_id, by)
        await self._run(self._gallery.refresh, gallery_id)

    async def subjects(self, gallery_id: str, limit: int, after: str) -> list[SubjectInfo]:
        """At most `limit` subjects with ids behind `after`, in order of id."""
        return await self._run(self._records.subjects, gallery_id, limit, after)

    async def subject(self, gallery_id: str, subject_id: str) -> SubjectInfo:
        return await self._run(self._records.subject, gallery_id, subject_id)

    async def put_subject(
        self, gallery_id: str, subject_id: str, metadata: Mapping[str, Any] | None, by: Actor
    ) -> tuple[SubjectInfo, bool]:
        """The subject, its metadata replaced unless None, and whether it is new."""
        return await self._run(self._records.put_subject, gallery_id, subject_id, metadata, by)

    async def delete_subject(self, gallery_id: str, subject_id: str, by: Actor) -> None:
        await self._run(self._records.delete_subject, gallery_id, subject_id, by)
        await self._run(self._gallery.refresh, gallery_id)

    async def export_subject(self, gallery_id: str, subject_id: str, by: Actor) -> SubjectFile:
        return await self._run(self._records.export_subject, gallery_id, subject_id, by)

    async def faces(self, gallery_id: str, subject_id: str) -> Sequence[Template]:
        """Oldest first."""
        return await self._run(self._records.faces, gallery_id, subject_id)

    async def delete_face(self, gallery_id: str, subject_id: str, face_id: str, by: Actor) -> None:
        await self._run(self._records.delete_face, gallery_id, subject_id, face_id, by)
        await self._run(self._gallery.refresh, gallery_id)

    async def note_search(self, by: Actor, action: str, gallery_id: str, subject_ids: Sequence[str]) -> None:
        """Where searches are audited: an entry for each subject that was named, or one for nobody."""
        if self._audit_searches:
            for subject_id in subject_ids or [""]:
                await self._run(self._records.note, by, action, gallery_id, subject_id)

    async def expire(self, before: str, by: Actor) -> int:
        """Erase what was enrolled before that time; how many faces."""
        done = await self._run(self._records.expire, before, by)
        for each in done:
            await self._run(self._gallery.refresh, each.gallery)
        return sum(each.faces for each in done)

    async def follow(self) -> None:
        """What another process has erased leaves this one's memory too."""
        await self._run(self._gallery.follow)

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._workers.run(lambda: call(*arguments))
