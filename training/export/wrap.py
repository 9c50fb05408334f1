"""
`python -m training wrap`: a face embedder in ONNX (ArcFace, SFace, EdgeFace, AdaFace) to a served model.

Preprocessing and L2 go into the graph, and the file is written only if ONNX Runtime then computes the same vectors. The
batch of a network for one image is made variable if the vectors stay the same; otherwise the manifest records a batch
of one. The model has no calibration until `python -m training calibrate` has run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.domain.arrays import Floats, Pixels
from app.domain.errors import InferenceFailed, StartError
from app.inference.manifest import BoxAlignment, LandmarkAlignment, digest_of
from app.inference.onnx_session import Session
from training.errors import TrainingError
from training.export.inspect_onnx import SourceGraph, Unwrappable, read_source
from training.export.model_package import write_model
from training.export.preprocessing import Preprocessing, wrap_graph

PARITY = 1e-4
"""Largest difference of a component of a unit vector between the source and the wrapped graph."""
PROBES = 3


def wrap_model(
    path: Path,
    output: Path,
    preprocessing: Preprocessing,
    *,
    alignment: LandmarkAlignment | BoxAlignment,
    vector: str | None = None,
    license_: str,
    origin: str | None = None,
) -> Path:
    """
    Write the model folder `output` and return its manifest's path; `vector` names the output, if there are several.

    `origin` tells who made the network.

    Raises Unwrappable or UnwritableModel.
    """
    source = read_source(path, preprocessing.size, vector)
    crops = np.random.default_rng(0).integers(0, 256, (PROBES, preprocessing.size, preprocessing.size, 3), np.uint8)
    expected = _expected_vectors(path, source, preprocessing(crops))
    graph, batch = _wrap(path, source, preprocessing, crops, expected)
    return write_model(
        output,
        graph,
        license_=license_,
        provenance=_provenance(path, preprocessing, vector) | ({"origin": origin} if origin else {}),
        crop_size=preprocessing.size,
        alignment=alignment,
        dimension=expected.shape[1],
        batch=batch,
    )


def parse_channels(text: str, *, positive: bool = False) -> tuple[float, float, float]:
    """Parse `127.5` for all channels, or `104,117,123` for each. Raises TrainingError."""
    try:
        numbers = [float(number) for number in text.split(",")]
        first, second, third = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError:
        raise TrainingError(f"expected one number or three with commas, got {text!r}") from None
    if not np.isfinite(numbers).all() or (positive and min(numbers) <= 0):
        raise TrainingError(f"expected {'numbers above 0' if positive else 'finite numbers'}, got {text!r}")
    return first, second, third


def _expected_vectors(path: Path, source: SourceGraph, images: Floats) -> Floats:
    """Return the unit vectors (N, D) of the unwrapped network."""
    try:
        with np.errstate(invalid="ignore"):
            vectors = source.run(images)
    except (InferenceFailed, StartError) as error:
        raise Unwrappable(f"{path} does not run on images {images[:1].shape}: {error}") from error
    if not np.isfinite(vectors).all():
        raise Unwrappable(f"{path} gives zero or infinite vectors: are mean and std right?")
    return vectors


def _wrap(
    path: Path, source: SourceGraph, preprocessing: Preprocessing, crops: Pixels, expected: Floats
) -> tuple[bytes, int | None]:
    """Return the graph and its batch: any number (None) if possible, or else one."""
    mismatches = []
    for batch in (None, 1):
        graph = wrap_graph(source, preprocessing, expected.shape[1], batch)
        mismatch = _mismatch(graph, np.split(crops, len(crops)) if batch else [crops], expected)
        if mismatch is None:
            return graph, batch
        mismatches.append(mismatch)
    raise Unwrappable(f"{path} computes other vectors once wrapped: {mismatches[-1]}")


def _mismatch(graph: bytes, runs: list[Pixels], expected: Floats) -> str | None:
    try:
        session = Session(graph, provider="cpu")
        got = np.concatenate([session.run(crops)[0] for crops in runs])
    except (InferenceFailed, StartError) as error:
        return str(error)
    if got.shape != expected.shape:
        return f"expected vectors {expected.shape}, got {got.shape}"
    difference = float(np.abs(got - expected).max())
    if difference <= PARITY:
        return None
    return f"expected vectors equal to {PARITY:g}, got a difference of {difference:.3g}"


def _provenance(path: Path, preprocessing: Preprocessing, vector: str | None) -> dict[str, str]:
    return {
        "source": path.name,
        "source_digest": digest_of(path.read_bytes()),
        "command": "python -m training wrap",
        "mean": ",".join(f"{number:g}" for number in preprocessing.mean),
        "std": ",".join(f"{number:g}" for number in preprocessing.std),
        "channels": "BGR" if preprocessing.bgr else "RGB",
        **({"vector": vector} if vector else {}),
        "passes": "crop",
    }
