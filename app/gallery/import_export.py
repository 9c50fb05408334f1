"""
Write and read a gallery as JSON lines: a header, then each subject with its faces; vectors in base64.

The threshold offset of a face is written for those who compare vectors themselves. An import ignores it, since offsets
are computed from the vectors whenever faces are read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from app.domain.clock import format_time, parse_time
from app.domain.identity import SYSTEM, Actor
from app.domain.models import Embedding, Template
from app.gallery.face_json import detection_from_json, detection_to_json, stored_vector_problem
from app.gallery.records import DamagedRow, ImportedSubject, SubjectInfo
from app.gallery.repository import GalleryRepository

FORMAT = "likeness-gallery-1"
_DETECTION = {"box", "landmarks", "confidence", "quality"}
"""The members of a face that was found in a photo; one that was enrolled as a vector has none of them."""
_PAGE = 500
_BATCH = 1000
"""Subjects and faces written in one transaction: the disk is waited for once."""


def export_gallery(repository: GalleryRepository, gallery_id: str, path: Path) -> tuple[int, list[DamagedRow]]:
    """
    Write the gallery to `path`, readable by its owner only.

    Return the number of faces written, and the damaged rows that were left out.
    """
    gallery = repository.gallery(gallery_id)
    kinds = ("face", "metadata", "consent", "subject")
    left_out = [row for row in repository.damaged_rows(gallery_id) if row.kind in kinds]
    faces = 0
    with path.open("w", encoding="utf-8") as file:
        path.chmod(0o600)
        file.write(json.dumps({"format": FORMAT, "gallery": gallery.id, "model": gallery.model}) + "\n")
        for subject in _subjects(repository, gallery_id):
            templates = repository.faces(gallery_id, subject.subject_id)
            faces += len(templates)
            line = {
                "subject_id": subject.subject_id,
                "metadata": subject.metadata,
                "consent": subject.consent,
                "expires_at": subject.expires_at,
                "faces": [*map(_face, templates)],
            }
            file.write(json.dumps(line) + "\n")
    return faces, left_out


def import_gallery(
    repository: GalleryRepository,
    gallery_id: str,
    path: Path,
    by: Actor = SYSTEM,
    on_progress: Callable[[int], None] = lambda _: None,
) -> int:
    """
    Add the subjects and faces of `path`, except faces that the gallery has already; return the number added.

    Many lines are one transaction, after which `on_progress` gets the number of bytes read so far. An import that was
    interrupted may be run again. Raises ValueError, naming the line, if the file is not an export, or ModelMismatch if
    another model made it; the transactions before are kept.
    """
    added = 0
    with path.open("rb") as file:
        for batch in _batches(_read(file, path)):
            added += repository.import_subjects(gallery_id, batch, by)
            on_progress(file.tell())
    return added


def _batches(subjects: Iterator[ImportedSubject]) -> Iterator[list[ImportedSubject]]:
    batch: list[ImportedSubject] = []
    rows = 0
    for subject in subjects:
        batch.append(subject)
        rows += 1 + len(subject.faces)
        if rows >= _BATCH:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _read(file: BinaryIO, path: Path) -> Iterator[ImportedSubject]:
    model = ""
    for number, line in enumerate(iter(file.readline, b""), start=1):
        try:
            entry = json.loads(line)
            if number == 1:
                model = _model_of(entry)
                continue
            subject = _subject(entry, model)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise ValueError(f"{path}, line {number}: not an exported gallery: {error}") from error
        yield subject
    if not model:
        raise ValueError(f"{path}: not an exported gallery: it is empty")


def _subjects(repository: GalleryRepository, gallery_id: str) -> Iterator[SubjectInfo]:
    page = repository.subjects(gallery_id, _PAGE, "")
    while page:
        yield from page
        page = repository.subjects(gallery_id, _PAGE, page[-1].subject_id)


def _model_of(header: Any) -> str:
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        raise ValueError(f"expected format {FORMAT}, got {found}")
    return str(header["model"])


def _subject(entry: Any, model: str) -> ImportedSubject:
    subject_id, metadata = str(entry["subject_id"]), dict(entry["metadata"])
    faces = [_template(face, subject_id, model) for face in entry["faces"]]
    consent, expires_at = entry.get("consent"), entry.get("expires_at")
    if not isinstance(consent, str | None):
        raise TypeError(f"expected consent as text, got {type(consent).__name__}")
    return ImportedSubject(subject_id, metadata, faces, consent, parse_time(expires_at) if expires_at else None)


def _face(template: Template) -> dict[str, Any]:
    return {
        "face_id": template.face_id,
        "vector": base64.b64encode(template.embedding.vector.tobytes()).decode(),
        "threshold_offset": template.embedding.threshold_offset,
        **(detection_to_json(template) or {}),
        "enrolled_at": template.enrolled_at,
    }


def _template(entry: dict[str, Any], subject_id: str, model: str) -> Template:
    data = base64.b64decode(entry["vector"])
    if problem := stored_vector_problem(data):
        raise ValueError(f"face {entry['face_id']}: {problem}")
    embedding = Embedding(np.frombuffer(data, np.float32), model)
    enrolled_at = format_time(datetime.fromisoformat(entry["enrolled_at"]))
    face, quality = detection_from_json(entry if entry.keys() & _DETECTION else None)
    return Template(entry["face_id"], subject_id, embedding, face, quality, enrolled_at)
