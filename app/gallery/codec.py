"""What a row of the records means: the selects, the values they become, and back; private values through a seal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.domain.errors import InvalidRequest
from app.domain.models import Box, Embedding, Face, Floats, Landmarks, Quality, Template
from app.storage.cipher import Cipher
from app.storage.sqlite import Row


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    key: int
    id: str
    model: str | None
    revision: int
    subjects: int
    faces: int
    created_at: str


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    subject_id: str
    metadata: Mapping[str, Any]
    faces: int
    created_at: str


@dataclass(frozen=True, slots=True)
class SubjectFile:
    """All that is kept of one subject: what the law lets people ask for."""

    gallery: GalleryInfo
    subject: SubjectInfo
    faces: Sequence[Template]
    events: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened after a revision: faces added (and still there), and ids removed."""

    revision: int
    added: Sequence[tuple[str, str, Floats]]  # face id, subject id, vector
    removed: Sequence[str]


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """An answer kept under the caller's Idempotency-Key, with the digest of the request it answered."""

    key: str
    request: str
    answer: Mapping[str, Any]


GALLERY = """SELECT key, id, model, revision, created_at,
    (SELECT count(*) FROM subjects WHERE gallery = key) AS subjects,
    (SELECT count(*) FROM faces WHERE gallery = key) AS faces FROM galleries"""
SUBJECT = """SELECT id, metadata, created_at,
    (SELECT count(*) FROM faces WHERE faces.gallery = subjects.gallery AND subject = subjects.id) AS faces
    FROM subjects"""


ID_PATTERN = r"^[^\x00-\x1f\x7f]{1,128}$"


def check_id(identifier: str) -> None:
    """Raises InvalidRequest unless it can be the id of a gallery or a subject."""
    if not re.fullmatch(ID_PATTERN, identifier):
        raise InvalidRequest(f"want an id of 1 to 128 characters without control characters, got {identifier!r}")


def gallery(row: Row) -> GalleryInfo:
    return GalleryInfo(**dict(row))


def detection(enrolled: Template) -> dict[str, Any]:
    """How the face was seen, as JSON."""
    face, quality = enrolled.face, enrolled.quality
    return {
        "box": [face.box.left, face.box.top, face.box.right, face.box.bottom],
        "landmarks": face.landmarks.points.tolist(),
        "confidence": face.confidence,
        "quality": [quality.size, quality.sharpness, quality.frontality, quality.inside],
    }


def detected(seen: Mapping[str, Any]) -> tuple[Face, Quality]:
    """Back from `detection`. Raises KeyError, TypeError or ValueError where it is something else."""
    landmarks = Landmarks(np.asarray(seen["landmarks"], np.float32))
    return Face(Box(*seen["box"]), landmarks, seen["confidence"]), Quality(*seen["quality"])


def vector_fault(data: bytes) -> str | None:
    """Why `data` is no float32 vector of unit length; None where it is."""
    if len(data) % np.dtype(np.float32).itemsize:
        return f"{len(data)} bytes are no float32 vector"
    length = float(np.linalg.norm(np.frombuffer(data, np.float32)))
    return None if abs(length - 1) < 1e-3 else f"vector of length {length:.4f}, want 1"


class RowCodec:
    """Private values, on their way into a row and out of it; `key` is the gallery's."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def face_row(self, key: int, enrolled: Template, revision: int) -> tuple[Any, ...]:
        where = (key, enrolled.subject_id, enrolled.face_id)
        vector = self._cipher.close(enrolled.embedding.vector.tobytes(), _about("vector", *where))
        seen = self._close("detection", detection(enrolled), *where)
        return *where, vector, seen, revision, enrolled.enrolled_at

    def template(self, key: int, row: Row, model: str) -> Template:
        face, quality = detected(self._open("detection", row["detection"], key, row["subject"], row["id"]))
        embedding = Embedding(self.vector(key, row), model)
        return Template(row["id"], row["subject"], embedding, face, quality, row["enrolled_at"])

    def vector(self, key: int, row: Row) -> Floats:
        return np.frombuffer(self.vector_bytes(key, row), np.float32)

    def vector_bytes(self, key: int, row: Row) -> bytes:
        return self._cipher.open(row["vector"], _about("vector", key, row["subject"], row["id"]))

    def subject(self, key: int, row: Row) -> SubjectInfo:
        return SubjectInfo(row["id"], self.metadata(key, row), row["faces"], row["created_at"])

    def metadata(self, key: int, row: Row) -> Mapping[str, Any]:
        metadata: Mapping[str, Any] = self._open("metadata", row["metadata"], key, row["id"])
        return metadata

    def close_metadata(self, key: int, subject_id: str, metadata: Mapping[str, Any]) -> bytes:
        return self._close("metadata", metadata, key, subject_id)

    def answer(self, key: int, row: Row) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._open("answer", row["answer"], key, row["subject"], row["key"])
        return answer

    def close_answer(self, key: int, subject_id: str, remember: IdempotencyRecord) -> bytes:
        return self._close("answer", remember.answer, key, subject_id, remember.key)

    def _close(self, column: str, value: Any, *where: object) -> bytes:
        return self._cipher.close(json.dumps(value).encode(), _about(column, *where))

    def _open(self, column: str, written: bytes | str, *where: object) -> Any:
        given = written.encode() if isinstance(written, str) else written  # TEXT, as version 0.1 wrote it
        return json.loads(self._cipher.open(given, _about(column, *where)))


def _about(column: str, *where: object) -> str:
    """What a sealed value is about; unambiguous, since JSON quotes the ids."""
    return json.dumps([column, *where])
