"""The statements on galleries, subjects, faces and saved responses, within one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from app.audit import log as audit
from app.domain.clock import now
from app.domain.errors import InvalidRequest, ModelMismatch, NotFound
from app.domain.identity import Actor
from app.domain.models import Embedding, Template
from app.gallery import queries
from app.gallery.codec import RowCodec
from app.gallery.limits import NO_LIMITS, GalleryLimits, check_consent, check_id
from app.gallery.records import DamagedRow, DamagedValue, GalleryInfo, IdempotencyRecord, SubjectInfo
from app.gallery.resealing import Resealing, reseal_subject
from app.gallery.transaction_keys import TransactionKeys
from app.storage.database import Connection, Row

log = logging.getLogger(__name__)


class GalleryTransaction:
    """`keys` has the data keys that the transaction makes and releases."""

    def __init__(
        self, db: Connection, row_codec: RowCodec, keys: TransactionKeys, limits: GalleryLimits = NO_LIMITS
    ) -> None:
        self.db, self.codec, self.keys, self.limits = db, row_codec, keys, limits

    def gallery(self, gallery_id: str) -> GalleryInfo:
        return self.find_gallery(queries.GALLERY, gallery_id)

    def uncounted_gallery(self, gallery_id: str) -> GalleryInfo:
        """Return the gallery without its counts, which are 0: to count a million rows takes longer than a search."""
        return self.find_gallery(queries.UNCOUNTED_GALLERY, gallery_id)

    def find_gallery(self, query: str, gallery_id: str) -> GalleryInfo:
        row = self.db.execute(f"{query} WHERE id = ?", (gallery_id,)).fetchone()
        if row is None:
            raise NotFound(f"no gallery {gallery_id!r}")
        return queries.gallery_info(row)

    def galleries(self) -> list[GalleryInfo]:
        return [queries.gallery_info(row) for row in self.db.execute(f"{queries.GALLERY} ORDER BY id")]

    def is_unchanged(self, known: GalleryInfo) -> bool:
        """Return whether the gallery is as it was; a new one of the same name has another number."""
        row = self.db.execute("SELECT number, revision, model FROM galleries WHERE id = ?", (known.id,)).fetchone()
        return row is not None and tuple(row) == (known.number, known.revision, known.model)

    def gallery_number(self, gallery_id: str) -> int:
        """Return the gallery's number without counting its subjects and faces."""
        row = self.db.execute("SELECT number FROM galleries WHERE id = ?", (gallery_id,)).fetchone()
        if row is None:
            raise NotFound(f"no gallery {gallery_id!r}")
        return int(row["number"])

    def subject(self, gallery: GalleryInfo, subject_id: str) -> SubjectInfo:
        row = self.db.execute(
            f"{queries.SUBJECT} WHERE gallery = ? AND id = ?", (gallery.number, subject_id)
        ).fetchone()
        if row is None:
            raise NotFound(f"no subject {subject_id!r} in gallery {gallery.id!r}")
        return self.codec.subject(gallery.number, row)

    def faces(self, gallery: GalleryInfo, subject_id: str, *, crops: bool = False) -> list[Template]:
        """Return a subject's templates, oldest first, with `crops` if asked; what is damaged is logged and left out."""
        rows = self.db.execute(
            f"{queries.FACE} WHERE gallery = ? AND subject = ? ORDER BY revision, rowid",
            (gallery.number, subject_id),
        )
        templates = []
        for row in rows:
            try:
                templates.append(self.codec.template(gallery, row))
            except DamagedValue as error:
                log.warning("%s; the face is left out", damaged_face(gallery, row, error))
        kept = self._crops(gallery, subject_id) if crops else {}
        return [replace(each, crop=kept.get(each.face_id)) for each in self.codec.with_offsets(gallery, templates)]

    def _crops(self, gallery: GalleryInfo, subject_id: str) -> dict[str, bytes]:
        ids, crops = (gallery.number, subject_id), dict[str, bytes]()
        for row in self.db.execute(f"{queries.CROP} WHERE gallery = ? AND subject = ?", ids):
            try:
                crops[row["face"]] = self.codec.crop(gallery, row)
            except DamagedValue as error:
                log.warning("%s; the crop is left out", damaged_of_face("crop", gallery, row, error))
        return crops

    def create_gallery_if_missing(self, gallery_id: str, by: Actor) -> bool:
        """Return whether the gallery is new."""
        check_id(gallery_id)
        created = self.db.execute(
            # without the condition, every enrolment would use up a number of a gallery
            "INSERT INTO galleries (id, created_at) SELECT CAST(? AS TEXT), CAST(? AS TEXT) "
            "WHERE NOT EXISTS (SELECT 1 FROM galleries WHERE id = ?) ON CONFLICT DO NOTHING",
            (gallery_id, now(), gallery_id),
        )
        if created.rowcount > 0:
            number = self.gallery_number(gallery_id)
            seed = self.codec.new_seed(number)
            self.db.execute("UPDATE galleries SET sealed_seed = ? WHERE number = ?", (seed, number))
            audit.append(self.db, by, "gallery.create", gallery_id)
        return created.rowcount > 0

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

    def present_subjects(self, gallery: GalleryInfo, subject_ids: Sequence[str]) -> set[str]:
        """Return which of a few thousand subjects there are. Raises InvalidRequest for what cannot be an id."""
        for subject_id in subject_ids:
            check_id(subject_id)
        marks = ",".join("?" * len(subject_ids))
        query = f"SELECT id FROM subjects WHERE gallery = ? AND id IN ({marks})"
        return {row["id"] for row in self.db.execute(query, (gallery.number, *subject_ids))} if subject_ids else set()

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

    def bind_to_model(self, gallery: GalleryInfo, embedding: Embedding) -> GalleryInfo:
        """
        Return the gallery, bound to the embedding's model and dimension by the first one.

        Raises ModelMismatch if another model filled it, or InvalidRequest if its vectors have another dimension.
        """
        model, dimension = embedding.model, len(embedding.vector)
        if (gallery.model, gallery.dimension) == (model, dimension):
            return gallery
        if gallery.model not in (None, model):
            raise ModelMismatch(f"gallery {gallery.id!r} was filled by model {gallery.model}, not {model}")
        if gallery.dimension not in (None, dimension):
            raise InvalidRequest(f"expected a vector of {gallery.dimension} numbers, got {dimension}")
        self.db.execute(
            "UPDATE galleries SET model = ?, dimension = ? WHERE number = ?", (model, dimension, gallery.number)
        )
        return replace(gallery, model=model, dimension=dimension)

    def add_faces(self, gallery: GalleryInfo, templates: Sequence[Template]) -> None:
        """
        Add the faces at a new revision.

        Raises InvalidRequest if the gallery has a face of the same id, or too many faces.
        """
        revision = self.raise_revision(gallery)
        rows = [
            self.codec.face_row(gallery, each, revision, self.keys.cipher(gallery.number, each.subject_id))
            for each in templates
        ]
        added = self.db.executemany(
            f"INSERT INTO faces ({queries.FACE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
        )
        if added.rowcount < len(rows):
            raise InvalidRequest(f"gallery {gallery.id!r} has one of these faces already")
        self.db.executemany(
            "INSERT INTO crops (gallery, subject, face, crop) VALUES (?, ?, ?, ?)",
            [
                self.codec.crop_row(gallery, each, self.keys.cipher(gallery.number, each.subject_id))
                for each in templates
                if each.crop
            ],
        )
        self.limits.check_faces(self.db, gallery, {template.subject_id for template in templates})

    def face_ids(self, gallery: GalleryInfo, subject_id: str) -> set[str]:
        rows = self.db.execute("SELECT id FROM faces WHERE gallery = ? AND subject = ?", (gallery.number, subject_id))
        return {row["id"] for row in rows}

    def raise_revision(self, gallery: GalleryInfo) -> int:
        self.db.execute("UPDATE galleries SET revision = revision + 1 WHERE number = ?", (gallery.number,))
        row = self.db.execute("SELECT revision FROM galleries WHERE number = ?", (gallery.number,)).fetchone()
        return int(row["revision"])

    def log_removals(self, gallery: GalleryInfo, where: str, *values: str) -> int:
        """Raise the revision and write every face that `where` selects to the table `removals`; return their number."""
        revision = self.raise_revision(gallery)
        return self.db.execute(
            "INSERT INTO removals (gallery, revision, face) "
            f"SELECT gallery, ?, id FROM faces WHERE gallery = ? AND {where}",
            (revision, gallery.number, *values),
        ).rowcount

    def save_response(self, gallery: GalleryInfo, subject_id: str, record: IdempotencyRecord) -> None:
        cipher = self.keys.cipher(gallery.number, subject_id)
        encrypted = self.codec.encrypt_response(gallery.number, subject_id, record, cipher)
        self.db.execute(
            "INSERT INTO idempotency_keys (gallery, subject, key, request_digest, response) VALUES (?, ?, ?, ?, ?)",
            (gallery.number, subject_id, record.key, record.request_digest, encrypted),
        )

    def saved_response(
        self, gallery_number: int, subject_id: str, key: str, request_digest: str
    ) -> Mapping[str, Any] | None:
        """Return the response saved under the key. Raises InvalidRequest if it answered another request."""
        row = self.db.execute(
            f"{queries.RESPONSE} WHERE gallery = ? AND subject = ? AND key = ?", (gallery_number, subject_id, key)
        ).fetchone()
        if row is None:
            return None
        if row["request_digest"] != request_digest:
            raise InvalidRequest(f"Idempotency-Key {key!r} was used for another request")
        return self.codec.response(gallery_number, row)

    def saved_responses(self, gallery: GalleryInfo, subject_id: str) -> list[IdempotencyRecord]:
        """Return the responses saved for a subject; a damaged one is logged and its response is empty."""
        rows = self.db.execute(
            f"{queries.RESPONSE} WHERE gallery = ? AND subject = ? ORDER BY key", (gallery.number, subject_id)
        )
        return [self._saved_response(gallery.number, row) for row in rows]

    def _saved_response(self, gallery_number: int, row: Row) -> IdempotencyRecord:
        try:
            response = self.codec.response(gallery_number, row)
        except DamagedValue as error:
            log.warning("the response saved under Idempotency-Key %r is damaged: %s", row["key"], error)
            response = {}
        return IdempotencyRecord(row["key"], row["request_digest"], response)

    def delete_saved_responses(self, gallery: GalleryInfo, subject_id: str) -> None:
        """Delete them with any face: they say where it was in its photo, and would claim that it is still enrolled."""
        self.db.execute("DELETE FROM idempotency_keys WHERE gallery = ? AND subject = ?", (gallery.number, subject_id))


def damaged_of_face(
    kind: Literal["crop", "new_vector"], gallery: GalleryInfo, row: Row, error: DamagedValue
) -> DamagedRow:
    return DamagedRow(kind, str(error), gallery.id, row["subject"], face_id=row["face"])


def damaged_face(gallery: GalleryInfo, row: Row, error: DamagedValue) -> DamagedRow:
    return DamagedRow("face", str(error), gallery.id, row["subject"], face_id=row["id"])
