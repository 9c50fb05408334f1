"""
Cluster faces by person, without knowing the number of people: average linkage up to a threshold.

Two groups are merged while the mean distance of their pairs is within the threshold (UPGMA). FaceNet's clustering
(Schroff et al. 2015, section 5.8) is agglomerative too; the mean keeps chains of look-alikes apart, which the nearest
pair (single linkage) would join. SciPy's linkage needs all N^2 / 2 distances at once. Two groups can be merged only if
some pair of theirs is within the threshold, so each connected component of the graph of near pairs is clustered by
itself, with the same result, and the distances are computed in blocks.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from app.domain.errors import InvalidRequest, StartError
from app.domain.models import Floats
from app.matching.distance import distances_between

BLOCK = 512  # rows of distances at a time
MAX_CONNECTED = 20_000
"""Faces of one connected component: SciPy takes 8 bytes for each of their pairs, 1.6 GB."""

Labels = npt.NDArray[np.intp]


def cluster_faces(vectors: Floats, threshold: float, *, max_connected: int = MAX_CONNECTED) -> Labels:
    """
    Return the group (N,) of each of the unit vectors (N, D): 0 is the largest; equal sizes by their first face.

    Raises StartError if SciPy is not installed, InvalidRequest if more than `max_connected` faces are connected.
    """
    if find_spec("scipy") is None:
        raise StartError("clustering needs SciPy: pip install 'likeness[cluster]'")
    components = _connected_components(vectors, threshold)
    labels = np.zeros(len(vectors), np.intp)
    order = np.argsort(components, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(components[order])) + 1):
        if len(members) > max_connected:
            raise InvalidRequest(
                f"expected at most {max_connected} faces connected by pairs within the threshold, "
                f"got {len(members)}: use a smaller threshold"
            )
        labels[members] = labels.max() + 1 + _average_linkage(vectors[members], threshold)
    return _largest_first(labels)


def _connected_components(vectors: Floats, threshold: float) -> Labels:
    """Return the connected component (N,) of the graph of near pairs that each face belongs to."""
    from scipy.sparse import csgraph, csr_array

    components: Labels = np.arange(len(vectors))
    for start in range(0, len(vectors), BLOCK):
        near = distances_between(vectors[start : start + BLOCK], vectors) <= threshold  # (BLOCK, N)
        rows, columns = np.nonzero(near)
        ends = components[rows + start], components[columns]
        edges = csr_array((np.ones(len(rows), np.int8), ends), shape=(len(vectors), len(vectors)))
        components = csgraph.connected_components(edges, directed=False)[1].astype(np.intp)[components]
    return components


def _average_linkage(vectors: Floats, threshold: float) -> Labels:
    """Return labels (N,) from 0."""
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
