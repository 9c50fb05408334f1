"""Answers of the service as values (docs/api.md). Members that this version does not know are left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
Point = tuple[float, float]


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
    """`box` is left, top, right, bottom in pixels of the upright photo, `landmarks` five points of x and y."""

    box: tuple[float, ...]
    landmarks: list[tuple[float, ...]]
    confidence: float
    quality: Quality
    rotated: int = 0
    image: str | None = None
    faces_found: int | None = None
    liveness: Liveness | None = None


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
    box: tuple[float, ...]
    landmarks: list[tuple[float, ...]]
    confidence: float
    quality: Quality
    identified: bool
    candidates: list[Candidate]
    rotated: int = 0
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
    box: tuple[float, ...]
    landmarks: list[tuple[float, ...]]
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
class EnrolledFace:
    face_id: str
    subject_id: str
    enrolled_at: str
    box: tuple[float, ...] | None = None
    quality: Quality | None = None
    index: int | None = None
    liveness: Liveness | None = None


@dataclass(frozen=True, slots=True)
class RejectedPhoto:
    """A photo that was not enrolled: its place in the request and its problem document."""

    index: int
    problem: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Enrollment:
    enrolled: list[EnrolledFace]
    rejected: list[RejectedPhoto]
    duplicates: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EnrolledFaces:
    faces: list[EnrolledFace]


@dataclass(frozen=True, slots=True)
class Gallery:
    id: str
    subjects: int
    faces: int
    revision: int
    model: str | None
    created_at: str


@dataclass(frozen=True, slots=True)
class Galleries:
    galleries: list[Gallery]


@dataclass(frozen=True, slots=True)
class Subject:
    subject_id: str
    metadata: dict[str, Any]
    faces: int
    created_at: str
    consent: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class SubjectPage:
    """Some subjects, and the cursor of the next page: None after the last."""

    subjects: list[Subject]
    next_cursor: str | None


def read(kind: type[T], value: Any) -> T:
    """Return the JSON value as `kind`. Raises ValueError if a member is missing or of another type."""
    result: T = _read(kind, value, kind.__name__)
    return result


def _read(kind: Any, value: Any, where: str) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any or (value is None and type(None) in parts):
        return value
    if origin is UnionType:
        return _read(next(part for part in parts if part is not type(None)), value, where)
    if is_dataclass(kind):
        return _read_members(kind, value, where)
    expected = {float: int | float}.get(kind, origin or kind)
    if not isinstance(value, list if origin is tuple else expected):
        raise ValueError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {type(value).__name__}")
    if origin in (list, tuple):
        return origin(_read(parts[0], each, where) for each in value)
    return value


def _read_members(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected an object, got {type(value).__name__}")
    hints, members = _hints(kind), {}
    for each in fields(kind):
        if each.name in value:
            members[each.name] = _read(hints[each.name], value[each.name], f"{where}.{each.name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{where}: expected a member {each.name!r}, got none")
    return kind(**members)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
