"""
The galleries as stored in one SQLite file. Every change is one transaction that raises the gallery's revision and
appends to the audit log; the search index (search.py) is a copy of what is stored here.

CompreFace needs PostgreSQL and reloads all embeddings on a change, DeepFace pickles a folder, and in both a deleted
face may come back. Here what is committed is on disk, and what is deleted is overwritten (see app/storage/sqlite.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from app.audit import log as audit
from app.domain.clock import now
from app.domain.errors import InvalidRequest, NotFound, Overloaded, ServiceError
from app.domain.identity import SYSTEM, Actor
from app.domain.models import Template
from app.domain.ports import ThresholdOffsets
from app.gallery import codec, integrity, key_rotation, resealing, retention
from app.gallery.codec import (
    DamagedRow,
    DamagedValue,
    GalleryChanges,
    GalleryInfo,
    IdempotencyRecord,
    RowCodec,
    StoredVector,
    SubjectInfo,
)
from app.gallery.limits import NO_LIMITS, GalleryLimits
from app.gallery.subject_keys import SubjectKeys
from app.gallery.template_transform import TemplateTransform
from app.gallery.transaction import GalleryTransaction, damaged_face
from app.gallery.transaction_keys import TransactionKeys
from app.storage.cipher import Cipher, NoCipher
from app.storage.database import Connection, Database


class GalleryRepository:
    """Thread-safe; several processes may share the file. `by` is the actor that the audit log names."""

    def __init__(
        self,
        database: Database,
        cipher: Cipher | None = None,
        limits: GalleryLimits = NO_LIMITS,
        offsets: ThresholdOffsets | None = None,
    ) -> None:
        """Raises StartError unless the cipher has the key of the file, which must be at the newest schema version."""
        self._database, self._cipher = database, cipher or NoCipher()
        self._codec, self._limits = RowCodec(SubjectKeys(self._cipher, database.keys), offsets), limits
        key_rotation.open_with_cipher(database, self._codec)

    def data_version(self) -> int:
        """A number that changes when another process, or another connection of this one, changes anything."""
        return self._database.data_version()

    # galleries

    def galleries(self) -> list[GalleryInfo]:
        with self._reading() as transaction:
            return transaction.galleries()

    def gallery(self, gallery_id: str) -> GalleryInfo:
        with self._reading() as transaction:
            return transaction.gallery(gallery_id)

    def create_gallery(self, gallery_id: str, by: Actor = SYSTEM) -> tuple[GalleryInfo, bool]:
        """Return the gallery, and whether it is new."""
        with self._writing() as transaction:
            is_new = transaction.create_gallery_if_missing(gallery_id, by)
            return transaction.gallery(gallery_id), is_new

    def delete_gallery(self, gallery_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.gallery(gallery_id)
            for subject_id in transaction.delete_subjects(gallery):
                audit.append(transaction.db, by, "subject.delete", gallery_id, subject=subject_id)
            transaction.db.execute("DELETE FROM galleries WHERE number = ?", (gallery.number,))
            audit.append(
                transaction.db, by, "gallery.delete", gallery_id, subjects=gallery.subjects, faces=gallery.faces
            )

    # subjects

    def subjects(self, gallery_id: str, limit: int, after: str) -> list[SubjectInfo]:
        """Return at most `limit` subjects with ids behind `after`, in order of id."""
        with self._reading() as transaction:
            number = transaction.gallery_number(gallery_id)
            rows = transaction.db.execute(
                f"{codec.SUBJECT} WHERE gallery = ? AND id > ? ORDER BY id LIMIT ?", (number, after, limit)
            )
            return [self._codec.subject(number, row) for row in rows]

    def subject(self, gallery_id: str, subject_id: str) -> SubjectInfo:
        with self._reading() as transaction:
            return transaction.subject(transaction.gallery(gallery_id), subject_id)

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
            gallery = transaction.gallery(gallery_id)
            is_new = transaction.create_subject_if_missing(gallery, subject_id)
            if not is_new and (metadata is not None or consent is not None):
                transaction.renew_key(gallery, subject_id)
            if metadata is not None:
                transaction.set_metadata(gallery, subject_id, metadata)
            if consent is not None:
                transaction.set_consent(gallery, subject_id, consent)
            if expires_at is not None:
                transaction.set_expiry(gallery, subject_id, expires_at)
            transaction.raise_revision(gallery)
            audit.append(transaction.db, by, "subject.put", gallery_id, subject=subject_id)
            return transaction.subject(gallery, subject_id), is_new

    def delete_subject(self, gallery_id: str, subject_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.gallery(gallery_id)
            faces = transaction.subject(gallery, subject_id).faces
            transaction.log_removals(gallery, "subject = ?", subject_id)
            transaction.delete_subjects(gallery, "id = ?", subject_id)
            audit.append(transaction.db, by, "subject.delete", gallery_id, subject=subject_id, faces=faces)

    def metadata(self, gallery_id: str, subject_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the metadata of those subjects that (still) exist."""
        with self._reading() as transaction:
            number = transaction.gallery_number(gallery_id)
            marks = ",".join("?" * len(subject_ids))
            rows = transaction.db.execute(
                f"{codec.METADATA} WHERE gallery = ? AND id IN ({marks})", (number, *subject_ids)
            )
            return {row["id"]: self._codec.metadata_or_empty(number, row) for row in rows}

    def export_subject(self, gallery_id: str, subject_id: str, by: Actor = SYSTEM) -> codec.SubjectFile:
        """Return everything that is stored about a subject; the audit log, and so the file, records this export too."""
        with self._writing() as transaction:
            gallery = transaction.gallery(gallery_id)
            subject = transaction.subject(gallery, subject_id)
            audit.append(transaction.db, by, "subject.export", gallery_id, subject=subject_id)
            events = audit.entries_of(transaction.db, gallery_id, subject_id)
            faces = transaction.faces(gallery, subject_id)
            return codec.SubjectFile(gallery, subject, faces, events, transaction.saved_responses(gallery, subject_id))

    # faces

    def enroll(
        self,
        gallery_id: str,
        subject_id: str,
        templates: Sequence[Template],
        idempotency: IdempotencyRecord | None = None,
        by: Actor = SYSTEM,
    ) -> Mapping[str, Any] | None:
        """
        Add templates to a subject, creating it and its gallery as needed, all or nothing.

        Return None, or the response saved earlier under the same key, in which case nothing was added.
        Raises ModelMismatch, or InvalidRequest if the key was used for another request or a face id is taken.
        """
        with self._writing() as transaction:
            transaction.create_gallery_if_missing(gallery_id, by)
            gallery = transaction.gallery(gallery_id)
            if idempotency:
                key, digest = idempotency.key, idempotency.request_digest
                if saved := transaction.saved_response(gallery.number, subject_id, key, digest):
                    return saved
            transaction.create_subject_if_missing(gallery, subject_id)
            for template in templates:
                gallery = transaction.bind_to_model(gallery, template.embedding)
            transaction.add_faces(gallery, templates)
            for template in templates:
                audit.append(transaction.db, by, "face.enroll", gallery_id, subject=subject_id, face=template.face_id)
            if idempotency:
                transaction.save_response(gallery, subject_id, idempotency)
            return None

    def saved_response(
        self, gallery_id: str, subject_id: str, key: str, request_digest: str
    ) -> Mapping[str, Any] | None:
        """Return the response saved under an Idempotency-Key. Raises InvalidRequest if it answered another request."""
        with self._reading() as transaction:
            try:
                number = transaction.gallery_number(gallery_id)
            except NotFound:
                return None
            return transaction.saved_response(number, subject_id, key, request_digest)

    def faces(self, gallery_id: str, subject_id: str) -> list[Template]:
        """Return a subject's templates, oldest first; a damaged one is logged and left out."""
        with self._reading() as transaction:
            gallery = transaction.gallery(gallery_id)
            transaction.subject(gallery, subject_id)
            return transaction.faces(gallery, subject_id)

    def delete_face(self, gallery_id: str, subject_id: str, face_id: str, by: Actor = SYSTEM) -> None:
        with self._deleting() as transaction:
            gallery = transaction.gallery(gallery_id)
            transaction.subject(gallery, subject_id)
            if not transaction.log_removals(gallery, "subject = ? AND id = ?", subject_id, face_id):
                raise NotFound(f"subject {subject_id!r} has no face {face_id!r}")
            transaction.db.execute("DELETE FROM faces WHERE gallery = ? AND id = ?", (gallery.number, face_id))
            transaction.delete_saved_responses(gallery, subject_id)
            transaction.renew_key(gallery, subject_id)
            audit.append(transaction.db, by, "face.delete", gallery_id, subject=subject_id, face=face_id)

    def changes_since(self, gallery_id: str, known: GalleryInfo | None) -> tuple[GalleryInfo, GalleryChanges]:
        """
        Return the gallery, and what an index of it as `known` lacks: everything if its vectors are stored in another
        way by now. The vectors are those that are stored: `transform` gives the model's own.

        Raises StartError if a key is missing, so that no index lacks faces which are not damaged.
        """
        read, damaged = [], []
        with self._reading() as transaction:
            if known and transaction.is_unchanged(known):
                return known, GalleryChanges(known.revision, [], [], [])
            gallery = transaction.gallery(gallery_id)
            since = known.revision if known and gallery.stores_vectors_as(known) else 0
            rows = transaction.db.execute(
                f"{codec.FACE} WHERE gallery = ? AND revision > ? ORDER BY revision, rowid", (gallery.number, since)
            )
            for row in rows:  # decoded here: behind the transaction, the keys that it needs may be destroyed
                try:
                    read.append((row["id"], row["subject"], self._codec.stored_vector(gallery, row)))
                except DamagedValue as error:
                    damaged.append(damaged_face(gallery, row, error))
            removed = transaction.db.execute(
                "SELECT face FROM removals WHERE gallery = ? AND revision > ? AND ? > 0", (gallery.number, since, since)
            ).fetchall()
        if damaged:
            self.require_all_keys()
        transform = self._codec.transform(gallery)
        offsets = self._codec.offsets(gallery, [transform.to_model(vector) for *_, vector in read])
        added = [StoredVector(*face, offset) for face, offset in zip(read, offsets, strict=True)]
        return gallery, GalleryChanges(gallery.revision, added, [row["face"] for row in removed], damaged)

    def transform(self, gallery: GalleryInfo) -> TemplateTransform:
        """Return what turns the model's own vectors into those that the gallery stores and searches, and back."""
        return self._codec.transform(gallery)

    def import_subjects(self, gallery_id: str, subjects: Sequence[codec.ImportedSubject], by: Actor = SYSTEM) -> int:
        """
        Add subjects and faces in one transaction, except those that are there already; return the number of new faces.

        Metadata, consent and expiry that a line has replace those of a subject that is there. A subject past its expiry
        is left out, because it would be erased at once. Raises ModelMismatch, or InvalidRequest if another subject has
        one of the faces.
        """
        with self._replacing() as transaction:
            transaction.create_gallery_if_missing(gallery_id, by)
            gallery = transaction.gallery(gallery_id)
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

    # the file as a whole

    def pending_erasures(self) -> int:
        """Return the number of deletions of which a file still has old pages, because a reader needs them."""
        return self._database.pending_erasures()

    def settle_erasures(self) -> int:
        """Finish the pending erasures if no reader prevents it; return how many remain."""
        return self._database.settle_erasures()

    def settle_after_crash(self) -> None:
        """Finish what an earlier process may have left unfinished."""
        self._database.settle_after_crash()

    def expire(self, before: str, by: Actor) -> list[retention.Expired]:
        """Erase faces enrolled before that time, and subjects as old that have no face."""
        with self._reading() as transaction:
            if not retention.has_expired(transaction.db, before):
                return []
        with self._deleting() as transaction:
            return retention.expire(transaction, before, by)

    def expire_subjects(self, at: str, by: Actor) -> list[retention.Expired]:
        """Erase the subjects that expire at that time or before."""
        with self._reading() as transaction:
            if not retention.has_expired_subjects(transaction.db, at):
                return []
        with self._deleting() as transaction:
            return retention.expire_subjects(transaction, at, by)

    def require_all_keys(self) -> None:
        """Raises StartError if values are encrypted with a key that is not given."""
        with self._reading() as transaction:
            self._codec.keys.require_master_keys(transaction.db)

    def check_integrity(self) -> list[DamagedRow]:
        """Return what SQLite's own check finds, or else every row that cannot be read."""
        try:
            with self._reading() as transaction:
                return integrity.check_file(transaction.db) or integrity.damaged_rows(transaction)
        except Overloaded:
            raise
        except ServiceError as error:  # too damaged to be read at all
            return [DamagedRow("file", str(error))]

    def damaged_rows(self, gallery_id: str | None = None) -> list[DamagedRow]:
        """Return every row of the gallery (of all galleries) that cannot be read."""
        with self._reading() as transaction:
            return integrity.damaged_rows(transaction, gallery_id)

    def repair(self, rows: Sequence[DamagedRow], by: Actor = SYSTEM) -> list[DamagedRow]:
        """Remove damaged rows as `integrity.repair`, so that no copy of them is left; return what was removed."""
        with self._deleting() as transaction:
            return integrity.repair(transaction, rows, by)

    def rekey_gallery(
        self, gallery_id: str, by: Actor = SYSTEM, on_progress: Callable[[int], None] = lambda _: None
    ) -> GalleryInfo:
        """
        Give the gallery another secret transform in one transaction; `on_progress` gets the number of subjects done.

        Raises InvalidRequest if the gallery is not encrypted.
        """
        with self._replacing() as transaction:
            gallery = transaction.gallery(gallery_id)
            if gallery.sealed_seed is None:
                raise InvalidRequest("only an encrypted gallery has a secret transform: set an encryption key first")
            resealing.rekey_gallery(transaction.db, self._codec, gallery, on_progress)
            transaction.raise_revision(gallery)
            audit.append(transaction.db, by, "gallery.rekey", gallery_id, faces=gallery.faces)
            return transaction.gallery(gallery_id)

    def vacuum(self) -> None:
        """Write the file anew, without the pages that deleted rows left empty."""
        self._database.vacuum()

    def audit_event(self, by: Actor, action: str, gallery_id: str, subject_id: str = "", **details: Any) -> None:
        """Append to the audit log an event that changes no row."""
        with self._database.writing() as db:
            audit.append(db, by, action, gallery_id, subject=subject_id, **details)

    @contextmanager
    def _reading(self) -> Iterator[GalleryTransaction]:
        with self._database.reading() as db:
            key_rotation.require_same_cipher(db, self._cipher, writing=False)
            yield self._transaction(db, TransactionKeys(db, self._codec, []))

    @contextmanager
    def _writing(self) -> Iterator[GalleryTransaction]:
        with self._database.writing() as db, self._changing(db, []) as transaction:
            yield transaction

    @contextmanager
    def _replacing(self) -> Iterator[GalleryTransaction]:
        released: list[int] = []
        with self._database.replacing(released) as db, self._changing(db, released) as transaction:
            yield transaction

    @contextmanager
    def _deleting(self) -> Iterator[GalleryTransaction]:
        released: list[int] = []
        with self._database.deleting(released) as db, self._changing(db, released) as transaction:
            yield transaction

    @contextmanager
    def _changing(self, db: Connection, released: list[int]) -> Iterator[GalleryTransaction]:
        key_rotation.require_same_cipher(db, self._cipher, writing=True)
        keys = TransactionKeys(db, self._codec, released)
        with keys.synced():
            yield self._transaction(db, keys)

    def _transaction(self, db: Connection, keys: TransactionKeys) -> GalleryTransaction:
        return GalleryTransaction(db, self._codec, keys, self._limits)


def _unexpired(subjects: Sequence[codec.ImportedSubject]) -> list[codec.ImportedSubject]:
    moment = now()
    return [subject for subject in subjects if not subject.expires_at or subject.expires_at > moment]


def _import_subject(
    transaction: GalleryTransaction, gallery: GalleryInfo, subject: codec.ImportedSubject, by: Actor
) -> None:
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
