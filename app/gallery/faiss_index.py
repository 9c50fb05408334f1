"""
An exact search over the faces of one gallery, in memory. Only this module imports FAISS.

A probe x with the threshold offset c(x) matches a face y when d(x, y) + c(y) <= T - c(x), and the left side is
2 - 2 (x . y - c(y) / 2): an inner product of the vectors (x, 1) and (y, -c(y) / 2), which have one number more. With
(x, 0) it is the distance alone, for a threshold that is the same for all pairs.

FAISS's own removal moves every later row (15 ms at 100,000 faces); here a removed row is overwritten with zeros and
masked at once, and the index is packed anew when a quarter of it is dead. A search asks for more rows until it has
enough subjects, so that one subject with many faces cannot hide the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import faiss
import numpy as np

from app.domain.models import Distance, FacePair, Floats
from app.gallery.records import StoredVector

_SLACK = 64  # so few dead rows are not worth packing


@dataclass(frozen=True, slots=True)
class Hit:
    face_id: str
    subject_id: str
    pair: FacePair


class _Owner(NamedTuple):
    face_id: str
    subject_id: str
    threshold_offset: float


class FaceIndex:
    """Not thread-safe: GallerySearch holds a lock around it."""

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexFlatIP(dimension + 1)
        self._rows: dict[str, int] = {}  # face id -> row
        self._owners: list[_Owner | None] = []  # row -> whose it is; None is dead
        self._dead: list[int] = []  # rows

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, faces: Sequence[StoredVector]) -> None:
        """Add faces with unit vectors (D,); an id that is in the index already is left alone."""
        new = {face.face_id: face for face in faces if face.face_id not in self._rows}
        if not new:
            return
        rows = np.empty((len(new), self._index.d), np.float32)
        for row, face in zip(rows, new.values(), strict=True):
            row[:-1], row[-1] = face.vector, -face.threshold_offset / 2
            self._rows[face.face_id] = len(self._owners)
            self._owners.append(_Owner(face.face_id, face.subject_id, face.threshold_offset))
        self._index.add(rows)

    def remove(self, face_ids: Sequence[str]) -> None:
        """Remove faces; unknown ids are ignored."""
        for row in [self._rows.pop(face_id) for face_id in face_ids if face_id in self._rows]:
            self._owners[row] = None
            self._vectors()[row] = 0
            self._dead.append(row)
        if len(self._dead) > max(_SLACK, len(self._owners) // 4):
            self._pack()

    def search(
        self, vector: Floats, subjects: int, threshold: float, *, offset: float = 0.0, plain: bool = False
    ) -> list[Hit]:
        """
        Return the nearest face of each of the `subjects` nearest subjects that match, nearest first.

        `offset` is that of the probe. The nearest has the smallest normalized score, or with a `plain` threshold the
        smallest distance.
        """
        query = np.append(vector, np.float32(0 if plain else 1))
        wanted = subjects
        while self._rows:
            hits = self._nearest(query, offset, min(wanted, len(self._rows)))
            near = [hit for hit in hits if hit.pair.distance.squared_l2 <= hit.pair.threshold(threshold, plain=plain)]
            best: dict[str, Hit] = {}
            for hit in near:
                best.setdefault(hit.subject_id, hit)
            if len(best) >= subjects or len(near) < len(hits) or len(hits) == len(self._rows):
                return list(best.values())[:subjects]
            wanted *= 4
        return []

    def _nearest(self, query: Floats, offset: float, count: int) -> list[Hit]:
        alive = faiss.SearchParameters(sel=self._alive()) if self._dead else None
        products, rows = self._index.search(query[None], count, params=alive)
        found = [(self._owners[row], 2 - 2 * float(product)) for row, product in zip(rows[0], products[0], strict=True)]
        weight = float(query[-1])
        return [_hit(owner, score - weight * owner.threshold_offset, offset) for owner, score in found if owner]

    def _alive(self) -> faiss.IDSelector:
        alive = np.ones(len(self._owners), np.bool_)
        alive[self._dead] = False
        return faiss.IDSelectorBitmap(np.packbits(alive, bitorder="little"))

    def _vectors(self) -> Floats:
        """Return the memory of the index, (rows, D + 1), writable."""
        rows = self._index.ntotal
        vectors: Floats = faiss.rev_swig_ptr(self._index.get_xb(), rows * self._index.d).reshape(rows, -1)
        return vectors

    def _pack(self) -> None:
        """Rebuild without the dead rows."""
        vectors = self._vectors()
        faces = [
            StoredVector(owner.face_id, owner.subject_id, vectors[row, :-1].copy(), owner.threshold_offset)
            for row, owner in enumerate(self._owners)
            if owner
        ]
        self._index.reset()
        self._rows, self._owners, self._dead = {}, [], []
        self.add(faces)


def _hit(owner: _Owner, distance: float, offset: float) -> Hit:
    within = Distance(min(4.0, max(0.0, distance)))
    return Hit(owner.face_id, owner.subject_id, FacePair(within, offset + owner.threshold_offset))
