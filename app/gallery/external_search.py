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

import numpy as np

from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch, NotFound, Overloaded, SearchUnavailable
from app.domain.ports import IndexState, Nearest, VectorIndex
from app.gallery.face_index import FaceIndex
from app.gallery.index_follower import PART, IndexFollower, suffices
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

    def __init__(
        self, repository: GalleryRepository, index: VectorIndex, *, candidates: int = _CANDIDATES, part: int = PART
    ) -> None:
        """The index gets changes in parts of so many faces."""
        self._repository, self._index, self._candidates = repository, index, candidates
        self._follower = IndexFollower(repository, index, part)
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
        if state is None or not suffices(state, gallery, self._repository.index_form(gallery)):
            self._follow(gallery)

    def _follow(self, gallery: GalleryInfo, *, anew: bool = False) -> None:
        state = self._follower.follow(gallery, anew=anew)
        if state:
            self._states[gallery.number] = state

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
