"""
`python -m training evaluate templates`: the 1:1 protocol of IJB-B and IJB-C.

A template is several photos of one person. The three lists are those that InsightFace publishes. A face counts by its
detection score, the faces of one medium (a video, or a photo) are averaged, the media of a template are added, and the
sum is divided by its length.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats, Pixels
from app.domain.faces import Box, Face, Landmarks
from app.faces.alignment import open_aligner
from app.inference.manifest import LandmarkAlignment
from training.errors import TrainingError
from training.evaluation.rates_at import tar_at
from training.pipeline.chunked_vectors import embed_in_chunks
from training.pipeline.detection_cache import read_photo
from training.pipeline.progress import with_progress
from training.pipeline.served_model import ServedModel

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_PAIRS = 100_000
"""Pairs whose vectors are in memory at once."""

Numbers = NDArray[np.int64]


class UnusableTemplates(TrainingError):
    """A list of the protocol cannot be used; the message names it, and the line."""


@dataclass(frozen=True)
class TemplateTask:
    """N faces with their landmarks (N, 5, 2), detection scores, templates and media, and pairs of templates."""

    images: tuple[str, ...]
    landmarks: Floats
    scores: Floats
    template_of: Numbers
    medium_of: Numbers
    first: Numbers
    second: Numbers
    same: NDArray[np.bool_]


def read_task(faces: Path, media: Path, pairs: Path) -> TemplateTask:
    """
    Read `image x1 y1 ... x5 y5 score`, `image template medium` (both in one order) and `template template 1`.

    Raises UnusableTemplates.
    """
    rows, media_rows = _rows(faces, 12), _rows(media, 3)
    images = tuple(row[0] for row in rows)
    if images != tuple(row[0] for row in media_rows):
        raise UnusableTemplates(f"expected {faces} and {media} to list the same images in one order")
    numbers = _numbers(faces, [row[1:] for row in rows]).astype(np.float32)  # (N, 11)
    template_of, medium_of = _numbers(media, [row[1:] for row in media_rows]).astype(np.int64).T
    first, second, same = _pairs(pairs).T
    if unknown := np.setdiff1d(np.concatenate([first, second]), template_of).tolist():
        raise UnusableTemplates(f"{pairs}: {len(unknown)} templates have no image, such as {unknown[0]}")
    if not 0 < same.sum() < len(same):
        raise UnusableTemplates(f"{pairs}: expected genuine and impostor pairs")
    points = numbers[:, :10].reshape(-1, 5, 2)
    return TemplateTask(images, points, numbers[:, 10], template_of, medium_of, first, second, same == 1)


def run(
    task: TemplateTask, images: Path, model: Path, *, use_scores: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Return TAR at FAR over all pairs of templates."""
    served = ServedModel.open(model)
    vectors = _vectors(task, images, served, cache)
    weighted = vectors * task.scores[:, None] if use_scores else vectors
    names, templates = pooled(weighted, task.template_of, task.medium_of)
    distances = _distances(templates, np.searchsorted(names, task.first), np.searchsorted(names, task.second))
    return {
        "model": served.identity,
        "faces": len(task.images),
        "templates": len(names),
        "pairs": {"genuine": int(task.same.sum()), "impostor": int((~task.same).sum())},
        "detection_scores": use_scores,
        "tar": tar_at(distances, task.same, FARS),
    }


def pooled(vectors: Floats, template_of: Numbers, medium_of: Numbers) -> tuple[Numbers, Floats]:
    """Return the numbers of the templates (T,), ascending, and their unit vectors (T, D)."""
    media, index = np.unique(np.stack([template_of, medium_of], axis=1), axis=0, return_inverse=True)
    means = _sums(vectors, index.ravel(), len(media)) / np.bincount(index.ravel())[:, None]  # (M, D)
    names, template = np.unique(media[:, 0], return_inverse=True)
    sums = _sums(means, template, len(names))  # (T, D)
    return names, (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)


def summary(report: dict[str, Any]) -> str:
    rates = (f"TAR {row['tar']:.4f} at FAR {row['far']:g}" for row in report["tar"] if row["supported"])
    return f"{report['model']['id']}: {report['faces']} faces in {report['templates']} templates: {', '.join(rates)}"


def _vectors(task: TemplateTask, images: Path, model: ServedModel, cache: Path | None) -> Floats:
    if not isinstance(model.manifest.alignment, LandmarkAlignment):
        raise TrainingError(f"{model.manifest.id}: expected a model that aligns faces by landmarks")
    aligner = open_aligner(model.manifest)

    def crop(number: int) -> Pixels:
        photo = read_photo(images / task.images[number])
        box = Box(0, 0, photo.shape[1], photo.shape[0])
        return aligner.align(photo, Face(box, Landmarks(task.landmarks[number]), float(task.scores[number]))).pixels

    def crops(chunk: range) -> Pixels:
        return np.stack(with_progress("align", crop, chunk))

    digest = hashlib.sha256("\n".join(task.images).encode() + task.landmarks.tobytes()).hexdigest()
    return embed_in_chunks(model, len(task.images), crops, faces=digest, cache=cache).vectors


def _sums(vectors: Floats | NDArray[np.float64], group_of: NDArray[np.intp], groups: int) -> NDArray[np.float64]:
    sums = np.zeros((groups, vectors.shape[1]))
    np.add.at(sums, group_of, vectors)
    return sums


def _distances(vectors: Floats, first: Numbers, second: Numbers) -> Floats:
    """Return the squared distance of each pair of unit vectors, (P,)."""
    chunks = [slice(start, start + _PAIRS) for start in range(0, len(first), _PAIRS)]
    cosines = [np.einsum("pd,pd->p", vectors[first[chunk]], vectors[second[chunk]]) for chunk in chunks]
    return np.asarray(2 - 2 * np.concatenate(cosines), np.float32)


def _rows(path: Path, columns: int) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableTemplates(f"cannot read {path}: {error}") from error
    rows = [line.split() for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise UnusableTemplates(f"{path}, line {number}: expected {columns} columns, got {len(row)}")
    return rows


def _pairs(path: Path) -> Numbers:
    """Return two templates and 1 or 0 in each row; IJB-C has 16 million rows."""
    try:
        numbers = np.loadtxt(path, dtype=np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise UnusableTemplates(f"cannot read {path}: {error}") from error
    if numbers.shape[1:] != (3,):
        raise UnusableTemplates(f"{path}: expected 3 columns, got {numbers.shape[1]}")
    return numbers


def _numbers(path: Path, rows: list[list[str]]) -> NDArray[np.float64]:
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise UnusableTemplates(f"{path}: expected numbers: {error}") from error
