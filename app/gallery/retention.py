"""Erase the faces and subjects that are older than the operator keeps them, or past their own expiry."""

from __future__ import annotations

from dataclasses import dataclass

from app.audit import log as audit
from app.domain.identity import Actor
from app.gallery import queries
from app.gallery.records import GalleryInfo
from app.gallery.transaction import GalleryTransaction
from app.storage.database import Connection


@dataclass(frozen=True, slots=True)
class Expired:
    """The number of faces erased in a gallery; 0 if only subjects without a face were."""

    gallery_id: str
    faces: int


_OLD_SUBJECTS = """created_at < ? AND NOT EXISTS
    (SELECT 1 FROM faces WHERE faces.gallery = subjects.gallery AND faces.subject = subjects.id)"""


def has_expired(db: Connection, before: str) -> bool:
    row = db.execute(
        f"""SELECT EXISTS (SELECT 1 FROM faces WHERE enrolled_at < ?)
            OR EXISTS (SELECT 1 FROM subjects WHERE {_OLD_SUBJECTS})""",
        (before, before),
    ).fetchone()
    return bool(row[0])


def expire(transaction: GalleryTransaction, before: str, by: Actor) -> list[Expired]:
    """Erase faces enrolled before that time, and subjects as old that have no face; one entry a gallery changed."""
    results = [_expire_in_gallery(transaction, gallery, before, by) for gallery in transaction.galleries()]
    return [expired for expired in results if expired]


def has_expired_subjects(db: Connection, at: str) -> bool:
    return db.execute("SELECT 1 FROM subjects WHERE expires_at <= ? LIMIT 1", (at,)).fetchone() is not None


def expire_subjects(transaction: GalleryTransaction, at: str, by: Actor) -> list[Expired]:
    """Erase the subjects that expire at that time or before, with their faces; one entry a gallery changed."""
    results = [_expire_subjects_in_gallery(transaction, gallery, at, by) for gallery in transaction.galleries()]
    return [expired for expired in results if expired]


def _expire_subjects_in_gallery(
    transaction: GalleryTransaction, gallery: GalleryInfo, at: str, by: Actor
) -> Expired | None:
    subjects = transaction.db.execute(
        f"{queries.SUBJECT} WHERE gallery = ? AND expires_at <= ?", (gallery.number, at)
    ).fetchall()
    if not subjects:
        return None
    expired = "(SELECT id FROM subjects WHERE subjects.gallery = faces.gallery AND expires_at <= ?)"
    faces = transaction.log_removals(gallery, f"subject IN {expired}", at)
    transaction.delete_subjects(gallery, "expires_at <= ?", at)
    for row in subjects:
        details = {"subject": row["id"], "faces": row["faces"], "expires_at": row["expires_at"]}
        audit.append(transaction.db, by, "subject.expire", gallery.id, **details)
    return Expired(gallery.id, faces)


def _expire_in_gallery(transaction: GalleryTransaction, gallery: GalleryInfo, before: str, by: Actor) -> Expired | None:
    faces = transaction.db.execute(
        "SELECT id, subject FROM faces WHERE gallery = ? AND enrolled_at < ?", (gallery.number, before)
    ).fetchall()
    if faces:
        transaction.log_removals(gallery, "enrolled_at < ?", before)
        transaction.db.execute("DELETE FROM faces WHERE gallery = ? AND enrolled_at < ?", (gallery.number, before))
    for row in faces:
        transaction.delete_saved_responses(gallery, row["subject"])
        audit.append(transaction.db, by, "face.expire", gallery.id, subject=row["subject"], face=row["id"])
    subjects = transaction.delete_subjects(gallery, _OLD_SUBJECTS, before)
    for subject_id in {row["subject"] for row in faces} - {*subjects}:
        transaction.renew_key(gallery, subject_id)
    if subjects and not faces:
        transaction.raise_revision(gallery)
    for subject_id in subjects:
        audit.append(transaction.db, by, "subject.expire", gallery.id, subject=subject_id)
    return Expired(gallery.id, len(faces)) if faces or subjects else None
