"""Values: the stored galleries, subjects and faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.domain.arrays import Floats
from app.domain.embeddings import Template
from app.domain.errors import ServiceError


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """
    `number` is the primary key, never used again; `model` and `dimension` are those of the first face enrolled.

    `sealed_seed` is the encrypted seed of the gallery's transform, or None if its vectors are stored as they are.
    """

    number: int
    id: str
    model: str | None
    dimension: int | None
    revision: int
    subjects: int
    faces: int
    created_at: str
    sealed_seed: bytes | None = field(default=None, repr=False, compare=False)

    def stores_vectors_as(self, other: GalleryInfo) -> bool:
        """Return whether the other is the same gallery, with vectors of the same model and the same transform."""
        return (self.number, self.model, self.sealed_seed) == (other.number, other.model, other.sealed_seed)


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    subject_id: str
    metadata: Mapping[str, Any]
    faces: int
    created_at: str
    consent: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class FaceReference:
    face_id: str
    subject_id: str


@dataclass(frozen=True, slots=True)
class FacePage:
    """Some faces of `total`."""

    faces: Sequence[FaceReference]
    total: int


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """A response saved under the caller's Idempotency-Key, with the digest of the request it answered."""

    key: str
    request_digest: str
    response: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SubjectFile:
    """Everything that is stored about one subject, which people have a right to see."""

    gallery: GalleryInfo
    subject: SubjectInfo
    faces: Sequence[Template]
    events: Sequence[Mapping[str, Any]]
    saved_responses: Sequence[IdempotencyRecord]


@dataclass(frozen=True, slots=True)
class ImportedSubject:
    """A line of an exported gallery."""

    subject_id: str
    metadata: Mapping[str, Any]
    faces: Sequence[Template]
    consent: str | None = None
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class ImportOutcome:
    """
    The effect of a line: a new subject, a change of one that was there, nothing new, or nothing since it had expired.

    `faces` is the number of faces added.
    """

    subject_id: str
    status: Literal["created", "updated", "exists", "expired"]
    faces: int = 0


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """
    A row that cannot be read, and why. Its kind says which of its ids are set.

    The kind `subject` is a subject of which nothing can be read, because its data key is missing. The kind `file` has
    no ids: SQLite itself found the file damaged.
    """

    kind: Literal["face", "crop", "new_vector", "metadata", "consent", "idempotency_key", "subject", "file"]
    problem: str
    gallery_id: str = ""
    subject_id: str = ""
    face_id: str = ""
    idempotency_key: str = ""

    def __str__(self) -> str:
        names = {"gallery": self.gallery_id, "subject": self.subject_id, "face": self.face_id}
        where = ", ".join(f"{name} {value!r}" for name, value in names.items() if value)
        what = {"idempotency_key": f"Idempotency-Key {self.idempotency_key!r}: "}
        return f"{where or 'database'}: {what.get(self.kind, '')}{self.problem}"


@dataclass(frozen=True, slots=True)
class ReEmbeddingProgress:
    """A gallery that is to get the vectors of another model: how many of its faces have one, and since when."""

    model: str
    done: int
    started_at: str


@dataclass(frozen=True, slots=True)
class CropStatus:
    """The number of faces with a kept crop, and the re-embedding that has begun, if one has."""

    faces: int
    re_embedding: ReEmbeddingProgress | None


@dataclass(frozen=True, slots=True)
class KeptCrop:
    """The crop of a face as it was at the revision at which the face was added or moved, as JPEG."""

    face_id: str
    revision: int
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class StoredVector:
    """A face as an index keeps it."""

    face_id: str
    subject_id: str
    vector: Floats
    threshold_offset: float = 0.0


@dataclass(frozen=True, slots=True)
class GalleryChanges:
    """The changes after a revision: faces added (that still exist), ids removed, and added faces that are damaged."""

    revision: int
    added: Sequence[StoredVector]
    removed: Sequence[str]
    damaged: Sequence[DamagedRow]


class DamagedValue(ServiceError):
    """A stored value cannot be decrypted, or is not what its column holds."""
