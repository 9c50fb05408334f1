"""Search the galleries by face, each with an index in memory that is brought up to date before every search."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass

from app.concurrency.worker_pool import uninterrupted
from app.domain.errors import ModelMismatch, NotFound
from app.domain.models import Embedding
from app.gallery.faiss_index import FaceIndex, Hit
from app.gallery.records import GalleryInfo
from app.gallery.repository import GalleryRepository

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _IndexedGallery:
    """A gallery at some revision, and the index of its faces; None before it has a face."""

    gallery: GalleryInfo
    index: FaceIndex | None


class GallerySearch:
    """Thread-safe. The next search finds what another process enrolled, and not what it deleted."""

    def __init__(self, repository: GalleryRepository) -> None:
        self._repository = repository
        self._indexed: dict[str, _IndexedGallery] = {}
        self._lock = threading.Lock()
        self._data_version: int | None = None

    def load_indexes(self) -> None:
        """Load the index of every gallery, so that the first search is as fast as the next."""
        for gallery in self._repository.galleries():
            with self._lock, suppress(NotFound):  # deleted by another process since it was listed
                self._update(gallery.id)

    def update_index(self, gallery_id: str) -> None:
        """Bring the index up to date now, so that deleted vectors leave the memory before the next search."""
        with self._lock, suppress(NotFound):
            if gallery_id in self._indexed:
                self._update(gallery_id)

    def update_indexes(self) -> None:
        """Bring every index up to date if another process has changed anything; otherwise cheap."""
        data_version = self._repository.data_version()
        if data_version != self._data_version:
            for gallery_id in list(self._indexed):
                self.update_index(gallery_id)
            self._data_version = data_version

    def search(
        self, gallery_id: str, probe: Embedding, subjects: int, threshold: float, *, plain: bool = False
    ) -> tuple[GalleryInfo, list[Hit]]:
        """
        Return the gallery as searched, and the hits of FaceIndex.search in it.

        Raises NotFound, or ModelMismatch if another network filled the gallery.
        """
        with self._lock:
            gallery, index = self._update(gallery_id)
            if gallery.model not in (None, probe.model):
                raise ModelMismatch(f"gallery {gallery_id!r} was filled by model {gallery.model}, not {probe.model}")
            if index is None:
                return gallery, []
            stored = self._repository.transform(gallery).to_stored(probe.vector)
            return gallery, index.search(stored, subjects, threshold, offset=probe.threshold_offset, plain=plain)

    def info(self, gallery_id: str) -> GalleryInfo:
        """Return the gallery at its present revision; its faces are counted once a revision. Raises NotFound."""
        with self._lock:
            return self._update(gallery_id)[0]

    def _update(self, gallery_id: str) -> tuple[GalleryInfo, FaceIndex | None]:
        """Return the gallery and its index at the present revision."""
        known = self._indexed.pop(gallery_id, None)  # put back below, unless the gallery is gone
        with uninterrupted():  # the index would have to be read again
            gallery, changes = self._repository.changes_since(gallery_id, known.gallery if known else None)
        index = known.index if known and known.gallery.stores_vectors_as(gallery) else None
        if index is None and changes.added:
            index = FaceIndex(dimension=len(changes.added[0].vector))
        if index is not None:
            index.remove(changes.removed)  # first: an id that was removed and is back is among the added too
            index.add(changes.added)
        for row in changes.damaged:
            log.warning("%s; searches leave it out: run `likeness gallery check`, then `repair`", row)
        self._indexed[gallery_id] = _IndexedGallery(gallery, index)
        return gallery, index
