"""Rename and merge subjects, and move faces from one subject to another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from app.audit import log as audit
from app.domain.errors import InvalidRequest, NotFound, SubjectExists
from app.domain.identity import SYSTEM, Actor
from app.gallery.limits import check_id
from app.gallery.records import GalleryInfo, SubjectInfo
from app.gallery.resealing import Resealing, copy_subject, move_faces
from app.gallery.transaction import GalleryTransaction
from app.gallery.transactional import Transactional


class MoveRepository(Transactional):
    def update_subject(
        self,
        gallery_id: str,
        subject_id: str,
        new_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        by: Actor = SYSTEM,
        *,
        consent: str | None = None,
        expires_at: str | None = None,
    ) -> SubjectInfo:
        """
        Change a subject that exists as `put_subject` does, and give it another id unless that is None.

        It keeps all else but the responses saved under an Idempotency-Key, which name the earlier id. Raises NotFound,
        or SubjectExists.
        """
        with self._replacing() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            transaction.subject(gallery, subject_id)
            if (metadata, consent, expires_at) != (None, None, None):
                transaction.describe_subject(gallery, subject_id, metadata, consent, expires_at)
                audit.append(transaction.db, by, "subject.put", gallery_id, subject=subject_id)
            if new_id is not None and new_id != subject_id:
                _rename(transaction, gallery, subject_id, new_id)
                audit.append(transaction.db, by, "subject.rename", gallery_id, subject=subject_id, renamed_to=new_id)
                audit.append(transaction.db, by, "subject.rename", gallery_id, subject=new_id, renamed_from=subject_id)
            return transaction.subject(gallery, new_id or subject_id)

    def merge_subjects(self, gallery_id: str, subject_id: str, other_id: str, by: Actor = SYSTEM) -> SubjectInfo:
        """
        Give the subject all faces of another one, which is deleted.

        It keeps its metadata, has the earlier expiry of both, and the consent of the other if it had none. Raises
        NotFound, or InvalidRequest if it would have too many faces.
        """
        with self._replacing() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            subject, other = _two_subjects(transaction, gallery, subject_id, other_id)
            faces = transaction.face_ids(gallery, other_id)
            _move(transaction, gallery, other_id, subject_id, faces)
            if expiries := [each.expires_at for each in (subject, other) if each.expires_at]:
                transaction.set_expiry(gallery, subject_id, min(expiries))
            if other.consent and not subject.consent:
                transaction.set_consent(gallery, subject_id, other.consent)
            transaction.delete_subjects(gallery, "id = ?", other_id)
            details = {"faces": len(faces)}
            audit.append(transaction.db, by, "subject.merge", gallery_id, subject=other_id, into=subject_id, **details)
            audit.append(transaction.db, by, "subject.merge", gallery_id, subject=subject_id, other=other_id, **details)
            return transaction.subject(gallery, subject_id)

    def move_faces(
        self, gallery_id: str, subject_id: str, other_id: str, face_ids: Sequence[str], by: Actor = SYSTEM
    ) -> SubjectInfo:
        """Give the subject some faces of another one. Raises as `merge_subjects`, and NotFound for an unknown face."""
        with self._replacing() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            _two_subjects(transaction, gallery, subject_id, other_id)
            if unknown := sorted(set(face_ids) - transaction.face_ids(gallery, other_id)):
                raise NotFound(f"subject {other_id!r} has no face {unknown[0]!r}")
            _move(transaction, gallery, other_id, subject_id, set(face_ids))
            transaction.delete_saved_responses(gallery, other_id)
            transaction.renew_key(gallery, other_id)
            for face in dict.fromkeys(face_ids):
                audit.append(transaction.db, by, "face.move", gallery_id, subject=other_id, face=face, into=subject_id)
                audit.append(transaction.db, by, "face.move", gallery_id, subject=subject_id, face=face, other=other_id)
            return transaction.subject(gallery, subject_id)


def _two_subjects(
    transaction: GalleryTransaction, gallery: GalleryInfo, subject_id: str, other_id: str
) -> tuple[SubjectInfo, SubjectInfo]:
    if subject_id == other_id:
        raise InvalidRequest("expected another subject", [("from", "expected another subject")])
    return transaction.subject(gallery, subject_id), transaction.subject(gallery, other_id)


def _rename(transaction: GalleryTransaction, gallery: GalleryInfo, subject_id: str, new_id: str) -> None:
    check_id(new_id)
    ids = (gallery.number, new_id)
    if transaction.db.execute("SELECT 1 FROM subjects WHERE gallery = ? AND id = ?", ids).fetchone():
        raise SubjectExists(f"gallery {gallery.id!r} has a subject {new_id!r}")
    before = transaction.keys.cipher(gallery.number, subject_id)
    slot, after = transaction.keys.create(*ids)
    copy_subject(transaction.db, gallery, subject_id, new_id, slot, Resealing(before, after, subject=new_id))
    _move(transaction, gallery, subject_id, new_id, transaction.face_ids(gallery, subject_id))
    transaction.delete_subjects(gallery, "id = ?", subject_id)


def _move(
    transaction: GalleryTransaction, gallery: GalleryInfo, source: str, target: str, face_ids: Collection[str]
) -> None:
    """Move faces between subjects. An index sees them removed and added again, with their new owner."""
    if not face_ids:
        return
    marks = ",".join("?" * len(face_ids))
    transaction.log_removals(gallery, f"subject = ? AND id IN ({marks})", source, *face_ids)
    before, after = (transaction.keys.cipher(gallery.number, each) for each in (source, target))
    change = Resealing(before, after, subject=target)
    move_faces(transaction.db, gallery, source, face_ids, transaction.raise_revision(gallery), change)
    transaction.limits.check_faces(transaction.db, gallery, [target])
