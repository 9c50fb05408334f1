"""Vectors in memory, and vectors that are equal up to rounding: an encrypted gallery stores them transformed."""

from dataclasses import dataclass

import numpy as np

from app.domain.arrays import Floats
from app.gallery.face_index import FaceIndex


@dataclass(eq=False)
class Near:
    vector: Floats

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Near) and np.allclose(self.vector, other.vector, rtol=0, atol=1e-6)

    __hash__ = None  # type: ignore[assignment]


def memory_of(index: FaceIndex) -> Floats:
    """Return the vectors in memory, those of removed faces too."""
    parts = [segment.vectors.exact(np.arange(len(segment))) for segment in index._segments]
    return np.concatenate(parts).astype(np.float32)
