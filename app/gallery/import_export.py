"""Write a gallery to a file and read it back; app/gallery/export_lines.py has the format of the lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from app.domain.errors import InvalidRequest
from app.domain.identity import SYSTEM, Actor
from app.gallery.export_lines import CropCheck, header_line, read_header, read_subject, subject_line
from app.gallery.records import DamagedRow, ImportedSubject, SubjectInfo
from app.gallery.repository import GalleryRepository

_PAGE = 500
_BATCH = 1000
"""Subjects and faces written in one transaction: the disk is waited for once."""


def export_gallery(repository: GalleryRepository, gallery_id: str, path: Path) -> tuple[int, list[DamagedRow]]:
    """
    Write the gallery to `path`, readable by its owner only.

    Return the number of faces written, and the damaged rows that were left out.
    """
    gallery = repository.gallery(gallery_id)
    kinds = ("face", "crop", "metadata", "consent", "subject")
    left_out = [row for row in repository.damaged_rows(gallery_id) if row.kind in kinds]
    faces = 0
    with path.open("w", encoding="utf-8") as file:
        path.chmod(0o600)
        file.write(header_line(gallery))
        for subject in _subjects(repository, gallery_id):
            templates = repository.faces(gallery_id, subject.subject_id, crops=True)
            faces += len(templates)
            file.write(subject_line(subject, templates))
    return faces, left_out


def import_gallery(
    repository: GalleryRepository,
    gallery_id: str,
    path: Path,
    by: Actor = SYSTEM,
    on_progress: Callable[[int], None] = lambda _: None,
    check_crop: CropCheck | None = None,
) -> int:
    """
    Add the subjects and faces of `path`, except faces that the gallery has already; return the number added.

    Kept crops are left out unless there is a check for them. Many lines are one transaction, after which `on_progress`
    gets the number of bytes read so far. An import that was interrupted may be run again. Raises ValueError, naming the
    line, if the file is not an export, or ModelMismatch if another model made it; the transactions before are kept.
    """
    added = 0
    with path.open("rb") as file:
        for batch in _batches(_read(file, path, check_crop)):
            added += sum(outcome.faces for outcome in repository.import_subjects(gallery_id, batch, by))
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


def _read(file: BinaryIO, path: Path, check_crop: CropCheck | None) -> Iterator[ImportedSubject]:
    number, model = 0, None
    for number, line in enumerate(iter(file.readline, b""), start=1):
        try:
            if number == 1:
                model = read_header(line)
                continue
            subject = read_subject(line, model, check_crop)
        except InvalidRequest as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        yield subject
    if not number:
        raise ValueError(f"{path}: not an exported gallery: it is empty")


def _subjects(repository: GalleryRepository, gallery_id: str) -> Iterator[SubjectInfo]:
    page = repository.subjects(gallery_id, _PAGE, "")
    while page:
        yield from page
        page = repository.subjects(gallery_id, _PAGE, page[-1].subject_id)
