"""Open the networks that the settings name, check their digests and warm them up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.domain.errors import InferenceFailed, StartError
from app.domain.faces import AlignedCrop, Box, Face, Landmarks
from app.domain.ports import ThresholdOffsets
from app.faces.alignment import KEPT_SIZE, fits_kept_crops, open_aligner
from app.faces.detector.mtcnn import cascade_options, load_mtcnn
from app.faces.liveness import CropLiveness
from app.images.decode import ImageLimits
from app.inference.embedder import OnnxEmbedder
from app.inference.liveness import open_liveness
from app.inference.manifest import EmbedderManifest, read_checked, read_detector, read_embedder
from app.inference.session import Session, onnx_provider, open_embedder_session
from app.inference.threshold_offsets import open_threshold_offsets
from app.matching.calibration import read_calibration
from app.pipeline import FacePipeline
from app.services.container import Models
from app.settings import Settings

DETECTOR, LIVENESS = "mtcnn", "pad"
PROBE_FILE = "provider.json"
"""In the data directory: whether OpenVINO is faster here, so that a start need not measure it again."""


def open_models(settings: Settings) -> Models:
    """Raises StartError if a file is missing, differs from its manifest, or the provider cannot be used."""
    folder = settings.models_dir / settings.model
    manifest = read_embedder(folder)
    session = _open_session(settings, folder, manifest)
    offsets = _open_offsets(settings, manifest)
    detector_folder = settings.models_dir / DETECTOR
    detector = load_mtcnn(
        detector_folder,
        cascade_options(settings.min_face),
        provider=onnx_provider(settings.provider),
        threads=settings.threads,
    )
    return Models(
        detector=detector,
        detector_manifest=read_detector(detector_folder),
        embedder=OnnxEmbedder(session, manifest, offsets),
        embedder_manifest=manifest,
        offsets=offsets,
        calibration=read_calibration(folder, manifest.file.digest, manifest.offset_digest),
        provider=session.provider,
        liveness=_open_liveness(settings),
    )


def open_new_embedder(settings: Settings, name: str) -> tuple[OnnxEmbedder, EmbedderManifest]:
    """
    Open the model to which a gallery is to change; its vectors come without threshold offsets.

    Raises StartError if it is missing, has no calibration, or does not take crops as they are kept.
    """
    folder = settings.models_dir / name
    if Path(name).name != name or not folder.is_dir():
        raise StartError(f"no model {name!r} in {settings.models_dir}: see LIKENESS_MODELS_DIR")
    manifest = read_embedder(folder)
    if read_calibration(folder, manifest.file.digest, manifest.offset_digest) is None:
        raise StartError(f"model {name!r} has no calibration: run `python -m training calibrate` first")
    if not fits_kept_crops(manifest):
        raise StartError(
            f"model {name!r} takes other crops ({manifest.crop_size} px, aligned by {manifest.alignment.kind}) than "
            f"those that are kept ({KEPT_SIZE} px, by landmarks): people must be enrolled again for it"
        )
    return OnnxEmbedder(_open_session(settings, folder, manifest), manifest), manifest


def _open_session(settings: Settings, folder: Path, manifest: EmbedderManifest) -> Session:
    return open_embedder_session(
        read_checked(folder, manifest.file),
        manifest.crop_size,
        provider=settings.provider,
        threads=settings.threads,
        probe_file=settings.data_dir / PROBE_FILE,
    )


def open_offsets(settings: Settings) -> ThresholdOffsets:
    """Open the threshold offsets of the model without its network. Raises StartError."""
    return _open_offsets(settings, read_embedder(settings.models_dir / settings.model))


def open_pipeline(settings: Settings, models: Models) -> FacePipeline:
    limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
    aligner = open_aligner(models.embedder_manifest)
    return FacePipeline(models.detector, aligner, limits, settings.max_faces, models.liveness)


def _open_offsets(settings: Settings, manifest: EmbedderManifest) -> ThresholdOffsets:
    return open_threshold_offsets(settings.models_dir / settings.model, manifest, threads=settings.threads)


def _open_liveness(settings: Settings) -> CropLiveness | None:
    if settings.liveness == "off":
        return None
    network = open_liveness(
        settings.models_dir / LIVENESS, provider=onnx_provider(settings.provider), threads=settings.threads
    )
    return CropLiveness(network, settings.liveness_threshold)


def warm_up(models: Models) -> None:
    """Run every network once; the vector of a grey crop must have unit length. Raises StartError."""
    size = models.embedder_manifest.crop_size
    grey = np.full((96, 96, 3), 127, np.uint8)
    try:
        models.detector.detect(grey)
        (embedding,) = models.embedder.embed([AlignedCrop(np.full((size, size, 3), 127, np.uint8), 1.0)])
        if models.liveness:
            models.liveness.assess(grey, [Face(Box(24, 24, 72, 72), Landmarks(np.zeros((5, 2), np.float32)), 1.0)])
    except InferenceFailed as error:
        raise StartError(f"the networks do not run as their manifests say: {error}") from error
    length = float(np.linalg.norm(embedding.vector))
    if not abs(length - 1) < 1e-3:
        raise StartError(f"model {models.embedder_manifest.id!r}: expected vectors of length 1, got {length:.4f}")
