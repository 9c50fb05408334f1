"""Faces in a photo: frozen dataclasses with read-only arrays."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.arrays import Floats, Pixels, read_only


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
