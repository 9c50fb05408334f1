"""
Judge whether a face is live or a picture of one: printed, or on a screen (a presentation attack).

The networks look at what surrounds a face too: paper edges, frames and reflections. Each takes a crop of another scale,
cut as in minivision-ai/Silent-Face-Anti-Spoofing (`src/generate_patches.py`), with which they were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import cv2
import numpy as np

from app.domain.arrays import Pixels
from app.domain.faces import Box, Face, Liveness
from app.faces.orientation import turned_as_found
from app.inference.liveness import OnnxLiveness

LivenessMode: TypeAlias = Literal["off", "report", "require"]
DIGITS = 4
"""Digits of a score. It is compared as it is told: no score of 0.5 is below a threshold of 0.5."""

Corners: TypeAlias = tuple[int, int, int, int]


class CropLiveness:
    """Cuts the crops of a face and compares the network's score with `threshold`."""

    def __init__(self, network: OnnxLiveness, threshold: float) -> None:
        self._network, self.manifest, self.threshold = network, network.manifest, threshold

    def assess(self, image: Pixels, faces: Sequence[Face]) -> list[Liveness]:
        """Return the liveness of each face of a (H, W, 3) photo, looked at in the turn in which it was found."""
        scales, size = self.manifest.scales, self.manifest.crop_size
        crops = np.zeros((len(faces), len(scales), size, size, 3), np.uint8)
        for own, face in zip(crops, faces, strict=True):
            upright, box = turned_as_found(image, face)
            for crop, scale in zip(own, scales, strict=True):
                crop[:] = cut(upright, box, scale, size)
        return [self._judge(float(score)) for score in self._network.scores(crops)]

    def _judge(self, score: float) -> Liveness:
        rounded = min(1.0, round(score, DIGITS))
        return Liveness(rounded, rounded >= self.threshold)


def cut(image: Pixels, box: Box, scale: float, size: int) -> Pixels:
    """Return the surroundings of a box as a (size, size, 3) crop; the source does not keep their proportions."""
    left, top, right, bottom = surroundings(box, scale, *image.shape[:2])
    return np.asarray(cv2.resize(image[top : bottom + 1, left : right + 1], (size, size)), np.uint8)


def surroundings(box: Box, scale: float, height: int, width: int) -> Corners:
    """
    Return the first and last column and row (left, top, right, bottom) of the box enlarged `scale` times.

    It is smaller if the photo is, and is moved into the photo if it reaches beyond an edge.
    """
    x, y = int(box.left), int(box.top)
    box_width, box_height = int(box.width + 1), int(box.height + 1)  # as the source measures a detector's box
    scale = min((height - 1) / box_height, (width - 1) / box_width, scale)
    left, right = _inside(x + box_width / 2, box_width * scale, width - 1)
    top, bottom = _inside(y + box_height / 2, box_height * scale, height - 1)
    return left, top, right, bottom


def _inside(center: float, length: float, last: int) -> tuple[int, int]:
    """Return the ends of a stretch, moved between 0 and `last`."""
    start, end = center - length / 2, center + length / 2
    if start < 0:
        start, end = 0, end - start
    if end > last:
        start, end = start - (end - last), last
    return int(start), int(end)
