"""
Bring an index outside of this process to the revision of a gallery.

It gets the changes in parts, each read in a transaction of its own: first what was removed, then the next faces, then
the revision that it has now. So whoever comes after an interruption goes on behind the last part that was confirmed,
and a filling that takes hours holds no transaction open.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from app.audit.log import Head
from app.concurrency.worker_pool import uninterrupted
from app.domain.arrays import Floats
from app.domain.ports import IndexState, VectorIndex
from app.gallery.records import GalleryChanges, GalleryInfo, StoredVector
from app.gallery.repository import GalleryRepository

log = logging.getLogger(__name__)

PART = 8192
"""Faces that are lost at most by an interruption; a fraction of a second."""


class IndexFollower:
    """Thread-safe; one process at a time changes the index of a gallery."""

    def __init__(self, repository: GalleryRepository, index: VectorIndex, part: int = PART) -> None:
        self._repository, self._index, self._part = repository, index, part

    def follow(self, gallery: GalleryInfo, *, anew: bool = False) -> IndexState | None:
        """
        Bring the index at least to that revision of the gallery, or fill another one; return its state.

        Return None if the gallery was replaced by another one of its name.
        """
        with uninterrupted(), self._repository.index_lock(gallery):
            while (state := self._followed(gallery, anew=anew)) is None:
                number, gallery = gallery.number, self._repository.indexed_gallery(gallery.id)
                if gallery.number != number:  # which has a lock of its own
                    return None
        return state

    def _followed(self, gallery: GalleryInfo, *, anew: bool) -> IndexState | None:
        """Return the state after the index got what it lacked, or None if the gallery is in another form by now."""
        number, form = gallery.number, self._repository.index_form(gallery)
        state = None if anew else self._present(number, form)
        removed_to = state.revision if state else gallery.revision
        if state is None:
            self._index.begin(number, (gallery.dimension or 0) + 1)
            state = IndexState(0, form, "", is_complete=False)
        while not suffices(state, gallery, form):
            gallery, changes = self._repository.next_changes(gallery.id, state.revision, removed_to, self._part)
            if gallery.number != number or self._repository.index_form(gallery) != form:
                return None
            self._apply(number, changes)
            state = self._store_state(number, state, gallery, changes.revision)
            removed_to = gallery.revision
        return state

    def _present(self, number: int, form: str) -> IndexState | None:
        """Return the state of an index in that form, complete or not, and of this database, not of a later backup."""
        state = self._index.state(number)
        if state is None or state.form != form or not self._is_of_this_history(state):
            state = self._index.unfinished(number, form)
        return state if state and self._is_of_this_history(state) else None

    def _is_of_this_history(self, state: IndexState) -> bool:
        seq, _, digest = state.head.partition(":")
        return self._repository.has_audit_entry(Head(int(seq), digest))

    def _apply(self, number: int, changes: GalleryChanges) -> None:
        if changes.removed:
            self._index.remove(number, changes.removed)
        if changes.added:
            vectors = np.stack([_with_offset(face) for face in changes.added])
            self._index.add(number, [face.face_id for face in changes.added], vectors)
        for row in changes.damaged:
            log.warning("%s; searches leave it out: run `likeness gallery check`, then `repair`", row)

    def _store_state(self, number: int, before: IndexState, gallery: GalleryInfo, revision: int) -> IndexState:
        head = self._repository.audit_head()
        is_complete = before.is_complete or revision == gallery.revision
        state = replace(before, revision=revision, head=f"{head.seq}:{head.hash}", is_complete=is_complete)
        self._index.set_state(number, state)
        return state


def suffices(state: IndexState, gallery: GalleryInfo, form: str) -> bool:
    """Return whether searches of the gallery at that revision may use the index."""
    return state.is_complete and state.form == form and state.revision >= gallery.revision


def _with_offset(face: StoredVector) -> Floats:
    """Return the vector (D + 1,) whose product with a query, and 1 or 0 after it, is the face's rank (ranking.py)."""
    return np.append(face.vector, np.float32(-face.threshold_offset / 2))
