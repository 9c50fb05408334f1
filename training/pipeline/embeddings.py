"""The embeddings of many faces, and the scores that the service's thresholds apply to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from app.matching.distance import distances_between


@dataclass(frozen=True)
class Embeddings:
    """Unit vectors (N, D), and the threshold offset of each (N,): 0 if the model has no offsets."""

    vectors: Floats
    offsets: Floats

    @classmethod
    def without_offsets(cls, vectors: Floats) -> Embeddings:
        return cls(vectors, np.zeros(len(vectors), np.float32))

    def __len__(self) -> int:
        return len(self.vectors)

    def select(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Embeddings:
        """Return the embeddings of a mask, or of indices."""
        return Embeddings(self.vectors[kept], self.offsets[kept])

    def scores(self, others: Embeddings) -> Floats:
        """Return the normalized scores (N, M): squared L2 distance plus both offsets. A base threshold is of these."""
        distances = distances_between(self.vectors, others.vectors)
        distances += self.offsets[:, None]
        distances += others.offsets
        return distances

    def paired_scores(self, others: Embeddings) -> NDArray[np.float64]:
        """Return the normalized score of each face and the one at the same place of `others`, (N,)."""
        distances = ((self.vectors - others.vectors).astype(np.float64) ** 2).sum(axis=1)
        return np.asarray(distances + self.offsets + others.offsets)
