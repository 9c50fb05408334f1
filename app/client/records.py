"""Answers about galleries and what is kept in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.client.results import Box, Landmarks, Liveness, Quality, RejectedPhoto


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    face_id: str
    subject_id: str
    enrolled_at: str
    box: Box | None = None
    quality: Quality | None = None
    index: int | None = None
    liveness: Liveness | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Another subject that a new face matches; `index` is the place of the face in the request."""

    index: int
    subject_id: str
    distance: float


@dataclass(frozen=True, slots=True)
class Enrollment:
    enrolled: list[EnrolledFace]
    rejected: list[RejectedPhoto]
    duplicates: list[Duplicate] = field(default_factory=list)


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


@dataclass(frozen=True, slots=True)
class ExportedFace:
    """
    An enrolled face with its vector; one that was enrolled as a vector has no place in a photo and no quality.

    `crop` is a JPEG, if the service keeps crops.
    """

    face_id: str
    enrolled_at: str
    embedding: list[float]
    threshold_offset: float
    box: Box | None
    landmarks: Landmarks | None
    confidence: float | None
    quality: Quality | None
    rotated: int | None = 0
    crop: bytes | None = None


@dataclass(frozen=True, slots=True)
class SubjectExport:
    """All that is stored about a subject; `model` is the digest of the model that made the vectors."""

    gallery: str
    subject_id: str
    metadata: dict[str, Any]
    consent: str | None
    expires_at: str | None
    created_at: str
    model: str | None
    faces: list[ExportedFace]
    events: list[dict[str, Any]]
    saved_responses: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ImportedLine:
    """
    The effect of one line: `status` is "header", "created", "updated", "exists", "expired" or "error".

    `faces` is the number of faces that were added; `error` has the `code` and `detail` of a line that was refused.
    """

    line: int
    subject_id: str | None
    status: str
    faces: int
    error: dict[str, Any] | None
