"""Photos cut as tightly round the face as others are, ways to find landmarks in them, and what to put beyond them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.models import Face, Floats, Pixels
from app.faces.alignment import ARCFACE_112, share_inside, similarity_transform
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions
from training.sights import FaceFinder, Sights, read_photo

SIZE = 112
TEMPLATE = np.array(ARCFACE_112, np.float32)
CHIP = 200  # pixels of a cut photo's side, as UTKFace has them
PADDING = 0.5  # of the longer side, all round
BORDERS = {
    "black": (cv2.BORDER_CONSTANT, 0),
    "grey": (cv2.BORDER_CONSTANT, 127),
    "replicated": (cv2.BORDER_REPLICATE, 0),
    "reflected": (cv2.BORDER_REFLECT_101, 0),
}

Points: TypeAlias = NDArray[np.float32]
Finder: TypeAlias = Callable[[Pixels, Points], Points | None]
"""Landmarks (5, 2) of a photo, given the true ones."""


class View(NamedTuple):
    """An aligned crop, its share inside the photo, and how far its landmarks are off, in its pixels."""

    pixels: Pixels
    inside: float
    off: float


@dataclass(frozen=True)
class Scene:
    """A photo, and where its landmarks are as far as anybody knows."""

    photo: Pixels
    points: Points


def finders(models_dir: Path) -> dict[str, Finder]:
    """Ways to come by landmarks; the first knows them."""
    theirs = FaceFinder(models_dir, options=CascadeOptions(min_face=SERVING_OPTIONS.min_face, refine_landmarks=False))
    ours = FaceFinder(models_dir)
    return {
        "known": lambda _, points: points,
        "facenet-pytorch's": lambda photo, _: _points(theirs.find(photo)),
        "second look": lambda photo, _: _points(ours.find(photo)),
        **{f"photo padded, {name}": _padding(theirs, name) for name in BORDERS},
    }


def cut(scene: Scene, place: Floats | None) -> Scene:
    """
    The photo cut out as `place` says, (3,): where the cut's centre lies in the aligned crop, x and y, and how long its
    sides are there, in the crop's pixels.
    """
    if place is None:
        return scene
    transform = similarity_transform(scene.points, TEMPLATE)
    inverse = cv2.invertAffineTransform(transform)
    centre = inverse[:, :2] @ place[:2] + inverse[:, 2]
    zoom = CHIP * float(np.hypot(*transform[0, :2])) / float(place[2])
    middle = (CHIP - 1) / 2
    change = np.array([[zoom, 0, middle - zoom * centre[0]], [0, zoom, middle - zoom * centre[1]]])
    photo = np.asarray(cv2.warpAffine(scene.photo, change, (CHIP, CHIP), flags=cv2.INTER_LINEAR), np.uint8)
    return Scene(photo, (scene.points * zoom + change[:, 2]).astype(np.float32))


def places_of(sights: Sights) -> Floats:
    """Where the photos of `sights` lie in their aligned crops, (N, 3), as `cut` wants it; turns are left out."""
    places = []
    for path, face in zip(sights.paths, sights.faces, strict=True):
        if face:
            height, width = read_photo(path).shape[:2]
            transform = similarity_transform(face.points, TEMPLATE)
            centre = transform[:, :2] @ np.array([(width - 1) / 2, (height - 1) / 2]) + transform[:, 2]
            places.append([*centre, max(width, height) * np.hypot(*transform[0, :2])])
    return np.array(places, np.float32)


def view_of(scene: Scene, found: Finder, border: str) -> View | None:
    points = found(scene.photo, scene.points)
    if points is None:
        return None
    mode, grey = BORDERS[border]
    transform = similarity_transform(points, TEMPLATE)
    pixels = cv2.warpAffine(
        scene.photo, transform, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=(grey,) * 3
    )
    true = similarity_transform(scene.points, TEMPLATE)
    off = float(np.hypot(*true[0, :2]) * np.sqrt(((points - scene.points) ** 2).sum(axis=1).mean()))
    return View(np.asarray(pixels, np.uint8), share_inside(transform, SIZE, scene.photo.shape[:2]), off)


def _padding(finder: FaceFinder, border: str) -> Finder:
    mode, grey = BORDERS[border]

    def find(photo: Pixels, _: Points) -> Points | None:
        side = round(PADDING * max(photo.shape[:2]))
        padded = cv2.copyMakeBorder(photo, side, side, side, side, mode, value=(grey,) * 3)
        points = _points(finder.find(np.asarray(padded, np.uint8)))
        return None if points is None else points - np.float32(side)

    return find


def _points(face: Face | None) -> Points | None:
    return None if face is None else face.points
