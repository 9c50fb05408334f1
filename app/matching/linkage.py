"""Average linkage up to a threshold (UPGMA), from the scores of all pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats

Labels = npt.NDArray[np.intp]


def average_linkage(scores: Floats, threshold: float) -> Labels:
    """
    Return labels (N,) from 0: groups whose mean score is within the threshold are merged. `scores` is (N, N).

    From a group a chain leads to its nearest, on to the nearest of that, until two are nearest to each other: they are
    merged. This gives the same groups as always merging the nearest two of all (Murtagh 1983), in O(N^2) operations.
    """
    groups = _Groups(scores)
    for start in range(len(scores)):
        if groups.sizes[start]:
            _complete(groups, start, threshold)
    return np.unique(groups.labels, return_inverse=True)[1]


class _Groups:
    """Groups by the index of one of their items: size 0 means that it was merged into another."""

    def __init__(self, scores: Floats) -> None:
        self.means = np.minimum(scores, scores.T).astype(np.float64)  # (N, N); symmetric to the last bit
        np.fill_diagonal(self.means, np.inf)
        self.sizes = np.ones(len(scores))
        self.labels: Labels = np.arange(len(scores))

    def merge(self, kept: int, other: int) -> int:
        sizes, means = self.sizes[[kept, other]], self.means[[kept, other]]
        self.means[kept] = self.means[:, kept] = sizes @ means / sizes.sum()
        self.means[other] = self.means[:, other] = np.inf
        self.sizes[[kept, other]] = sizes.sum(), 0
        self.labels[self.labels == other] = kept
        return kept


def _complete(groups: _Groups, start: int, threshold: float) -> None:
    """Merge until the group of `start` has none within the threshold; merges of others bring none nearer to it."""
    chain = [start]
    while True:
        last = chain[-1]
        nearest = int(groups.means[last].argmin())
        if groups.means[last, nearest] > threshold:
            return
        if len(chain) > 1 and groups.means[last, nearest] >= groups.means[last, chain[-2]]:
            merged = groups.merge(chain.pop(), chain.pop())
            chain = chain or [merged]
        else:
            chain.append(nearest)
