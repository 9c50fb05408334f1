"""The words of the field as values: frozen, with their units, arrays read-only (see docs/glossary.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""(height, width, 3) 8-bit RGB, upright."""
Floats: TypeAlias = npt.NDArray[np.float32]


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view of `array` that cannot be written through."""
    view = array.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the upright photo; may reach beyond its edges, as the detector gave it."""

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
    """(5, 2) float32 x, y in pixels: left eye, right eye, nose, left and right mouth corner, as seen."""

    points: Floats

    def __post_init__(self) -> None:
        if self.points.shape != (5, 2):
            raise ValueError(f"want five landmarks (5, 2), got {self.points.shape}")
        object.__setattr__(self, "points", read_only(self.points))


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """
    What a detector found; `confidence` in [0, 1] is the detector's, and says nothing about identity.

    `refined` are landmarks that were read again with more care, where the detector does so.
    """

    box: Box
    landmarks: Landmarks
    confidence: float
    refined: Landmarks | None = None

    @property
    def points(self) -> Floats:
        """The best landmarks there are, (5, 2): what the face is aligned by."""
        return (self.refined or self.landmarks).points


@dataclass(frozen=True, slots=True)
class Quality:
    """Each part in [0, 1]; the face is as good as its worst part."""

    size: float
    sharpness: float
    frontality: float
    inside: float

    @property
    def overall(self) -> float:
        return min(self.size, self.sharpness, self.frontality, self.inside)


@dataclass(frozen=True, slots=True, eq=False)
class AlignedCrop:
    """`pixels` (size, size, 3) uint8 RGB, a face as the embedder wants it; `inside` is its share in the photo."""

    pixels: Pixels
    inside: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", read_only(self.pixels))


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A unit vector (D,) float32 and the digest of the model that made it: vectors of two models never meet."""

    vector: Floats
    model: str

    def __post_init__(self) -> None:
        if self.vector.ndim != 1 or self.vector.dtype != np.float32:
            raise ValueError(f"want a float32 vector, got {self.vector.dtype} {self.vector.shape}")
        object.__setattr__(self, "vector", read_only(self.vector))


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A face as it came in with a request, ready to be compared."""

    face: Face
    quality: Quality
    embedding: Embedding
    faces_found: int


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A face as it is enrolled; `enrolled_at` is ISO 8601 in UTC."""

    face_id: str
    subject_id: str
    embedding: Embedding
    face: Face
    quality: Quality
    enrolled_at: str


@dataclass(frozen=True, slots=True, order=True)
class Distance:
    """Squared Euclidean distance of two unit vectors, in [0, 4] (FaceNet, section 3)."""

    squared_l2: float

    @property
    def similarity(self) -> float:
        """The cosine, in [-1, 1]."""
        return 1 - self.squared_l2 / 2


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with its error rates for one comparison; a rate is None where no calibration can tell it."""

    threshold: float
    fmr: float | None
    fnmr: float | None

    def decide(self, distance: Distance) -> bool:
        """Whether the two faces are taken for one person."""
        return distance.squared_l2 <= self.threshold

    def fpir(self, templates: int) -> float | None:
        """Chance that a stranger matches one of `templates`: 1 - (1 - FMR)^N, comparisons taken as independent."""
        return None if self.fmr is None else -math.expm1(templates * math.log1p(-min(self.fmr, 1 - 1e-12)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A distance, the decision, and the probability of one person at equal prior odds (None without a calibration)."""

    distance: Distance
    point: OperatingPoint
    match: bool
    probability: float | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolled subject within the threshold, by its nearest face; `rank` counts from 1."""

    subject_id: str
    face_id: str
    distance: Distance
    rank: int
    metadata: Mapping[str, Any]
    probability: float | None
