"""
Find the faces of a photo that lies on its side or stands on its head, without EXIF to say so.

MTCNN finds nothing in half of such photos, and a wrong face in the others. So whenever no face of a photo is beyond
doubt, the photo is turned by 90, 270 and 180 degrees, and the turn with the surest face wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from app.domain.models import Box, Face, Floats, Landmarks, Pixels
from app.domain.ports import Detector

Orientation: TypeAlias = Literal["auto", "exif"]
TURNS = (90, 270, 180)
"""Degrees clockwise; phones are held sideways more often than upside down."""

PROBABLE = 0.95
"""The confidence from which a doubtful face counts, if no turn of the photo has a better one."""


@dataclass(frozen=True, slots=True)
class UprightPhoto:
    """A photo turned clockwise by `rotated` degrees so that its faces are upright, and the faces in it."""

    pixels: Pixels
    faces: Sequence[Face]
    rotated: int


def detect_upright(detector: Detector, photo: Pixels, orientation: Orientation) -> UprightPhoto:
    """Return the photo as it came if one of its faces is beyond doubt; else, with `auto`, at its best turn."""
    as_it_came = UprightPhoto(photo, detector.detect(photo), 0)
    if orientation == "auto" and _is_doubtful(as_it_came):
        turned = [_detect_turned(detector, photo, degrees) for degrees in TURNS]
        upright = [each for each in turned if not _is_doubtful(each)]
        if not upright and not as_it_came.faces:
            upright = [each for each in turned if _confidence(each) >= PROBABLE]
        if upright:
            return max(upright, key=_confidence)
    return as_it_came if as_it_came.faces else replace(as_it_came, faces=detector.search(photo))


def in_original(face: Face, photo: UprightPhoto) -> Face:
    """Return a face of the turned photo with its box and landmarks in the photo as it came."""
    if not photo.rotated:
        return face
    corners = np.array([[face.box.left, face.box.top], [face.box.right, face.box.bottom]], np.float32)
    corners = _turn_back(corners, photo)
    return replace(
        face,
        box=Box(*map(float, (*corners.min(0), *corners.max(0)))),
        landmarks=Landmarks(_turn_back(face.landmarks.points, photo)),
        refined=Landmarks(_turn_back(face.refined.points, photo)) if face.refined else None,
        rotated=photo.rotated,
    )


def _detect_turned(detector: Detector, photo: Pixels, degrees: int) -> UprightPhoto:
    turned = np.ascontiguousarray(np.rot90(photo, -degrees // 90))
    return UprightPhoto(turned, detector.detect(turned), degrees)


def _is_doubtful(photo: UprightPhoto) -> bool:
    return all(face.doubtful for face in photo.faces)


def _confidence(photo: UprightPhoto) -> float:
    """Return the highest confidence: of the faces beyond doubt if there are any, else of all, else 0."""
    sure = [face.confidence for face in photo.faces if not face.doubtful]
    return max(sure or [face.confidence for face in photo.faces], default=0.0)


def _turn_back(points: Floats, photo: UprightPhoto) -> Floats:
    """Return points (N, 2), x and y in the turned photo, in the photo as it came."""
    height, width = photo.pixels.shape[:2]
    x, y = points[:, 0], points[:, 1]
    turned = {90: (y, width - 1 - x), 180: (width - 1 - x, height - 1 - y), 270: (height - 1 - y, x)}
    return np.stack(turned[photo.rotated], axis=1).astype(np.float32)
