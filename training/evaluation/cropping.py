"""Photos cropped as tightly round the face as others, ways to find landmarks in them, and what to put beyond them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats, Pixels
from app.domain.faces import Face
from app.faces.alignment import ARCFACE_112, share_inside, similarity_transform
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions
from training.pipeline.detection_cache import DetectedFaces, FaceFinder, read_photo

SIZE = 112
TEMPLATE = np.array(ARCFACE_112, np.float32)
CROPPED_SIZE = 200  # pixels of a cropped photo's side, as in UTKFace
PADDING = 0.5  # of the longer side, on every side
BORDERS = {
    "black": (cv2.BORDER_CONSTANT, 0),
    "grey": (cv2.BORDER_CONSTANT, 127),
    "replicated": (cv2.BORDER_REPLICATE, 0),
    "reflected": (cv2.BORDER_REFLECT_101, 0),
}

Points: TypeAlias = NDArray[np.float32]
LandmarkFinder: TypeAlias = Callable[[Pixels, Points], Points | None]
"""Finds landmarks (5, 2) in a photo; the true ones are given too."""


class MeasuredCrop(NamedTuple):
    """An aligned crop, the share of it inside the photo, and the error of its landmarks, in its pixels."""

    pixels: Pixels
    inside: float
    landmark_error: float


@dataclass(frozen=True)
class LandmarkedPhoto:
    """A photo and its landmarks, as well as they are known."""

    photo: Pixels
    points: Points


def landmark_finders(models_dir: Path) -> dict[str, LandmarkFinder]:
    """Return the ways to find landmarks; the first takes the true ones."""
    facenet = FaceFinder(models_dir, options=CascadeOptions(min_face=SERVING_OPTIONS.min_face, refine_landmarks=False))
    served = FaceFinder(models_dir)
    return {
        "known": lambda _, points: points,
        "facenet-pytorch's": lambda photo, _: _points(facenet.find(photo)),
        "refined": lambda photo, _: _points(served.find(photo)),
        **{f"photo padded, {name}": _padding_finder(facenet, name) for name in BORDERS},
    }


def crop_photo(photo: LandmarkedPhoto, frame: Floats | None) -> LandmarkedPhoto:
    """
    Crop the photo to `frame`, (3,): its center x, center y and side in the coordinates of the aligned crop.

    None leaves the photo whole.
    """
    if frame is None:
        return photo
    transform = similarity_transform(photo.points, TEMPLATE)
    inverse = cv2.invertAffineTransform(transform)
    center = inverse[:, :2] @ frame[:2] + inverse[:, 2]
    zoom = CROPPED_SIZE * float(np.hypot(*transform[0, :2])) / float(frame[2])
    middle = (CROPPED_SIZE - 1) / 2
    change = np.array([[zoom, 0, middle - zoom * center[0]], [0, zoom, middle - zoom * center[1]]])
    size = (CROPPED_SIZE, CROPPED_SIZE)
    pixels = np.asarray(cv2.warpAffine(photo.photo, change, size, flags=cv2.INTER_LINEAR), np.uint8)
    return LandmarkedPhoto(pixels, (photo.points * zoom + change[:, 2]).astype(np.float32))


def frames_of(detected: DetectedFaces) -> Floats:
    """Return where photos with a face lie in their aligned crops, (N, 3) frames of `crop_photo`, without rotation."""
    frames = []
    for path, face in zip(detected.paths, detected.faces, strict=True):
        if face:
            height, width = read_photo(path).shape[:2]
            transform = similarity_transform(face.points, TEMPLATE)
            center = transform[:, :2] @ np.array([(width - 1) / 2, (height - 1) / 2]) + transform[:, 2]
            frames.append([*center, max(width, height) * np.hypot(*transform[0, :2])])
    return np.array(frames, np.float32)


def align(photo: LandmarkedPhoto, finder: LandmarkFinder, border: str) -> MeasuredCrop | None:
    """Align by the landmarks that `finder` finds; None where it finds none."""
    points = finder(photo.photo, photo.points)
    if points is None:
        return None
    mode, grey = BORDERS[border]
    transform = similarity_transform(points, TEMPLATE)
    pixels = cv2.warpAffine(
        photo.photo, transform, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=mode, borderValue=(grey,) * 3
    )
    true = similarity_transform(photo.points, TEMPLATE)
    error = float(np.hypot(*true[0, :2]) * np.sqrt(((points - photo.points) ** 2).sum(axis=1).mean()))
    return MeasuredCrop(np.asarray(pixels, np.uint8), share_inside(transform, SIZE, photo.photo.shape[:2]), error)


def _padding_finder(finder: FaceFinder, border: str) -> LandmarkFinder:
    mode, grey = BORDERS[border]

    def find(photo: Pixels, _: Points) -> Points | None:
        side = round(PADDING * max(photo.shape[:2]))
        padded = cv2.copyMakeBorder(photo, side, side, side, side, mode, value=(grey,) * 3)
        points = _points(finder.find(np.asarray(padded, np.uint8)))
        return None if points is None else points - np.float32(side)

    return find


def _points(face: Face | None) -> Points | None:
    return None if face is None else face.points
