"""Clusters of faces against SciPy's and scikit-learn's, which need all distances at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist
from sklearn.cluster import AgglomerativeClustering

from app.domain.arrays import Floats
from app.domain.errors import InvalidRequest
from app.matching import clustering
from app.matching.clustering import cluster_faces

THRESHOLDS = st.floats(0.05, 3.5)


def faces(seed: int, people: int, photos: int, spread: float) -> Floats:
    """Return unit vectors (people * photos, 6)."""
    random = np.random.default_rng(seed)
    vectors = np.repeat(random.standard_normal((people, 6)), photos, axis=0)
    vectors += spread * random.standard_normal(vectors.shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def together(labels: object) -> list[list[bool]]:
    """Return which pairs are in one group, whatever the labels."""
    numbers = np.asarray(labels)
    grid: list[list[bool]] = np.equal.outer(numbers, numbers).tolist()
    return grid


@given(seed=st.integers(0, 10_000), spread=st.floats(0.05, 1), threshold=THRESHOLDS)
def test_groups_are_those_of_average_linkage_over_all_pairs(seed: int, spread: float, threshold: float) -> None:
    vectors = faces(seed, 7, 4, spread)
    distances = pdist(vectors.astype(np.float64), "sqeuclidean")
    expected = hierarchy.fcluster(hierarchy.linkage(distances, "average"), threshold, "distance")
    assert together(cluster_faces(vectors, threshold)) == together(expected)


@given(seed=st.integers(0, 10_000), spread=st.floats(0.05, 1), threshold=THRESHOLDS)
def test_with_threshold_offsets_groups_are_those_of_average_linkage_over_normalized_scores(
    seed: int, spread: float, threshold: float
) -> None:
    vectors = faces(seed, 7, 4, spread)
    offsets = np.random.default_rng(seed).uniform(-0.5, 1, len(vectors)).astype(np.float32)
    scores = pdist(vectors.astype(np.float64), "sqeuclidean") + pairs_of(offsets)
    expected = hierarchy.fcluster(hierarchy.linkage(scores + 1, "average"), threshold + 1, "distance")  # none below 0
    assert together(cluster_faces(vectors, threshold, offsets)) == together(expected)


def pairs_of(offsets: Floats) -> NDArray[np.float64]:
    """Return the sum of two offsets for each pair, in the order of pdist."""
    rows, columns = np.triu_indices(len(offsets), 1)
    return offsets[rows].astype(np.float64) + offsets[columns]


@pytest.mark.parametrize("threshold", [0.2, 0.7, 1.2, 1.9])
def test_groups_are_scikit_learns(monkeypatch: pytest.MonkeyPatch, threshold: float) -> None:
    monkeypatch.setattr(clustering, "BLOCK", 7)
    vectors = faces(3, 15, 5, 0.5)
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    settings = {"n_clusters": None, "metric": "precomputed", "linkage": "average", "distance_threshold": threshold}
    theirs = AgglomerativeClustering(**settings).fit_predict(distances.astype(np.float64))
    assert together(cluster_faces(vectors, threshold)) == together(theirs)


def test_a_chain_of_look_alikes_is_not_one_person() -> None:
    angles = np.radians(30.0 * np.arange(7))
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = cluster_faces(chain, 0.5)
    assert max(((chain[a] - chain[b]) ** 2).sum() for a in range(7) for b in range(7) if labels[a] == labels[b]) < 1.1


def test_groups_are_ordered_by_size_and_then_by_their_first_face() -> None:
    east, north, west, south = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    vectors = np.stack([east, north, west, north, south, south])
    assert cluster_faces(vectors, 0.1).tolist() == [2, 0, 3, 0, 1, 1]


def test_too_many_connected_faces_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"expected at most 3 faces connected .*, got 4"):
        cluster_faces(np.array([[1, 0]] * 4, np.float32), 0.1, max_connected=3)
