"""Run the liveness network of a manifest: how likely a crop shows a live face instead of a picture of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.domain.arrays import Floats, Pixels
from app.domain.errors import InferenceFailed
from app.inference.manifest import LivenessManifest, read_checked, read_liveness
from app.inference.onnx_session import Provider, Session

BATCH = 8
"""Faces of one run: a photo of a crowd must not need the memory of hundreds of activations."""


class OnnxLiveness:
    """Runs a graph from uint8 RGB crops (N, scales, size, size, 3) to probabilities (N,)."""

    def __init__(self, session: Session, manifest: LivenessManifest) -> None:
        self._session, self.manifest = session, manifest

    def scores(self, crops: Pixels) -> Floats:
        """Return the probability (N,) that each face is live. Raises InferenceFailed if the output is none."""
        parts = [self._run(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _run(self, crops: Pixels) -> Floats:
        scores: Floats = self._session.run(crops)[0]
        if scores.shape != (len(crops),):
            raise InferenceFailed(f"expected liveness scores ({len(crops)},), got {scores.shape}")
        if not ((scores >= 0) & (scores <= 1 + 1e-6)).all():
            raise InferenceFailed("expected liveness scores in [0, 1], got others or NaN")
        return scores


def open_liveness(folder: Path, *, provider: Provider = "auto", threads: int = 1) -> OnnxLiveness:
    """Raises StartError if a file is missing, differs from its manifest, or the provider cannot be used."""
    manifest = read_liveness(folder)
    session = Session(read_checked(folder, manifest.file), provider=provider, threads=threads)
    return OnnxLiveness(session, manifest)
