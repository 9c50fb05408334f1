"""
`python -m training evaluate detection-recall`: the faces that the served detector misses, beside facenet-pytorch's.

Every photo is used as it is, smaller, larger, blurred, dark and rotated, so that faces lie between the levels of the
image pyramid, on them, and at the limits of detection. A photo is "lost" if its largest face according to the first
detector is not among those of another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from app.domain.arrays import Pixels
from app.domain.errors import InputError
from app.domain.faces import Box, Face
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions, load_mtcnn
from training.data import augmentation
from training.pipeline.detection_cache import read_photo
from training.pipeline.progress import with_progress
from training.pipeline.served_model import DETECTOR

DETECTORS: Mapping[str, CascadeOptions] = {
    "facenet-pytorch, from 20 px": CascadeOptions(refine_landmarks=False),
    "facenet-pytorch, from 40 px": CascadeOptions(min_face=SERVING_OPTIONS.min_face, refine_landmarks=False),
    "as served": replace(SERVING_OPTIONS, refine_landmarks=False),
}
ZOOMS = (0.4, 0.55, 0.75, 0.92, 1.25, 1.6, 2.2)
SIGMA, QUALITY, DARK, DEGREES = 2.0, 25, 0.25, 30.0
SAME_FACE = 0.4  # two boxes of at least this intersection over union are of one face

Change: TypeAlias = Callable[[Pixels], Pixels]


@dataclass(frozen=True, slots=True)
class Detection:
    """The faces that a detector found in a photo, and the CPU seconds that it took."""

    faces: Sequence[Face]
    seconds: float


def changes() -> dict[str, Change]:
    zooms: dict[str, Change] = {f"{zoom:g} times as large": partial(_resized, zoom=zoom) for zoom in ZOOMS}
    return {
        "as they are": lambda photo: photo,
        **zooms,
        "blurred, JPEG 25": lambda photo: augmentation.jpeg(augmentation.blur(photo, SIGMA), QUALITY),
        "a quarter as bright": lambda photo: (photo * DARK).astype(np.uint8),
        "turned by 30 degrees": _rotated,
    }


def run(images: Path, models_dir: Path, every: int = 1) -> dict[str, Any]:
    """Return the report, a row per change with an entry per detector. Unreadable photos are skipped and counted."""
    paths = sorted(path for path in images.rglob("*") if path.is_file())[::every]
    detectors = {name: load_mtcnn(models_dir / DETECTOR, options) for name, options in DETECTORS.items()}

    def detect(change: Change, path: Path) -> dict[str, Detection] | None:
        try:
            photo = np.ascontiguousarray(change(read_photo(path)))
        except InputError:
            return None
        return {name: _timed(partial(detector.detect, photo)) for name, detector in detectors.items()}

    rows = []
    for name, change in changes().items():
        detections = with_progress(name, partial(detect, change), paths)
        rows.append({"photos": name, **_row([each for each in detections if each])})
    return {"images": len(paths), "unreadable": len(paths) - rows[0]["looked_at"] if rows else 0, "rows": rows}


def summary(report: dict[str, Any]) -> str:
    lines = []
    for row in report["rows"]:
        ways = [
            f"{name}: {way['without_a_face']} without a face, {way['lost']} lost, {way['ms']:.1f} ms"
            for name, way in row["ways"].items()
        ]
        lines.append(f"{row['photos']} ({row['looked_at']}): " + "; ".join(ways))
    return "\n".join(lines)


def _row(photos: Sequence[Mapping[str, Detection]]) -> dict[str, Any]:
    first = next(iter(DETECTORS))
    ways = {
        name: {
            "without_a_face": sum(not photo[name].faces for photo in photos),
            "faces": sum(len(photo[name].faces) for photo in photos),
            "lost": sum(not _contains(photo[name].faces, photo[first].faces[:1]) for photo in photos),
            "ms": 1000 * float(np.mean([photo[name].seconds for photo in photos] or [0.0])),
        }
        for name in DETECTORS
    }
    return {"looked_at": len(photos), "ways": ways}


def _timed(detect: Callable[[], list[Face]]) -> Detection:
    start = time.thread_time()
    faces = detect()
    return Detection(faces, time.thread_time() - start)


def _contains(found: Sequence[Face], expected: Sequence[Face]) -> bool:
    return all(any(intersection_over_union(face.box, each.box) >= SAME_FACE for each in found) for face in expected)


def intersection_over_union(a: Box, b: Box) -> float:
    width, height = min(a.right, b.right) - max(a.left, b.left), min(a.bottom, b.bottom) - max(a.top, b.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a.area + b.area - shared)


def _resized(photo: Pixels, zoom: float) -> Pixels:
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=method), np.uint8)


def _rotated(photo: Pixels) -> Pixels:
    height, width = photo.shape[:2]
    rotation = cv2.getRotationMatrix2D((width / 2, height / 2), DEGREES, 1)
    return np.asarray(cv2.warpAffine(photo, rotation, (width, height)), np.uint8)
