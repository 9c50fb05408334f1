"""Assess how well a photo shows a face: four parts in [0, 1], each measured and none learned."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from app.domain.errors import LowQuality
from app.domain.faces import AlignedCrop, Face, Quality

FULL_SIZE = 112.0
"""The box's shorter side, in pixels, above which a 112 px crop gains nothing."""
SHARPNESS_SIZE = 112
"""The side of the crop, in pixels, that sharpness is measured on."""
HALF_SHARP = 100.0
"""The variance of the Laplacian, in grey levels squared, that counts as half sharp."""

PROFILE = 1.6
"""The offset of the nose from the middle, in half widths of the face, that counts as a full profile."""


def assess(face: Face, crop: AlignedCrop) -> Quality:
    return Quality(
        size=_clipped(min(face.box.width, face.box.height) / FULL_SIZE),
        sharpness=_sharpness(crop),
        frontality=_frontality(face),
        inside=_clipped(crop.inside),
    )


@dataclass(frozen=True, slots=True)
class QualityBounds:
    """The least quality for enrolment: a poor template fails, or falsely matches, every later probe."""

    size: float
    sharpness: float
    frontality: float
    inside: float

    def require(self, quality: Quality) -> None:
        """Raise LowQuality with every part that is too low."""
        reasons = [
            f"{part} {getattr(quality, part):.2f} is below {getattr(self, part):.2f} ({meaning})"
            for part, meaning in _MEANINGS.items()
            if getattr(quality, part) < getattr(self, part)
        ]
        if reasons:
            raise LowQuality(reasons)


_MEANINGS = {
    "size": f"the face's shorter side as a share of {FULL_SIZE:.0f} px",
    "sharpness": "1 is crisp, 0 is blurred",
    "frontality": "1 faces the camera, 0 is a profile",
    "inside": "share of the aligned face that lies in the photo",
}


def _sharpness(crop: AlignedCrop) -> float:
    """
    Return v / (v + HALF_SHARP), with v the variance of the Laplacian.

    It is taken over the middle half, which no border reaches, of a crop of SHARPNESS_SIZE pixels, so that it does not
    depend on the crop size of the network.
    """
    pixels, size = crop.pixels, SHARPNESS_SIZE
    if pixels.shape[0] != size:
        pixels = np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    middle = pixels[size // 4 : size - size // 4, size // 4 : size - size // 4]
    variance = float(cv2.Laplacian(cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())
    return variance / (variance + HALF_SHARP)


def _frontality(face: Face) -> float:
    """
    Return how near the nose lies to the middle, in [0, 1].

    Across, it is the middle between the left and the right eye and mouth corner (yaw); along, between eyes and mouth
    (pitch). A nose over the edge of the face gives 0.375; three tenths of the face's width beyond the edge, 0.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = face.points.astype(np.float64)
    left, right = (left_eye + left_mouth) / 2, (right_eye + right_mouth) / 2
    eyes, mouth = (left_eye + right_eye) / 2, (left_mouth + right_mouth) / 2
    off_axis = max(abs(2 * _position(nose, left, right) - 1), abs(2 * _position(nose, eyes, mouth) - 1))
    return _clipped(1 - off_axis / PROFILE)


def _position(point: np.ndarray, start: np.ndarray, stop: np.ndarray) -> float:
    """Project `point` on the line from `start` (0) to `stop` (1)."""
    direction = stop - start
    return float((point - start) @ direction / max(float(direction @ direction), 1e-9))


def _clipped(value: float) -> float:
    return float(min(1.0, max(0.0, value)))
