"""
Cluster faces by person, without knowing the number of people: average linkage up to a threshold.

Two groups are merged while the mean distance of their pairs is within the threshold (UPGMA). FaceNet's clustering
(Schroff et al. 2015, section 5.8) is agglomerative too; the mean keeps chains of look-alikes apart, which the nearest
pair (single linkage) would join. Linkage needs all N^2 distances at once. Two groups can be merged only if some pair of
theirs is within the threshold, so each connected component of the graph of near pairs is clustered by itself, with the
same result, and the distances are computed in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.domain.arrays import Floats
from app.domain.errors import InvalidRequest
from app.matching.distance import distances_between
from app.matching.linkage import Labels, average_linkage

BLOCK = 512  # rows of distances at a time
MAX_CONNECTED = 20_000
"""Faces of one connected component: linkage takes 8 bytes for each score of their matrix, 3.2 GB."""


def cluster_faces(
    vectors: Floats, threshold: float, offsets: Floats | None = None, *, max_connected: int = MAX_CONNECTED
) -> Labels:
    """
    Return the group (N,) of each of the unit vectors (N, D): 0 is the largest; equal sizes by their first face.

    With the threshold offsets (N,) of the faces, pairs are compared by their normalized scores instead of distances.
    Raises InvalidRequest if more than `max_connected` faces are connected.
    """
    faces = _Faces(vectors, np.zeros(len(vectors), np.float32) if offsets is None else offsets)
    components = _connected_components(faces, threshold)
    labels = np.zeros(len(vectors), np.intp)
    order = np.argsort(components, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(components[order])) + 1):
        if len(members) > max_connected:
            raise InvalidRequest(
                f"expected at most {max_connected} faces connected by pairs within the threshold, "
                f"got {len(members)}: use a smaller threshold"
            )
        labels[members] = labels.max() + 1 + average_linkage(faces[members].scores(faces[members]), threshold)
    return _largest_first(labels)


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    vectors: Floats  # (N, D)
    offsets: Floats  # (N,)

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, which: slice | Labels) -> _Faces:
        return _Faces(self.vectors[which], self.offsets[which])

    def scores(self, others: _Faces) -> Floats:
        """Return the normalized scores (N, M) of all pairs."""
        return distances_between(self.vectors, others.vectors) + self.offsets[:, None] + others.offsets


def _connected_components(faces: _Faces, threshold: float) -> Labels:
    """Return the connected component (N,) of the graph of near pairs that each face belongs to."""
    components: Labels = np.arange(len(faces))
    for start in range(0, len(faces), BLOCK):
        rows, columns = np.nonzero(faces[start : start + BLOCK].scores(faces) <= threshold)
        components = _join(components, rows + start, columns)
    return components


def _join(components: Labels, firsts: Labels, seconds: Labels) -> Labels:
    """Return the components (N,) after joining those of the faces `firsts[i]` and `seconds[i]`, for every i."""
    while True:
        low, high = np.sort([components[firsts], components[seconds]], axis=0)
        if (low == high).all():
            return components
        roots: Labels = np.arange(len(components))
        np.minimum.at(roots, high, low)
        while (roots[roots] != roots).any():
            roots = roots[roots]
        components = roots[components]


def _largest_first(labels: Labels) -> Labels:
    _, first, numbers, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(first), np.intp)
    rank[np.lexsort([first, -sizes])] = np.arange(len(first))
    return rank[numbers]
