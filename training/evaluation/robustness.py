"""
`python -m training evaluate sensitivity`: VAL by JPEG quality and by face size, as in table 4 of FaceNet.

Both photos of a pair are compressed to that JPEG quality, or shrunk until the face has that width, and then go through
the served pipeline, detection included. A face that is not found counts as a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from app.domain.arrays import Pixels
from app.domain.faces import Box, Face
from app.faces.alignment import open_aligner
from training.data import augmentation
from training.errors import TrainingError
from training.evaluation import lfw_protocol
from training.evaluation.verification import VerificationTask, pair_scores
from training.pipeline.detection_cache import FaceFinder, read_photo
from training.pipeline.progress import with_progress
from training.pipeline.served_model import ServedModel

QUALITIES = (10, 20, 30, 50, 70, 90)
SIZES = (20, 28, 40, 56, 80)

Change: TypeAlias = Callable[[Pixels, Box], Pixels]
"""Changes a photo, given the box of its face."""


@dataclass(frozen=True)
class Condition:
    """A change of every photo, with its name."""

    kind: str
    value: int | None
    change: Change

    @property
    def name(self) -> str:
        return self.kind if self.value is None else f"{self.kind} {self.value}"


def conditions(qualities: Sequence[int] = QUALITIES, sizes: Sequence[int] = SIZES) -> list[Condition]:
    return [
        Condition("as it is", None, lambda photo, _: photo),
        *[Condition("jpeg_quality", quality, partial(_compress, quality=quality)) for quality in qualities],
        *[Condition("face_width", size, partial(_shrink, width=size)) for size in sizes],
    ]


def run(
    task: VerificationTask, model: ServedModel, finder: FaceFinder, conditions: Sequence[Condition]
) -> dict[str, Any]:
    """Return the report, one row per condition."""
    rows = [_row(task, model, finder, condition) for condition in conditions]
    return {"model": model.identity, "far": lfw_protocol.supported_far(task.pairs), "rows": rows}


def summary(report: dict[str, Any]) -> str:
    return "\n".join(
        f"{row['kind']} {row['value'] or ''}: VAL {row['val']['mean']:.4f} +- {row['val']['error']:.4f} at FAR "
        f"{report['far']:.2g}, accuracy {row['accuracy']['mean']:.4f}, {row['faces_not_found']} faces not found"
        for row in report["rows"]
    )


def _row(task: VerificationTask, model: ServedModel, finder: FaceFinder, condition: Condition) -> dict[str, Any]:
    aligner = open_aligner(model.manifest)

    def crop_of(found: tuple[Path, Face | None]) -> Pixels | None:
        path, known = found
        if known is None:
            return None
        photo = condition.change(read_photo(path), known.box)
        face = finder.find(photo)
        return aligner.align(photo, face).pixels if face else None

    photos = list(zip(task.detected.paths, task.detected.faces, strict=True))
    crops = with_progress(condition.name, crop_of, photos)
    found = np.array([crop is not None for crop in crops], bool)
    if not found.any():
        raise TrainingError(f"no face found: {condition.name}")
    embeddings = model.embed(np.stack([crop for crop in crops if crop is not None]), "embed")
    measured = lfw_protocol.report(pair_scores(embeddings, found, task.pairs), task.pairs)
    return {
        "kind": condition.kind,
        "value": condition.value,
        "faces_not_found": int((~found).sum()),
        **{name: measured[name] for name in ("accuracy", "val", "eer", "auc")},
    }


def _compress(photo: Pixels, _: Box, *, quality: int) -> Pixels:
    return augmentation.jpeg(photo, quality)


def _shrink(photo: Pixels, face: Box, *, width: int) -> Pixels:
    """Shrink the photo until the face is at most `width` px wide."""
    scale = min(1.0, width / face.width)
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
