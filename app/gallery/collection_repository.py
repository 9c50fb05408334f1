"""The faces of a gallery whoever they are of, and changes of many subjects at once."""

from __future__ import annotations

from collections.abc import Sequence

from app.audit import log as audit
from app.domain.embeddings import Template
from app.domain.errors import NotFound
from app.domain.identity import SYSTEM, Actor
from app.gallery import queries
from app.gallery.records import FacePage, FaceReference
from app.gallery.transactional import Transactional


class CollectionRepository(Transactional):
    def face(self, gallery_id: str, face_id: str) -> Template:
        """Raises NotFound, or DamagedValue if the face cannot be read."""
        with self._reading() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            ids = (gallery.number, face_id)
            row = transaction.db.execute(f"{queries.FACE} WHERE gallery = ? AND id = ?", ids).fetchone()
            if row is None:
                raise NotFound(f"no face {face_id!r} in gallery {gallery_id!r}")
            (template,) = self._codec.with_offsets(gallery, [self._codec.template(gallery, row)])
            return template

    def face_page(self, gallery_id: str, subject_id: str | None, offset: int, limit: int) -> FacePage:
        """Return at most `limit` faces behind the first `offset`, of one subject or of all, oldest first."""
        with self._reading() as transaction:
            number = transaction.gallery_number(gallery_id)
            where, values = _selection(subject_id, None)
            faces = f"FROM faces WHERE gallery = ? AND {where}"
            total = transaction.db.execute(f"SELECT count(*) {faces}", (number, *values)).fetchone()[0]
            rows = transaction.db.execute(
                f"SELECT id, subject {faces} ORDER BY revision, rowid LIMIT ? OFFSET ?",
                (number, *values, limit, offset),
            )
            return FacePage([FaceReference(row["id"], row["subject"]) for row in rows], total)

    def delete_faces(
        self,
        gallery_id: str,
        by: Actor = SYSTEM,
        *,
        subject_id: str | None = None,
        face_ids: Sequence[str] | None = None,
    ) -> list[FaceReference]:
        """Delete the faces of one subject or of all, if `face_ids` are given only these; return those that existed."""
        with self._deleting() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            where, values = _selection(subject_id, face_ids)
            transaction.log_removals(gallery, where, *values)
            rows = transaction.db.execute(
                f"DELETE FROM faces WHERE gallery = ? AND {where} RETURNING id, subject", (gallery.number, *values)
            ).fetchall()
            for subject in {row["subject"] for row in rows}:
                transaction.delete_saved_responses(gallery, subject)
                transaction.renew_key(gallery, subject)
            for row in rows:
                audit.append(transaction.db, by, "face.delete", gallery_id, subject=row["subject"], face=row["id"])
            return [FaceReference(row["id"], row["subject"]) for row in rows]

    def delete_all_subjects(self, gallery_id: str, by: Actor = SYSTEM) -> int:
        """Delete all subjects with their faces, but not the gallery; return their number."""
        with self._deleting() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            transaction.log_removals(gallery, "TRUE")
            deleted = transaction.delete_subjects(gallery)
            for subject_id in deleted:
                audit.append(transaction.db, by, "subject.delete", gallery_id, subject=subject_id)
            return len(deleted)


def _selection(subject_id: str | None, face_ids: Sequence[str] | None) -> tuple[str, list[str]]:
    """Return a condition on the faces of a gallery, and its values."""
    where, values = "TRUE", list[str]()
    if subject_id is not None:
        where, values = f"{where} AND subject = ?", [subject_id]
    if face_ids is not None:
        marks = ",".join("?" * len(face_ids)) or "NULL"  # which no id equals; PostgreSQL knows no empty list
        where, values = f"{where} AND id IN ({marks})", [*values, *face_ids]
    return where, values
