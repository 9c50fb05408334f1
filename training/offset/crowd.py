"""The crowd: vectors of strangers, and how crowded the space round a face is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from training.data.sources import images_in, subfolders
from training.errors import TrainingError
from training.pipeline.detection_cache import FaceFinder, embed_faces
from training.pipeline.served_model import ServedModel

_ROWS = 1024  # faces compared with the crowd at a time


class UnusableCrowd(TrainingError):
    """A folder has no photos, or the crowd is too small."""


@dataclass(frozen=True)
class CrowdFaces:
    """
    Vectors of the faces found in `photos` photos: of strangers (M, D), and of the operator's own people (E, D).

    `others` (F, D) do not belong to the crowd; the network is fitted to their offsets as well.
    """

    strangers: Floats
    own_people: Floats
    others: Floats
    photos: int


def read_crowd(
    crowd: Sequence[Path], extra: Sequence[Path], fit_at: Sequence[Path], model: ServedModel, finder: FaceFinder
) -> CrowdFaces:
    """
    Embed every photo below the folders `crowd` and `fit_at`, and one photo of each person below `extra`.

    Raises UnusableCrowd.
    """
    strangers, others = ([path for each in folders for path in _all_in(each)] for folders in (crowd, fit_at))
    own = [path for folder in extra for path in _photos_in(folder, one_per_person(folder))]
    return CrowdFaces(
        strangers=_vectors(strangers, model, finder, "crowd"),
        own_people=_vectors(own, model, finder, "own people"),
        others=_vectors(others, model, finder, "others"),
        photos=len(strangers) + len(own),
    )


def one_per_person(folder: Path) -> list[Path]:
    """Return the first photo of each subfolder, which is a person, and every photo that lies in no subfolder."""
    loose = [path for path in images_in(folder) if path.parent == folder]
    return loose + [photos[0] for person in subfolders(folder) if (photos := images_in(person))]


def mean_cosine_to_nearest(
    vectors: Floats, crowd: Floats, nearest: int, excluded: NDArray[np.int64] | None = None
) -> Floats:
    """
    Return the mean cosine of each unit vector (N, D) to its `nearest` vectors of the crowd (M, D), (N,).

    `excluded` (N, E) are the rows of the crowd that do not count for each vector, such as its own.
    """
    parts = []
    for start in range(0, len(vectors), _ROWS):
        cosines = vectors[start : start + _ROWS] @ crowd.T  # (n, M)
        if excluded is not None:
            np.put_along_axis(cosines, excluded[start : start + _ROWS], -np.inf, axis=1)
        parts.append(np.partition(cosines, -nearest, axis=1)[:, -nearest:].mean(axis=1))
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _all_in(folder: Path) -> list[Path]:
    return _photos_in(folder, images_in(folder))


def _photos_in(folder: Path, photos: list[Path]) -> list[Path]:
    if not photos:
        raise UnusableCrowd(f"expected photos of people in {folder}, got none")
    return photos


def _vectors(paths: Sequence[Path], model: ServedModel, finder: FaceFinder, label: str) -> Floats:
    """Return the vectors (N, D) of the largest face of each photo that has one; equal faces count once."""
    detected = finder.find_all(paths, f"detect, {label}")
    if not detected.found.any():
        return np.empty((0, model.manifest.dimension), np.float32)
    vectors = embed_faces(model, detected)[0].vectors
    return vectors[np.sort(np.unique(vectors, axis=0, return_index=True)[1])]
