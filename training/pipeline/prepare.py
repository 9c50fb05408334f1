"""
`python -m training prepare`: align photos, one folder per person, by the served detector and alignment.

A crop is the 112 px aligned face with 16 px more on every side (144 px), so that augmentation can shift, scale and turn
it. The command may be interrupted and run again: existing crops are kept.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from app.domain.errors import InputError
from app.domain.models import Pixels
from app.faces.alignment import ARCFACE_112, LandmarkAligner
from app.faces.detector.mtcnn import cascade_options, load_mtcnn
from app.pipeline import FacePipeline
from training.data.dataset import CROP_SIZE, MARGIN
from training.data.sources import folder_per_person, unused_files
from training.pipeline.progress import progress_bar
from training.pipeline.served_model import DETECTOR

JPEG_QUALITY = 95
REPORT = "prepare.json"


def open_crop_pipeline(models_dir: Path, *, min_face: float | None = None) -> FacePipeline:
    """Return the served pipeline, with crops of 144 px that have a margin round the aligned face."""
    aligner = LandmarkAligner(tuple((x + MARGIN, y + MARGIN) for x, y in ARCFACE_112), CROP_SIZE)
    return FacePipeline(load_mtcnn(models_dir / DETECTOR, cascade_options(min_face)), aligner)


def run(images: Path, output: Path, models_dir: Path, *, min_face: float | None = None) -> dict[str, int]:
    """Write OUTPUT/person/name.jpg for every photo with a face, and prepare.json with the reasons for skipped ones."""
    paths, _ = folder_per_person(images)
    pipeline = open_crop_pipeline(models_dir, min_face=min_face)
    skipped = {str(path.relative_to(images)): reason for path, reason in unused_files(images).items()}
    existing = 0

    def prepare(path: Path) -> bool:
        """Return whether the crop existed before."""
        target = _target(output, path.relative_to(images))
        if target.exists():
            return True
        try:
            (face,) = pipeline.read(path.read_bytes(), "largest").faces
        except (InputError, OSError) as error:
            skipped[str(path.relative_to(images))] = str(error)
        else:
            _write(target, face.crop.pixels)
        return False

    with ThreadPoolExecutor(2) as pool, progress_bar() as progress:
        for existed in progress.track(pool.map(prepare, paths), total=len(paths), description="align"):
            existing += existed
    output.mkdir(parents=True, exist_ok=True)
    counts = {"photos": len(paths), "already_there": existing, "skipped": len(skipped)}
    (output / REPORT).write_text(json.dumps({**counts, "reasons": dict(sorted(skipped.items()))}, indent=2) + "\n")
    return counts


def _target(output: Path, photo: Path) -> Path:
    """Return the crop's path; the suffix stays in the name, because a phone saves IMG_1.jpg beside IMG_1.heic."""
    return output / (photo if photo.suffix == ".jpg" else photo.with_name(f"{photo.name}.jpg"))


def _write(target: Path, pixels: Pixels) -> None:
    """Write the file atomically: a name appears only when its content is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    partial = target.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(encoded.tobytes())
    partial.replace(target)
