"""Choose one face of a photo, never the best matching one: that would multiply false matches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.domain.errors import FaceNotFound, MultipleFaces
from app.domain.faces import Face

FaceRule: TypeAlias = Literal["largest", "center", "only"]

TIE = 0.5
"""The share of the largest face's area from which another counts as equally large (docs/evaluation.md)."""


@dataclass(frozen=True, slots=True)
class ConfidentFaces:
    """
    The `limit` largest faces (0 for all) whose confidence is at least `min_confidence`.

    With `only`, several of them are an error, whatever the limit.
    """

    min_confidence: float = 0.0
    limit: int = 0
    only: bool = False

    def of(self, faces: Sequence[Face]) -> Sequence[Face]:
        """Return these of `faces`, which come largest first. Raises FaceNotFound or MultipleFaces."""
        confident = [face for face in faces if face.confidence >= self.min_confidence]
        if not confident:
            raise FaceNotFound("no face found in the photo")
        if self.only and len(confident) > 1:
            raise MultipleFaces(confident)
        return confident[: self.limit or None]


OneFace: TypeAlias = FaceRule | ConfidentFaces
"""A rule that selects one face of a photo; ConfidentFaces does with `only` or with a limit of 1."""


def choose(faces: Sequence[Face], rule: FaceRule, shape: tuple[int, int]) -> Face:
    """
    Return the face that `rule` chooses in a photo of `shape` (height, width).

    `largest` takes the most central of the faces that are nearly as large as the largest.
    Raises FaceNotFound, or MultipleFaces if the rule is `only`.
    """
    if not faces:
        raise FaceNotFound("no face found in the photo")
    if rule == "only" and len(faces) > 1:
        raise MultipleFaces(faces)
    largest = max(face.box.area for face in faces)
    candidates = faces if rule == "center" else [face for face in faces if face.box.area >= TIE * largest]
    return min(candidates, key=lambda face: _distance_to_center(face, shape))


def _distance_to_center(face: Face, shape: tuple[int, int]) -> float:
    x, y = face.box.center
    return math.hypot(x - shape[1] / 2, y - shape[0] / 2)
