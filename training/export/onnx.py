"""
`python -m training export`: trained weights to a served model folder.

The graph takes uint8 RGB crops (N, size, size, 3) and returns unit float32 vectors (N, D): normalisation, averaging
over views and L2 are inside, so that serving cannot differ from training. The file is written only if ONNX Runtime
computes PyTorch's vectors to `PARITY`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from app.faces.alignment import arcface_template
from app.inference.manifest import LandmarkAlignment, digest_of
from app.inference.onnx_session import Session
from training.engine.run_record import RECORD, WEIGHTS
from training.errors import TrainingError
from training.export.model_package import write_model
from training.export.torch_to_onnx import to_onnx
from training.networks.embedder import ZOOM, Embedder, Views
from training.networks.registry import build
from training.networks.weights import UnusableWeights, load_state

PARITY = 1e-5
"""Largest difference of a component of a unit vector between PyTorch and ONNX Runtime."""
PASSES: dict[Views, str] = {
    "crop": "crop",
    "mirror": "crop and mirror image, averaged",
    "zoom": f"crop, mirror image, and both enlarged {ZOOM} times, averaged",
}


class ParityError(TrainingError):
    """The exported graph does not compute what the network does."""


def export_model(
    source: Path,
    output: Path,
    *,
    network: str | None = None,
    embedding_size: int | None = None,
    views: Views = "mirror",
    license_: str,
) -> Path:
    """
    Write `output`/embedder.onnx and its manifest, and return the manifest's path.

    `source` is the folder of a run, whose record names the network, or a state dict of `network` (by default a
    mobilefacenet) with vectors of `embedding_size` (128). Raises UnusableWeights, ParityError or UnwritableModel.
    """
    weights = source / WEIGHTS if source.is_dir() else source
    backbone = build(*_network_of(source, network, embedding_size), per_image_scaling=_scales_per_image(source))
    load_state(backbone, weights)
    embedder = Embedder(backbone, views=views).eval()
    graph = embedder_graph(embedder)
    check_parity(embedder, graph)
    return write_model(
        output,
        graph,
        license_=license_,
        provenance=_provenance(source) | {"passes": PASSES[views]},
        crop_size=backbone.crop_size,
        alignment=LandmarkAlignment(template=arcface_template(backbone.crop_size)),
        dimension=backbone.embedding_size,
    )


def _network_of(source: Path, name: str | None, embedding_size: int | None) -> tuple[str, int]:
    """Return the network's name and embedding size. Raises UnusableWeights if the run's record says something else."""
    if not source.is_dir():
        return name or "mobilefacenet", embedding_size or 128
    trained = _record(source)["config"]["network"]
    recorded: tuple[str, int] = trained["name"], trained["embedding_size"]
    given = name or recorded[0], embedding_size or recorded[1]
    if given != recorded:
        raise UnusableWeights(
            f"{source} trained {recorded[0]} with vectors of {recorded[1]}, got {given[0]} with {given[1]}: "
            "leave out --network and --embedding-size"
        )
    return recorded


def _scales_per_image(source: Path) -> bool:
    """Return whether the run trained on images scaled one by one; a state dict alone does not say, and is not."""
    return source.is_dir() and bool(_record(source)["config"]["network"].get("per_image_scaling"))


def _record(run: Path) -> dict[str, Any]:
    """Read run.json. Raises UnusableWeights where there is none: the run has not ended."""
    try:
        record: dict[str, Any] = json.loads((run / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableWeights(f"expected the folder of a finished run, got {run}: {error}") from error
    return record


def _provenance(source: Path) -> dict[str, str]:
    """Return where the weights come from: for a run its config, seed, data and commit."""
    if not source.is_dir():
        return {"weights": source.name, "weights_sha256": digest_of(source.read_bytes())}
    record = _record(source)
    teacher = record["config"].get("teacher", {}).get("weights")
    return {
        "trained_by": "python -m training train",
        "weights_sha256": digest_of((source / WEIGHTS).read_bytes()),
        "started_from": Path(record["config"]["network"]["weights"] or "random weights").name,
        "config_sha256": record["config_sha256"],
        "data_sha256": record["data"]["files_sha256"],
        "seed": str(record["seed"]),
        "commit": str(record["commit"]),
        **({"teacher": Path(teacher).name} if teacher else {}),
        **({"blend": json.dumps(record["blend"])} if "blend" in record else {}),
    }


def embedder_graph(embedder: Embedder) -> bytes:
    """Return an ONNX graph from `crops` uint8 (batch, H, W, 3) to `embeddings` float32 (batch, D)."""
    size = embedder.network.crop_size
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    return to_onnx(embedder, example, "crops", ["embeddings"], {0: "batch"})


def check_parity(embedder: Embedder, graph: bytes, crops: npt.NDArray[np.uint8] | None = None) -> float:
    """Return the largest difference of a component on `crops` (noise by default). Raises ParityError beyond PARITY."""
    size = embedder.network.crop_size
    if crops is None:
        crops = np.random.default_rng(0).integers(0, 256, (5, size, size, 3), np.uint8)
    with torch.inference_mode():
        expected = embedder(torch.from_numpy(crops)).numpy()
    (got,) = Session(graph, provider="cpu").run(crops)
    difference = float(np.abs(got - expected).max())
    if not difference <= PARITY:
        raise ParityError(f"expected vectors equal to {PARITY:g}, got a difference of {difference:.3g}")
    return difference
