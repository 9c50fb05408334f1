"""The vectors of more faces than fit in memory as pixels, in chunks; a stopped command goes on at its chunk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.domain.arrays import Floats, Pixels
from training.pipeline.embeddings import Embeddings
from training.pipeline.served_model import ServedModel

CHUNK = 1024


def embed_in_chunks(
    model: ServedModel, count: int, crops: Callable[[range], Pixels], *, faces: str, cache: Path | None = None
) -> Embeddings:
    """
    Return the embeddings of `count` faces, whose crops (C, size, size, 3) the function `crops` reads.

    With `cache`, a folder, each chunk is a file there, under a name made of the model's digest and of `faces`, which
    identifies the faces and their order.
    """
    name = hashlib.sha256(f"{model.manifest.file.digest} {faces} {count}".encode()).hexdigest()[:16]
    starts = range(0, count, CHUNK)
    chunks = []
    for number, start in enumerate(starts):
        file = cache / f"chunks-{name}" / f"{number:06d}.npy" if cache else None
        label = f"embed, part {number + 1} of {len(starts)}"
        chunks.append(_chunk(model, crops, range(start, min(start + CHUNK, count)), file, label))
    vectors = np.concatenate([np.empty((0, model.manifest.dimension), np.float32), *chunks])
    return Embeddings(vectors, model.offsets.of(vectors))


def _chunk(model: ServedModel, crops: Callable[[range], Pixels], faces: range, file: Path | None, label: str) -> Floats:
    if file and file.exists():
        return np.asarray(np.load(file), np.float32)
    vectors = model.embed(crops(faces), label).vectors
    if file:
        _write(file, vectors)
    return vectors


def _write(file: Path, vectors: Floats) -> None:
    """Write the file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.npy")
    np.save(partial, vectors)
    partial.replace(file)
