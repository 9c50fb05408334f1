"""
An exact search over the faces of one gallery, in memory: a few sealed segments and a short tail.

Segments propose rows by products that are a little wrong, with a bound on what they left out. Where the exact products
of those rows do not decide (ranking.py), the segments are asked for more, so that one subject with many faces cannot
hide the others. Searches take no lock: they work with the segments of the moment at which they began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain

import numpy as np

from app.gallery.packed_ids import Rows
from app.gallery.ranking import Hit, Query, Ranking
from app.gallery.records import StoredVector
from app.gallery.segment import CodedFaces, SealedSegment, Segment, coded, hashes_of
from app.gallery.tail import Tail

TAIL_ROWS = 4096
"""So few that a product with all of them takes a hundredth of a search in a million."""
SEGMENT_ROWS = 2**18
"""The largest segment: while one is made anew, its memory (100 MB with 128 numbers a face) is needed twice."""
GRAPH_ROWS = 2**16
"""Smaller segments are scanned in a millisecond, and joined before long."""
_SLACK = 64  # so few dead rows are not worth compacting
_CANDIDATES, _MORE = 64, 8


class FaceIndex:
    """`search` is thread-safe; GallerySearch holds a lock around changes."""

    def __init__(
        self,
        dimension: int,
        content: Iterable[CodedFaces] = (),
        *,
        tail_rows: int = TAIL_ROWS,
        segment_rows: int = SEGMENT_ROWS,
    ) -> None:
        self._dimension, self._tail_rows, self._segment_rows = dimension, tail_rows, segment_rows
        self._sealed = [SealedSegment(each) for each in content]
        self._tail = Tail(dimension, tail_rows)
        self._segments: tuple[Segment, ...] = ()
        self._publish()

    def __len__(self) -> int:
        return sum(len(segment) - segment.dead for segment in self._segments)

    def add(self, faces: Sequence[StoredVector]) -> None:
        """Add faces with unit vectors (D,); an id that is in the index already is left alone."""
        self.change([], faces)

    def remove(self, face_ids: Sequence[str]) -> None:
        """Remove faces and overwrite their vectors; unknown ids are ignored."""
        self.change(face_ids, [])

    def change(self, removed: Sequence[str], added: Sequence[StoredVector]) -> None:
        """Remove faces, then add others, as `remove` and `add` do; one that moves is always found at least once."""
        gone = self._find(removed)
        new = self._without_present(added, set(removed))
        if len(self._tail) + len(new) > self._tail_rows:
            _remove(gone)
            self._seal([*self._tail.faces(), *new])
        elif new:
            self._tail.add(new)
            self._publish()
        _remove(gone)
        self._compact()

    def search(self, queries: Sequence[Query], *, exact: bool = False) -> list[list[Hit]]:
        """Return the hits of each query; where there are graphs, a few are missing unless they are to be exact."""
        segments = self._segments
        hits: list[list[Hit]] = [[] for _ in queries]
        left, count = list(range(len(queries))), _CANDIDATES
        while left:
            found = _search_round(segments, [queries[number] for number in left], count, exact=exact)
            for number, result in zip(left, found, strict=True):
                hits[number] = result or []
            left = [number for number, result in zip(left, found, strict=True) if result is None]
            count *= _MORE
        return hits

    def build_graphs(self, fewest: int = GRAPH_ROWS) -> None:
        """Build what is missing for segments of so many rows, while others search and change the index."""
        for segment in list(self._sealed):
            if len(segment) >= fewest and not segment.vectors.graph.is_built:
                segment.vectors.graph.build()

    def share_in_graphs(self) -> float:
        """Return which part of the rows is searched by a graph."""
        rows = [len(segment) for segment in self._sealed if segment.vectors.graph.is_built]
        return sum(rows) / max(1, sum(map(len, self._segments)))

    def contents(self) -> Iterator[CodedFaces]:
        """Return what is there now, a segment at a time; what is removed meanwhile may be missing."""
        tail = self._tail.faces()
        return chain([coded(tail)] if tail else [], (each.content() for each in list(self._sealed)))

    def sample(self, count: int, random: np.random.Generator | None = None) -> list[StoredVector]:
        """Return that many faces, or all if there are fewer: random ones, or without `random` the first."""
        rows = [np.flatnonzero(segment.alive) for segment in self._segments]
        ends = np.cumsum([len(each) for each in rows])
        total = int(ends[-1])
        chosen = np.arange(total)[:count] if random is None else random.choice(total, min(count, total), replace=False)
        places = np.searchsorted(ends, chosen, side="right").tolist()
        return [
            self._segments[place].face(int(rows[place][number - ends[place]]))  # counted from the end
            for place, number in zip(places, chosen.tolist(), strict=True)
        ]

    def _find(self, face_ids: Sequence[str]) -> list[tuple[Segment, Rows]]:
        hashes = hashes_of(face_ids)
        found = [(segment, segment.find(face_ids, hashes)) for segment in self._segments]
        return [(segment, rows) for segment, rows in found if len(rows)]

    def _without_present(self, faces: Sequence[StoredVector], removed: AbstractSet[str]) -> list[StoredVector]:
        new: dict[str, StoredVector] = {}
        for face in faces:
            new.setdefault(face.face_id, face)
        for segment, rows in self._find([face_id for face_id in new if face_id not in removed]):
            for row in rows:
                del new[segment.faces[row]]
        return list(new.values())

    def _seal(self, faces: Sequence[StoredVector]) -> None:
        for start in range(0, len(faces), self._segment_rows):
            self._sealed.append(SealedSegment(coded(faces[start : start + self._segment_rows])))
        self._tail = Tail(self._dimension, self._tail_rows)
        self._merge()

    def _compact(self) -> None:
        if any(_needs_compacting(segment) for segment in self._sealed):
            self._sealed = [SealedSegment(each.content()) if _needs_compacting(each) else each for each in self._sealed]
            self._merge()

    def _merge(self) -> None:
        """Join segments until each is at least twice as large as the next, so that there are few."""
        self._sealed = sorted((each for each in self._sealed if len(each)), key=len, reverse=True)
        while len(self._sealed) > 1:
            larger, smaller = self._sealed[-2:]
            if len(larger) >= 2 * len(smaller) or len(larger) + len(smaller) > self._segment_rows:
                break
            self._sealed[-2:] = [SealedSegment(larger.content().followed_by(smaller.content()))]
        self._publish()

    def _publish(self) -> None:
        self._segments = (*self._sealed, self._tail.segment())


def _remove(found: Sequence[tuple[Segment, Rows]]) -> None:
    for segment, rows in found:
        segment.remove(rows)


def _needs_compacting(segment: Segment) -> bool:
    return segment.dead > max(_SLACK, len(segment) // 4)


def _search_round(
    segments: Sequence[Segment], queries: Sequence[Query], count: int, *, exact: bool
) -> list[list[Hit] | None]:
    rounds = [Ranking(query, count) for query in queries]
    vectors = np.stack([query.vector for query in queries])  # (M, D)
    for segment in filter(len, segments):
        cutoffs = np.array([each.cutoff(segment) for each in rounds], np.float32)
        for each, near in zip(rounds, segment.vectors.nearest(vectors, count, cutoffs, exact=exact), strict=True):
            each.add(segment, near)
    return [each.hits() for each in rounds]
