"""
`python -m training evaluate finding`: whom the service's way of looking does not find, beside facenet-pytorch's.

Every photo is looked at as it is, smaller, larger, blurred, dark and turned, so that faces fall between the levels of
the pyramid, on them, and at the edge of what can be seen. "Lost" is a photo whose largest face, as the first way finds
it, is not among those of another way.
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

from app.domain.errors import InputError
from app.domain.models import Box, Face, Pixels
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions, load_mtcnn
from training import augmentation
from training.served import DETECTOR, with_progress
from training.sights import read_photo

WAYS: Mapping[str, CascadeOptions] = {
    "facenet-pytorch, from 20 px": CascadeOptions(refine_landmarks=False),
    "facenet-pytorch, from 40 px": CascadeOptions(min_face=SERVING_OPTIONS.min_face, refine_landmarks=False),
    "as served": replace(SERVING_OPTIONS, refine_landmarks=False),
}
ZOOMS = (0.4, 0.55, 0.75, 0.92, 1.25, 1.6, 2.2)
SIGMA, QUALITY, DARK, DEGREES = 2.0, 25, 0.25, 30.0
SAME = 0.4  # overlap (intersection over union) from which on two boxes are one face's

Change: TypeAlias = Callable[[Pixels], Pixels]


@dataclass(frozen=True, slots=True)
class Look:
    """What one way of looking found in a photo, and the CPU seconds that it took."""

    faces: Sequence[Face]
    seconds: float


def changes() -> dict[str, Change]:
    zooms: dict[str, Change] = {f"{zoom:g} times as large": partial(_zoomed, zoom=zoom) for zoom in ZOOMS}
    return {
        "as they are": lambda photo: photo,
        **zooms,
        "blurred, JPEG 25": lambda photo: augmentation.jpeg(augmentation.blur(photo, SIGMA), QUALITY),
        "a quarter as bright": lambda photo: (photo * DARK).astype(np.uint8),
        "turned by 30 degrees": _turned,
    }


def run(images: Path, models_dir: Path, every: int = 1) -> dict[str, Any]:
    """The report, as a document: a row a change, in it an entry a way. Unreadable photos are skipped and counted."""
    paths = sorted(path for path in images.rglob("*") if path.is_file())[::every]
    detectors = {name: load_mtcnn(models_dir / DETECTOR, options) for name, options in WAYS.items()}

    def looks(change: Change, path: Path) -> dict[str, Look] | None:
        try:
            photo = np.ascontiguousarray(change(read_photo(path)))
        except InputError:
            return None
        return {name: _timed(partial(detector.detect, photo)) for name, detector in detectors.items()}

    rows = []
    for name, change in changes().items():
        seen = with_progress(name, partial(looks, change), paths)
        rows.append({"photos": name, **_row([each for each in seen if each])})
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


def _row(seen: Sequence[Mapping[str, Look]]) -> dict[str, Any]:
    first = next(iter(WAYS))
    ways = {
        name: {
            "without_a_face": sum(not looks[name].faces for looks in seen),
            "faces": sum(len(looks[name].faces) for looks in seen),
            "lost": sum(not _has(looks[name].faces, looks[first].faces[:1]) for looks in seen),
            "ms": 1000 * float(np.mean([looks[name].seconds for looks in seen] or [0.0])),
        }
        for name in WAYS
    }
    return {"looked_at": len(seen), "ways": ways}


def _timed(look: Callable[[], list[Face]]) -> Look:
    start = time.thread_time()
    faces = look()
    return Look(faces, time.thread_time() - start)


def _has(found: Sequence[Face], wanted: Sequence[Face]) -> bool:
    return all(any(overlap(face.box, each.box) >= SAME for each in found) for face in wanted)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a.right, b.right) - max(a.left, b.left), min(a.bottom, b.bottom) - max(a.top, b.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a.area + b.area - shared)


def _zoomed(photo: Pixels, zoom: float) -> Pixels:
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=way), np.uint8)


def _turned(photo: Pixels) -> Pixels:
    height, width = photo.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), DEGREES, 1)
    return np.asarray(cv2.warpAffine(photo, turn, (width, height)), np.uint8)
