"""
Find the faces of a photo that lies on its side or stands on its head, without EXIF to say so.

MTCNN finds nothing in half of such photos, and a wrong face in the others. So whenever no face of a photo is beyond
doubt, the photo is turned by 90, 270 and 180 degrees, and the turn with the surest face wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

import cv2
import numpy as np

from app.domain.arrays import Floats, Pixels
from app.domain.faces import Box, Face, Landmarks
from app.domain.ports import Detector

Orientation: TypeAlias = Literal["auto", "exif"]
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 270: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180}
"""Degrees clockwise; phones are held sideways more often than upside down."""

PROBABLE = 0.95
"""The confidence from which a doubtful face counts, if no turn of the photo has a better one."""


def detect_upright(detector: Detector, photo: Pixels, orientation: Orientation) -> list[Face]:
    """
    Return the faces of a photo, or with `auto` those of its best turn if no face of it is beyond doubt.

    Boxes and landmarks lie in the photo as it came; `rotated` tells the turn.
    """
    faces = detector.detect(photo)
    if orientation == "auto" and _is_doubtful(faces):
        turns = [_detect_turned(detector, photo, degrees) for degrees in TURNS]
        upright = [turn for turn in turns if not _is_doubtful(turn)]
        if not upright and not faces:
            upright = [turn for turn in turns if _confidence(turn) >= PROBABLE]
        if upright:
            return max(upright, key=_confidence)
    return faces or detector.search(photo)


def turned_as_found(photo: Pixels, face: Face) -> tuple[Pixels, Box]:
    """Return the photo turned as it was to find the face, and the face's box in it."""
    return np.rot90(photo, -face.rotated // 90), _turn(face.box, face.rotated, photo.shape[:2])


def _is_doubtful(faces: Sequence[Face]) -> bool:
    return all(face.doubtful for face in faces)


def _confidence(faces: Sequence[Face]) -> float:
    """Return the highest confidence: of the faces beyond doubt if there are any, else of all, else 0."""
    sure = [face.confidence for face in faces if not face.doubtful]
    return max(sure or [face.confidence for face in faces], default=0.0)


def _detect_turned(detector: Detector, photo: Pixels, degrees: int) -> list[Face]:
    turned = np.asarray(cv2.rotate(photo, TURNS[degrees]), np.uint8)
    return [_turn_back(face, degrees, turned.shape[:2]) for face in detector.detect(turned)]


def _turn_back(face: Face, degrees: int, shape: tuple[int, int]) -> Face:
    """Return a face, found in a photo of `shape` (height, width) that was turned, in the photo before the turn."""

    def back(points: Floats, last: int = 1) -> Floats:
        (x, y), (bottom, right) = points.T, np.subtract(shape, last)
        turned = {90: (y, right - x), 180: (right - x, bottom - y), 270: (bottom - y, x)}
        return np.stack(turned[degrees], axis=1).astype(np.float32)

    corners = back(np.array([[face.box.left, face.box.top], [face.box.right, face.box.bottom]], np.float32), last=0)
    return replace(
        face,
        box=Box(*map(float, (*corners.min(0), *corners.max(0)))),
        landmarks=Landmarks(back(face.landmarks.points)),
        refined=Landmarks(back(face.refined.points)) if face.refined else None,
        rotated=degrees,
    )


def _turn(box: Box, degrees: int, shape: tuple[int, int]) -> Box:
    """Return a box of a photo of `shape` (height, width) in the photo turned clockwise."""
    height, width = shape
    if degrees == 90:
        return Box(height - box.bottom, box.left, height - box.top, box.right)
    if degrees == 180:
        return Box(width - box.right, height - box.bottom, width - box.left, height - box.top)
    if degrees == 270:
        return Box(box.top, width - box.right, box.bottom, width - box.left)
    return box
