"""What a row of the records means: the selects, the values they become, and back."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from app.domain.errors import InvalidRequest
from app.domain.nouns import Box, Embedding, Face, Floats, Landmarks, Quality, Template


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
class Changes:
    """What happened after a revision: faces added (and still there), and ids removed."""

    revision: int
    added: Sequence[tuple[str, str, Floats]]  # face id, subject id, vector
    removed: Sequence[str]


@dataclass(frozen=True, slots=True)
class Remembered:
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


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def gallery(row: sqlite3.Row) -> GalleryInfo:
    return GalleryInfo(**dict(row))


def subject(row: sqlite3.Row) -> SubjectInfo:
    return SubjectInfo(row["id"], json.loads(row["metadata"]), row["faces"], row["created_at"])


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


def face_row(key: int, enrolled: Template, revision: int) -> tuple[Any, ...]:
    vector, seen = enrolled.embedding.vector.tobytes(), json.dumps(detection(enrolled))
    return key, enrolled.subject_id, enrolled.face_id, vector, seen, revision, enrolled.enrolled_at


def vector_fault(data: bytes) -> str | None:
    """Why `data` is no float32 vector of unit length; None where it is."""
    if len(data) % np.dtype(np.float32).itemsize:
        return f"{len(data)} bytes are no float32 vector"
    length = float(np.linalg.norm(np.frombuffer(data, np.float32)))
    return None if abs(length - 1) < 1e-3 else f"vector of length {length:.4f}, want 1"


def template(row: sqlite3.Row, model: str) -> Template:
    face, quality = detected(json.loads(row["detection"]))
    embedding = Embedding(np.frombuffer(row["vector"], np.float32), model)
    return Template(row["id"], row["subject"], embedding, face, quality, row["enrolled_at"])
