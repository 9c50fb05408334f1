"""`python -m training offset`: fit a model's threshold offsets to a crowd, and write them beside the model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.domain.arrays import Floats
from app.inference.onnx_session import Session
from training.export.model_package import write_offset
from training.export.onnx import PARITY, ParityError
from training.export.torch_to_onnx import to_onnx
from training.offset.crowd import CrowdFaces, UnusableCrowd, read_crowd
from training.offset.fit import OffsetOptions, fit_network, true_offsets
from training.offset.network import OffsetNetwork
from training.pipeline.detection_cache import FaceFinder
from training.pipeline.served_model import ServedModel
from training.randomness import Stream, generator

HELD_OUT = 0.05
"""Share of the strangers that are not fitted: the report compares the network with the crowd on them."""
SMALLEST = 4
"""The crowd must have this many times `nearest` faces: a fourth of it is no longer near anybody."""


def run(
    model: Path,
    crowd: Sequence[Path],
    extra: Sequence[Path],
    fit_at: Sequence[Path],
    models_dir: Path,
    options: OffsetOptions,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Write `model`/threshold_offset.onnx and its manifest entry, and return the report. Raises TrainingError."""
    served = ServedModel.open_embedder(model, cache)
    faces = read_crowd(crowd, extra, fit_at, served, FaceFinder(models_dir, cache=cache))
    fitted, held_out = split(faces, options)
    if len(fitted) < SMALLEST * options.nearest:
        raise UnusableCrowd(
            f"expected a crowd of at least {SMALLEST * options.nearest} faces, {SMALLEST} times --nearest, "
            f"got {len(fitted)}"
        )
    network = fit_network(fitted, options, faces.others)
    graph = offset_graph(network, held_out)
    (predicted,) = Session(graph, provider="cpu").run(held_out)
    report = {
        "model": {"id": served.manifest.id, "digest": served.manifest.file.digest},
        "crowd": {
            "folders": [str(folder) for folder in crowd],
            "extra": [str(folder) for folder in extra],
            "photos": faces.photos,
            "faces": len(faces.strangers) + len(faces.own_people),
            "own_people": len(faces.own_people),
            "fit_at": {"folders": [str(folder) for folder in fit_at], "faces": len(faces.others)},
            "vectors_sha256": hashlib.sha256(faces.strangers.tobytes() + faces.own_people.tobytes()).hexdigest(),
        },
        "options": asdict(options),
        "held_out": _agreement(predicted, true_offsets(held_out, fitted, options)),
        "offsets": dict(zip(("min", "p5", "median", "p95", "max"), _percentiles(predicted), strict=True)),
    }
    return report | {"threshold_offset": write_offset(model, graph, _provenance(report)).digest}


def split(faces: CrowdFaces, options: OffsetOptions) -> tuple[Floats, Floats]:
    """Return the vectors to fit, with all of the operator's own people, and those of held-out strangers."""
    count = len(faces.strangers)
    order = generator(options.seed, Stream.CROWD).permutation(count)
    held_out = np.sort(order[: max(2, round(HELD_OUT * count))])
    fitted = np.concatenate([np.delete(faces.strangers, held_out, axis=0), faces.own_people])
    return fitted, faces.strangers[held_out]


def offset_graph(network: OffsetNetwork, vectors: Floats) -> bytes:
    """
    Return an ONNX graph from `embedding` (batch, D) to `threshold_offset` (batch,).

    Raises ParityError if it gives other offsets of `vectors` (N, D) than the network does.
    """
    graph = to_onnx(network, torch.from_numpy(vectors[:2]), "embedding", ["threshold_offset"], {0: "batch"})
    with torch.inference_mode():
        expected = network(torch.from_numpy(vectors)).numpy()
    (got,) = Session(graph, provider="cpu").run(vectors)
    difference = float(np.abs(got - expected).max())
    if not difference <= PARITY:
        raise ParityError(f"expected offsets equal to {PARITY:g}, got a difference of {difference:.3g}")
    return graph


def summary(report: dict[str, Any]) -> str:
    crowd, held_out, offsets = report["crowd"], report["held_out"], report["offsets"]
    return (
        f"{report['model']['id']}: {crowd['faces']} faces in {crowd['photos']} photos, {crowd['own_people']} of them "
        f"your own people; fitted at {crowd['fit_at']['faces']} others as well\n"
        f"on {held_out['faces']} held-out strangers: correlation {held_out['correlation']:.4f} with the crowd's "
        f"offsets, root mean square error {held_out['rmse']:.4f}; "
        f"offsets {offsets['p5']:+.3f} to {offsets['p95']:+.3f} (5 to 95 %)"
    )


def _agreement(predicted: Floats, true: Floats) -> dict[str, Any]:
    return {
        "faces": len(true),
        "correlation": float(np.corrcoef(predicted, true)[0, 1]),
        "rmse": float(np.sqrt(np.mean((predicted - true) ** 2))),
        "spread": float(true.std()),
    }


def _percentiles(offsets: Floats) -> list[float]:
    return [float(value) for value in np.percentile(offsets, [0, 5, 50, 95, 100])]


def _provenance(report: dict[str, Any]) -> str:
    options, crowd = report["options"], report["crowd"]
    return (
        f"python -m training offset: {crowd['faces']} faces (sha256 {crowd['vectors_sha256'][:16]}), "
        f"fitted at {crowd['fit_at']['faces']} others as well, "
        f"nearest {options['nearest']}, strength {options['strength']:g}, {options['epochs']} epochs, "
        f"seed {options['seed']}, correlation on held-out strangers {report['held_out']['correlation']:.4f}"
    )
