"""
Embed aligned crops as unit vectors, by the network of a manifest.

Crops that came together need not run together. A larger batch reads the weights less often, which pays for the 94 MB of
Inception-ResNet-v1 (0.84 of the time per crop at batch 8). But its activations no longer fit in the cache: on a CPU,
MobileFaceNet's 4 MB take 1.13 times as long per crop at batch 8 as at batch 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain.arrays import Floats, Pixels
from app.domain.embeddings import Embedding
from app.domain.errors import InferenceFailed
from app.domain.faces import AlignedCrop
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.inference.manifest import EmbedderManifest
from app.inference.session import Session

SMALL_MODEL_BYTES, SMALL_MODEL_BATCH = 16 * 1024 * 1024, 2
"""The size below which a model is small, and the batch of a small model on a CPU."""


class OnnxEmbedder:
    """Runs a graph from uint8 RGB crops (N, size, size, 3) to unit float32 vectors (N, D), and adds their offsets."""

    def __init__(self, session: Session, manifest: EmbedderManifest, offsets: ThresholdOffsets | None = None) -> None:
        self._session, self._manifest = session, manifest
        self._offsets = offsets or NoThresholdOffsets()
        small = session.provider == "cpu" and session.size < SMALL_MODEL_BYTES
        self._batch_size = manifest.batch or (SMALL_MODEL_BATCH if small else None)

    @property
    def model(self) -> str:
        return self._manifest.file.digest

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        """Return one embedding per crop, in order. Raises InferenceFailed if the network's output is not (N, D)."""
        if not crops:
            return []
        batch = np.stack([crop.pixels for crop in crops])  # (N, size, size, 3)
        vectors = self._run(batch)
        if vectors.shape != (expected := (len(crops), self._manifest.dimension)):
            raise InferenceFailed(f"expected vectors {expected}, got {vectors.shape}")
        offsets = self._offsets.of(vectors).tolist()
        return [Embedding(vector, self.model, offset) for vector, offset in zip(vectors, offsets, strict=True)]

    def _run(self, batch: Pixels) -> Floats:
        size = self._batch_size or len(batch)
        parts = [self._session.run(batch[start : start + size])[0] for start in range(0, len(batch), size)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]
