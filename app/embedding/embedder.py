"""Aligned crops to unit vectors, by the network that a manifest describes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain.errors import InferenceFailed
from app.domain.nouns import AlignedCrop, Embedding, Floats, Pixels
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
        vectors = self._vectors(batch)
        if vectors.shape != (wanted := (len(crops), self._manifest.dimension)):
            raise InferenceFailed(f"want vectors {wanted}, got {vectors.shape}")
        return [Embedding(vector, self.model) for vector in vectors]

    def _vectors(self, batch: Pixels) -> Floats:
        """In one run, or one by one where the graph takes no more."""
        if self._manifest.batch is None:
            return self._session.run(batch)[0]
        return np.concatenate([self._session.run(crop)[0] for crop in np.split(batch, len(batch))])
