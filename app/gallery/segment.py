"""
A part of an index: vectors with their faces, to which nothing is added. Removed faces are overwritten and left out.

Searches read it without a lock while a face is removed: `alive` says so before the vector is overwritten, and a search
looks at `alive` after it has read the vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats
from app.gallery import fixed_point
from app.gallery.faiss_graph import NeighbourGraph
from app.gallery.faiss_index import Candidates, ScannedBytes, best_of
from app.gallery.fixed_point import Exact, FixedPoint
from app.gallery.packed_ids import PackedIds, Rows
from app.gallery.records import StoredVector

Flags: TypeAlias = npt.NDArray[np.bool_]
_ROUNDING = 1e-5
"""More than a product of unit vectors in float32 can be off."""
_LONGEST_QUERY = 1.001


class Vectors(Protocol):
    @property
    def error(self) -> float:
        """The largest difference of a product that `nearest` compares from the exact one."""
        ...

    def nearest(self, queries: Floats, count: int, cutoffs: Floats, *, exact: bool) -> list[Candidates]: ...

    def exact(self, rows: Rows) -> Exact: ...

    def overwrite(self, rows: Rows) -> None: ...


class Ids(Protocol):
    """Those of a tail may be more than the segment has rows."""

    def __getitem__(self, row: int, /) -> str: ...

    def texts(self, rows: int) -> list[str]:
        """Return the first ids."""
        ...


class FloatVectors:
    """A few vectors (N, D) in float32, in memory that the index adds more to."""

    error = _ROUNDING

    def __init__(self, memory: Floats) -> None:
        self._memory = memory

    def nearest(
        self,
        queries: Floats,
        count: int,
        cutoffs: Floats,
        *,
        exact: bool,  # noqa: ARG002 - always
    ) -> list[Candidates]:
        return best_of(queries @ self._memory.T, count, cutoffs)

    def exact(self, rows: Rows) -> Exact:
        return self._memory[rows].astype(np.float64)

    def overwrite(self, rows: Rows) -> None:
        self._memory[rows] = 0


class CodedVectors:
    """Vectors of which FAISS scans the upper bytes."""

    def __init__(self, vectors: FixedPoint) -> None:
        self._high, self._low, self.exponent = ScannedBytes(vectors.high), vectors.low, vectors.exponent
        self.error = vectors.error() * _LONGEST_QUERY + _ROUNDING

    def nearest(self, queries: Floats, count: int, cutoffs: Floats, *, exact: bool) -> list[Candidates]:
        return self._high.nearest(queries * np.float32(2.0 ** (16 - self.exponent)), count, cutoffs, exact=exact)

    def exact(self, rows: Rows) -> Exact:
        return fixed_point.decode(self._high.take(rows), self._low[rows], self.exponent)

    @property
    def graph(self) -> NeighbourGraph:
        return self._high.graph

    def overwrite(self, rows: Rows) -> None:
        self._high.overwrite(rows)
        self._low[rows] = 0

    def take(self, rows: Rows) -> FixedPoint:
        return FixedPoint(self._high.take(rows), self._low[rows], self.exponent)


class Segment:
    """The faces of N vectors: ids, subjects, threshold offsets, and whether they are there."""

    def __init__(self, vectors: Vectors, offsets: Floats, faces: Ids, subjects: Ids, alive: Flags) -> None:
        self.vectors, self.offsets, self.alive = vectors, offsets, alive
        self.faces, self.subjects = faces, subjects
        self.smallest_offset = float(offsets.min(initial=np.inf))
        self._order: tuple[Rows, Rows] | None = None

    def __len__(self) -> int:
        return len(self.alive)

    @property
    def dead(self) -> int:
        return len(self) - int(np.count_nonzero(self.alive))

    def find(self, face_ids: Sequence[str], hashes: Rows) -> Rows:
        """Return the rows of those of the faces that are there; `hashes` are those of the ids."""
        sorted_hashes, rows = self._by_hash()
        starts, ends = (np.searchsorted(sorted_hashes, hashes, side) for side in ("left", "right"))
        return np.array(
            [
                row
                for number in np.flatnonzero(ends > starts).tolist()
                for row in rows[starts[number] : ends[number]].tolist()
                if self.alive[row] and self.faces[row] == face_ids[number]
            ],
            np.int64,
        )

    def face(self, row: int) -> StoredVector:
        vector = self.vectors.exact(np.array([row]))[0].astype(np.float32)
        return StoredVector(self.faces[row], self.subjects[row], vector, float(self.offsets[row]))

    def remove(self, rows: Rows) -> None:
        self.alive[rows] = False  # first: see above
        self.vectors.overwrite(rows)

    def _by_hash(self) -> tuple[Rows, Rows]:
        """Return the hashes of the faces in order, and their rows."""
        if self._order is None:
            hashes = hashes_of(self.faces.texts(len(self)))
            rows = np.argsort(hashes)
            self._order = hashes[rows], rows.astype(np.int32)
        return self._order


@dataclass(frozen=True, slots=True, eq=False)
class CodedFaces:
    """The content of a sealed segment."""

    vectors: FixedPoint
    offsets: Floats
    faces: PackedIds
    subjects: PackedIds

    def followed_by(self, other: CodedFaces) -> CodedFaces:
        exponent = min(self.vectors.exponent, other.vectors.exponent)
        parts = [each.vectors.with_exponent(exponent) for each in (self, other)]
        high, low = np.concatenate([each.high for each in parts]), np.concatenate([each.low for each in parts])
        return CodedFaces(
            FixedPoint(high, low, exponent),
            np.concatenate([self.offsets, other.offsets]),
            self.faces.followed_by(other.faces),
            self.subjects.followed_by(other.subjects),
        )


class SealedSegment(Segment):
    """A segment that does not grow, and can be written to a file or joined with another."""

    vectors: CodedVectors
    faces: PackedIds
    subjects: PackedIds

    def __init__(self, content: CodedFaces) -> None:
        alive = np.ones(len(content.vectors), np.bool_)
        super().__init__(CodedVectors(content.vectors), content.offsets, content.faces, content.subjects, alive)

    def content(self) -> CodedFaces:
        """Return what is there, without the dead rows."""
        rows = np.flatnonzero(self.alive)
        return CodedFaces(self.vectors.take(rows), self.offsets[rows], self.faces.take(rows), self.subjects.take(rows))


def hashes_of(face_ids: Sequence[str]) -> Rows:
    return np.fromiter(map(hash, face_ids), np.int64, len(face_ids))


def coded(faces: Sequence[StoredVector]) -> CodedFaces:
    return CodedFaces(
        fixed_point.encode(np.stack([face.vector for face in faces])),
        np.array([face.threshold_offset for face in faces], np.float32),
        PackedIds.of([face.face_id for face in faces]),
        PackedIds.of([face.subject_id for face in faces]),
    )
