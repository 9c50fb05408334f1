"""
Compute the threshold offset of a face from its vector, by the second, small graph of a model folder.

docs/calibration.md says what offsets are for. A model without that graph has the offset 0 for every face.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.domain.arrays import Floats
from app.domain.errors import InferenceFailed
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.inference.manifest import EmbedderManifest, read_checked
from app.inference.onnx_session import Session

BATCH = 4096
"""Vectors of one run: a gallery of a million faces must not need the memory of a million activations."""


class OnnxThresholdOffsets:
    """Runs a graph from unit float32 vectors (N, D) to float32 offsets (N,)."""

    def __init__(self, session: Session, model: str, digest: str) -> None:
        """`model` is the digest of the network whose vectors the graph takes, and `digest` its own."""
        self._session, self._model, self.digest = session, model, digest

    @property
    def model(self) -> str:
        return self._model

    def of(self, vectors: Floats) -> Floats:
        """Raises InferenceFailed if the output of the graph is not N finite numbers."""
        parts = [self._run(vectors[start : start + BATCH]) for start in range(0, len(vectors), BATCH)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _run(self, vectors: Floats) -> Floats:
        offsets: Floats = self._session.run(vectors)[0]
        if offsets.shape != (len(vectors),):
            raise InferenceFailed(f"expected threshold offsets ({len(vectors)},), got {offsets.shape}")
        if not np.isfinite(offsets).all():
            raise InferenceFailed("expected finite threshold offsets, got an infinite one or NaN")
        return offsets


def open_threshold_offsets(folder: Path, manifest: EmbedderManifest, *, threads: int = 1) -> ThresholdOffsets:
    """
    Open the offsets of a model folder; they run on the CPU, where they take microseconds.

    Raises StartError if the file is missing, differs from the manifest or cannot be loaded.
    """
    if manifest.threshold_offset is None:
        return NoThresholdOffsets()
    session = Session(read_checked(folder, manifest.threshold_offset), provider="cpu", threads=threads)
    return OnnxThresholdOffsets(session, manifest.file.digest, manifest.threshold_offset.digest)
