"""The statements on enrolled faces and their kept crops, within one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from app.domain.embeddings import Template
from app.domain.errors import InvalidRequest
from app.gallery import queries
from app.gallery.records import DamagedRow, DamagedValue, GalleryInfo
from app.gallery.statements import Statements
from app.storage.database import Row

log = logging.getLogger(__name__)

_ADD_FACE = f"INSERT INTO faces ({queries.FACE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_ADD_CROP = "INSERT INTO crops (gallery, subject, face, crop) VALUES (?, ?, ?, ?)"


class FaceStatements(Statements):
    def faces(self, gallery: GalleryInfo, subject_id: str, *, crops: bool = False) -> list[Template]:
        """Return a subject's templates, oldest first, with `crops` if asked; what is damaged is logged and left out."""
        rows = self.db.execute(
            f"{queries.FACE} WHERE gallery = ? AND subject = ? ORDER BY revision, rowid",
            (gallery.number, subject_id),
        )
        templates = []
        for row in rows:
            try:
                templates.append(self.codec.template(gallery, row))
            except DamagedValue as error:
                log.warning("%s; the face is left out", damaged_face(gallery, row, error))
        kept = self._crops(gallery, subject_id) if crops else {}
        return [replace(each, crop=kept.get(each.face_id)) for each in self.codec.with_offsets(gallery, templates)]

    def _crops(self, gallery: GalleryInfo, subject_id: str) -> dict[str, bytes]:
        ids, crops = (gallery.number, subject_id), dict[str, bytes]()
        for row in self.db.execute(f"{queries.CROP} WHERE gallery = ? AND subject = ?", ids):
            try:
                crops[row["face"]] = self.codec.crop(gallery, row)
            except DamagedValue as error:
                log.warning("%s; the crop is left out", damaged_of_face("crop", gallery, row, error))
        return crops

    def face_ids(self, gallery: GalleryInfo, subject_id: str) -> set[str]:
        rows = self.db.execute("SELECT id FROM faces WHERE gallery = ? AND subject = ?", (gallery.number, subject_id))
        return {row["id"] for row in rows}

    def add_faces(self, gallery: GalleryInfo, templates: Sequence[Template]) -> None:
        """
        Add the faces at a new revision.

        Raises InvalidRequest if the gallery has a face of the same id, or too many faces.
        """
        revision = self.raise_revision(gallery)
        rows = [
            self.codec.face_row(gallery, each, revision, self.keys.cipher(gallery.number, each.subject_id))
            for each in templates
        ]
        added = self.db.executemany(_ADD_FACE, rows)
        self.db.forget_values(_ADD_FACE)
        if added.rowcount < len(rows):
            raise InvalidRequest(f"gallery {gallery.id!r} has one of these faces already")
        self.db.executemany(
            _ADD_CROP,
            [
                self.codec.crop_row(gallery, each, self.keys.cipher(gallery.number, each.subject_id))
                for each in templates
                if each.crop
            ],
        )
        self.db.forget_values(_ADD_CROP)
        self.limits.check_faces(self.db, gallery, {template.subject_id for template in templates})

    def log_removals(self, gallery: GalleryInfo, where: str, *values: str) -> int:
        """Raise the revision and write every face that `where` selects to the table `removals`; return their number."""
        revision = self.raise_revision(gallery)
        return self.db.execute(
            "INSERT INTO removals (gallery, revision, face) "
            f"SELECT gallery, ?, id FROM faces WHERE gallery = ? AND {where}",
            (revision, gallery.number, *values),
        ).rowcount


def damaged_of_face(
    kind: Literal["crop", "new_vector"], gallery: GalleryInfo, row: Row, error: DamagedValue
) -> DamagedRow:
    return DamagedRow(kind, str(error), gallery.id, row["subject"], face_id=row["face"])


def damaged_face(gallery: GalleryInfo, row: Row, error: DamagedValue) -> DamagedRow:
    return DamagedRow("face", str(error), gallery.id, row["subject"], face_id=row["id"])
