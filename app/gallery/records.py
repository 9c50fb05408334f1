"""
The gallery's truth: one SQLite file. Knows no index; every change is one transaction that raises the revision.

How others do it: CompreFace needs PostgreSQL and reloads all embeddings on a change, DeepFace pickles a folder, and in
both a delete may come back. Here what is committed is on disk, and what is deleted is overwritten (see database.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from app.domain.errors import InvalidRequest, ModelMismatch, NotFound, ServiceError
from app.domain.nouns import Template
from app.gallery import rows
from app.gallery.database import Connection, Database
from app.gallery.rows import Changes, GalleryInfo, Remembered, SubjectInfo


class Records:
    """Thread-safe; several processes may share the file."""

    def __init__(self, path: Path, *, patience: float = 10.0) -> None:
        """Waits up to `patience` seconds for another process that writes. Raises ServiceError where it cannot open."""
        schema = resources.files("app.gallery").joinpath("schema.sql").read_text()
        self._database = Database(path, schema, patience)

    def close(self) -> None:
        self._database.close()

    # galleries

    def galleries(self) -> list[GalleryInfo]:
        with self._database.reading() as db:
            return [rows.gallery(row) for row in db.execute(f"{rows.GALLERY} ORDER BY id")]

    def gallery(self, gallery_id: str) -> GalleryInfo:
        with self._database.reading() as db:
            return self._gallery(db, gallery_id)

    def create_gallery(self, gallery_id: str) -> tuple[GalleryInfo, bool]:
        """The gallery, and whether it is new."""
        with self._database.writing() as db:
            made = self._ensure_gallery(db, gallery_id)
            return self._gallery(db, gallery_id), made

    def delete_gallery(self, gallery_id: str) -> None:
        with self._database.deleting() as db:
            key = self._gallery(db, gallery_id).key
            db.execute("DELETE FROM subjects WHERE gallery = ?", (key,))
            db.execute("DELETE FROM galleries WHERE key = ?", (key,))

    # subjects

    def subjects(self, gallery_id: str, limit: int, after: str) -> list[SubjectInfo]:
        """At most `limit` subjects with ids behind `after`, in order of id."""
        with self._database.reading() as db:
            key = self._gallery(db, gallery_id).key
            found = db.execute(f"{rows.SUBJECT} WHERE gallery = ? AND id > ? ORDER BY id LIMIT ?", (key, after, limit))
            return [rows.subject(row) for row in found]

    def subject(self, gallery_id: str, subject_id: str) -> SubjectInfo:
        with self._database.reading() as db:
            return self._subject(db, self._gallery(db, gallery_id), subject_id)

    def put_subject(
        self, gallery_id: str, subject_id: str, metadata: Mapping[str, Any] | None
    ) -> tuple[SubjectInfo, bool]:
        """The subject, its metadata replaced unless None, and whether it is new; creates the gallery as needed."""
        with self._database.writing() as db:
            self._ensure_gallery(db, gallery_id)
            gallery = self._gallery(db, gallery_id)
            made = self._ensure_subject(db, gallery.key, subject_id)
            if metadata is not None:
                db.execute(
                    "UPDATE subjects SET metadata = ? WHERE gallery = ? AND id = ?",
                    (json.dumps(metadata), gallery.key, subject_id),
                )
            self._raise_revision(db, gallery.key)
            return self._subject(db, gallery, subject_id), made

    def delete_subject(self, gallery_id: str, subject_id: str) -> None:
        with self._database.deleting() as db:
            gallery = self._gallery(db, gallery_id)
            self._subject(db, gallery, subject_id)
            self._note_removals(db, gallery.key, "subject = ?", subject_id)
            db.execute("DELETE FROM subjects WHERE gallery = ? AND id = ?", (gallery.key, subject_id))

    def metadata(self, gallery_id: str, subject_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Of those subjects that (still) exist."""
        with self._database.reading() as db:
            key = self._gallery(db, gallery_id).key
            marks = ",".join("?" * len(subject_ids))
            found = db.execute(
                f"SELECT id, metadata FROM subjects WHERE gallery = ? AND id IN ({marks})", (key, *subject_ids)
            )
            return {row["id"]: json.loads(row["metadata"]) for row in found}

    # faces

    def enroll(
        self, gallery_id: str, subject_id: str, templates: Sequence[Template], remember: Remembered | None = None
    ) -> Mapping[str, Any] | None:
        """
        Add templates to a subject, creating it and its gallery as needed, all or nothing.

        Returns None, or the answer remembered under the same key, in which case nothing was added.
        Raises ModelMismatch, or InvalidRequest where the key was used for another request or a face id is taken.
        """
        with self._database.writing() as db:
            self._ensure_gallery(db, gallery_id)
            gallery = self._gallery(db, gallery_id)
            if remember and (earlier := self._remembered(db, gallery.key, subject_id, remember)):
                return earlier
            self._ensure_subject(db, gallery.key, subject_id)
            for template in templates:
                self._bind(db, gallery, template.embedding.model)
            revision = self._raise_revision(db, gallery.key)
            self._add_faces(db, gallery, templates, revision)
            if remember:
                row = (gallery.key, subject_id, remember.key, remember.request, json.dumps(remember.answer))
                db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", row)
            return None

    def remembered(self, gallery_id: str, subject_id: str, key: str, request: str) -> Mapping[str, Any] | None:
        """The answer kept under `key`; InvalidRequest where it was used for another request."""
        with self._database.reading() as db:
            row = db.execute("SELECT key FROM galleries WHERE id = ?", (gallery_id,)).fetchone()
            return self._remembered(db, row["key"], subject_id, Remembered(key, request, {})) if row else None

    def faces(self, gallery_id: str, subject_id: str) -> list[Template]:
        """A subject's templates, oldest first."""
        with self._database.reading() as db:
            gallery = self._gallery(db, gallery_id)
            self._subject(db, gallery, subject_id)
            found = db.execute(
                "SELECT * FROM faces WHERE gallery = ? AND subject = ? ORDER BY revision, rowid",
                (gallery.key, subject_id),
            )
            return [rows.template(row, gallery.model or "") for row in found]

    def delete_face(self, gallery_id: str, subject_id: str, face_id: str) -> None:
        with self._database.deleting() as db:
            gallery = self._gallery(db, gallery_id)
            self._subject(db, gallery, subject_id)
            if not self._note_removals(db, gallery.key, "subject = ? AND id = ?", subject_id, face_id):
                raise NotFound(f"subject {subject_id!r} has no face {face_id!r}")
            db.execute("DELETE FROM faces WHERE gallery = ? AND id = ?", (gallery.key, face_id))
            # what was answered tells where the face was in its photo, and would claim that it is still enrolled
            db.execute("DELETE FROM answers WHERE gallery = ? AND subject = ?", (gallery.key, subject_id))

    def changes_since(self, gallery_id: str, key: int | None, revision: int) -> tuple[GalleryInfo, Changes]:
        """What an index of gallery `key` at `revision` lacks; everything where that is another gallery by now."""
        with self._database.reading() as db:
            gallery = self._gallery(db, gallery_id)
            since = revision if gallery.key == key else 0
            added = db.execute(
                "SELECT id, subject, vector FROM faces WHERE gallery = ? AND revision > ? ORDER BY revision, rowid",
                (gallery.key, since),
            ).fetchall()
            removed = db.execute(
                "SELECT face FROM removals WHERE gallery = ? AND revision > ? AND ? > 0", (gallery.key, since, since)
            ).fetchall()
        faces = [(row["id"], row["subject"], np.frombuffer(row["vector"], np.float32)) for row in added]
        return gallery, Changes(gallery.revision, faces, [row["face"] for row in removed])

    # upkeep

    def damage(self) -> list[str]:
        """What SQLite's own check finds, and every vector that is not of unit length."""
        try:
            with self._database.reading() as db:
                pages = [row[0] for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
                return pages or [
                    f"face {row['id']}: {fault}"
                    for row in db.execute("SELECT id, vector FROM faces ORDER BY gallery, id")
                    if (fault := rows.vector_fault(row["vector"]))
                ]
        except ServiceError as error:  # too broken to be read at all
            return [str(error)]

    def rebuild(self) -> None:
        """Write the file anew, without the room that deleted rows left."""
        self._database.rebuild()

    # inside a transaction

    @staticmethod
    def _gallery(db: Connection, gallery_id: str) -> GalleryInfo:
        row = db.execute(f"{rows.GALLERY} WHERE id = ?", (gallery_id,)).fetchone()
        if row is None:
            raise NotFound(f"no gallery {gallery_id!r}")
        return rows.gallery(row)

    @staticmethod
    def _subject(db: Connection, gallery: GalleryInfo, subject_id: str) -> SubjectInfo:
        row = db.execute(f"{rows.SUBJECT} WHERE gallery = ? AND id = ?", (gallery.key, subject_id)).fetchone()
        if row is None:
            raise NotFound(f"no subject {subject_id!r} in gallery {gallery.id!r}")
        return rows.subject(row)

    @staticmethod
    def _ensure_gallery(db: Connection, gallery_id: str) -> bool:
        rows.check_id(gallery_id)
        made = db.execute(
            "INSERT OR IGNORE INTO galleries (id, created_at) VALUES (?, ?)", (gallery_id, rows.now())
        ).rowcount
        return made > 0

    @staticmethod
    def _ensure_subject(db: Connection, key: int, subject_id: str) -> bool:
        rows.check_id(subject_id)
        made = db.execute(
            "INSERT OR IGNORE INTO subjects VALUES (?, ?, '{}', ?)", (key, subject_id, rows.now())
        ).rowcount
        return made > 0

    @staticmethod
    def _bind(db: Connection, gallery: GalleryInfo, model: str) -> None:
        if gallery.model not in (None, model):
            raise ModelMismatch(f"gallery {gallery.id!r} was filled by model {gallery.model}, not {model}")
        db.execute("UPDATE galleries SET model = ? WHERE key = ?", (model, gallery.key))

    @staticmethod
    def _add_faces(db: Connection, gallery: GalleryInfo, templates: Sequence[Template], revision: int) -> None:
        faces = [rows.face_row(gallery.key, template, revision) for template in templates]
        try:
            db.executemany("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?)", faces)
        except sqlite3.IntegrityError as error:
            raise InvalidRequest(f"gallery {gallery.id!r} has one of these faces already") from error

    @staticmethod
    def _raise_revision(db: Connection, key: int) -> int:
        db.execute("UPDATE galleries SET revision = revision + 1 WHERE key = ?", (key,))
        return int(db.execute("SELECT revision FROM galleries WHERE key = ?", (key,)).fetchone()[0])

    def _note_removals(self, db: Connection, key: int, which: str, *values: str) -> int:
        """Raise the revision and note every face that `which` names; how many those are."""
        revision = self._raise_revision(db, key)
        return db.execute(
            f"INSERT INTO removals SELECT gallery, ?, id FROM faces WHERE gallery = ? AND {which}",
            (revision, key, *values),
        ).rowcount

    @staticmethod
    def _remembered(db: Connection, key: int, subject_id: str, remember: Remembered) -> Mapping[str, Any] | None:
        row = db.execute(
            "SELECT request, answer FROM answers WHERE gallery = ? AND subject = ? AND key = ?",
            (key, subject_id, remember.key),
        ).fetchone()
        if row is None:
            return None
        if row["request"] != remember.request:
            raise InvalidRequest(f"Idempotency-Key {remember.key!r} was used for another request")
        answer: Mapping[str, Any] = json.loads(row["answer"])
        return answer
