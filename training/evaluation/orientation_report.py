"""`python -m training evaluate orientation`: whether turned photos without EXIF are turned back, at what cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.domain.errors import InputError
from app.domain.ports import Detector
from app.faces.detector.mtcnn import SERVING_OPTIONS, load_mtcnn
from app.faces.orientation import Orientation, detect_upright
from training.pipeline.detection_cache import read_photo
from training.pipeline.progress import with_progress
from training.pipeline.served_model import DETECTOR

TURNS = (0, 90, 180, 270)
ORIENTATIONS: tuple[Orientation, ...] = ("exif", "auto")


def run(images: Path, models_dir: Path, every: int = 1) -> dict[str, Any]:
    """Return the outcomes of each turn of every photo, which is taken to be upright. Unreadable photos are skipped."""
    paths = sorted(path for path in images.rglob("*") if path.is_file())[::every]
    detector = load_mtcnn(models_dir / DETECTOR, SERVING_OPTIONS)
    rows = []
    for degrees in TURNS:
        outcomes = with_progress(f"turned by {degrees}", partial(_examine, detector, degrees), paths)
        rows.append({"turned_by": degrees, **_row([each for each in outcomes if each])})
    return {"images": len(paths), "rows": rows}


def summary(report: dict[str, Any]) -> str:
    return "\n".join(
        f"turned by {row['turned_by']} degrees ({row['photos']}): "
        + "; ".join(
            f"{name}: {counts['upright']} upright, {counts['wrong']} at a wrong turn, {counts['none']} without a face, "
            f"{counts['ms']:.1f} ms"
            for name, counts in row["orientations"].items()
        )
        for row in report["rows"]
    )


def _examine(detector: Detector, degrees: int, path: Path) -> dict[str, tuple[str, float]] | None:
    """Return the outcome and the CPU seconds of each orientation; None if the photo cannot be read."""
    try:
        photo = np.ascontiguousarray(np.rot90(read_photo(path), -degrees // 90))
    except InputError:
        return None
    found: dict[str, tuple[str, float]] = {}
    for orientation in ORIENTATIONS:
        start = time.thread_time()
        faces = detect_upright(detector, photo, orientation)
        seconds = time.thread_time() - start
        upright = bool(faces) and faces[0].rotated == -degrees % 360
        found[orientation] = ("upright" if upright else "wrong" if faces else "none", seconds)
    return found


def _row(photos: list[Mapping[str, tuple[str, float]]]) -> dict[str, Any]:
    counts = {}
    for name in ORIENTATIONS:
        outcomes = Counter(photo[name][0] for photo in photos)
        seconds = [photo[name][1] for photo in photos]
        counts[name] = {
            **{outcome: outcomes[outcome] for outcome in ("upright", "wrong", "none")},
            "ms": 1000 * float(np.mean(seconds or [0.0])),
        }
    return {"photos": len(photos), "orientations": counts}
