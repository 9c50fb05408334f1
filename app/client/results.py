"""Answers about photos as values (docs/api.md). Members that this version does not know are left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Box = tuple[float, ...]
Landmarks = list[tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Quality:
    """Each part in [0, 1]; `overall` is the worst one."""

    size: float
    sharpness: float
    frontality: float
    inside: float
    overall: float


@dataclass(frozen=True, slots=True)
class Liveness:
    score: float
    live: bool


@dataclass(frozen=True, slots=True)
class Face:
    """
    A face of a photo: `box` is left, top, right, bottom in pixels of the upright photo, `landmarks` five points of
    x and y. `crop` is the aligned face as JPEG, if `detect` was asked for it.
    """

    box: Box
    landmarks: Landmarks
    confidence: float
    quality: Quality
    rotated: int = 0
    image: str | None = None
    faces_found: int | None = None
    liveness: Liveness | None = None
    crop: bytes | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """The largest `distance` of a match and its error rates; `base` is the threshold of an average pair."""

    distance: float
    base: float
    fmr: float | None
    fnmr: float | None
    source: str | None = None
    calibrated_on: str | None = None
    fpir: float | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    match: bool
    distance: float
    similarity: float
    probability: float | None
    threshold: Threshold
    faces: list[Face]
    subject_id: str | None = None
    face_id: str | None = None


@dataclass(frozen=True, slots=True)
class ComparedPhoto:
    """The comparison with one of `others`, by its index; a photo that cannot be used has only an `error`."""

    index: int
    match: bool | None
    distance: float | None
    similarity: float | None
    probability: float | None
    threshold: Threshold | None
    face: Face | None
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class OneToMany:
    """The face of `image`, and its comparison with each of `others`, in order."""

    face: Face
    results: list[ComparedPhoto]


@dataclass(frozen=True, slots=True)
class Candidate:
    subject_id: str
    face_id: str
    distance: float
    similarity: float
    probability: float | None
    threshold: Threshold
    rank: int
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdentifiedFace:
    """A face that was searched for. Where a vector was, its place in the photo and its quality are None."""

    box: Box | None
    landmarks: Landmarks | None
    confidence: float | None
    quality: Quality | None
    identified: bool
    candidates: list[Candidate]
    rotated: int | None = 0
    liveness: Liveness | None = None


@dataclass(frozen=True, slots=True)
class SearchedGallery:
    id: str
    subjects: int
    faces: int
    revision: int


@dataclass(frozen=True, slots=True)
class Identification:
    faces: list[IdentifiedFace]
    faces_found: int
    gallery: SearchedGallery
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class Detection:
    faces: list[Face]
    faces_found: int


@dataclass(frozen=True, slots=True)
class EmbeddedFace:
    box: Box
    landmarks: Landmarks
    confidence: float
    quality: Quality
    embedding: list[float]
    threshold_offset: float
    rotated: int = 0


@dataclass(frozen=True, slots=True)
class EmbeddedPhoto:
    """The faces of one photo, or the problem document of why it has none."""

    faces: list[EmbeddedFace]
    faces_found: int
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Model:
    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Embeddings:
    results: list[EmbeddedPhoto]
    model: Model


@dataclass(frozen=True, slots=True)
class RejectedPhoto:
    """A photo that cannot be used: its place in the request and its problem document."""

    index: int
    problem: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clustering:
    """The indexes of the photos of each person, the largest group first, and the photos without a usable face."""

    groups: list[list[int]]
    rejected: list[RejectedPhoto]
    threshold: Threshold
