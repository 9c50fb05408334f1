"""`python -m training evaluate bin`: a served model on InsightFace's verification files of aligned crops."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.evaluation import lfw_protocol
from training.evaluation.bin_file import read_bin
from training.evaluation.rates_at import tar_at
from training.evaluation.verification import uses_arcface_112
from training.pipeline.chunked_vectors import embed_in_chunks
from training.pipeline.served_model import ServedModel

FARS = (1e-1, 1e-2, 1e-3, 1e-4)


def run(files: Sequence[Path], model: Path, cache: Path | None = None) -> dict[str, Any]:
    """Return the report, whose `benchmarks` are named as the files. Raises TrainingError for models of other crops."""
    served = ServedModel.open(model)
    if not uses_arcface_112(served.manifest):
        raise TrainingError(
            f"{served.manifest.id}: expected a model of ArcFace crops of 112 px, as the files hold them"
        )
    return {"model": served.identity, "benchmarks": {path.stem: _benchmark(path, served, cache) for path in files}}


def _benchmark(path: Path, model: ServedModel, cache: Path | None) -> dict[str, Any]:
    content = read_bin(path)
    digest = hashlib.sha256(b"".join(hashlib.sha256(image).digest() for image in content.images)).hexdigest()
    embeddings = embed_in_chunks(model, len(content.images), content.crops, faces=digest, cache=cache)
    pairs = content.pairs
    distances = embeddings.select(pairs.first).paired_scores(embeddings.select(pairs.second))
    return {**lfw_protocol.report(distances, pairs), "tar": tar_at(distances, pairs.same, FARS)}


def summary(report: dict[str, Any]) -> str:
    return "\n".join(
        f"{name}: accuracy {each['accuracy']['mean']:.4f} +- {each['accuracy']['error']:.4f}, "
        + ", ".join(f"TAR {row['tar']:.4f} at FAR {row['far']:g}" for row in each["tar"] if row["supported"])
        for name, each in report["benchmarks"].items()
    )
