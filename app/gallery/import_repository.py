"""Add many subjects with their faces at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from app.audit import log as audit
from app.domain.clock import now
from app.domain.embeddings import Template
from app.domain.errors import InputError, InvalidRequest
from app.domain.identity import SYSTEM, Actor
from app.gallery.records import DamagedValue, GalleryInfo, ImportedSubject, ImportOutcome
from app.gallery.transaction import GalleryTransaction
from app.gallery.transactional import Transactional


class ImportRepository(Transactional):
    def import_subjects(
        self, gallery_id: str, subjects: Sequence[ImportedSubject], by: Actor = SYSTEM
    ) -> list[ImportOutcome]:
        """
        Add subjects and faces in one transaction, except those that are there already; return what became of each.

        Metadata, consent and expiry that a line has replace those of a subject that is there. A subject past its expiry
        is left out, because it would be erased at once. Raises ModelMismatch, or InvalidRequest if another subject has
        one of the faces.
        """
        with self._replacing() as transaction:
            transaction.create_gallery_if_missing(gallery_id, by)
            gallery = transaction.uncounted_gallery(gallery_id)
            present = transaction.present_subjects(gallery, [subject.subject_id for subject in subjects])
            batch = _ImportBatch(transaction, gallery, present, by)
            outcomes = [batch.add(subject) for subject in subjects]
            batch.write_faces()
            return outcomes

    def import_each(
        self, gallery_id: str, subjects: Sequence[ImportedSubject], by: Actor = SYSTEM
    ) -> list[ImportOutcome | InputError | DamagedValue]:
        """
        Import as `import_subjects`, and return the error of each subject that cannot be added instead of raising it.

        One transaction adds all. If it fails, each half gets one, and so on: a few bad ones cost a few transactions.
        """
        try:
            return list(self.import_subjects(gallery_id, subjects, by))
        except (InputError, DamagedValue) as error:
            if len(subjects) == 1:
                return [error]
        middle = len(subjects) // 2
        first, second = subjects[:middle], subjects[middle:]
        return self.import_each(gallery_id, first, by) + self.import_each(gallery_id, second, by)


class _ImportBatch:
    """The subjects of one transaction; their faces are written together at its end."""

    def __init__(self, transaction: GalleryTransaction, gallery: GalleryInfo, present: set[str], by: Actor) -> None:
        """`present` are those of the subjects that are there already."""
        self._transaction, self._gallery, self._present, self._by = transaction, gallery, present, by
        self._new: dict[str, Template] = {}
        self._moment, self._is_changed = now(), False

    def add(self, subject: ImportedSubject) -> ImportOutcome:
        if subject.expires_at and subject.expires_at <= self._moment:
            return ImportOutcome(subject.subject_id, "expired")
        status = self._describe(subject)
        faces = self._add_faces(subject, is_new=status == "created")
        if faces and status == "exists":
            status = "updated"
        return ImportOutcome(subject.subject_id, status, faces)

    def write_faces(self) -> None:
        if self._is_changed and not self._new:
            self._transaction.raise_revision(self._gallery)
        if self._new:
            self._transaction.add_faces(self._gallery, list(self._new.values()))
        for face in self._new.values():
            self._audit("face.enroll", subject=face.subject_id, face=face.face_id)

    def _describe(self, subject: ImportedSubject) -> Literal["created", "updated", "exists"]:
        """Create the subject or replace what the line has of it; a subject that is the same is left alone."""
        transaction, gallery, subject_id = self._transaction, self._gallery, subject.subject_id
        given = (subject.metadata, subject.consent or "", subject.expires_at or "")
        if subject_id not in self._present:
            transaction.create_subject(gallery, subject_id, *given)
            self._present.add(subject_id)
            self._changed(subject_id)
            return "created"
        known = transaction.subject(gallery, subject_id)
        consent, expires_at = subject.consent or known.consent or "", subject.expires_at or known.expires_at or ""
        if (known.metadata, known.consent or "", known.expires_at or "") == (subject.metadata, consent, expires_at):
            return "exists"
        transaction.describe_subject(gallery, subject_id, subject.metadata, consent, expires_at)
        self._changed(subject_id)
        return "updated"

    def _changed(self, subject_id: str) -> None:
        self._is_changed = True
        self._audit("subject.put", subject=subject_id)

    def _add_faces(self, subject: ImportedSubject, *, is_new: bool) -> int:
        """Return how many of them are new. Raises InvalidRequest if another subject of the batch has one of them."""
        present = set() if is_new else self._transaction.face_ids(self._gallery, subject.subject_id)
        before = len(self._new)
        for template in subject.faces:
            known = self._new.get(template.face_id)
            if template.face_id in present or (known and known.subject_id == template.subject_id):
                continue
            if known:
                raise InvalidRequest(f"face {template.face_id!r} belongs to two subjects")
            self._gallery = self._transaction.bind_to_model(self._gallery, template.embedding)
            self._new[template.face_id] = template
        return len(self._new) - before

    def _audit(self, action: str, **details: str) -> None:
        audit.append(self._transaction.db, self._by, action, self._gallery.id, **details)
