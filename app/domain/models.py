"""The values that the service works with: frozen dataclasses with read-only arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""(height, width, 3) 8-bit RGB, upright."""
Floats: TypeAlias = npt.NDArray[np.float32]


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a view of `array` that cannot be written to."""
    view = array.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright photo, as the detector gave it: it may reach beyond the edges."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    """
    Five points (5, 2) float32, x and y in pixels: left eye, right eye, nose, left and right mouth corner.

    Left and right are those of the image, not of the person.
    """

    points: Floats

    def __post_init__(self) -> None:
        if self.points.shape != (5, 2):
            raise ValueError(f"expected five landmarks (5, 2), got {self.points.shape}")
        object.__setattr__(self, "points", read_only(self.points))


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """
    A detected face; `confidence` in [0, 1] is the detector's and says nothing about identity.

    `refined` are landmarks from a second, more precise pass of the detector, if it made one. `doubtful` faces may be
    turned ones, or none. `rotated` is by how many degrees clockwise the photo was turned to find the face; box and
    landmarks are those in the photo as it came.
    """

    box: Box
    landmarks: Landmarks
    confidence: float
    refined: Landmarks | None = None
    doubtful: bool = False
    rotated: int = 0

    @property
    def points(self) -> Floats:
        """The landmarks (5, 2) to align by: the refined ones if there are any."""
        return (self.refined or self.landmarks).points


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of a face, each in [0, 1]; `inside` is the share of the crop that lies in the photo."""

    size: float
    sharpness: float
    frontality: float
    inside: float

    @property
    def overall(self) -> float:
        """The worst of the measures."""
        return min(self.size, self.sharpness, self.frontality, self.inside)


@dataclass(frozen=True, slots=True)
class Liveness:
    """The score, in [0, 1], by which a face looks live, and the verdict at the service's threshold."""

    score: float
    live: bool


@dataclass(frozen=True, slots=True, eq=False)
class AlignedCrop:
    """A face as the embedder expects it, (size, size, 3) uint8 RGB; `inside` is the share of it within the photo."""

    pixels: Pixels
    inside: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", read_only(self.pixels))


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """
    A unit vector (D,) float32, and the digest of its model: vectors of two models must not be compared.

    `threshold_offset` is what the face takes off the threshold of each of its pairs, because strangers that look like
    it are common; 0 if the model has no offsets.
    """

    vector: Floats
    model: str
    threshold_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.vector.ndim != 1 or self.vector.dtype != np.float32:
            raise ValueError(f"expected a float32 vector, got {self.vector.dtype} {self.vector.shape}")
        object.__setattr__(self, "vector", read_only(self.vector))


def vector_problem(vector: Floats, dimension: int | None = None) -> str | None:
    """Say why the numbers are not a unit vector (of `dimension` numbers, if given); None if they are one."""
    if dimension is not None and len(vector) != dimension:
        return f"expected a vector of {dimension} numbers, got {len(vector)}"
    with np.errstate(all="ignore"):  # they may be any numbers
        length = math.sqrt(float(np.dot(vector, vector)))  # faster than np.linalg.norm
    return None if abs(length - 1) < 1e-3 else f"expected a vector of length 1, got length {length:.4f}"


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """
    An embedded face of a request, to be compared or enrolled.

    If the request gave its vector instead of a photo, face and quality are None, and `faces_found` is 1.
    """

    face: Face | None
    quality: Quality | None
    embedding: Embedding
    faces_found: int
    liveness: Liveness | None = None
    """None if it was not asked for."""
    crop: bytes | None = field(default=None, repr=False)
    """The crop to keep, as JPEG; None if none is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """
    An enrolled face; `enrolled_at` is ISO 8601 in UTC.

    One that was enrolled as a vector has no face and quality. `crop` is the kept crop as JPEG: None if there is none,
    or if it was not asked for.
    """

    face_id: str
    subject_id: str
    embedding: Embedding
    face: Face | None
    quality: Quality | None
    enrolled_at: str
    crop: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, order=True)
class Distance:
    """The squared Euclidean distance between two unit vectors, in [0, 4] (FaceNet, section 3)."""

    squared_l2: float

    @property
    def similarity(self) -> float:
        """The cosine, in [-1, 1]."""
        return 1 - self.squared_l2 / 2


def rounded_rate(rate: float) -> float:
    """Return a rate without the last digits, which come from its computation: 1e-4 for 9.999999999999999e-05."""
    return float(f"{rate:.12g}")


@dataclass(frozen=True, slots=True)
class FacePair:
    """Two compared faces: their distance, and the sum of their threshold offsets."""

    distance: Distance
    offset: float = 0.0

    @property
    def score(self) -> float:
        """The normalized score: the distance at which two average faces would be as likely one person's."""
        return self.distance.squared_l2 + self.offset

    def threshold(self, base: float, *, plain: bool) -> float:
        """Return the largest distance at which this pair matches; a plain threshold is the same for all pairs."""
        return base if plain else base - self.offset

    def rank(self, *, plain: bool) -> float:
        """Return what pairs are ordered by: the score, or with a plain threshold the distance."""
        return self.distance.squared_l2 if plain else self.score


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with its error rates for one comparison; a rate is None if the calibration does not give it."""

    threshold: float
    fmr: float | None
    fnmr: float | None

    def decide(self, distance: Distance) -> bool:
        """Return whether the two faces match."""
        return distance.squared_l2 <= self.threshold

    def fpir(self, templates: int) -> float | None:
        """Return the chance that a stranger matches any of `templates`, 1 - (1 - FMR)^N for independent comparisons."""
        if self.fmr is None:
            return None
        return rounded_rate(-math.expm1(templates * math.log1p(-min(self.fmr, 1 - 1e-12))))


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    A compared pair, and the operating point for it.

    `probability` is that of one person at equal prior odds, None without a calibration.
    """

    distance: Distance
    point: OperatingPoint
    match: bool
    probability: float | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolled subject whose nearest face matches; `rank` counts from 1."""

    subject_id: str
    face_id: str
    comparison: Comparison
    rank: int
    metadata: Mapping[str, Any]
