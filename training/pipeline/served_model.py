"""
An exported embedder, as the service loads it, for measuring.

With `LIKENESS_PROVIDER=openvino` it runs on OpenVINO, as in the service; otherwise on ONNX Runtime, so that an
installation of OpenVINO changes no measurement by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats, Pixels
from app.domain.faces import AlignedCrop
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import EmbedderManifest, read_checked, read_embedder
from app.inference.onnx_session import Session as OnnxSession
from app.inference.session import Session, open_embedder_session
from app.inference.threshold_offsets import open_threshold_offsets
from app.matching.calibration import Calibration, read_calibration
from training.pipeline.embeddings import Embeddings
from training.pipeline.progress import with_progress
from training.pipeline.vector_cache import VectorCache

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
    """An exported embedder, as the service would load it; with `cache`, vectors are computed once for all commands."""

    manifest: EmbedderManifest
    embedder: OnnxEmbedder
    offsets: ThresholdOffsets
    calibration: Calibration | None = None
    cache: VectorCache | None = None

    @classmethod
    def open(cls, folder: Path, cache: Path | None = None) -> ServedModel:
        """Open a model folder. Raises StartError, as the service would."""
        served = cls.open_uncalibrated(folder, cache)
        manifest = served.manifest
        return replace(served, calibration=read_calibration(folder, manifest.file.digest, manifest.offset_digest))

    @classmethod
    def open_uncalibrated(cls, folder: Path, cache: Path | None = None) -> ServedModel:
        """Open a model folder whose calibration will be measured anew: the present one may be of other offsets."""
        manifest = read_embedder(folder)
        return cls._open(folder, manifest, open_threshold_offsets(folder, manifest), cache)

    @classmethod
    def open_embedder(cls, folder: Path, cache: Path | None = None) -> ServedModel:
        """Open a model folder whose threshold offsets will be fitted anew, without the present ones."""
        manifest = read_embedder(folder).model_copy(update={"threshold_offset": None})
        return cls._open(folder, manifest, NoThresholdOffsets(), cache)

    @classmethod
    def _open(
        cls, folder: Path, manifest: EmbedderManifest, offsets: ThresholdOffsets, cache: Path | None
    ) -> ServedModel:
        session = _session(read_checked(folder, manifest.file), manifest.crop_size)
        provider = session.provider if _on_openvino() else ""
        vectors = VectorCache(cache, manifest.file.digest, manifest.dimension, provider) if cache else None
        return cls(manifest, OnnxEmbedder(session, manifest), offsets, cache=vectors)

    @property
    def identity(self) -> dict[str, str | None]:
        """The id and digests of what was measured, for reports."""
        manifest = self.manifest
        return {"id": manifest.id, "digest": manifest.file.digest, "threshold_offset": manifest.offset_digest}

    def embed(self, crops: Pixels, label: str) -> Embeddings:
        """Return the embeddings of crops (N, size, size, 3)."""

        def compute(missing: Pixels) -> Floats:
            batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
            vectors = [vector for batch in with_progress(label, self._embed, batches) for vector in batch]
            return np.array(vectors, np.float32).reshape(-1, self.manifest.dimension)

        vectors = self.cache.vectors(crops, compute) if self.cache else compute(crops)
        return Embeddings(vectors, self.offsets.of(vectors))

    def _embed(self, batch: Pixels) -> list[Floats]:
        return [embedding.vector for embedding in self.embedder.embed([AlignedCrop(crop, 1.0) for crop in batch])]


def _session(model: bytes, crop_size: int) -> Session:
    """Raises StartError if OpenVINO is asked for, and is missing or changes the vectors."""
    if _on_openvino():
        return open_embedder_session(model, crop_size, provider="openvino", threads=1)
    return OnnxSession(model, provider="auto")


def _on_openvino() -> bool:
    return os.environ.get("LIKENESS_PROVIDER") == "openvino"
