"""
`python -m training quantise`: a served model with 8-bit layers, where it keeps its accuracy.

Preprocessing and L2 stay float, and the manifest keeps its contract: uint8 crops in, unit float32 vectors out. What
loses more than `Gate` is not written. See training/eight_bits.py for how.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.domain.nouns import Pixels
from app.runtime.manifest import read_checked, read_embedder
from app.runtime.session import Session
from training.data import augmentation
from training.data.dataset import read_crop
from training.data.sources import SUFFIXES
from training.errors import TrainingError
from training.evaluation.all_pairs import all_pairs
from training.evaluation.bootstrap import true_match_rates
from training.evaluation.lfw import USUAL
from training.evaluation.metrics import accuracy_over_folds
from training.evaluation.verification import Task, distances_of, takes_arcface_112
from training.export.model_package import write_model
from training.export.quantize import in_8_bits
from training.pipeline.detection_cache import embed_faces
from training.pipeline.served_model import ServedModel

FACES = 128
ROUNDING = 1e-9
RUNS = 50  # of each network, in turn


class LosesTooMuch(TrainingError):
    """The 8-bit model is not worth its speed; the message has both in figures."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The most that may be lost, as shares: of accuracy over folds, and of the true match rate at FMR 1e-4."""

    accuracy: float = 0.001
    tmr: float = 0.005


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of the 8-bit network with its original, on the same photos and in one run."""

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
            f"accuracy {self.accuracy:.4f} (was {self.accuracy_before:.4f}), TMR at FMR {USUAL:g} {self.tmr:.4f} "
            f"(was {self.tmr_before:.4f}), {self.speed:.2f} times as fast"
        )


def run(model: Path, crops: Path, output: Path, task: Task, gate: Gate | None = None) -> Comparison:
    """Write `output` and compare; raises LosesTooMuch, and writes nothing, where the gate is closed."""
    gate, original = gate or Gate(), ServedModel.open(model)
    if not takes_arcface_112(original.manifest):
        raise TrainingError(f"want a model that takes ArcFace crops of 112 px, as in {crops}; {model} does not")
    faces = training_faces(crops)
    graph, left = in_8_bits(read_checked(model, original.manifest.file), faces)
    facts = {"quantised": f"U8S8 QDQ by {len(faces)} faces, float are {', '.join(left) or 'none'}"}
    with tempfile.TemporaryDirectory() as folder:
        compared = compare(_write(original, graph, Path(folder) / "smaller", facts), model, task, faces)
    if not compared.keeps(gate):
        raise LosesTooMuch(f"not written: want at most {gate.accuracy:g} and {gate.tmr:g} lost, got {compared}")
    _write(original, graph, output, facts | {"compared": str(compared)})
    return compared


def training_faces(root: Path, most: int = FACES) -> Pixels:
    """Some of the aligned crops below `root`, (N, 112, 112, 3)."""
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise TrainingError(f"no aligned crops in {root}: `prepare` makes them")
    chosen = np.random.default_rng(0).permutation(len(paths))[:most]
    return np.stack([augmentation.centre(read_crop(paths[number])) for number in chosen])


def compare(smaller: Path, original: Path, task: Task, faces: Pixels) -> Comparison:
    """Two model folders on the pairs of `task`, and in time for two faces on one thread."""
    accuracy, tmr = _measured(ServedModel.open(smaller), task)
    accuracy_before, tmr_before = _measured(ServedModel.open(original), task)
    graphs = [read_checked(folder, read_embedder(folder).file) for folder in (smaller, original)]
    return Comparison(accuracy, accuracy_before, tmr, tmr_before, speed_ratio(graphs[0], graphs[1], faces[:2]))


def speed_ratio(graph: bytes, other: bytes, faces: Pixels) -> float:
    """How many times as fast `graph` is: medians of runs in turn, in CPU time, on one thread."""
    sessions = [Session(each, provider="cpu", threads=1) for each in (graph, other)]
    seconds = np.array([[_seconds(session, faces) for session in sessions] for _ in range(RUNS)])
    ours, theirs = np.median(seconds, axis=0)
    return float(theirs / ours)


def _seconds(session: Session, faces: Pixels) -> float:
    start = time.process_time()
    session.run(faces)
    return time.process_time() - start


def _measured(model: ServedModel, task: Task) -> tuple[float, float]:
    """Accuracy over folds, and TMR at FMR 1e-4 on all pairs."""
    vectors, _ = embed_faces(model, task.sights)
    distances = distances_of(vectors, task.sights.found, task.protocol)
    accuracy = accuracy_over_folds(distances, task.protocol.same, task.protocol.fold)
    rates = true_match_rates(all_pairs(vectors, vectors, task.known_people), [USUAL], replicates=0)
    return accuracy.mean, float(rates[0, 0])


def _write(original: ServedModel, graph: bytes, output: Path, facts: dict[str, str]) -> Path:
    manifest = original.manifest
    write_model(
        output,
        graph,
        license=manifest.license,
        provenance={**manifest.provenance, "quantised_from": manifest.file.digest, **facts},
        crop_size=manifest.crop_size,
        alignment=manifest.alignment,
        dimension=manifest.dimension,
        batch=manifest.batch,
    )
    return output
