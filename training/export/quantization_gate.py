"""
`python -m training quantize`: a served model with 8-bit layers, written only if it keeps its accuracy.

Preprocessing and L2 stay float, and the model still maps uint8 crops to unit float32 vectors. A model that loses more
than `Gate` allows is not written. How layers are quantized is in training/export/quantize.py.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.domain.arrays import Pixels
from app.inference.manifest import read_checked, read_embedder
from app.inference.onnx_session import Session
from training.data.crops import CROPS_112
from training.data.dataset import read_crop
from training.data.suffixes import SUFFIXES
from training.errors import TrainingError
from training.evaluation.all_pairs import all_pairs
from training.evaluation.bootstrap import true_match_rates
from training.evaluation.lfw import REFERENCE_FMR
from training.evaluation.metrics import accuracy_over_folds
from training.evaluation.verification import VerificationTask, pair_scores, uses_arcface_112
from training.export.model_package import OFFSET_PROVENANCE, write_model
from training.export.quantize import quantize_layers
from training.pipeline.detection_cache import embed_faces
from training.pipeline.embeddings import Embeddings
from training.pipeline.served_model import ServedModel

FACES = 128
ROUNDING = 1e-9
RUNS = 50  # of each network, alternating


class AccuracyLost(TrainingError):
    """The 8-bit model loses more accuracy than allowed; the message has the figures."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The largest accepted losses of accuracy over folds, and of the true match rate at FMR 1e-4."""

    accuracy: float = 0.001
    tmr: float = 0.005


@dataclass(frozen=True, slots=True)
class Comparison:
    """The 8-bit model and its original, measured on the same photos in one run."""

    accuracy: float
    accuracy_before: float
    tmr: float
    tmr_before: float
    speed: float

    def keeps(self, gate: Gate) -> bool:
        lost = self.accuracy_before - self.accuracy, self.tmr_before - self.tmr
        return lost[0] <= gate.accuracy + ROUNDING and lost[1] <= gate.tmr + ROUNDING

    def __str__(self) -> str:
        return (
            f"accuracy {self.accuracy:.4f} (was {self.accuracy_before:.4f}), "
            f"TMR at FMR {REFERENCE_FMR:g} {self.tmr:.4f} (was {self.tmr_before:.4f}), {self.speed:.2f} times as fast"
        )


def quantize_model(
    model: Path, crops: Path, output: Path, task: VerificationTask, gate: Gate | None = None
) -> Comparison:
    """Quantize, compare and write `output`; or write nothing and raise AccuracyLost."""
    gate, original = gate or Gate(), ServedModel.open(model)
    if not uses_arcface_112(original.manifest):
        raise TrainingError(f"expected a model that takes ArcFace crops of 112 px, as in {crops}; {model} does not")
    faces = training_faces(crops)
    graph, float_layers = quantize_layers(read_checked(model, original.manifest.file), faces)
    provenance = {"quantized": f"U8S8 QDQ by {len(faces)} faces, float are {', '.join(float_layers) or 'none'}"}
    with tempfile.TemporaryDirectory() as folder:
        comparison = compare(_write(original, graph, Path(folder) / "smaller", provenance), model, task, faces)
    if not comparison.keeps(gate):
        raise AccuracyLost(
            f"not written: expected losses of at most {gate.accuracy:g} and {gate.tmr:g}, got {comparison}"
        )
    _write(original, graph, output, provenance | {"compared": str(comparison)})
    return comparison


def training_faces(root: Path, count: int = FACES) -> Pixels:
    """Return random aligned crops below `root`, (N, 112, 112, 3)."""
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise TrainingError(f"no aligned crops in {root}: `prepare` makes them")
    chosen = np.random.default_rng(0).permutation(len(paths))[:count]
    return np.stack([CROPS_112.center(read_crop(paths[number])) for number in chosen])


def compare(smaller: Path, original: Path, task: VerificationTask, faces: Pixels) -> Comparison:
    """Compare two model folders on the pairs of `task`, and in CPU time for two faces on one thread."""
    accuracy, tmr = _measure(ServedModel.open(smaller), task)
    accuracy_before, tmr_before = _measure(ServedModel.open(original), task)
    graphs = [read_checked(folder, read_embedder(folder).file) for folder in (smaller, original)]
    return Comparison(accuracy, accuracy_before, tmr, tmr_before, speed_ratio(graphs[0], graphs[1], faces[:2]))


def speed_ratio(graph: bytes, other: bytes, faces: Pixels) -> float:
    """Return how many times as fast `graph` is, by the medians of CPU time on one thread, in alternating runs."""
    sessions = [Session(each, provider="cpu", threads=1) for each in (graph, other)]
    seconds = np.array([[_seconds(session, faces) for session in sessions] for _ in range(RUNS)])
    ours, theirs = np.median(seconds, axis=0)
    return float(theirs / ours)


def _seconds(session: Session, faces: Pixels) -> float:
    start = time.process_time()
    session.run(faces)
    return time.process_time() - start


def _measure(model: ServedModel, task: VerificationTask) -> tuple[float, float]:
    """Return accuracy over folds, and TMR at FMR 1e-4 on all pairs; both without threshold offsets, fitted later."""
    embeddings = Embeddings.without_offsets(embed_faces(model, task.detected)[0].vectors)
    scores = pair_scores(embeddings, task.detected.found, task.pairs)
    accuracy = accuracy_over_folds(scores, task.pairs.same, task.pairs.fold)
    rates = true_match_rates(all_pairs(embeddings, embeddings, task.known_people), [REFERENCE_FMR], replicates=0)
    return accuracy.mean, float(rates[0, 0])


def _write(original: ServedModel, graph: bytes, output: Path, provenance: dict[str, str]) -> Path:
    manifest = original.manifest
    kept = {name: value for name, value in manifest.provenance.items() if name != OFFSET_PROVENANCE}
    write_model(
        output,
        graph,
        license_=manifest.license,
        provenance={**kept, "quantized_from": manifest.file.digest, **provenance},
        crop_size=manifest.crop_size,
        alignment=manifest.alignment,
        dimension=manifest.dimension,
        batch=manifest.batch,
    )
    return output
