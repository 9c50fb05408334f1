"""Embedded faces: those of a request, and those enrolled."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from app.domain.arrays import Floats, read_only
from app.domain.faces import Face, Liveness, Quality


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """
    A unit vector (D,) float32, and the digest of its model: vectors of two models must not be compared.

    `threshold_offset` is what the face takes off the threshold of each of its pairs, because strangers that look like
    it are common; 0 if the model has no offsets.
    """

    vector: Floats
    model: str
    threshold_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.vector.ndim != 1 or self.vector.dtype != np.float32:
            raise ValueError(f"expected a float32 vector, got {self.vector.dtype} {self.vector.shape}")
        object.__setattr__(self, "vector", read_only(self.vector))


def vector_problem(vector: Floats, dimension: int | None = None) -> str | None:
    """Say why the numbers are not a unit vector (of `dimension` numbers, if given); None if they are one."""
    if dimension is not None and len(vector) != dimension:
        return f"expected a vector of {dimension} numbers, got {len(vector)}"
    with np.errstate(all="ignore"):  # they may be any numbers
        length = math.sqrt(float(np.dot(vector, vector)))  # faster than np.linalg.norm
    return None if abs(length - 1) < 1e-3 else f"expected a vector of length 1, got length {length:.4f}"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """
    An embedded face of a request, to be compared or enrolled.

    If the request gave its vector instead of a photo, face and quality are None, and `faces_found` is 1.
    """

    face: Face | None
    quality: Quality | None
    embedding: Embedding
    faces_found: int
    liveness: Liveness | None = None
    """None if it was not asked for."""
    crop: bytes | None = field(default=None, repr=False)
    """The crop to keep, as JPEG; None if none is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """
    An enrolled face; `enrolled_at` is ISO 8601 in UTC.

    One that was enrolled as a vector has no face and quality. `crop` is the kept crop as JPEG: None if there is none,
    or if it was not asked for.
    """

    face_id: str
    subject_id: str
    embedding: Embedding
    face: Face | None
    quality: Quality | None
    enrolled_at: str
    crop: bytes | None = field(default=None, repr=False)
