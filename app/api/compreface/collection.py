"""The gallery that stands for CompreFace's face collection, which a key of CompreFace belongs to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import Depends

from app.api.dependencies import CallerDep, ServicesDep
from app.domain.errors import NotFound, OtherGalleries
from app.domain.identity import Actor, Caller
from app.gallery.records import FacePage, FaceReference
from app.services.galleries import Galleries

DEFAULT = "default"
_PAGE = 1000


def collection_of(caller: Caller) -> str:
    """Return `default`, or the only gallery that the key is for. Raises OtherGalleries if it is for several others."""
    if caller.may_use(DEFAULT):
        return DEFAULT
    if caller.galleries is None or len(caller.galleries) != 1:
        raise OtherGalleries(f"expected a key for one gallery or for {DEFAULT!r}, got one for several others")
    return next(iter(caller.galleries))


class Collection:
    """In CompreFace a collection always exists. Here its gallery is made by the first request that needs it."""

    def __init__(self, gallery_id: str, galleries: Galleries) -> None:
        self.gallery_id, self._galleries = gallery_id, galleries

    async def subject_ids(self) -> list[str]:
        try:
            return [subject_id async for subject_id in self._subject_ids()]
        except NotFound:
            return []

    async def _subject_ids(self) -> AsyncIterator[str]:
        after = ""
        while page := await self._galleries.subjects(self.gallery_id, _PAGE, after):
            for subject in page:
                yield subject.subject_id
            after = page[-1].subject_id

    async def face_page(self, subject_id: str | None, number: int, size: int) -> FacePage:
        try:
            return await self._galleries.face_page(self.gallery_id, subject_id, number * size, size)
        except NotFound:
            return FacePage([], 0)

    async def delete_faces(
        self, by: Actor, *, subject_id: str | None = None, face_ids: Sequence[str] | None = None
    ) -> list[FaceReference]:
        try:
            return await self._galleries.delete_faces(self.gallery_id, by, subject_id=subject_id, face_ids=face_ids)
        except NotFound:
            return []

    async def delete_all_subjects(self, by: Actor) -> int:
        try:
            return await self._galleries.delete_all_subjects(self.gallery_id, by)
        except NotFound:
            return 0


async def _collection(caller: CallerDep, services: ServicesDep) -> Collection:
    return Collection(collection_of(caller), services.galleries)


CollectionDep = Annotated[Collection, Depends(_collection)]
