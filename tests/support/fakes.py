"""
Networks whose answers can be worked out by hand.

A photo is a row of square tiles, as high as the photo is. Every tile that is not black is a face that fills it, and its
red says whose: red R has the vector (cos a, sin a) at the angle a = pi R / 255. So the reds 0 and 85 are 60 degrees and
a squared distance of 1 apart, 0 and 255 are 180 degrees and 4.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from app.domain.arrays import Floats, Pixels
from app.domain.embeddings import Embedding
from app.domain.faces import AlignedCrop, Box, Face, Landmarks, Liveness
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.faces.alignment import ARCFACE_112

FAKE_MODEL = "sha256:" + "f" * 64
TILE = 112


def photo(*reds: int | None, side: int = TILE, crisp: bool = True) -> bytes:
    """A PNG with a tile a red; None is a tile without a face. Crisp tiles have stripes, of green alone."""
    tiles = np.zeros((side, len(reds), side, 3), np.uint8)
    for number, red in enumerate(reds):
        tiles[:, number, :, 0] = red or 0
        tiles[::2, number, :, 1] = 0 if red is None else 255
    tiles[..., 1] = np.where(crisp, tiles[..., 1], tiles[..., 1].max(0))
    buffer = io.BytesIO()
    Image.fromarray(tiles.reshape(side, len(reds) * side, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def apart(red: int, other: int) -> float:
    """The squared distance of two reds: 2 - 2 cos of the angle between them."""
    return 2 - 2 * math.cos(math.pi * (red - other) / 255)


def offset(red: int) -> float:
    """The threshold offset of a red where `CROWDED` gives them: half the sine of its angle."""
    return math.sin(math.pi * red / 255) / 2


@dataclass(frozen=True)
class FakeDetector:
    """Sees a face in every tile that is not black; `turned` moves its nose aside, in tiles, and `shift` the whole."""

    turned: float = 0.0
    shift: float = 0.0

    def detect(self, image: Pixels) -> list[Face]:
        side = image.shape[0]
        starts = range(0, image.shape[1] - side + 1, side)
        return [self._face(start + self.shift * side, side) for start in starts if image[:, start : start + side].any()]

    def search(self, image: Pixels) -> list[Face]:  # noqa: ARG002
        return []

    def _face(self, left: float, side: int) -> Face:
        points = np.array(ARCFACE_112, np.float32) / TILE
        points[2, 0] += self.turned
        landmarks = Landmarks(np.asarray(points * side + [left, 0], np.float32))
        return Face(Box(left, 0, left + side, side), landmarks, confidence=0.875)


@dataclass(frozen=True)
class FakeLiveness:
    """The middle red of a face as a share of 255: the redder, the more alive."""

    threshold: float = 0.5

    def assess(self, image: Pixels, faces: Sequence[Face]) -> list[Liveness]:
        reds = [image[image.shape[0] // 2, int(face.box.center[0]), 0] / 255 for face in faces]
        return [Liveness(red, red >= self.threshold) for red in map(float, reds)]


@dataclass(frozen=True)
class FakeEmbedder:
    """The middle red of a crop, as an angle. Remembers how many crops came at once."""

    model: str = FAKE_MODEL
    batches: list[int] = field(default_factory=list)
    offsets: ThresholdOffsets = field(default_factory=NoThresholdOffsets)

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        self.batches.append(len(crops))
        vectors = np.stack([self._vector(float(np.median(crop.pixels[..., 0]))) for crop in crops])
        offsets = self.offsets.of(vectors).tolist()
        return [Embedding(vector, self.model, offset) for vector, offset in zip(vectors, offsets, strict=True)]

    @staticmethod
    def _vector(red: float) -> np.ndarray:
        angle = math.pi * red / 255
        return np.array([math.cos(angle), math.sin(angle)], np.float32)


@dataclass(frozen=True, eq=False)
class WeightedOffsets:
    """The inner products of vectors with `weights`, as threshold offsets."""

    weights: Sequence[float]
    model: str = FAKE_MODEL

    @property
    def digest(self) -> str:
        return str(self.weights)

    def of(self, vectors: Floats) -> Floats:
        return np.asarray(vectors @ np.array(self.weights), np.float32)


CROWDED = WeightedOffsets((0, 0.5))
"""Offsets from 0 for the reds 0 and 255 to 0.5 halfway between them."""


@dataclass(frozen=True)
class BrokenEmbedder:
    """A network that always fails."""

    model: str = FAKE_MODEL

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        raise RuntimeError(f"secret internals of {len(crops)} crops")
