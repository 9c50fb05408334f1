"""
Search the galleries by face, each with an index in memory that is brought up to date before every search.

A lock is held only while an index changes: searches of a gallery that has not changed run side by side, one on each
core, and those that wait for a core are answered by one product of matrices.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from app.concurrency.worker_pool import uninterrupted
from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch, NotFound
from app.gallery.face_index import FaceIndex
from app.gallery.index_file import IndexInfo, InvalidIndexFile
from app.gallery.query_batches import QueryBatches
from app.gallery.ranking import Hit, Query
from app.gallery.records import GalleryChanges, GalleryInfo, StoredVector
from app.gallery.repository import GalleryRepository
from app.gallery.segment import CodedFaces
from app.storage.freed_memory import overwriting_freed_memory

log = logging.getLogger(__name__)

SNAPSHOT_FACES = 50_000
"""Below that, a start reads the rows in a few seconds."""
_MAY_LACK = 1 / 16  # of the faces: a start reads those from their rows
_CHECKED_OFFSETS = 16
RECOUNT_BELOW = 20_000
"""Rows that are counted at each change. In larger galleries faces are counted by the index, and subjects seldom."""
_RECOUNT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _IndexedGallery:
    """A gallery at some revision, the index of its faces, None before it has a face, and the searches of the index."""

    gallery: GalleryInfo
    index: FaceIndex | None
    queries: QueryBatches | None
    counted_at: float = -math.inf


class GallerySearch:
    """Thread-safe. The next search finds what another process enrolled, and not what it deleted."""

    def __init__(
        self,
        repository: GalleryRepository,
        *,
        slots: int = os.cpu_count() or 1,
        snapshot_faces: int = SNAPSHOT_FACES,
        recount_below: int = RECOUNT_BELOW,
    ) -> None:
        """`slots` is how many searches of a gallery run at a time; one of `snapshot_faces` faces gets a snapshot."""
        self._repository, self._slots = repository, slots
        self._snapshot_faces, self._recount_below = snapshot_faces, recount_below
        self._indexed: dict[str, _IndexedGallery] = {}
        self._lock = threading.Lock()
        self._data_version: int | None = None

    def load_indexes(self) -> None:
        """Load the index of every gallery, so that the first search is as fast as the next."""
        galleries = self._repository.galleries()
        self._repository.snapshots.destroy(keep=[gallery.number for gallery in galleries])
        for gallery in galleries:
            with self._lock, suppress(NotFound):  # deleted by another process since it was listed
                self._load_snapshot(gallery)
                self._update(gallery.id)

    def build_graphs(self) -> None:
        """Build the graphs of the indexes that lack them; searches are exact until then. Takes minutes."""
        for searched in list(self._indexed.values()):
            if searched.index is not None:
                searched.index.build_graphs()

    def save_snapshots(self) -> None:
        """Write a snapshot of each large index that has none, or one that lacks too many faces."""
        for gallery_id in list(self._indexed):
            with self._lock:
                try:
                    searched = self._update(gallery_id)
                except NotFound:
                    continue
                if searched.index is None or len(searched.index) < self._snapshot_faces:
                    continue
                contents = searched.index.contents()
            self._save_snapshot(searched.gallery, contents)

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

    def pending(self) -> int:
        """Return 0: what was erased is out of this process's memory before it is answered."""
        return 0

    def search(
        self, gallery_id: str, probe: Embedding, subjects: int, threshold: float, *, plain: bool = False
    ) -> tuple[GalleryInfo, list[Hit]]:
        """
        Return the gallery as searched, and the hits of FaceIndex.search in it.

        Raises NotFound, or ModelMismatch if another network filled the gallery.
        """
        searched = self._current(gallery_id)
        gallery = searched.gallery
        if gallery.model not in (None, probe.model):
            raise ModelMismatch(f"gallery {gallery_id!r} was filled by model {gallery.model}, not {probe.model}")
        if searched.queries is None:
            return gallery, []
        stored = self._repository.transform(gallery).to_stored(probe.vector)
        return gallery, searched.queries.search(Query(stored, subjects, threshold, probe.threshold_offset, plain))

    def info(self, gallery_id: str) -> GalleryInfo:
        """Return the gallery at its present revision; in a large one, subjects are counted seldom. Raises NotFound."""
        return self._current(gallery_id).gallery

    def _current(self, gallery_id: str) -> _IndexedGallery:
        """Return the gallery and its index at the present revision, without the lock if it has not changed."""
        known = self._indexed.get(gallery_id)
        if known and self._repository.is_unchanged(known.gallery):
            return known
        with self._lock:
            return self._update(gallery_id)

    @overwriting_freed_memory()
    def _update(self, gallery_id: str) -> _IndexedGallery:
        """Return the gallery and its index at the present revision."""
        known = self._indexed.get(gallery_id)
        try:
            with uninterrupted():  # the index would have to be read again
                loaded: list[FaceIndex] = []
                gallery, changes, counted_at = self._changes(gallery_id, known, partial(_load, loaded))
                index = known.index if known and known.gallery.stores_vectors_as(gallery) else None
                if index is None and (loaded or changes.added):
                    index = loaded[0] if loaded else FaceIndex(dimension=len(changes.added[0].vector))
                before = len(index) if index is not None else 0
                if index is not None:
                    index.change(changes.removed, changes.added)
                if known and counted_at == known.counted_at and known.gallery.stores_vectors_as(gallery):
                    more = (len(index) if index is not None else 0) - before + len(changes.damaged)
                    gallery = replace(gallery, subjects=known.gallery.subjects, faces=known.gallery.faces + more)
        except Exception:  # the gallery is gone, or the index may be half changed
            self._indexed.pop(gallery_id, None)
            raise
        for row in changes.damaged:
            log.warning("%s; searches leave it out: run `likeness gallery check`, then `repair`", row)
        queries = known.queries if known and known.index is index else self._queries(index)
        self._indexed[gallery_id] = updated = _IndexedGallery(gallery, index, queries, counted_at)
        return updated

    def _changes(
        self, gallery_id: str, known: _IndexedGallery | None, on_block: Callable[[Sequence[StoredVector]], None]
    ) -> tuple[GalleryInfo, GalleryChanges, float]:
        """Return the gallery, its changes, and when its rows were last counted, which takes long if there are many."""
        now = time.monotonic()
        is_small = known is None or known.gallery.faces + known.gallery.subjects < self._recount_below
        if known is None or is_small or now - known.counted_at > _RECOUNT_SECONDS:
            before = known.gallery if known else None
            return *self._repository.changes_since(gallery_id, before, on_block=on_block), now
        changes = self._repository.changes_since(gallery_id, known.gallery, recount=False, on_block=on_block)
        return *changes, known.counted_at

    def _load_snapshot(self, gallery: GalleryInfo) -> None:
        """Take the index from its snapshot if there is one of this gallery, which is destroyed in case of doubt."""
        repository = self._repository
        with suppress(InvalidIndexFile), repository.snapshots.opened(gallery.number) as reader:
            if reader is None or gallery.dimension is None:
                return
            known = reader.info.gallery
            if repository.removed_since(known) or not repository.has_audit_entry(reader.info.head):
                raise InvalidIndexFile("something was erased since, or the database was restored")
            index = FaceIndex(gallery.dimension, reader.contents())
            faces = index.sample(_CHECKED_OFFSETS)
            offsets = repository.threshold_offsets(gallery, [face.vector for face in faces])
            if not np.allclose(offsets, [face.threshold_offset for face in faces], rtol=0, atol=1e-4):
                raise InvalidIndexFile("the model has other threshold offsets")
            self._indexed[gallery.id] = _IndexedGallery(known, index, self._queries(index))

    def _save_snapshot(self, gallery: GalleryInfo, contents: Iterable[CodedFaces]) -> None:
        snapshots = self._repository.snapshots
        saved = snapshots.info(gallery.number)
        if saved and gallery.faces - saved.gallery.faces <= gallery.faces * _MAY_LACK:
            return
        info = IndexInfo(gallery, self._repository.audit_head())
        snapshots.save(info, contents, lambda: self._repository.removed_since(gallery))

    def _queries(self, index: FaceIndex | None) -> QueryBatches | None:
        return QueryBatches(index.search, slots=self._slots) if index is not None else None


def _load(loaded: list[FaceIndex], faces: Sequence[StoredVector]) -> None:
    """Add the faces to the index in the list, which is made for the first ones."""
    if not loaded:
        loaded.append(FaceIndex(dimension=len(faces[0].vector)))
    loaded[0].add(faces)
