"""
Faces to people, whose number nobody knows: agglomeration by average linkage, up to a threshold.

Two groups become one while the mean distance of their pairs is within the threshold (UPGMA). FaceNet's clustering
(Schroff et al. 2015, section 5.8) is agglomerative too; the mean keeps chains of look-alikes apart, which the nearest
pair (single linkage) would join. SciPy's linkage wants all N^2 / 2 distances at once. Groups can merge only where some
pair of theirs is within the threshold, so each connected part of the graph of near pairs is clustered by itself, with
the same result, and the distances are computed in blocks.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from app.domain.errors import InvalidRequest, StartError
from app.domain.models import Floats
from app.matching.distance import distances_between

BLOCK = 512  # rows of distances at a time
MOST = 20_000
"""Faces of one connected part: SciPy takes 8 bytes for each of their pairs, 1.6 GB."""

Labels = npt.NDArray[np.intp]


def group(vectors: Floats, threshold: float, *, most: int = MOST) -> Labels:
    """
    The group of each of (N, D) unit vectors, (N,): 0 is the largest, equally large ones in the order of their first.

    Raises StartError where SciPy is not installed, InvalidRequest where more than `most` faces hang together.
    """
    if find_spec("scipy") is None:
        raise StartError("clustering needs SciPy: pip install 'likeness[cluster]'")
    parts = _connected(vectors, threshold)
    labels = np.zeros(len(vectors), np.intp)
    order = np.argsort(parts, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
        if len(members) > most:
            raise InvalidRequest(
                f"want at most {most} faces that hang together, got {len(members)}: take a tighter threshold"
            )
        labels[members] = labels.max() + 1 + _average_linkage(vectors[members], threshold)
    return _largest_first(labels)


def _connected(vectors: Floats, threshold: float) -> Labels:
    """The part of the graph of near pairs that each face lies in."""
    from scipy.sparse import csgraph, csr_array

    parts: Labels = np.arange(len(vectors))
    for start in range(0, len(vectors), BLOCK):
        near = distances_between(vectors[start : start + BLOCK], vectors) <= threshold  # (BLOCK, N)
        rows, columns = np.nonzero(near)
        ends = parts[rows + start], parts[columns]
        edges = csr_array((np.ones(len(rows), np.int8), ends), shape=(len(vectors), len(vectors)))
        parts = csgraph.connected_components(edges, directed=False)[1].astype(np.intp)[parts]
    return parts


def _average_linkage(vectors: Floats, threshold: float) -> Labels:
    """Labels from 0 on."""
    if len(vectors) == 1:
        return np.zeros(1, np.intp)
    from scipy.cluster import hierarchy

    condensed = distances_between(vectors, vectors)[np.triu_indices(len(vectors), 1)].astype(np.float64)
    tree = hierarchy.linkage(condensed, method="average")
    return np.asarray(hierarchy.fcluster(tree, threshold, criterion="distance"), np.intp) - 1


def _largest_first(labels: Labels) -> Labels:
    _, first, numbers, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(first), np.intp)
    rank[np.lexsort([first, -sizes])] = np.arange(len(first))
    return rank[numbers]
