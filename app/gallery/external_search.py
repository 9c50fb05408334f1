"""
Search the galleries with an index outside of this process, which several processes share: pgvector, or Milvus.

The rows are the truth. Before a search the index is brought up to the gallery's revision, by whoever comes first; it
then proposes faces, and the rows of those faces decide: which of them are there, whose they are, and how far away. So
an index that lags, or was tampered with, can hide faces, but cannot name somebody who was erased.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from app.audit.log import Head
from app.concurrency.worker_pool import uninterrupted
from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch, NotFound, Overloaded, SearchUnavailable
from app.domain.ports import IndexState, Nearest, VectorIndex
from app.gallery.face_index import FaceIndex
from app.gallery.ranking import Hit, Query
from app.gallery.records import GalleryInfo, StoredVector
from app.gallery.repository import GalleryRepository
from app.gallery.segment import coded

log = logging.getLogger(__name__)

_CANDIDATES, _MORE = 64, 8
_ROUNDING = 2e-5
"""More than a product in float32 can be off, and ranks that are equal differ."""
_ATTEMPTS = 10


class ExternalSearch:
    """Thread-safe; the counterpart of GallerySearch."""

    def __init__(self, repository: GalleryRepository, index: VectorIndex, *, candidates: int = _CANDIDATES) -> None:
        self._repository, self._index, self._candidates = repository, index, candidates
        self._states: dict[int, IndexState] = {}
        self._behind: set[str] = set()
        self._lock = threading.Lock()
        self._data_version: int | None = None

    def load_indexes(self) -> None:
        """Bring the index up to date. If it cannot be reached, the service starts all the same, and tries again."""
        self._update_all()
        if self._behind:
            log.warning("the index of vectors cannot be used yet: searches get 503 until it can")

    def build_graphs(self) -> None:
        self._index.build_graphs()

    def save_snapshots(self) -> None:
        """Do nothing: the index outlives the process."""

    def rebuild(self) -> int:
        """Make the index of all galleries anew; return the number of faces in it."""
        faces = 0
        for gallery in self._repository.indexed_galleries():
            self._states.pop(gallery.number, None)
            if gallery.dimension is not None:
                self._follow(gallery, anew=True)
                faces += gallery.faces
        self._drop_gone()
        return faces

    def pending(self) -> int:
        """Return the number of galleries whose index may have something that was erased."""
        return len(self._behind)

    def update_index(self, gallery_id: str) -> None:
        """Remove from the index what was erased; if it cannot be reached, `pending` counts the gallery."""
        self._finish(gallery_id, lambda: self._update(gallery_id))

    def _update(self, gallery_id: str) -> None:
        try:
            self._require_current(self._repository.indexed_gallery(gallery_id))
        except NotFound:
            self._drop_gone()

    def update_indexes(self) -> None:
        """Bring every index up to date if anything was changed, or was left undone; otherwise cheap."""
        data_version = self._repository.data_version()
        if data_version != self._data_version or self._behind:
            self._update_all()
            self._data_version = data_version

    def search(
        self, gallery_id: str, probe: Embedding, subjects: int, threshold: float, *, plain: bool = False
    ) -> tuple[GalleryInfo, list[Hit]]:
        """
        Return the gallery as searched, and the hits of FaceIndex.search in it.

        Raises NotFound, SearchUnavailable, or ModelMismatch if another network filled the gallery.
        """
        for _ in range(_ATTEMPTS):
            gallery = self._repository.indexed_gallery(gallery_id)
            if gallery.model not in (None, probe.model):
                raise ModelMismatch(f"gallery {gallery_id!r} was filled by model {gallery.model}, not {probe.model}")
            if gallery.dimension is None:
                return gallery, []
            self._require_current(gallery)
            stored = self._repository.transform(gallery).to_stored(probe.vector)
            query = Query(stored, subjects, threshold, probe.threshold_offset, plain)
            hits = self.hits(gallery, query)
            if hits is not None:
                return gallery, hits
        raise Overloaded(f"gallery {gallery_id!r} changes faster than it can be searched")

    def info(self, gallery_id: str) -> GalleryInfo:
        """Return the gallery at its present revision. Raises NotFound."""
        return self._repository.indexed_gallery(gallery_id)

    def hits(self, gallery: GalleryInfo, query: Query, *, exact: bool = False) -> list[Hit] | None:
        """Return the hits at the gallery's revision, or None if something was erased or moved since."""
        count, asked = self._candidates, np.append(query.vector, np.float32(2 * query.weight))
        while True:
            count = min(count, self._index.largest_count)
            near = self._nearest(gallery.number, asked, count, exact=exact)
            faces = self._repository.faces_as_of(gallery, near.face_ids)
            if faces is None:
                return None
            ranked = _ranked(faces, query)
            if _is_complete(near, ranked, query) or count == self._index.largest_count:
                return ranked
            count *= _MORE

    def _nearest(self, number: int, asked: Floats, count: int, *, exact: bool) -> Nearest:
        try:
            return self._index.nearest(number, asked, count, exact=exact)
        except SearchUnavailable:
            self._states.pop(number, None)  # it may come back as it was some time ago
            raise

    def _require_current(self, gallery: GalleryInfo) -> None:
        """Bring the index at least to that revision of the gallery."""
        if gallery.dimension is None:
            return
        state = self._states.get(gallery.number)
        if not _suffices(state, gallery, self._repository.index_form(gallery)):
            self._follow(gallery)

    def _follow(self, gallery: GalleryInfo, *, anew: bool = False) -> None:
        with uninterrupted(), self._repository.index_lock(gallery):  # whoever comes next would begin again
            while (state := self._followed(gallery, anew=anew)) is None:
                number, gallery = gallery.number, self._repository.indexed_gallery(gallery.id)
                if gallery.number != number:  # another gallery of that name, with a lock of its own
                    return
        self._states[gallery.number] = state

    def _followed(self, gallery: GalleryInfo, *, anew: bool) -> IndexState | None:
        """Return the state after the index got what it lacked, or None if the gallery is in another form by now."""
        number, form = gallery.number, self._repository.index_form(gallery)
        state = None if anew else self._index.state(number)
        if state and not self._repository.has_audit_entry(_head_of(state)):
            state = None  # the database was restored from a backup
        if state and state.form == form and state.revision >= gallery.revision:
            return state
        known = replace(gallery, revision=state.revision) if state and state.form == form else None
        if known is None:
            self._index.begin(number, (gallery.dimension or 0) + 1)
        add = partial(self._add, number)
        gallery, changes = self._repository.changes_since(gallery.id, known, recount=False, on_block=add)
        if gallery.number != number or self._repository.index_form(gallery) != form:
            return None
        if changes.removed:
            self._index.remove(number, changes.removed)
        add(changes.added)
        for row in changes.damaged:
            log.warning("%s; searches leave it out: run `likeness gallery check`, then `repair`", row)
        head = self._repository.audit_head()
        followed = IndexState(gallery.revision, form, f"{head.seq}:{head.hash}")
        self._index.finish(number, followed)
        return followed

    def _add(self, number: int, faces: Sequence[StoredVector]) -> None:
        if faces:
            vectors = np.stack([_with_offset(face) for face in faces])
            self._index.add(number, [face.face_id for face in faces], vectors)

    def _update_all(self) -> None:
        for gallery in self._repository.indexed_galleries():
            self.update_index(gallery.id)
        self._finish("", self._drop_gone)

    def _finish(self, gallery_id: str, erase: Callable[[], object]) -> None:
        """Erase something from the index, or note that it is left to do."""
        try:
            erase()
        except (SearchUnavailable, Overloaded) as error:
            with self._lock:
                if not self._behind:
                    log.warning("the index is not up to date, and will be tried again: %s", error)
                self._behind.add(gallery_id)
        else:
            with self._lock:
                self._behind.discard(gallery_id)

    def _drop_gone(self) -> None:
        """Drop the indexes of galleries that were deleted. Their numbers are never used again."""
        there = self._index.numbers()
        for number in there - {gallery.number for gallery in self._repository.indexed_galleries()}:
            self._index.drop(number)
            self._states.pop(number, None)


def _suffices(state: IndexState | None, gallery: GalleryInfo, form: str) -> bool:
    return state is not None and state.form == form and state.revision >= gallery.revision


def _head_of(state: IndexState) -> Head:
    seq, _, digest = state.head.partition(":")
    return Head(int(seq), digest)


def _with_offset(face: StoredVector) -> Floats:
    """Return the vector (D + 1,) whose product with a query, and 1 or 0 after it, is the face's rank (ranking.py)."""
    return np.append(face.vector, np.float32(-face.threshold_offset / 2))


def _ranked(faces: Sequence[StoredVector], query: Query) -> list[Hit]:
    if not faces:
        return []
    return FaceIndex(len(query.vector), [coded(faces)], tail_rows=0).search([query])[0]


def _is_complete(near: Nearest, ranked: Sequence[Hit], query: Query) -> bool:
    """Return whether no face that the index did not propose can be among the hits."""
    bound = near.bound + _ROUNDING
    return bound <= query.smallest_rank or (len(ranked) == query.subjects and _rank(ranked[-1], query) > bound)


def _rank(hit: Hit, query: Query) -> float:
    return 1 - hit.pair.distance.squared_l2 / 2 - query.weight * (hit.pair.offset - query.offset)
