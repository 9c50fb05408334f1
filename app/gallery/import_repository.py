"""Add many subjects with their faces at once."""

from __future__ import annotations

from collections.abc import Sequence

from app.audit import log as audit
from app.domain.clock import now
from app.domain.errors import InvalidRequest
from app.domain.identity import SYSTEM, Actor
from app.domain.models import Template
from app.gallery.records import GalleryInfo, ImportedSubject
from app.gallery.transaction import GalleryTransaction
from app.gallery.transactional import Transactional


class ImportRepository(Transactional):
    def import_subjects(self, gallery_id: str, subjects: Sequence[ImportedSubject], by: Actor = SYSTEM) -> int:
        """
        Add subjects and faces in one transaction, except those that are there already; return the number of new faces.

        Metadata, consent and expiry that a line has replace those of a subject that is there. A subject past its expiry
        is left out, because it would be erased at once. Raises ModelMismatch, or InvalidRequest if another subject has
        one of the faces.
        """
        with self._replacing() as transaction:
            transaction.create_gallery_if_missing(gallery_id, by)
            gallery = transaction.uncounted_gallery(gallery_id)
            new: dict[str, Template] = {}
            for subject in _unexpired(subjects):
                _import_subject(transaction, gallery, subject, by)
                present = transaction.face_ids(gallery, subject.subject_id)
                for template in subject.faces:
                    known = new.get(template.face_id)
                    if template.face_id in present or (known and known.subject_id == template.subject_id):
                        continue
                    if known:
                        raise InvalidRequest(f"face {template.face_id!r} belongs to two subjects")
                    gallery = transaction.bind_to_model(gallery, template.embedding)
                    new[template.face_id] = template
            if new:
                transaction.add_faces(gallery, list(new.values()))
            for template in new.values():
                audit.append(
                    transaction.db, by, "face.enroll", gallery_id, subject=template.subject_id, face=template.face_id
                )
            return len(new)


def _unexpired(subjects: Sequence[ImportedSubject]) -> list[ImportedSubject]:
    moment = now()
    return [subject for subject in subjects if not subject.expires_at or subject.expires_at > moment]


def _import_subject(transaction: GalleryTransaction, gallery: GalleryInfo, subject: ImportedSubject, by: Actor) -> None:
    """Create the subject or replace what the line has of it; a subject that is the same is left alone."""
    is_new = transaction.create_subject_if_missing(gallery, subject.subject_id)
    known = transaction.subject(gallery, subject.subject_id)
    consent, expires_at = subject.consent or known.consent or "", subject.expires_at or known.expires_at or ""
    present = (known.metadata, known.consent or "", known.expires_at or "")
    if not is_new and present == (subject.metadata, consent, expires_at):
        return
    if not is_new:
        transaction.renew_key(gallery, subject.subject_id)
    transaction.set_metadata(gallery, subject.subject_id, subject.metadata)
    transaction.set_consent(gallery, subject.subject_id, consent)
    transaction.set_expiry(gallery, subject.subject_id, expires_at)
    transaction.raise_revision(gallery)
    audit.append(transaction.db, by, "subject.put", gallery.id, subject=subject.subject_id)
