"""The faces that were enrolled last, in memory that more are added to, until they are sealed into a segment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.gallery.fixed_point import rounded
from app.gallery.packed_ids import IdList
from app.gallery.records import StoredVector
from app.gallery.segment import FloatVectors, Segment


class Tail:
    """
    `segment` is what a search reads; a later one has more rows of the same memory.

    So a removed vector is in one place, and to overwrite it there removes it from every search.
    """

    def __init__(self, dimension: int, rows: int) -> None:
        """`rows` is how many faces there is room for."""
        self._vectors = np.zeros((rows, dimension), np.float32)
        self._offsets, self._alive = np.zeros(rows, np.float32), np.zeros(rows, np.bool_)
        self._faces, self._subjects = IdList(), IdList()

    def __len__(self) -> int:
        return len(self._faces)

    def add(self, faces: Sequence[StoredVector]) -> None:
        """Add faces, for which there must be room."""
        for row, face in enumerate(faces, start=len(self)):
            self._vectors[row], self._offsets[row] = rounded(face.vector[None]), face.threshold_offset
            self._alive[row] = True
        self._faces += [face.face_id for face in faces]
        self._subjects += [face.subject_id for face in faces]

    def segment(self) -> Segment:
        rows = len(self)
        return Segment(
            FloatVectors(self._vectors[:rows]), self._offsets[:rows], self._faces, self._subjects, self._alive[:rows]
        )

    def faces(self) -> list[StoredVector]:
        """Return the faces that are there."""
        return [
            StoredVector(self._faces[row], self._subjects[row], self._vectors[row], float(self._offsets[row]))
            for row in np.flatnonzero(self._alive)
        ]
