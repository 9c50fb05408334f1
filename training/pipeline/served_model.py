"""An exported embedder, as the service loads it, for measuring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.models import AlignedCrop, Floats
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import EmbedderManifest, read_checked, read_embedder
from app.inference.onnx_session import Session
from app.inference.threshold_offsets import open_threshold_offsets
from app.matching.calibration import Calibration, read_calibration
from training.pipeline.progress import with_progress

DETECTOR = "mtcnn"
BATCH = 32


@dataclass(frozen=True)
class Crops:
    """Crops (N, size, size, 3) of the photos where a face was `found`, and the share of each inside its photo."""

    pixels: NDArray[np.uint8]
    found: NDArray[np.bool_]
    inside: Floats


@dataclass(frozen=True)
class ServedModel:
    """An exported embedder, as the service would load it."""

    manifest: EmbedderManifest
    embedder: OnnxEmbedder
    calibration: Calibration | None

    @classmethod
    def open(cls, folder: Path) -> ServedModel:
        """Open a model folder. Raises StartError, as the service would."""
        manifest = read_embedder(folder)
        session = Session(read_checked(folder, manifest.file), provider="auto")
        offsets = open_threshold_offsets(folder, manifest)
        calibration = read_calibration(folder, manifest.file.digest, manifest.offset_digest)
        return cls(manifest, OnnxEmbedder(session, manifest, offsets), calibration)

    def embed(self, crops: NDArray[np.uint8], label: str) -> Floats:
        """Return unit vectors (N, D) of crops (N, size, size, 3)."""
        batches = [crops[start : start + BATCH] for start in range(0, len(crops), BATCH)]
        vectors = [vector for batch in with_progress(label, self._embed, batches) for vector in batch]
        return np.array(vectors, np.float32).reshape(-1, self.manifest.dimension)

    def _embed(self, batch: NDArray[np.uint8]) -> list[Floats]:
        return [embedding.vector for embedding in self.embedder.embed([AlignedCrop(crop, 1.0) for crop in batch])]
