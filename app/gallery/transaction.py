"""The steps that the records' transactions are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.audit import log as audit
from app.domain.clock import now
from app.domain.errors import InvalidRequest, ModelMismatch, NotFound
from app.domain.identity import Actor
from app.domain.models import Template
from app.gallery.codec import GalleryInfo, IdempotencyRecord, RowCodec, SubjectInfo
from app.storage.sqlite import Connection, UniqueViolation


class GalleryTransaction:
    """The tables of galleries, subjects, faces and answers, within one transaction."""

    def __init__(self, db: Connection, values: RowCodec) -> None:
        self.db, self._values = db, values

    def gallery(self, gallery_id: str) -> GalleryInfo:
        row = self.db.execute(f"{rows.GALLERY} WHERE id = ?", (gallery_id,)).fetchone()
        if row is None:
            raise NotFound(f"no gallery {gallery_id!r}")
        return rows.gallery(row)

    def is_unchanged(self, known: GalleryInfo) -> bool:
        """Whether the gallery is as it was; a new one of the same name has another key."""
        found = self.db.execute("SELECT key, revision, model FROM galleries WHERE id = ?", (known.id,)).fetchone()
        return found is not None and tuple(found) == (known.key, known.revision, known.model)

    def key(self, gallery_id: str) -> int:
        """As `gallery`, without counting what is in it."""
        row = self.db.execute("SELECT key FROM galleries WHERE id = ?", (gallery_id,)).fetchone()
        if row is None:
            raise NotFound(f"no gallery {gallery_id!r}")
        return int(row["key"])

    def subject(self, gallery: GalleryInfo, subject_id: str) -> SubjectInfo:
        row = self.db.execute(f"{rows.SUBJECT} WHERE gallery = ? AND id = ?", (gallery.key, subject_id)).fetchone()
        if row is None:
            raise NotFound(f"no subject {subject_id!r} in gallery {gallery.id!r}")
        return self._values.subject(gallery.key, row)

    def faces(self, gallery: GalleryInfo, subject_id: str) -> list[Template]:
        """Oldest first."""
        found = self.db.execute(
            "SELECT * FROM faces WHERE gallery = ? AND subject = ? ORDER BY revision, rowid", (gallery.key, subject_id)
        )
        return [self._values.template(gallery.key, row, gallery.model or "") for row in found]

    def ensure_gallery(self, gallery_id: str, by: Actor) -> bool:
        """Whether it is new."""
        rows.check_id(gallery_id)
        made = self.db.execute("INSERT OR IGNORE INTO galleries (id, created_at) VALUES (?, ?)", (gallery_id, now()))
        if made.rowcount > 0:
            audit.append(self.db, by, "gallery.create", gallery_id)
        return made.rowcount > 0

    def ensure_subject(self, gallery: GalleryInfo, subject_id: str) -> bool:
        """Whether it is new."""
        rows.check_id(subject_id)
        metadata = self._values.close_metadata(gallery.key, subject_id, {})
        made = self.db.execute(
            "INSERT OR IGNORE INTO subjects VALUES (?, ?, ?, ?)", (gallery.key, subject_id, metadata, now())
        )
        return made.rowcount > 0

    def set_metadata(self, gallery: GalleryInfo, subject_id: str, metadata: Mapping[str, Any]) -> None:
        closed = self._values.close_metadata(gallery.key, subject_id, metadata)
        self.db.execute(
            "UPDATE subjects SET metadata = ? WHERE gallery = ? AND id = ?", (closed, gallery.key, subject_id)
        )

    def bind(self, gallery: GalleryInfo, model: str) -> None:
        """Raises ModelMismatch where another model filled the gallery."""
        if gallery.model not in (None, model):
            raise ModelMismatch(f"gallery {gallery.id!r} was filled by model {gallery.model}, not {model}")
        self.db.execute("UPDATE galleries SET model = ? WHERE key = ?", (model, gallery.key))

    def add_faces(self, gallery: GalleryInfo, templates: Sequence[Template]) -> None:
        """At a revision of their own. Raises InvalidRequest where a face id is taken."""
        revision = self.raise_revision(gallery)
        faces = [self._values.face_row(gallery.key, template, revision) for template in templates]
        try:
            self.db.executemany("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?)", faces)
        except UniqueViolation as error:
            raise InvalidRequest(f"gallery {gallery.id!r} has one of these faces already") from error

    def raise_revision(self, gallery: GalleryInfo) -> int:
        self.db.execute("UPDATE galleries SET revision = revision + 1 WHERE key = ?", (gallery.key,))
        return int(self.db.execute("SELECT revision FROM galleries WHERE key = ?", (gallery.key,)).fetchone()[0])

    def note_removals(self, gallery: GalleryInfo, which: str, *values: str) -> int:
        """Raise the revision and note every face that `which` names; how many those are."""
        revision = self.raise_revision(gallery)
        return self.db.execute(
            f"INSERT INTO removals SELECT gallery, ?, id FROM faces WHERE gallery = ? AND {which}",
            (revision, gallery.key, *values),
        ).rowcount

    def remember(self, gallery: GalleryInfo, subject_id: str, kept: IdempotencyRecord) -> None:
        closed = self._values.close_answer(gallery.key, subject_id, kept)
        self.db.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?)", (gallery.key, subject_id, kept.key, kept.request, closed)
        )

    def remembered(self, key: int, subject_id: str, kept: IdempotencyRecord) -> Mapping[str, Any] | None:
        """What was answered under the same key; InvalidRequest where that was another request."""
        row = self.db.execute(
            "SELECT * FROM answers WHERE gallery = ? AND subject = ? AND key = ?", (key, subject_id, kept.key)
        ).fetchone()
        if row is None:
            return None
        if row["request"] != kept.request:
            raise InvalidRequest(f"Idempotency-Key {kept.key!r} was used for another request")
        return self._values.answer(key, row)

    def forget_answers(self, gallery: GalleryInfo, subject_id: str) -> None:
        """What was answered tells where a face was in its photo, and would claim that it is still enrolled."""
        self.db.execute("DELETE FROM answers WHERE gallery = ? AND subject = ?", (gallery.key, subject_id))
