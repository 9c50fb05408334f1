"""
The face that the service would use of each photo, cached on disk: detection takes most of an evaluation's time, and is
the same for every embedder.
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

from app.domain.arrays import Floats, Pixels
from app.domain.errors import InputError
from app.domain.faces import Box, Face, Landmarks
from app.domain.ports import Aligner
from app.faces import orientation, selection
from app.faces.alignment import LandmarkAligner, open_aligner
from app.faces.detector import mtcnn
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions, load_mtcnn
from app.images.decode import ImageLimits, decode
from app.inference.manifest import read_detector
from app.pipeline import FacePipeline
from training.pipeline.embeddings import Embeddings
from training.pipeline.progress import with_progress
from training.pipeline.served_model import DETECTOR, Crops, ServedModel

CachedFaces: TypeAlias = dict[str, list[Any] | None]
CHUNK = 1024
"""Photos between two writes of the cache."""


@dataclass(frozen=True)
class DetectedFaces:
    """N photos and the face of each; None if no face was found or the photo cannot be read."""

    paths: tuple[Path, ...]
    faces: tuple[Face | None, ...]
    pipeline: FacePipeline

    @property
    def found(self) -> NDArray[np.bool_]:
        return np.array([face is not None for face in self.faces], bool)

    def crops(self, aligner: Aligner, label: str) -> Crops:
        """Align the faces that were found."""
        found = [(path, face) for path, face in zip(self.paths, self.faces, strict=True) if face]
        pipeline = self.pipeline.with_aligner(aligner)
        crops = with_progress(label, lambda each: pipeline.align(read_photo(each[0]), each[1]).crop, found)
        pixels = [crop.pixels for crop in crops] or [np.empty((0, 0, 0, 3), np.uint8)]
        return Crops(np.stack(pixels), self.found, np.array([crop.inside for crop in crops], np.float32))


class FaceFinder:
    """The served detector and selection; with `cache`, a folder, faces that were found before are read from there."""

    def __init__(self, models_dir: Path, *, cache: Path | None = None, options: CascadeOptions | None = None) -> None:
        options = options or SERVING_OPTIONS
        self._pipeline = FacePipeline(load_mtcnn(models_dir / DETECTOR, options), LandmarkAligner())
        digest = read_detector(models_dir / DETECTOR).digest
        self._cache = cache / f"faces-{_detection_digest(digest, options)}.json" if cache else None

    def find(self, photo: Pixels) -> Face | None:
        try:
            return self._pipeline.locate(photo, "largest")
        except InputError:
            return None

    def find_all(self, paths: Sequence[Path], label: str) -> DetectedFaces:
        """Find the face of each photo, two photos at a time. Unreadable photos have none."""
        known = _read_cache(self._cache)
        digests = [_digest(path) for path in paths]
        photos = {digest: path for digest, path in zip(digests, paths, strict=True) if digest not in known}
        new = list(photos.items())
        for start in range(0, len(new), CHUNK):
            chunk = new[start : start + CHUNK]
            faces = with_progress(_part(label, start, len(new)), self._find_in, [path for _, path in chunk])
            known |= {digest: _to_json(face) for (digest, _), face in zip(chunk, faces, strict=True)}
            _write_cache(self._cache, known)
        return DetectedFaces(tuple(paths), tuple(_from_json(known[digest]) for digest in digests), self._pipeline)

    def _find_in(self, path: Path) -> Face | None:
        try:
            return self.find(read_photo(path))
        except InputError:
            return None


def read_photo(path: Path) -> Pixels:
    """Decode a photo as the service does. Raises InvalidImage or another InputError."""
    return decode(path.read_bytes(), ImageLimits())


def embed_faces(model: ServedModel, detected: DetectedFaces) -> tuple[Embeddings, Floats]:
    """Return the embeddings of the faces found, and the share of each crop that lies inside its photo (N,)."""
    crops = detected.crops(open_aligner(model.manifest), "align")
    return model.embed(crops.pixels, f"embed, {model.manifest.id}"), crops.inside


def _part(label: str, start: int, count: int) -> str:
    return label if count <= CHUNK else f"{label}, {start + 1} to {min(start + CHUNK, count)} of {count}"


def _detection_digest(detector: str, options: CascadeOptions) -> str:
    """Return a digest of whatever decides which face is found: the networks, the options, the code."""
    sources = [*sorted(Path(mtcnn.__file__).parent.glob("*.py")), Path(selection.__file__), Path(orientation.__file__)]
    code = b"".join(path.read_bytes() for path in sources)
    return hashlib.sha256(f"{detector} {options}".encode() + code).hexdigest()[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_cache(cache: Path | None) -> CachedFaces:
    if cache is None or not cache.exists():
        return {}
    faces: CachedFaces = json.loads(cache.read_text(encoding="utf-8"))
    return faces


def _write_cache(cache: Path | None, faces: CachedFaces) -> None:
    """Write the file atomically."""
    if cache:
        cache.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(faces), encoding="utf-8")
        partial.replace(cache)


def _to_json(face: Face | None) -> list[Any] | None:
    if face is None:
        return None
    box = face.box
    refined = face.refined.points.tolist() if face.refined else None
    corners = [box.left, box.top, box.right, box.bottom]
    return [corners, face.landmarks.points.tolist(), face.confidence, refined, face.rotated]


def _from_json(cached: list[Any] | None) -> Face | None:
    if cached is None:
        return None
    box, points, confidence, refined, rotated = cached
    refined_landmarks = Landmarks(np.array(refined, np.float32)) if refined else None
    return Face(Box(*box), Landmarks(np.array(points, np.float32)), confidence, refined_landmarks, rotated=rotated)
