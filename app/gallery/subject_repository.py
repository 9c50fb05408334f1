"""The subjects of the galleries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.audit import log as audit
from app.domain.identity import SYSTEM, Actor
from app.gallery import queries
from app.gallery.records import SubjectFile, SubjectInfo
from app.gallery.transactional import Transactional


class SubjectRepository(Transactional):
    def subjects(self, gallery_id: str, limit: int, after: str) -> list[SubjectInfo]:
        """Return at most `limit` subjects with ids behind `after`, in order of id."""
        with self._reading() as transaction:
            number = transaction.gallery_number(gallery_id)
            rows = transaction.db.execute(
                f"{queries.SUBJECT} WHERE gallery = ? AND id > ? ORDER BY id LIMIT ?", (number, after, limit)
            )
            return [self._codec.subject(number, row) for row in rows]

    def subject(self, gallery_id: str, subject_id: str) -> SubjectInfo:
        with self._reading() as transaction:
            return transaction.subject(transaction.uncounted_gallery(gallery_id), subject_id)

    def put_subject(
        self,
        gallery_id: str,
        subject_id: str,
        metadata: Mapping[str, Any] | None,
        by: Actor = SYSTEM,
        *,
        consent: str | None = None,
        expires_at: str | None = None,
    ) -> tuple[SubjectInfo, bool]:
        """
        Replace the subject's metadata, consent and expiry, each unless None; return the subject, and whether it is new.

        Empty text removes consent or expiry. Creates subject and gallery as needed. Earlier values are nowhere in the
        file then, as after a deletion.
        """
        with self._writing() if metadata is None and consent is None else self._replacing() as transaction:
            transaction.create_gallery_if_missing(gallery_id, by)
            gallery = transaction.uncounted_gallery(gallery_id)
            is_new = transaction.create_subject_if_missing(gallery, subject_id)
            transaction.describe_subject(gallery, subject_id, metadata, consent, expires_at, is_new=is_new)
            audit.append(transaction.db, by, "subject.put", gallery_id, subject=subject_id)
            return transaction.subject(gallery, subject_id), is_new

    def delete_subject(self, gallery_id: str, subject_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.uncounted_gallery(gallery_id)
            faces = transaction.subject(gallery, subject_id).faces
            transaction.log_removals(gallery, "subject = ?", subject_id)
            transaction.delete_subjects(gallery, "id = ?", subject_id)
            audit.append(transaction.db, by, "subject.delete", gallery_id, subject=subject_id, faces=faces)

    def metadata(self, gallery_id: str, subject_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the metadata of those subjects that (still) exist."""
        with self._reading() as transaction:
            number = transaction.gallery_number(gallery_id)
            marks = ",".join("?" * len(subject_ids)) or "NULL"
            rows = transaction.db.execute(
                f"{queries.METADATA} WHERE gallery = ? AND id IN ({marks})", (number, *subject_ids)
            )
            return {row["id"]: self._codec.metadata_or_empty(number, row) for row in rows}

    def export_subject(self, gallery_id: str, subject_id: str, by: Actor = SYSTEM) -> SubjectFile:
        """Return everything that is stored about a subject; the audit log, and so the file, records this export too."""
        with self._writing() as transaction:
            gallery = transaction.gallery(gallery_id)
            subject = transaction.subject(gallery, subject_id)
            audit.append(transaction.db, by, "subject.export", gallery_id, subject=subject_id)
            events = audit.entries_of(transaction.db, gallery_id, subject_id)
            faces = transaction.faces(gallery, subject_id, crops=True)
            return SubjectFile(gallery, subject, faces, events, transaction.saved_responses(gallery, subject_id))
