"""
An exact search over the faces of one gallery, in memory. Only this module imports FAISS.

FAISS's own removal moves every later row (15 ms at 100,000 faces); here a removed row is overwritten with zeros and
masked at once, and the index is packed anew when a quarter of it is dead. A search asks for more rows until it has
enough subjects, so that one subject with many faces cannot hide the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np

from app.domain.models import Distance, Floats

_SLACK = 64  # so few dead rows are not worth packing


@dataclass(frozen=True, slots=True)
class Hit:
    face_id: str
    subject_id: str
    distance: Distance


class FaceIndex:
    """Not thread-safe: GallerySearch holds a lock around it."""

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexFlatIP(dimension)
        self._rows: dict[str, int] = {}  # face id -> row
        self._owners: list[tuple[str, str] | None] = []  # row -> (face id, subject id); None is dead
        self._dead: list[int] = []  # rows

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, faces: Sequence[tuple[str, str, Floats]]) -> None:
        """Add faces as (face id, subject id, unit vector (D,)); an id that is in the index already is left alone."""
        new = {face_id: (subject_id, vector) for face_id, subject_id, vector in faces if face_id not in self._rows}
        if not new:
            return
        self._index.add(np.stack([vector for _, vector in new.values()]))
        for face_id, (subject_id, _) in new.items():
            self._rows[face_id] = len(self._owners)
            self._owners.append((face_id, subject_id))

    def remove(self, face_ids: Sequence[str]) -> None:
        """Remove faces; unknown ids are ignored."""
        for row in [self._rows.pop(face_id) for face_id in face_ids if face_id in self._rows]:
            self._owners[row] = None
            self._vectors()[row] = 0
            self._dead.append(row)
        if len(self._dead) > max(_SLACK, len(self._owners) // 4):
            self._pack()

    def search(self, vector: Floats, subjects: int, threshold: float) -> list[Hit]:
        """Return the nearest face of each of the `subjects` nearest subjects within `threshold`, nearest first."""
        wanted = subjects
        while self._rows:
            hits = self._nearest(vector, min(wanted, len(self._rows)))
            near = [hit for hit in hits if hit.distance.squared_l2 <= threshold]
            best: dict[str, Hit] = {}
            for hit in near:
                best.setdefault(hit.subject_id, hit)
            if len(best) >= subjects or len(near) < len(hits) or len(hits) == len(self._rows):
                return list(best.values())[:subjects]
            wanted *= 4
        return []

    def _nearest(self, vector: Floats, count: int) -> list[Hit]:
        alive = faiss.SearchParameters(sel=self._alive()) if self._dead else None
        cosines, rows = self._index.search(vector[None], count, params=alive)
        owned = [(self._owners[row], float(cosine)) for row, cosine in zip(rows[0], cosines[0], strict=True)]
        return [
            Hit(owner[0], owner[1], Distance(min(4.0, max(0.0, 2 - 2 * cosine)))) for owner, cosine in owned if owner
        ]

    def _alive(self) -> faiss.IDSelector:
        alive = np.ones(len(self._owners), np.bool_)
        alive[self._dead] = False
        return faiss.IDSelectorBitmap(np.packbits(alive, bitorder="little"))

    def _vectors(self) -> Floats:
        """Return the memory of the index, (rows, D), writable."""
        rows = self._index.ntotal
        vectors: Floats = faiss.rev_swig_ptr(self._index.get_xb(), rows * self._index.d).reshape(rows, -1)
        return vectors

    def _pack(self) -> None:
        """Rebuild without the dead rows."""
        vectors = self._vectors()
        faces = [(*owner, vectors[row].copy()) for row, owner in enumerate(self._owners) if owner]
        self._index.reset()
        self._rows, self._owners, self._dead = {}, [], []
        self.add(faces)
