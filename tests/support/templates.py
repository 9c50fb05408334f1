"""Enrolled faces that were never photographed."""

from dataclasses import replace

import numpy as np

from app.domain.arrays import Floats
from app.domain.embeddings import Embedding, Template
from app.domain.faces import Box, Face, Landmarks, Quality

MODEL = "sha256:" + "a" * 64
DIMENSION = 8
FACE = Face(Box(10.0, 20.0, 110.5, 140.0), Landmarks(np.arange(10, dtype=np.float32).reshape(5, 2)), 0.99)
QUALITY = Quality(size=1.0, sharpness=0.75, frontality=0.5, inside=0.25)


def unit(seed: int, dimension: int = DIMENSION) -> Floats:
    """A unit vector (dimension,) float32, another for every seed."""
    vector = np.random.default_rng(seed).normal(size=dimension)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def template(face_id: str, subject_id: str, vector: Floats, model: str = MODEL) -> Template:
    return Template(face_id, subject_id, Embedding(vector, model), FACE, QUALITY, "2026-01-02T03:04:05.678Z")


def numbered(subject_id: str, *seeds: int) -> list[Template]:
    """Faces `<seed>` of a subject, with the vectors of the seeds."""
    return [template(str(seed), subject_id, unit(seed)) for seed in seeds]


def crop_bytes(seed: int) -> bytes:
    """Return bytes that stand for a kept crop, others for every seed."""
    return b"\xff\xd8\xff" + np.random.default_rng(1000 + seed).bytes(6000)


def with_crops(templates: list[Template]) -> list[Template]:
    """The templates of `numbered`, each with a crop of its own."""
    return [replace(each, crop=crop_bytes(int(each.face_id))) for each in templates]
