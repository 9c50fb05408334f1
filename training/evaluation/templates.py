"""
`python -m training evaluate templates`: the protocols of IJB-B and IJB-C, 1:1 and 1:N.

A template is several photos of one person. A face counts by its
detection score, the faces of one medium (a video, or a photo) are averaged, the media of a template are added, and the
sum is divided by its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
from training.evaluation.template_lists import (
    Numbers,
    TemplateFaces,
    TemplatePairs,
    UnusableTemplates,
    read_faces,
    read_template_pairs,
)
from training.evaluation.template_search import People, identification, read_people
from training.pipeline.chunked_vectors import embed_in_chunks
from training.pipeline.detection_cache import read_photo
from training.pipeline.progress import with_progress
from training.pipeline.served_model import ServedModel

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
_PAIRS = 100_000
"""Pairs whose vectors are in memory at once."""


@dataclass(frozen=True)
class TemplateTask:
    """Faces, and what is measured of their templates: pairs (1:1), or probes in galleries (1:N), or both."""

    faces: TemplateFaces
    pairs: TemplatePairs | None = None
    galleries: tuple[People, ...] = ()
    probes: People | None = None


def read_task(
    faces: Path, media: Path, pairs: Path | None = None, galleries: Sequence[Path] = (), probes: Path | None = None
) -> TemplateTask:
    """Read the lists. Raises UnusableTemplates."""
    if bool(galleries) != bool(probes) or not (pairs or probes):
        raise UnusableTemplates("expected --pairs, or --gallery and --probes, or all three")
    task = TemplateTask(
        read_faces(faces, media),
        read_template_pairs(pairs) if pairs else None,
        tuple(map(read_people, galleries)),
        read_people(probes) if probes else None,
    )
    if task.pairs:
        task.faces.check_known(np.concatenate([task.pairs.first, task.pairs.second]), str(pairs))
    for people in (*task.galleries, *([task.probes] if task.probes else [])):
        task.faces.check_known(people.templates, people.name)
    return task


def run(
    task: TemplateTask, images: Path, model: Path, *, use_scores: bool = True, cache: Path | None = None
) -> dict[str, Any]:
    """Return TAR at FAR over all pairs of templates, and the rates of searches."""
    served, faces = ServedModel.open(model), task.faces
    vectors = _vectors(faces, images, served, cache)
    weighted = vectors * faces.scores[:, None] if use_scores else vectors
    names, templates = pooled(weighted, faces.template_of, faces.medium_of)
    report = {
        "model": served.identity,
        "faces": len(faces.images),
        "templates": len(names),
        "detection_scores": use_scores,
    }
    if task.pairs:
        report |= _verification(names, templates, task.pairs)
    if task.probes:
        report["identification"] = identification(names, templates, task.galleries, task.probes)
    return report


def _verification(names: Numbers, templates: Floats, pairs: TemplatePairs) -> dict[str, Any]:
    distances = _distances(templates, np.searchsorted(names, pairs.first), np.searchsorted(names, pairs.second))
    return {
        "pairs": {"genuine": int(pairs.same.sum()), "impostor": int((~pairs.same).sum())},
        "tar": tar_at(distances, pairs.same, FARS),
    }


def pooled(vectors: Floats, template_of: Numbers, medium_of: Numbers) -> tuple[Numbers, Floats]:
    """Return the numbers of the templates (T,), ascending, and their unit vectors (T, D)."""
    media, index = np.unique(np.stack([template_of, medium_of], axis=1), axis=0, return_inverse=True)
    means = _sums(vectors, index.ravel(), len(media)) / np.bincount(index.ravel())[:, None]  # (M, D)
    names, template = np.unique(media[:, 0], return_inverse=True)
    sums = _sums(means, template, len(names))  # (T, D)
    return names, (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)


def summary(report: dict[str, Any]) -> str:
    rates = [f"TAR {row['tar']:.4f} at FAR {row['far']:g}" for row in report.get("tar", []) if row["supported"]]
    if search := report.get("identification"):
        rates += [f"rank {rank} {share:.4f}" for rank, share in search["rank"].items()]
        rates += [f"TPIR {row['tpir']:.4f} at FPIR {row['fpir']:g}" for row in search["tpir"] if row["supported"]]
    return f"{report['model']['id']}: {report['faces']} faces in {report['templates']} templates: {', '.join(rates)}"


def _vectors(faces: TemplateFaces, images: Path, model: ServedModel, cache: Path | None) -> Floats:
    if not isinstance(model.manifest.alignment, LandmarkAlignment):
        raise TrainingError(f"{model.manifest.id}: expected a model that aligns faces by landmarks")
    aligner = open_aligner(model.manifest)

    def crop(number: int) -> Pixels:
        photo = read_photo(images / faces.images[number])
        box = Box(0, 0, photo.shape[1], photo.shape[0])
        return aligner.align(photo, Face(box, Landmarks(faces.landmarks[number]), float(faces.scores[number]))).pixels

    def crops(chunk: range) -> Pixels:
        return np.stack(with_progress("align", crop, chunk))

    digest = hashlib.sha256("\n".join(faces.images).encode() + faces.landmarks.tobytes()).hexdigest()
    return embed_in_chunks(model, len(faces.images), crops, faces=digest, cache=cache).vectors


def _sums(vectors: Floats | NDArray[np.float64], group_of: NDArray[np.intp], groups: int) -> NDArray[np.float64]:
    sums = np.zeros((groups, vectors.shape[1]))
    np.add.at(sums, group_of, vectors)
    return sums


def _distances(vectors: Floats, first: Numbers, second: Numbers) -> Floats:
    """Return the squared distance of each pair of unit vectors, (P,)."""
    chunks = [slice(start, start + _PAIRS) for start in range(0, len(first), _PAIRS)]
    cosines = [np.einsum("pd,pd->p", vectors[first[chunk]], vectors[second[chunk]]) for chunk in chunks]
    return np.asarray(2 - 2 * np.concatenate(cosines), np.float32)
