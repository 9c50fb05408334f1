"""Which face of a photo is meant. Never the best of all pairs: that multiplies false matches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from app.domain.errors import FaceNotFound, MultipleFaces
from app.domain.models import Face

FaceRule: TypeAlias = Literal["largest", "center", "only"]

TIE = 0.5
"""Share of the largest face's area from which another counts as equally large (docs/EVALUATION.md)."""


def choose(faces: Sequence[Face], rule: FaceRule, shape: tuple[int, int]) -> Face:
    """
    The face that `rule` names in a photo of `shape` (height, width).

    `largest` counts faces of nearly the largest's area as tied, and takes the more central of them.
    Raises FaceNotFound, or MultipleFaces where `only` one was wanted.
    """
    if not faces:
        raise FaceNotFound("no face found in the photo")
    if rule == "only" and len(faces) > 1:
        raise MultipleFaces(faces)
    largest = max(face.box.area for face in faces)
    rivals = faces if rule == "center" else [face for face in faces if face.box.area >= TIE * largest]
    return min(rivals, key=lambda face: _off_centre(face, shape))


def _off_centre(face: Face, shape: tuple[int, int]) -> float:
    x, y = face.box.center
    return math.hypot(x - shape[1] / 2, y - shape[0] / 2)
