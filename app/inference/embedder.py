"""
Aligned crops to unit vectors, by the network that a manifest describes.

Crops that came together need not run together. A batch saves reading the weights again, which Inception-ResNet-v1's
94 MB are worth (0.84 of the time a crop at batch 8), and costs that what lies between the layers leaves the cache: on a
CPU, MobileFaceNet's 4 MB take 1.13 times as long a crop at batch 8 as two by two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain.errors import InferenceFailed
from app.domain.models import AlignedCrop, Embedding, Floats, Pixels
from app.inference.manifest import EmbedderManifest
from app.inference.onnx_session import Session

LIGHT, AT_ONCE = 16 * 1024 * 1024, 2
"""Bytes below which a network is light, and crops a run of such a one on a CPU."""


class OnnxEmbedder:
    """The graph takes uint8 RGB crops (N, size, size, 3) and returns unit float32 vectors (N, D)."""

    def __init__(self, session: Session, manifest: EmbedderManifest) -> None:
        self._session, self._manifest = session, manifest
        light = session.provider == "cpu" and session.size < LIGHT
        self._at_once = manifest.batch or (AT_ONCE if light else None)

    @property
    def model(self) -> str:
        return self._manifest.file.digest

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        """One unit vector a crop, in order. Raises InferenceFailed where the network's answer is not (N, D)."""
        if not crops:
            return []
        batch = np.stack([crop.pixels for crop in crops])  # (N, size, size, 3)
        vectors = self._vectors(batch)
        if vectors.shape != (wanted := (len(crops), self._manifest.dimension)):
            raise InferenceFailed(f"want vectors {wanted}, got {vectors.shape}")
        return [Embedding(vector, self.model) for vector in vectors]

    def _vectors(self, batch: Pixels) -> Floats:
        size = self._at_once or len(batch)
        parts = [self._session.run(batch[start : start + size])[0] for start in range(0, len(batch), size)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]
