"""The form of a training crop: the face as a network of some size is served it, with a margin round it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np

from app.domain.arrays import Pixels
from app.faces.alignment import LandmarkAligner, Transform, arcface_template

Template: TypeAlias = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class CropGeometry:
    """
    A face aligned to `size` px, with a seventh of that more on every side, so that augmentation can shift, scale and
    turn it: 144 px for a network of 112 px.
    """

    size: int = 112

    @property
    def margin(self) -> int:
        return round(self.size / 7)

    @property
    def side(self) -> int:
        """The width and height of a file."""
        return self.size + 2 * self.margin

    @property
    def scale(self) -> float:
        """The number of px of this crop in one of a 112 px crop, the unit of the augmentation's options."""
        return self.size / 112

    @property
    def template(self) -> Template:
        """The landmarks in the aligned crop, as it is served."""
        return arcface_template(self.size)

    def aligner(self) -> LandmarkAligner:
        """Return the aligner that cuts crops with their margin."""
        return LandmarkAligner(tuple((x + self.margin, y + self.margin) for x, y in self.template), self.side)

    def center(self, crop: Pixels) -> Pixels:
        """Return the aligned crop without its margin, (size, size, 3)."""
        return np.ascontiguousarray(crop[self.margin : -self.margin, self.margin : -self.margin])

    def aligned(self, crop: Pixels, size: int) -> Pixels:
        """Return the crop as a network of another size is served it, (size, size, 3)."""
        return self.center(crop) if size == self.size else _warp(crop, _between(self, size, margin=0), size)

    def converted(self, crop: Pixels, other: CropGeometry) -> Pixels:
        """Return the crop with its margin in another geometry, (other.side, other.side, 3)."""
        if other == self:
            return crop
        return _warp(crop, _between(self, other.size, margin=other.margin), other.side)


CROPS_112 = CropGeometry(112)
"""The geometry of 144 px files, which most networks here train on."""


def geometry_of_side(side: int) -> CropGeometry | None:
    """Return the geometry whose files are `side` px wide, if there is one."""
    near = round(side * 7 / 9)
    return next((each for size in range(near - 1, near + 2) if (each := CropGeometry(size)).side == side), None)


def _between(source: CropGeometry, size: int, *, margin: int) -> Transform:
    """Return the transform that moves the template of `source`'s files to that of `size` px, plus a margin."""
    scale = size / source.size
    shift = margin - source.margin * scale
    return np.array([[scale, 0, shift], [0, scale, shift]])


def _warp(crop: Pixels, transform: Transform, side: int) -> Pixels:
    return np.asarray(cv2.warpAffine(crop, transform, (side, side), flags=cv2.INTER_LINEAR), np.uint8)
