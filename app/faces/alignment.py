"""
Turn, scale and shift the photo so that the five landmarks fall on the template's.

The transform is the least-squares similarity (Umeyama 1991, equations 40 to 43, without reflection): no randomness,
and at least as accurate on LFW as the LMEDS estimate that insightface takes from OpenCV. What lies outside the photo is
black: replicating the border doubles the false matches of cut faces.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from app.domain.nouns import AlignedCrop, Face, Floats, Pixels

ARCFACE_112: tuple[tuple[float, float], ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""Where the landmarks lie in a 112 px crop; from insightface's face_align.py."""

Transform = npt.NDArray[np.float64]
"""(2, 3): x' = M[:, :2] @ x + M[:, 2]."""


class Aligner:
    """Cuts crops of one size to one template."""

    def __init__(self, template: tuple[tuple[float, float], ...] = ARCFACE_112, size: int = 112) -> None:
        self._template = np.asarray(template, np.float32)
        self._size = size

    def align(self, image: Pixels, face: Face) -> AlignedCrop:
        """The face of an upright (H, W, 3) photo as a (size, size, 3) crop."""
        transform = similarity_transform(face.landmarks.points, self._template)
        pixels = cv2.warpAffine(
            image, transform, (self._size, self._size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0)
        )
        return AlignedCrop(np.asarray(pixels, np.uint8), share_inside(transform, self._size, image.shape[:2]))


def similarity_transform(source: Floats, target: Floats) -> Transform:
    """
    The (2, 3) rotation, uniform scale and shift that moves points `source` (N, 2) nearest to `target` (N, 2).

    Coinciding source points have no scale; they give a transform to the target's centre with scale 0.
    """
    a, b = source.astype(np.float64), target.astype(np.float64)
    a_mean, b_mean = a.mean(0), b.mean(0)
    a, b = a - a_mean, b - b_mean
    spread = float((a**2).sum())
    along = float((a * b).sum())  # in the plane, the SVD of Umeyama's equation 38 reduces to these two sums
    across = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum())
    cos, sin = (along / spread, across / spread) if spread > 0 else (0.0, 0.0)
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([linear, b_mean - linear @ a_mean])


def share_inside(transform: Transform, size: int, shape: tuple[int, int]) -> float:
    """Share of the (size, size) crop that comes from within the photo of `shape` (height, width), in [0, 1]."""
    height, width = shape
    inverse = cv2.invertAffineTransform(transform)
    crop = (_outline(size, size) @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
    whole = cv2.contourArea(crop)
    if not whole > 0:
        return 0.0
    shared, _ = cv2.intersectConvexConvex(crop, _outline(width, height).astype(np.float32))
    return float(min(1.0, shared / whole))


def _outline(width: int, height: int) -> npt.NDArray[np.float64]:
    """The corners (4, 2) of an image, half a pixel beyond its outermost pixels' centres."""
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) - 0.5
