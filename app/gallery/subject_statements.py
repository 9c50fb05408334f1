"""The statements on subjects, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.clock import now
from app.domain.errors import NotFound
from app.gallery import queries
from app.gallery.limits import check_consent, check_id
from app.gallery.records import DamagedValue, GalleryInfo, SubjectInfo
from app.gallery.resealing import Resealing, reseal_subject
from app.gallery.statements import Statements


class SubjectStatements(Statements):
    def subject(self, gallery: GalleryInfo, subject_id: str) -> SubjectInfo:
        row = self.db.execute(
            f"{queries.SUBJECT} WHERE gallery = ? AND id = ?", (gallery.number, subject_id)
        ).fetchone()
        if row is None:
            raise NotFound(f"no subject {subject_id!r} in gallery {gallery.id!r}")
        return self.codec.subject(gallery.number, row)

    def present_subjects(self, gallery: GalleryInfo, subject_ids: Sequence[str]) -> set[str]:
        """Return which of a few thousand subjects there are. Raises InvalidRequest for what cannot be an id."""
        for subject_id in subject_ids:
            check_id(subject_id)
        marks = ",".join("?" * len(subject_ids))
        query = f"SELECT id FROM subjects WHERE gallery = ? AND id IN ({marks})"
        return {row["id"] for row in self.db.execute(query, (gallery.number, *subject_ids))} if subject_ids else set()

    def create_subject_if_missing(
        self,
        gallery: GalleryInfo,
        subject_id: str,
        metadata: Mapping[str, Any] | None = None,
        consent: str = "",
        expires_at: str = "",
    ) -> bool:
        """
        Return whether the subject is new; only then it gets what is given of it.

        Raises MetadataTooLarge, or InvalidRequest if the gallery has too many subjects.
        """
        check_id(subject_id)
        ids = (gallery.number, subject_id)
        if self.db.execute("SELECT 1 FROM subjects WHERE gallery = ? AND id = ?", ids).fetchone():
            return False
        self.create_subject(gallery, subject_id, metadata or {}, consent, expires_at)
        return True

    def create_subject(
        self, gallery: GalleryInfo, subject_id: str, metadata: Mapping[str, Any], consent: str, expires_at: str
    ) -> None:
        """Add a subject that is not there, and whose id is checked. Raises as `create_subject_if_missing`."""
        ids = (gallery.number, subject_id)
        self.limits.check_metadata(metadata)
        check_consent(consent)
        slot, cipher = self.keys.create(*ids)
        values = (
            self.codec.encrypt_metadata(*ids, metadata, cipher),
            self.codec.encrypt_consent(*ids, consent, cipher) if consent else None,
        )
        self.db.execute(
            "INSERT INTO subjects (gallery, id, metadata, consent, expires_at, created_at, key_slot) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*ids, *values, expires_at or None, now(), slot),
        )
        self.limits.check_subjects(self.db, gallery)

    def describe_subject(
        self,
        gallery: GalleryInfo,
        subject_id: str,
        metadata: Mapping[str, Any] | None,
        consent: str | None,
        expires_at: str | None,
        *,
        is_new: bool = False,
    ) -> None:
        """Replace what is not None; empty text removes consent or expiry. Nothing opens what they replace."""
        if not is_new and (metadata is not None or consent is not None):
            self.renew_key(gallery, subject_id)
        if metadata is not None:
            self.set_metadata(gallery, subject_id, metadata)
        if consent is not None:
            self.set_consent(gallery, subject_id, consent)
        if expires_at is not None:
            self.set_expiry(gallery, subject_id, expires_at)
        self.raise_revision(gallery)

    def set_metadata(self, gallery: GalleryInfo, subject_id: str, metadata: Mapping[str, Any]) -> None:
        """Raises MetadataTooLarge."""
        self.limits.check_metadata(metadata)
        cipher = self.keys.cipher(gallery.number, subject_id)
        encrypted = self.codec.encrypt_metadata(gallery.number, subject_id, metadata, cipher)
        self.db.execute(
            "UPDATE subjects SET metadata = ? WHERE gallery = ? AND id = ?", (encrypted, gallery.number, subject_id)
        )

    def set_consent(self, gallery: GalleryInfo, subject_id: str, consent: str) -> None:
        """Store the reference of the consent; an empty one removes it. Raises InvalidRequest."""
        check_consent(consent)
        cipher = self.keys.cipher(gallery.number, subject_id)
        encrypted = self.codec.encrypt_consent(gallery.number, subject_id, consent, cipher) if consent else None
        self.db.execute(
            "UPDATE subjects SET consent = ? WHERE gallery = ? AND id = ?", (encrypted, gallery.number, subject_id)
        )

    def set_expiry(self, gallery: GalleryInfo, subject_id: str, expires_at: str) -> None:
        """Store the time at which the subject is erased, as `format_time`; an empty one removes it."""
        self.db.execute(
            "UPDATE subjects SET expires_at = ? WHERE gallery = ? AND id = ?",
            (expires_at or None, gallery.number, subject_id),
        )

    def renew_key(self, gallery: GalleryInfo, subject_id: str) -> None:
        """
        Encrypt all that is stored of the subject with a new data key, so that nothing opens what it replaces.

        A subject whose key is missing stays as it is.
        """
        slot = self.keys.slot(gallery.number, subject_id)
        if slot is None:
            return
        try:
            before = self.keys.cipher(gallery.number, subject_id)
        except DamagedValue:
            return
        new_slot, after = self.keys.create(gallery.number, subject_id)
        reseal_subject(self.db, gallery, subject_id, Resealing(before, after))
        self.db.execute(
            "UPDATE subjects SET key_slot = ? WHERE gallery = ? AND id = ?", (new_slot, gallery.number, subject_id)
        )
        self.keys.release(slot)

    def delete_subjects(self, gallery: GalleryInfo, where: str = "TRUE", *values: str) -> list[str]:
        """Delete the subjects that `where` selects, with all that is stored of them, and return their ids."""
        rows = self.db.execute(
            f"DELETE FROM subjects WHERE gallery = ? AND {where} RETURNING id, key_slot", (gallery.number, *values)
        ).fetchall()
        for row in rows:
            self.keys.release(row["key_slot"])
        return [row["id"] for row in rows]
