"""
Rank the candidates of a query: the exact products of a few rows decide, with a bound on all others.

A probe x with the threshold offset c(x) matches a face y when d(x, y) + c(y) <= T - c(x). With unit vectors the left
side is 2 - 2 (x . y - c(y) / 2), so faces are ranked by x . y - c(y) / 2, or by x . y alone if the threshold is the
same for all pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np

from app.domain.arrays import Floats
from app.domain.comparisons import Distance, FacePair
from app.gallery.faiss_index import Candidates
from app.gallery.fixed_point import Exact
from app.gallery.packed_ids import Rows
from app.gallery.segment import Segment

_DECIMALS, _TIE = 6, 1e-6  # ranks that agree to so many decimals are equal, and the smaller id comes first


@dataclass(frozen=True, slots=True)
class Hit:
    face_id: str
    subject_id: str
    pair: FacePair


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """
    Asks for the nearest face of each of the `subjects` nearest subjects that match, nearest first.

    `offset` is that of the probe. The nearest has the smallest normalized score, or with a `plain` threshold the
    smallest distance.
    """

    vector: Floats
    subjects: int
    threshold: float
    offset: float = 0.0
    plain: bool = False

    @property
    def smallest_rank(self) -> float:
        """The smallest rank of a face that matches, a little less because distances are clamped to [0, 4]."""
        rank = 1 - self.threshold / 2 + self.weight * self.offset
        return rank - 1e-5 if rank > -0.99 else -np.inf

    @property
    def weight(self) -> float:
        """The part of an offset in a rank."""
        return 0.0 if self.plain else 0.5


class Ranking:
    """
    Collects the candidates of one query from each segment: `count` or more faces with the largest ranks.

    No other face has a rank above `bound`.
    """

    def __init__(self, query: Query, count: int) -> None:
        self.query, self._count = query, count
        self.bound = self._floor = query.smallest_rank
        self._found: list[tuple[Segment, Rows, Exact, Exact]] = []

    def cutoff(self, segment: Segment) -> float:
        """Return the smallest product, with its error, of a face of the segment that matters."""
        return self._floor + self.query.weight * segment.smallest_offset - segment.vectors.error

    def add(self, segment: Segment, near: Candidates) -> None:
        self.bound = max(self.bound, near.bound + segment.vectors.error - self.query.weight * segment.smallest_offset)
        if not len(near.rows):
            return
        products = (segment.vectors.exact(near.rows) * self.query.vector).sum(axis=1)  # of a row alone, unlike BLAS's
        ranks = products - self.query.weight * segment.offsets[near.rows]
        self._found.append((segment, near.rows, products, ranks))
        known = np.concatenate([ranks for *_, ranks in self._found])
        if len(known) >= self._count:
            self._floor = max(self._floor, float(np.partition(known, -self._count)[-self._count]))

    def hits(self) -> list[Hit] | None:
        """Return the hits, or None if faces that are no candidates might be among them."""
        is_complete = self.bound <= self.query.smallest_rank + _TIE
        best: dict[str, Hit] = {}
        for face_id, segment, row, product in self._in_order(-np.inf if is_complete else self.bound + _TIE):
            hit = _hit(self.query, face_id, segment, row, product)
            if hit.pair.distance.squared_l2 <= hit.pair.threshold(self.query.threshold, plain=self.query.plain):
                best.setdefault(hit.subject_id, hit)
            if len(best) == self.query.subjects:
                break
        return list(best.values()) if is_complete or len(best) == self.query.subjects else None

    def _in_order(self, floor: float) -> Iterator[tuple[str, Segment, int, float]]:
        """Yield (face id, segment, row, product) of those that are there and have a rank from the floor on."""
        near = [
            (-round(rank, _DECIMALS), segment, row, product)
            for segment, rows, products, ranks in self._found
            for row, product, rank in _alive(segment, rows, products, ranks, floor)
        ]
        for _, equal in groupby(sorted(near, key=itemgetter(0)), key=itemgetter(0)):
            yield from sorted(
                ((segment.faces[row], segment, row, product) for _, segment, row, product in equal), key=itemgetter(0)
            )


def _alive(
    segment: Segment, rows: Rows, products: Exact, ranks: Exact, floor: float
) -> Iterator[tuple[int, float, float]]:
    kept = np.flatnonzero((ranks >= floor) & segment.alive[rows])
    return zip(rows[kept].tolist(), products[kept].tolist(), ranks[kept].tolist(), strict=True)


def _hit(query: Query, face_id: str, segment: Segment, row: int, product: float) -> Hit:
    distance = Distance(min(4.0, max(0.0, 2 - 2 * product)))
    return Hit(face_id, segment.subjects[row], FacePair(distance, query.offset + float(segment.offsets[row])))
