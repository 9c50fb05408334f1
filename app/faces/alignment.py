"""
Align a face to the crop that a network was trained on: by its landmarks, or by its box.

By landmarks, the photo is rotated, scaled and shifted so that the five fall on the template's. The transform is the
least-squares similarity (Umeyama 1991, equations 40 to 43, without reflection): no randomness, and at least as accurate
on LFW as the LMEDS estimate that insightface takes from OpenCV. Pixels outside the photo are black: replicating the
border doubles the false matches of cut faces. By box, the crop is that of facenet-pytorch 2.6.0's `extract_face`.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from app.domain.arrays import Floats, Pixels
from app.domain.faces import AlignedCrop, Box, Face
from app.domain.ports import Aligner
from app.faces.orientation import turned_as_found
from app.inference.manifest import BoxAlignment, EmbedderManifest

ARCFACE_112: tuple[tuple[float, float], ...] = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
"""The positions of the landmarks in a 112 px crop; from insightface's face_align.py."""

KEPT_SIZE = 112
"""The side of kept crops, which are aligned to ARCFACE_112 whichever model is in use."""

Transform = npt.NDArray[np.float64]
"""(2, 3): x' = M[:, :2] @ x + M[:, 2]."""


def arcface_template(size: int) -> tuple[tuple[float, float], ...]:
    """Return ARCFACE_112 for crops of `size` pixels, scaled as insightface scales it."""
    return tuple((x * size / 112, y * size / 112) for x, y in ARCFACE_112)


def open_aligner(manifest: EmbedderManifest) -> Aligner:
    """Return the aligner for the network of the manifest."""
    alignment = manifest.alignment
    if isinstance(alignment, BoxAlignment):
        return BoxAligner(manifest.crop_size, alignment.margin)
    return LandmarkAligner(alignment.template, manifest.crop_size)


def fits_kept_crops(manifest: EmbedderManifest) -> bool:
    """Return whether the network takes crops as they are kept: 112 px, with the landmarks on ARCFACE_112."""
    alignment = manifest.alignment
    if isinstance(alignment, BoxAlignment) or manifest.crop_size != KEPT_SIZE:
        return False
    return bool(np.allclose(alignment.template, ARCFACE_112, rtol=0, atol=0.01))


class LandmarkAligner:
    """Cuts crops of one size to one template."""

    def __init__(self, template: tuple[tuple[float, float], ...] = ARCFACE_112, size: int = 112) -> None:
        self._template = np.asarray(template, np.float32)
        self._size = size

    def align(self, image: Pixels, face: Face) -> AlignedCrop:
        """Return the face of a (H, W, 3) photo, which may be turned, as a (size, size, 3) crop."""
        transform = similarity_transform(face.points, self._template)
        pixels = cv2.warpAffine(
            image, transform, (self._size, self._size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0)
        )
        return AlignedCrop(np.asarray(pixels, np.uint8), share_inside(transform, self._size, image.shape[:2]))


class BoxAligner:
    """
    Cuts out the box with a margin, so that `margin` of the crop's `size` pixels lie beyond the box.

    The part outside the photo is cut off, not black, and the rest is stretched to a square. The resize is Pillow's
    bilinear one, which averages when it shrinks: `extract_face` uses it for a Pillow image, as in its documentation,
    and davidsandberg/facenet resized its training faces so. (For arrays and tensors `extract_face` has two others,
    which the networks never saw.)
    """

    def __init__(self, size: int, margin: int) -> None:
        self._size, self._margin = size, margin / (size - margin)  # the margin as a share of the box

    def align(self, image: Pixels, face: Face) -> AlignedCrop:
        """Return the face of an upright (H, W, 3) photo as a (size, size, 3) crop, black if its box is outside."""
        image, own = turned_as_found(image, face)
        box = self._with_margin(own)
        height, width = image.shape[:2]
        left, top = int(max(box.left, 0)), int(max(box.top, 0))
        right, bottom = int(min(box.right, width)), int(min(box.bottom, height))
        if right <= left or bottom <= top:
            return AlignedCrop(np.zeros((self._size, self._size, 3), np.uint8), 0.0)
        cut = Image.fromarray(image[top:bottom, left:right])
        pixels = np.asarray(cut.resize((self._size, self._size), Image.Resampling.BILINEAR))
        return AlignedCrop(pixels, _visible_share(box, width, height))

    def _with_margin(self, box: Box) -> Box:
        x, y = self._margin * box.width / 2, self._margin * box.height / 2
        return Box(box.left - x, box.top - y, box.right + x, box.bottom + y)


def _visible_share(box: Box, width: int, height: int) -> float:
    """Return the share of the box that lies within the photo, in [0, 1]."""
    shared_width, shared_height = min(box.right, width) - max(box.left, 0), min(box.bottom, height) - max(box.top, 0)
    return min(1.0, max(0.0, shared_width) * max(0.0, shared_height) / box.area)


def similarity_transform(source: Floats, target: Floats) -> Transform:
    """
    Return the (2, 3) rotation, uniform scale and shift that moves points `source` (N, 2) nearest to `target` (N, 2).

    Coinciding source points have no scale; they give a transform to the target's centre with scale 0.
    """
    a, b = source.astype(np.float64), target.astype(np.float64)
    a_mean, b_mean = a.mean(0), b.mean(0)
    a, b = a - a_mean, b - b_mean
    spread = float((a**2).sum())
    dot = float((a * b).sum())  # in the plane, the SVD of Umeyama's equation 38 reduces to these two sums
    cross = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum())
    cos, sin = (dot / spread, cross / spread) if spread > 0 else (0.0, 0.0)
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([linear, b_mean - linear @ a_mean])


def share_inside(transform: Transform, size: int, shape: tuple[int, int]) -> float:
    """Return the share of the (size, size) crop that lies in a photo of `shape` (height, width), in [0, 1]."""
    height, width = shape
    inverse = cv2.invertAffineTransform(transform)
    crop = (_corners(size, size) @ inverse[:, :2].T + inverse[:, 2]).astype(np.float32)
    area = cv2.contourArea(crop)
    if not area > 0:
        return 0.0
    shared, _ = cv2.intersectConvexConvex(crop, _corners(width, height).astype(np.float32))
    return float(min(1.0, shared / area))


def _corners(width: int, height: int) -> npt.NDArray[np.float64]:
    """Return the corners (4, 2) of an image, half a pixel beyond the centres of its outermost pixels."""
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64) - 0.5
