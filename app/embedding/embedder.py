"""Aligned crops to unit vectors, by the network that a manifest describes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain.errors import InferenceFailed
from app.domain.nouns import AlignedCrop, Embedding
from app.runtime.manifest import EmbedderManifest
from app.runtime.session import Session


class OnnxEmbedder:
    """The graph takes uint8 RGB crops (N, size, size, 3) and returns unit float32 vectors (N, D)."""

    def __init__(self, session: Session, manifest: EmbedderManifest) -> None:
        self._session, self._manifest = session, manifest

    @property
    def model(self) -> str:
        return self._manifest.file.digest

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        """One unit vector a crop, in order. Raises InferenceFailed where the network's answer is not (N, D)."""
        if not crops:
            return []
        batch = np.stack([crop.pixels for crop in crops])  # (N, size, size, 3)
        (vectors,) = self._session.run(batch)
        if vectors.shape != (wanted := (len(crops), self._manifest.dimension)):
            raise InferenceFailed(f"want vectors {wanted}, got {vectors.shape}")
        return [Embedding(vector, self.model) for vector in vectors]
