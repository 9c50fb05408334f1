"""
MTCNN (Zhang et al. 2016) on ONNX Runtime, with the boxes of facenet-pytorch 2.6.0.

facenet-pytorch and insightface's old MTCNN resize the photo once for every pyramid level and cut out each crop in a
Python loop; their users complain of time that grows with the photo, and of a crash if a candidate lies outside it. Here
levels and crops are pooled by compiled code, candidates are arrays throughout, and empty windows are dropped. With
facenet-pytorch's options the boxes are equal to 0.01 px (tests/unit/faces/detector/test_parity.py). The service uses
fewer levels (`SERVING_OPTIONS`), which moves boxes a little and finds the same faces; docs/evaluation.md has figures.

A second look (second_look.py) makes the landmarks more precise; boxes and the reported landmarks do not change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats, Pixels
from app.domain.faces import Box, Face, Landmarks
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet, load_nets
from app.faces.detector.nms import apply_offsets, clipped_windows, nms, to_square, windows
from app.faces.detector.pyramid import CELL, BufferPool, Pooling, downscale, open_pooling, pyramid_scales
from app.faces.detector.second_look import look_again, to_pixels
from app.inference.onnx_session import Provider

STRIDE = 2  # of P-Net, in pixels of a level
MIN_DOWNSCALED_FACE = 20.0  # pixels that the smallest face keeps in a downscaled photo
LEVEL_OVERLAP, OVERLAP = 0.5, 0.7  # of boxes of the same face: within a level, and in all later steps


@dataclass(frozen=True, slots=True)
class CascadeOptions:
    """
    Options of the three stages. The defaults are facenet-pytorch's; two limits bound the time and memory of any photo.

    If the first level would have more than `max_level_pixels`, `min_face` is raised until it fits. If that leaves no
    face below 40 px, the photo is first downscaled by 2, 3 and so on: by default from 11 megapixels.
    If a level, or all together, have more than `max_candidates`, the most probable are kept; a photo of a crowd has
    about 1,000.
    `include_last_level` adds a level for faces as large as the photo, which `factor` may skip.
    Without `refine_landmarks` faces are aligned by the landmarks that facenet-pytorch finds.
    With `search_all_levels`, `search` goes through the levels of facenet-pytorch's defaults.
    """

    min_face: float = 20.0
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    factor: float = 0.709
    include_last_level: bool = False
    max_level_pixels: int = 1_000_000
    max_candidates: int = 5_000
    refine_landmarks: bool = True
    search_all_levels: bool = False

    def min_face_in(self, height: int, width: int) -> float:
        """Return the size of the smallest face to detect in a photo of this size, in pixels."""
        return max(self.min_face, self._min_face_of_level_limit(height, width))

    def downscaling_of(self, height: int, width: int) -> int:
        """Return by how much a photo of this size is downscaled before detection."""
        return max(1, int(self._min_face_of_level_limit(height, width) / MIN_DOWNSCALED_FACE))

    def _min_face_of_level_limit(self, height: int, width: int) -> float:
        return CELL * math.sqrt(height * width / self.max_level_pixels)


SERVING_OPTIONS = CascadeOptions(
    min_face=40.0, thresholds=(0.7, 0.7, 0.7), factor=0.68, include_last_level=True, search_all_levels=True
)
"""The service's options: fewer levels and candidates, and the same people found in real photos (docs/evaluation.md)."""


def cascade_options(min_face: float | None) -> CascadeOptions:
    """Return the service's options, or facenet-pytorch's with the given smallest face."""
    return SERVING_OPTIONS if min_face is None else CascadeOptions(min_face=min_face)


def load_mtcnn(folder: Path, options: CascadeOptions, *, provider: Provider = "auto", threads: int = 1) -> Mtcnn:
    """Load the detector of a model folder. Raises StartError as `load_nets` does."""
    return Mtcnn(*load_nets(folder, provider=provider, threads=threads), options)


class Mtcnn:
    """Detects faces with five landmarks. Thread-safe: no call changes it."""

    def __init__(
        self, pnet: ProposalNet, rnet: RefineNet, onet: OutputNet, options: CascadeOptions | None = None
    ) -> None:
        self._pnet, self._rnet, self._onet = pnet, rnet, onet
        self._options = options or CascadeOptions()
        self._buffers = BufferPool()

    def detect(self, image: Pixels) -> list[Face]:
        """Return all faces of an upright (H, W, 3) uint8 RGB photo, largest first."""
        return self._detect(image, self._options)

    def search(self, image: Pixels) -> list[Face]:
        """Return the faces that facenet-pytorch's levels find, but none smaller than `min_face`."""
        if not self._options.search_all_levels:
            return []
        smallest = self._options.min_face
        faces = self._detect(image, CascadeOptions())
        return [face for face in faces if min(face.box.width, face.box.height) >= smallest]

    def _detect(self, image: Pixels, options: CascadeOptions) -> list[Face]:
        height, width = image.shape[:2]
        factor = options.downscaling_of(height, width)
        image = downscale(image, factor)
        with open_pooling(image, self._buffers) as photo:
            candidates = self._propose(photo, options.min_face_in(height, width) / factor, options)
            candidates = self._refine(photo, candidates)
            faces = [_upscale(face, factor) for face in self._output(photo, candidates)]
        return sorted(faces, key=lambda face: -face.box.area)

    def _propose(self, photo: Pooling, min_face: float, options: CascadeOptions) -> Floats:
        """Return the squares (N, 4) that P-Net takes for faces."""
        scales = pyramid_scales(
            photo.height, photo.width, min_face, options.factor, include_last_level=options.include_last_level
        )
        levels = [self._propose_in_level(photo, scale, options.thresholds[0]) for scale in scales]
        found = self._most_probable(np.concatenate([np.empty((0, 9), np.float32), *levels]))
        found = found[nms(found[:, :4], found[:, 4], OVERLAP)]
        return to_square(apply_offsets(found[:, :4], found[:, 5:], inclusive=False))

    def _propose_in_level(self, photo: Pooling, scale: float, threshold: float) -> Floats:
        """Return the candidates of one level (N, 9): box in the photo, probability, four offsets."""
        level = photo.level(int(photo.height * scale + 1), int(photo.width * scale + 1))
        logits, offsets = self._pnet(level)
        rows, columns = np.nonzero(logits >= _logit(threshold))
        if not len(rows):  # as in most levels
            return np.empty((0, 9), np.float32)
        corners = np.stack([columns, rows, columns, rows], axis=1) * STRIDE + [1, 1, CELL, CELL]
        boxes = np.floor(corners.astype(np.float32) / np.float32(scale))
        found = np.concatenate(
            [boxes, _sigmoid(logits[rows, columns, None]), offsets[:, rows, columns].T], axis=1, dtype=np.float32
        )
        found = self._most_probable(found)
        return found[nms(found[:, :4], found[:, 4], LEVEL_OVERLAP)]

    def _most_probable(self, found: Floats) -> Floats:
        """Return the candidates (N, 9), or the most probable of too many, in their order."""
        limit = self._options.max_candidates
        if len(found) <= limit:
            return found
        return found[np.sort(np.argpartition(-found[:, 4], limit)[:limit])]

    def _refine(self, photo: Pooling, candidates: Floats) -> Floats:
        """Return the squares (N, 4) that R-Net keeps, moved to the face."""
        candidates, crops = _visible_crops(photo, candidates, 24)
        if not len(candidates):
            return candidates
        probabilities, offsets = self._rnet(crops)
        sure = probabilities > self._options.thresholds[1]
        candidates, probabilities, offsets = candidates[sure], probabilities[sure], offsets[sure]
        kept = nms(candidates, probabilities, OVERLAP)
        return to_square(apply_offsets(candidates[kept], offsets[kept], inclusive=True))

    def _output(self, photo: Pooling, candidates: Floats) -> list[Face]:
        """Return the faces that O-Net keeps, with their landmarks."""
        candidates, crops = _visible_crops(photo, candidates, 48)
        if not len(candidates):
            return []
        probabilities, offsets, landmarks = self._onet(crops)
        sure = probabilities > self._options.thresholds[2]
        candidates, probabilities, offsets = candidates[sure], probabilities[sure], offsets[sure]
        points = to_pixels(candidates, landmarks[sure])
        boxes = apply_offsets(candidates, offsets, inclusive=True)
        kept = nms(boxes, probabilities, OVERLAP, "min")
        boxes, points, probabilities = boxes[kept], points[kept], probabilities[kept]
        refined: list[Landmarks | None] = [None] * len(kept)
        doubtful = np.zeros(len(kept), bool)
        if self._options.refine_landmarks and len(kept):
            cut = _reach_beyond(photo, candidates[kept])
            better, doubtful = look_again(self._onet, photo, boxes, probabilities, cut)
            refined = [Landmarks(each) for each in better]
        faces = zip(boxes, points, probabilities, refined, doubtful, strict=True)
        return [
            Face(Box(*map(float, corners)), Landmarks(five), float(probability), better, bool(doubt))
            for corners, five, probability, better, doubt in faces
        ]


def _upscale(face: Face, factor: int) -> Face:
    """
    Return a face of a photo downscaled by `factor` in pixels of the original photo.

    Boxes count pixels from one: pixel n is factor * n - factor + 1 to factor * n of the original.
    """
    if factor == 1:
        return face
    left, top, right, bottom = face.box.left, face.box.top, face.box.right, face.box.bottom
    box = Box(factor * left - factor + 1, factor * top - factor + 1, factor * right, factor * bottom)

    def upscale(landmarks: Landmarks) -> Landmarks:
        return Landmarks(landmarks.points * np.float32(factor) - np.float32((factor - 1) / 2))

    refined = upscale(face.refined) if face.refined else None
    return replace(face, box=box, landmarks=upscale(face.landmarks), refined=refined)


def _reach_beyond(photo: Pooling, squares: Floats) -> npt.NDArray[np.bool_]:
    """Return which of the squares (N, 4) reach beyond the photo."""
    beyond = windows(squares) - clipped_windows(squares, photo.height, photo.width)  # (N, 4)
    return np.asarray(np.any(beyond, axis=1))


def _visible_crops(photo: Pooling, candidates: Floats, size: int) -> tuple[Floats, Floats]:
    """Return the candidates that touch the photo, and their crops (N, size, size, 4)."""
    within = clipped_windows(candidates, photo.height, photo.width)
    visible = (within[:, 2:] > within[:, :2]).all(axis=1)
    return candidates[visible], photo.crops(within[visible], size)


def _logit(probability: float) -> np.float32:
    return np.float32(math.log(probability / (1 - probability)) if probability > 0 else -math.inf)


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)
