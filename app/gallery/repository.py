"""
The gallery's truth: one SQLite file. Knows no index; every change is one transaction that raises the revision and
writes to the audit log.

How others do it: CompreFace needs PostgreSQL and reloads all embeddings on a change, DeepFace pickles a folder, and in
both a delete may come back. Here what is committed is on disk, and what is deleted is overwritten (see database.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from app.audit import log as audit
from app.domain.errors import NotFound, ServiceError
from app.domain.identity import SYSTEM, Actor
from app.domain.models import Template
from app.gallery import upkeep
from app.gallery.codec import Changes, GalleryInfo, IdempotencyRecord, RowCodec, SubjectInfo
from app.gallery.transaction import GalleryTransaction
from app.storage.cipher import Cipher, NoCipher
from app.storage.sqlite import Connection, Database


class GalleryRepository:
    """Thread-safe; several processes may share the file. `by` is who the audit log says did it."""

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        """Raises StartError where the file was sealed with another key, or with one and none is given, or with none."""
        for package in ("app.gallery", "app.audit"):
            database.create(package)
        self._database, self._cipher = database, cipher or NoCipher()
        self._rows = RowCodec(self._cipher)
        with database.writing() as db:
            upkeep.require_cipher(db, self._cipher)

    def version(self) -> int:
        """Another number after another process, or another connection of this one, has changed anything."""
        return self._database.version()

    # galleries

    def galleries(self) -> list[GalleryInfo]:
        with self._reading() as transaction:
            return [rows.gallery(row) for row in transaction.db.execute(f"{rows.GALLERY} ORDER BY id")]

    def gallery(self, gallery_id: str) -> GalleryInfo:
        with self._reading() as transaction:
            return transaction.gallery(gallery_id)

    def create_gallery(self, gallery_id: str, by: Actor = SYSTEM) -> tuple[GalleryInfo, bool]:
        """The gallery, and whether it is new."""
        with self._writing() as transaction:
            made = transaction.ensure_gallery(gallery_id, by)
            return transaction.gallery(gallery_id), made

    def delete_gallery(self, gallery_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.gallery(gallery_id)
            gone = transaction.db.execute(
                "DELETE FROM subjects WHERE gallery = ? RETURNING id", (gallery.key,)
            ).fetchall()
            for row in gone:
                audit.append(transaction.db, by, "subject.delete", gallery_id, subject=row["id"])
            transaction.db.execute("DELETE FROM galleries WHERE key = ?", (gallery.key,))
            audit.append(
                transaction.db, by, "gallery.delete", gallery_id, subjects=gallery.subjects, faces=gallery.faces
            )

    # subjects

    def subjects(self, gallery_id: str, limit: int, after: str) -> list[SubjectInfo]:
        """At most `limit` subjects with ids behind `after`, in order of id."""
        with self._reading() as transaction:
            key = transaction.key(gallery_id)
            found = transaction.db.execute(
                f"{rows.SUBJECT} WHERE gallery = ? AND id > ? ORDER BY id LIMIT ?", (key, after, limit)
            )
            return [self._rows.subject(key, row) for row in found]

    def subject(self, gallery_id: str, subject_id: str) -> SubjectInfo:
        with self._reading() as transaction:
            return transaction.subject(transaction.gallery(gallery_id), subject_id)

    def put_subject(
        self, gallery_id: str, subject_id: str, metadata: Mapping[str, Any] | None, by: Actor = SYSTEM
    ) -> tuple[SubjectInfo, bool]:
        """
        The subject, its metadata replaced unless None, and whether it is new; creates the gallery as needed. What the
        metadata was before is nowhere in the file then, as after a deletion.
        """
        with self._writing() if metadata is None else self._deleting() as transaction:
            transaction.ensure_gallery(gallery_id, by)
            gallery = transaction.gallery(gallery_id)
            made = transaction.ensure_subject(gallery, subject_id)
            if metadata is not None:
                transaction.set_metadata(gallery, subject_id, metadata)
            transaction.raise_revision(gallery)
            audit.append(transaction.db, by, "subject.put", gallery_id, subject=subject_id)
            return transaction.subject(gallery, subject_id), made

    def delete_subject(self, gallery_id: str, subject_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.gallery(gallery_id)
            faces = transaction.subject(gallery, subject_id).faces
            transaction.note_removals(gallery, "subject = ?", subject_id)
            transaction.db.execute("DELETE FROM subjects WHERE gallery = ? AND id = ?", (gallery.key, subject_id))
            audit.append(transaction.db, by, "subject.delete", gallery_id, subject=subject_id, faces=faces)

    def metadata(self, gallery_id: str, subject_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Of those subjects that (still) exist."""
        with self._reading() as transaction:
            key = transaction.key(gallery_id)
            marks = ",".join("?" * len(subject_ids))
            found = transaction.db.execute(
                f"SELECT id, metadata FROM subjects WHERE gallery = ? AND id IN ({marks})", (key, *subject_ids)
            )
            return {row["id"]: self._rows.metadata(key, row) for row in found}

    # faces

    def enroll(
        self,
        gallery_id: str,
        subject_id: str,
        templates: Sequence[Template],
        remember: IdempotencyRecord | None = None,
        by: Actor = SYSTEM,
    ) -> Mapping[str, Any] | None:
        """
        Add templates to a subject, creating it and its gallery as needed, all or nothing.

        Returns None, or the answer remembered under the same key, in which case nothing was added.
        Raises ModelMismatch, or InvalidRequest where the key was used for another request or a face id is taken.
        """
        with self._writing() as transaction:
            transaction.ensure_gallery(gallery_id, by)
            gallery = transaction.gallery(gallery_id)
            if remember and (earlier := transaction.remembered(gallery.key, subject_id, remember)):
                return earlier
            transaction.ensure_subject(gallery, subject_id)
            for template in templates:
                transaction.bind(gallery, template.embedding.model)
            transaction.add_faces(gallery, templates)
            for template in templates:
                audit.append(transaction.db, by, "face.enroll", gallery_id, subject=subject_id, face=template.face_id)
            if remember:
                transaction.remember(gallery, subject_id, remember)
            return None

    def remembered(self, gallery_id: str, subject_id: str, key: str, request: str) -> Mapping[str, Any] | None:
        """The answer kept under `key`; InvalidRequest where it was used for another request."""
        with self._reading() as transaction:
            row = transaction.db.execute("SELECT key FROM galleries WHERE id = ?", (gallery_id,)).fetchone()
            return transaction.remembered(row["key"], subject_id, IdempotencyRecord(key, request, {})) if row else None

    def faces(self, gallery_id: str, subject_id: str) -> list[Template]:
        """A subject's templates, oldest first."""
        with self._reading() as transaction:
            gallery = transaction.gallery(gallery_id)
            transaction.subject(gallery, subject_id)
            return transaction.faces(gallery, subject_id)

    def delete_face(self, gallery_id: str, subject_id: str, face_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.gallery(gallery_id)
            transaction.subject(gallery, subject_id)
            if not transaction.note_removals(gallery, "subject = ? AND id = ?", subject_id, face_id):
                raise NotFound(f"subject {subject_id!r} has no face {face_id!r}")
            transaction.db.execute("DELETE FROM faces WHERE gallery = ? AND id = ?", (gallery.key, face_id))
            transaction.forget_answers(gallery, subject_id)
            audit.append(transaction.db, by, "face.delete", gallery_id, subject=subject_id, face=face_id)

    def changes_since(self, gallery_id: str, known: GalleryInfo | None) -> tuple[GalleryInfo, Changes]:
        """What an index of the gallery as it is `known` lacks; everything where that is another gallery by now."""
        with self._reading() as transaction:
            if known and transaction.is_unchanged(known):
                return known, Changes(known.revision, [], [])
            gallery = transaction.gallery(gallery_id)
            since = known.revision if known and gallery.key == known.key else 0
            added = transaction.db.execute(
                "SELECT id, subject, vector FROM faces WHERE gallery = ? AND revision > ? ORDER BY revision, rowid",
                (gallery.key, since),
            ).fetchall()
            removed = transaction.db.execute(
                "SELECT face FROM removals WHERE gallery = ? AND revision > ? AND ? > 0", (gallery.key, since, since)
            ).fetchall()
        faces = [(row["id"], row["subject"], self._rows.vector(gallery.key, row)) for row in added]
        return gallery, Changes(gallery.revision, faces, [row["face"] for row in removed])

    # what the law asks for, and upkeep

    def export_subject(self, gallery_id: str, subject_id: str, by: Actor = SYSTEM) -> rows.SubjectFile:
        """All that is kept of a subject; that it was asked for is in the audit log, and in the file."""
        with self._writing() as transaction:
            gallery = transaction.gallery(gallery_id)
            subject = transaction.subject(gallery, subject_id)
            audit.append(transaction.db, by, "subject.export", gallery_id, subject=subject_id)
            events = audit.entries_of(transaction.db, gallery_id, subject_id)
            return rows.SubjectFile(gallery, subject, transaction.faces(gallery, subject_id), events)

    def expire(self, before: str, by: Actor) -> list[upkeep.Expired]:
        """Erase faces enrolled before that time, and subjects as old that are left without a face."""
        with self._reading() as transaction:
            if not upkeep.any_expired(transaction.db, before):
                return []
        with self._deleting() as transaction:
            return upkeep.expire(transaction, before, by)

    def damage(self) -> list[str]:
        """What SQLite's own check finds, and every vector that is not of unit length."""
        try:
            with self._database.reading() as db:
                return upkeep.damage(db, self._rows)
        except ServiceError as error:  # too broken to be read at all
            return [str(error)]

    def rebuild(self) -> None:
        """Write the file anew, without the room that deleted rows left."""
        self._database.rebuild()

    def note(self, by: Actor, action: str, gallery_id: str, subject_id: str = "", **about: Any) -> None:
        """What changes no row and is to be in the audit log all the same."""
        with self._database.writing() as db:
            audit.append(db, by, action, gallery_id, subject=subject_id, **about)

    def _reading(self) -> AbstractContextManager[GalleryTransaction]:
        return self._within(self._database.reading(), writing=False)

    def _writing(self) -> AbstractContextManager[GalleryTransaction]:
        return self._within(self._database.writing(), writing=True)

    def _deleting(self) -> AbstractContextManager[GalleryTransaction]:
        return self._within(self._database.deleting(), writing=True)

    @contextmanager
    def _within(
        self, transaction: AbstractContextManager[Connection], *, writing: bool
    ) -> Iterator[GalleryTransaction]:
        with transaction as db:
            upkeep.require_same_cipher(db, self._cipher, writing=writing)
            yield GalleryTransaction(db, self._rows)
