"""
`python -m training wrap`: any face embedder that exists as ONNX (ArcFace, SFace, EdgeFace, AdaFace) to a served model.

Its preprocessing and L2 go into the graph, and the file is written only if ONNX Runtime then gives what the source
gives. A source that takes one picture a run is freed to any number if it then still gives the same; otherwise the
manifest says that it takes one. There is no calibration yet: `python -m training calibrate` makes one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.domain.errors import InferenceFailed, StartError
from app.domain.nouns import Floats, Pixels
from app.runtime.manifest import BoxAlignment, LandmarkAlignment, digest_of
from app.runtime.session import Session
from training.errors import TrainingError
from training.export.inspect_onnx import Source, Unwrappable, read_source
from training.export.model_package import write_model
from training.export.preprocessing import Preprocessing, wrapped

PARITY = 1e-4
"""Largest difference of a component of a unit vector between the source and the wrapped graph."""
PROBES = 3


def run(
    path: Path,
    output: Path,
    how: Preprocessing,
    *,
    alignment: LandmarkAlignment | BoxAlignment,
    vector: str | None = None,
    license: str,
) -> Path:
    """
    Write the model folder `output`; its manifest's path. `vector` names the output meant, where there are several.

    Raises Unwrappable or UnusableFolder.
    """
    source = read_source(path, how.size, vector)
    crops = np.random.default_rng(0).integers(0, 256, (PROBES, how.size, how.size, 3), np.uint8)
    wanted = _wanted(path, source, how(crops))
    graph, batch = _wrapped(path, source, how, crops, wanted)
    return write_model(
        output,
        graph,
        license=license,
        provenance=_provenance(path, how, vector),
        crop_size=how.size,
        alignment=alignment,
        dimension=wanted.shape[1],
        batch=batch,
    )


def three(text: str, *, positive: bool = False) -> tuple[float, float, float]:
    """`127.5` for all channels, or `104,117,123` for each."""
    try:
        numbers = [float(number) for number in text.split(",")]
        first, second, third = numbers * 3 if len(numbers) == 1 else numbers
    except ValueError:
        raise TrainingError(f"want one number or three with commas, got {text!r}") from None
    if not np.isfinite(numbers).all() or (positive and min(numbers) <= 0):
        raise TrainingError(f"want {'numbers above 0' if positive else 'finite numbers'}, got {text!r}")
    return first, second, third


def _wanted(path: Path, source: Source, pictures: Floats) -> Floats:
    """What the source gives for them: unit vectors (N, D)."""
    try:
        with np.errstate(invalid="ignore"):
            vectors = source.run(pictures)
    except (InferenceFailed, StartError) as error:
        raise Unwrappable(f"{path} does not run on pictures {pictures[:1].shape}: {error}") from error
    if not np.isfinite(vectors).all():
        raise Unwrappable(f"{path} gives vectors of no length, or none that are finite: are mean and std right?")
    return vectors


def _wrapped(path: Path, source: Source, how: Preprocessing, crops: Pixels, wanted: Floats) -> tuple[bytes, int | None]:
    """The graph, and how many crops it takes a run: any number (None), or else one."""
    complaints = []
    for batch in (None, 1):
        graph = wrapped(source, how, wanted.shape[1], batch)
        complaint = _complaint(graph, np.split(crops, len(crops)) if batch else [crops], wanted)
        if complaint is None:
            return graph, batch
        complaints.append(complaint)
    raise Unwrappable(f"{path} computes something else once wrapped: {complaints[-1]}")


def _complaint(graph: bytes, runs: list[Pixels], wanted: Floats) -> str | None:
    try:
        session = Session(graph, provider="cpu")
        got = np.concatenate([session.run(crops)[0] for crops in runs])
    except (InferenceFailed, StartError) as error:
        return str(error)
    if got.shape != wanted.shape:
        return f"want vectors {wanted.shape}, got {got.shape}"
    difference = float(np.abs(got - wanted).max())
    return None if difference <= PARITY else f"want vectors equal to {PARITY:g}, got a difference of {difference:.3g}"


def _provenance(path: Path, how: Preprocessing, vector: str | None) -> dict[str, str]:
    return {
        "source": path.name,
        "source_digest": digest_of(path.read_bytes()),
        "command": "python -m training wrap",
        "mean": ",".join(f"{number:g}" for number in how.mean),
        "std": ",".join(f"{number:g}" for number in how.std),
        "channels": "BGR" if how.bgr else "RGB",
        **({"vector": vector} if vector else {}),
        "passes": "crop",
    }
