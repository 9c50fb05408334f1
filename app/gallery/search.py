"""Enrolled people, searched: the records are the truth, an index a gallery follows them."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass

from app.domain.errors import ModelMismatch, NotFound
from app.domain.models import Embedding
from app.gallery.codec import GalleryInfo
from app.gallery.faiss_index import FaceIndex, Hit
from app.gallery.repository import GalleryRepository


@dataclass(slots=True)
class _Cached:
    """The state of the records, and an index that is equal to it; none before there is a face to hold."""

    gallery: GalleryInfo
    index: FaceIndex | None


class GallerySearch:
    """Search over `records`. Thread-safe; what another process changed is seen by the next search."""

    def __init__(self, records: GalleryRepository) -> None:
        self._records = records
        self._cache: dict[str, _Cached] = {}
        self._lock = threading.Lock()
        self._followed: int | None = None

    def warm(self) -> None:
        """Load every gallery's index, so that the first search is as fast as the next."""
        for gallery in self._records.galleries():
            with self._lock, suppress(NotFound):  # deleted by another process since it was listed
                self._catch_up(gallery.id)

    def refresh(self, gallery_id: str) -> None:
        """Follow the records now: what was deleted leaves this process's memory at once, not at the next search."""
        with self._lock, suppress(NotFound):
            if gallery_id in self._cache:
                self._catch_up(gallery_id)

    def follow(self) -> None:
        """As `refresh`, for every gallery; costs next to nothing where no other process has changed anything."""
        version = self._records.version()
        if version != self._followed:
            for gallery_id in list(self._cache):
                self.refresh(gallery_id)
            self._followed = version

    def search(
        self, gallery_id: str, probe: Embedding, subjects: int, threshold: float
    ) -> tuple[GalleryInfo, list[Hit]]:
        """
        The gallery as searched, and the nearest face of up to `subjects` subjects within `threshold`, nearest first.

        Raises NotFound, or ModelMismatch where another network filled the gallery.
        """
        with self._lock:
            gallery, index = self._catch_up(gallery_id)
            if gallery.model not in (None, probe.model):
                raise ModelMismatch(f"gallery {gallery_id!r} was filled by model {gallery.model}, not {probe.model}")
            return gallery, index.search(probe.vector, subjects, threshold) if index else []

    def info(self, gallery_id: str) -> GalleryInfo:
        """The gallery at the records' present revision, counted once for each. Raises NotFound."""
        with self._lock:
            return self._catch_up(gallery_id)[0]

    def _catch_up(self, gallery_id: str) -> tuple[GalleryInfo, FaceIndex | None]:
        """The gallery and its index at the records' present revision."""
        cached = self._cache.pop(gallery_id, None)  # put back below, unless the gallery is gone
        gallery, changes = self._records.changes_since(gallery_id, cached.gallery if cached else None)
        index = cached.index if cached and cached.gallery.key == gallery.key else None
        if index is None and changes.added:
            index = FaceIndex(dimension=len(changes.added[0][2]))
        if index is not None:
            index.remove(changes.removed)  # first: an id that was removed and is back is among the added too
            index.add(changes.added)
        self._cache[gallery_id] = _Cached(gallery, index)
        return gallery, index
