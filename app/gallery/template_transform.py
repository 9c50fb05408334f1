"""
The secret transform of a gallery: what is stored and searched is the model's vector times an orthogonal matrix.

Distances within a gallery stay as they are (in float32 within 2e-6), but vectors of two galleries have nothing in
common, and a gallery whose vectors were stolen can get another matrix. The matrix is the Q of the QR decomposition of a
Gaussian matrix, with the signs that make the diagonal of R positive: then it is uniformly distributed (Mezzadri 2007,
"How to generate random matrices from the classical compact groups"). The Gaussian numbers come from SHAKE-256 of the
seed by the method of Box and Muller: NumPy keeps the streams of its distributions only until a version changes them.
A platform that rounds differently gets nearly the same matrix, since the decomposition is stable.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from app.domain.arrays import Floats, read_only

SEED_BYTES = 32
_LABEL = b"likeness template transform 1"


@dataclass(frozen=True, slots=True, eq=False)
class TemplateTransform:
    """Turns the model's own vectors (D,) or (N, D) into those that a gallery stores, and back. None changes nothing."""

    matrix: Floats | None

    def to_stored(self, vectors: Floats) -> Floats:
        return vectors if self.matrix is None else vectors @ self.matrix.T

    def to_model(self, vectors: Floats) -> Floats:
        return vectors if self.matrix is None else vectors @ self.matrix


IDENTITY = TemplateTransform(None)


@lru_cache(maxsize=32)
def transform_of(seed: bytes, dimension: int) -> TemplateTransform:
    return TemplateTransform(read_only(_orthogonal(seed, dimension).astype(np.float32)))


def _orthogonal(seed: bytes, dimension: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    q, r = np.linalg.qr(_gaussian(seed, dimension * dimension).reshape(dimension, dimension))
    return np.asarray(q * np.sign(np.diagonal(r)), np.float64)


def _gaussian(seed: bytes, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return `count` numbers of the standard normal distribution."""
    pairs = (count + 1) // 2
    bits = np.frombuffer(hashlib.shake_256(_LABEL + seed).digest(16 * pairs), "<u8")
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1)
    radius, angle = np.sqrt(-2 * np.log(uniform[:pairs])), 2 * np.pi * uniform[pairs:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
