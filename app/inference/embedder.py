"""
Embed aligned crops with the network that a manifest describes.

The crops of one call are not always run as one batch. A batch reads the weights once, which helps a large network:
Inception-ResNet-v1 (94 MB) takes 0.84 of the time per crop at batch 8. But the intermediate results of a batch leave
the CPU cache: MobileFaceNet (4 MB) takes 1.13 times as long per crop at batch 8 as at batch 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain.errors import InferenceFailed
from app.domain.models import AlignedCrop, Embedding, Floats, Pixels
from app.inference.manifest import EmbedderManifest
from app.inference.onnx_session import Session

SMALL_NETWORK_BYTES, SMALL_NETWORK_BATCH = 16 * 1024 * 1024, 2
"""A smaller network runs on a CPU in batches of this size."""


class OnnxEmbedder:
    """Runs a graph that takes uint8 RGB crops (N, size, size, 3) and returns unit float32 vectors (N, D)."""

    def __init__(self, session: Session, manifest: EmbedderManifest) -> None:
        self._session, self._manifest = session, manifest
        small = session.provider == "cpu" and session.size < SMALL_NETWORK_BYTES
        self._batch_size = manifest.batch or (SMALL_NETWORK_BATCH if small else None)

    @property
    def model(self) -> str:
        return self._manifest.file.digest

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        """Return one unit vector per crop, in order. Raises InferenceFailed if the network does not return (N, D)."""
        if not crops:
            return []
        batch = np.stack([crop.pixels for crop in crops])  # (N, size, size, 3)
        vectors = self._vectors(batch)
        if vectors.shape != (expected := (len(crops), self._manifest.dimension)):
            raise InferenceFailed(f"expected vectors {expected}, got {vectors.shape}")
        return [Embedding(vector, self.model) for vector in vectors]

    def _vectors(self, batch: Pixels) -> Floats:
        size = self._batch_size or len(batch)
        parts = [self._session.run(batch[start : start + size])[0] for start in range(0, len(batch), size)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]
