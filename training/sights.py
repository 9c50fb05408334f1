"""
Photos to the one face that the service would take of each, remembered on disk: detection is most of an evaluation's
time, and the same for every embedder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import InputError
from app.domain.models import Box, Face, Floats, Landmarks, Pixels
from app.domain.ports import Aligner
from app.faces import selection
from app.faces.alignment import open_aligner
from app.faces.detector import mtcnn
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions, load_mtcnn
from app.faces.selection import choose
from app.images.decode import ImageLimits, decode
from app.inference.manifest import read_detector
from training.served import DETECTOR, Crops, ServedModel, with_progress

Remembered: TypeAlias = dict[str, list[Any] | None]


@dataclass(frozen=True)
class Sights:
    """N photos, and the face of each; None where there is none, or no photo."""

    paths: tuple[Path, ...]
    faces: tuple[Face | None, ...]

    @property
    def found(self) -> NDArray[np.bool_]:
        return np.array([face is not None for face in self.faces], bool)

    def crops(self, aligner: Aligner, label: str) -> Crops:
        """Of the photos with a face."""
        seen = [(path, face) for path, face in zip(self.paths, self.faces, strict=True) if face]
        cut = with_progress(label, lambda sight: aligner.align(read_photo(sight[0]), sight[1]), seen)
        pixels = [crop.pixels for crop in cut] or [np.empty((0, 0, 0, 3), np.uint8)]
        return Crops(np.stack(pixels), self.found, np.array([crop.inside for crop in cut], np.float32))


class FaceFinder:
    """The served detector and selection. With `memory`, a folder, faces found once are read from there."""

    def __init__(self, models_dir: Path, *, memory: Path | None = None, options: CascadeOptions | None = None) -> None:
        options = options or SERVING_OPTIONS
        self._detector = load_mtcnn(models_dir / DETECTOR, options)
        digest = read_detector(models_dir / DETECTOR).digest
        self._memory = memory / f"faces-{_way_of_looking(digest, options)}.json" if memory else None

    def find(self, photo: Pixels) -> Face | None:
        try:
            return choose(self._detector.detect(photo), "largest", photo.shape[:2])
        except InputError:
            return None

    def find_all(self, paths: Sequence[Path], label: str) -> Sights:
        """Two photos at a time. Unreadable photos have no face."""
        known = _recall(self._memory)
        digests = [_digest(path) for path in paths]
        new = {digest: path for digest, path in zip(digests, paths, strict=True) if digest not in known}
        faces = with_progress(label, self._find_in, list(new.values())) if new else []
        known |= {digest: _to_json(face) for digest, face in zip(new, faces, strict=True)}
        if new:
            _remember(self._memory, known)
        return Sights(tuple(paths), tuple(_from_json(known[digest]) for digest in digests))

    def _find_in(self, path: Path) -> Face | None:
        try:
            return self.find(read_photo(path))
        except InputError:
            return None


def read_photo(path: Path) -> Pixels:
    """Raises InvalidImage and its like."""
    return decode(path.read_bytes(), ImageLimits())


def embed_faces(model: ServedModel, sights: Sights) -> tuple[Floats, Floats]:
    """Of the photos with a face: unit vectors (N, D), and the share of each crop that lies in its photo (N,)."""
    crops = sights.crops(open_aligner(model.manifest), "align")
    return model.embed(crops.pixels, f"embed, {model.manifest.id}"), crops.inside


def _way_of_looking(detector: str, options: CascadeOptions) -> str:
    """Changes with whatever might find another face: the networks, the options, the code."""
    sources = [*sorted(Path(mtcnn.__file__).parent.glob("*.py")), Path(selection.__file__)]
    code = b"".join(path.read_bytes() for path in sources)
    return hashlib.sha256(f"{detector} {options}".encode() + code).hexdigest()[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _recall(memory: Path | None) -> Remembered:
    if memory is None or not memory.exists():
        return {}
    faces: Remembered = json.loads(memory.read_text(encoding="utf-8"))
    return faces


def _remember(memory: Path | None, faces: Remembered) -> None:
    """Whole or not at all."""
    if memory:
        memory.parent.mkdir(parents=True, exist_ok=True)
        partial = memory.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(faces), encoding="utf-8")
        partial.replace(memory)


def _to_json(face: Face | None) -> list[Any] | None:
    if face is None:
        return None
    box = face.box
    refined = face.refined.points.tolist() if face.refined else None
    return [[box.left, box.top, box.right, box.bottom], face.landmarks.points.tolist(), face.confidence, refined]


def _from_json(seen: list[Any] | None) -> Face | None:
    if seen is None:
        return None
    box, points, confidence, refined = seen
    better = Landmarks(np.array(refined, np.float32)) if refined else None
    return Face(Box(*box), Landmarks(np.array(points, np.float32)), confidence, better)
