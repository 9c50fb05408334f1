"""
The lines of an exported gallery: a header, then a JSON object for each subject with its faces; vectors in base64.

The threshold offset of a face is written for those who compare vectors themselves. An import ignores it, since offsets
are computed from the vectors whenever faces are read. A kept crop is a JPEG in base64.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np

from app.domain.clock import format_time, parse_time
from app.domain.embeddings import Embedding, Template
from app.domain.errors import InvalidRequest
from app.gallery.face_json import detection_from_json, detection_to_json, stored_vector_problem
from app.gallery.limits import check_id, check_serializable
from app.gallery.records import GalleryInfo, ImportedSubject, SubjectInfo

CropCheck: TypeAlias = Callable[[bytes], object]
"""Raises ValueError for what is not a crop."""

FORMAT = "likeness-gallery-1"
_DETECTION = {"box", "landmarks", "confidence", "quality"}
"""The members of a face that was found in a photo; one that was enrolled as a vector has none of them."""
_KINDS = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def header_line(gallery: GalleryInfo) -> str:
    return json.dumps({"format": FORMAT, "gallery": gallery.id, "model": gallery.model}) + "\n"


def subject_line(subject: SubjectInfo, templates: Sequence[Template]) -> str:
    line = {
        "subject_id": subject.subject_id,
        "metadata": subject.metadata,
        "consent": subject.consent,
        "expires_at": subject.expires_at,
        "faces": [*map(_face, templates)],
    }
    return json.dumps(line) + "\n"


def read_header(line: bytes) -> str | None:
    """Return the digest of the model that made the vectors; None if there are none. Raises InvalidRequest."""
    try:
        header = json.loads(line)
        found = header.get("format") if isinstance(header, dict) else None
        if found != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {str(found)[:80]}")
        model = header["model"]
    except _UNREADABLE as error:
        raise _unreadable(error) from error
    return None if model is None else str(model)


def read_subject(line: bytes, model: str | None, check_crop: CropCheck | None = None) -> ImportedSubject:
    """Crops are left out unless there is a check for them. Raises InvalidRequest."""
    try:
        entry = json.loads(line)
        subject_id, metadata = _member(entry, "subject_id", str), check_serializable(_member(entry, "metadata", dict))
        faces = [_template(face, subject_id, model, check_crop) for face in _member(entry, "faces", list)]
        consent, expires_at = (_member({name: None, **entry}, name, str, None) for name in ("consent", "expires_at"))
        return ImportedSubject(subject_id, metadata, faces, consent, parse_time(expires_at) if expires_at else None)
    except _UNREADABLE as error:
        raise _unreadable(error) from error


def _member(entry: Any, name: str, *kinds: type | None) -> Any:
    """Return a member of a JSON object. Raises KeyError, or TypeError unless it is one of those kinds."""
    if not isinstance(entry, dict):
        raise TypeError(f"expected an object, got {_KINDS[type(entry)]}")
    if not isinstance(value := entry[name], tuple(kind or type(None) for kind in kinds)):
        raise TypeError(f"expected {name} as {_KINDS[kinds[0] or type(None)]}, got {_KINDS[type(value)]}")
    return value


def _unreadable(error: Exception) -> InvalidRequest:
    if isinstance(error, json.JSONDecodeError):
        reason = f"expected JSON, got something else: {error}"
    else:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return InvalidRequest(f"not an exported gallery: {reason}")


def _face(template: Template) -> dict[str, Any]:
    return {
        "face_id": template.face_id,
        "vector": base64.b64encode(template.embedding.vector.tobytes()).decode(),
        "threshold_offset": template.embedding.threshold_offset,
        **(detection_to_json(template) or {}),
        "enrolled_at": template.enrolled_at,
        **({"crop": base64.b64encode(template.crop).decode()} if template.crop else {}),
    }


def _template(entry: dict[str, Any], subject_id: str, model: str | None, check_crop: CropCheck | None) -> Template:
    face_id, data = _member(entry, "face_id", str), base64.b64decode(_member(entry, "vector", str))
    check_id(face_id)
    if model is None:
        raise ValueError(f"face {face_id}: the header names no model")
    if problem := stored_vector_problem(data):
        raise ValueError(f"face {face_id}: {problem}")
    embedding = Embedding(np.frombuffer(data, np.float32), model)
    enrolled_at = format_time(datetime.fromisoformat(_member(entry, "enrolled_at", str)))
    face, quality = detection_from_json(entry if entry.keys() & _DETECTION else None)
    return Template(face_id, subject_id, embedding, face, quality, enrolled_at, _crop(entry, face_id, check_crop))


def _crop(entry: dict[str, Any], face_id: str, check: CropCheck | None) -> bytes | None:
    if check is None or entry.get("crop") is None:
        return None
    crop = base64.b64decode(entry["crop"])
    try:
        check(crop)
    except ValueError as error:
        raise ValueError(f"face {face_id}: {error}") from error
    return crop
