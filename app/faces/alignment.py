"""
A face of a photo as the crop that a network was trained on: by its landmarks, or by its box.

By landmarks, the photo is turned, scaled and shifted so that the five fall on the template's. The transform is the
least-squares similarity (Umeyama 1991, equations 40 to 43, without reflection): no randomness, and at least as accurate
on LFW as the LMEDS estimate that insightface takes from OpenCV. What lies outside the photo is black: replicating the
border doubles the false matches of cut faces. By box, it is the crop of facenet-pytorch 2.6.0's `extract_face`.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from app.domain.models import AlignedCrop, Box, Face, Floats, Pixels
from app.domain.ports import Aligner
from app.inference.manifest import BoxAlignment, EmbedderManifest

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


def arcface_template(size: int) -> tuple[tuple[float, float], ...]:
    """ARCFACE_112 for crops of `size` pixels, scaled as insightface scales it."""
    return tuple((x * size / 112, y * size / 112) for x, y in ARCFACE_112)


def open_aligner(manifest: EmbedderManifest) -> Aligner:
    """Cuts the crops that the manifest's network was trained on."""
    alignment = manifest.alignment
    if isinstance(alignment, BoxAlignment):
        return BoxAligner(manifest.crop_size, alignment.margin)
    return LandmarkAligner(alignment.template, manifest.crop_size)


class LandmarkAligner:
    """Cuts crops of one size to one template."""

    def __init__(self, template: tuple[tuple[float, float], ...] = ARCFACE_112, size: int = 112) -> None:
        self._template = np.asarray(template, np.float32)
        self._size = size

    def align(self, image: Pixels, face: Face) -> AlignedCrop:
        """The face of an upright (H, W, 3) photo as a (size, size, 3) crop."""
        transform = similarity_transform(face.points, self._template)
        pixels = cv2.warpAffine(
            image, transform, (self._size, self._size), flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0)
        )
        return AlignedCrop(np.asarray(pixels, np.uint8), share_inside(transform, self._size, image.shape[:2]))


class BoxAligner:
    """
    Cuts boxes grown until `margin` of the crop's `size` pixels lie beyond them, and squeezes them into squares.

    What lies outside the photo is cut off before, not black. The resize is Pillow's bilinear one, which averages where
    it shrinks: `extract_face` takes it for a Pillow image, as its documentation gives it, and davidsandberg/facenet
    resized its training faces so. (For arrays and tensors `extract_face` has two others, which the networks never saw.)
    """

    def __init__(self, size: int, margin: int) -> None:
        self._size, self._grown = size, margin / (size - margin)

    def align(self, image: Pixels, face: Face) -> AlignedCrop:
        """The face of an upright (H, W, 3) photo as a (size, size, 3) crop; black where its box misses the photo."""
        height, width = image.shape[:2]
        box = self._wide(face.box)
        left, top = int(max(box.left, 0)), int(max(box.top, 0))
        right, bottom = int(min(box.right, width)), int(min(box.bottom, height))
        if right <= left or bottom <= top:
            return AlignedCrop(np.zeros((self._size, self._size, 3), np.uint8), 0.0)
        cut = Image.fromarray(image[top:bottom, left:right])
        pixels = np.asarray(cut.resize((self._size, self._size), Image.Resampling.BILINEAR))
        return AlignedCrop(pixels, _share_of(box, width, height))

    def _wide(self, box: Box) -> Box:
        x, y = self._grown * box.width / 2, self._grown * box.height / 2
        return Box(box.left - x, box.top - y, box.right + x, box.bottom + y)


def _share_of(box: Box, width: int, height: int) -> float:
    """Share of the box that lies within a photo of these sides, in [0, 1]."""
    across, down = min(box.right, width) - max(box.left, 0), min(box.bottom, height) - max(box.top, 0)
    return min(1.0, max(0.0, across) * max(0.0, down) / box.area)


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
